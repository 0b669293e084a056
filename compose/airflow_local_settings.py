"""Cluster policy: tasks that send SETs to Learnosity share a pool, however many workers and DAGs there are.

The API accepts 50 SETs in 5 seconds per consumer key, over all machines (docs/learnosity-api.md, "Rate limits"). Each
process paces itself; the pool bounds how many of them there are at once. `init.sh` makes the pool.
"""

from __future__ import annotations

from airflow.sdk import BaseOperator

POOL = "learnosity_api"
STARTS_DATASETS = "LearnosityCreateDatasetOperator"


def task_policy(task: BaseOperator) -> None:
    """Put tasks that start datasets into the pool, unless their author chose another one."""
    if task.task_type == STARTS_DATASETS and task.pool == "default_pool":
        task.pool = POOL
