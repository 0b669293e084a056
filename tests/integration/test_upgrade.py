"""Backup, restore, a new key and an upgrade with runs in flight, as docs/operations.md says, on plain processes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.env import new_fernet_key, write
from compose.plain import PlainStack
from compose.proof.deployment import Deployment
from devstack.environment import REPOSITORY
from devstack.landed import LandedDataset
from devstack.ports import free_ports
from devstack.samples import DAG_ID, group_conf
from devstack.secrets import KeyPair
from devstack.servers import back_up, restore
from devstack.simulator import Simulator
from devstack.tasks import state
from devstack.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RUN_SECONDS = 600.0
INPUT = "s3://aws_landing@learnosity/input/users.ndjson"
USERS = 300
# Longer than all parts of Airflow take to stop and to start.
JOB_SECONDS = 240.0
SLOW_FILES = {"match": "file", "kind": "latency", "seconds": 3.0}


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    keys = KeyPair("0123456789abcdef", "0123456789abcdef0123456789abcdef01234567")
    simulator = Simulator.start(tmp_path / "simulator", consumer=keys, job_seconds=2.0, log=tmp_path / "simulator.log")
    try:
        simulator.wait_until_ready()
        yield simulator
    finally:
        simulator.stop()


@pytest.fixture
def env_file(tmp_path: Path, simulator: Simulator) -> Path:
    """An `.env` as `make compose-env` writes it, with the simulator instead of Learnosity."""
    path = tmp_path / "env"
    write(path)
    (port,) = free_ports(1)
    Deployment({}, path, port).change(
        AIRFLOW_PORT=str(port),
        LEARNOSITY_CONSUMER_KEY=simulator.consumer.access_key,
        LEARNOSITY_CONSUMER_SECRET=simulator.consumer.secret_key,
        LEARNOSITY_URL=simulator.url,
        AIRFLOW_HEARTBEAT_TIMEOUT="30",
        AIRFLOW_QUEUED_TIMEOUT="60",
    )
    return path


@pytest.fixture
def stack(env_file: Path, tmp_path: Path) -> Iterator[PlainStack]:
    stack = PlainStack(REPOSITORY, env_file, tmp_path / "data")
    try:
        yield stack
    finally:
        stack.down()


def seed(stack: PlainStack) -> None:
    """Put the input into the store, and wait for the DAG."""
    import msgspec
    import obstore

    from simulator.population import records

    assert stack.store is not None
    lines = (msgspec.json.encode(record) + b"\n" for record in records(USERS))
    obstore.put(stack.store.store(), "input/users.ndjson", b"".join(lines))
    stack.api.wait_for_dag(DAG_ID, timeout=240)


def start(stack: PlainStack, run_id: str, **more: object) -> str:
    return stack.api.trigger(DAG_ID, group_conf(INPUT, poll_interval=2, **more), run_id=run_id).dag_run_id


def is_in(stack: PlainStack, run_id: str, task_id: str, *states: str) -> bool:
    tasks = stack.api.task_instances(DAG_ID, run_id)
    return any(task.task_id == task_id and state(task) in states for task in tasks)


def wait_for(stack: PlainStack, run_id: str, task_id: str, *states: str) -> None:
    wait_until(
        lambda: is_in(stack, run_id, task_id, *states),
        timeout=RUN_SECONDS,
        late=lambda: f"{task_id} of {run_id} is in none of {states}",
        every=0.5,
    )


def check(stack: PlainStack, simulator: Simulator, run_id: str) -> None:
    """The run ended well, its dataset is whole, and it was one job."""
    assert stack.api.wait_for_run(DAG_ID, run_id, timeout=RUN_SECONDS).state == "success"
    assert stack.store is not None
    dataset = LandedDataset.of_run(stack.store.store(prefix="datasets"), run_id)
    assert dataset.problems() == []
    assert simulator.control("stats")["jobs_started"].get(dataset.manifest.dataset_id, 1) == 1


def test_a_backup_comes_back_in_empty_volumes_and_an_open_wait_goes_on(
    stack: PlainStack, simulator: Simulator, tmp_path: Path
) -> None:
    stack.up()
    seed(stack)
    check(stack, simulator, start(stack, "before"))
    simulator.control("config", method="POST", body={"job_seconds": JOB_SECONDS})
    waiting = start(stack, "waits")
    wait_for(stack, waiting, "wait_for_job", "deferred")

    # Backup: .env, the database, the buckets.
    backup = tmp_path / "backup"
    backup.mkdir()
    shutil.copy(stack.env_file, backup / ".env")
    back_up(stack.postgres, backup / "airflow.dump")
    stack.down()
    shutil.copytree(stack.data / "s3", backup / "s3")

    # All is lost.
    shutil.rmtree(stack.data)
    stack.env_file.unlink()

    # Restore, in the order of the page.
    shutil.copy(backup / ".env", stack.env_file)
    shutil.copytree(backup / "s3", stack.data / "s3")
    stack.start_servers()
    restore(stack.postgres, backup / "airflow.dump")
    stack.up()
    assert stack.api.dag_run(DAG_ID, "before").state == "success"
    assert is_in(stack, waiting, "wait_for_job", "deferred", "running", "scheduled", "queued")
    simulator.control("config", method="POST", body={"job_seconds": 1.0})
    for run_id in (waiting, start(stack, "after"), "before"):
        check(stack, simulator, run_id)


def test_an_upgrade_from_the_commit_before_keeps_a_wait_and_a_landing(
    stack: PlainStack, simulator: Simulator, tmp_path: Path
) -> None:
    commit = os.environ.get("UPGRADE_FROM", "HEAD~1")
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=REPOSITORY, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", earlier], input=archive, check=True)
    stack.checkout = earlier
    stack.up()
    seed(stack)
    simulator.control("faults", method="POST", body=SLOW_FILES)
    landing = start(stack, "lands", landing_shards=4)
    wait_for(stack, landing, "land.land_files", "running")
    simulator.control("config", method="POST", body={"job_seconds": JOB_SECONDS})
    waiting = start(stack, "waits")
    wait_for(stack, waiting, "wait_for_job", "deferred")

    stack.down()
    stack.checkout = REPOSITORY
    stack.up()
    simulator.control("faults", method="DELETE")
    simulator.control("config", method="POST", body={"job_seconds": 1.0})
    for run_id in (landing, waiting, start(stack, "after")):
        check(stack, simulator, run_id)


def test_the_fernet_key_is_rotated_while_a_wait_is_deferred(stack: PlainStack, simulator: Simulator) -> None:
    stack.up()
    seed(stack)
    simulator.control("config", method="POST", body={"job_seconds": JOB_SECONDS})
    waiting = start(stack, "waits")
    wait_for(stack, waiting, "wait_for_job", "deferred")
    settings = Deployment({}, stack.env_file, int(stack.settings["AIRFLOW_PORT"]))
    new, old = new_fernet_key(), stack.settings["AIRFLOW_FERNET_KEY"]
    for key in (f"{new},{old}", new):
        stack.stop_airflow()
        settings.change(AIRFLOW_FERNET_KEY=key)
        stack.up()
        if old in key:
            stack.run("rotate", "python", "/opt/airflow/compose/rotate_fernet.py")
    simulator.control("config", method="POST", body={"job_seconds": 1.0})
    for run_id in (waiting, start(stack, "after")):
        check(stack, simulator, run_id)
