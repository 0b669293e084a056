"""The tasks of every dataset DAG, and their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from json import JSONDecodeError
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, TaskGroup
from airflow.sdk.definitions.mappedoperator import MappedOperator
from jinja2 import TemplateError

from learnosity.api.field_checks import check_names
from learnosity.errors import RequestError
from learnosity.operators import (
    LearnosityCreateDatasetOperator,
    LearnosityLandFilesOperator,
    LearnosityListFilesOperator,
    LearnosityPublishOperator,
)
from learnosity.run_config import DEFAULTS, REQUEST_KEYS
from learnosity.sensors import LearnosityJobSensor

# Types of errors in code or in a template. They are not retried, because a retry would fail in the same way. An error
# of a type that no rule below names may be a failure of Airflow itself, so it is retried.
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

# The waits between tries are at least 0.5, 1, 2, 4, 8, 15 and 15 minutes. So if the API or the store is down for 45
# minutes, the run does not fail. Airflow adds jitter: each of the first five waits can be up to twice as long, but not
# over 15 minutes. If the API or the store is down only for seconds, no retry is needed: the task repeats its calls.
RETRY_ARGS: dict[str, Any] = {
    "retries": 7,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
    "retry_policy": LEARNOSITY_RETRIES,
}


@dataclass(frozen=True, slots=True)
class DatasetTasks:
    """The tasks of one dataset, to set what runs before and after them.

    :param first: `create_dataset`.
    :param last: `publish`. Its `output` has `dataset_id`, `manifest_uri`, `file_count` and more.
    """

    first: LearnosityCreateDatasetOperator
    last: LearnosityPublishOperator


def dataset_tasks(
    values: Mapping[str, Any],
    *,
    group_id: str | None = None,
    run_config: Sequence[str] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> DatasetTasks:
    """Add the tasks of one dataset to the DAG, or to the task group, in whose `with` block this is called.

    In a mapped task group, one task lands all shards, because Airflow does not map tasks inside a mapped group.

    :param values: the fields of the run config by name (`run_config.FIELDS`), as values, templates or outputs of other
        tasks. A missing field has its default. Any other name is refused when the DAG is parsed.
    :param group_id: a task group for the tasks; a DAG with several datasets needs one for each. Default none.
    :param run_config: the fields that a run's config may give instead. Any other key of it is refused, except further
        params of the DAG. None = the run config is not read; default.
    :param fixed: fields that a run's config cannot change, with their values; default none.
    """
    _check_values(values)
    check_names(f"dataset of the group {group_id!r}" if group_id else "dataset", values, DEFAULTS)
    if group_id is not None:
        with TaskGroup(group_id):
            return dataset_tasks(values, run_config=run_config, fixed=fixed)
    request = {key: values.get(key) for key in REQUEST_KEYS}
    create_dataset = LearnosityCreateDatasetOperator(
        task_id="create_dataset",
        request=request,
        run_config=run_config,
        fixed=fixed,
        **_given(values, "input_uri", "input_columns", "dataset_id", "create", "job_reference"),
        **_given(values, "destination_uri", "learnosity_conn_id", "require_complete"),
    )
    wait_for_job = LearnosityJobSensor(
        task_id="wait_for_job",
        job_reference=create_dataset.output,
        deferrable=True,
        run_config=run_config and ("poll_interval", "job_timeout"),
        **_given(values, "poll_interval", "job_timeout"),
    )
    with TaskGroup("land") as land:
        list_files = LearnosityListFilesOperator(
            task_id="list_files",
            dataset=create_dataset.output,
            run_config=run_config and ("include", "overwrite", "landing_shards"),
            **_given(values, "include", "overwrite", "landing_shards"),
        )
        land_files: MappedOperator | LearnosityLandFilesOperator
        if create_dataset.get_closest_mapped_task_group() is None:
            land_files = LearnosityLandFilesOperator.partial(
                task_id="land_files",
                map_index_template="shard {{ task.shard['shard'] }}",
                dataset=create_dataset.output,
            ).expand(shard=list_files.output)
        else:
            land_files = LearnosityLandFilesOperator(
                task_id="land_files", dataset=create_dataset.output, shard=list_files.output
            )
        publish = LearnosityPublishOperator(
            task_id="publish",
            dataset=create_dataset.output,
            request=request,
            run_config=run_config,
            shards=list_files.output,
            **_given(values, "require_complete"),
            # If the dataset is already published, the tasks `land_files` are skipped. `publish` must run even then, to
            # check what is published.
            trigger_rule="none_failed",
        )
        list_files >> land_files >> publish
    create_dataset >> wait_for_job >> land
    return DatasetTasks(create_dataset, publish)


def _check_values(values: object) -> None:
    if not isinstance(values, Mapping):
        raise RequestError(
            f"The values of a dataset are {type(values).__name__}; they must be an object of fields, by name. In a "
            "mapped task group, each field is an argument of the group: map it with expand_kwargs."
        )


def _given(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
