"""Look-ups of connections and Variables: absent, not readable and forbidden have different results."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk.bases.secrets_backend import BaseSecretsBackend
from airflow.sdk.configuration import clear_secrets_backends_cache
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    ConnectionResult,
    DeadlockImminentError,
    ErrorResponse,
    GetConnection,
    GetVariable,
    MaskSecret,
    VariableKeysResult,
    VariableResult,
)
from airflow.secrets.environment_variables import EnvironmentVariablesBackend

from learnosity.connections import open_store
from learnosity.destination import resolve_destination
from learnosity.errors import ConnectionConfigError, LearnosityError, RequestError
from learnosity.hooks import LearnosityHook
from learnosity.lookups import LookupFailedError, afind_connection, afind_variable, find_connection
from learnosity.run_config import DESTINATION_VARIABLE

SECRET = "a-secret-in-an-error"
Answer = Callable[[Any], Any]


class Texts(BaseSecretsBackend):
    """A secrets backend that keeps connections as texts, as most of them do."""

    text = ""

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        return self.text


class Vault:
    """A secrets backend of a deployment. `fails` makes it unreachable."""

    fails = False

    def _set_connection_class(self, kind: type) -> None:
        self.kind = kind

    def get_connection(self, conn_id: str, team_name: str | None = None) -> Any:
        if self.fails:
            raise ConnectionError(f"no route to the vault with {SECRET}")
        return None

    get_variable = get_connection


class Api:
    """The API server, as a task sees it: `replies` answers each request."""

    def __init__(self, replies: Answer) -> None:
        self.send = replies

    async def asend(self, request: Any) -> Any:
        return self.send(request)


def not_found(request: Any) -> Any:
    if isinstance(request, GetConnection):
        return ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND)
    if isinstance(request, GetVariable):
        return ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)
    return VariableKeysResult(keys=[], total_entries=0)


def found(request: Any) -> Any:
    if isinstance(request, GetConnection):
        parts: dict[str, Any] = {"conn_id": request.conn_id, "conn_type": "http", "host": "api.example", "extra": "{}"}
        parts |= dict.fromkeys(("schema", "login", "password", "port"))
        return ConnectionResult.model_validate(parts)
    return VariableResult(key=request.key, value="s3://of_the_api@bucket/datasets")


def replies(error: ErrorType) -> Answer:
    return lambda _: ErrorResponse(error=error)


def raises(error: Exception) -> Answer:
    def answer(_: Any) -> Any:
        raise error

    return answer


def not_found_but_listed(request: Any) -> Any:
    answer = not_found(request)
    return VariableKeysResult(keys=[DESTINATION_VARIABLE], total_entries=1) if "keys" in dir(answer) else answer


def not_found_and_no_list(request: Any) -> Any:
    if isinstance(request, GetConnection | GetVariable):
        return not_found(request)
    raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"message": SECRET}))


FAILURES: dict[str, Answer] = {
    "api server error": raises(AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))),
    "generic error": raises(AirflowRuntimeError(ErrorResponse(error=ErrorType.GENERIC_ERROR))),
    "generic error as a reply": replies(ErrorType.GENERIC_ERROR),
    "no connection to the supervisor": raises(ConnectionResetError(SECRET)),
    "a reply that is not understood": raises(ValueError(SECRET)),
    "an empty reply": lambda _: None,
    "a reply to another request": lambda _: VariableKeysResult(keys=[], total_entries=0),
}
LOOKUPS: dict[str, Callable[[], Any]] = {
    "connection": lambda: find_connection("store"),
    "connection in an event loop": lambda: asyncio.run(afind_connection("store")),
    "Variable": lambda: asyncio.run(afind_variable(DESTINATION_VARIABLE)),
}
USERS: dict[str, Callable[[], Any]] = {
    "store": lambda: open_store("s3://store@bucket/datasets"),
    "hook": lambda: LearnosityHook("store").get_config(),
    "hook in an event loop": lambda: asyncio.run(LearnosityHook("store").aget_config()),
    "destination": lambda: asyncio.run(resolve_destination(None)),
}


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets how the parts of Airflow behave that a look-up asks."""

    def behave(api: Answer, *, vault_fails: bool | None = None) -> None:
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Api(api), raising=False)
        if vault_fails is not None:
            monkeypatch.setattr(Vault, "fails", vault_fails)
            monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", f"{__name__}.Vault")
            clear_secrets_backends_cache()

    yield behave
    clear_secrets_backends_cache()


@pytest.mark.parametrize("lookup", LOOKUPS.values(), ids=LOOKUPS)
@pytest.mark.parametrize("vault_fails", [None, False], ids=["no vault", "an empty vault"])
def test_what_does_not_exist_is_none(airflow: Any, lookup: Any, vault_fails: bool | None) -> None:
    airflow(not_found, vault_fails=vault_fails)
    assert lookup() is None


@pytest.mark.parametrize("lookup", LOOKUPS.values(), ids=LOOKUPS)
@pytest.mark.parametrize("vault_fails", [None, False], ids=["no vault", "an empty vault"])
def test_what_the_api_server_has_is_found(airflow: Any, lookup: Any, vault_fails: bool | None) -> None:
    airflow(found, vault_fails=vault_fails)
    value = lookup()
    assert value == "s3://of_the_api@bucket/datasets" or value.host == "api.example"


@pytest.mark.parametrize("lookup", [*LOOKUPS.values(), *USERS.values()], ids=[*LOOKUPS, *USERS])
@pytest.mark.parametrize("api", [not_found, found], ids=["absent elsewhere", "another value elsewhere"])
def test_a_backend_that_fails_is_never_passed_over(airflow: Any, lookup: Any, api: Answer) -> None:
    airflow(api, vault_fails=True)
    with pytest.raises(LookupFailedError, match="Vault failed with ConnectionError") as caught:
        lookup()
    assert SECRET not in str(caught.value)
    assert caught.value.transient


@pytest.mark.parametrize("lookup", [*LOOKUPS.values(), *USERS.values()], ids=[*LOOKUPS, *USERS])
@pytest.mark.parametrize("api", FAILURES.values(), ids=FAILURES)
def test_an_api_server_that_fails_is_not_taken_for_absence(airflow: Any, lookup: Any, api: Answer) -> None:
    airflow(api)
    with pytest.raises(LookupFailedError, match="could not be read") as caught:
        lookup()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("api", [not_found_but_listed, not_found_and_no_list])
def test_a_variable_counts_as_absent_only_if_the_list_of_variables_says_so(airflow: Any, api: Answer) -> None:
    airflow(api)
    with pytest.raises(LookupFailedError):
        asyncio.run(resolve_destination(None))


@pytest.mark.parametrize("lookup", [*LOOKUPS.values(), *USERS.values()], ids=[*LOOKUPS, *USERS])
def test_what_is_forbidden_is_for_a_person_to_mend(airflow: Any, lookup: Any) -> None:
    airflow(replies(ErrorType.PERMISSION_DENIED))
    with pytest.raises(ConnectionConfigError, match="may not read"):
        lookup()


@pytest.mark.parametrize("lookup", [USERS["store"], USERS["hook"], USERS["hook in an event loop"]])
def test_an_absent_connection_is_named_with_what_to_do(airflow: Any, lookup: Any) -> None:
    airflow(not_found)
    with pytest.raises(ConnectionConfigError, match="'store' does not exist. Add it"):
        lookup()


@pytest.mark.parametrize("given", [None, "", "  "], ids=repr)
def test_without_any_destination_the_error_says_where_to_set_one(airflow: Any, given: Any) -> None:
    airflow(not_found)
    with pytest.raises(RequestError, match="Variable learnosity_destination_uri is not set. Set the Variable"):
        asyncio.run(resolve_destination(given))


def test_the_destination_of_the_run_config_needs_no_lookup(airflow: Any) -> None:
    airflow(FAILURES["api server error"])
    assert asyncio.run(resolve_destination("s3://mine@bucket/here")) == "s3://mine@bucket/here"


@pytest.mark.parametrize("extra", ["{", "no JSON", "[1, 2]", '"text"', "7", "null"])
def test_an_extra_that_is_no_json_object_is_an_error_and_not_the_default(
    monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps({"conn_type": "aws", "login": "k", "extra": extra}))
    for lookup in (*LOOKUPS.values(), USERS["store"], USERS["hook"]):
        try:
            value = lookup()
        except LearnosityError as error:
            assert "The extra of connection 'store' is not a JSON object" in str(error)
        else:
            assert value is None, "only the Variable has no extra"


def in_backend(monkeypatch: pytest.MonkeyPatch, kind: type[Any], text: str) -> None:
    """Puts the text of the connection `store` into the environment or into another backend."""
    if kind is EnvironmentVariablesBackend:
        monkeypatch.setenv("AIRFLOW_CONN_STORE", text)
        return
    monkeypatch.setattr(Texts, "text", text)
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", f"{__name__}.Texts")
    clear_secrets_backends_cache()


CONNECTIONS = {name: lookup for name, lookup in LOOKUPS.items() if name != "Variable"}
NO_CONNECTIONS = {
    "JSON that is cut off": '{"conn_type": "http", ',
    "a field that there is not": json.dumps({"conn_type": "http", "hosts": "a.example"}),
    "a port that is no number": json.dumps({"conn_type": "http", "port": "https"}),
    "a URI with such a port": f"http://login:{SECRET}@a.example:https",
    "blanks": "   ",
}


@pytest.mark.parametrize("lookup", CONNECTIONS.values(), ids=CONNECTIONS)
@pytest.mark.parametrize("text", NO_CONNECTIONS.values(), ids=NO_CONNECTIONS)
@pytest.mark.parametrize("kind", [EnvironmentVariablesBackend, Texts])
def test_a_text_that_is_no_connection_is_for_a_person_to_mend(
    airflow: Any, monkeypatch: pytest.MonkeyPatch, lookup: Any, text: str, kind: type[Any]
) -> None:
    airflow(found)
    in_backend(monkeypatch, kind, text)
    with pytest.raises(ConnectionConfigError, match=f"{kind.__name__} has a text for it that is neither") as caught:
        lookup()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("lookup", CONNECTIONS.values(), ids=CONNECTIONS)
@pytest.mark.parametrize("name", ["login", "password", "host", "schema"])
def test_a_field_in_json_that_is_no_text_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, lookup: Any, name: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps({"conn_type": "http", name: 12345678}))
    with pytest.raises(ConnectionConfigError, match=f"The {name} of connection 'store' is not a text") as caught:
        lookup()
    assert "12345678" not in str(caught.value)


@pytest.mark.parametrize("lookup", CONNECTIONS.values(), ids=CONNECTIONS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"], ids=repr)
def test_line_ends_of_secrets_are_cut_in_every_field(monkeypatch: pytest.MonkeyPatch, lookup: Any, end: str) -> None:
    texts = {name: f"a {name}" for name in ("conn_type", "login", "password", "host", "schema")}
    extra = {"endpoint_url": "https://s3.example", "service_config": {"s3": {"extra_args": {"ACL": "private"}}}, "n": 1}
    marked = json.dumps(extra).replace('"https://s3.example"', json.dumps(f"https://s3.example{end}"))
    marked = marked.replace('"private"', json.dumps(f"private{end}"))
    parts = {name: text + end for name, text in texts.items()} | {"port": 443, "extra": marked}
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(parts))
    connection = lookup()
    assert {name: getattr(connection, name) for name in texts} == texts
    assert (connection.conn_id, connection.port, connection.extra_dejson) == ("store", 443, extra)


@pytest.mark.parametrize("find", [afind_connection, afind_variable], ids=["connection", "Variable"])
async def test_a_lookup_in_an_event_loop_never_blocks_it_to_mask_a_secret(
    monkeypatch: pytest.MonkeyPatch, find: Callable[[str], Any]
) -> None:
    """Airflow ends a process that sends from the event loop's thread while another coroutine waits for a reply."""
    masked: list[Any] = []

    class Busy:
        def send(self, request: Any) -> Any:
            raise DeadlockImminentError(request)

        async def asend(self, request: Any) -> Any:
            if isinstance(request, MaskSecret):
                masked.append(request.value)
                return None
            return found(request)

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Busy(), raising=False)
    assert await find("store")
    assert masked


def then(*answers: Answer) -> Answer:
    """Another answer to each look-up of the connection."""
    left = iter(answers)
    return lambda request: next(left)(request) if isinstance(request, GetConnection) else not_found(request)


@pytest.mark.parametrize("lookup", CONNECTIONS.values(), ids=CONNECTIONS)
class TestAConnectionThatTheApiServerDoesNotFind:
    """It replies in the same way for a moment in which its database fails."""

    def test_is_asked_for_again(self, airflow: Any, lookup: Any) -> None:
        airflow(then(not_found, found))
        assert lookup().host == "api.example"

    def test_is_not_taken_for_absent_while_the_database_fails(self, airflow: Any, lookup: Any) -> None:
        airflow(not_found_and_no_list)
        with pytest.raises(LookupFailedError, match="could not be read") as caught:
            lookup()
        assert SECRET not in str(caught.value)

    def test_is_absent_where_it_is_not_found_twice(self, airflow: Any, lookup: Any) -> None:
        airflow(then(not_found, not_found))
        assert lookup() is None
