"""The main job through a real Airflow: every dataset type is generated, waited for, landed and published."""

from __future__ import annotations

from typing import Any

import obstore
import pytest
from airflow_client.client import AssetApi, TaskStateStoreApi

from devstack.samples import DAG_ID
from devstack.stack import Stack
from tests.integration.scenarios import USERS, Control, Runs, landed, manifest_of, published

TYPES = {
    "activity-summary": "activity-summary-by-group",
    "sessions-summary": "sessions-summary-by-group",
    "item-bank": "ibk-analysis-by-question",
    "item-bank-files": "ibk-analysis-by-question",
    "activity-analysis": "activity-analysis-by-question",
    "activity-analysis-files": "activity-analysis-by-question",
    "folder-csv": "activity-summary-by-group",
    "csv": "activity-summary-by-group",
    "tsv": "activity-summary-by-group",
    "parquet": "activity-summary-by-group",
}


@pytest.mark.parametrize("name", TYPES)
def test_every_dataset_type_lands_whole_with_and_without_input_files(
    runs: Runs, stack: Stack, simulator_control: Control, name: str
) -> None:
    result = published(runs, name)
    dataset = landed(stack, TYPES[name], result["dataset_id"])
    made = simulator_control.made_files(result["dataset_id"])
    if name == "folder-csv":
        made = {path: digest for path, digest in made.items() if path.endswith(".csv")}
    assert dataset.problems(made) == []
    assert result["file_count"] == len(made) > 0
    assert simulator_control.get("stats")["jobs_started"][result["dataset_id"]] == 1


def test_the_manifest_says_what_was_asked_for_and_by_which_run(runs: Runs, stack: Stack) -> None:
    result = published(runs, "activity-summary")
    manifest = manifest_of(stack, "activity-summary-by-group", result["dataset_id"])
    created = runs.xcom("activity-summary", "create_dataset")
    assert manifest["job_reference"] == created["job_reference"]
    assert manifest["request"]["file_count"] == 1
    assert manifest["request"]["filters"] == {"activity_id": ["reading-2026", "mathematics-2026"]}
    assert [group["key"] for group in manifest["request"]["groups"]] == ["district", "school", "class"]
    assert manifest["run"] == {"dag_id": DAG_ID, "run_id": "test-activity-summary", "logical_date": None}
    assert created["records"] == USERS


@pytest.mark.parametrize("name", ["csv", "tsv", "parquet"])
def test_a_table_is_uploaded_as_the_same_bytes_as_lines_of_json(runs: Runs, stack: Stack, name: str) -> None:
    inputs = []
    for each in ("activity-summary", name):
        result = published(runs, each)
        inputs.append(manifest_of(stack, "activity-summary-by-group", result["dataset_id"])["input"])
    assert [given["records"] for given in inputs] == [USERS, USERS]
    assert inputs[0]["sha256"] == inputs[1]["sha256"]
    assert inputs[1]["files"] == (USERS // 2 if name == "csv" else 1)


def test_the_landing_is_shared_over_the_shards_that_were_asked_for(runs: Runs) -> None:
    result = published(runs, "sessions-summary")
    shards = [task for label, task in runs.tasks("sessions-summary").items() if label.startswith("land.land_files")]
    assert len(shards) == 3
    values = [
        runs.api.xcom(DAG_ID, "test-sessions-summary", "land.land_files", map_index=shard.map_index) for shard in shards
    ]
    assert sum(value["files"] for value in values) == result["file_count"]
    assert all(value["files"] for value in values)


def test_nothing_but_the_dataset_is_left_in_the_store(runs: Runs, stack: Stack) -> None:
    result = published(runs, "activity-summary")
    folder = f"activity-summary-by-group/{result['dataset_id']}/"
    store = stack.seaweedfs.store("learnosity", prefix="datasets")
    names = {entry["path"].removeprefix(folder) for batch in obstore.list(store, folder) for entry in batch}
    assert {name for name in names if not name.startswith("data/")} == {"manifest.json", "files.ndjson", "names.tsv"}


def test_an_asset_event_tells_of_every_published_dataset(runs: Runs) -> None:
    result = published(runs, "activity-summary")
    events = AssetApi(runs.api.client).get_asset_events(limit=100).asset_events
    (mine,) = (event for event in events if (event.extra or {}).get("dataset_id") == result["dataset_id"])
    assert mine.name == "learnosity_activity-summary-by-group"
    extra = mine.extra or {}
    assert set(extra) == set(result) - {"destination_uri", "learnosity_conn_id"}
    assert extra == {key: result[key] for key in extra}


@pytest.mark.promise("re-attach")
def test_clearing_a_finished_run_starts_no_second_job_and_moves_no_file(
    runs: Runs, stack: Stack, simulator_control: Control
) -> None:
    result = published(runs, "item-bank")
    before = simulator_control.get("stats")
    runs.api.clear(DAG_ID, runs.started["item-bank"], ["create_dataset"])
    again = published(runs, "item-bank")
    assert again["dataset_id"] == result["dataset_id"]
    after = simulator_control.get("stats")
    assert after["jobs_started"][result["dataset_id"]] == 1
    assert file_gets(after, result["dataset_id"]) == file_gets(before, result["dataset_id"])


def test_starting_over_is_a_deliberate_act(runs: Runs, simulator_control: Control) -> None:
    result = published(runs, "activity-analysis")
    run_id = runs.started["activity-analysis"]
    TaskStateStoreApi(runs.api.client).delete_task_state_store(
        dag_id=DAG_ID, dag_run_id=run_id, task_id="create_dataset", key="learnosity_dataset"
    )
    runs.api.clear(DAG_ID, run_id, ["create_dataset"])
    again = published(runs, "activity-analysis")
    assert again["dataset_id"] != result["dataset_id"]
    assert simulator_control.get("stats")["jobs_started"][again["dataset_id"]] == 1


def file_gets(stats: dict[str, Any], dataset_id: str) -> int:
    return sum(stats["file_gets"].get(dataset_id, {}).values())
