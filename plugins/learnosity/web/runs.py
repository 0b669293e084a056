"""Reads runs and their datasets from Airflow's database. The caller checks who may see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.sdk.execution_time.xcom import XCom
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from learnosity.api.dataset_request import ASSET_PREFIX
from learnosity.web.dag_order import task_order
from learnosity.web.run_datasets import (
    Publication,
    RunDataset,
    Step,
    newest,
    run_datasets,
    steps,
)
from learnosity.web.run_progress import GOING, Progress, progress
from learnosity.web.run_rows import returned_values, task_instances
from learnosity.web.task_reports import task_reports
from learnosity.web.team_connections import team_of

USUAL_RUNS = 12  # the usual duration of a task is computed from at most this many runs that have published
# These runs are found by their asset events. At most this many events are read, the newest ones. The number is much
# larger than `USUAL_RUNS`, because a run may have many events: it may have published several datasets, and each of them
# may have two events, one of the asset of its type, and one of the asset `*`.
USUAL_EVENTS = 500
# Of all these runs together, at most this many task instances are read, because a run may have very many mapped tasks.
USUAL_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Run:
    """One DAG run.

    :param datasets: its datasets, published or not, by publish task and map index.
    :param unreadable: other tasks whose XCom cannot be read. One of them may have published a dataset.
    :param progress: how far it is, and why it failed.
    :param team: the team of its DAG, whose connections it uses; None = no team.
    :param more: whether tasks returned more than was read, so that a dataset may be missing.
    """

    dag_id: str
    run_id: str
    state: str
    conf: Mapping[str, Any]
    started: datetime | None
    ended: datetime | None
    steps: tuple[Step, ...]
    datasets: tuple[RunDataset, ...] = ()
    unreadable: tuple[str, ...] = ()
    progress: Progress | None = None
    team: str | None = None
    more: bool = False

    @property
    def publications(self) -> tuple[Publication, ...]:
        """All published datasets, by publish task and map index; of each dataset its newest publication."""
        return newest(self.datasets)

    @property
    def only(self) -> Publication | None:
        """The dataset of a run that has exactly one. None if it has none yet, or if people have to choose."""
        published = self.publications
        return published[0] if len(published) == 1 and all(each.publication for each in self.datasets) else None

    def named(self, name: str) -> Sequence[Publication]:
        """The published datasets that an address may mean by this name. They are several if it is not exact."""
        return [each for each in self.publications if name in each.names]

    @property
    def has_choice(self) -> bool:
        """Whether people have to choose a dataset, or to hear of one that cannot be read."""
        more = len(self.datasets) > 1 or any(each.problem for each in self.datasets)
        return self.only is None and (more or bool(self.unreadable))


def load_run(session: Session, dag_id: str, run_id: str) -> Run | None:
    """One run with its steps and datasets; None when there is no such run."""
    run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    if run is None:
        return None
    instances = task_instances(session, dag_id, run_id)
    returned, more = returned_values(session, dag_id, run_id, instances, XCom.deserialize_value)
    datasets, unreadable = run_datasets(instances, returned, more=more)
    ordered, state = steps(instances, task_order(session, dag_id)), str(run.state)
    usual = _usual(session, dag_id, datasets) if state in GOING else {}
    return Run(
        dag_id,
        run_id,
        state,
        dict(run.conf or {}),
        run.start_date,
        run.end_date,
        ordered,
        datasets,
        unreadable,
        progress(dag_id, run_id, state, instances, ordered, task_reports(session, dag_id, run_id), usual),
        team_of(session, dag_id),
        more,
    )


def _usual(session: Session, dag_id: str, datasets: Sequence[RunDataset]) -> Mapping[str, Sequence[float]]:
    """How many seconds each task took in the newest runs of a DAG that published the types of these datasets."""
    kinds = sorted({each.dataset_type for each in datasets if each.dataset_type})
    # The publication of a dataset adds an event to the asset of its type (`own`), if a DAG declares this asset. If the
    # type is not one of the four known ones, it adds an event to the asset `*`, too. All such types share `*`, so
    # `others` takes only those of its events whose `extra` names a type of `kinds`.
    others = and_(AssetModel.uri == f"{ASSET_PREFIX}*", AssetEvent.extra["dataset_type"].as_string().in_(kinds))
    own = AssetModel.uri.in_([f"{ASSET_PREFIX}{kind}" for kind in kinds])
    of_type = or_(own, others) if kinds else AssetModel.uri.startswith(ASSET_PREFIX)
    run_ids = session.scalars(
        select(AssetEvent.source_run_id)
        .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        .where(AssetEvent.source_dag_id == dag_id, AssetEvent.source_run_id.is_not(None), of_type)
        .order_by(AssetEvent.id.desc())
        .limit(USUAL_EVENTS)
    )
    newest_runs = list(dict.fromkeys(run_ids))[:USUAL_RUNS]
    table = TaskInstance
    rows = session.execute(
        select(table.task_id, table.start_date, table.end_date)
        .where(table.dag_id == dag_id, table.run_id.in_(newest_runs), table.state == "success")
        .limit(USUAL_ROWS)
    )
    took: dict[str, list[float]] = {}
    for task_id, started, ended in rows:
        if started and ended:
            took.setdefault(task_id, []).append((ended - started).total_seconds())
    return took
