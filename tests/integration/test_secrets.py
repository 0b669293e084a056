"""After all runs: no secret, signature or signed URL in anything that Airflow or the store keeps."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import obstore
import pytest

from devstack.samples import DAG_ID
from devstack.stack import Stack
from tests.integration.scenarios import Control, Runs

SIGNATURE = re.compile(rb"\$02\$[0-9a-f]{16}|[?&](Signature|AWSAccessKeyId|X-Amz-Signature)=", re.IGNORECASE)


@pytest.fixture
def finished(runs: Runs) -> Runs:
    """All runs, ended."""
    for name in runs.started:
        runs.finish(name)
    return runs


def what_is_left(runs: Runs, stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Logs, every cell of every table of the metadata database, and every object of the store but the input."""
    for path in stack.logs.rglob("*"):
        if path.is_file() and path.name != "seaweedfs.log":
            yield str(path), path.read_bytes()
    with closing(sqlite3.connect(stack.airflow.home / "airflow.db")) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert {"xcom", "trigger", "rendered_task_instance_fields", "task_instance", "log"} <= set(tables)
        for table in tables:
            if table == "connection":  # holds the test's own wrong secret, encrypted
                continue
            for row in database.execute(f'SELECT * FROM "{table}"'):
                yield f"table {table}", repr(row).encode()
    store = stack.seaweedfs.store("learnosity", prefix="datasets")
    for batch in obstore.list(store):
        for entry in batch:
            if "/data/" not in entry["path"]:
                yield entry["path"], bytes(obstore.get(store, entry["path"]).bytes())


@pytest.mark.promise("no secret")
def test_no_secret_is_left_behind_anywhere(finished: Runs, stack: Stack) -> None:
    secrets = [
        stack.simulator.consumer.secret_key.encode(),
        stack.seaweedfs.landing.secret_key.encode(),
        b"0123456789abcdefabcd" * 2,
    ]
    looked_at = 0
    for where, content in what_is_left(finished, stack):
        looked_at += 1
        for secret in secrets:
            assert secret not in content, where
        found = SIGNATURE.search(content)
        assert found is None, f"{where}: {found.group()!r}" if found else ""
    assert looked_at > 20 * len(finished.started), "this has to look at something"


@pytest.mark.promise("small values")
def test_xcoms_hold_small_values_only(finished: Runs) -> None:
    for name, run_id in finished.started.items():
        for entry in finished.api.xcom_entries(DAG_ID, run_id):
            value = finished.api.xcom(DAG_ID, run_id, entry.task_id, key=entry.key, map_index=entry.map_index)
            # create_dataset hands on some counts for each level of the hierarchy.
            assert len(json.dumps(value)) < (3000 if entry.task_id == "create_dataset" else 1000), (name, entry)


def test_signed_urls_get_nothing_but_themselves(finished: Runs, simulator_control: Control) -> None:
    assert simulator_control.get("stats")["leaks"] == {}
