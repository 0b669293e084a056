"""The trigger that waits for a job in the triggerer, where a wait costs a few kilobytes and no worker.

All triggers of a triggerer that wait on one connection look through one poller (see `polling`). A blip of the
network or the API never ends a wait, and the event holds ids and words, never an address: events are logged in full.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseTrigger, TriggerEvent

from learnosity.api.client import LearnosityClient
from learnosity.api.polling import Look, shared_poller
from learnosity.errors import TransientError
from learnosity.hooks import LearnosityHook
from learnosity.metrics import METER, count_job
from learnosity.telemetry import duration

LOG_EVERY_SECONDS = 60.0


class LearnosityJobTrigger(BaseTrigger):
    """Waits until a job is completed or halted, or its deadline has passed.

    :param job_reference: the job.
    :param learnosity_conn_id: connection to ask with.
    :param poll_interval: longest time between two looks, in seconds; looks begin 5 s apart.
    :param deadline: Unix seconds (wall clock, so that a restart of the triggerer does not move it).
    :param started: Unix seconds when the wait began, for the log.
    """

    def __init__(
        self, job_reference: str, learnosity_conn_id: str, poll_interval: float, deadline: float, started: float
    ) -> None:
        BaseTrigger.__init__(self)
        self.job_reference = job_reference
        self.learnosity_conn_id = learnosity_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.started = started

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments; nothing secret among them."""
        return (
            "learnosity.triggers.LearnosityJobTrigger",
            {
                "job_reference": self.job_reference,
                "learnosity_conn_id": self.learnosity_conn_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "started": self.started,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the job ends or the deadline passes, then yield one event."""
        async with shared_poller(self.learnosity_conn_id, self._connect, METER) as poller:
            # The task has just looked; and a task that is resumed at once can be lost (airflow-notes D31): the
            # first look comes some seconds later.
            with poller.watch(self.job_reference, poll_interval=self.poll_interval, deadline=self.deadline) as looks:
                look = await self._last_of(looks)
        yield TriggerEvent(self._event(look))

    async def on_kill(self) -> None:
        """Say what cannot be done: the API has no call that cancels a job (contract section 8)."""
        self.log.warning(
            "The wait was ended by a user. Job %s cannot be cancelled through the API and runs on at Learnosity; "
            "clearing the task waits for it again.",
            self.job_reference,
        )

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[LearnosityClient]:
        # One attempt a call: the next look is the next attempt, and nobody else's look waits for it.
        hook = LearnosityHook(self.learnosity_conn_id)
        try:
            await hook.config()
        except AirflowRuntimeError as error:
            # Airflow itself could not answer just now: no reason to end a wait of hours.
            raise TransientError(f"The connection could not be read ({error.error.error.value}).") from None
        async with hook.client(attempts=1) as client:
            yield client

    async def _last_of(self, looks: asyncio.Queue[Look]) -> Look:
        said, last_status = 0.0, ""
        while not (look := await looks.get()).final:
            if look.error is not None:
                self.log.warning("Job %s: %s The wait goes on.", self.job_reference, look.error)
                continue
            status, now = look.job.status if look.job else "not listed", time.time()
            if status != last_status or now - said >= LOG_EVERY_SECONDS:
                last_status, said = status, now
                self.log.info("Job %s: %s for %s.", self.job_reference, status, duration(now - self.started))
        return look

    def _event(self, look: Look) -> dict[str, Any]:
        # The status counts before the deadline: a job that ended at the last moment has ended.
        if look.job is not None and look.job.is_terminal:
            count_job(look.job)
            return {"status": look.job.status, "job_reference": self.job_reference, "error": look.job.error}
        if look.error is not None:
            return {
                "status": "interrupted" if look.error.transient else "error",
                "job_reference": self.job_reference,
                "message": str(look.error),
            }
        return {"status": "timeout", "job_reference": self.job_reference}
