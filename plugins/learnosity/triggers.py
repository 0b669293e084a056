"""The trigger that waits for a job in the triggerer, where a wait costs a few kilobytes and no worker.

It only looks, sleeps and yields one event. A blip of the network or the API never ends a wait, and its event
holds ids and words, never an address: events are logged in full.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from learnosity.errors import LearnosityError, TransientError
from learnosity.hooks import LearnosityHook
from learnosity.jobs import Job, poll_delay
from learnosity.progress import duration

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
        try:
            async with LearnosityHook(self.learnosity_conn_id).client() as client:
                round_number, said, last_status = 0, 0.0, ""
                while True:
                    # The task has just looked; and a task that is resumed at once can be lost (airflow-notes D31).
                    await asyncio.sleep(min(poll_delay(round_number, self.poll_interval), self._left() + 1.0))
                    round_number += 1
                    try:
                        found = {job.reference: job for job in await client.jobs([self.job_reference])}
                    except TransientError as error:
                        self.log.warning("Job %s: %s The wait goes on.", self.job_reference, error)
                        found = {}
                    job = found.get(self.job_reference)
                    # The status counts before the deadline: a job that ended at the last moment has ended.
                    if job is not None and job.is_terminal:
                        yield TriggerEvent(_ended(job))
                        return
                    if self._left() <= 0:
                        yield TriggerEvent({"status": "timeout", "job_reference": self.job_reference})
                        return
                    status, now = job.status if job else "not listed", time.time()
                    if status != last_status or now - said >= LOG_EVERY_SECONDS:
                        last_status, said = status, now
                        self.log.info("Job %s: %s for %s.", self.job_reference, status, duration(now - self.started))
        except LearnosityError as error:
            yield TriggerEvent({"status": "error", "job_reference": self.job_reference, "message": str(error)})

    async def on_kill(self) -> None:
        """Say what cannot be done: the API has no call that cancels a job (contract section 8)."""
        self.log.warning(
            "The wait was ended by a user. Job %s cannot be cancelled through the API and runs on at Learnosity; "
            "clearing the task waits for it again.",
            self.job_reference,
        )

    def _left(self) -> float:
        return self.deadline - time.time()


def _ended(job: Job) -> dict[str, Any]:
    return {"status": job.status, "job_reference": job.reference, "error": job.error}
