"""The main job on two Celery workers with PostgreSQL and Redis: shared landing, a lost worker, many runs at once."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from airflow_client.client import DAGRunResponse, TaskInstanceResponse

from devstack.celery import CeleryStack
from devstack.samples import DAG_ID, group_conf, upload_users
from devstack.stack import StackOptions
from devstack.waiting import wait_until
from learnosity.api.client import LearnosityClient
from learnosity.api.config import build_config
from learnosity.api.signed_urls import SignedTransfer
from learnosity.connections import open_store
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import RunInfo
from learnosity.landing.land import land_shard
from learnosity.landing.listing import ResultSet
from learnosity.landing.plan import make_plan
from learnosity.landing.publish import publish
from tests.integration.scenarios import landed

pytestmark = pytest.mark.slow

log = logging.getLogger(__name__)

# `make celery-test` takes 50; fewer show the same in the time of the whole suite.
MANY = int(os.environ.get("CELERY_RUNS", "8"))
HEARTBEAT_SECONDS = 30
SETTINGS = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_SECONDS),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    # What a dead worker had taken from the broker and not begun is found by its time in the queue.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "45",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__CORE__MAX_ACTIVE_RUNS_PER_DAG": "100",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "100",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CeleryStack]:
    """Two workers with four slots each; the simulator has the real quotas (they are its defaults)."""
    options = StackOptions(job_seconds=1.0, airflow_env=SETTINGS)
    with CeleryStack(tmp_path_factory.mktemp("celery"), options, workers=2, concurrency=4) as stack:
        stack.airflow.api.wait_for_dag(DAG_ID)
        yield stack


def conf(stack: CeleryStack, users: int, *, shards: int) -> dict[str, Any]:
    """Run config over so many users; such a run looks at its job often."""
    return group_conf(upload_users(stack, users), landing_shards=shards, poll_interval=1)


def start(stack: CeleryStack, config: dict[str, Any]) -> DAGRunResponse:
    """Trigger a run."""
    return stack.airflow.api.trigger(DAG_ID, config)


def finish(stack: CeleryStack, run: DAGRunResponse, *, timeout: float = 240.0) -> DAGRunResponse:
    """Wait for a run's end."""
    return stack.airflow.api.wait_for_run(DAG_ID, run.dag_run_id, timeout=timeout)


def shards(stack: CeleryStack, run: DAGRunResponse) -> list[TaskInstanceResponse]:
    """The landing tasks of a run, each with the worker that ran it."""
    tasks = stack.airflow.api.task_instances(DAG_ID, run.dag_run_id)
    return [task for task in tasks if task.task_id == "land.land_files"]


def stats(stack: CeleryStack) -> dict[str, Any]:
    """What the simulator has counted."""
    counted: dict[str, Any] = stack.simulator.control("stats")
    return counted


async def land_in_one_process(stack: CeleryStack, layout: DatasetLayout, destination: Path) -> None:
    """Land a dataset that the simulator holds into a local folder, here and as one shard."""
    config = build_config(
        "simulator",
        login=stack.simulator.consumer.access_key,
        password=stack.simulator.consumer.secret_key,
        host=stack.simulator.url,
    )
    store = open_store(destination.as_uri())
    work = layout.work_prefix("one-process", "plan")
    async with LearnosityClient(config) as client, SignedTransfer(config) as transfer:
        results = ResultSet(client, layout.dataset_type, layout.dataset_id, {})
        await make_plan(store, layout, results, work=work)
        await land_shard(store, layout, results, transfer, work=work, shard=0)
    await publish(
        store, layout, work=work, shards=1, job_reference="-", request={}, run=RunInfo("here", "one-process", None)
    )


def test_a_landing_shared_by_two_workers_is_byte_for_byte_that_of_one_process(
    stack: CeleryStack, tmp_path: Path
) -> None:
    run = start(stack, conf(stack, 1500, shards=4))
    assert finish(stack, run).state == "success"
    assert {shard.hostname for shard in shards(stack, run)} == {"worker-1", "worker-2"}
    created = stack.airflow.api.xcom(DAG_ID, run.dag_run_id, "create_dataset")
    dataset = landed(stack, created["dataset_type"], created["dataset_id"])
    assert dataset.problems() == []
    layout = DatasetLayout(created["dataset_type"], created["dataset_id"])
    asyncio.run(land_in_one_process(stack, layout, tmp_path))
    store = stack.seaweedfs.store(prefix=stack.options.prefix)
    folder = tmp_path / dataset.folder
    assert bytes(obstore.get(store, f"{dataset.folder}/files.ndjson").bytes()) == (folder / "files.ndjson").read_bytes()
    here = {str(file.relative_to(folder)): file for file in (folder / "data").rglob("*") if file.is_file()}
    assert set(here) == {f"data/{file.path}" for file in dataset.listed}
    for path, file in here.items():
        assert bytes(obstore.get(store, f"{dataset.folder}/{path}").bytes()) == file.read_bytes(), path


def test_a_worker_that_dies_in_the_middle_of_landing_costs_no_file_and_no_second_job(stack: CeleryStack) -> None:
    slow = {"match": "file", "kind": "latency", "seconds": 2.0, "times": 1500}
    stack.simulator.control("faults", method="POST", body=slow)
    run = start(stack, conf(stack, 3000, shards=4))
    victim = wait_for_victim(stack, run)
    stack.workers[victim].kill()
    stack.start_worker(victim)
    try:
        assert finish(stack, run, timeout=280).state == "success"
    finally:
        stack.simulator.control("faults", method="DELETE")
        stack.wait_for_worker(victim)
    assert max(shard.try_number for shard in shards(stack, run)) > 1
    created = stack.airflow.api.xcom(DAG_ID, run.dag_run_id, "create_dataset")
    assert landed(stack, created["dataset_type"], created["dataset_id"]).problems() == []
    assert stats(stack)["jobs_started"][created["dataset_id"]] == 1


def wait_for_victim(stack: CeleryStack, run: DAGRunResponse) -> str:
    """The name of a worker that is landing files of this run."""

    def look() -> str | None:
        names = (shard.hostname for shard in shards(stack, run) if shard.state == "running")
        return next((name for name in names if name in stack.workers), None)

    return wait_until(look, timeout=120, late=lambda: "no worker began to land files", every=0.2)


def test_many_runs_at_once_stay_within_the_quota_of_their_key(stack: CeleryStack) -> None:
    before = stats(stack)["jobs_started"]
    size = stack.database_bytes()
    small = conf(stack, 30, shards=1)
    runs = [start(stack, small) for _ in range(MANY)]
    ended = [finish(stack, run, timeout=600).state for run in runs]
    assert ended == ["success"] * MANY
    jobs = {dataset: count for dataset, count in stats(stack)["jobs_started"].items() if dataset not in before}
    assert list(jobs.values()) == [1] * MANY
    # Shown with `--log-cli-level=INFO`: how many calls were refused for the quota, and what a run adds to the database.
    grown = (stack.database_bytes() - size) / MANY
    log.info("%d runs: %d calls refused (429), %.0f bytes of database a run", MANY, stats(stack)["rate_limited"], grown)
