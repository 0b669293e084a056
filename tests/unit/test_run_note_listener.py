"""The note on a run that has published: what it says, and whose notes it leaves alone."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import airflow.models
import pytest
from airflow.listeners.types import AssetEvent
from airflow.models.base import Base
from airflow.models.dagrun import DagRun
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.utils.types import DagRunType
from hypothesis import given
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import StaticPool

from learnosity.run_note_listener import MAX_NOTE_CHARS, note_text, on_asset_event_emitted, on_dag_run_failed
from learnosity.task_report import FAILURE_KEY
from tests.unit.dataset.test_event_extra import EXTRAS

PUBLISHED = {
    "dataset_id": "33285a4b-0e6e-47e4-bade-78999ada14db",
    "dataset_type": "activity-summary-by-group",
    "manifest_uri": "s3://bucket/datasets/activity-summary-by-group/33285a4b/manifest.json",
    "file_count": 2222,
    "total_bytes": 12_100_000,
}
TEXT = (
    "dataset 33285a4b-0e6e-47e4-bade-78999ada14db · published 2,222 files, 12.1 MB · "
    "s3://bucket/datasets/activity-summary-by-group/33285a4b"
)


def test_the_note_says_what_did_not_come_back() -> None:
    gaps = ["5 users were uploaded, and 4 came back.", "Nothing matched."]
    assert note_text(PUBLISHED | {"gaps": gaps}) == f"{TEXT} · Gap: {gaps[0]} · Gap: {gaps[1]}"
    assert note_text(PUBLISHED | {"gaps": []}) == TEXT
    assert note_text(PUBLISHED | {"left_out": 1234}) == f"{TEXT} · a part: include left out 1,234 files"
    for odd in (0, None, -1, "7", True, []):
        assert note_text(PUBLISHED | {"left_out": odd}) == TEXT
    assert len(note_text(PUBLISHED | {"gaps": gaps * 500})) == MAX_NOTE_CHARS


class Runs:
    """Airflow's database, with one run in it."""

    def __init__(self) -> None:
        # In memory, with one connection: each table that is made on a disk waits for the disk.
        engine = create_engine("sqlite://", poolclass=StaticPool)
        airflow.models.import_all_models()
        Base.metadata.create_all(engine)
        self.session = sessionmaker(engine)
        with self.session.begin() as session:
            session.add(DagRun(dag_id="dag", run_id="run", run_type=DagRunType.MANUAL))

    def write(self, content: str, user_id: str | None) -> None:
        """A note by somebody."""
        with self.session.begin() as session:
            session.query(DagRun).one().note = (content, user_id)

    @property
    def note(self) -> str | None:
        """The run's note."""
        with self.session() as session:
            note: str | None = session.query(DagRun).one().note
            return note


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """What the listener finds."""
    runs = Runs()

    @contextmanager
    def create_session(scoped: bool = True) -> Iterator[Session]:
        with runs.session.begin() as session:
            yield session

    monkeypatch.setattr("airflow.utils.session.create_session", create_session)
    return runs


def emit(uri: str = "x-learnosity://datasets/activity-summary-by-group", **more: Any) -> None:
    """An asset event is registered."""
    event = {"source_dag_id": "dag", "source_run_id": "run", "extra": PUBLISHED, **more}
    on_asset_event_emitted(cast(AssetEvent, SimpleNamespace(asset=SimpleNamespace(uri=uri), **event)))


def test_a_run_says_what_it_published_and_where(database: Runs) -> None:
    emit()
    assert database.note == TEXT


def test_when_it_publishes_again_the_note_follows(database: Runs) -> None:
    emit()
    emit(extra=PUBLISHED | {"file_count": 1})
    assert database.note == TEXT.replace("2,222", "1")


@pytest.mark.parametrize("user_id", ["7", None])
def test_a_note_of_somebody_else_is_left_alone(database: Runs, user_id: str | None) -> None:
    database.write("for the board", user_id)
    emit()
    assert database.note == "for the board"


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"uri": "s3://bucket/other"}, id="another asset"),
        pytest.param({"source_run_id": None}, id="by hand"),
        pytest.param({"source_run_id": "gone"}, id="a run that was deleted"),
    ],
)
def test_other_events_write_nothing(database: Runs, event: dict[str, Any]) -> None:
    emit(**event)
    assert database.note is None


def test_an_event_of_any_shape_neither_fails_nor_writes_what_is_not_a_note(database: Runs) -> None:
    @given(EXTRAS)
    def check(extra: Any) -> None:
        emit(extra=extra)
        assert database.note is None or database.note.startswith("dataset ")

    check()


def test_an_event_that_names_no_dataset_is_reported(database: Runs, caplog: pytest.LogCaptureFixture) -> None:
    emit(extra={"rows": 7})
    assert database.note is None
    assert "No note on run run of dag" in caplog.text
    assert "dataset_id is missing" in caplog.text


def test_what_an_event_does_not_say_is_left_out_of_the_note() -> None:
    known = {name: PUBLISHED[name] for name in ("dataset_type", "dataset_id", "manifest_uri")}
    assert note_text(known) == TEXT.replace(" · published 2,222 files, 12.1 MB", "")


def test_a_note_fits_into_its_column() -> None:
    assert len(note_text(PUBLISHED | {"manifest_uri": f"s3://bucket/{'a' * 2000}/manifest.json"})) == MAX_NOTE_CHARS


class TestFailedRuns:
    @staticmethod
    def fail(database: Runs, value: str, task_id: str = "wait_for_job", state: str = "failed") -> None:
        """A task ends, after it has told something, and then its run fails."""
        with database.session.begin() as session:
            run = session.query(DagRun).one()
            session.execute(
                insert(TaskInstance.__table__).values(
                    id=uuid.uuid4(),
                    task_id=task_id,
                    map_index=-1,
                    dag_id="dag",
                    run_id="run",
                    state=state,
                    try_number=1,
                    max_tries=0,
                    pool="default_pool",
                    pool_slots=1,
                )
            )
            row = {"dag_run_id": run.id, "task_id": task_id, "map_index": -1, "dag_id": "dag", "run_id": "run"}
            moment = datetime(2026, 11, 28, tzinfo=UTC)
            session.execute(
                insert(TaskStateStoreModel.__table__).values(**row, key=FAILURE_KEY, value=value, updated_at=moment)
            )
            on_dag_run_failed(run)

    TOLD = '{"kind": "JobHaltedError", "message": "Learnosity halted it.", "advice": "Clear it."}'

    def test_a_failed_run_says_why_and_what_to_do(self, database: Runs) -> None:
        self.fail(database, self.TOLD)
        assert database.note == "failed in wait_for_job: Learnosity halted it. Clear it."

    def test_a_note_of_somebody_else_is_left_alone(self, database: Runs) -> None:
        database.write("for the board", "7")
        self.fail(database, self.TOLD)
        assert database.note == "for the board"

    @pytest.mark.parametrize("value", ["", "[]", "{}", "null"])
    def test_what_is_not_understood_is_no_note(self, database: Runs, value: str) -> None:
        self.fail(database, value)
        assert database.note is None

    def test_a_task_that_succeeded_at_last_is_not_named(self, database: Runs) -> None:
        self.fail(database, self.TOLD, state="success")
        assert database.note is None

    def test_a_run_that_publishes_after_all_says_so(self, database: Runs) -> None:
        self.fail(database, self.TOLD)
        emit()
        assert database.note == TEXT
