"""Airflow connections as open clients, and what the Test button says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from learnosity.api.config import ApiConfig
from learnosity.errors import ConnectionConfigError
from learnosity.hooks import LearnosityHook
from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, Simulator, SimulatorConfig, running


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(SimulatorConfig()) as sim:
        yield sim


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Any:
    """Makes a connection to the simulator with some parts changed; gives back a hook for it."""

    def define(conn_type: str = "learnosity", **changes: Any) -> LearnosityHook:
        parts = {
            "conn_type": conn_type,
            "host": simulator.url,
            "login": DEMO_CONSUMER_KEY,
            "password": DEMO_CONSUMER_SECRET,
            "extra": {"timeout": 5},
        }
        monkeypatch.setenv("AIRFLOW_CONN_LEARNOSITY_DEFAULT", json.dumps(parts | changes))
        return LearnosityHook()

    return define


@pytest.mark.parametrize("conn_type", ["learnosity", "http"])
def test_a_good_connection_passes_whether_it_is_of_our_type_or_plain_http(
    connect: Any, simulator: Simulator, conn_type: str
) -> None:
    passed, message = connect(conn_type).test_connection()
    assert passed, message
    assert message == f"{simulator.url} accepted key, secret and domain; it serves v1.85.0."


def test_a_plain_http_connection_may_give_host_schema_and_port_apart(connect: Any, simulator: Simulator) -> None:
    port = int(simulator.url.rpartition(":")[2])
    hook = connect("http", host="127.0.0.1", schema="http", port=port)
    assert hook.test_connection()[0]
    assert hook.get_config().base_url == simulator.url


def test_a_connection_uri_works_as_airflow_users_write_it(
    monkeypatch: pytest.MonkeyPatch, simulator: Simulator
) -> None:
    port = int(simulator.url.rpartition(":")[2])
    uri = f"http://{DEMO_CONSUMER_KEY}:{DEMO_CONSUMER_SECRET}@127.0.0.1:{port}/http?version=v2025.3.LTS"
    monkeypatch.setenv("AIRFLOW_CONN_BY_URI", uri)
    hook = LearnosityHook("by_uri")
    assert hook.test_connection()[0]
    assert hook.get_config().version == "v2025.3.LTS"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"password": "0" * 40}, "consumer secret (password) of the connection", id="secret"),
        pytest.param({"login": "0123456789ABCDEF"}, "consumer key (login) of the connection", id="key"),
        pytest.param({"extra": {"domain": "school.example"}}, "extra `domain`", id="domain"),
        pytest.param({"password": None}, "the password is empty", id="no-secret"),
        pytest.param({"extra": {"version": "1"}}, "must look like", id="version"),
        pytest.param({"host": "http://198.51.100.1"}, "plain http", id="plain-http"),
        pytest.param({"extra": "no JSON"}, "is not a JSON object", id="extra that is no JSON"),
        pytest.param({"extra": "[1]"}, "is not a JSON object", id="extra that is no object"),
    ],
)
def test_the_test_button_says_what_to_change(connect: Any, changes: dict[str, Any], says: str) -> None:
    passed, message = connect(**changes).test_connection()
    assert not passed
    assert says in message
    assert "onnection '" not in message  # Airflow tests a copy of the connection, with a random id that nobody knows
    assert DEMO_CONSUMER_SECRET not in message
    assert "0" * 40 not in message


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "changes",
    [
        lambda end: {"login": DEMO_CONSUMER_KEY + end},
        lambda end: {"password": DEMO_CONSUMER_SECRET + end},
        lambda end: {"extra": {"version": f"v2026.2.LTS{end}", "domain": f"localhost{end}"}},
        lambda end: {"extra": json.dumps({"version": f"v2026.2.LTS{end}"})},
    ],
    ids=["login", "password", "extra", "extra as text"],
)
def test_the_test_button_takes_a_line_end_as_the_tasks_do(connect: Any, changes: Any, end: str) -> None:
    hook = connect(**changes(end))
    assert hook.test_connection()[0], hook.test_connection()[1]
    assert hook.get_config().version == "v2026.2.LTS"


def test_a_server_that_is_not_there_fails_the_test_with_a_message(connect: Any, closed_port: int) -> None:
    passed, message = connect(host=f"http://127.0.0.1:{closed_port}").test_connection()
    assert not passed
    assert "GET jobs failed" in message


def test_a_connection_that_does_not_exist_is_told_by_name_with_what_to_do() -> None:
    hook = LearnosityHook("nowhere")
    says = "The connection 'nowhere' does not exist. Add it in Airflow under Admin"
    with pytest.raises(ConnectionConfigError, match=says):
        hook.get_config()
    with pytest.raises(ConnectionConfigError, match=says):
        asyncio.run(hook.aget_config())
    passed, message = hook.test_connection()
    assert not passed
    assert "does not exist" in message


async def test_inside_an_event_loop_the_hook_gives_an_open_client(connect: Any, simulator: Simulator) -> None:
    hook = connect()
    before = simulator.stats.calls["get jobs"]
    async with hook.client() as client:
        assert await client.jobs() == []
        assert await client.jobs() == []
    assert simulator.stats.calls["get jobs"] == before + 2


def test_the_connection_is_looked_up_once_and_is_the_same_in_and_outside_a_loop(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = connect()
    known: ApiConfig = hook.get_config()
    monkeypatch.delenv("AIRFLOW_CONN_LEARNOSITY_DEFAULT")
    assert hook.get_config() is known
    assert asyncio.run(hook.aget_config()) is known
    assert asyncio.run(connect().aget_config()) == known


def test_the_hook_shows_no_secret(connect: Any) -> None:
    hook = connect()
    hook.get_config()
    assert DEMO_CONSUMER_SECRET not in repr(vars(hook))
