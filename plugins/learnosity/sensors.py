"""The sensor that waits for a job: it polls once, then defers the wait to the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, XComArg, conf
from airflow.sdk.exceptions import AirflowSensorTimeout, TaskDeferralError, TaskDeferred

from learnosity.api.defaults import MAX_JOB_MINUTES
from learnosity.created_dataset import check_created, decided
from learnosity.errors import (
    LearnosityError,
    OddEndError,
    PermanentApiError,
    RequestError,
    TransientApiError,
    TransientError,
)
from learnosity.job_end import halted, refused, skips, timed_out, warn_of_error, why_unfinished
from learnosity.links import DatasetLink
from learnosity.run_config import DEFAULTS, is_empty
from learnosity.task_report import ReportsTemplates, report_failures

# Each task process loads the whole DAG file and this module. To keep this fast, the top of the module imports only what
# is needed to declare a task. What a running task needs is imported inside the methods.
if TYPE_CHECKING:
    from airflow.sdk import Context

    from learnosity.api.jobs import Job
    from learnosity.kept_refusals import KeptRefusals
    from learnosity.task_state import StateStore


class LearnosityJobSensor(ReportsTemplates, BaseSensorOperator):
    """Waits until a job is completed.

    If the job has already ended, the task is not deferred. A halted job fails the task at once, without retries, and
    with the error of the job. Transient errors of the API do not end the wait. A refused key ends it after 35 minutes,
    and a connection that cannot be used after 5 (`api.polling`). At the first poll, both end it at once. Each try of
    the task has a deadline of its own.

    :param job_reference: what `create_dataset` returned, such as `create_dataset.output`, or the job's reference alone;
        "" = there is no job to wait for. Templated.
    :param learnosity_conn_id: Airflow connection to Learnosity; None = the one that `create_dataset` used. Templated.
    :param poll_interval: longest time between two polls, in seconds, above 0; more than 60 counts as 60. Default 15.
        Templated.
    :param job_timeout: minutes after which the wait fails, above 0; default 360; more than 10⁹ count as 10⁹. Templated.
    :param run_config: those of the two that the run config of a run may give. They replace the arguments. None = the
        run config is not read; default.
    :param deferrable: True = wait in the triggerer, False = wait in a worker as `mode` says; default: the setting
        `[operators] default_deferrable` of Airflow.
    :param end_in_triggerer: True = a completed job ends a deferred task in the triggerer, and no second task process
        starts; default. A task with something that only a worker runs is resumed all the same, such as an
        `on_success_callback`, `outlets`, or listeners as OpenLineage has one. False = it is always resumed.
    :param poke_interval: Airflow's name for `poll_interval`; used when `poll_interval` is not given.
    :param timeout: Airflow's name for the time limit, in seconds; used when `job_timeout` is not given.
    :param mode: where `deferrable` is False: `reschedule` (default) or `poke`.
    :param soft_fail: skip the task instead of failing it when the job is halted or the time is up; default False.
    :param never_fail: skip it after every error of a poll, too; default False.
    """

    template_fields: Sequence[str] = ("job_reference", "learnosity_conn_id", "poll_interval", "job_timeout")
    ui_color = "#e8f4ec"
    operator_extra_links = (DatasetLink(),)

    def __init__(
        self,
        *,
        job_reference: str | Mapping[str, Any] | XComArg,
        learnosity_conn_id: str | None = None,
        poll_interval: float | str | None = None,
        job_timeout: float | str | None = None,
        run_config: Sequence[str] | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        end_in_triggerer: bool = True,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("mode", "reschedule")
        # An argument that is missing or None gets the default of this sensor, in seconds. Airflow's own defaults, one
        # minute and one week, are not used.
        for name, default in (("poke_interval", 15), ("timeout", 360 * 60)):
            kwargs[name] = default if kwargs.get(name) is None else kwargs[name]
        super().__init__(**kwargs)
        self.job_reference = job_reference
        self.learnosity_conn_id = learnosity_conn_id
        self.poll_interval = _seconds(kwargs["poke_interval"]) if poll_interval is None else poll_interval
        self.job_timeout = _seconds(kwargs["timeout"]) / 60 if job_timeout is None else job_timeout
        self.run_config = run_config
        self.deferrable = deferrable
        self.end_in_triggerer = end_in_triggerer
        self._polled, self._dataset_type, self._why = False, "", ""
        self._refusals: KeptRefusals | None = None

    def execute(self, context: Context) -> Any:
        """Poll once. Then defer, or continue as a rescheduled sensor.

        :raises JobHaltedError: the job ended without a dataset.
        :raises AirflowSensorTimeout: the deadline passed. The job may still run.
        """
        with report_failures(context), skips(self):
            return self._wait(context)

    def _wait(self, context: Context) -> Any:
        from learnosity.api.poll_intervals import MAX_POLL_SECONDS

        self._read_job()
        if not self.job_reference:
            self.log.info("The dataset is finished: there is no job to wait for.")
            return ""
        self._apply_run_config(context)
        timeout = min(_positive("job_timeout", self.job_timeout), MAX_JOB_MINUTES) * 60
        interval = min(_positive("poll_interval", self.poll_interval), MAX_POLL_SECONDS)
        if not self.deferrable:
            self.timeout, self.poke_interval = timeout, interval
            try:
                super().execute(context)
            except AirflowSensorTimeout:
                raise timed_out(str(self.job_reference), self.job_timeout, self._why) from None
            return self.job_reference
        with skips(self, polled=True):
            is_completed = self.poke(context)
        if is_completed:
            return self.job_reference
        from learnosity.end_in_triggerer import needs_worker
        from learnosity.triggers import LearnosityJobTrigger

        now = time.time()
        trigger = LearnosityJobTrigger(
            str(self.job_reference),
            str(self.learnosity_conn_id),
            poll_interval=interval,
            deadline=now + timeout,
            started=now,
            dataset_type=self._dataset_type,
            end_in_triggerer=self.end_in_triggerer and not needs_worker(self, LearnosityJobSensor),
        )
        # The trigger itself ends the wait at the deadline. If no triggerer runs, Airflow ends the wait, ten minutes
        # later.
        backstop = timedelta(seconds=timeout + 10 * MAX_POLL_SECONDS)
        raise TaskDeferred(trigger=trigger, method_name="execute_complete", timeout=backstop)

    def _apply_run_config(self, context: Context) -> None:
        """Replace the two limits by the values of the run config."""
        for name in ("job_timeout", "poll_interval"):
            given = (context["dag_run"].conf or {}).get(name) if name in (self.run_config or ()) else None
            setattr(self, name, _first(given, getattr(self, name), DEFAULTS[name]))

    def _read_job(self) -> None:
        """Take the job and the Airflow connection from what `create_dataset` returned.

        :raises RequestError: it returned nothing, because it did not run.
        """
        if isinstance(self.job_reference, (str, int)):
            self.learnosity_conn_id = str(self.learnosity_conn_id or DEFAULTS["learnosity_conn_id"])
        else:
            created = check_created(self.job_reference)
            self.learnosity_conn_id = str(self.learnosity_conn_id or decided(created, "learnosity_conn_id"))
            self.job_reference = created.get("job_reference") or ""
            self._dataset_type = str(created.get("dataset_type") or "")
        self.job_reference = str(self.job_reference).strip()

    def poke(self, context: Context) -> bool:
        """Whether the job is completed. False after a transient error, and after a refusal that may pass."""
        from learnosity.api.refusals import odd_end
        from learnosity.metrics import count_job

        is_first, self._polled = not self._polled, True
        try:
            if (job := asyncio.run(self._poll())) is not None and job.has_odd_end:
                raise odd_end(job)
            self._why = why_unfinished(job, None)
        except LearnosityError as error:
            self._why = why_unfinished(None, error)
            if not error.transient and not self._tolerates(error, context, is_first=is_first):
                raise
            self.log.warning("Job %s: %s The wait continues.", self.job_reference, error)
            return False
        self._kept.clear(self._store(context), _attempt(context))
        if job is not None and job.is_terminal:
            count_job(job)
        if job is not None and job.is_halted:
            raise halted(job.reference, job.error)
        self.log.info("Job %s: %s.", self.job_reference, job.status if job else "not listed")
        if job is None or not job.is_completed:
            return False
        warn_of_error(self.log.warning, job.reference, job.error)
        return True

    def _tolerates(self, error: LearnosityError, context: Context, *, is_first: bool) -> bool:
        """Whether the wait goes on after a refusal: for as long as in the trigger, but not at the first poll."""
        has_odd_end = isinstance(error, OddEndError)
        if self.deferrable:
            return has_odd_end
        rescheduled = self.reschedule and context["ti"].get_first_reschedule_date(context) is not None
        if is_first and not rescheduled and not has_odd_end:
            return False
        return not self._kept.note(error, self._store(context), _attempt(context))

    @property
    def _kept(self) -> KeptRefusals:
        from learnosity.kept_refusals import KeptRefusals

        self._refusals = self._refusals or KeptRefusals()
        return self._refusals

    def _store(self, context: Context) -> StateStore | None:
        return context.get("task_state_store") if self.reschedule and not self.deferrable else None

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the wait. If Airflow itself has ended it, say which job it was for, and what to do."""
        if next_method == self.execute_complete.__name__:
            return super().resume_execution(next_method, next_kwargs, context)
        with report_failures(context):
            try:
                return super().resume_execution(next_method, next_kwargs, context)
            except (AirflowSensorTimeout, TaskDeferralError) as error:
                try:
                    self._read_job()
                    self._apply_run_config(context)
                except LearnosityError:
                    raise error from None
                job = f"job {self.job_reference}"
                if isinstance(error, TaskDeferralError):
                    raise TransientError(
                        f"The wait failed in the triggerer; its log says more. The next try goes on waiting for {job}."
                    ) from None
                raise AirflowSensorTimeout(
                    f"No triggerer has ended the wait for {job} within {self.job_timeout} minutes: check that a "
                    "triggerer runs. The job may still run at Learnosity, or have ended: clear this task to continue "
                    "the wait."
                ) from None

    def execute_complete(self, context: Context, event: dict[str, Any] | None) -> str:
        """End the task according to the event of the trigger. An unknown event fails the task."""
        with report_failures(context), skips(self, polled=True):
            # `_read_job` sets the Learnosity connection: if `_end` raises an error, the report of this error names it.
            # If `_read_job` itself fails, its error is ignored, because the event already says how the wait has ended.
            with suppress(LearnosityError):
                self._read_job()
            self._apply_run_config(context)
            return self._end(event)

    def _end(self, event: dict[str, Any] | None) -> str:
        from learnosity.triggers import WaitStatus

        status = (event or {}).get("status")
        reference = str((event or {}).get("job_reference") or self.job_reference)
        if status == WaitStatus.COMPLETED:
            self.log.info("Job %s is completed.", reference)
            warn_of_error(self.log.warning, reference, (event or {}).get("error"))
            return reference
        if status == WaitStatus.HALTED:
            raise halted(reference, (event or {}).get("error"))
        if status == WaitStatus.TIMEOUT:
            raise timed_out(reference, self.job_timeout, str((event or {}).get("message") or ""))
        if status == WaitStatus.INTERRUPTED:
            then = (
                f"Job {reference} may still run."
                if self.never_fail
                else f"The next try goes on waiting for job {reference}."
            )
            raise TransientApiError(f"{(event or {}).get('message')} {then}")
        if status == WaitStatus.ERROR:
            raise refused((event or {}).get("kind"), str((event or {}).get("message")))
        raise PermanentApiError(f"The wait for job {reference} ended with an unknown status ({status!r}).")

    async def _poll(self) -> Job | None:
        from learnosity.hooks import LearnosityHook

        async with LearnosityHook(str(self.learnosity_conn_id)).client() as client:
            jobs = await client.jobs([str(self.job_reference)])
        return next((job for job in jobs if job.is_named(str(self.job_reference))), None)


def _attempt(context: Context) -> int:
    return getattr(context.get("ti"), "try_number", 1)


def _first(*values: Any) -> Any:
    """The first value that is not empty."""
    return next(value for value in values if not is_empty(value))


def _seconds(value: float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _positive(name: str, value: float | str) -> float:
    number = 0.0
    with suppress(TypeError, ValueError):
        number = float(value)
    if not 0 < number < float("inf"):
        raise RequestError(f"{name} is {value!r}; it must be a number above 0.")
    return number
