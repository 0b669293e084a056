"""The DAGs around the main one, on the same stack: a schedule's own DAG, and the consumer of published datasets."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb
import msgspec
import obstore
import pytest

from devstack.rest import POLL_SECONDS, AirflowApi, DagRun
from devstack.samples import analysis_conf, land

if TYPE_CHECKING:
    from tests.browser.conftest import Site

pytestmark = pytest.mark.integration


def next_run(api: AirflowApi, dag_id: str, known: set[str], *, timeout: float = 60.0) -> DagRun:
    """Wait for a run that Airflow makes by itself."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for run in api.dag_runs(dag_id):
            if run.run_id not in known:
                return run
        time.sleep(POLL_SECONDS)
    pytest.fail(f"{dag_id} was not started within {timeout:.0f} s")


def test_a_scheduled_dataset_lands_with_its_own_times(site: Site) -> None:
    api, dag_id = site.stack.airflow.api, "learnosity_weekly_item_bank"
    api.wait_for_dag(dag_id)
    body = {"logical_date": datetime(2026, 11, 18, tzinfo=UTC).isoformat()}
    run = msgspec.json.decode(api.request("POST", f"/dags/{dag_id}/dagRuns", body=body).body, type=DagRun)
    assert api.wait_for_run(dag_id, run.run_id, timeout=120).state == "success"
    manifest_uri = api.xcom(dag_id, run.run_id, "land.publish")["manifest_uri"]
    key = manifest_uri.partition(f"{site.stack.options.bucket}/")[2]
    manifest = msgspec.json.decode(bytes(obstore.get(site.stack.seaweedfs.store(), key).bytes()))
    assert manifest["request"]["filters"] == {"mintime": "2026-11-09T04:00:00Z", "maxtime": "2026-11-16T04:00:00Z"}


def test_a_published_dataset_is_turned_into_parquet(site: Site) -> None:
    api, dag_id = site.stack.airflow.api, "learnosity_to_parquet"
    api.wait_for_dag(dag_id)
    known = {run.run_id for run in api.dag_runs(dag_id)}
    land(site.stack, analysis_conf())
    run = next_run(api, dag_id, known)
    assert api.wait_for_run(dag_id, run.run_id, timeout=120).state == "success"
    written = api.xcom(dag_id, run.run_id, "convert")
    # The datasets that were published before this DAG was let run are among them.
    (file, *_) = [file for file in written if file["uri"].endswith("/items.parquet")]
    key = file["uri"].partition(f"{site.stack.options.bucket}/")[2]
    local = site.stack.root / "items.parquet"
    local.write_bytes(bytes(obstore.get(site.stack.seaweedfs.store(), key).bytes()))
    with duckdb.connect() as database:
        assert database.read_parquet(str(local)).aggregate("count(*)").fetchall() == [(file["rows"],)]
