"""Reads what the list of datasets shows: published datasets, and runs that have none (yet). The caller checks rights.

Airflow's database may hold very many rows, and everybody who may create an asset event can write any extra. So only the
newest rows are read, and of each only texts of a limited length.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.models.asset import AssetEvent, AssetModel, TaskOutletAssetReference
from airflow.models.dagrun import DagRun
from sqlalchemy import String, Text, case, func, select
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from learnosity.api.dataset_request import ASSET_PREFIX
from learnosity.dataset.event_extra import activities_of, gaps_of, left_out_of
from learnosity.web.completeness import NOTHING
from learnosity.web.default_types import default_types
from learnosity.web.run_datasets import whole

NEWEST = 2_000  # the list shows at most this many datasets and at most this many runs, the newest ones
MAX_VALUE = 16_000  # maximum number of characters of an event's extra or of a run config; a longer one is not read
PUBLISHED = "published"
# A run in one of these states has a row in the list, in addition to the rows of its published datasets. A successful
# run has no row: only its datasets have rows.
OPEN_STATES = ("queued", "running", "failed")


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of the list: a published dataset, or a run that has failed, is running or is queued.

    :param state: `published`, or the state of the run.
    :param at: when it was published; of a run: when it began, or was to begin.
    :param records: uploaded records; None = not known.
    :param file_count: None = no dataset, as for `total_bytes`.
    :param mark: `empty`, `gaps`, or `part` where `include` left files out, if the event of the dataset says so; "" =
        nothing is known to be missing.
    """

    dag_id: str
    run_id: str
    state: str
    at: datetime
    dataset_type: str = ""
    dataset_id: str = ""
    activities: tuple[str, ...] = ()
    records: int | None = None
    file_count: int | None = None
    total_bytes: int | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of the list, and whether there are older ones that were not read."""

    rows: Sequence[Listed]
    more: bool


def listed(
    session: Session, dag_ids: Collection[str], *, since: datetime | None = None, until: datetime | None = None
) -> Found:
    """The newest datasets and open runs of these DAGs, newest first.

    :param dag_ids: DAGs that the user may read.
    :param since: nothing older; None = no limit.
    :param until: nothing as new as this, or newer; None = no limit.
    """
    datasets = list(_datasets(session, dag_ids, since, until))
    runs = list(_runs(session, dag_ids, since, until))
    rows = sorted([*datasets[:NEWEST], *runs[:NEWEST]], key=lambda each: each.at, reverse=True)
    return Found(rows, max(len(datasets), len(runs)) > NEWEST)


def _datasets(
    session: Session, dag_ids: Collection[str], since: datetime | None, until: datetime | None
) -> Iterator[Listed]:
    run = (AssetEvent.source_dag_id, AssetEvent.source_run_id)
    # A user may clear a task of a run. Then the task publishes again, and perhaps another dataset than before. So only
    # the last event of each task instance of a run is used.
    last = (
        select(func.max(AssetEvent.id))
        .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        .where(AssetModel.uri.startswith(ASSET_PREFIX), AssetEvent.source_dag_id.in_(dag_ids))
        .group_by(*run, AssetEvent.source_task_id, AssetEvent.source_map_index)
    )
    # Two tasks of a run may publish the same dataset. Their events have the same dataset id, and the list shows the
    # dataset once. If an event has no dataset id, its event id is used instead, so that it gets a row of its own.
    dataset = func.coalesce(AssetEvent.extra["dataset_id"].as_string(), as_type(AssetEvent.id, String(20)))
    # Two datasets with the same id may differ in type or in place. So two events are of the same dataset only if their
    # type and the URI of their manifest are the same, too. This URI names no Airflow connection, so no server. If a run
    # publishes a dataset to the same bucket and prefix on two servers, the list shows only one of the two.
    place = [AssetEvent.extra[name].as_string() for name in ("dataset_type", "manifest_uri")]
    chosen = select(func.max(AssetEvent.id)).where(AssetEvent.id.in_(last)).group_by(*run, dataset, *place)
    query = select(*run, AssetEvent.timestamp, _short(AssetEvent.extra)).where(AssetEvent.id.in_(chosen))
    if since:
        query = query.where(AssetEvent.timestamp >= since)
    if until:
        query = query.where(AssetEvent.timestamp < until)
    for dag_id, run_id, at, value in session.execute(query.order_by(AssetEvent.id.desc()).limit(NEWEST + 1)):
        extra: Mapping[str, Any] = value if isinstance(value, dict) else {}
        yield Listed(
            str(dag_id),
            str(run_id),
            PUBLISHED,
            at,
            _text(extra.get("dataset_type")),
            _text(extra.get("dataset_id")),
            activities_of(extra),
            whole(extra.get("records")) if extra.get("records") is not None else None,
            whole(extra.get("file_count")),
            whole(extra.get("total_bytes")),
            _mark(gaps_of(extra), left_out_of(extra)),
        )


def _mark(gaps: Sequence[str], left_out: int | None) -> str:
    if gaps:
        return "empty" if any(gap.startswith(NOTHING) for gap in gaps) else "gaps"
    return "part" if left_out else ""


def _runs(
    session: Session, dag_ids: Collection[str], since: datetime | None, until: datetime | None
) -> Iterator[Listed]:
    query = select(DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.start_date, DagRun.run_after, _short(DagRun.conf))
    query = query.where(DagRun.dag_id.in_(dag_ids), DagRun.state.in_(OPEN_STATES))
    if since:
        query = query.where(func.coalesce(DagRun.start_date, DagRun.run_after) >= since)
    if until:
        query = query.where(func.coalesce(DagRun.start_date, DagRun.run_after) < until)
    declared = _declared_types(session, dag_ids)
    found = session.execute(query.order_by(DagRun.id.desc()).limit(NEWEST + 1)).all()
    untyped = {dag_id for dag_id, *_, value in found if dag_id not in declared and _has_no_type(value)}
    usual = default_types(session, untyped)
    for dag_id, run_id, state, start, after, value in found:
        conf: Mapping[str, Any] = value if isinstance(value, dict) else {}
        kind = _text(conf.get("dataset_type")) or declared.get(dag_id, "")
        if not kind and _has_no_type(value):
            kind = usual.get(dag_id, "")
        yield Listed(dag_id, run_id, str(state), start or after, kind, activities=activities_of(conf.get("filters")))


def _has_no_type(conf: Any) -> bool:
    """Whether a run config leaves the type to the DAG. One that is too long to be read (None) may name any type."""
    return isinstance(conf, dict) and not _text(conf.get("dataset_type"))


def _declared_types(session: Session, dag_ids: Collection[str]) -> Mapping[str, str]:
    """The dataset type of each DAG that always makes the same type: the asset that its publishing task declares."""
    rows = session.execute(
        select(TaskOutletAssetReference.dag_id, AssetModel.uri)
        .join(AssetModel, AssetModel.id == TaskOutletAssetReference.asset_id)
        .where(AssetModel.uri.startswith(ASSET_PREFIX), TaskOutletAssetReference.dag_id.in_(dag_ids))
    )
    kinds: dict[str, set[str]] = {}
    for dag_id, uri in rows:
        kinds.setdefault(dag_id, set()).add(uri.removeprefix(ASSET_PREFIX))
    return {dag_id: next(iter(found)) for dag_id, several in kinds.items() if len(found := several - {"*"}) == 1}


def _short(column: Any) -> Any:
    """A JSON column; NULL if its text is longer than this list wants to read."""
    return case((func.length(as_type(column, Text)) <= MAX_VALUE, column), else_=None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
