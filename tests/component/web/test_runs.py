"""What the pages find of a run in Airflow's database, wherever the deployment keeps its XComs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import airflow.models
import pytest
from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from airflow.providers.common.io.xcom import backend
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session

from devstack.seaweedfs import REGION, SeaweedFS
from learnosity.web import runs

RETURNED = {
    "dataset_id": "33285a4b-0e6e-47e4-bade-78999ada14db",
    "dataset_type": "activity-summary-by-group",
    "manifest_uri": "s3://bucket/datasets/manifest.json",
    "destination_uri": "s3://aws@bucket/datasets",
    "learnosity_conn_id": "learnosity_default",
}


@pytest.fixture
def session() -> Iterator[Session]:
    """A database with a run in it."""
    engine = create_engine("sqlite://")
    airflow.models.import_all_models()
    DagRun.metadata.create_all(engine)
    now = datetime.now(UTC)
    with Session(engine) as session:
        session.execute(
            insert(DagRun).values(
                id=1,
                dag_id="dag",
                run_id="run",
                run_type="manual",
                run_after=now,
                state="success",
                conf={},
                bundle_version=None,
            )
        )
        yield session


def put(session: Session, value: Any, task_id: str = "land.publish") -> None:
    session.execute(
        insert(XComModel.__table__).values(
            dag_run_id=1,
            task_id=task_id,
            map_index=-1,
            key="return_value",
            dag_id="dag",
            run_id="run",
            value=value,
            timestamp=datetime.now(UTC),
        )
    )


def published(session: Session) -> str | None:
    run = runs.load_run(session, "dag", "run")
    assert run is not None
    return run.publication.manifest_uri if run.publication else None


def test_what_was_published_is_found_by_what_it_says_not_by_the_name_of_its_task(session: Session) -> None:
    put(session, {"job_reference": "job"}, "create_dataset")
    assert published(session) is None
    put(session, RETURNED, "any_name")
    assert published(session) == RETURNED["manifest_uri"]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A deployment that keeps every XCom in object storage."""
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", tmp_path.as_uri())
    monkeypatch.setattr(runs, "XCom", backend.XComObjectStorageBackend)
    backend._get_base_path.cache_clear()
    yield tmp_path
    backend._get_base_path.cache_clear()


def test_it_is_found_where_xcoms_live_in_object_storage(session: Session, elsewhere: Path) -> None:
    (elsewhere / "value.json").write_text(json.dumps(RETURNED))
    put(session, f"{elsewhere.as_uri()}/value.json")
    assert published(session) == RETURNED["manifest_uri"]


def test_the_installed_packages_keep_xcoms_in_s3_and_read_them_back(
    session: Session, s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docker-compose.yaml has it: Airflow's backend, an aws connection, a bucket."""
    keys = s3_server.landing
    extra = {"endpoint_url": s3_server.endpoint, "region_name": REGION}
    connection = {"conn_type": "aws", "login": keys.access_key, "password": keys.secret_key, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_XCOMS", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", f"s3://aws_xcoms@{s3_server.bucket}/xcom")
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD", "0")
    monkeypatch.setattr(runs, "XCom", backend.XComObjectStorageBackend)
    caches = (backend._get_base_path, backend._get_threshold)
    for cached in caches:
        cached.cache_clear()
    try:
        kept = backend.XComObjectStorageBackend.serialize_value(
            RETURNED, key="return_value", task_id="land.publish", dag_id="dag", run_id="run"
        )
        assert str(kept).startswith(f"s3://aws_xcoms@{s3_server.bucket}/xcom/")
        put(session, kept)
        assert published(session) == RETURNED["manifest_uri"]
    finally:
        for cached in caches:
            cached.cache_clear()


def test_an_xcom_that_is_a_text_or_unreadable_hides_nothing(
    session: Session, elsewhere: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(session, RETURNED)
    put(session, "a text", "another")
    (elsewhere / "unreadable.json").mkdir()
    put(session, f"{elsewhere.as_uri()}/unreadable.json", "a_third")
    with caplog.at_level(logging.WARNING):
        assert published(session) == RETURNED["manifest_uri"]
    assert "The XCom of a_third cannot be read" in caplog.text
