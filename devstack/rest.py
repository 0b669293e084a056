"""Airflow's REST API for the local stack: the official client, logged in, and short names for the usual calls.

All other calls are made with the client's own classes, for example ``ConnectionApi(api.client).get_connections()``.
Importing the client takes a second. Modules that only name its types import them for type checking alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from airflow_client.client import (
    ClearTaskInstancesBody,
    ClearTaskInstancesBodyTaskIdsInner,
    DAGApi,
    DAGPatchBody,
    DAGResponse,
    DagRunApi,
    DAGRunResponse,
    ImportErrorApi,
    ImportErrorResponse,
    MonitorApi,
    StructuredLogMessage,
    TaskInstanceApi,
    TaskInstanceResponse,
    TriggerDAGRunPostBody,
    XComApi,
    XComResponse,
)

from devstack.errors import ApiError, Unreachable
from devstack.login import LoggedInClient, content
from devstack.tasks import label, state
from devstack.waiting import wait_until

HEALTH_SECONDS = 5.0
ENDED = ("success", "failed")


class AirflowApi:
    """The API of one Airflow, used by one user.

    :param url: address of the API server
    :param user: name to log in with
    :param password: kept in memory only
    :param timeout: seconds that an answer may take; the first call of a task can keep a busy machine for half a minute
    """

    def __init__(self, url: str, user: str, password: str, *, timeout: float = 90.0) -> None:
        self.url = url.rstrip("/")
        self.client = LoggedInClient(self.url, user, password, timeout)
        self._timeout = timeout
        self._dags = DAGApi(self.client)
        self._runs = DagRunApi(self.client)
        self._tasks = TaskInstanceApi(self.client)
        self._xcoms = XComApi(self.client)

    def as_user(self, user: str, password: str) -> AirflowApi:
        """The same API for another user."""
        return AirflowApi(self.url, user, password, timeout=self._timeout)

    def token(self) -> str:
        """The token of the logged-in user (a secret)."""
        return self.client.token()

    def health(self) -> dict[str, datetime | None] | None:
        """The last heartbeat of scheduler, dag_processor and triggerer; None while the API server does not work."""
        try:
            health = MonitorApi(self.client).get_health(_request_timeout=HEALTH_SECONDS)
        except (ApiError, Unreachable):
            return None
        processor = health.dag_processor
        return {
            "scheduler": _moment(health.scheduler.latest_scheduler_heartbeat),
            "dag_processor": _moment(processor.latest_dag_processor_heartbeat if processor else None),
            "triggerer": _moment(health.triggerer.latest_triggerer_heartbeat),
        }

    def dag(self, dag_id: str) -> DAGResponse:
        """A DAG.

        :raises ApiError: 404 when there is none (yet)
        """
        return self._dags.get_dag(dag_id)

    def import_errors(self) -> list[ImportErrorResponse]:
        """DAG files that cannot be read."""
        return ImportErrorApi(self.client).get_import_errors().import_errors

    def pause(self, dag_id: str) -> None:
        """Start nothing more of a DAG; runs can still be made, and wait."""
        self._dags.patch_dag(dag_id, DAGPatchBody(is_paused=True))

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run."""
        self._dags.patch_dag(dag_id, DAGPatchBody(is_paused=False))

    def wait_for_dag(self, dag_id: str, *, timeout: float = 60.0) -> DAGResponse:
        """Wait until the DAG processor has read a DAG, and let it run.

        :param timeout: seconds
        :raises NotReady: when it does not appear; names the DAG files that cannot be read
        """

        def look() -> DAGResponse | None:
            try:
                return self.dag(dag_id)
            except ApiError as error:
                if error.status != 404:
                    raise
                return None

        def late() -> str:
            problems = [f"{problem.filename}:\n{problem.stack_trace}" for problem in self.import_errors()]
            return "\n".join([f"there is no DAG {dag_id} after {timeout:.0f} s", *problems])

        dag = wait_until(look, timeout=timeout, late=late)
        self.unpause(dag_id)
        return dag

    def trigger(
        self,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        note: str | None = None,
        logical_date: datetime | None = None,
    ) -> DAGRunResponse:
        """Start a run.

        :param conf: its parameters
        :param run_id: default: one that Airflow makes
        :param note: what the user writes on it
        :raises ApiError: 4xx when a parameter is refused
        """
        body = TriggerDAGRunPostBody(conf=dict(conf or {}), dag_run_id=run_id, note=note, logical_date=logical_date)
        return self._runs.trigger_dag_run(dag_id, body)

    def dag_run(self, dag_id: str, run_id: str) -> DAGRunResponse:
        """One run."""
        return self._runs.get_dag_run(dag_id, run_id)

    def dag_runs(self, dag_id: str, *, limit: int = 100) -> list[DAGRunResponse]:
        """Runs of a DAG, the newest first."""
        return self._runs.get_dag_runs(dag_id, limit=limit, order_by=["-id"]).dag_runs

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstanceResponse]:
        """All tasks of a run with their mapped instances."""
        return self._tasks.get_task_instances(dag_id, run_id, limit=1000).task_instances

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        *,
        timeout: float = 300.0,
        on_poll: Callable[[Sequence[TaskInstanceResponse]], None] | None = None,
    ) -> DAGRunResponse:
        """Wait until a run has ended, well or not.

        :param timeout: seconds
        :param on_poll: gets all tasks every half second, and once more at the end
        :raises NotReady: when it still runs after that time
        """

        def look() -> DAGRunResponse | None:
            run = self.dag_run(dag_id, run_id)
            if on_poll:
                on_poll(self.task_instances(dag_id, run_id))
            return run if run.state in ENDED else None

        def late() -> str:
            states = {label(task): state(task) for task in self.task_instances(dag_id, run_id)}
            return f"run {run_id} of {dag_id} has not ended after {timeout:.0f} s: {states}"

        return wait_until(look, timeout=timeout, late=late)

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, key: str = "return_value", map_index: int = -1) -> Any:
        """A value that a task has left.

        :raises ApiError: 404 when there is none
        """
        entry = self._xcoms.get_xcom_entry(
            dag_id=dag_id,
            dag_run_id=run_id,
            task_id=task_id,
            xcom_key=key,
            map_index=map_index,
            deserialize=False,
            stringify=False,
        ).actual_instance
        return entry.value if entry else None

    def xcom_entries(self, dag_id: str, run_id: str, task_id: str = "~") -> list[XComResponse]:
        """Which values a task has left; of all tasks of the run by default."""
        return self._xcoms.get_xcom_entries(dag_id, run_id, task_id, limit=1000).xcom_entries

    def log(self, dag_id: str, run_id: str, task: TaskInstanceResponse, *, try_number: int | None = None) -> str:
        """The log of a task as text, one line per event.

        :param try_number: default: the last try
        """
        return "\n".join(map(_text, self._log_events(dag_id, run_id, task, try_number)))

    def why_failed(self, dag_id: str, run_id: str, task: TaskInstanceResponse) -> str | None:
        """What the last try of a task failed with, as far as its log says so."""
        found = None
        for event in self._log_events(dag_id, run_id, task, None):
            found = "; ".join(_errors(event)) or found
        return found

    def clear(self, dag_id: str, run_id: str, task_ids: Sequence[str], *, downstream: bool = True) -> None:
        """Let tasks run again, as "Clear" in the UI does.

        :param downstream: with all that comes after them
        """
        body = ClearTaskInstancesBody(
            dry_run=False,
            dag_run_id=run_id,
            task_ids=[ClearTaskInstancesBodyTaskIdsInner(task_id) for task_id in task_ids],
            only_failed=False,
            include_downstream=downstream,
        )
        self._tasks.post_clear_task_instances(dag_id, body)

    def ui(self, path: str) -> Any:
        """What the UI itself asks for (not a public interface): JSON of a GET below ``/ui``."""
        return msgspec.json.decode(self._get(f"/ui{path}", "application/json"))

    def page(self, path: str) -> str:
        """A page that a plugin adds, as HTML."""
        return self._get(path, "text/html").decode()

    def _get(self, path: str, accept: str) -> bytes:
        return content(self.client.call_api("GET", f"{self.url}{path}", {"Accept": accept}))

    def _log_events(
        self, dag_id: str, run_id: str, task: TaskInstanceResponse, try_number: int | None
    ) -> list[StructuredLogMessage]:
        # The log is read as NDJSON: from a JSON document, the client would keep only time and text of each event.
        reply = self._tasks.get_log_without_preload_content(
            dag_id,
            run_id,
            task.task_id,
            try_number or task.try_number,
            map_index=task.map_index,
            full_content=True,
            _headers={"Accept": "application/x-ndjson"},
        )
        events = (StructuredLogMessage.from_json(line) for line in reply.data.decode().splitlines())
        return [event for event in events if event]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _errors(event: StructuredLogMessage) -> list[str]:
    return [f"{each['exc_type']}: {each['exc_value']}" for each in event.additional_properties.get("error_detail", [])]


def _text(event: StructuredLogMessage) -> str:
    parts = (event.timestamp and event.timestamp.isoformat(), event.additional_properties.get("level"), event.event)
    return "\n".join([" ".join(part for part in parts if part), *(f"  {error}" for error in _errors(event))])
