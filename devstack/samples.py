"""Small datasets in a running stack, landed through the DAG as a user would: for pictures and for browser tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import obstore

from devstack.errors import DevstackError
from devstack.stack import Stack
from simulator.population import records

if TYPE_CHECKING:
    from airflow_client.client import DAGRunResponse

DAG_ID = "learnosity_dataset"
LEVELS = ("district", "school", "class")
FIELDS = (
    "population",
    "lowest_percent",
    "p25_percent",
    "median_percent",
    "p75_percent",
    "highest_percent",
    "mean_percent",
)
USER_FIELDS = ("score", "max_score", "seen_activities")
ANALYSIS_FIELDS = ("count_sessions", "count_attempted", "p_value", "stddev_p_value", "discrimination_index")


def upload(stack: Stack, key: str, lines: Iterable[Mapping[str, Any]]) -> str:
    """Put an NDJSON file into the landing bucket; returns its URI for ``input_uri``."""
    obstore.put(stack.seaweedfs.store(), key, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return stack.uri(key)


def group_conf(stack: Stack, users: int) -> dict[str, Any]:
    """Run config of a large group report over `users` users; uploads its input."""
    return {
        "dataset_type": "activity-summary-by-group",
        "input_uri": upload(stack, f"input/{users}.ndjson", records(users, levels=LEVELS)),
        "filters": {"activity_id": ["reading-2026", "mathematics-2026"]},
        "options": {"fields": list(FIELDS), "user_fields": list(USER_FIELDS)},
        "groups": [{"key": level, "label": level.capitalize()} for level in LEVELS],
        "poll_interval": 5,
    }


def analysis_conf() -> dict[str, Any]:
    """Run config of an item analysis over the whole item bank."""
    return {
        "dataset_type": "ibk-analysis-by-question",
        "options": {"fields": ["item_reference", "question_reference", *ANALYSIS_FIELDS]},
        "poll_interval": 5,
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
