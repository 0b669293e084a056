"""Around the main DAG, on the same stack: a schedule's own DAG, the consumer of published datasets, and lineage."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import obstore
import pytest
from airflow_client.client import ConnectionApi, ConnectionBody, DAGRunResponse

from devstack.rest import AirflowApi
from devstack.samples import DAG_ID, analysis_conf, land
from devstack.seaweedfs import REGION
from devstack.waiting import wait_until
from tests.browser.conftest import LINEAGE, USERS

if TYPE_CHECKING:
    from tests.browser.conftest import Site

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def next_run(api: AirflowApi, dag_id: str, known: set[str], *, timeout: float = 60.0) -> DAGRunResponse:
    """Wait for a run that Airflow makes by itself."""
    return wait_until(
        lambda: next((run for run in api.dag_runs(dag_id) if run.dag_run_id not in known), None),
        timeout=timeout,
        late=lambda: f"{dag_id} was not started within {timeout:.0f} s",
    )


def lineage(site: Site, job: str, run_id: str, *, timeout: float = 60.0) -> tuple[list[Any], list[Any]]:
    """Inputs and outputs of a task's end, as the OpenLineage provider sent them."""

    def look() -> tuple[list[Any], list[Any]] | None:
        for line in (site.stack.root / LINEAGE).read_bytes().splitlines():
            event = json.loads(line)
            facets = event["run"]["facets"]
            if (event["eventType"], event["job"]["name"]) == ("COMPLETE", job) and run_id in json.dumps(facets):
                return names(event["inputs"]), names(event["outputs"])
        return None

    return wait_until(
        look, timeout=timeout, late=lambda: f"OpenLineage got no event for the end of {job} within {timeout:.0f} s"
    )


def names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(dataset["namespace"], dataset["name"]) for dataset in datasets]


def test_a_scheduled_dataset_lands_with_its_own_times(site: Site) -> None:
    api, dag_id = site.stack.airflow.api, "learnosity_weekly_item_bank"
    api.wait_for_dag(dag_id)
    run = api.trigger(dag_id, logical_date=datetime(2026, 11, 18, tzinfo=UTC))
    assert api.wait_for_run(dag_id, run.dag_run_id, timeout=120).state == "success"
    manifest_uri = api.xcom(dag_id, run.dag_run_id, "land.publish")["manifest_uri"]
    key = manifest_uri.partition(f"{site.stack.options.bucket}/")[2]
    manifest = msgspec.json.decode(bytes(obstore.get(site.stack.seaweedfs.store(), key).bytes()))
    assert manifest["request"]["filters"] == {"mintime": "2026-11-09T04:00:00Z", "maxtime": "2026-11-16T04:00:00Z"}


@pytest.fixture
def elsewhere(site: Site) -> str:
    """A destination in another bucket, over another connection."""
    api, seaweedfs = site.stack.airflow.api, site.stack.seaweedfs
    seaweedfs.make_bucket("archive")
    connection = ConnectionBody(
        connection_id="aws_archive",
        conn_type="aws",
        login=seaweedfs.admin.access_key,
        password=seaweedfs.admin.secret_key,
        extra=json.dumps({"endpoint_url": seaweedfs.endpoint, "region_name": REGION}),
    )
    ConnectionApi(api.client).post_connection(connection)
    return "s3://aws_archive@archive/datasets"


def test_a_published_dataset_is_turned_into_parquet_wherever_it_landed(site: Site, elsewhere: str) -> None:
    api, dag_id = site.stack.airflow.api, "learnosity_to_parquet"
    api.wait_for_dag(dag_id)
    known = {run.dag_run_id for run in api.dag_runs(dag_id)}
    land(site.stack, analysis_conf(destination_uri=elsewhere))
    run = next_run(api, dag_id, known)
    assert api.wait_for_run(dag_id, run.dag_run_id, timeout=120).state == "success"
    written = api.xcom(dag_id, run.dag_run_id, "convert")
    # The run also converts the datasets that were published before this DAG was unpaused. So there may be several files
    # with this name, and each of them is good enough here.
    (file, *_) = [file for file in written if file["uri"].endswith("/items.parquet")]
    bucket, _, key = file["uri"].removeprefix("s3://").partition("/")
    local = site.stack.root / "items.parquet"
    local.write_bytes(
        bytes(obstore.get(site.stack.seaweedfs.store(bucket, keys=site.stack.seaweedfs.admin), key).bytes())
    )
    with duckdb.connect() as database:
        assert database.read_parquet(str(local)).aggregate("count(*)").fetchall() == [(file["rows"],)]
    read, made = lineage(site, f"{dag_id}.convert", run.dag_run_id)
    assert ("s3://archive", "datasets/ibk-analysis-by-question") in read
    assert ("s3://archive", "datasets_parquet/ibk-analysis-by-question") in made


def test_lineage_leads_from_the_input_over_the_dataset_to_where_it_landed(site: Site) -> None:
    bucket, run_id = f"s3://{site.stack.options.bucket}", site.groups.dag_run_id
    dataset = [("x-learnosity://datasets", "activity-summary-by-group")]
    assert lineage(site, f"{DAG_ID}.create_dataset", run_id) == ([(bucket, f"input/{USERS}.ndjson")], dataset)
    landed = [(bucket, f"{site.stack.options.prefix}/activity-summary-by-group")]
    assert lineage(site, f"{DAG_ID}.land.publish", run_id) == (dataset, landed)
