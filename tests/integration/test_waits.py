"""The end of deferred waits on a real Airflow: in the triggerer, or in a worker where the task needs one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from airflow_client.client import AssetApi

from devstack.rest import AirflowApi
from devstack.stack import Stack
from tests.integration.conftest import WAITS

# How often a worker runs each task of the DAG.
WORKERS = {"nothing_else": 1, "with_callback": 2, "with_outlet": 2, "as_asked_for": 2}
TIMEOUT = 420.0


@dataclass(frozen=True)
class Run:
    """A run of that DAG."""

    api: AirflowApi
    run_id: str

    def returned(self, task_id: str) -> Any:
        """What a task returned."""
        return self.api.xcom(WAITS, self.run_id, task_id)

    def log(self, task_id: str) -> str:
        """The log of the last try of a task."""
        (task,) = (each for each in self.api.task_instances(WAITS, self.run_id) if each.task_id == task_id)
        return self.api.log(WAITS, self.run_id, task)


@pytest.fixture(scope="module")
def run(stack: Stack) -> Run:
    """All its waits are deferred, however soon the job is done."""
    api = stack.airflow.api
    api.wait_for_dag(WAITS)
    started = api.trigger(WAITS, {}).dag_run_id
    assert api.wait_for_run(WAITS, started, timeout=TIMEOUT).state == "success"
    return Run(api, started)


@pytest.mark.parametrize("task_id", WORKERS)
def test_a_wait_returns_the_job_wherever_it_ends(run: Run, task_id: str) -> None:
    job = run.returned("create_dataset")["job_reference"]
    assert run.returned(task_id) == job
    assert run.returned(f"after_{task_id}") == [job], "as the next task reads it"
    assert run.log(task_id).count("Pre Execute") == WORKERS[task_id]
    assert run.log(task_id).count(f"Job {job} is completed.") == 1


def test_what_belongs_to_the_end_of_a_wait_is_run(run: Run) -> None:
    assert "the callback was called" in run.log("with_callback")
    events = AssetApi(run.api.client).get_asset_events(limit=100, source_dag_id=WAITS).asset_events
    assert "with_outlet" in [event.source_task_id for event in events]


def test_a_wait_that_ended_in_the_triggerer_can_be_cleared(run: Run) -> None:
    run.api.clear(WAITS, run.run_id, ["nothing_else"])
    assert run.api.wait_for_run(WAITS, run.run_id, timeout=TIMEOUT).state == "success"
    (task,) = (each for each in run.api.task_instances(WAITS, run.run_id) if each.task_id == "nothing_else")
    assert task.try_number == 2
    assert run.returned("nothing_else") == run.returned("create_dataset")["job_reference"]
