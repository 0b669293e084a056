"""Airflow's task state store as the place where a task keeps its handle between attempts.

It survives retries and clears of the same run, which is what re-attaching needs; so starting over is a
deliberate act: delete the key (see `START_OVER`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

import msgspec
from airflow.sdk.exceptions import AirflowRuntimeError

from learnosity.creation.state import Handle
from learnosity.errors import TransientError

log = logging.getLogger(__name__)

KEY = "learnosity_dataset"
SAVE_AGAIN_SECONDS = (1.0, 3.0, 9.0)
START_OVER = (
    "DELETE /api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/create_dataset/state-store/learnosity_dataset, "
    "then clear create_dataset with its downstream tasks"
)


class StateStore(Protocol):
    """The part of `context["task_state_store"]` that is used here."""

    def get(self, key: str, default: Any = None) -> Any:
        """The stored value, or `default`."""

    def set(self, key: str, value: Any) -> None:
        """Store a JSON value."""


class TaskHandleStore:
    """A `creation.HandleStore` in the task state store.

    :param store: `context["task_state_store"]`.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def load(self) -> Handle | None:
        """The handle of an earlier attempt; one that cannot be read counts as none."""
        # The store speaks to the supervisor over a blocking socket: never in the event loop.
        value = await asyncio.to_thread(self._store.get, KEY)
        if value is None:
            return None
        try:
            return msgspec.convert(value, Handle)
        except msgspec.ValidationError as error:
            log.warning("The notes of an earlier attempt cannot be read (%s); a fresh dataset is made.", error)
            return None

    async def save(self, handle: Handle) -> None:
        """Keep the handle; returns when it is safe.

        :raises TransientError: Airflow's API server did not take it, several times.
        """
        # Plain JSON values: the store refuses tuples.
        value = msgspec.json.decode(msgspec.json.encode(handle))
        for wait in (*SAVE_AGAIN_SECONDS, None):
            try:
                await asyncio.to_thread(self._store.set, KEY, value)
                return
            except AirflowRuntimeError as error:
                # What is lost here is the knowledge that a job runs: worth more patience than the rest.
                if wait is None:
                    raise TransientError(f"Airflow did not keep the task's state: {error}") from None
                log.warning("Airflow did not keep the task's state (%s); once more in %.0f s.", error, wait)
                await asyncio.sleep(wait)
