"""The tasks of every dataset DAG, and their order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from json import JSONDecodeError
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, TaskGroup
from jinja2 import TemplateError

from learnosity.operators import (
    LearnosityCreateDatasetOperator,
    LearnosityLandFilesOperator,
    LearnosityListFilesOperator,
    LearnosityPublishOperator,
)
from learnosity.params import default_destination
from learnosity.sensors import LearnosityJobSensor

REQUEST_KEYS = ("dataset_type", "filters", "options", "groups", "organisation_id")

# Errors in code or in a template: a retry cannot help. Any other error may come from Airflow, so the task is retried.
PROGRAMMING_ERRORS = (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError, TemplateError)

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
        RetryRule(exception=JSONDecodeError, action=RetryAction.RETRY, reason="A reply to Airflow was cut short."),
        RetryRule(
            exception=[*PROGRAMMING_ERRORS],
            action=RetryAction.FAIL,
            reason="An error in a template, in the DAG or in this package: the next try would end in the same way.",
        ),
    ]
)

# The waits are at least 0.5, 1, 2, 4, 8, 15 and 15 minutes: a failure of 45 minutes does not end the run. Airflow makes
# the first five waits up to twice as long, at random. Short failures were already retried inside the task.
RETRY_ARGS: dict[str, Any] = {
    "retries": 7,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
    "retry_policy": LEARNOSITY_RETRIES,
}


def dataset_tasks(values: Mapping[str, Any]) -> None:
    """Add the tasks to the DAG in whose `with` block this is called.

    :param values: the fields of the run config by name (`run_config.FIELDS`), as values or as templates. A missing
        field has the default of its operator. The Airflow connection comes from the DAG's `default_args`.
    """
    request = {key: values.get(key) for key in REQUEST_KEYS}
    destination = values.get("destination_uri") or default_destination()
    create_dataset = LearnosityCreateDatasetOperator(
        task_id="create_dataset",
        request=request,
        destination_uri=destination,
        **_given(values, "input_uri", "dataset_id", "create", "job_reference"),
    )
    wait_for_job = LearnosityJobSensor(
        task_id="wait_for_job",
        # This is the full task id: inside a task group, the short task id would find no XCom.
        job_reference=f"{{{{ ti.xcom_pull(task_ids='{create_dataset.task_id}', map_indexes=-1)['job_reference'] }}}}",
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
            # If the dataset is already published, `land_files` is skipped. This task must run even then, to check it.
            trigger_rule="none_failed",
            # Airflow creates the asset of a dataset type with its first event. If two tasks ended at the same moment,
            # both would create the asset. Airflow would then fail one task, although its dataset is published.
            max_active_tis_per_dag=1,
        )
        list_files >> land_files >> publish
    create_dataset >> wait_for_job >> land


def _given(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
