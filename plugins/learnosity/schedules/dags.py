"""Schedules as DAGs: the same tasks as the DAG `learnosity_dataset`, with the values of a file in place of a form.

Templates in a schedule see Airflow's own variables, and filters for its time zone; times for Learnosity leave as UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pendulum

# Exported by name only at run time, out of sight of type checkers.
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
from learnosity.notifiers import LearnosityNotifier
from learnosity.schedules.files import Schedule, ScheduleProblem

TAGS = ("learnosity", "dataset", "scheduled")


class InvalidScheduleError(PermanentError):
    """A schedule file cannot be used."""


class InvalidScheduleOperator(BaseOperator):
    """Stands in for a schedule that cannot be used; fails with what is wrong.

    :param problems: one text each.
    """

    def __init__(self, *, problems: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.problems = problems

    def execute(self, context: Any) -> None:
        """Say what is wrong.

        :raises InvalidScheduleError: always.
        """
        raise InvalidScheduleError("Correct the schedule file:\n  " + "\n  ".join(self.problems))


def iso(moment: datetime) -> str:
    """A moment as Learnosity takes it: UTC, whole seconds, `Z` at the end."""
    return pendulum.instance(moment).in_timezone("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")


def template_filters(timezone: str) -> dict[str, Any]:
    """Filters for templates of a schedule.

    `iso`: see there. `local`: in the schedule's time zone. `days_before(n)`: n days of the calendar earlier there, the
    same wall-clock time, whatever daylight saving does in between. `day_start`: midnight there.
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
    notifier = None if schedule.notify is None else LearnosityNotifier(**schedule.notify)
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
        on_failure_callback=notifier,
        deadline=_deadline(schedule),
    )
    with dag:
        dataset_tasks(params)
    return dag


def invalid_dag(file: str, problems: Sequence[ScheduleProblem]) -> DAG:
    """A DAG in the place of a file that cannot be used, so that people see why, where they look for it."""
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
        InvalidScheduleOperator(task_id="correct_the_file", problems=texts)
    return dag


def _deadline(schedule: Schedule) -> DeadlineAlert | None:
    if schedule.deadline_minutes is None:
        return None
    text = f"{schedule.dag_id} is not done {schedule.deadline_minutes:g} minutes after it was queued."
    return DeadlineAlert(
        name=f"{schedule.deadline_minutes:g} minutes",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=schedule.deadline_minutes),
        callback=AsyncCallback(LearnosityNotifier, kwargs={"text": text, **(schedule.notify or {})}),
    )
