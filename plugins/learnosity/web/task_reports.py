"""What the tasks of a run have reported about themselves: rows of Airflow's task state store, checked.

A user with the right to change a task's state can write anything there. So a value that is not understood is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.xcom import XComModel
from sqlalchemy import Text, func, select
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from learnosity.job_report import JOB_KEY, JobState
from learnosity.task_report import FAILURE_KEY, PROGRESS_KEY, Failure, Landing

MAX_ROWS = 2_000  # maximum number of rows that each of the two queries reads: one for reports, one for states of jobs
MAX_VALUE = 20_000  # maximum number of characters of a report, and of a job's state; a longer one is not read

_LARGEST = 2**63  # no task writes a number as large as this, or below 0, so a report with such a number is not used

T = TypeVar("T", bound=msgspec.Struct)
Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class TaskReports:
    """The reports of the tasks of a run, by task id and map index."""

    failures: Mapping[Key, Failure] = field(default_factory=dict)
    landings: Mapping[Key, Landing] = field(default_factory=dict)
    jobs: Mapping[Key, JobState] = field(default_factory=dict)


def task_reports(session: Session, dag_id: str, run_id: str) -> TaskReports:
    """The reports of the tasks of a run."""
    table = TaskStateStoreModel
    rows = session.execute(
        select(table.task_id, table.map_index, table.key, table.value)
        .where(
            table.dag_id == dag_id,
            table.run_id == run_id,
            table.key.in_((FAILURE_KEY, PROGRESS_KEY)),
            func.length(table.value) <= MAX_VALUE,
        )
        .order_by(table.task_id, table.map_index)
        .limit(MAX_ROWS)
    )
    failures: dict[Key, Failure] = {}
    landings: dict[Key, Landing] = {}
    for task_id, map_index, key, value in rows:
        if key == FAILURE_KEY and (failure := read(value, Failure)):
            failures[task_id, map_index] = failure
        elif key == PROGRESS_KEY and (landing := read(value, Landing)):
            landings[task_id, map_index] = landing
    return TaskReports(failures, landings, _jobs(session, dag_id, run_id))


def _jobs(session: Session, dag_id: str, run_id: str) -> Mapping[Key, JobState]:
    """The states of the jobs that are waited for. They are XComs, whose texts are JSON in a JSON column."""
    table = XComModel
    rows = session.execute(
        select(table.task_id, table.map_index, table.value)
        .where(
            table.dag_id == dag_id,
            table.run_id == run_id,
            table.key == JOB_KEY,
            func.length(as_type(table.value, Text)) <= MAX_VALUE,
        )
        .order_by(table.task_id, table.map_index)
        .limit(MAX_ROWS)
    )
    found = {(task_id, map_index): read(value, JobState) for task_id, map_index, value in rows}
    return {key: state for key, state in found.items() if state}


def read(value: Any, kind: type[T]) -> T | None:
    """A stored report; None if it is not understood, or has a number that no task writes."""
    try:
        found = msgspec.json.decode(value, type=kind) if isinstance(value, str) else msgspec.convert(value, kind)
    except (msgspec.MsgspecError, OverflowError):
        return None
    numbers = (each for each in msgspec.structs.astuple(found) if isinstance(each, int | float))
    return found if all(0 <= each < _LARGEST for each in numbers) else None
