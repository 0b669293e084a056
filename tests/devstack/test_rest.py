"""The REST client against a scripted Airflow: what it sends, what it understands, what it says when it is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest
from airflow_client.client import TaskInstanceResponse

from devstack import login
from devstack.errors import ApiError, NotReady, Unreachable
from devstack.rest import AirflowApi
from devstack.tasks import label, state

PASSWORD = "correct-horse-battery"  # a made-up one


@dataclass
class ScriptedAirflow:
    """Answers by path; a list of answers is used up but for its last."""

    url: str = ""
    answers: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    tokens: int = 0
    refused_logins: int = 0
    expired: set[str] = field(default_factory=set)

    def on(self, call: str, *answers: tuple[int, Any]) -> None:
        """Script the answers to a call such as ``GET /dags/x``."""
        self.answers[call] = list(answers)


@pytest.fixture
def airflow() -> Iterator[ScriptedAirflow]:
    """A scripted Airflow on a free port."""
    script = ScriptedAirflow()

    class Handler(BaseHTTPRequestHandler):
        def reply(self, status: int, value: Any) -> None:
            body = value if isinstance(value, bytes) else msgspec.json.encode(value)
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(value, bytes) else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = msgspec.json.decode(self.rfile.read(length)) if length else None
            if self.path == "/auth/token":
                if body != {"username": "admin", "password": PASSWORD}:
                    return self.reply(401, {"detail": "Invalid credentials"})
                if script.refused_logins:
                    script.refused_logins -= 1
                    return self.reply(500, {"detail": {"reason": "Database error"}})
                script.tokens += 1
                return self.reply(201, {"access_token": f"token-{script.tokens}"})
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            path = self.path.removeprefix("/api/v2")
            script.calls.append((self.command, path, body))
            if path != "/monitor/health" and (not token or token in script.expired):
                return self.reply(401, {"detail": "Not authenticated"})
            answers = script.answers.get(f"{self.command} {path.partition('?')[0]}", [(404, {"detail": "not here"})])
            status, value = answers.pop(0) if len(answers) > 1 else answers[0]
            return self.reply(status, value)

        do_GET = do_POST = do_PATCH = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}"
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def api(airflow: ScriptedAirflow) -> AirflowApi:
    """A client with the right password."""
    return AirflowApi(airflow.url, "admin", PASSWORD)


TIME = "2026-01-01T00:00:00+00:00"
DAG: dict[str, Any] = {
    **dict.fromkeys(("dag_display_name", "dag_id", "fileloc", "file_token"), "d"),
    **dict.fromkeys(("has_import_errors", "has_task_concurrency_limits", "is_backfillable", "is_stale"), False),
    **dict.fromkeys(("timetable_partitioned", "timetable_periodic"), False),
    "is_paused": True,
    "max_active_tasks": 1,
    "max_consecutive_failed_dag_runs": 0,
    "owners": [],
    "tags": [],
}


def run(state: str) -> dict[str, Any]:
    return {
        "dag_id": "d",
        "dag_display_name": "d",
        "dag_run_id": "r:1+0",
        "state": state,
        "something_new": 1,
        "dag_versions": [],
        "run_after": TIME,
        "run_type": "manual",
        "triggered_by": "rest_api",
    }


def task(name: str, state: str | None, map_index: int = -1) -> dict[str, Any]:
    return {
        "task_id": name,
        "map_index": map_index,
        "try_number": 1,
        "state": state,
        "max_tries": 1,
        "dag_id": "d",
        "dag_display_name": "d",
        "dag_run_id": "r",
        "task_display_name": name,
        "run_after": TIME,
        "executor_config": "{}",
        "id": "00000000-0000-4000-8000-000000000001",
        "pool": "p",
        "pool_slots": 1,
    }


def tasks(*found: dict[str, Any]) -> dict[str, Any]:
    return {"task_instances": list(found), "total_entries": len(found)}


TASK = TaskInstanceResponse.model_construct(task_id="t", map_index=-1, try_number=2)
NO_PROBLEMS = {"import_errors": [], "total_entries": 0}


class TestLogin:
    def test_it_logs_in_once_for_many_calls(self, airflow: ScriptedAirflow, api: AirflowApi) -> None:
        airflow.on("GET /importErrors", (200, NO_PROBLEMS))
        assert [api.import_errors(), api.import_errors()] == [[], []]
        assert airflow.tokens == 1

    def test_it_logs_in_again_when_its_token_has_expired(self, airflow: ScriptedAirflow, api: AirflowApi) -> None:
        airflow.on("GET /importErrors", (200, NO_PROBLEMS))
        api.import_errors()
        airflow.expired.add("token-1")
        assert api.import_errors() == []
        assert airflow.tokens == 2

    def test_a_wrong_password_is_refused_and_not_shown(self, airflow: ScriptedAirflow) -> None:
        with pytest.raises(ApiError, match="401") as caught:
            AirflowApi(airflow.url, "admin", "wrong-secret-word").import_errors()
        assert "wrong-secret-word" not in str(caught.value)


class TestTrigger:
    def test_the_parameters_are_the_run_config(self, airflow: ScriptedAirflow, api: AirflowApi) -> None:
        airflow.on("POST /dags/d/dagRuns", (200, run("queued")))
        assert api.trigger("d", {"a": [1, None]}, run_id="mine").dag_run_id == "r:1+0"
        assert airflow.calls[-1][2] == {"logical_date": None, "conf": {"a": [1, None]}, "dag_run_id": "mine"}

    def test_a_refusal_carries_status_and_reason(self, airflow: ScriptedAirflow, api: AirflowApi) -> None:
        airflow.on("POST /dags/d/dagRuns", (422, {"detail": [{"msg": "too many"}]}))
        with pytest.raises(ApiError, match=r"422 to POST /api/v2/dags/d/dagRuns: .*too many") as caught:
            api.trigger("d")
        assert caught.value.status == 422

    def test_a_page_instead_of_json_is_still_an_explanation(self, airflow: ScriptedAirflow, api: AirflowApi) -> None:
        airflow.on("POST /dags/d/dagRuns", (502, b"<html>bad gateway</html>"))
        with pytest.raises(ApiError, match="bad gateway"):
            api.trigger("d")


class TestWaiting:
    def test_a_dag_is_let_run_as_soon_as_it_appears(self, airflow: ScriptedAirflow, api: AirflowApi) -> None:
        airflow.on("GET /dags/d", (404, {"detail": "no"}), (200, DAG))
        airflow.on("PATCH /dags/d", (200, DAG))
        assert api.wait_for_dag("d").is_paused
        assert airflow.calls[-1] == ("PATCH", "/dags/d", {"is_paused": False})

    def test_a_dag_that_does_not_appear_is_explained_by_broken_files(
        self, airflow: ScriptedAirflow, api: AirflowApi
    ) -> None:
        problem = {"filename": "d.py", "stack_trace": "NameError: x", "import_error_id": 1, "timestamp": TIME}
        airflow.on("GET /importErrors", (200, {"import_errors": [problem], "total_entries": 1}))
        with pytest.raises(NotReady, match=r"(?s)no DAG d .*d\.py:\nNameError: x"):
            api.wait_for_dag("d", timeout=0)

    def test_every_look_at_a_run_is_passed_on_and_the_last_one_too(
        self, airflow: ScriptedAirflow, api: AirflowApi
    ) -> None:
        base = "GET /dags/d/dagRuns/r%3A1%2B0"
        airflow.on(base, (200, run("running")), (200, run("success")))
        first, last = tasks(task("t", "running")), tasks(task("t", "success"), task("m", "success", 3))
        airflow.on(f"{base}/taskInstances", (200, first), (200, last))
        seen: list[list[tuple[str, str]]] = []
        ended = api.wait_for_run("d", "r:1+0", on_poll=lambda tasks: seen.append([(label(t), state(t)) for t in tasks]))
        assert ended.state == "success"
        assert seen == [[("t", "running")], [("t", "success"), ("m[3]", "success")]]

    def test_a_run_that_takes_too_long_tells_what_its_tasks_do(self, airflow: ScriptedAirflow, api: AirflowApi) -> None:
        base = "GET /dags/d/dagRuns/r"
        airflow.on(base, (200, run("running")))
        airflow.on(f"{base}/taskInstances", (200, tasks(task("t", "deferred"))))
        with pytest.raises(NotReady, match=r"\{'t': 'deferred'\}"):
            api.wait_for_run("d", "r", timeout=0)


class TestReading:
    def test_a_log_is_text_with_its_errors(self, airflow: ScriptedAirflow, api: AirflowApi) -> None:
        events = [
            {"event": "::group::Log message source details", "sources": ["x.log"]},
            {"event": "begin", "timestamp": "2026-01-01T00:00:00Z", "level": "info", "logger": "a"},
            {
                "event": "Task failed",
                "timestamp": "2026-01-01T00:00:01Z",
                "level": "error",
                "error_detail": [{"exc_type": "ValueError", "exc_value": "bad"}],
            },
        ]
        lines = b"\n".join(map(msgspec.json.encode, events))
        airflow.on("GET /dags/d/dagRuns/r/taskInstances/t/logs/2", (200, lines))
        assert api.log("d", "r", TASK).splitlines() == [
            "::group::Log message source details",
            "2026-01-01T00:00:00+00:00 info begin",
            "2026-01-01T00:00:01+00:00 error Task failed",
            "  ValueError: bad",
        ]
        assert api.why_failed("d", "r", TASK) == "ValueError: bad"

    def test_a_task_without_an_error_in_its_log_has_no_reason(self, airflow: ScriptedAirflow, api: AirflowApi) -> None:
        airflow.on("GET /dags/d/dagRuns/r/taskInstances/t/logs/2", (200, {"event": "all is well"}))
        assert api.why_failed("d", "r", TASK) is None

    def test_a_small_value_is_read_as_it_is(self, airflow: ScriptedAirflow, api: AirflowApi) -> None:
        value = {
            "key": "return_value",
            "value": {"n": None},
            "timestamp": TIME,
            "map_index": -1,
            "run_after": TIME,
            "dag_id": "d",
            "dag_display_name": "d",
            "run_id": "r",
            "task_id": "t",
            "task_display_name": "t",
        }
        airflow.on("GET /dags/d/dagRuns/r/taskInstances/t/xcomEntries/return_value", (200, value))
        assert api.xcom("d", "r", "t") == {"n": None}

    def test_health_tells_heartbeats(self, airflow: ScriptedAirflow, api: AirflowApi) -> None:
        health = {
            "metadatabase": {"status": "healthy"},
            "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": TIME},
            "triggerer": {"status": None, "latest_triggerer_heartbeat": None},
            "dag_processor": {"status": "healthy", "latest_dag_processor_heartbeat": TIME},
        }
        airflow.on("GET /monitor/health", (200, health))
        beats = api.health()
        assert beats is not None
        assert [name for name, time in beats.items() if time] == ["scheduler", "dag_processor"]

    def test_a_server_that_is_down_has_no_health_and_cannot_be_asked(self, closed_port: int) -> None:
        api = AirflowApi(f"http://127.0.0.1:{closed_port}", "admin", PASSWORD)
        assert api.health() is None
        with pytest.raises(Unreachable, match="refused"):
            api.import_errors()


def test_clearing_takes_the_tasks_after_it_along(airflow: ScriptedAirflow, api: AirflowApi) -> None:
    airflow.on("POST /dags/d/clearTaskInstances", (200, tasks()))
    api.clear("d", "r", ["t"])
    body = airflow.calls[-1][2]
    assert (body["dry_run"], body["only_failed"], body["include_downstream"]) == (False, False, True)
    assert body["task_ids"] == ["t"]


class TestABusyDatabase:
    """SQLite has one writer; Airflow answers 500 when it was another process."""

    BUSY = (500, {"detail": {"reason": "Database error", "statement": "hidden", "message": "look for ID Q15N"}})

    @pytest.fixture(autouse=True)
    def without_a_pause(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(login, "BUSY_SECONDS", 0.0)

    @pytest.mark.parametrize(
        ("call", "made", "answer"),
        [
            ("PATCH /dags/d", lambda api: api.unpause("d"), DAG),
            ("GET /dags/d", lambda api: api.dag("d"), DAG),
            ("POST /dags/d/dagRuns", lambda api: api.trigger("d", run_id="r:1+0"), run("queued")),
        ],
    )
    def test_a_request_that_was_taken_back_is_made_again(
        self, airflow: ScriptedAirflow, api: AirflowApi, call: str, made: Callable[[AirflowApi], object], answer: Any
    ) -> None:
        airflow.on(call, self.BUSY, self.BUSY, (200, answer))
        made(api)
        assert len(airflow.calls) == 3

    def test_the_login_too(self, airflow: ScriptedAirflow, api: AirflowApi) -> None:
        airflow.refused_logins = 2
        assert api.token() == "token-1"

    def test_a_database_that_stays_busy_is_named(self, airflow: ScriptedAirflow, api: AirflowApi) -> None:
        airflow.on("PATCH /dags/d", self.BUSY)
        with pytest.raises(ApiError, match="Database error"):
            api.unpause("d")
        assert len(airflow.calls) == login.BUSY_TRIES

    def test_any_other_error_is_not_repeated(self, airflow: ScriptedAirflow, api: AirflowApi) -> None:
        airflow.on("PATCH /dags/d", (500, {"detail": "Internal Server Error"}))
        with pytest.raises(ApiError, match="Internal Server Error"):
            api.unpause("d")
        assert len(airflow.calls) == 1
