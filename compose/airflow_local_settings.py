"""Cluster policy: tasks that send SETs to Learnosity share a pool, however many workers and DAGs there are.

The API accepts 50 SETs in 5 seconds per consumer key, over all machines (docs/learnosity-api.md, "Rate limits"). Each
process paces itself; the pool bounds how many of them there are at once. `init.sh` makes the pool.

A Celery worker loads what tasks need before it forks them, so that they do not load it one by one.
"""

from __future__ import annotations

import sys

from airflow.sdk import BaseOperator

POOL = "learnosity_api"
STARTS_DATASETS = "LearnosityCreateDatasetOperator"


def task_policy(task: BaseOperator) -> None:
    """Put tasks that start datasets into the pool, unless their author chose another one."""
    if task.task_type == STARTS_DATASETS and task.pool == "default_pool":
        task.pool = POOL


def load_tasks(**_: object) -> None:
    """Load what tasks need when a Celery worker loads its own modules. Plugins are loaded later, in each task."""
    from learnosity.preload import load

    load()


if sys.argv[1:3] == ["celery", "worker"]:
    # Only a Celery worker imports Celery here. In each other process of Airflow, the import would only cost time.
    from celery.signals import import_modules  # type: ignore[import-untyped]

    import_modules.connect(load_tasks)
