"""Signatures equal to the contract's test vectors (section 1.4), and good on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from learnosity_sdk.request import Init

from learnosity.api.config import Credentials
from learnosity.api.signing import routing_headers, sign_data_request

from .conftest import Start

CREDENTIALS = Credentials("AAAABBBBCCCCDDDD", "0123456789abcdef0123456789abcdef01234567", "localhost")
VECTORS = [
    (
        {"references": ["9fd443d0-2b4f-4315-aec6-708da3d30d49"]},
        "get",
        "$02$498f833db61dc816722d47bc0f69eb7c757e234424c9ef819a5441b2cb49119b",
    ),
    (
        {"dataset_type": "activity-summary-by-group", "dataset_id": "a951cc14-0316-4c12-bb13-1f386338a094"},
        "set",
        "$02$3bded7a724b9036ae3adf47a5031d5eb8293530a4705e604ae6b9116348c0795",
    ),
]


@pytest.fixture
def no_telemetry() -> Iterator[None]:
    """The vectors were made without the SDK's telemetry."""
    Init.disable_telemetry()
    yield
    Init.enable_telemetry()


@pytest.mark.usefixtures("no_telemetry")
@pytest.mark.parametrize(("request_object", "action", "signature"), VECTORS)
def test_a_signature_equals_the_contracts_vector(request_object: dict[str, Any], action: str, signature: str) -> None:
    form = sign_data_request(CREDENTIALS, request_object, action, timestamp="20261001-1200")
    assert json.loads(form["security"])["signature"] == signature
    assert form["request"] == json.dumps(request_object, separators=(",", ":"))
    assert form["action"] == action


def test_the_callers_request_is_left_as_it_was() -> None:
    request = {"dataset_id": "x", "meta": {"own": 1}}
    sign_data_request(CREDENTIALS, request, "get")
    assert request == {"dataset_id": "x", "meta": {"own": 1}}


def test_the_form_holds_the_key_and_the_signature_but_not_the_secret() -> None:
    form = sign_data_request(CREDENTIALS, {"a": 1}, "get")
    assert set(form) == {"security", "request", "action"}
    assert set(json.loads(form["security"])) == {"consumer_key", "domain", "timestamp", "signature"}
    assert CREDENTIALS.consumer_secret not in str(form)
    headers = routing_headers(CREDENTIALS, "jobs/reports/datasets", "set")
    assert headers["X-Learnosity-Consumer"] == CREDENTIALS.consumer_key
    assert headers["X-Learnosity-Action"] == "set_/jobs/reports/datasets"
    assert CREDENTIALS.consumer_secret not in str(headers)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("text", ["plain", "Écôle élémentaire", '学校 & co = 100 % + "x" \\ \u2028 😀'])
async def test_the_server_accepts_the_signature_of_any_text(start: Start, legacy: bool, text: str) -> None:
    bench = await start(accept_legacy_signatures=legacy)
    reply = await bench.client.initialise(
        {"dataset_type": "ibk-analysis-by-question", "file_count": 0, "filters": {"note": text}}
    )
    assert reply.find("job_reference")
