"""The run configs and input files of demo, tests and measurements, and landing one through the DAG as a user would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import obstore

from devstack.errors import DevstackError
from simulator.population import DEFAULT_LEVELS as LEVELS
from simulator.population import records

if TYPE_CHECKING:
    from airflow_client.client import DAGRunResponse

    from devstack.stack import Stack

DAG_ID = "learnosity_dataset"
GROUP_TYPE = "activity-summary-by-group"
ANALYSIS_TYPE = "ibk-analysis-by-question"
FIELDS = (
    "group_count",
    "population",
    "lowest_percent",
    "p25_percent",
    "median_percent",
    "p75_percent",
    "highest_percent",
    "mean_percent",
)
USER_FIELDS = ("score", "max_score", "seen_activities")
ANALYSIS_FIELDS = (
    "item_reference",
    "question_reference",
    "count_sessions",
    "count_attempted",
    "p_value",
    "stddev_p_value",
    "discrimination_index",
)


def upload_records(
    stack: Stack,
    key: str,
    users: int,
    dataset_type: str = GROUP_TYPE,
    *,
    seed: int = 1,
    more: Mapping[str, Any] | None = None,
) -> str:
    """Put a seeded input file into the landing bucket; returns its URI for ``input_uri``.

    :param more: what every record holds beside its own values
    """
    lines = (msgspec.json.encode(record | dict(more or {})) for record in records(users, dataset_type, seed=seed))
    obstore.put(stack.seaweedfs.store(), key, b"".join(line + b"\n" for line in lines))
    return stack.uri(key)


def upload_users(stack: Stack, users: int) -> str:
    """Put the input file of a group report over so many users into the landing bucket; returns its URI."""
    return upload_records(stack, f"input/{users}.ndjson", users)


def group_conf(input_uri: str | None, **more: Any) -> dict[str, Any]:
    """Run config of a large group report.

    :param more: other params, or other values
    """
    return {
        "dataset_type": GROUP_TYPE,
        "input_uri": input_uri,
        "filters": {"activity_id": ["reading-2026", "mathematics-2026"]},
        "options": {
            "fields": list(FIELDS),
            "default_sort_field": "mean_percent",
            "default_sort_order": "desc",
            "user_fields": list(USER_FIELDS),
            "default_users_sort_field": "score",
        },
        "groups": [{"key": level, "label": level.capitalize()} for level in LEVELS],
        "poll_interval": 5,
        **more,
    }


def analysis_conf(**more: Any) -> dict[str, Any]:
    """Run config of an item analysis over the whole item bank.

    :param more: other params, or other values
    """
    return {
        "dataset_type": ANALYSIS_TYPE,
        "options": {"fields": list(ANALYSIS_FIELDS)},
        "poll_interval": 5,
        **more,
    }


def land(stack: Stack, conf: Mapping[str, Any], *, dag_id: str = DAG_ID, timeout: float = 180.0) -> DAGRunResponse:
    """Run the DAG to its good end.

    :param timeout: seconds
    :raises DevstackError: when the run fails
    """
    api = stack.airflow.api
    api.wait_for_dag(dag_id)
    run = api.wait_for_run(dag_id, api.trigger(dag_id, conf).dag_run_id, timeout=timeout)
    if run.state != "success":
        raise DevstackError(f"the run {run.dag_run_id} of {dag_id} ended as {run.state.value}; {stack.logs} says why")
    return run
