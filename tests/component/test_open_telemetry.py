"""With the two settings that docs/operations.md names for `.env`, a task's figures reach an OpenTelemetry collector."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

OPERATIONS = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
# The first lines set up Airflow's metrics as a task process does (airflow.sdk.execution_time.task_runner.main).
TASK = """
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils

stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)
from learnosity.metrics import METRICS

METRICS.count("api_calls", endpoint="jobs", action="get")
METRICS.gauge("waits_open", 3)
METRICS.timing("job_seconds", 3.5, status="completed")
"""


def test_counts_gauges_and_timers_arrive(tmp_path: Path) -> None:
    told: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = {
            "AIRFLOW__METRICS__OTEL_ON": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        }
        assert "| `AIRFLOW__METRICS__OTEL_ON=true`, `OTEL_EXPORTER_OTLP_ENDPOINT` |" in OPERATIONS
        # What docker-compose.yaml sets besides.
        beside = {"AIRFLOW__METRICS__STATSD_ON": "false", "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "true"}
        env = os.environ | beside | settings | {"AIRFLOW_HOME": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", TASK], env=env, capture_output=True, text=True, check=False)
        server.shutdown()
    assert done.returncode == 0, done.stderr[-2000:]
    assert {path for path, _ in told} == {"/v1/metrics"}
    sent = b"".join(body for _, body in told)
    for name in ("api_calls", "waits_open", "job_seconds"):
        assert f"airflow.learnosity.{name}".encode() in sent
