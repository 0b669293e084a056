"""The note on a run that has published: what it says, and whose notes it leaves alone."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import airflow.models
import msgspec
import pytest
from airflow.api_fastapi.core_api.services.public.dag_run import patch_dag_run_note
from airflow.listeners.types import AssetEvent
from airflow.models.base import Base
from airflow.models.dagrun import DagRun, DagRunNote
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunType
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, event, insert
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.pool import StaticPool

from learnosity.advice import TIMED_OUT
from learnosity.run_note_listener import (
    MAX_NOTE_CHARS,
    MORE,
    _write,
    note_text,
    on_asset_event_emitted,
    on_dag_run_failed,
)
from learnosity.task_report import FAILURE_KEY, Failure
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
    odd: Any
    for odd in (0, None, -1, "7", True, []):
        assert note_text(PUBLISHED | {"left_out": odd}) == TEXT
    assert len(note_text(PUBLISHED | {"gaps": gaps * 500})) == MAX_NOTE_CHARS


class Runs:
    """Airflow's database, with one run in it."""

    def __init__(self) -> None:
        # In memory, with one connection: each table that is made on a disk waits for the disk.
        self.engine = create_engine("sqlite://", poolclass=StaticPool)
        airflow.models.import_all_models()
        Base.metadata.create_all(self.engine)
        self.session = sessionmaker(self.engine, autoflush=False, expire_on_commit=False)  # as Airflow's own
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


def of(number: int, *gaps: str) -> dict[str, Any]:
    """The event of one of several datasets."""
    dataset_id = f"33285a4b-0e6e-47e4-bade-{number:012}"
    return PUBLISHED | {"dataset_id": dataset_id, "manifest_uri": f"s3://b/{number}/manifest.json", "gaps": [*gaps]}


@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 1, 1, 2, 0)])
def test_a_run_of_several_datasets_has_a_part_for_each_and_no_gap_is_lost(
    database: Runs, order: tuple[int, ...], failed: bool
) -> None:
    several = [of(0), of(1, "5 users were uploaded, and 4 came back."), of(2)]
    for number in order:
        emit(extra=several[number])
    newest_first = dict.fromkeys(reversed(order))
    expected = [note_text(several[1]), *(note_text(several[number]) for number in newest_first if number != 1)]
    if failed:
        TestFailedRuns.fail(database, TestFailedRuns.TOLD)
        expected.insert(0, "failed in wait_for_job: Learnosity halted it. Clear it.")
    assert database.note == "\n\n".join(expected)
    if failed:  # what is published after that replaces the failure alone
        emit(extra=several[1])
        assert database.note == "\n\n".join(expected[1:])


def test_of_two_datasets_that_write_the_first_note_at_the_same_time_both_are_in_it(database: Runs) -> None:
    other = note_text(of(1))

    def find_no_note(run: DagRun, _: Any) -> None:
        set_committed_value(run, "dag_run_note", None)

    def write_meanwhile(connection: Any, _: Any) -> None:
        row = {"dag_run_id": 1, "content": other, "user_id": "learnosity-plugin"}
        connection.execute(insert(DagRunNote.__table__).values(row))

    event.listen(DagRun, "load", find_no_note)
    event.listen(database.engine, "savepoint", write_meanwhile)
    try:
        emit(extra=of(0))
    finally:
        event.remove(DagRun, "load", find_no_note)
        event.remove(database.engine, "savepoint", write_meanwhile)
    assert database.note == f"{note_text(of(0))}\n\n{other}"


@pytest.mark.parametrize("gap", [0, 20, 39])
def test_of_many_datasets_those_with_gaps_stand_in_the_note_and_the_note_fits(database: Runs, gap: int) -> None:
    for number in range(40):
        emit(extra=of(number, *(["Nothing matched."] if number == gap else [])))
    note = database.note or ""
    assert len(note) <= MAX_NOTE_CHARS
    assert note.startswith(note_text(of(gap, "Nothing matched.")))
    assert note_text(of(39 if gap < 39 else 38)) in note
    assert note.endswith(MORE)
    assert note.count(MORE) == 1


def test_a_dataset_that_found_no_room_is_never_forgotten(database: Runs) -> None:
    @settings(max_examples=15, deadline=None)
    @example(events=[(0, 300, 0), (1, 300, 0), (2, 300, 0), (3, 0, 0)], failed=False)
    @given(
        events=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 800), st.integers(0, 2)), min_size=1, max_size=8),
        failed=st.booleans(),
    )
    def check(events: list[tuple[int, int, int]], failed: bool) -> None:
        with database.session.begin() as session:
            session.query(DagRunNote).delete()
        for number, length, gaps in events:
            emit(extra=of(number, *["Nothing matched."] * gaps) | {"manifest_uri": f"s3://b/{'x' * length}"})
        if failed:
            with database.session.begin() as session:
                _write(session, session.query(DagRun).one(), "failed in land: no.")
        note = database.note or ""
        assert len(note) <= MAX_NOTE_CHARS
        if not note.endswith(MORE):
            assert all(f"dataset {of(number)['dataset_id']} " in note for number, _, _ in events)

    check()


def test_where_there_is_room_again_the_note_still_says_that_there_is_more(database: Runs) -> None:
    for number in range(4):
        emit(extra=of(number) | {"manifest_uri": f"s3://b/{'x' * (330 if number < 3 else 0)}"})
    found = [part.partition(" · ")[0] for part in (database.note or "").split("\n\n")]
    assert found == [*(f"dataset {of(number)['dataset_id']}" for number in (3, 2, 1)), MORE]


def test_a_part_that_fills_the_note_leaves_room_to_say_that_there_is_more(database: Runs) -> None:
    emit(extra=of(0))
    emit(extra=of(1, "Nothing matched. " * 100))
    assert len(database.note or "") == MAX_NOTE_CHARS
    assert (database.note or "").endswith(MORE)


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
    def fail(
        database: Runs, value: str, task_id: str = "wait_for_job", state: str = "failed", try_number: int = 1
    ) -> None:
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
                    try_number=try_number,
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
            on_dag_run_failed(run, "task_failure")

    TOLD = '{"kind": "JobHaltedError", "message": "Learnosity halted it.", "advice": "Clear it."}'

    def test_a_failed_run_says_why_and_what_to_do(self, database: Runs) -> None:
        self.fail(database, self.TOLD)
        assert database.note == "failed in wait_for_job: Learnosity halted it. Clear it."

    @pytest.mark.parametrize("attempt", range(1, 4))
    @pytest.mark.parametrize("try_number", range(1, 4))
    def test_the_reason_of_an_earlier_try_is_not_told_as_that_of_the_last_one(
        self, database: Runs, attempt: int, try_number: int
    ) -> None:
        told = msgspec.json.encode(Failure("JobHaltedError", "Learnosity halted it.", "Clear it.", attempt)).decode()
        self.fail(database, told, try_number=try_number)
        assert database.note == (
            "failed in wait_for_job: Learnosity halted it. Clear it."
            if attempt >= try_number
            else f"failed in wait_for_job: Try {try_number} left no report; its log says more. "
            f"Try {attempt} failed with: Learnosity halted it."
        )

    def test_a_note_of_somebody_else_is_left_alone(self, database: Runs) -> None:
        database.write("for the board", "7")
        self.fail(database, self.TOLD)
        assert database.note == "for the board"

    def test_a_message_of_several_paragraphs_is_one_part_and_goes_as_a_whole(self, database: Runs) -> None:
        self.fail(database, self.TOLD.replace("halted it.", "halted it.\\n \\n\\ndataset x is not there."))
        assert database.note == "failed in wait_for_job: Learnosity halted it.\ndataset x is not there. Clear it."
        emit()
        assert database.note == TEXT

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

    @pytest.mark.parametrize("operator", ["LearnosityJobSensor", "PythonOperator", None])
    @pytest.mark.parametrize("msg", ["timed_out", "task_failure", ""])
    def test_a_run_that_timed_out_says_so_though_no_task_of_it_failed(
        self, database: Runs, msg: str, operator: str | None
    ) -> None:
        with database.session.begin() as session:
            session.execute(
                insert(TaskInstance.__table__).values(
                    id=uuid.uuid4(),
                    task_id="wait_for_job",
                    map_index=-1,
                    dag_id="dag",
                    run_id="run",
                    operator=operator,
                    state="skipped",
                    try_number=1,
                    max_tries=0,
                    pool="default_pool",
                    pool_slots=1,
                )
            )
            on_dag_run_failed(session.query(DagRun).one(), msg)
        is_told = msg == "timed_out" and operator == "LearnosityJobSensor"
        assert database.note == (f"failed: {TIMED_OUT}" if is_told else None)


BOARD = SimpleNamespace(get_id=lambda: "7")
REASON = "failed in wait_for_job: Learnosity halted it. Clear it."


def write_note(note: str) -> Callable[[DagRun, Session], None]:
    return lambda run, _: patch_dag_run_note(dag_run=run, note=note, user=cast(Any, BOARD))


def mark_failed(run: DagRun, session: Session) -> None:
    run.set_state(DagRunState.FAILED)
    on_dag_run_failed(run, "")


@pytest.mark.parametrize(
    ("before", "steps", "after"),
    [
        (None, [write_note("for the board"), mark_failed], "for the board"),
        ((TEXT, "learnosity-plugin"), [write_note("for the board"), mark_failed], "for the board"),
        (("old", "7"), [write_note("for the board"), mark_failed], "for the board"),
        ((TEXT, "learnosity-plugin"), [write_note(""), mark_failed], REASON),
        (None, [mark_failed, write_note("for the board")], "for the board"),
        ((TEXT, "learnosity-plugin"), [mark_failed, write_note("for the board")], "for the board"),
        (None, [mark_failed, write_note("")], None),
        (None, [mark_failed], REASON),
    ],
)
def test_a_person_may_write_a_note_and_the_state_in_one_request(
    database: Runs,
    before: tuple[str, str] | None,
    steps: list[Callable[[DagRun, Session], None]],
    after: str | None,
) -> None:
    TestFailedRuns.fail(database, TestFailedRuns.TOLD)
    with database.session.begin() as session:
        session.query(DagRunNote).delete()
    if before:
        database.write(*before)
    with database.session.begin() as session:
        run = session.query(DagRun).one()
        for step in steps:
            step(run, session)
    assert database.note == after


def test_the_note_is_undone_with_what_its_caller_undoes(database: Runs) -> None:
    TestFailedRuns.fail(database, TestFailedRuns.TOLD)
    with database.session.begin() as session:
        session.query(DagRunNote).delete()
    with database.session() as session:
        mark_failed(session.query(DagRun).one(), session)
        session.rollback()
    assert database.note is None
