"""What the list of datasets finds in Airflow's database: published datasets, open runs, and of which DAGs."""

from __future__ import annotations

import json
import uuid
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.models.asset import AssetEvent, AssetModel, TaskOutletAssetReference
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from sqlalchemy import event, insert
from sqlalchemy.orm import Session

from learnosity.api.dataset_request import ASSET_PREFIX
from learnosity.web import known_dags, list_rows
from tests.component.web.test_runs import FIRST, SECOND, START, publication, session

__all__ = ["session"]

SUMMARY, ANALYSIS = "activity-summary-by-group", "ibk-analysis-by-question"


@pytest.fixture
def assets(session: Session) -> Session:
    """A database that knows two dataset types."""
    for number, name in enumerate([SUMMARY, ANALYSIS, "*"], start=1):
        uri = f"{ASSET_PREFIX}{name}"
        session.execute(
            insert(AssetModel.__table__).values(
                id=number, name=name, uri=uri, group="asset", extra={}, created_at=START, updated_at=START
            )
        )
    return session


def happened(
    session: Session,
    task_id: str,
    map_index: int,
    extra: Any,
    run_id: str = "run",
    asset: int = 1,
    at: datetime | None = None,
) -> None:
    """An asset event, as Airflow registers it."""
    session.execute(
        insert(AssetEvent.__table__).values(
            asset_id=asset,
            extra=extra,
            source_task_id=task_id,
            source_dag_id="dag",
            source_run_id=run_id,
            source_map_index=map_index,
            timestamp=at or datetime.now(UTC),
        )
    )


def ran(session: Session, number: int, state: str, conf: Any, **more: Any) -> None:
    """A run, as Airflow keeps it."""
    row: dict[str, Any] = {"dag_id": "dag", "run_id": f"run-{number}", "start_date": START, **more}
    session.execute(
        insert(DagRun).values(
            id=number, run_type="manual", run_after=START, state=state, conf=conf, bundle_version=None, **row
        )
    )


def rows(session: Session, **limits: Any) -> list[tuple[str, str]]:
    return [(each.run_id, each.dataset_id) for each in list_rows.listed(session, {"dag"}, **limits).rows]


class TestDatasets:
    def test_datasets_of_one_type_in_one_run_do_not_hide_each_other(self, assets: Session) -> None:
        for map_index in (0, 1):
            happened(assets, "dataset.land.publish", map_index, publication(f"mapped-{map_index}"))
        for group in ("maths", "reading"):
            happened(assets, f"{group}.land.publish", -1, publication(group))
        assert rows(assets) == [("run", each) for each in ("reading", "maths", "mapped-1", "mapped-0")]

    @pytest.mark.parametrize("differs", [{"dataset_type": ANALYSIS}, {"manifest_uri": "s3://other/d/manifest.json"}])
    def test_datasets_of_one_id_and_two_types_or_places_are_two_rows(
        self, assets: Session, differs: dict[str, str]
    ) -> None:
        happened(assets, "maths.land.publish", -1, publication(FIRST))
        happened(assets, "reading.land.publish", -1, publication(FIRST, **differs))
        assert rows(assets) == [("run", FIRST), ("run", FIRST)]

    def test_of_each_dataset_of_a_run_the_last_event_is_taken(self, assets: Session) -> None:
        happened(assets, "land.publish", -1, publication(FIRST))
        happened(assets, "land.publish", -1, publication(FIRST))
        happened(assets, "again.land.publish", -1, publication(FIRST, file_count=9))
        happened(assets, "land.publish", -1, publication(FIRST), run_id="another")
        assert rows(assets) == [("another", FIRST), ("run", FIRST)]
        assert list_rows.listed(assets, {"dag"}).rows[1].file_count == 9

    def test_a_task_that_published_another_dataset_after_a_clear_has_only_that(self, assets: Session) -> None:
        happened(assets, "dataset.land.publish", 0, publication(FIRST))
        happened(assets, "dataset.land.publish", 1, publication("neighbour"))
        happened(assets, "dataset.land.publish", 0, publication(SECOND), asset=2)
        assert rows(assets) == [("run", SECOND), ("run", "neighbour")]

    def test_a_publication_with_events_of_two_assets_is_listed_once(self, assets: Session) -> None:
        happened(assets, "land.publish", -1, publication(FIRST))
        happened(assets, "land.publish", -1, publication(FIRST), asset=3)
        assert rows(assets) == [("run", FIRST)]

    @pytest.mark.parametrize(
        "extra",
        [
            {},
            {"dataset_id": None},
            [],
            ["dataset_id"],
            "a text",
            7,
            {"dataset_id": {"a": 1}},
            publication("x", file_count="many", total_bytes=-1, records=[], activities={"a": 1}, dataset_type=7),
            publication("long", more="x" * list_rows.MAX_VALUE),
        ],
    )
    def test_an_event_that_says_nothing_hides_no_other(self, assets: Session, extra: Any) -> None:
        happened(assets, "dataset.land.publish", 0, publication(FIRST))
        happened(assets, "dataset.land.publish", 1, extra)
        happened(assets, "dataset.land.publish", 2, extra)
        happened(assets, "dataset.land.publish", 3, publication(SECOND))
        found = rows(assets)
        assert [found[0], found[-1]] == [("run", SECOND), ("run", FIRST)]
        assert len(found) >= 3

    def test_what_the_event_says_stands_in_the_row(self, assets: Session) -> None:
        said = publication(FIRST, records=400, activities=["reading", "maths"])
        happened(assets, "land.publish", -1, said)
        (row,) = list_rows.listed(assets, {"dag"}).rows
        assert (row.state, row.dataset_type, row.records) == ("published", said["dataset_type"], 400)
        assert (row.activities, row.file_count, row.total_bytes) == (("reading", "maths"), 7, 99)

    @pytest.mark.parametrize(
        ("gaps", "mark"),
        [
            ([], ""),
            (None, ""),
            ("text", ""),
            ([7], ""),
            (["5 users were uploaded, and 4 came back."], "gaps"),
            (["Nothing matched: no session of any time was counted."], "empty"),
            (["5 users were uploaded, and 0 came back.", "Nothing matched: no session was counted."], "empty"),
        ],
    )
    def test_a_dataset_that_is_empty_or_has_gaps_is_marked(self, assets: Session, gaps: Any, mark: str) -> None:
        happened(assets, "land.publish", -1, publication(FIRST, gaps=gaps))
        assert [row.mark for row in list_rows.listed(assets, {"dag"}).rows] == [mark]

    @pytest.mark.parametrize(
        ("left_out", "gaps", "mark"),
        [(34, [], "part"), (0, [], ""), (-1, [], ""), ("34", [], ""), (True, [], ""), (34, ["A gap."], "gaps")],
    )
    def test_a_dataset_that_include_cut_down_is_marked_as_a_part(
        self, assets: Session, left_out: Any, gaps: list[str], mark: str
    ) -> None:
        happened(assets, "land.publish", -1, publication(FIRST, gaps=gaps, left_out=left_out))
        assert [row.mark for row in list_rows.listed(assets, {"dag"}).rows] == [mark]

    def test_days_leave_out_what_is_older_and_newer(self, assets: Session) -> None:
        for day in range(4):
            happened(assets, f"t{day}", -1, publication(f"day-{day}"), at=START + timedelta(days=day))
        found = rows(assets, since=START + timedelta(days=1), until=START + timedelta(days=3))
        assert [dataset for _, dataset in found] == ["day-2", "day-1"]

    def test_the_queries_do_not_grow_with_the_list_and_read_no_xcom(
        self, assets: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for map_index in range(120):
            happened(assets, "dataset.land.publish", map_index, publication(f"id-{map_index}"))
        asked: list[str] = []
        event.listen(assets.get_bind(), "before_cursor_execute", lambda *args: asked.append(args[2]))
        assert len(rows(assets)) == 120
        assert len(asked) == 3
        assert not any("xcom" in statement.lower() for statement in asked)
        monkeypatch.setattr(list_rows, "NEWEST", 50)
        found = list_rows.listed(assets, {"dag"})
        assert (len(found.rows), found.more) == (50, True)


class TestRuns:
    def test_failed_and_running_runs_are_there_and_ended_ones_are_not(self, assets: Session) -> None:
        for number, state in enumerate(["success", "failed", "running", "queued"], start=2):
            ran(assets, number, state, {}, start_date=START + timedelta(minutes=number))
        found = list_rows.listed(assets, {"dag"}).rows
        assert [(row.run_id, row.state) for row in found] == [
            ("run-5", "queued"),
            ("run-4", "running"),
            ("run-3", "failed"),
        ]
        assert list_rows.listed(assets, {"another"}).rows == []

    def test_a_run_says_what_its_run_config_says(self, assets: Session) -> None:
        ran(assets, 2, "failed", {"dataset_type": ANALYSIS, "filters": {"activity_id": ["maths"]}})
        (row,) = list_rows.listed(assets, {"dag"}).rows
        assert (row.dataset_type, row.activities) == (ANALYSIS, ("maths",))
        assert (row.dataset_id, row.file_count, row.records) == ("", None, None)

    @pytest.mark.parametrize("conf", [None, [], "text", {"dataset_type": 7, "filters": 8}, {"x": "y" * 20_000}])
    def test_a_run_config_of_another_shape_hides_no_run(self, assets: Session, conf: Any) -> None:
        ran(assets, 2, "failed", conf)
        assert rows(assets) == [("run-2", "")]

    def test_a_dag_of_one_type_names_it_without_a_run_config(self, assets: Session) -> None:
        ran(assets, 2, "failed", {})
        for asset in (1, 3):
            assets.execute(
                insert(TaskOutletAssetReference).values(
                    asset_id=asset, dag_id="dag", task_id="publish", created_at=START, updated_at=START
                )
            )
        assert list_rows.listed(assets, {"dag"}).rows[0].dataset_type == SUMMARY

    @pytest.mark.parametrize("packed", [False, True])
    @pytest.mark.parametrize(
        ("conf", "kind"),
        [
            ({}, SUMMARY),
            ({"dataset_type": ""}, SUMMARY),
            ({"dataset_type": ANALYSIS}, ANALYSIS),
            ({"x": "y" * 20_000}, ""),
        ],
    )
    def test_a_run_without_a_type_has_the_default_of_its_dag(
        self, assets: Session, conf: Any, kind: str, packed: bool
    ) -> None:
        ran(assets, 2, "failed", conf)
        params = [["other", {"default": 1}], ["dataset_type", {"default": SUMMARY}]]
        serialized(assets, "dag", "LearnosityPublishOperator", packed=packed, params=params)
        assert [row.dataset_type for row in list_rows.listed(assets, {"dag"}).rows] == [kind]

    def test_days_hold_for_runs(self, assets: Session) -> None:
        ran(assets, 2, "failed", {})
        ran(assets, 3, "queued", {}, start_date=None)
        assert len(rows(assets, since=START, until=START + timedelta(seconds=1))) == 2
        assert rows(assets, since=START + timedelta(seconds=1)) == []
        assert rows(assets, until=START) == []


def serialized(
    session: Session, dag_id: str, operator: str, *, packed: bool = False, days: int = 0, params: Any = None
) -> None:
    data = {"dag": {"params": params, "tasks": [{"__var": {"task_id": "a", "task_type": operator}}]}}
    text = json.dumps(data).encode()
    session.execute(
        insert(SerializedDagModel.__table__).values(
            id=uuid.uuid4(),
            dag_id=dag_id,
            data=None if packed else data,
            data_compressed=zlib.compress(text) if packed else None,
            created_at=START + timedelta(days=days),
            last_updated=START,
            dag_hash=uuid.uuid4().hex,
            dag_version_id=uuid.uuid4(),
        )
    )


class TestWhichDags:
    def test_one_that_has_published(self, assets: Session) -> None:
        happened(assets, "publish", -1, publication(FIRST))
        assert known_dags.learnosity_dags(assets, {"dag", "another"}) == {"dag"}
        assert known_dags.learnosity_dags(assets, {"another"}) == set()
        assert known_dags.learnosity_dags(assets, set()) == set()

    @pytest.mark.parametrize("packed", [False, True])
    def test_one_whose_newest_version_has_a_task_that_publishes(self, session: Session, packed: bool) -> None:
        serialized(session, "new", "LearnosityPublishOperator", packed=packed)
        serialized(session, "other", "BashOperator", packed=packed)
        serialized(session, "no_longer", "LearnosityPublishOperator", packed=packed)
        serialized(session, "no_longer", "BashOperator", packed=packed, days=1)
        everything = {"new", "other", "no_longer"}
        assert known_dags.learnosity_dags(session, everything) == {"new"}
        assert known_dags.learnosity_dags(session, {"other"}) == set()

    def test_a_version_is_looked_into_once(self, session: Session) -> None:
        serialized(session, "new", "LearnosityPublishOperator")
        known_dags.learnosity_dags(session, {"new"})
        asked: list[str] = []
        event.listen(session.get_bind(), "before_cursor_execute", lambda *args: asked.append(args[2]))
        assert known_dags.learnosity_dags(session, {"new"}) == {"new"}
        assert len(asked) == 2
