"""A failed run or a missed deadline of a schedule is reported to a webhook, or else to the log."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import msgspec
import pytest
from airflow.providers.http.notifications.http import HttpNotifier
from airflow.triggers.callback import CallbackTrigger

from learnosity.schedules.dags import build_dag
from learnosity.schedules.files import Schedule, parse

SCHEDULE = """\
name: item_bank
schedule: "0 4 * * 1"
deadline_minutes: 90
params:
  dataset_type: ibk-analysis-by-question
"""


def schedule(*, notify: bool, on: str = "") -> Schedule:
    found = parse("item_bank.yaml", SCHEDULE + (f"notify: {{http_conn_id: hook{on}}}\n" if notify else ""))
    assert isinstance(found, Schedule)
    return found


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A webhook under the connection `hook`; what it was told."""
    told: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("AIRFLOW_CONN_HOOK", f"http://127.0.0.1:{server.server_port}")
        yield told
        server.shutdown()
        thread.join()


def test_a_failure_names_the_run(webhook: list[Any]) -> None:
    dag = build_dag(schedule(notify=True))
    assert isinstance(dag.on_failure_callback, HttpNotifier)
    # As Airflow's DAG processor calls it, with the context of the failed run.
    dag.on_failure_callback({"run_id": "scheduled__1", "dag": dag})
    assert webhook == [{"text": "Run scheduled__1 of learnosity_item_bank failed."}]


def test_a_success_is_told_where_the_schedule_asks_for_it(webhook: list[Any]) -> None:
    assert not build_dag(schedule(notify=True)).on_success_callback
    dag = build_dag(schedule(notify=True, on=", on: [success, deadline]"))
    assert isinstance(dag.on_success_callback, HttpNotifier)
    assert not dag.on_failure_callback
    dag.on_success_callback({"run_id": "scheduled__1", "dag": dag})
    assert webhook == [{"text": "Run scheduled__1 of learnosity_item_bank succeeded."}]


async def test_a_deadline_that_the_webhook_is_not_told_of_is_logged(
    webhook: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert await missed(schedule(notify=True, on=", on: [failure]")) == ["running", "success"]
    assert webhook == []
    assert "learnosity_item_bank is not done 90 minutes after it was queued." in caplog.text


async def missed(plan: Schedule) -> list[str]:
    """Let the triggerer call what is called when the deadline is missed; what became of it."""
    alerts: Any = build_dag(plan).deadline
    (alert,) = alerts
    trigger = CallbackTrigger(alert.callback.path, dict(alert.callback.kwargs or {}))
    return [str(event.payload["state"]) async for event in trigger.run()]


async def test_a_missed_deadline_is_told_from_the_triggerer(webhook: list[Any]) -> None:
    assert await missed(schedule(notify=True)) == ["running", "success"]
    assert webhook == [{"text": "learnosity_item_bank is not done 90 minutes after it was queued."}]


async def test_without_a_webhook_nothing_is_sent_and_the_log_tells_of_the_deadline(
    webhook: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    plan = schedule(notify=False)
    assert not build_dag(plan).on_failure_callback
    assert await missed(plan) == ["running", "success"]
    assert webhook == []
    assert "learnosity_item_bank is not done 90 minutes after it was queued." in caplog.text
