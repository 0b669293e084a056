"""The connection type in Airflow's own form: its labels, and the Test button."""

from __future__ import annotations

from typing import Any

import pytest
from airflow_client.client import ConnectionApi, ConnectionTestResponse

from devstack.stack import Stack
from tests.integration.scenarios import simulator_connection


def press_test(stack: Stack, **changes: Any) -> ConnectionTestResponse:
    body = simulator_connection(stack, "learnosity_form", **changes)
    return ConnectionApi(stack.airflow.api.client).test_connection(body)


def test_the_test_button_proves_key_secret_and_domain(stack: Stack) -> None:
    result = press_test(stack)
    assert result.status
    assert "accepted key, secret and domain" in result.message


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        pytest.param({"password": "0" * 40}, "Check the consumer secret", id="wrong secret"),
        pytest.param({"login": "0000000000000000"}, "Check the consumer key", id="unknown key"),
        pytest.param({"extra": '{"domain": "evil.example"}'}, "allow-list", id="domain not allowed"),
        pytest.param({"extra": '{"version": "newest"}'}, "must look like", id="bad version"),
        pytest.param({"host": "data.learnosity.example"}, "plain http", id="plain http elsewhere"),
    ],
)
def test_the_test_button_says_what_to_change(stack: Stack, changes: dict[str, Any], advice: str) -> None:
    result = press_test(stack, **changes)
    assert not result.status
    assert advice in result.message
    assert stack.simulator.consumer.secret_key not in result.message


def test_the_form_has_its_own_type_and_labels(stack: Stack) -> None:
    forms = stack.airflow.api.ui("/connections/hook_meta")
    ours = next(form for form in forms if form["connection_type"] == "learnosity")
    assert ours["standard_fields"]["login"]["title"] == "Consumer key"
    assert ours["standard_fields"]["password"]["title"] == "Consumer secret"
    assert {"version", "domain", "organisation_id", "region"} <= set(ours["extra_fields"])
