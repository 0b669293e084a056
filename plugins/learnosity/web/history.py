"""Finds the datasets that a DAG has published before: from asset events. The caller checks who may see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow.models.asset import AssetEvent, AssetModel
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from learnosity.api.dataset_request import ASSET_PREFIX
from learnosity.dataset.key_figures import read_figures

TREND = 12  # at most this many datasets are looked up for the charts that compare a dataset with earlier ones
# One query reads at most this many asset events, the newest ones. The number is much larger than `TREND`, because a
# dataset that was published several times has several events.
_EVENTS = 200


@dataclass(frozen=True, slots=True)
class PastDataset:
    """A published dataset, from its asset event.

    :param figures: its key figures; empty = an earlier release has published it.
    """

    run_id: str
    dataset_id: str
    published: datetime
    figures: Mapping[str, float] = field(default_factory=dict)


def past_datasets(session: Session, dag_id: str, dataset_type: str, dataset_id: str) -> Sequence[PastDataset]:
    """A dataset and those of its type that its DAG has published before it: the newest first, at most `TREND`.

    A run may publish several datasets of one type, such as one for each district. Those of another task, or of another
    map index, are about something else. They count only if the task has published none before, and never those of the
    same run.

    :param dataset_id: the dataset; it comes first. Without an event of it, all events of the DAG count as earlier.
    """
    table = AssetEvent
    # Each of the four known dataset types has an asset. All other types share the asset `*`. So events are searched in
    # the asset of this type and in `*`, and the type in the event's `extra` is compared, too.
    assets = select(AssetModel.id).where(AssetModel.uri.in_([f"{ASSET_PREFIX}{dataset_type}", f"{ASSET_PREFIX}*"]))
    of_type = and_(
        table.source_dag_id == dag_id,
        table.source_run_id.is_not(None),
        table.asset_id.in_(assets),
        table.extra["dataset_type"].as_string() == dataset_type,
    )
    is_own = table.extra["dataset_id"].as_string() == dataset_id
    last = session.scalar(select(table).where(of_type, is_own).order_by(table.id.desc()).limit(1))
    if last is None:
        return _newest(session, of_type)
    until = and_(of_type, table.id <= last.id)
    of_task = and_(table.source_task_id == last.source_task_id, table.source_map_index == last.source_map_index)
    found = _newest(session, until, or_(is_own, of_task))
    return found if len(found) > 1 else _newest(session, until, or_(is_own, table.source_run_id != last.source_run_id))


def _newest(session: Session, *conditions: Any) -> Sequence[PastDataset]:
    """The newest datasets of these asset events, each once."""
    events = session.scalars(select(AssetEvent).where(*conditions).order_by(AssetEvent.id.desc()).limit(_EVENTS))
    found: dict[str, PastDataset] = {}
    for event in events:
        extra = event.extra if isinstance(event.extra, dict) else {}
        name = str(extra.get("dataset_id") or "")
        if name and name not in found and len(found) < TREND:
            found[name] = PastDataset(str(event.source_run_id), name, event.timestamp, read_figures(extra))
    return list(found.values())
