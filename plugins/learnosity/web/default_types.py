"""The dataset type that a run without a type in its config makes: the default of the DAG's param `dataset_type`.

It is read from the serialized DAG and kept in memory, by the hash of its text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from airflow.models.serialized_dag import SerializedDagModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from learnosity.web.known_dags import newest_versions

PARAM = "dataset_type"
# A serialized DAG may be a long text, and reading many of them would keep the user waiting. So at most this many are
# read each time the list of datasets is shown. If more are needed, the others are read when the list is shown again.
# Until then, the list may show runs of those other DAGs without a type.
MAX_DAGS = 50
# If the cache `_defaults` would get more entries than this, it first drops the entries of all DAGs that are not asked
# for now.
_KEPT = 5_000
_defaults: dict[str, str] = {}


def default_types(session: Session, dag_ids: Collection[str]) -> Mapping[str, str]:
    """The default type of each DAG that has one."""
    versions = newest_versions(session, dag_ids) if dag_ids else {}
    unknown = {key: digest for digest, key in versions.values() if digest not in _defaults}
    wanted = list(unknown)[:MAX_DAGS]
    if len(_defaults) + len(wanted) > _KEPT:
        kept = {digest: _defaults[digest] for digest, _ in versions.values() if digest in _defaults}
        _defaults.clear()
        _defaults.update(kept)
    if wanted:
        for row in session.scalars(select(SerializedDagModel).where(SerializedDagModel.id.in_(wanted))):
            _defaults[unknown[row.id]] = default_type(row.data)
    return {dag_id: found for dag_id, (digest, _) in versions.items() if (found := _defaults.get(digest))}


def default_type(data: Any) -> str:
    """The default type of a serialized DAG; "" if it has none, or cannot be read."""
    dag = data.get("dag") if isinstance(data, Mapping) else None
    params = dag.get("params") if isinstance(dag, Mapping) else None
    pairs = params.items() if isinstance(params, Mapping) else params
    for pair in pairs if isinstance(pairs, Collection) else ():
        if isinstance(pair, Sequence) and len(pair) == 2 and pair[0] == PARAM and isinstance(pair[1], Mapping):
            default = pair[1].get("default")
            return default if isinstance(default, str) else ""
    return ""
