"""A small typed client for Airflow's public REST API (v2), as any tool outside of Airflow would use it.

It logs in by itself, also again when its token has expired. It retries nothing: what a caller asks for happens at most
once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from devstack import answers, http
from devstack.answers import Dag, DagRun, ImportProblem, TaskInstance, XComEntry
from devstack.errors import ApiError, NotReady

__all__ = ["AirflowApi", "ApiError", "Dag", "DagRun", "ImportProblem", "TaskInstance", "XComEntry"]

POLL_SECONDS = 0.5
T = TypeVar("T")


class AirflowApi:
    """The API of one Airflow, used by one user.

    :param url: address of the API server
    :param user: name to log in with
    :param password: kept in memory only
    :param timeout: seconds that an answer may take
    """

    def __init__(self, url: str, user: str, password: str, *, timeout: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self.user = user
        self._password = password
        self._timeout = timeout
        self._token: str | None = None

    def as_user(self, user: str, password: str) -> AirflowApi:
        """The same API for another user."""
        return AirflowApi(self.url, user, password, timeout=self._timeout)

    def health(self) -> dict[str, datetime | None] | None:
        """The last heartbeat of scheduler, dag_processor and triggerer; None while nobody answers."""
        try:
            reply = http.call("GET", f"{self.url}/api/v2/monitor/health", timeout=5.0)
        except OSError:
            return None
        if reply.status != 200:
            return None
        health = msgspec.json.decode(reply.body, type=answers.Health)
        return {
            "scheduler": health.scheduler.latest_scheduler_heartbeat,
            "dag_processor": health.dag_processor.latest_dag_processor_heartbeat if health.dag_processor else None,
            "triggerer": health.triggerer.latest_triggerer_heartbeat,
        }

    def dag(self, dag_id: str) -> Dag:
        """A DAG with its parameters.

        :raises ApiError: 404 when there is none (yet)
        """
        return self._get(f"/dags/{quote(dag_id)}/details", Dag)

    def import_errors(self) -> list[ImportProblem]:
        """DAG files that cannot be read."""
        return self._get("/importErrors", answers.ImportProblems).import_errors

    def pause(self, dag_id: str) -> None:
        """Start nothing more of a DAG; runs can still be made, and wait."""
        self.request("PATCH", f"/dags/{quote(dag_id)}", body={"is_paused": True})

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run."""
        self.request("PATCH", f"/dags/{quote(dag_id)}", body={"is_paused": False})

    def wait_for_dag(self, dag_id: str, *, timeout: float = 60.0) -> Dag:
        """Wait until the DAG processor has read a DAG, and let it run.

        :param timeout: seconds
        :raises NotReady: when it does not appear; names the DAG files that cannot be read
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                dag = self.dag(dag_id)
            except ApiError as error:
                if error.status != 404:
                    raise
            else:
                self.unpause(dag_id)
                return dag
            if time.monotonic() > deadline:
                problems = [f"{problem.filename}:\n{problem.stack_trace}" for problem in self.import_errors()]
                raise NotReady("\n".join([f"there is no DAG {dag_id} after {timeout:.0f} s", *problems]))
            time.sleep(POLL_SECONDS)

    def trigger(
        self,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        note: str | None = None,
    ) -> DagRun:
        """Start a run.

        :param conf: its parameters
        :param run_id: default: one that Airflow makes
        :param note: what the user writes on it
        :raises ApiError: 4xx when a parameter is refused
        """
        given = {"dag_run_id": run_id, "note": note}
        body = {"logical_date": None, "conf": dict(conf or {})} | {name: text for name, text in given.items() if text}
        return self._decode(self.request("POST", f"/dags/{quote(dag_id)}/dagRuns", body=body), DagRun)

    def dag_run(self, dag_id: str, run_id: str) -> DagRun:
        """One run."""
        return self._get(self._run_path(dag_id, run_id), DagRun)

    def dag_runs(self, dag_id: str, *, limit: int = 100) -> list[DagRun]:
        """Runs of a DAG, the newest first."""
        path = f"/dags/{quote(dag_id)}/dagRuns?{urlencode({'limit': limit, 'order_by': '-id'})}"
        return self._get(path, answers.Runs).dag_runs

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """All tasks of a run with their mapped instances."""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances?limit=1000"
        return self._get(path, answers.Tasks).task_instances

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        *,
        timeout: float = 300.0,
        on_poll: Callable[[Sequence[TaskInstance]], None] | None = None,
    ) -> DagRun:
        """Wait until a run has ended, well or not.

        :param timeout: seconds
        :param on_poll: gets all tasks every half second, and once more at the end
        :raises NotReady: when it still runs after that time
        """
        deadline = time.monotonic() + timeout
        while True:
            run = self.dag_run(dag_id, run_id)
            if on_poll:
                on_poll(self.task_instances(dag_id, run_id))
            if run.finished:
                return run
            if time.monotonic() > deadline:
                states = {task.label: task.state for task in self.task_instances(dag_id, run_id)}
                raise NotReady(f"run {run_id} of {dag_id} is {run.state} after {timeout:.0f} s: {states}")
            time.sleep(POLL_SECONDS)

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, key: str = "return_value", map_index: int = -1) -> Any:
        """A value that a task has left.

        :raises ApiError: 404 when there is none
        """
        query = urlencode({"map_index": map_index, "deserialize": "false", "stringify": "false"})
        path = f"{self._task_path(dag_id, run_id, task_id)}/xcomEntries/{quote(key, safe='')}?{query}"
        return self._get(path, answers.Value).value

    def xcom_entries(self, dag_id: str, run_id: str, task_id: str = "~") -> list[XComEntry]:
        """Which values a task has left; of all tasks of the run by default."""
        path = f"{self._task_path(dag_id, run_id, task_id)}/xcomEntries?limit=1000"
        return self._get(path, answers.Entries).xcom_entries

    def log(self, dag_id: str, run_id: str, task: TaskInstance, *, try_number: int | None = None) -> str:
        """The log of a task as text, one line an event.

        :param try_number: default: the last try
        """
        return "\n".join(event.text() for event in self._log_events(dag_id, run_id, task, try_number))

    def why_failed(self, dag_id: str, run_id: str, task: TaskInstance) -> str | None:
        """What the last try of a task failed with, as far as its log says so."""
        found = None
        for event in self._log_events(dag_id, run_id, task, None):
            found = "; ".join(map(str, event.error_detail)) or found
        return found

    def clear(self, dag_id: str, run_id: str, task_ids: Sequence[str], *, downstream: bool = True) -> None:
        """Let tasks run again, as "Clear" in the UI does.

        :param downstream: with all that comes after them
        """
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
            "include_downstream": downstream,
        }
        self.request("POST", f"/dags/{quote(dag_id)}/clearTaskInstances", body=body)

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task as ``success`` or ``failed``, as the UI does."""
        self.request("PATCH", self._task_path(dag_id, run_id, task_id), body={"new_state": state})

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        accept: str = "application/json",
    ) -> http.Response:
        """Call anything else of the API; ``path`` follows ``/api/v2``.

        :raises ApiError: on any status that is not 2xx
        :raises OSError: when no answer comes
        """
        content = None if body is None else msgspec.json.encode(body)
        reply = self._send(method, path, content, accept)
        if reply.status == 401:  # the token has expired
            self._token = None
            reply = self._send(method, path, content, accept)
        if not 200 <= reply.status < 300:
            raise ApiError(reply.status, method, path, _detail(reply.body))
        return reply

    def ui(self, path: str) -> Any:
        """What the UI itself asks for (not a public interface): JSON of a GET below ``/ui``."""
        headers = {"Authorization": f"Bearer {self.token()}", "Accept": "application/json"}
        reply = http.call("GET", f"{self.url}/ui{path}", headers=headers, timeout=self._timeout)
        if reply.status != 200:
            raise ApiError(reply.status, "GET", f"/ui{path}", _detail(reply.body))
        return msgspec.json.decode(reply.body)

    def page(self, path: str) -> str:
        """A page that a plugin adds, as HTML."""
        headers = {"Authorization": f"Bearer {self.token()}", "Accept": "text/html"}
        reply = http.call("GET", f"{self.url}{path}", headers=headers, timeout=self._timeout)
        if reply.status != 200:
            raise ApiError(reply.status, "GET", path, _detail(reply.body))
        return reply.body.decode()

    def token(self) -> str:
        """The token of the logged-in user (a secret).

        :raises ApiError: when the login is refused
        """
        if self._token is None:
            reply = http.call(
                "POST",
                f"{self.url}/auth/token",
                body=msgspec.json.encode({"username": self.user, "password": self._password}),
                headers={"Content-Type": "application/json"},
                timeout=self._timeout,
            )
            if reply.status != 201:
                raise ApiError(reply.status, "POST", "/auth/token", _detail(reply.body))
            self._token = self._decode(reply, answers.Token).access_token
        return self._token

    def _send(self, method: str, path: str, content: bytes | None, accept: str) -> http.Response:
        headers = {
            "Authorization": f"Bearer {self.token()}",
            "Accept": accept,
            "Content-Type": "application/json",
        }
        url = f"{self.url}/api/v2{path}"
        return http.call(method, url, body=content, headers=headers, timeout=self._timeout)

    def _log_events(
        self, dag_id: str, run_id: str, task: TaskInstance, try_number: int | None
    ) -> list[answers.LogEvent]:
        query = urlencode({"map_index": task.map_index, "full_content": "true"})
        path = f"{self._task_path(dag_id, run_id, task.task_id)}/logs/{try_number or task.try_number}?{query}"
        reply = self.request("GET", path, accept="application/x-ndjson")
        return msgspec.json.Decoder(answers.LogEvent).decode_lines(reply.body)

    def _get(self, path: str, kind: type[T]) -> T:
        return self._decode(self.request("GET", path), kind)

    @staticmethod
    def _decode(reply: http.Response, kind: type[T]) -> T:
        return msgspec.json.decode(reply.body, type=kind)

    @staticmethod
    def _run_path(dag_id: str, run_id: str) -> str:
        return f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"

    def _task_path(self, dag_id: str, run_id: str, task_id: str) -> str:
        return f"{self._run_path(dag_id, run_id)}/taskInstances/{quote(task_id, safe='~')}"


def _detail(body: bytes) -> str:
    try:
        detail = msgspec.json.decode(body, type=answers.Detail).detail
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body[:500].decode(errors="replace")
    return detail if isinstance(detail, str) else msgspec.json.encode(detail).decode()
