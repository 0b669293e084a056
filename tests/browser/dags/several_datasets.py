"""Two DAGs that make several datasets in one run: with two task groups, and with one that is mapped over requests."""

from __future__ import annotations

import json
from typing import Any

from airflow.sdk import DAG, Variable, task, task_group

from learnosity.dataset_tasks import RETRY_ARGS, dataset_tasks

ANALYSIS = {"options": {"fields": ["item_reference", "p_value", "discrimination_index"]}, "poll_interval": 1}

with DAG("two_groups", schedule=None, default_args=RETRY_ARGS):
    dataset_tasks({**ANALYSIS, "dataset_type": "ibk-analysis-by-question"}, group_id="items")
    maths = {"activity_id": ["mathematics-2026"]}
    dataset_tasks({**ANALYSIS, "dataset_type": "activity-analysis-by-question", "filters": maths}, group_id="maths")

with DAG("mapped_group", schedule=None, default_args=RETRY_ARGS):

    @task
    def requests() -> list[dict[str, Any]]:
        """What to make datasets of."""
        found: list[dict[str, Any]] = json.loads(Variable.get("requests"))
        return found

    @task_group
    def dataset(dataset_type: Any, filters: Any) -> None:
        """The tasks of one dataset."""
        dataset_tasks({**ANALYSIS, "dataset_type": dataset_type, "filters": filters, "landing_shards": 2})

    dataset.expand_kwargs(requests())
