"""Reads connections and Variables of Airflow. "Does not exist" and "could not be read" are different results here.

Airflow itself reports both as "not found". It asks its secrets backends in turn, and skips a backend that fails. So
while a backend is down, a default or a value of another backend would be used, and data would go to another place.
These functions ask the same backends in the same order, and stop at the first backend that fails.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowRuntimeError, AirflowSecretsBackendAccessDenied, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    ConnectionResult,
    ErrorResponse,
    GetConnection,
    GetVariable,
    GetVariableKeys,
    VariableResult,
)
from airflow.sdk.execution_time.secrets.execution_api import ExecutionAPISecretsBackend
from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded
from airflow.sdk.log import amask_secret, mask_secret

from learnosity.errors import ConnectionConfigError, LearnosityError, TransientError

# A function that `find_connection` calls instead of asking Airflow; None = `find_connection` asks Airflow. If a DAG
# belongs to a team, the dataset pages set a function that finds the connections of this team.
FINDER: ContextVar[Callable[[str], Connection | None] | None] = ContextVar("FINDER", default=None)


class LookupFailedError(TransientError):
    """Airflow could not read a connection or a Variable. Whether it exists is not known."""


def find_connection(conn_id: str) -> Connection | None:
    """The Airflow connection `conn_id`; None when it does not exist. Call this outside an event loop.

    :raises LookupFailedError: a secrets backend or the API server failed.
    :raises ConnectionConfigError: this task may not read it, or it is no connection: for example, its extra is not a
        JSON object.
    """
    if (instead := FINDER.get()) is not None:
        return instead(conn_id)
    what, request = f"connection {conn_id!r}", GetConnection(conn_id=conn_id)
    found = _find(what, request, "get_connection", conn_id)
    if found is None and _may_be_hidden():
        _check_database(what)
        found = _find(what, request, "get_connection", conn_id)
    return cleaned(conn_id, found)


async def afind_connection(conn_id: str) -> Connection | None:
    """The Airflow connection `conn_id`; None when it does not exist. Call this inside an event loop."""
    what, request = f"connection {conn_id!r}", GetConnection(conn_id=conn_id)
    found = await _afind(what, request, "get_connection", conn_id)
    if found is None and _may_be_hidden():
        await _listed(what, GetVariableKeys(limit=1))
        found = await _afind(what, request, "get_connection", conn_id)
    # `cleaned` must not be called in an event loop, because it calls Airflow's `mask_secret`. If another coroutine is
    # waiting for a reply of Airflow's supervisor, `mask_secret` raises an error that ends the process. `_amask` waits
    # until the other reply has come.
    await _amask(found)
    connection = _cleaned(conn_id, found)
    await _amask(connection)
    return connection


async def afind_variable(key: str) -> str | None:
    """The text of the Airflow Variable `key`; None when it does not exist. Call this inside an event loop.

    :raises LookupFailedError: a secrets backend or the API server failed.
    :raises ConnectionConfigError: this task may not read it.
    """
    found = await _afind(f"Variable {key!r}", GetVariable(key=key), "get_variable", key)
    value = found.value if isinstance(found, VariableResult) else found
    if value is None:
        await _check_absence(key)
        return None
    await amask_secret(value, key)
    return str(value)


def checked_extra(connection: Connection) -> dict[str, Any]:
    """The extra of a connection. Airflow itself reads an extra that is not JSON as an empty one.

    :raises ConnectionConfigError: it is not a JSON object.
    """
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise ConnectionConfigError(
            f'The extra of connection {connection.conn_id!r} is not a JSON object such as {{"key": "value"}}. '
            "Correct it in Airflow under Admin → Connections."
        )
    return extra


def connection_in(backend: Any, conn_id: str, team: str | None) -> Connection | None:
    """The connection that one secrets backend has; None = it has none. Raises the errors of `find_connection`.

    :param team: what this team has comes before what all teams have; None = only what all teams have.
    """
    what = f"connection {conn_id!r}"
    try:
        return cleaned(conn_id, _ask(what, backend, "get_connection", conn_id, team))
    except Exception as error:
        raise _failed(what, backend, error) from None


def cleaned(conn_id: str, found: Any) -> Connection | None:
    """A connection without the line ends after its texts; None = it does not exist. Call this outside an event loop.

    :param found: the connection, as a secrets backend or Airflow gives it.
    :raises ConnectionConfigError: it cannot be used.
    """
    for secret in _secrets(found):
        mask_secret(secret)
    connection = _cleaned(conn_id, found)
    for secret in _secrets(connection):
        mask_secret(secret)
    return connection


async def _amask(found: Any) -> None:
    for secret in _secrets(found):
        await amask_secret(secret)


def _secrets(found: Any) -> tuple[Any, ...]:
    """What Airflow must hide in logs; nothing if there is no connection."""
    return () if found is None else (found.password, found.extra)


def _cleaned(conn_id: str, found: Any) -> Connection | None:
    if isinstance(found, ConnectionResult):
        found = Connection(**found.model_dump(exclude={"type"}, by_alias=True))
    if found is None:
        return None
    texts = {name: getattr(found, name) for name in ("conn_type", "login", "password", "host", "schema")}
    for name, value in texts.items():
        # A connection that is written as JSON may have a number in one of these fields, such as `"login": 7`. The
        # number is refused, because the right login may be 007: a number in JSON cannot have leading zeros.
        if value is not None and not isinstance(value, str):
            raise ConnectionConfigError(
                f"The {name} of connection {conn_id!r} is not a text. Write it in quotes in the JSON of the connection."
            )
    extra = checked_extra(found)
    cut = _without_line_ends({**texts, "extra": extra})
    text = found.extra if cut["extra"] == extra else json.dumps(cut["extra"])
    return Connection(conn_id=conn_id, port=found.port, **{**cut, "extra": text})


def _without_line_ends(value: Any) -> Any:
    """Remove the line end at the end of each text. Secrets that were read from a file often have one."""
    if isinstance(value, str):
        return value.rstrip("\r\n")
    if isinstance(value, dict):
        return {name: _without_line_ends(each) for name, each in value.items()}
    return [_without_line_ends(each) for each in value] if isinstance(value, list) else value


def _find(what: str, request: GetConnection | GetVariable, method: str, name: str) -> Any:
    for backend in ensure_secrets_backend_loaded():
        try:
            if isinstance(backend, ExecutionAPISecretsBackend):
                found = _understood(what, task_runner.SUPERVISOR_COMMS.send(request))
            else:
                found = _ask(what, backend, method, name)
        except Exception as error:
            raise _failed(what, backend, error) from None
        if found is not None:
            return found
    return None


async def _afind(what: str, request: GetConnection | GetVariable, method: str, name: str) -> Any:
    for backend in ensure_secrets_backend_loaded():
        own: Callable[[str], Awaitable[Any]] | None = getattr(backend, f"a{method}", None)
        try:
            if isinstance(backend, ExecutionAPISecretsBackend):
                found = _understood(what, await _asend(request))
            elif own is not None:
                found = await own(name)
            else:
                found = await asyncio.to_thread(_ask, what, backend, method, name)
        except Exception as error:
            raise _failed(what, backend, error) from None
        if found is not None:
            return found
    return None


def _ask(what: str, backend: Any, method: str, name: str, team: str | None = None) -> Any:
    """What a secrets backend has. A text that is no connection is an error of its author, not of the backend.

    :raises ConnectionConfigError: the text is no connection.
    """
    ask = getattr(backend, method)
    if getattr(ask, "__qualname__", "") != "BaseSecretsBackend.get_connection":
        # `ask` is `get_variable`, or the backend's class has its own `get_connection`. One call gives the result.
        return _called(ask, name, team)
    # The inherited `get_connection` reads a text, and makes a connection of it. These two steps are done one by one
    # here, because an error of the second step means that the text is wrong, and not that the backend failed.
    if not (text := _called(backend.get_conn_value, name, team)):
        return None
    try:
        return backend.deserialize_connection(name, text)
    except Exception:  # the text of this error may contain a secret, so it is not shown
        raise ConnectionConfigError(
            f"The {what} cannot be read: {type(backend).__name__} has a text for it that is neither a URI of a "
            'connection nor JSON with its fields, such as {"conn_type": "http", "host": "…"}. Correct it there.'
        ) from None


def _called(ask: Callable[..., Any], name: str, team: str | None) -> Any:
    """Call a method of a secrets backend. One that knows no teams is asked without the team, as Airflow does it."""
    if team is None:
        return ask(name)
    parameters = inspect.signature(ask).parameters.values()
    knows = any(each.name == "team_name" or each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)
    return ask(name, team_name=team) if knows else ask(name)


def _may_be_hidden() -> bool:
    """Whether the API server was asked: it replies "not found" also while its database fails."""
    return any(isinstance(backend, ExecutionAPISecretsBackend) for backend in ensure_secrets_backend_loaded())


async def _check_absence(key: str) -> None:
    """Make sure that a Variable does not exist: the API server also replies "not found" if its database fails.

    :raises LookupFailedError: it does exist, or the list of Variables cannot be read either.
    """
    if _may_be_hidden() and key in await _listed(f"Variable {key!r}", GetVariableKeys(prefix=key)):
        raise _failed(f"Variable {key!r}", ExecutionAPISecretsBackend(), LookupError(key))


async def _listed(what: str, request: GetVariableKeys) -> Sequence[str]:
    """The names of Variables in the API server's database. While the database fails, there is no list.

    :param what: what was looked up, for the message.
    :raises LookupFailedError: the list cannot be read.
    """
    try:
        names: Sequence[str] = (await _asend(request)).keys
    except Exception as error:
        raise _failed(what, ExecutionAPISecretsBackend(), error) from None
    return names


def _check_database(what: str) -> None:
    """Make sure, outside an event loop, that the API server's database works: if not, "not found" says nothing."""
    try:
        _ = task_runner.SUPERVISOR_COMMS.send(GetVariableKeys(limit=1)).keys  # type: ignore[union-attr]
    except Exception as error:
        raise _failed(what, ExecutionAPISecretsBackend(), error) from None


async def _asend(request: GetConnection | GetVariable | GetVariableKeys) -> Any:
    comms = task_runner.SUPERVISOR_COMMS
    # In `dag.test()`, all tasks run in one process, and `comms` has only the blocking method `send`.
    return await comms.asend(request) if hasattr(comms, "asend") else comms.send(request)


def _understood(what: str, reply: Any) -> Any:
    """The reply of the API server; None = it says that there is no such thing."""
    if isinstance(reply, (ConnectionResult, VariableResult)):
        return reply
    if not isinstance(reply, ErrorResponse):
        raise TypeError(f"Airflow replied with {type(reply).__name__}.")
    if reply.error in (ErrorType.CONNECTION_NOT_FOUND, ErrorType.VARIABLE_NOT_FOUND):
        return None
    if reply.error is ErrorType.PERMISSION_DENIED:
        raise AirflowSecretsBackendAccessDenied(what)
    raise AirflowRuntimeError(reply)


def _failed(what: str, backend: Any, error: Exception) -> Exception:
    if isinstance(error, LearnosityError):
        return error
    if isinstance(error, AirflowSecretsBackendAccessDenied):
        return ConnectionConfigError(f"This task may not read the {what}: Airflow denies it. Ask for access.")
    # The text of the secrets backend's error is not shown, because it may contain a secret.
    return LookupFailedError(
        f"The {what} could not be read: {type(backend).__name__} failed with {type(error).__name__}. "
        "The next try reads it again; Airflow's log says more."
    )
