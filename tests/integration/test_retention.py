"""The DAG `learnosity_retention` in a real Airflow: removes what a run names, and tells of it in an asset event."""

from __future__ import annotations

import obstore
import pytest
from airflow_client.client import AssetApi

from devstack.stack import Stack
from tests.memory_store import MemoryStore
from tests.unit.retention.scenes import layout_of, publish

DAG_ID = "learnosity_retention"
TYPE = "retention-sample"


@pytest.fixture
def keys(stack: Stack) -> set[str]:
    """Two datasets of a type of their own. The second is the latest."""
    scene = MemoryStore()
    for number in (1, 2):
        publish(scene, layout_of(number, TYPE), 0)
    scene.objects[layout_of(2, TYPE).latest] = scene.objects[layout_of(2, TYPE).manifest]
    store = stack.seaweedfs.store("learnosity")
    folder = stack.destination_uri.rpartition("@")[2].partition("/")[2]
    for path, stored in scene.objects.items():
        obstore.put(store, f"{folder}/{path}", stored.content)
    return {f"{folder}/{path}" for path in scene.objects}


def test_ids_are_removed_and_the_latest_stays(stack: Stack, keys: set[str]) -> None:
    api = stack.airflow.api
    first, second = (layout_of(number, TYPE) for number in (1, 2))
    api.wait_for_dag(DAG_ID)
    api.unpause(DAG_ID)

    def there() -> set[str]:
        listed = obstore.list(stack.seaweedfs.store("learnosity")).collect()
        return {each["path"] for each in listed if f"/{TYPE}/" in f"/{each['path']}"}

    conf = {"dataset_ids": [first.dataset_id, second.dataset_id]}
    dry = api.wait_for_run(DAG_ID, api.trigger(DAG_ID, conf).dag_run_id, timeout=300)
    assert there() == keys
    assert api.xcom(DAG_ID, dry.dag_run_id, "remove_datasets")["would_remove"] == 1

    wet = api.wait_for_run(DAG_ID, api.trigger(DAG_ID, conf | {"dry_run": False}).dag_run_id, timeout=300)
    assert there() == {key for key in keys if first.prefix not in key}
    tasks = {task.task_id: task for task in api.task_instances(DAG_ID, wet.dag_run_id)}
    assert (tasks["remove_datasets"].state, tasks["report_problems"].state) == ("success", "failed")
    assert "latest.json names it" in api.log(DAG_ID, wet.dag_run_id, tasks["report_problems"])
    assert first.prefix in api.log(DAG_ID, wet.dag_run_id, tasks["remove_datasets"])

    assets = AssetApi(api.client)
    asset = assets.get_assets(name_pattern="learnosity-removed-datasets").assets[0]
    events = assets.get_asset_events(asset_id=asset.id).asset_events
    assert [
        (event.source_run_id, [each["dataset_id"] for each in (event.extra or {})["removed"]]) for event in events
    ] == [(wet.dag_run_id, [first.dataset_id])]
