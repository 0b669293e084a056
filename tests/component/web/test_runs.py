"""What the pages find of a run in Airflow's database, wherever the deployment keeps its XComs."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import airflow.models
import pytest
from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.dag_version import DagVersion
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.providers.common.io.xcom import backend
from airflow.sdk.bases.xcom import BaseXCom
from sqlalchemy import create_engine, insert, null, update
from sqlalchemy.orm import Session

from devstack.seaweedfs import REGION, SeaweedFS
from learnosity.api.dataset_request import ASSET_PREFIX
from learnosity.job_report import JOB_KEY
from learnosity.task_report import FAILURE_KEY
from learnosity.web import run_rows, runs

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


FIRST, SECOND = RETURNED["dataset_id"], "5d0c9e5c-6f3b-4b1e-9c58-0a3f3c1de002"
START = datetime(2026, 11, 28, 12, tzinfo=UTC)
OPERATORS = {
    "create_dataset": "LearnosityCreateDatasetOperator",
    "wait_for_job": "LearnosityJobSensor",
    "land.list_files": "LearnosityListFilesOperator",
    "land.land_files": "LearnosityLandFilesOperator",
    "land.publish": "LearnosityPublishOperator",
}


def put(
    session: Session, value: Any, task_id: str = "land.publish", map_index: int = -1, at: datetime | None = None
) -> None:
    session.execute(
        insert(XComModel.__table__).values(
            dag_run_id=1,
            task_id=task_id,
            map_index=map_index,
            key="return_value",
            dag_id="dag",
            run_id="run",
            value=value,
            timestamp=at or datetime.now(UTC),
        )
    )


def publication(dataset_id: str, **changes: Any) -> dict[str, Any]:
    uri = f"s3://bucket/datasets/{dataset_id}/manifest.json"
    return {**RETURNED, "dataset_id": dataset_id, "manifest_uri": uri, "file_count": 7, "total_bytes": 99, **changes}


def ran(session: Session, task_id: str, state: str | None, map_index: int = -1, operator: str | None = None) -> None:
    """A task instance, as the scheduler leaves it."""
    session.execute(
        insert(TaskInstance.__table__).values(
            id=uuid.uuid4(),
            task_id=task_id,
            map_index=map_index,
            dag_id="dag",
            run_id="run",
            operator=operator,
            state=state,
            try_number=1,
            max_tries=0,
            pool="default_pool",
            pool_slots=1,
        )
    )


def tasks(session: Session, prefix: str, *states: str | None, map_index: int = -1) -> None:
    """The tasks of `dataset_tasks`; those without a state have not begun."""
    for place, (name, operator) in enumerate(OPERATORS.items()):
        ran(session, prefix + name, states[place] if place < len(states) else None, map_index, operator)


DONE = ("success",) * 5


def loaded(session: Session) -> runs.Run:
    run = runs.load_run(session, "dag", "run")
    assert run is not None
    return run


def published(session: Session) -> str | None:
    run = loaded(session)
    assert run.only == (run.publications[0] if run.publications else None)
    return run.only.manifest_uri if run.only else None


KNOWN, UNKNOWN, OTHER = "activity-summary-by-group", "of-the-future", "also-of-the-future"


def before(session: Session, number: int, kind: str, asset: int, seconds: int, publications: int = 1) -> None:
    """Add an earlier run of the DAG, each of whose tasks took this many seconds."""
    values = {"run_type": "manual", "run_after": START, "state": "success", "conf": {}, "bundle_version": None}
    session.execute(insert(DagRun).values(id=number, dag_id="dag", run_id=f"run-{number}", **values))
    for index in range(publications):
        session.add(
            AssetEvent(
                asset_id=asset,
                extra={"dataset_id": f"id-{number}-{index}", "dataset_type": kind},
                source_dag_id="dag",
                source_run_id=f"run-{number}",
                source_task_id="land.publish",
                source_map_index=-1 if publications == 1 else index,
                timestamp=START,
            )
        )
    session.flush()
    tasks(session, "", *DONE)
    session.execute(
        update(TaskInstance.__table__)
        .where(TaskInstance.run_id == "run")
        .values(run_id=f"run-{number}", start_date=START, end_date=START + timedelta(seconds=seconds))
    )


def usual(session: Session, dataset_type: str) -> float | None:
    """The usual duration that the page tells while a run makes a dataset of this type; "" = the type is not known."""
    session.execute(update(DagRun).where(DagRun.run_id == "run").values(state="running"))
    tasks(session, "", "success", "running")
    if dataset_type:
        put(session, {"dataset_type": dataset_type, "dataset_id": FIRST}, "create_dataset")
    progress = loaded(session).progress
    assert progress is not None
    return progress.usual


@pytest.mark.parametrize(
    ("dataset_type", "seconds"), [(KNOWN, 10.0), (UNKNOWN, 20.0), (OTHER, 40.0), ("never-seen", None), ("", 20.0)]
)
def test_the_usual_time_is_that_of_runs_of_the_same_type_also_where_the_type_is_not_known(
    session: Session, dataset_type: str, seconds: float | None
) -> None:
    for number, uri in enumerate((KNOWN, "*"), 1):
        session.add(AssetModel(id=number, name=f"a{number}", uri=f"{ASSET_PREFIX}{uri}", group="asset", extra={}))
    for number, (kind, asset, took) in enumerate(((KNOWN, 1, 10), (UNKNOWN, 2, 20), (OTHER, 2, 40)), 2):
        before(session, number, kind, asset, took)
    assert usual(session, dataset_type) == seconds


@pytest.mark.parametrize("publications", [1, 2, runs.USUAL_RUNS, 5 * runs.USUAL_RUNS])
def test_a_run_that_published_several_datasets_is_one_run_of_the_usual_time(
    session: Session, publications: int
) -> None:
    session.add(AssetModel(id=1, name="a1", uri=f"{ASSET_PREFIX}{KNOWN}", group="asset", extra={}))
    for number, seconds in enumerate((10, 10, 600), 2):
        before(session, number, KNOWN, 1, seconds, publications if seconds == 600 else 1)
    assert usual(session, KNOWN) == 10.0


class TestSeveralDatasets:
    def test_all_that_a_run_has_published_in_the_order_of_tasks_and_map_indexes(self, session: Session) -> None:
        for map_index in (10, 0, 2):
            put(session, publication(f"id-{map_index}"), "mapped.land.publish", map_index)
        put(session, publication(FIRST), "maths.land.publish")
        put(session, publication(SECOND, dataset_type="ibk-analysis-by-question"), "a_name_of_its_own")
        found = [each.layout.dataset_id for each in loaded(session).publications]
        assert found == [SECOND, "id-0", "id-2", "id-10", FIRST]

    def test_of_one_dataset_the_newest_publication_counts(self, session: Session) -> None:
        put(session, publication(FIRST, file_count=1), "b.land.publish", at=START)
        put(session, publication(FIRST, file_count=2), "a.land.publish", at=START + timedelta(minutes=1))
        put(session, publication(FIRST, file_count=3), "c.land.publish", at=START - timedelta(minutes=1))
        run = loaded(session)
        assert [each.file_count for each in run.publications] == [2]
        assert run.only is not None
        assert not run.has_choice

    @pytest.mark.parametrize("mapped", [False, True])
    @pytest.mark.parametrize(
        ("states", "at", "state"),
        [
            ((), "create_dataset", "none"),
            (("running",), "create_dataset", "running"),
            (("success", "deferred"), "wait_for_job", "deferred"),
            (("success", "up_for_retry"), "wait_for_job", "up_for_retry"),
            (("success", "success", "success", "failed", "upstream_failed"), "land.land_files", "failed"),
            (("failed", *["upstream_failed"] * 4), "create_dataset", "failed"),
            (("upstream_failed",) * 5, "land.publish", "upstream_failed"),
            (("skipped",) * 5, "land.publish", "skipped"),
        ],
    )
    def test_a_dataset_that_is_not_published_is_there_with_its_state(
        self, session: Session, states: tuple[str, ...], at: str, state: str, mapped: bool
    ) -> None:
        one, other = (("dataset.", 0), ("dataset.", 1)) if mapped else (("maths.", -1), ("reading.", -1))
        tasks(session, one[0], *DONE, map_index=one[1])
        tasks(session, other[0], *states, map_index=other[1])
        put(session, publication(FIRST), f"{one[0]}land.publish", one[1])
        run = loaded(session)
        done, open_ = run.datasets
        assert done.publication is not None
        assert open_.publication is None
        assert (open_.task_id, open_.map_index) == (f"{other[0]}land.publish", other[1])
        assert open_.at is not None
        assert (open_.at.task_id, open_.at.state) == (f"{other[0]}{at}", state)
        assert run.has_choice
        assert run.only is None

    def test_its_type_and_id_are_known_once_it_is_created(self, session: Session) -> None:
        for map_index in (0, 1):
            tasks(session, "dataset.", "success", map_index=map_index)
            created = {"dataset_id": f"id-{map_index}", "dataset_type": f"type-{map_index}", "job_reference": "job"}
            put(session, created, "dataset.create_dataset", map_index)
        found = [(each.label, each.dataset_type, each.dataset_id) for each in loaded(session).datasets]
        label = "dataset.land.publish"
        assert found == [(f"{label}[0]", "type-0", "id-0"), (f"{label}[1]", "type-1", "id-1")]

    def test_a_group_whose_last_tasks_are_not_expanded_yet_has_its_datasets_all_the_same(
        self, session: Session
    ) -> None:
        for map_index, state in enumerate(["success", "failed", "running"]):
            ran(session, "dataset.create_dataset", state, map_index, OPERATORS["create_dataset"])
        for name in list(OPERATORS)[1:]:
            ran(session, f"dataset.{name}", None, -1, OPERATORS[name])
        at = [(each.map_index, each.at and (each.at.task_id, each.at.state)) for each in loaded(session).datasets]
        create = "dataset.create_dataset"
        assert at == [(0, ("dataset.wait_for_job", "none")), (1, (create, "failed")), (2, (create, "running"))]

    def test_a_dataset_that_came_with_a_clear_is_there_before_its_last_tasks_are_expanded(
        self, session: Session
    ) -> None:
        for map_index in (0, 1):
            tasks(session, "dataset.", *DONE, map_index=map_index)
            put(session, publication(f"id-{map_index}"), "dataset.land.publish", map_index)
        ran(session, "dataset.create_dataset", "failed", 2, OPERATORS["create_dataset"])
        *done, new = loaded(session).datasets
        assert [each.publication is not None for each in done] == [True, True]
        assert new.label == "dataset.land.publish[2]"
        assert new.at is not None
        assert new.at.state == "failed"

    @pytest.mark.parametrize("was_published", [False, True])
    def test_a_dataset_that_went_with_a_clear_is_there_only_if_it_was_published(
        self, session: Session, was_published: bool
    ) -> None:
        tasks(session, "dataset.", *DONE, map_index=0)
        put(session, publication(FIRST), "dataset.land.publish", 0)
        tasks(session, "dataset.", *["removed"] * 5, map_index=1)
        if was_published:
            put(session, publication(SECOND), "dataset.land.publish", 1)
        run = loaded(session)
        assert [each.layout.dataset_id for each in run.publications] == [FIRST, SECOND][: 1 + was_published]
        assert len(run.datasets) == 1 + was_published
        assert {step.state for step in run.steps} == {"success"}

    def test_steps_of_a_dataset_are_its_own(self, session: Session) -> None:
        for map_index in (0, 1):
            tasks(session, "dataset.", *DONE, map_index=map_index)
        for shard in range(3):
            ran(session, "single.land.land_files", "success", shard, OPERATORS["land.land_files"])
        ran(session, "single.land.publish", "success", -1, OPERATORS["land.publish"])
        mapped, _, single = loaded(session).datasets
        assert [(each.task_id, each.instances) for each in mapped.steps] == [
            (f"dataset.{name}", 1) for name in OPERATORS
        ]
        assert [each.instances for each in single.steps] == [3, 1]

    def test_one_dataset_of_one_group_needs_no_choice_while_it_waits(self, session: Session) -> None:
        tasks(session, "", "success", "deferred")
        run = loaded(session)
        assert not run.has_choice
        assert run.only is None

    @pytest.mark.parametrize(
        ("value", "says"),
        [
            (None, "marked as success by hand"),
            (null(), "marked as success by hand"),
            ("a text", "marked as success by hand"),
            ({"dataset_id": SECOND}, "marked as success by hand"),
            ({**publication(SECOND), "dataset_type": "../../etc"}, "names no dataset"),
            ({**publication(SECOND), "dataset_id": None, "dataset_type": {"a": 1}}, "names no dataset"),
        ],
    )
    def test_a_value_that_is_no_publication_is_said_in_its_row_and_hides_no_other(
        self, session: Session, value: Any, says: str
    ) -> None:
        for map_index in (0, 1, 2):
            tasks(session, "dataset.", *DONE, map_index=map_index)
        put(session, publication(FIRST), "dataset.land.publish", 0)
        put(session, value, "dataset.land.publish", 1)
        put(session, publication("id-2"), "dataset.land.publish", 2)
        run = loaded(session)
        assert [each.layout.dataset_id for each in run.publications] == [FIRST, "id-2"]
        assert [says in each.problem for each in run.datasets] == [False, True, False]

    def test_numbers_that_are_none_are_shown_as_zero(self, session: Session) -> None:
        put(session, publication(FIRST, file_count="many", total_bytes=True))
        (found,) = loaded(session).publications
        assert (found.file_count, found.total_bytes) == (0, 0)


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
        run = loaded(session)
    assert run.only is not None
    assert run.only.manifest_uri == RETURNED["manifest_uri"]
    assert run.unreadable == ("a_third",)
    assert "The XCom of a_third cannot be read" in caplog.text


@pytest.mark.parametrize("kept", ["gone", "unreadable", "not json", "no connection"])
def test_a_publication_that_cannot_be_read_is_said_in_its_row_and_hides_no_other(
    session: Session, elsewhere: Path, kept: str
) -> None:
    (elsewhere / "good.json").write_text(json.dumps(publication(FIRST)))
    (elsewhere / "unreadable.json").mkdir()
    (elsewhere / "not json.json").write_text("{")
    addresses = {"no connection": "s3://nowhere@bucket/xcom/value.json"}
    for map_index, address in enumerate(
        [f"{elsewhere.as_uri()}/good.json", addresses.get(kept, f"{elsewhere.as_uri()}/{kept}.json")]
    ):
        tasks(session, "dataset.", *DONE, map_index=map_index)
        put(session, address, "dataset.land.publish", map_index)
    run = loaded(session)
    good, bad = run.datasets
    assert [each.layout.dataset_id for each in run.publications] == [FIRST]
    assert good.problem == ""
    assert bad.problem
    assert run.has_choice


def test_where_nothing_that_may_be_a_publication_can_be_read_the_run_does_not_count_as_waiting(
    session: Session, elsewhere: Path
) -> None:
    (elsewhere / "unreadable.json").mkdir()
    address = f"{elsewhere.as_uri()}/unreadable.json"
    tasks(session, "", "success", "deferred")
    put(session, address, "create_dataset")
    assert not loaded(session).has_choice
    put(session, address, "a_task_of_ones_own")
    run = loaded(session)
    assert run.has_choice
    assert run.unreadable == ("a_task_of_ones_own",)


def test_what_other_tasks_returned_is_not_fetched_from_object_storage(
    session: Session, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks(session, "", *DONE)
    (elsewhere / "value.json").write_text(json.dumps(RETURNED))
    for name in OPERATORS:
        put(session, f"{elsewhere.as_uri()}/value.json", name)
    fetched: list[str] = []
    read = backend.XComObjectStorageBackend.deserialize_value

    def counted(row: Any) -> Any:
        fetched.append(row.task_id)
        return read(row)

    monkeypatch.setattr(backend.XComObjectStorageBackend, "deserialize_value", staticmethod(counted))
    assert published(session) == RETURNED["manifest_uri"]
    assert set(fetched) == {"create_dataset", "land.publish"}


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> list[tuple[str, int]]:
    """The XComs that are read from object storage. Each is `RETURNED`."""
    found: list[tuple[str, int]] = []

    def fetch(row: Any) -> Any:
        found.append((row.task_id, row.map_index))
        return RETURNED if row.value.startswith("file:") else row.value

    monkeypatch.setattr(backend.XComObjectStorageBackend, "deserialize_value", staticmethod(fetch))
    return found


class TestBounds:
    """What the tasks of a run returned is read within limits; what is not read is said."""

    def test_of_other_tasks_a_limited_number_is_fetched_and_of_each_task_the_first_ones(
        self, session: Session, fetched: list[tuple[str, int]]
    ) -> None:
        for map_index in range(3 * run_rows.MAX_TEXTS):
            put(session, "a text", "a_train", map_index)
        put(session, "file:///value.json", "z_own")
        run = loaded(session)
        assert len(fetched) == run_rows.MAX_TEXTS
        assert ("z_own", -1) in fetched
        assert [each.label for each in run.datasets] == ["z_own"]
        assert run.more

    def test_of_our_tasks_every_one_is_fetched(self, session: Session, fetched: list[tuple[str, int]]) -> None:
        number = 2 * run_rows.MAX_TEXTS
        for map_index in range(number):
            ran(session, "land.publish", "success", map_index, OPERATORS["land.publish"])
            put(session, "file:///value.json", "land.publish", map_index)
        run = loaded(session)
        assert len(run.datasets) == number
        assert not run.more

    def test_airflows_own_backend_has_nothing_to_fetch(self, session: Session) -> None:
        for map_index in range(3 * run_rows.MAX_TEXTS):
            put(session, "a text", "train", map_index)
        assert not loaded(session).more

    @pytest.mark.parametrize(
        "value",
        [
            {"rows": ["x" * 50_000]},
            ["x" * 50_000],
            "x" * 50_000,
            [{"manifest_uri": "x" * 50_000}],
            {"a": 1},
            7,
            None,
            True,
        ],
        ids=lambda value: str(value)[:20],
    )
    @pytest.mark.parametrize("stored", [False, True], ids=["database", "object storage"])
    def test_what_other_tasks_returned_is_not_even_loaded(
        self, session: Session, value: Any, stored: bool, request: pytest.FixtureRequest
    ) -> None:
        if stored:
            request.getfixturevalue("fetched")
        fetch = backend.XComObjectStorageBackend.deserialize_value if stored else BaseXCom.deserialize_value
        put(session, value, "train")
        put(session, RETURNED)
        rows, more = run_rows.returned_values(session, "dag", "run", [], fetch)
        assert [each.task_id for each in rows] == ["land.publish"]
        assert not more

    def test_a_create_task_that_returned_a_long_request_still_names_its_dataset(self, session: Session) -> None:
        tasks(session, "", "success", "running")
        request = {"filters": {"activities": ["an-activity"] * 5_000}}
        put(session, {"dataset_id": FIRST, "dataset_type": KNOWN, "request": request}, "create_dataset")
        (found,) = loaded(session).datasets
        assert (found.dataset_type, found.dataset_id) == (KNOWN, FIRST)

    @pytest.mark.parametrize("task_id", ["land.publish", "a_task_of_ones_own"])
    @pytest.mark.parametrize("more", ["x" * 50_000, ["x"] * 20_000, {"deep": {"manifest_uri": "x" * 50_000}}])
    def test_of_a_long_publication_all_that_is_used_is_read(self, session: Session, task_id: str, more: Any) -> None:
        if task_id == "land.publish":
            tasks(session, "", *DONE)
        put(session, publication(FIRST), task_id)
        (usual,) = loaded(session).publications
        session.execute(update(XComModel).values(value={"more": more, **publication(FIRST)}))
        run = loaded(session)
        assert run.publications == (usual,)
        assert (usual.file_count, usual.total_bytes, usual.learnosity_conn_id) == (7, 99, "learnosity_default")
        assert run.unreadable == ()

    @pytest.mark.parametrize("name", list(RETURNED)[:4])
    def test_a_publication_with_a_text_that_is_too_long_is_said_in_its_row_and_in_the_log(
        self, session: Session, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        tasks(session, "", *DONE)
        put(session, {**RETURNED, name: "x" * 50_000})
        run = loaded(session)
        (found,) = run.datasets
        assert found.publication is None
        assert found.problem == run_rows.TOO_LONG
        assert run.has_choice
        assert f"land.publish is not read. {run_rows.TOO_LONG}" in caplog.text

    @pytest.mark.parametrize("value", ["x" * 50_000, ["x" * 50_000]], ids=["text", "list"])
    def test_a_publish_task_that_returned_something_long_without_a_dataset_says_so(
        self, session: Session, value: Any
    ) -> None:
        tasks(session, "", *DONE)
        put(session, value)
        assert [each.problem for each in loaded(session).datasets] == [run_rows.TOO_LONG]

    def test_a_long_value_of_another_task_that_may_be_a_publication_is_named_and_logged(
        self, session: Session, caplog: pytest.LogCaptureFixture
    ) -> None:
        put(session, {**RETURNED, "manifest_uri": "x" * 50_000}, "a_task_of_ones_own")
        assert loaded(session).unreadable == ("a_task_of_ones_own",)
        assert "The XCom of a_task_of_ones_own is not read." in caplog.text

    def test_a_long_value_of_another_task_that_is_no_publication_is_not_named(self, session: Session) -> None:
        put(session, {"datasets": [{**RETURNED, "more": "x" * 50_000}]}, "a_task_of_ones_own")
        run = loaded(session)
        assert (run.unreadable, run.datasets) == ((), ())

    @pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
    @pytest.mark.parametrize("group", ["", "school."])
    @pytest.mark.parametrize("map_index", [-1, 3])
    @pytest.mark.parametrize("operator", [OPERATORS["create_dataset"], "MyCreateOperator", "_PythonDecoratedOperator"])
    def test_the_create_task_names_the_dataset_whatever_its_operator_is(
        self, session: Session, operator: str, map_index: int, group: str, long: bool
    ) -> None:
        ran(session, f"{group}create_dataset", "success", map_index, operator)
        ran(session, f"{group}land.publish", None, map_index, OPERATORS["land.publish"])
        value = {"dataset_id": FIRST, "dataset_type": KNOWN, "more": "x" * 50_000 * long}
        put(session, value, f"{group}create_dataset", map_index)
        run = loaded(session)
        assert [(each.dataset_type, each.dataset_id) for each in run.datasets] == [(KNOWN, FIRST)]
        assert run.unreadable == ()

    @pytest.mark.parametrize("value", [{"more": "x" * 50_000}, ["x" * 50_000], "x" * 50_000, None, "short", [1]])
    def test_a_create_task_of_ones_own_that_names_no_dataset_is_no_fault(self, session: Session, value: Any) -> None:
        ran(session, "create_dataset", "success", -1, "_PythonDecoratedOperator")
        ran(session, "land.publish", None, -1, OPERATORS["land.publish"])
        put(session, value, "create_dataset")
        run = loaded(session)
        assert [(each.dataset_type, each.problem) for each in run.datasets] == [("", "")]
        assert run.unreadable == ()

    @pytest.mark.parametrize("task_id", ["island.publish", "land.publish", "school.land.publish", "create_dataset"])
    def test_a_task_of_ones_own_may_publish_under_any_name(self, session: Session, task_id: str) -> None:
        ran(session, task_id, "success", -1, "_PythonDecoratedOperator")
        put(session, publication(FIRST), task_id)
        assert [each.layout.dataset_id for each in loaded(session).publications] == [FIRST]

    @pytest.mark.parametrize("name", ["a", "create_dataset_too", "z"])
    def test_where_not_all_is_read_our_publications_come_first_then_others_then_what_is_being_made(
        self, session: Session, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        for map_index in range(2):
            tasks(session, "", *DONE, map_index=map_index)
            put(session, {"dataset_type": KNOWN, "dataset_id": f"id-{map_index}"}, "create_dataset", map_index)
            put(session, publication(f"id-{map_index}"), "land.publish", map_index)
        for map_index in range(5):
            ran(session, name, "success", map_index, "_PythonDecoratedOperator")
            put(session, publication(f"other-{map_index}"), name, map_index)
        ours, others = ["id-0", "id-1"], [f"other-{map_index}" for map_index in range(5)]
        for limit in range(1, 9):
            monkeypatch.setattr(run_rows, "MAX_ROWS", limit)
            run = loaded(session)
            assert sorted(each.layout.dataset_id for each in run.publications) == [*ours, *others][:limit]
            assert run.more

    def test_a_dataset_behind_the_limit_of_rows_is_there_and_says_that_it_was_not_read(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(run_rows, "MAX_ROWS", 2)
        for map_index in range(3):
            ran(session, "land.publish", "success", map_index, OPERATORS["land.publish"])
            put(session, publication(f"id-{map_index}"), "land.publish", map_index)
        run = loaded(session)
        assert [each.dataset_id for each in run.datasets] == ["id-0", "id-1", ""]
        assert ["was not read" in each.problem for each in run.datasets] == [False, False, True]
        assert run.more


class TestProgress:
    def test_a_failed_run_says_what_its_task_told_in_the_order_of_the_dag(self, session: Session) -> None:
        tasks(session, "", "success", "failed", "upstream_failed", "upstream_failed", "upstream_failed")
        row = {"dag_run_id": 1, "task_id": "wait_for_job", "map_index": -1, "dag_id": "dag", "run_id": "run"}
        for key, value in (
            (FAILURE_KEY, '{"kind": "E", "message": "halted", "advice": "Clear it.", "attempt": 2}'),
            ("of_another_plugin", '"x"'),
        ):
            session.execute(insert(TaskStateStoreModel.__table__).values(**row, key=key, value=value, updated_at=START))
        arrows = dict(zip(OPERATORS, [*list(OPERATORS)[1:], None], strict=True))
        serialized = [
            {"__var": {"task_id": name, "downstream_task_ids": [after] if after else []}}
            for name, after in arrows.items()
        ]
        _serialize(session, {"dag": {"tasks": serialized}})
        run = loaded(session)
        assert [step.task_id for step in run.steps] == list(OPERATORS)
        assert run.progress is not None
        assert [(each.label, each.message, each.attempt) for each in run.progress.failed] == [
            ("wait_for_job", "halted", 2)
        ]

    @pytest.mark.parametrize(
        ("value", "statuses"),
        [
            ({"status": "running", "since": 1.8e9}, ["running"]),
            ({"status": "<b>", "since": 1.8e9, "more": 1}, ["<b>"]),
            ({"status": 7, "since": "x"}, []),
            ({"status": "running", "since": -1}, []),
            ({"status": "x" * 30_000, "since": 1.8e9}, []),
            ("text", []),
            (None, []),
        ],
    )
    def test_the_state_of_the_job_is_what_the_trigger_has_set(
        self, session: Session, value: Any, statuses: list[str]
    ) -> None:
        tasks(session, "", "success", "deferred")
        session.execute(update(DagRun).values(state="running"))
        row = {"dag_run_id": 1, "task_id": "wait_for_job", "map_index": -1, "dag_id": "dag", "run_id": "run"}
        session.execute(insert(XComModel.__table__).values(**row, key=JOB_KEY, value=value, timestamp=START))
        found = loaded(session).progress
        assert found is not None
        assert [job.status for job in found.jobs] == statuses

    def test_a_huge_report_is_not_read(self, session: Session) -> None:
        tasks(session, "", "failed")
        row = {"dag_run_id": 1, "task_id": "create_dataset", "map_index": -1, "dag_id": "dag", "run_id": "run"}
        value = '{"kind": "E", "message": "%s", "advice": ""}' % ("x" * 100_000)
        session.execute(
            insert(TaskStateStoreModel.__table__).values(**row, key=FAILURE_KEY, value=value, updated_at=START)
        )
        run = loaded(session)
        assert run.progress is not None
        assert [each.message for each in run.progress.failed] == [""]


def _serialize(session: Session, data: dict[str, Any]) -> None:
    version = uuid.uuid4()
    session.execute(
        insert(DagVersion.__table__).values(
            id=version, version_number=1, dag_id="dag", created_at=START, last_updated=START
        )
    )
    session.execute(
        insert(SerializedDagModel.__table__).values(
            id=uuid.uuid4(),
            dag_id="dag",
            data=data,
            dag_hash="x",
            dag_version_id=version,
            created_at=START,
            last_updated=START,
        )
    )
