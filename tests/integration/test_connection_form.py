"""The connection type in Airflow's own form: its labels, and the Test button."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from devstack.stack import Stack


def connection(stack: Stack, **changes: Any) -> dict[str, Any]:
    host, _, port = stack.simulator.url.removeprefix("http://").partition(":")
    return {
        "connection_id": "learnosity_form",
        "conn_type": "learnosity",
        "schema": "http",
        "host": host,
        "port": int(port),
        "login": stack.simulator.consumer.access_key,
        "password": stack.simulator.consumer.secret_key,
        **changes,
    }


def press_test(stack: Stack, body: dict[str, Any]) -> dict[str, Any]:
    reply = stack.airflow.api.request("POST", "/connections/test", body=body)
    result = msgspec.json.decode(reply.body)
    assert isinstance(result, dict)
    return result


def test_the_test_button_proves_key_secret_and_domain(stack: Stack) -> None:
    result = press_test(stack, connection(stack))
    assert result["status"] is True
    assert "accepted key, secret and domain" in result["message"]


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        pytest.param({"password": "wrong-secret-of-this-consumer"}, "Check the consumer secret", id="wrong secret"),
        pytest.param({"login": "0000000000000000"}, "Check the consumer key", id="unknown key"),
        pytest.param({"extra": '{"domain": "evil.example"}'}, "allow-list", id="domain not allowed"),
        pytest.param({"extra": '{"version": "newest"}'}, "must look like", id="bad version"),
        pytest.param({"host": "data.learnosity.example"}, "plain http", id="plain http elsewhere"),
    ],
)
def test_the_test_button_says_what_to_change(stack: Stack, changes: dict[str, Any], advice: str) -> None:
    result = press_test(stack, connection(stack, **changes))
    assert result["status"] is False
    assert advice in result["message"]
    assert stack.simulator.consumer.secret_key not in result["message"]


def test_the_form_has_its_own_type_and_labels(stack: Stack) -> None:
    reply = stack.airflow.api.request("GET", "/connections?limit=1")
    assert reply.status == 200
    forms = stack.airflow.api.ui("/connections/hook_meta")
    ours = next(form for form in forms if form["connection_type"] == "learnosity")
    assert ours["standard_fields"]["login"]["title"] == "Consumer key"
    assert ours["standard_fields"]["password"]["title"] == "Consumer secret"
    assert {"version", "domain", "organisation_id", "region"} <= set(ours["extra_fields"])
