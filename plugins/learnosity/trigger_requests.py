"""Requests of a trigger to the supervisor of its triggerer: limited in number and time, and never the end of a wait.

The supervisor answers them one after the other, and also sends the heartbeats of the triggerer. A triggerer may hold
thousands of waits, and many requests at once would delay the heartbeats.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

log = logging.getLogger(__name__)

SECONDS = 10.0  # time limit in seconds for one request, which may send several messages to Airflow
MOST_AT_ONCE = 50  # if a `TriggerRequests` has this many requests under way, a further request is not made


class TriggerRequests:
    """The requests of one kind of all waits of a triggerer.

    :param failed: what the log says if a request fails, before the type of the error.
    """

    def __init__(self, failed: str) -> None:
        self._failed = failed
        self.under_way = 0

    async def attempt(self, request: Callable[[], Awaitable[None]]) -> bool:
        """Make a request. False = it failed, or was not made because there are too many at this moment."""
        if self.under_way >= MOST_AT_ONCE:
            return False
        self.under_way += 1
        try:
            async with asyncio.timeout(SECONDS):
                await request()
        except Exception as problem:  # any error is caught, because a failed request must not end the wait
            log.warning("%s (%s).", self._failed, type(problem).__name__)
            return False
        finally:
            self.under_way -= 1
        return True


async def ask(message: Any) -> Any:
    """Send a message to Airflow's supervisor process, and return its answer.

    :raises AttributeError: in `dag.test()`, which has no supervisor that can be asked without blocking.
    """
    from airflow.sdk.execution_time import task_runner

    supervisor: Any = task_runner.SUPERVISOR_COMMS
    return await supervisor.asend(message)


def place_of(task_instance: Any) -> dict[str, Any]:
    """The fields that name the task instance in a message about its XComs."""
    return {name: getattr(task_instance, name) for name in ("dag_id", "run_id", "task_id", "map_index")}
