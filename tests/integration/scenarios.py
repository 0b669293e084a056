"""What the integration tests share: the runs that they look at, and the simulator's own truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import obstore
from airflow_client.client import ConnectionBody, DAGRunResponse, TaskInstanceResponse

from devstack.errors import ApiError
from devstack.landed import LandedDataset
from devstack.rest import AirflowApi
from devstack.samples import DAG_ID
from devstack.simulator import Simulator
from devstack.stack import Stack
from devstack.tasks import label, state

USERS = 200


@dataclass
class Runs:
    """Triggered runs by name."""

    stack: Stack
    started: dict[str, str] = field(default_factory=dict)
    refused: dict[str, ApiError] = field(default_factory=dict)
    timeout: float = 420
    """Seconds that a run may take."""

    @property
    def api(self) -> AirflowApi:
        """The stack's REST API."""
        return self.stack.airflow.api

    def start(self, name: str, conf: Mapping[str, Any], *, note: str | None = None) -> None:
        """Trigger a run; a refusal by the form's schema is kept under its name."""
        try:
            run = self.api.trigger(DAG_ID, conf, run_id=f"test-{name}", note=note)
            self.started[name] = run.dag_run_id
        except ApiError as error:
            self.refused[name] = error

    def finish(self, name: str) -> DAGRunResponse:
        """Wait for a run's end."""
        return self.api.wait_for_run(DAG_ID, self.started[name], timeout=self.timeout)

    def tasks(self, name: str) -> dict[str, TaskInstanceResponse]:
        """Its task instances by label."""
        return {label(task): task for task in self.api.task_instances(DAG_ID, self.started[name])}

    def log(self, name: str, task: TaskInstanceResponse) -> str:
        """A task's log."""
        return self.api.log(DAG_ID, self.started[name], task)

    def explain(self, name: str) -> str:
        """States of a run's tasks, and the end of the log of each one that failed."""
        text = []
        for task in self.tasks(name).values():
            text.append(f"{label(task)}: {state(task)} (try {task.try_number})")
            if task.state in ("failed", "up_for_retry"):
                text.append(self.log(name, task)[-2000:])
        return "\n".join(text)

    def xcom(self, name: str, task_id: str) -> Any:
        """What a task returned."""
        return self.api.xcom(DAG_ID, self.started[name], task_id)


def simulator_connection(stack: Stack, conn_id: str, **changes: Any) -> ConnectionBody:
    """A connection to the stack's simulator.

    :param changes: other values of its fields
    """
    host, _, port = stack.simulator.url.removeprefix("http://").partition(":")
    fields: dict[str, Any] = {
        "connection_id": conn_id,
        "conn_type": "learnosity",
        "schema": "http",
        "host": host,
        "port": int(port),
        "login": stack.simulator.consumer.access_key,
        "password": stack.simulator.consumer.secret_key,
    }
    return ConnectionBody.model_validate(fields | changes)


@dataclass(frozen=True)
class Control:
    """The simulator's control endpoints."""

    simulator: Simulator

    def get(self, path: str) -> Any:
        """A GET below `/_control`."""
        return self.simulator.control(path)

    def made_files(self, dataset_id: str) -> dict[str, str]:
        """The SHA-256 of every result file of a dataset, by path."""
        return self.simulator.made_files(dataset_id)


def landed(stack: Stack, dataset_type: str, dataset_id: str) -> LandedDataset:
    """A dataset as a consumer reads it, through its own manifest."""
    store = stack.seaweedfs.store("learnosity", prefix="datasets")
    return LandedDataset.of(store, dataset_type, dataset_id)


def manifest_of(stack: Stack, dataset_type: str, dataset_id: str) -> dict[str, Any]:
    """The manifest of a dataset, as it is."""
    store = stack.seaweedfs.store("learnosity", prefix="datasets")
    content = bytes(obstore.get(store, f"{dataset_type}/{dataset_id}/manifest.json").bytes())
    return msgspec.json.decode(content, type=dict[str, Any])


def published(runs: Runs, name: str) -> dict[str, Any]:
    """Wait for a run that has to succeed; what it published."""
    run = runs.finish(name)
    assert run.state == "success", runs.explain(name)
    result = runs.xcom(name, "land.publish")
    assert isinstance(result, dict)
    return result
