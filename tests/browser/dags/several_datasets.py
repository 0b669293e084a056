"""Two DAGs that make several datasets in one run: with two task groups, and with one that is mapped over requests."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task_group

from learnosity.dataset_tasks import RETRY_ARGS, dataset_tasks

ANALYSIS = {"options": {"fields": ["item_reference", "p_value", "discrimination_index"]}, "poll_interval": 1}
REQUESTS: list[dict[str, Any]] = [
    {"dataset_type": "ibk-analysis-by-question", "filters": {}},
    {"dataset_type": "activity-analysis-by-question", "filters": {"activity_id": ["mathematics-2026"]}},
]

with DAG("two_groups", schedule=None, default_args=RETRY_ARGS):
    for name, request in zip(("items", "maths"), REQUESTS, strict=True):
        dataset_tasks({**ANALYSIS, **request}, group_id=name)

with DAG("mapped_group", schedule=None, default_args=RETRY_ARGS):

    @task_group
    def dataset(dataset_type: Any, filters: Any) -> None:
        """The tasks of one dataset."""
        dataset_tasks({**ANALYSIS, "dataset_type": dataset_type, "filters": filters, "landing_shards": 2})

    dataset.expand_kwargs(REQUESTS)
