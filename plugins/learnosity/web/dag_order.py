"""The order of a DAG's tasks, from the serialized DAG in Airflow's database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from airflow.models.serialized_dag import SerializedDagModel
from sqlalchemy import select
from sqlalchemy.orm import Session


def task_order(session: Session, dag_id: str) -> Mapping[str, int]:
    """The place of each task in the DAG, from 0. Empty if Airflow does not have the DAG any more."""
    newest = (
        select(SerializedDagModel)
        .where(SerializedDagModel.dag_id == dag_id)
        .order_by(SerializedDagModel.created_at.desc())
        .limit(1)
    )
    found = session.scalar(newest)
    return {} if found is None else places(found.data)


def places(data: Any) -> Mapping[str, int]:
    """The place of each task of a serialized DAG. Empty if it cannot be read: then the start times give the order."""
    links = dict(_links(data))
    before: dict[str, set[str]] = {task_id: set() for task_id in links}
    for task_id, following in links.items():
        for each in following:
            before.setdefault(each, set()).add(task_id)
    try:
        return {task_id: place for place, task_id in enumerate(TopologicalSorter(before).static_order())}
    except CycleError:
        return {}


def _links(data: Any) -> Iterator[tuple[str, Sequence[str]]]:
    """Each task with the tasks that follow it directly."""
    dag = data.get("dag") if isinstance(data, Mapping) else None
    tasks = dag.get("tasks") if isinstance(dag, Mapping) else None
    for wrapped in tasks if isinstance(tasks, list) else ():
        task = wrapped.get("__var", wrapped) if isinstance(wrapped, Mapping) else None
        if isinstance(task, Mapping) and isinstance(task.get("task_id"), str):
            following = task.get("downstream_task_ids")
            yield task["task_id"], [each for each in following or () if isinstance(each, str)]
