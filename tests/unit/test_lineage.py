"""Lineage as the OpenLineage provider itself takes it from our operators."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.openlineage.extractors import OperatorLineage
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from airflow.utils.state import TaskInstanceState

from learnosity.errors import StorageError
from learnosity.lineage import object_name
from learnosity.operators import LearnosityCreateDatasetOperator, LearnosityPublishOperator

DATASET_ID = "a951cc14-0316-4c12-bb13-1f386338a094"
CREATED = {"dataset_id": DATASET_ID, "dataset_type": "activity-summary-by-group", "job_reference": "j"}
PUBLISHED = {**CREATED, "file_count": 2222, "total_bytes": 12_000_000}


def extracted(task: Any) -> OperatorLineage[Any, Any]:
    """What the provider finds after the task has succeeded."""
    run = SimpleNamespace(run_id="r")
    return ExtractorManager().extract_metadata(run, task, TaskInstanceState.SUCCESS, None)


def create(input_uri: str | None) -> LearnosityCreateDatasetOperator:
    return LearnosityCreateDatasetOperator(task_id="create_dataset", request={}, input_uri=input_uri)


def test_a_created_dataset_comes_from_its_input() -> None:
    task = create("s3://aws@bucket/users/*.ndjson.gz")
    task.created = CREATED
    found = extracted(task)
    assert [(each.namespace, each.name) for each in found.inputs] == [("s3://bucket", "users")]
    (made,) = found.outputs
    assert (made.namespace, made.name) == ("x-learnosity://datasets", "activity-summary-by-group")
    assert made.facets["version"].datasetVersion == DATASET_ID


def test_a_dataset_without_input_comes_from_nowhere() -> None:
    task = create(None)
    task.created = CREATED
    found = extracted(task)
    assert found.inputs == []
    assert len(found.outputs) == 1


def test_a_task_that_failed_has_read_and_made_nothing_more() -> None:
    found = extracted(create("s3://bucket/users.ndjson"))
    assert [(each.namespace, each.name) for each in found.inputs] == [("s3://bucket", "users.ndjson")]
    assert found.outputs == []


def test_a_published_dataset_is_a_version_of_the_place_where_its_type_lands() -> None:
    task = LearnosityPublishOperator(
        task_id="publish", dataset=CREATED, destination_uri="s3://aws@bucket/datasets/", request={}, shards=[]
    )
    task.published = PUBLISHED
    found = extracted(task)
    assert [(each.namespace, each.name) for each in found.inputs] == [
        ("x-learnosity://datasets", "activity-summary-by-group")
    ]
    (landed,) = found.outputs
    assert (landed.namespace, landed.name) == ("s3://bucket", "datasets/activity-summary-by-group")
    assert landed.facets["version"].datasetVersion == DATASET_ID
    statistics = landed.outputFacets["outputStatistics"]
    assert (statistics.fileCount, statistics.size) == (2222, 12_000_000)


@pytest.mark.parametrize(
    ("uri", "namespace", "name"),
    [
        ("s3a://bucket", "s3://bucket", "/"),
        ("gcs://google@bucket/a/b", "gs://bucket", "a/b"),
        ("abfs://azure_by_name@container/a", "abfss://container@account.dfs.core.windows.net", "a"),
        ("wasb://azure_by_url@container/a", "abfss://container@account.dfs.core.windows.net", "a"),
        ("wasb://azure_by_zone@container/a", "abfss://container@account.dfs.core.windows.net", "a"),
        ("wasb://azure_by_copy@container/a", "abfss://container@account.dfs.core.windows.net", "a"),
        ("wasb://azure_by_emulator@container/a", "abfss://container@account.dfs.core.windows.net", "a"),
        ("wasbs://container@account.blob.core.windows.net/a", "abfss://container@account.dfs.core.windows.net", "a"),
        ("file:///srv/datasets", "file", "/srv/datasets"),
        ("hdfs://name-node/a", "hdfs://name-node", "a"),
    ],
)
def test_places_are_named_as_openlineage_has_it(
    monkeypatch: pytest.MonkeyPatch, uri: str, namespace: str, name: str
) -> None:
    hosts = {
        "by_name": "account",
        "by_url": "https://account.blob.core.windows.net",
        "by_zone": "https://account.z01.blob.storage.azure.net",
        "by_copy": "https://account-secondary.blob.core.windows.net",
        "by_emulator": "http://localhost:10000/account",
    }
    for conn_id, host in hosts.items():
        connection = {"conn_type": "wasb", "host": host, "password": "a2V5"}
        monkeypatch.setenv(f"AIRFLOW_CONN_AZURE_{conn_id.upper()}", json.dumps(connection))
    assert object_name(uri) == (namespace, name)


def test_what_is_no_place_is_said_to_be_none() -> None:
    with pytest.raises(StorageError):
        object_name("datasets")
