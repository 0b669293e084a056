"""Finds the DAGs of this package: those that have published a dataset, and those with a task that publishes one.

Airflow's database holds each DAG as one JSON text. Searching thousands of them for the operator takes long, so the
result is kept in memory, by the hash of the text.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.serialized_dag import SerializedDagModel
from sqlalchemy import Text, func, select
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from learnosity.api.dataset_request import ASSET_PREFIX
from learnosity.web.run_rows import PUBLISH_OPERATOR

_KEPT = 20_000  # if the cache `_publishes` would get more entries than this, it is emptied first
_BATCH = 500  # maximum number of DAGs whose texts one query searches for the operator
_publishes: dict[str, bool] = {}


def learnosity_dags(session: Session, dag_ids: Collection[str]) -> set[str]:
    """Those of the DAGs that have published a dataset, or have a task that publishes."""
    return _have_published(session, dag_ids) | _have_the_task(session, dag_ids)


def _have_published(session: Session, dag_ids: Collection[str]) -> set[str]:
    found = session.scalars(
        select(AssetEvent.source_dag_id)
        .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        .where(AssetModel.uri.startswith(ASSET_PREFIX), AssetEvent.source_dag_id.in_(dag_ids))
        .distinct()
    )
    return {str(dag_id) for dag_id in found}


def newest_versions(session: Session, dag_ids: Collection[str]) -> dict[str, tuple[str, Any]]:
    """The hash and the key of the newest text of each DAG."""
    table = SerializedDagModel
    newest = (
        select(table.dag_id, func.max(table.created_at).label("at"))
        .where(table.dag_id.in_(dag_ids))
        .group_by(table.dag_id)
        .subquery()
    )
    return {
        dag_id: (digest, key)
        for dag_id, digest, key in session.execute(
            select(table.dag_id, table.dag_hash, table.id).join(
                newest, (table.dag_id == newest.c.dag_id) & (table.created_at == newest.c.at)
            )
        )
    }


def _have_the_task(session: Session, dag_ids: Collection[str]) -> set[str]:
    hashes = newest_versions(session, dag_ids)
    unknown = [(digest, key) for digest, key in hashes.values() if digest not in _publishes]
    if len(_publishes) + len(unknown) > _KEPT:
        _publishes.clear()
        unknown = list(hashes.values())
    for start in range(0, len(unknown), _BATCH):
        batch = unknown[start : start + _BATCH]
        having = set(_with_the_task(session, [key for _, key in batch]))
        _publishes.update({digest: key in having for digest, key in batch})
    return {dag_id for dag_id, (digest, _) in hashes.items() if _publishes.get(digest)}


def _with_the_task(session: Session, keys: Sequence[Any]) -> Iterator[Any]:
    """The keys of those rows whose DAG has the operator."""
    table = SerializedDagModel
    yield from session.scalars(
        select(table.id).where(table.id.in_(keys), as_type(table._data, Text).contains(PUBLISH_OPERATOR))
    )
    # With the setting `[core] compress_serialized_dags`, the table contains DAGs in compressed form. The database
    # cannot search compressed texts, so these DAGs are decompressed and searched here.
    packed = select(table.id, table._data_compressed).where(table.id.in_(keys), table._data_compressed.is_not(None))
    for key, content in session.execute(packed):
        if PUBLISH_OPERATOR.encode() in zlib.decompress(content or b""):
            yield key
