"""The Fernet key is rotated as docs/operations.md says, while a wait is deferred."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from compose.env import new_fernet_key
from devstack.environment import REPOSITORY
from devstack.samples import DAG_ID, group_conf, upload_users
from devstack.stack import Stack, StackOptions
from devstack.tasks import state
from devstack.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

COMMAND_SECONDS = 180.0
RUN_SECONDS = 400.0
# Long enough for the wait to be deferred. After that, the API answers with an error until the key is rotated.
JOB_SECONDS = 90.0
BROKEN = {"match": "get jobs", "kind": "status", "status": 502}


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("rotation"), StackOptions(job_seconds=JOB_SECONDS)) as stack:
        stack.airflow.api.wait_for_dag(DAG_ID)
        yield stack


def restart(stack: Stack, key: str) -> None:
    """All of Airflow ends, and begins again with another key."""
    stack.airflow.stop()
    stack.airflow.env["AIRFLOW__CORE__FERNET_KEY"] = key


def is_deferred(stack: Stack, run_id: str) -> bool:
    tasks = stack.airflow.api.task_instances(DAG_ID, run_id)
    return any(task.task_id == "wait_for_job" and state(task) == "deferred" for task in tasks)


def test_a_wait_and_the_connections_survive_a_new_key(stack: Stack) -> None:
    run = stack.airflow.api.trigger(DAG_ID, group_conf(upload_users(stack, 30), poll_interval=1))
    wait_until(
        lambda: is_deferred(stack, run.dag_run_id),
        timeout=RUN_SECONDS,
        late=lambda: "the wait was not deferred",
        every=0.5,
    )
    stack.simulator.control("faults", method="POST", body=BROKEN)
    old, new = stack.airflow.env["AIRFLOW__CORE__FERNET_KEY"], new_fernet_key()
    restart(stack, f"{new},{old}")
    script = REPOSITORY / "compose" / "rotate_fernet.py"
    # -P: `airflow` is then the package, whatever stands beside the script.
    subprocess.run([sys.executable, "-P", script], env=stack.airflow.env, timeout=COMMAND_SECONDS, check=True)
    restart(stack, new)
    stack.airflow.start()
    stack.airflow.wait_until_ready()
    assert is_deferred(stack, run.dag_run_id)
    stack.simulator.control("faults", method="DELETE")
    assert stack.airflow.api.wait_for_run(DAG_ID, run.dag_run_id, timeout=RUN_SECONDS).state == "success"
    stack.simulator.control("config", method="POST", body={"job_seconds": 1.0})
    # A new run reads both connections with the new key alone.
    again = stack.airflow.api.trigger(DAG_ID, group_conf(upload_users(stack, 30), poll_interval=1))
    assert stack.airflow.api.wait_for_run(DAG_ID, again.dag_run_id, timeout=RUN_SECONDS).state == "success"
