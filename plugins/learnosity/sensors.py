"""The sensor that waits for a job: it polls once, then defers the wait to the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, conf
from airflow.sdk.exceptions import AirflowSensorTimeout, TaskDeferred

from learnosity.api.jobs import Job
from learnosity.api.polling import MAX_POLL_SECONDS
from learnosity.errors import JobHaltedError, PermanentApiError, RequestError, TransientApiError, TransientError
from learnosity.hooks import DEFAULT_CONN_ID, LearnosityHook
from learnosity.links import DatasetLink
from learnosity.metrics import count_job
from learnosity.triggers import LearnosityJobTrigger, WaitStatus

if TYPE_CHECKING:
    from airflow.sdk import Context


class LearnosityJobSensor(BaseSensorOperator):
    """Waits until a job is completed.

    If the job has already ended, the task is not deferred. A halted job fails the task at once, without retries, and
    with the error of the job. Transient errors of the API do not end the wait. The wait ends at the deadline.

    :param job_reference: the job, as `create_dataset` returned it; "" = there is no job to wait for. Templated.
    :param learnosity_conn_id: Airflow connection to Learnosity. Templated.
    :param poll_interval: longest time between two polls, in seconds, at most 60; default 15. Templated.
    :param job_timeout: minutes after which the wait fails; default 360. Templated.
    :param deferrable: True = wait in the triggerer, False = reschedule the task between polls; default: the setting
        `[operators] default_deferrable` of Airflow.
    """

    template_fields: Sequence[str] = ("job_reference", "learnosity_conn_id", "poll_interval", "job_timeout")
    ui_color = "#e8f4ec"
    operator_extra_links = (DatasetLink(),)

    def __init__(
        self,
        *,
        job_reference: str,
        learnosity_conn_id: str = DEFAULT_CONN_ID,
        poll_interval: float | str = 15,
        job_timeout: float | str = 360,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("mode", "reschedule")
        super().__init__(**kwargs)
        self.job_reference = job_reference
        self.learnosity_conn_id = learnosity_conn_id
        self.poll_interval = poll_interval
        self.job_timeout = job_timeout
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        """Poll once. Then defer, or continue as a rescheduled sensor.

        :raises JobHaltedError: the job ended without a dataset.
        :raises AirflowSensorTimeout: the deadline passed. The job may still run.
        """
        if not self.job_reference:
            self.log.info("The dataset is finished: there is no job to wait for.")
            return ""
        timeout = _positive("job_timeout", self.job_timeout) * 60
        interval = min(_positive("poll_interval", self.poll_interval), MAX_POLL_SECONDS)
        if not self.deferrable:
            self.timeout, self.poke_interval = timeout, interval
            super().execute(context)
            return self.job_reference
        if self.poke(context):
            return self.job_reference
        now = time.time()
        trigger = LearnosityJobTrigger(
            self.job_reference, self.learnosity_conn_id, poll_interval=interval, deadline=now + timeout, started=now
        )
        # The trigger ends at the deadline. Airflow's own time-out is ten minutes later, if the trigger does not end.
        backstop = timedelta(seconds=timeout + 10 * MAX_POLL_SECONDS)
        raise TaskDeferred(trigger=trigger, method_name="execute_complete", timeout=backstop)

    def poke(self, context: Context) -> bool:
        """Whether the job is completed. False after a transient error."""
        try:
            job = asyncio.run(self._poll())
        except TransientError as error:
            self.log.warning("Job %s: %s The wait continues.", self.job_reference, error)
            return False
        if job is not None and job.is_terminal:
            count_job(job)
        if job is not None and job.is_halted:
            raise _halted(job.reference, job.error)
        self.log.info("Job %s: %s.", self.job_reference, job.status if job else "not listed")
        return job is not None and job.is_completed

    def execute_complete(self, context: Context, event: dict[str, Any] | None) -> str:
        """End the task according to the event of the trigger. An unknown event fails the task."""
        status = (event or {}).get("status")
        reference = str((event or {}).get("job_reference") or self.job_reference)
        if status == WaitStatus.COMPLETED:
            self.log.info("Job %s is completed.", reference)
            return reference
        if status == WaitStatus.HALTED:
            raise _halted(reference, (event or {}).get("error"))
        if status == WaitStatus.TIMEOUT:
            raise AirflowSensorTimeout(
                f"Job {reference} was not finished within {self.job_timeout} minutes. It may still run at Learnosity: "
                "clear this task to continue the wait, or raise job_timeout."
            )
        if status == WaitStatus.INTERRUPTED:
            raise TransientApiError(f"{(event or {}).get('message')} The next try goes on waiting for job {reference}.")
        if status == WaitStatus.ERROR:
            raise PermanentApiError(str((event or {}).get("message")))
        raise PermanentApiError(f"The wait for job {reference} ended in an unknown way ({status!r}).")

    async def _poll(self) -> Job | None:
        async with LearnosityHook(self.learnosity_conn_id).client() as client:
            jobs = await client.jobs([self.job_reference])
        return next((job for job in jobs if job.reference == self.job_reference), None)


def _halted(reference: str, error: str | None) -> JobHaltedError:
    said = (error or "no reason given")[:1000]
    return JobHaltedError(
        f"Learnosity halted job {reference}: {said}. Correct the input or the run config, then clear create_dataset "
        "with its downstream tasks: a fresh dataset is made."
    )


def _positive(name: str, value: float | str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < float("inf"):
        raise RequestError(f"{name} is {value!r}; it must be a number above 0.")
    return number
