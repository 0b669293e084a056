"""Makes a DAG from each schedule file. It has the tasks of the DAG `learnosity_dataset`, with the values of the file.

Templates in a schedule can use Airflow's template variables, and filters for the schedule's time zone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pendulum
from airflow.providers.http.notifications.http import HttpNotifier

# `airflow.sdk` provides these names only at run time, so type checkers do not find them.
from airflow.sdk import (  # type: ignore[attr-defined]
    DAG,
    AsyncCallback,
    BaseOperator,
    CronDataIntervalTimetable,
    DeadlineAlert,
    DeadlineReference,
)

from learnosity.dataset_tasks import RETRY_ARGS, dataset_tasks
from learnosity.errors import PermanentError
from learnosity.schedules.files import Schedule, ScheduleProblem

log = logging.getLogger(__name__)

TAGS = ("learnosity", "dataset", "scheduled")


class InvalidScheduleError(PermanentError):
    """A schedule file cannot be used."""


class InvalidScheduleOperator(BaseOperator):
    """The only task of a schedule that cannot be used. It fails, and the message lists the problems.

    :param problems: one text per problem.
    """

    def __init__(self, *, problems: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.problems = problems

    def execute(self, context: Any) -> None:
        """Report the problems.

        :raises InvalidScheduleError: always.
        """
        raise InvalidScheduleError("Correct the schedule file:\n  " + "\n  ".join(self.problems))


def iso(moment: datetime) -> str:
    """A moment in the format of Learnosity: UTC, whole seconds, `Z` at the end."""
    return pendulum.instance(moment).in_timezone("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")


def template_filters(timezone: str) -> dict[str, Any]:
    """Filters for the templates of a schedule.

    `iso`: the format of Learnosity. `local`: the moment in the schedule's time zone. `day_start`: midnight in that
    zone. `days_before(n)`: n calendar days earlier, at the same local time, also across daylight saving changes.
    """

    def local(moment: datetime) -> pendulum.DateTime:
        return pendulum.instance(moment).in_timezone(timezone)

    return {
        "iso": iso,
        "local": local,
        "days_before": lambda moment, days: local(moment).subtract(days=days),
        "day_start": lambda moment: local(moment).start_of("day"),
    }


def build_dag(schedule: Schedule) -> DAG:
    """The DAG of a schedule."""
    params = schedule.params
    dag = DAG(
        dag_id=schedule.dag_id,
        description=schedule.description or f"Scheduled dataset of {schedule.file}",
        doc_md=f"Made from `datasets/{schedule.file}`. {schedule.description}",
        schedule=CronDataIntervalTimetable(schedule.schedule, schedule.timezone),
        start_date=pendulum.parse(schedule.start_date, tz=schedule.timezone),  # type: ignore[arg-type]
        catchup=schedule.catchup,
        max_active_runs=schedule.max_active_runs,
        tags=[*TAGS, *schedule.tags],
        user_defined_filters=template_filters(schedule.timezone),
        default_args={
            "owner": schedule.owner,
            **RETRY_ARGS,
            **({"learnosity_conn_id": params["learnosity_conn_id"]} if "learnosity_conn_id" in params else {}),
        },
        on_failure_callback=_failure_notifier(schedule),
        deadline=_deadline(schedule),
    )
    with dag:
        dataset_tasks(params)
    return dag


def invalid_dag(file: str, problems: Sequence[ScheduleProblem]) -> DAG:
    """A DAG for a file that cannot be used, so that people see the problems in the list of DAGs."""
    texts = [str(problem) for problem in problems]
    stem = "".join(char if char.isalnum() and char.isascii() else "_" for char in file.rpartition(".")[0].lower())
    dag = DAG(
        dag_id=f"learnosity_invalid_{stem}",
        description=f"{file} cannot be used: {texts[0]}"[:300],
        doc_md="The schedule file cannot be used:\n\n" + "\n".join(f"    {text}" for text in texts),
        schedule=None,
        tags=["learnosity", "invalid schedule"],
    )
    with dag:
        InvalidScheduleOperator(task_id="correct_the_file", problems=texts, execution_timeout=timedelta(minutes=5))
    return dag


async def log_missed_deadline(text: str, context: Any = None) -> None:
    """Log a missed deadline. Airflow calls it in the triggerer, for schedules that name no webhook."""
    log.warning("%s", text)


def _failure_notifier(schedule: Schedule) -> HttpNotifier | None:
    """The notifier for a failed run; None when the schedule names no webhook."""
    if not schedule.notify:
        return None
    text = "Run {{ run_id }} of {{ dag.dag_id }} failed."
    return HttpNotifier(http_conn_id=schedule.notify["http_conn_id"], json={"text": text})


def _deadline(schedule: Schedule) -> DeadlineAlert | None:
    if schedule.deadline_minutes is None:
        return None
    text = f"{schedule.dag_id} is not done {schedule.deadline_minutes:g} minutes after it was queued."
    if schedule.notify:
        callback = AsyncCallback(HttpNotifier, kwargs={**schedule.notify, "json": {"text": text}})
    else:
        callback = AsyncCallback(log_missed_deadline, kwargs={"text": text})
    return DeadlineAlert(
        name=f"{schedule.deadline_minutes:g} minutes",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=schedule.deadline_minutes),
        callback=callback,
    )
