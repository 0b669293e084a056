"""The notifier: what it tells, and to whom."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from learnosity.notifiers import LearnosityNotifier

CONTEXT: Any = {"dag_run": SimpleNamespace(dag_id="learnosity_item_bank", run_id="scheduled__1")}


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
    LearnosityNotifier(http_conn_id="hook").notify(CONTEXT)
    assert webhook == [{"text": "Run scheduled__1 of learnosity_item_bank failed."}]


async def test_a_missed_deadline_is_told_from_the_triggerer(webhook: list[Any]) -> None:
    await LearnosityNotifier("it is late", http_conn_id="hook").async_notify({})
    assert webhook == [{"text": "it is late"}]


def test_without_a_connection_nothing_is_sent(webhook: list[Any]) -> None:
    notifier = LearnosityNotifier()
    notifier.notify(CONTEXT)
    assert webhook == []
    assert notifier.message({}) == "A run of a Learnosity DAG failed."
