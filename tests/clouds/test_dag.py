"""The whole DAG on each cloud: input, dataset, landing in shards with a killed task, publication and page."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from obstore.store import ObjectStore

from devstack.airflow import SCHEDULER
from devstack.environment import REPOSITORY
from devstack.errors import ApiError, Unreachable
from devstack.landed import LandedDataset
from devstack.samples import DAG_ID, GROUP_TYPE, group_conf
from devstack.stack import LANDING_CONN_ID, Stack, StackOptions
from devstack.waiting import wait_until
from learnosity.connections import open_store
from learnosity.storage.uris import parse_uri
from simulator.population import records
from tests.clouds.azurite import Azurite
from tests.clouds.gcs import Gcs

USERS = 200
SHARDS = 3
SLOW_FILES = {"match": "file", "kind": "latency", "seconds": 3.0}  # leaves time to kill a task
LANDING = "land.land_files"
KINDS = ("s3", "azure", "gcs", "file")


@pytest.fixture(scope="session")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A folder of each store."""
    return {
        "s3": f"s3://{LANDING_CONN_ID}@{StackOptions().bucket}/clouds",
        "azure": "abfs://cloud_azure@landing/clouds",
        "gcs": "gs://cloud_gcs@landing/clouds",
        "file": tmp_path_factory.mktemp("clouds").as_uri(),
    }


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, azurite: Azurite, gcs: Gcs, roots: dict[str, str]
) -> Iterator[Stack]:
    """Airflow, with a connection to each cloud."""
    env = {"AIRFLOW_CONN_CLOUD_AZURE": azurite.connection, "AIRFLOW_CONN_CLOUD_GCS": gcs.connection}
    allowed = {"AIRFLOW_VAR_LEARNOSITY_ALLOWED_URIS": json.dumps(list(roots.values()))}
    options = StackOptions(job_seconds=0.5, dags=REPOSITORY / "dags", airflow_env=env | allowed)
    with Stack(tmp_path_factory.mktemp("stack"), options) as running:
        running.airflow.api.wait_for_dag(DAG_ID)
        # Results come slowly, so that a task can be killed while it lands them.
        rule = {"match": "file", "kind": "latency", "seconds": 0.3}
        running.simulator.control("faults", method="POST", body=[rule])
        with pytest.MonkeyPatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            landing = running.seaweedfs.landing
            extra = {"endpoint_url": running.seaweedfs.endpoint, "region_name": "us-east-1"}
            keys = {"login": landing.access_key, "password": landing.secret_key}
            patch.setenv(
                f"AIRFLOW_CONN_{LANDING_CONN_ID.upper()}", json.dumps({"conn_type": "aws", "extra": extra, **keys})
            )
            yield running


@pytest.mark.parametrize("kind", KINDS)
async def test_a_dataset_lands_whole_although_a_task_is_killed(stack: Stack, roots: dict[str, str], kind: str) -> None:
    store: Any = await asyncio.to_thread(open_store, roots[kind])
    lines = b"".join(json.dumps(record).encode() + b"\n" for record in records(USERS, GROUP_TYPE, seed=1))
    await store.put("input/users.ndjson", lines)
    await asyncio.to_thread(_run, stack, roots[kind], f"cloud-{kind}")


def _run(stack: Stack, root: str, run_id: str) -> None:
    api = stack.airflow.api
    conf = group_conf(
        f"{root}/input/users.ndjson", destination_uri=f"{root}/datasets", landing_shards=SHARDS, poll_interval=1
    )
    stack.simulator.control("faults", method="POST", body=SLOW_FILES)
    api.trigger(DAG_ID, conf, run_id=run_id)
    killed = wait_until(lambda: _killed(stack, run_id), timeout=600, late=lambda: "no task lands files")
    stack.simulator.control("faults", method="DELETE")
    run = api.wait_for_run(DAG_ID, run_id, timeout=600)
    tasks = api.task_instances(DAG_ID, run_id)
    assert run.state == "success", {task.task_id: (task.state, task.try_number) for task in tasks}
    (again,) = [task for task in tasks if (task.task_id, task.map_index) == killed]
    assert (again.try_number or 0) > 1
    assert len([task for task in tasks if task.task_id == LANDING]) == SHARDS
    destination: Any = open_store(f"{root}/datasets")
    while not isinstance(destination, ObjectStore):  # our classes wrap a store of obstore: take that one
        destination = destination._store
    dataset = LandedDataset.of_run(destination, run_id)
    assert dataset.problems(stack.simulator.made_files(dataset.manifest.dataset_id)) == []
    assert LandedDataset.latest(destination, GROUP_TYPE).manifest == dataset.manifest
    page = f"/learnosity/run/{DAG_ID}/{run_id}"
    assert dataset.manifest.dataset_id in api.page(page)
    assert dataset.listed[0].path.rpartition("/")[2] in api.page(f"{page}/files")
    assert parse_uri(root).scheme in api.page(page)


def _killed(stack: Stack, run_id: str) -> tuple[str, int] | None:
    """Kill a task that lands files, once some of them are on their way; which one."""
    api = stack.airflow.api
    try:
        tasks = api.task_instances(DAG_ID, run_id)
        if not any(task.task_id == LANDING for task in tasks):
            return None
        dataset_id = api.xcom(DAG_ID, run_id, "create_dataset")["dataset_id"]
        if not stack.simulator.control("stats")["file_gets"].get(dataset_id):
            return None
    except (ApiError, Unreachable):
        return None  # a busy machine answers late; the caller asks again
    for task in tasks:
        ours = {process.pid for process in stack.airflow.processes[SCHEDULER].leader.family()}
        if task.task_id == LANDING and task.state == "running" and task.pid in ours:
            with suppress(ProcessLookupError):
                os.kill(task.pid or 0, signal.SIGKILL)
                return task.task_id, task.map_index or 0
    return None
