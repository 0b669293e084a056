"""What people call a task and its state. The types are those of Airflow's own client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # not at run time, because the import of the client takes a second
    from airflow_client.client import TaskInstanceResponse


def label(task: TaskInstanceResponse) -> str:
    """The name of a task with its map index: ``land.land_files[3]``."""
    return task.task_id if task.map_index < 0 else f"{task.task_id}[{task.map_index}]"


def state(task: TaskInstanceResponse) -> str:
    """The state as a plain word; ``none`` before the scheduler has looked at the task."""
    return task.state.value if task.state else "none"


def in_order(tasks: Iterable[TaskInstanceResponse]) -> list[TaskInstanceResponse]:
    """Tasks in the order in which they began; those that have not begun come last."""
    return sorted(tasks, key=lambda task: (task.start_date is None, task.start_date, task.map_index))
