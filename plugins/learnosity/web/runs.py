"""Reads runs and their datasets from Airflow's database. The caller checks who may see them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk.execution_time.xcom import XCom
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from learnosity.api.dataset_request import ASSET_PREFIX
from learnosity.dataset.layout import DatasetLayout

log = logging.getLogger(__name__)

PUBLISHED_KEYS = frozenset({"dataset_id", "dataset_type", "manifest_uri", "destination_uri"})


@dataclass(frozen=True, slots=True)
class Step:
    """One task of a run. All mapped instances of a task are one step."""

    task_id: str
    state: str
    started: datetime | None
    ended: datetime | None
    instances: int = 1
    tries: int = 1

    @property
    def seconds(self) -> float | None:
        """Seconds from the first start to the last end; None while it runs."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else None


@dataclass(frozen=True, slots=True)
class Publication:
    """What a run published: the return value of its publish task."""

    layout: DatasetLayout
    manifest_uri: str
    destination_uri: str
    learnosity_conn_id: str


@dataclass(frozen=True, slots=True)
class Run:
    """One DAG run."""

    dag_id: str
    run_id: str
    state: str
    conf: Mapping[str, Any]
    started: datetime | None
    ended: datetime | None
    steps: tuple[Step, ...]
    publication: Publication | None


@dataclass(frozen=True, slots=True)
class ListedDataset:
    """One published dataset, from its asset event."""

    dag_id: str
    run_id: str
    dataset_id: str
    dataset_type: str
    file_count: int
    total_bytes: int
    published: datetime


def load_run(session: Session, dag_id: str, run_id: str) -> Run | None:
    """One run with its steps; None when there is no such run."""
    run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    if run is None:
        return None
    return Run(
        dag_id,
        run_id,
        str(run.state),
        dict(run.conf or {}),
        run.start_date,
        run.end_date,
        _steps(session, dag_id, run_id),
        _publication(session, dag_id, run_id),
    )


def published_datasets(
    session: Session, dag_ids: Collection[str], *, offset: int, limit: int
) -> tuple[Sequence[ListedDataset], int]:
    """One page of the published datasets of these DAGs, newest first, and how many there are in all.

    :param dag_ids: DAGs that the user may read.
    """
    chosen = (
        select(func.max(AssetEvent.id))
        .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        .where(AssetModel.uri.startswith(ASSET_PREFIX), AssetEvent.source_dag_id.in_(dag_ids))
        # A run that was cleared publishes again. Only its last event is used.
        .group_by(AssetEvent.asset_id, AssetEvent.source_dag_id, AssetEvent.source_run_id)
    )
    count = session.scalar(select(func.count()).select_from(chosen.subquery())) or 0
    events = session.scalars(
        select(AssetEvent).where(AssetEvent.id.in_(chosen)).order_by(AssetEvent.id.desc()).offset(offset).limit(limit)
    )
    return [_listed(event) for event in events], count


def _listed(event: AssetEvent) -> ListedDataset:
    extra = event.extra or {}
    return ListedDataset(
        str(event.source_dag_id),
        str(event.source_run_id),
        str(extra.get("dataset_id", "")),
        str(extra.get("dataset_type", "")),
        _whole(extra.get("file_count")),
        _whole(extra.get("total_bytes")),
        event.timestamp,
    )


def _steps(session: Session, dag_id: str, run_id: str) -> tuple[Step, ...]:
    found = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id))
    by_task: dict[str, list[TaskInstance]] = {}
    for each in found:
        by_task.setdefault(each.task_id, []).append(each)
    steps = [_step(task_id, instances) for task_id, instances in by_task.items()]
    return tuple(
        sorted(steps, key=lambda step: (step.started is None, step.started.timestamp() if step.started else 0))
    )


def _step(task_id: str, instances: Sequence[TaskInstance]) -> Step:
    states = [str(each.state or "none") for each in instances]
    # A state other than success needs attention, so it is shown for all instances together.
    state = next((each for each in states if each != "success"), "success")
    starts = [each.start_date for each in instances if each.start_date]
    ends = [each.end_date for each in instances if each.end_date]
    return Step(
        task_id,
        state,
        min(starts, default=None),
        max(ends, default=None) if len(ends) == len(instances) else None,
        len(instances),
        max(each.try_number for each in instances),
    )


def _publication(session: Session, dag_id: str, run_id: str) -> Publication | None:
    """The publish task is found by its return value, because a DAG may give it any name."""
    rows = session.execute(
        select(XComModel.value, XComModel.task_id)
        .where(
            XComModel.dag_id == dag_id,
            XComModel.run_id == run_id,
            XComModel.key == "return_value",
            XComModel.map_index == -1,
        )
        .order_by(XComModel.timestamp.desc())
    )
    for row in rows:
        value = _resolved(row)
        if isinstance(value, dict) and value.keys() >= PUBLISHED_KEYS:
            return Publication(
                DatasetLayout(str(value["dataset_type"]), str(value["dataset_id"])),
                str(value["manifest_uri"]),
                str(value["destination_uri"]),
                str(value.get("learnosity_conn_id") or ""),
            )
    return None


def _resolved(row: Any) -> Any:
    """The value of an XCom. If Airflow keeps XComs in object storage, the database has only their address."""
    if not isinstance(row.value, str):
        return row.value
    try:
        return XCom.deserialize_value(row)
    except OSError as error:
        log.warning("The XCom of %s cannot be read from object storage: %s", row.task_id, type(error).__name__)
        return None


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
