"""Finds the datasets that a DAG has published before: from asset events. The caller checks who may see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from airflow.models.asset import AssetEvent, AssetModel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from learnosity.api.dataset_request import ASSET_PREFIX
from learnosity.dataset.key_figures import read_figures

TREND = 12  # maximum number of datasets in a trend
# At most this many asset events are read, the newest first. Each publication of a dataset makes one event. A dataset
# that was published again has several, so these may be events of fewer datasets.
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

    :param dataset_id: the dataset; it comes first. Without an event of it, all events of the DAG count as earlier.
    """
    table = AssetEvent
    # Each dataset type of `KNOWN_TYPES` has an asset of its own. All other types share the asset whose URI ends with
    # `*`.
    assets = select(AssetModel.id).where(AssetModel.uri.in_([f"{ASSET_PREFIX}{dataset_type}", f"{ASSET_PREFIX}*"]))
    of_dag = (table.source_dag_id == dag_id, table.source_run_id.is_not(None), table.asset_id.in_(assets))
    named = table.extra["dataset_id"].as_string()
    last = session.scalar(select(func.max(table.id)).where(*of_dag, named == dataset_id))
    until = [] if last is None else [table.id <= last]
    events = session.scalars(
        select(table)
        .where(*of_dag, *until, table.extra["dataset_type"].as_string() == dataset_type)
        .order_by(table.id.desc())
        .limit(_EVENTS)
    )
    found: dict[str, PastDataset] = {}
    for event in events:
        extra = event.extra if isinstance(event.extra, dict) else {}
        name = str(extra.get("dataset_id") or "")
        if name and name not in found and len(found) < TREND:
            found[name] = PastDataset(str(event.source_run_id), name, event.timestamp, read_figures(extra))
    return list(found.values())
