"""The trigger that waits for a job in the triggerer. Such a wait needs a few kilobytes and no worker.

Triggers of one triggerer that use the same Airflow connection share one poller (`api.polling`). A short failure of the
network or the API does not end a wait. Airflow logs the whole event, so the event contains no address.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from learnosity.api.poll_intervals import PollResult
from learnosity.api.polling import shared_poller
from learnosity.end_in_triggerer import store_result
from learnosity.errors import TransientError
from learnosity.hooks import LearnosityHook
from learnosity.job_end import warn_of_error, why_unfinished
from learnosity.job_report import JobState, report_job
from learnosity.metrics import METRICS, count_job
from learnosity.progress_log import duration
from learnosity.task_report import failure_of

if TYPE_CHECKING:
    from learnosity.api.client import LearnosityClient

MAX_TROUBLE = 1000  # the page shows at most this many characters of the reason why a poll failed
# After a failed poll, the run's page shows why it failed. When a poll succeeds again, the trigger reports this to
# Airflow, so that the page stops showing the failure. If Airflow does not store this report, the trigger sends it again
# after the next successful poll. It makes at most this many attempts; the first one counts, too.
REPORTS = 3
LOG_EVERY_SECONDS = 60.0  # while the status of a job does not change, it is logged at most once in this time


class WaitStatus(StrEnum):
    """How a wait ended: `status` of the trigger's event."""

    COMPLETED = "completed"
    HALTED = "halted"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    """The wait failed temporarily. The next try of the task continues the wait; with `never_fail`, it is skipped."""
    ERROR = "error"


class LearnosityJobTrigger(BaseTrigger):
    """Waits until a job is completed or halted, or its deadline has passed.

    :param job_reference: the job.
    :param learnosity_conn_id: Airflow connection to poll with.
    :param poll_interval: longest time between two polls, in seconds. The first polls are 5 s apart, or less.
    :param deadline: Unix seconds. A restart of the triggerer does not move it.
    :param started: Unix seconds when the wait began, for the log.
    :param dataset_type: polls adapt to what earlier jobs of this type took in this triggerer; "" = they do not;
        default.
    :param end_in_triggerer: True = a completed job ends the task here, without a worker; False = every event resumes
        the task in a worker; default.
    """

    def __init__(
        self,
        job_reference: str,
        learnosity_conn_id: str,
        poll_interval: float,
        deadline: float,
        started: float,
        dataset_type: str = "",
        end_in_triggerer: bool = False,
    ) -> None:
        BaseTrigger.__init__(self)
        self.job_reference = job_reference
        self.learnosity_conn_id = learnosity_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.started = started
        self.dataset_type = dataset_type
        self.end_in_triggerer = end_in_triggerer

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, without any secret."""
        return (
            "learnosity.triggers.LearnosityJobTrigger",
            {
                "job_reference": self.job_reference,
                "learnosity_conn_id": self.learnosity_conn_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "started": self.started,
                "dataset_type": self.dataset_type,
                "end_in_triggerer": self.end_in_triggerer,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until the job ends or the deadline passes, then yield one event."""
        async with shared_poller(self.learnosity_conn_id, self._connect, METRICS) as poller:
            kind = f"{self.learnosity_conn_id}/{self.dataset_type}" if self.dataset_type else ""
            # `watch` polls a new job only after some seconds. If it found at once that the job has ended, the task
            # would resume right after it was deferred, and Airflow can lose such a task.
            with poller.watch(
                self.job_reference, poll_interval=self.poll_interval, deadline=self.deadline, kind=kind
            ) as results:
                result = await self._last_of(results)
        event = self._event(result)
        if (
            self.end_in_triggerer
            and event["status"] == WaitStatus.COMPLETED
            and await store_result(self.task_instance, self.job_reference)
        ):
            self.log.info("Job %s is completed.", self.job_reference)
            warn_of_error(self.log.warning, self.job_reference, event["error"])
            yield TaskSuccessEvent()
        else:
            yield TriggerEvent(event)

    async def on_kill(self) -> None:
        """Log that the job still runs: the API has no call that cancels a job (docs/learnosity-api.md, "Jobs")."""
        self.log.warning(
            "The wait was ended by a user. Job %s cannot be cancelled through the API and still runs at Learnosity. "
            "Clear the task to wait for it again.",
            self.job_reference,
        )

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[LearnosityClient]:
        hook = LearnosityHook(self.learnosity_conn_id)
        try:
            await hook.aget_config()
        except AirflowRuntimeError as error:
            # Airflow's API server has failed. This must not end the wait, which may already have lasted for hours. A
            # TransientError does not end it.
            raise TransientError(f"The connection could not be read ({error.error.error.value}).") from None
        # `attempts=1`: a failed call is not retried here, because that would delay the polls of other jobs. The next
        # poll is the next attempt.
        async with hook.client(attempts=1) as client:
            yield client

    async def _last_of(self, results: asyncio.Queue[PollResult]) -> PollResult:
        # `told`: how many attempts are left to report that polls succeed again; 0 = there is nothing to report.
        said, last_status, failing, told = 0.0, "", False, 0
        while not (result := await results.get()).final:
            if result.error is not None:
                self.log.warning("Job %s: %s The wait continues.", self.job_reference, result.error)
                if not failing:
                    why = failure_of(result.error, "", 1, self.learnosity_conn_id).message
                    state = JobState(last_status, time.time(), why[:MAX_TROUBLE])
                    await report_job(self.task_instance, state)
                    # Even if `report_job` returned False, the page may show the failure: Airflow may have stored the
                    # report, but answered too late. So `told` is set in any case.
                    told = REPORTS
                failing = True
                continue
            status, now, failing = result.job.status if result.job else "not listed", time.time(), False
            if status != last_status or told:
                told = 0 if await report_job(self.task_instance, JobState(status, now)) else max(told - 1, 0)
            if status != last_status or now - said >= LOG_EVERY_SECONDS:
                last_status, said = status, now
                self.log.info("Job %s: %s for %s.", self.job_reference, status, duration(now - self.started))
        return result

    def _event(self, result: PollResult) -> dict[str, Any]:
        event: dict[str, Any] = {"job_reference": self.job_reference}
        # The status of the job comes first: if the last poll found that the job has ended, this counts, even if the
        # deadline has passed.
        if result.job is not None and result.job.is_terminal:
            count_job(result.job)
            status = WaitStatus.COMPLETED if result.job.is_completed else WaitStatus.HALTED
            return {"status": status.value, **event, "error": result.job.error}
        if result.error is not None and not result.timed_out:
            status = WaitStatus.INTERRUPTED if result.error.transient else WaitStatus.ERROR
            return {"status": status.value, **event, "message": str(result.error), "kind": type(result.error).__name__}
        why = why_unfinished(result.job, result.error)
        return {"status": WaitStatus.TIMEOUT.value, **event, **({"message": why} if why else {})}
