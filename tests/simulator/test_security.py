"""Signatures and security objects."""

from __future__ import annotations

import calendar
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from learnosity_sdk.request import Init

from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, SimulatorConfig
from simulator.errors import ApiError
from simulator.security import authenticate, sign, sign_legacy

PACKET = {"consumer_key": DEMO_CONSUMER_KEY, "domain": "localhost", "timestamp": "20261001-1200"}
NOON = calendar.timegm((2026, 10, 1, 12, 0, 30))
REFERENCES = '{"references":["9fd443d0-2b4f-4315-aec6-708da3d30d49"]}'
COMMENCE = '{"dataset_type":"activity-summary-by-group","dataset_id":"a951cc14-0316-4c12-bb13-1f386338a094"}'
UNICODE = (
    '{"dataset_type":"sessions-summary-by-group","file_count":1,"groups":[{"key":"district","label":"Districté"}]}'
)


def check(packet: dict[str, Any], config: SimulatorConfig | None = None, action: str | None = "get") -> None:
    signed = {"signature": sign(DEMO_CONSUMER_SECRET, packet, REFERENCES, action)} | packet
    authenticate(json.dumps(signed), REFERENCES, action, config or SimulatorConfig(), NOON)


def refused(packet: dict[str, Any], config: SimulatorConfig | None = None) -> int:
    with pytest.raises(ApiError) as caught:
        check(packet, config)
    return caught.value.code


@pytest.mark.parametrize(
    ("request_text", "action", "expires", "signature"),
    [
        (REFERENCES, "get", None, "$02$498f833db61dc816722d47bc0f69eb7c757e234424c9ef819a5441b2cb49119b"),
        (COMMENCE, "set", None, "$02$3bded7a724b9036ae3adf47a5031d5eb8293530a4705e604ae6b9116348c0795"),
        (UNICODE, "set", "20261001-1300", "$02$7e04db2c7fb1087c30e7471a0017f0ba81781c1ee0be9e732df36adc4a761d2f"),
    ],
)
def test_current_signatures_are_those_of_the_contract(
    request_text: str, action: str, expires: str | None, signature: str
) -> None:
    packet = PACKET | ({"expires": expires} if expires else {})
    assert sign(DEMO_CONSUMER_SECRET, packet, request_text, action) == signature


@pytest.mark.parametrize(
    ("request_text", "action", "signature"),
    [
        (REFERENCES, "get", "40fcd18e98ac3853bc66f6abdf70dc7e93c24bd40ec923a100d9e191518bdbbe"),
        (REFERENCES, None, "136bb4aa9a4eb6ef9ca20db19607c7627e0824009af9f1f34c8ffa1bd354d213"),
        (COMMENCE, "set", "bd5f8d9af582a80fec60e4beaff4b6375a737cac3578818735edc647635914ef"),
    ],
)
def test_legacy_signatures_are_those_of_the_contract(request_text: str, action: str | None, signature: str) -> None:
    assert sign_legacy(DEMO_CONSUMER_SECRET, PACKET, request_text, action) == signature


# The SDK writes its own telemetry into a `meta` that the caller gives, whatever that is: not ours to test.
keys = st.text().filter(lambda key: key != "meta")


@given(st.dictionaries(keys, st.text() | st.integers() | st.none()), st.sampled_from(["get", "set"]), st.booleans())
def test_whatever_the_official_sdk_signs_is_accepted(request: dict[str, Any], action: str, expires: bool) -> None:
    packet = PACKET | ({"expires": "20261001-1300"} if expires else {})
    made = Init("data", packet, DEMO_CONSUMER_SECRET, request, action).generate()
    assert isinstance(made, dict)
    authenticate(made["security"], made["request"], action, SimulatorConfig(), NOON)


def test_a_reports_api_object_is_accepted_without_an_action() -> None:
    text = Init("reports", PACKET, DEMO_CONSUMER_SECRET, {"reports": []}).generate()
    assert isinstance(text, str)
    made = json.loads(text)
    request = json.dumps(made["request"], separators=(",", ":"))
    authenticate(json.dumps(made["security"]), request, None, SimulatorConfig(), NOON)


def test_a_request_that_was_changed_on_the_way_is_refused() -> None:
    signed = PACKET | {"signature": sign(DEMO_CONSUMER_SECRET, PACKET, REFERENCES, "get")}
    with pytest.raises(ApiError, match="41003"):
        authenticate(json.dumps(signed), REFERENCES + " ", "get", SimulatorConfig(), NOON)


@pytest.mark.parametrize("signer", [sign, sign_legacy])
def test_a_get_may_leave_the_action_out_but_a_set_may_not(signer: Any) -> None:
    bare = json.dumps(PACKET | {"signature": signer(DEMO_CONSUMER_SECRET, PACKET, REFERENCES, None)})
    authenticate(bare, REFERENCES, "get", SimulatorConfig(), NOON)
    with pytest.raises(ApiError, match="41003"):
        authenticate(bare, REFERENCES, "set", SimulatorConfig(), NOON)


def test_legacy_signatures_can_be_switched_off() -> None:
    legacy = PACKET | {"signature": sign_legacy(DEMO_CONSUMER_SECRET, PACKET, REFERENCES, "get")}
    check(legacy)
    assert refused(legacy, SimulatorConfig(accept_legacy_signatures=False)) == 41003


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"consumer_key": "short"}, 41001, id="length of the key"),
        pytest.param({"timestamp": "2026"}, 41001, id="length of the timestamp"),
        pytest.param({"signature": "abc"}, 41001, id="length of the signature"),
        pytest.param({"user_id": "u" * 51}, 41001, id="length of the user id"),
        pytest.param({"consumer_key": "X" * 16}, 41002, id="unknown consumer"),
        pytest.param({"signature": "$02$" + "0" * 64}, 41003, id="signature"),
        pytest.param({"timestamp": "20260923-1159"}, 41004, id="older than a week"),
        pytest.param({"timestamp": "20261001-1216"}, 41004, id="from the future"),
        pytest.param({"timestamp": "20261301-1200"}, 41004, id="no such month"),
        pytest.param({"domain": "elsewhere.example"}, 41005, id="domain"),
        pytest.param({"expires": "tomorrow"}, 41006, id="form of expires"),
        pytest.param({"expires": "20261001-1200"}, 41007, id="expired"),
    ],
)
def test_each_fault_of_a_security_object_has_its_code(change: dict[str, str], code: int) -> None:
    assert refused(PACKET | change) == code


@pytest.mark.parametrize("raw", [None, "", "no json", "[]", "{}", '{"consumer_key": 1}'])
def test_an_incomplete_security_object_is_told_as_missing(raw: str | None) -> None:
    with pytest.raises(ApiError, match="41000"):
        authenticate(raw, REFERENCES, "get", SimulatorConfig(), NOON)


def test_the_secret_is_in_no_repr() -> None:
    assert DEMO_CONSUMER_SECRET not in repr(SimulatorConfig(seed=3))
    assert "seed" in repr(SimulatorConfig(seed=3))


def test_the_clock_is_used_when_no_moment_is_given() -> None:
    packet = PACKET | {"timestamp": time.strftime("%Y%m%d-%H%M", time.gmtime())}
    packet |= {"signature": sign(DEMO_CONSUMER_SECRET, packet, REFERENCES, "get")}
    assert authenticate(json.dumps(packet), REFERENCES, "get", SimulatorConfig()).domain == "localhost"
