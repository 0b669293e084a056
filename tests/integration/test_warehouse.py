"""The sample from a warehouse: a query of PostgreSQL becomes a dataset, and the dataset becomes Parquet."""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import obstore
import pytest

from devstack.environment import REPOSITORY
from devstack.processes import undisturbed
from devstack.servers import DATABASE, Server, query, start_postgres
from devstack.stack import Stack, StackOptions
from learnosity.dataset.manifest import decode_manifest

pytestmark = pytest.mark.slow  # make test-postgres

DAG_ID = "learnosity_from_warehouse"
ROSTER = """
CREATE TABLE roster (student_no text, district text, school text, class text, active boolean);
INSERT INTO roster VALUES
    ('007', 'Süd', 'School "A", West', '1e5', true), ('7', 'Süd', 'School "A", West', '1e5', true),
    ('1e5', 'Nord', 'Ost', '5a', true), ('gone', 'Nord', 'Ost', '5a', false);
INSERT INTO roster
    SELECT 'u' || n, 'Nord', 'School ' || n % 5, 'Class ' || n % 20, true FROM generate_series(1, 500) AS n;
INSERT INTO roster SELECT '00' || n, 'Nord', 'Ost', NULL, true FROM generate_series(1001, 1150) AS n;
"""


@dataclass(frozen=True)
class Site:
    """An Airflow, and a warehouse beside it."""

    stack: Stack
    warehouse: Server


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("warehouse")
    with undisturbed():
        warehouse = start_postgres(root / "postgres", secrets.token_hex(16), log=root / "logs" / "postgres.log")
    try:
        query(warehouse, ROSTER)
        connection = {"AIRFLOW_CONN_WAREHOUSE": f"postgres://{warehouse.address}/{DATABASE}"}
        options = StackOptions(job_seconds=1.0, dags=REPOSITORY / "dags", airflow_env=connection)
        with Stack(root, options) as stack:
            stack.airflow.api.wait_for_dag(DAG_ID)
            yield Site(stack, warehouse)
    finally:
        warehouse.stop()


def test_a_query_becomes_a_dataset_and_the_dataset_becomes_parquet(site: Site) -> None:
    api, store = site.stack.airflow.api, site.stack.seaweedfs.store()
    run = api.wait_for_run(DAG_ID, api.trigger(DAG_ID, {}).dag_run_id, timeout=300)
    assert run.state == "success"
    paths = [entry["path"] for batch in obstore.list(store) for entry in batch]
    (manifest_path,) = (path for path in paths if path.endswith("/manifest.json"))
    manifest = decode_manifest(obstore.get(store, manifest_path).bytes().to_bytes(), where=manifest_path)
    assert manifest.input is not None
    assert manifest.input.users == 653
    assert [(level.key, level.groups) for level in manifest.input.levels] == [
        ("district", 2), ("school", 7), ("class", 22),
    ]  # fmt: skip
    assert manifest.input.levels[-1].users_without_group == 150  # a NULL of the query = no group
    assert manifest.returned is not None
    assert (manifest.returned.population, manifest.returned.gaps) == (653, ())
    assert manifest.input.uris[0].startswith("s3://learnosity/rosters/learnosity_from_warehouse/")

    (users,) = (path for path in paths if path.endswith("/users.parquet"))
    found = duckdb.from_parquet(io.BytesIO(obstore.get(store, users).bytes().to_bytes()))
    ids = {row[0] for row in found.project("user_id").fetchall()}
    assert len(ids) == 503  # 653 less 150: a user stands in the file of its class
    assert {"007", "7", "1e5"} <= ids
    assert "gone" not in ids
