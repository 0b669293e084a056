"""Reads connections and Variables of Airflow. "Does not exist" and "could not be read" are different results here.

Airflow itself reports both as "not found". It asks its secrets backends in turn, and skips a backend that fails. So
while a backend is down, a default or a value of another backend would be used, and data would go to another place.
These functions ask the same backends in the same order, and stop at the first backend that fails.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
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
from airflow.sdk.log import mask_secret

from learnosity.errors import ConnectionConfigError, TransientError


class LookupFailedError(TransientError):
    """Airflow could not read a connection or a Variable. Whether it exists is not known."""


def find_connection(conn_id: str) -> Connection | None:
    """The Airflow connection `conn_id`; None when it does not exist. Call this outside an event loop.

    :raises LookupFailedError: a secrets backend or the API server failed.
    :raises ConnectionConfigError: this task may not read it, or its extra is not a JSON object.
    """
    return _connection(_find(f"connection {conn_id!r}", GetConnection(conn_id=conn_id), "get_connection", conn_id))


async def afind_connection(conn_id: str) -> Connection | None:
    """The same inside an event loop."""
    request = GetConnection(conn_id=conn_id)
    return _connection(await _afind(f"connection {conn_id!r}", request, "get_connection", conn_id))


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
    mask_secret(value, key)
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


def _connection(found: Any) -> Connection | None:
    if isinstance(found, ConnectionResult):
        found = Connection(**found.model_dump(exclude={"type"}, by_alias=True))
    if found is None:
        return None
    mask_secret(found.password)
    mask_secret(found.extra)
    checked_extra(found)
    return found  # type: ignore[no-any-return]


def _find(what: str, request: GetConnection | GetVariable, method: str, name: str) -> Any:
    for backend in ensure_secrets_backend_loaded():
        try:
            if isinstance(backend, ExecutionAPISecretsBackend):
                found = _understood(what, task_runner.SUPERVISOR_COMMS.send(request))
            else:
                found = getattr(backend, method)(name)
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
                found = await asyncio.to_thread(getattr(backend, method), name)
        except Exception as error:
            raise _failed(what, backend, error) from None
        if found is not None:
            return found
    return None


async def _check_absence(key: str) -> None:
    """Make sure that a Variable does not exist: the API server also replies "not found" if its database fails.

    :raises LookupFailedError: it does exist, or the list of Variables cannot be read either.
    """
    for backend in ensure_secrets_backend_loaded():
        if isinstance(backend, ExecutionAPISecretsBackend):
            try:
                listed = await _asend(GetVariableKeys(prefix=key))
                missing = key not in listed.keys
            except Exception as error:
                raise _failed(f"Variable {key!r}", backend, error) from None
            if not missing:
                raise _failed(f"Variable {key!r}", backend, LookupError(key))


async def _asend(request: GetConnection | GetVariable | GetVariableKeys) -> Any:
    comms = task_runner.SUPERVISOR_COMMS
    # `dag.test()` runs tasks in one process, where only the plain call exists.
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
    if isinstance(error, AirflowSecretsBackendAccessDenied):
        return ConnectionConfigError(f"This task may not read the {what}: Airflow denies it. Ask for access.")
    # The text of a backend's error is not shown, because it may contain a secret.
    return LookupFailedError(
        f"The {what} could not be read: {type(backend).__name__} failed with {type(error).__name__}. "
        "The next try reads it again; Airflow's log says more."
    )
