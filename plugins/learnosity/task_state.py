"""Keeps the state of `create_dataset` between attempts, in Airflow's task state store.

The store keeps the state when a task of the same run is retried or cleared. To get a new dataset from the same run, a
person must delete the state first (`how_to_start_over`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import quote

import msgspec
from airflow.sdk.exceptions import AirflowRuntimeError
from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, stop_after_attempt

from learnosity.creation.state import CreationState
from learnosity.errors import PermanentError, TransientError
from learnosity.network import backoff

log = logging.getLogger(__name__)

KEY = "learnosity_dataset"
# A call to Airflow's task state store is made up to `ATTEMPTS` times. If all of them fail, the try of the task fails,
# perhaps when its job already runs. The next try then has to search Learnosity's list of jobs for this job.
# `FIRST_WAIT_SECONDS`: longest wait after the first attempt. After each further attempt, the wait may be twice as long,
# up to `MOST_WAIT_SECONDS`.
ATTEMPTS = 4
FIRST_WAIT_SECONDS = 1.5
MOST_WAIT_SECONDS = 12.0


def how_to_start_over(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    """The instruction for getting a new dataset from the same run; part of messages."""
    path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/state-store/{KEY}"
    mapped = f"?map_index={map_index}" if map_index >= 0 else ""
    return f"DELETE {path}{mapped}, then clear {task_id} with its downstream tasks"


class StateStore(Protocol):
    """The methods of `context["task_state_store"]` that this module uses."""

    def get(self, key: str, default: Any = None) -> Any:
        """The stored value, or `default`."""

    def set(self, key: str, value: Any) -> None:
        """Store a JSON value."""


class TaskCreationStates:
    """Loads and saves the state of one task. It is a `CreationStates`, the interface that `creation` uses.

    :param store: `context["task_state_store"]`.
    :param start_over: the instruction for getting a new dataset, for messages; see `how_to_start_over`.
    """

    def __init__(self, store: StateStore, start_over: str) -> None:
        self._store = store
        self._start_over = start_over

    async def load(self) -> CreationState | None:
        """The state that an earlier attempt saved.

        :raises PermanentError: the state cannot be read. It is not treated as missing, because a job may run.
        """
        value = await patiently(self._store.get, KEY)
        if value is None:
            return None
        try:
            return msgspec.convert(value, CreationState)
        except msgspec.ValidationError as error:
            raise PermanentError(
                f"The state of an earlier attempt cannot be read ({error}). A job may be running, so it is not "
                f"started a second time. To get a new dataset: {self._start_over}."
            ) from None

    async def save(self, state: CreationState) -> None:
        """Save the state. Returns when it is stored.

        :raises TransientError: Airflow's API server did not store it, in several attempts.
        """
        # Airflow's task state store accepts only plain JSON values. So the state becomes a dict, and its tuples become
        # lists.
        value = msgspec.json.decode(msgspec.json.encode(state))
        await patiently(self._store.set, KEY, value)


async def patiently(call: Callable[..., Any], *args: Any) -> Any:
    """Call a method of the state store in a thread. Try again when Airflow's API server cannot be reached.

    :raises TransientError: it could not be reached, in several attempts.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(AirflowRuntimeError),
        stop=stop_after_attempt(ATTEMPTS),
        wait=backoff(FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS),
        before_sleep=before_sleep_log(log, logging.WARNING),
        reraise=True,
    )
    try:
        # This call waits for Airflow's supervisor process. It runs in a thread, so that it does not block the event
        # loop.
        return await retrying(asyncio.to_thread, call, *args)
    except AirflowRuntimeError as error:
        raise TransientError(f"Airflow did not read or save the state of the task: {error}") from None
