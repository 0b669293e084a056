"""What Airflow's public REST API answers, as far as the stack reads it; other fields are ignored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Dag(msgspec.Struct, frozen=True):
    """A DAG as far as callers here need it; ``details`` of the API hold the parameters."""

    dag_id: str
    is_paused: bool
    has_import_errors: bool = False
    params: dict[str, Any] | None = None


class DagRun(msgspec.Struct, frozen=True):
    """One run of a DAG."""

    dag_id: str
    run_id: str = msgspec.field(name="dag_run_id")
    state: str
    start_date: datetime | None = None
    end_date: datetime | None = None
    conf: dict[str, Any] | None = None
    note: str | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen in it."""
        return self.state in ("success", "failed")


class TaskInstance(msgspec.Struct, frozen=True):
    """One task of a run, or one of its mapped instances (``map_index`` is -1 when it is not mapped)."""

    task_id: str
    map_index: int
    try_number: int
    state: str | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    duration: float | None = None
    pid: int | None = None

    @property
    def label(self) -> str:
        """What people call it: ``land.land_files[3]``."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


class XComEntry(msgspec.Struct, frozen=True):
    """The address of one small value that a task has left."""

    key: str
    task_id: str
    map_index: int


class ImportProblem(msgspec.Struct, frozen=True):
    """A DAG file that cannot be read."""

    filename: str
    stack_trace: str


class Token(msgspec.Struct):
    access_token: str


class Beat(msgspec.Struct):
    status: str | None = None
    latest_scheduler_heartbeat: datetime | None = None
    latest_dag_processor_heartbeat: datetime | None = None
    latest_triggerer_heartbeat: datetime | None = None


class Health(msgspec.Struct):
    scheduler: Beat
    triggerer: Beat
    dag_processor: Beat | None = None


class Runs(msgspec.Struct):
    dag_runs: list[DagRun]


class Tasks(msgspec.Struct):
    task_instances: list[TaskInstance]


class Entries(msgspec.Struct):
    xcom_entries: list[XComEntry]


class Value(msgspec.Struct):
    value: Any


class ImportProblems(msgspec.Struct):
    import_errors: list[ImportProblem]


class ErrorDetail(msgspec.Struct):
    exc_type: str | None = None
    exc_value: str | None = None

    def __str__(self) -> str:
        return f"{self.exc_type}: {self.exc_value}"


class LogEvent(msgspec.Struct):
    event: str = ""
    timestamp: str | None = None
    level: str | None = None
    error_detail: list[ErrorDetail] = []

    def text(self) -> str:
        line = " ".join(part for part in (self.timestamp, self.level, self.event) if part)
        return "\n".join([line, *(f"  {problem}" for problem in self.error_detail)])


class Detail(msgspec.Struct):
    detail: Any = None
