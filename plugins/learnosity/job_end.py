"""The errors of a wait that did not end with a completed job. Each message says what to do next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from learnosity import errors
from learnosity.errors import JobHaltedError, LearnosityError, OddEndError, PermanentApiError, PermanentError

if TYPE_CHECKING:
    from airflow.sdk import BaseSensorOperator

    from learnosity.api.jobs import Job


# Advice for a job of which it is not sure whether it has ended. Either Learnosity's documentation does not say what the
# job's status means. Or its status says that it still runs, but the job has an error.
START_OVER = (
    "If it has ended without a dataset, delete the state of create_dataset (docs/reliability.md, 'Starting over on "
    "purpose'), then clear create_dataset: a fresh dataset is made."
)


def halted(reference: str, error: str | None) -> JobHaltedError:
    """The error for a job that ended without a dataset.

    :param error: what Learnosity says about it; None = nothing.
    """
    said = (error or "no reason given")[:1000].rstrip(". ")
    return JobHaltedError(
        f"Learnosity halted job {reference}: {said}. If the input was wrong, correct it, then clear create_dataset "
        "with its downstream tasks: a fresh dataset is made. For another run config, trigger a new run."
    )


def warn_of_error(warn: Callable[[str, str, str], object], reference: str, error: str | None) -> None:
    """Log the error of a job that is completed all the same: its dataset may lack something.

    :param warn: logs a warning: a format and its values.
    :param error: what Learnosity says about it; None = nothing.
    """
    if error:
        warn("Job %s is completed, but its record has an error: %s", reference, error[:1000])


def refused(kind: object, message: str) -> PermanentError:
    """The error for a wait that the triggerer has ended because its polls were refused.

    :param kind: the name of the error's class, so that the advice is that of the same error in the task. If it is not
        known here, as with an event of another release, the error is a `PermanentApiError`.
    """
    found = getattr(errors, str(kind), None)
    if isinstance(found, type) and issubclass(found, PermanentError):
        return found(message)
    return PermanentApiError(message)


def why_unfinished(job: Job | None, error: LearnosityError | None) -> str:
    """What the last poll before the deadline says about its cause; "" = nothing, because the job still runs.

    A status that is not documented may be that of a job that has ended. Then the message says how to start over.

    :param job: the job, as it was listed; None = it was not listed.
    :param error: why the poll failed; None = it did not.
    """
    from learnosity.api.jobs import STATUSES

    if isinstance(error, OddEndError):
        return str(error)
    if error is not None:
        return f"The last poll failed: {error}"
    if job is None:
        return "At the last poll, Learnosity did not list it: check job_reference and the connection."
    if job.status in STATUSES and not job.error:
        return ""
    said = f", and its error: {job.error[:1000].rstrip('. ')}" if job.error else ""
    return f"At the last poll, its status was: {job.status}{said}. {START_OVER}"


def timed_out(reference: str, minutes: object, why: str) -> AirflowSensorTimeout:
    """The error for a deadline that has passed.

    :param why: what `why_unfinished` says.
    """
    return AirflowSensorTimeout(
        f"Job {reference} was not finished within {minutes} minutes. {f'{why} ' if why else ''}It may still run at "
        "Learnosity: clear this task to continue the wait, or raise job_timeout."
    )


@contextmanager
def skips(task: BaseSensorOperator, *, polled: bool = False) -> Iterator[None]:
    """Skip a task with `soft_fail` or `never_fail`, instead of failing it, when the job is halted or the time is up.

    :param polled: the errors are those of polls that Airflow does not see, because the wait is deferred. So the task is
        also skipped where Airflow would skip it: with `never_fail` after every error; default False.
    """
    try:
        yield
    except (Exception, AirflowTaskTimeout) as error:  # AirflowTaskTimeout is no Exception: only a BaseException
        is_end = isinstance(error, (JobHaltedError, AirflowSensorTimeout))
        is_soft = is_end or (polled and isinstance(error, (AirflowTaskTimeout, AirflowFailException)))
        is_skip = isinstance(error, AirflowSkipException)
        if not is_skip and ((task.soft_fail and is_soft) or (task.never_fail and (polled or is_end))):
            raise AirflowSkipException(f"Skipped, because soft_fail or never_fail is set: {error}") from error
        raise
