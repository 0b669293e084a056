"""The tasks that every dataset DAG consists of, and how they hang together; in one place for all such DAGs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, TaskGroup

from learnosity.operators import (
    LearnosityCreateDatasetOperator,
    LearnosityLandFilesOperator,
    LearnosityListFilesOperator,
    LearnosityPublishOperator,
)
from learnosity.params import default_destination
from learnosity.sensors import LearnosityJobSensor

REQUEST_KEYS = ("dataset_type", "filters", "options", "groups", "organisation_id")

LEARNOSITY_RETRIES = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="learnosity.errors.PermanentError",
            action=RetryAction.FAIL,
            reason="Trying again cannot help; the error says what to change.",
        ),
        RetryRule(
            exception="learnosity.errors.TransientError",
            action=RetryAction.RETRY,
            reason="The API, the network or the store failed for now; the next try continues.",
        ),
    ]
)

# A transient error has been through backoff inside the task already. These tries last for about an hour: 30 s, 1, 2,
# 4, 8, 15 and 15 minutes apart.
RETRY_ARGS: dict[str, Any] = {
    "retries": 7,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
    "retry_policy": LEARNOSITY_RETRIES,
}


def dataset_tasks(values: Mapping[str, Any]) -> None:
    """Add the tasks to the DAG in whose `with` block this is called.

    :param values: the params of design section 4.1, as values or as templates; what is missing has the default of
        its operator. The connection comes from the DAG's `default_args`.
    """
    request = {key: values.get(key) for key in REQUEST_KEYS}
    destination = values.get("destination_uri") or default_destination()
    create_dataset = LearnosityCreateDatasetOperator(
        task_id="create_dataset",
        request=request,
        destination_uri=destination,
        **_given(values, "input_uri", "dataset_id"),
    )
    wait_for_job = LearnosityJobSensor(
        task_id="wait_for_job",
        job_reference="{{ ti.xcom_pull(task_ids='create_dataset', map_indexes=-1)['job_reference'] }}",
        deferrable=True,
        **_given(values, "poll_interval", "job_timeout"),
    )
    with TaskGroup("land") as land:
        landing: dict[str, Any] = {
            "dataset": create_dataset.output,
            "destination_uri": destination,
            **_given(values, "organisation_id"),
        }
        list_files = LearnosityListFilesOperator(
            task_id="list_files", **landing, **_given(values, "include", "overwrite", "landing_shards")
        )
        land_files = LearnosityLandFilesOperator.partial(
            task_id="land_files", map_index_template="shard {{ task.shard['shard'] }}", **landing
        ).expand(shard=list_files.output)
        publish = LearnosityPublishOperator(
            task_id="publish",
            **landing,
            request=request,
            shards=list_files.output,
            # A dataset that is published already has no shards to land: publishing then only checks it.
            trigger_rule="none_failed",
            # Airflow makes the asset of a type with its first event. Two tasks that end in the same instant would both
            # make it, and Airflow fails the second one, whose dataset is published: so they end one after the other.
            max_active_tis_per_dag=1,
        )
        list_files >> land_files >> publish
    create_dataset >> wait_for_job >> land


def _given(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
