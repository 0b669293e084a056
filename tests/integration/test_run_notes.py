"""Notes on a run that several tasks write at the same moment, in PostgreSQL."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from types import SimpleNamespace
from typing import Any, cast

import airflow.models
import pytest
from airflow.listeners.types import AssetEvent
from airflow.models.base import Base
from airflow.models.dagrun import DagRun, DagRunNote
from airflow.utils.types import DagRunType
from sqlalchemy import create_engine, delete, select
from sqlalchemy.orm import Session, sessionmaker

from devstack.processes import undisturbed
from devstack.servers import DATABASE, start_postgres
from learnosity import run_note_listener
from learnosity.run_note_listener import on_asset_event_emitted

pytestmark = pytest.mark.slow  # make test-postgres

AT_ONCE = 8
ROUNDS = 10


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sessionmaker[Session]]:
    """Airflow's tables in PostgreSQL, with one run."""
    root = tmp_path_factory.mktemp("notes")
    with undisturbed():
        postgres = start_postgres(root / "postgres", secrets.token_hex(16), log=root / "postgres.log")
    engine = create_engine(f"postgresql+psycopg2://{postgres.address}/{DATABASE}", pool_size=AT_ONCE + 2)
    try:
        airflow.models.import_all_models()
        Base.metadata.create_all(engine)
        found = sessionmaker(engine)
        with found.begin() as session:
            session.add(DagRun(dag_id="dag", run_id="run", run_type=DagRunType.MANUAL))
        yield found
    finally:
        engine.dispose()
        postgres.stop()


@pytest.fixture
def emit(sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Registers the asset event of one of several datasets. The run has no note before."""

    @contextmanager
    def create_session(scoped: bool = True) -> Iterator[Session]:
        with sessions.begin() as session:
            yield session

    monkeypatch.setattr("airflow.utils.session.create_session", create_session)
    with sessions.begin() as session:
        session.execute(delete(DagRunNote))

    def register(number: int) -> None:
        dataset_id = name(number)
        extra = {
            "dataset_id": dataset_id,
            "dataset_type": "t",
            "manifest_uri": f"s3://b/t/{dataset_id}/manifest.json",
        }
        event: dict[str, Any] = {"source_dag_id": "dag", "source_run_id": "run", "extra": extra}
        asset = SimpleNamespace(uri="x-learnosity://datasets/t")
        on_asset_event_emitted(cast(AssetEvent, SimpleNamespace(asset=asset, **event)))

    return register


def name(number: int) -> str:
    return f"33285a4b-0e6e-47e4-bade-{number:012}"


def content(sessions: sessionmaker[Session]) -> str:
    with sessions() as session:
        return session.scalar(select(DagRunNote.content)) or ""


def test_of_datasets_that_are_published_at_the_same_moment_none_is_missing(
    sessions: sessionmaker[Session], emit: Callable[[int], None]
) -> None:
    for _ in range(ROUNDS):
        with sessions.begin() as session:
            session.execute(delete(DagRunNote))
        ready = Barrier(AT_ONCE)

        def publish(number: int, ready: Barrier = ready) -> None:
            ready.wait(timeout=60)
            emit(number)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(publish, range(AT_ONCE)))
        parts = content(sessions).split("\n\n")
        assert sorted(part.split()[1] for part in parts) == [name(number) for number in range(AT_ONCE)]


def test_a_run_that_stays_locked_has_no_note_and_holds_nobody_up(
    sessions: sessionmaker[Session],
    emit: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(run_note_listener, "LOCK_SECONDS", 1)
    with sessions.begin() as session:
        session.scalars(select(DagRun).with_for_update()).all()
        with caplog.at_level(logging.WARNING):
            emit(1)  # without a time limit, it would wait for this very function
        assert "No note on run run of dag" in caplog.text
    assert content(sessions) == ""
    emit(2)
    assert name(2) in content(sessions)
