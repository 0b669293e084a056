"""Which datasets a DAG has published before, in a real database of Airflow's models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import airflow.models
import pytest
from airflow.models.asset import AssetEvent, AssetModel
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from learnosity.api.dataset_request import ASSET_PREFIX
from learnosity.web.history import TREND, past_datasets

TYPE, OTHER_TYPE = "activity-summary-by-group", "ibk-analysis-by-question"
START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def session() -> Iterator[Session]:
    airflow.models.import_all_models()
    engine = create_engine("sqlite://")
    AssetEvent.metadata.create_all(engine)
    with Session(engine) as made:
        for number, kind in enumerate((TYPE, OTHER_TYPE, "*"), 1):
            made.add(AssetModel(id=number, name=f"a{number}", uri=f"{ASSET_PREFIX}{kind}", group="asset", extra={}))
        yield made


def publish(
    session: Session, number: int, dataset_type: str = TYPE, *, dag_id: str | None = "dag", asset: int = 1, **more: Any
) -> str:
    dataset_id = f"dataset-{number}"
    session.add(
        AssetEvent(
            asset_id=asset,
            extra={"dataset_id": dataset_id, "dataset_type": dataset_type} | more,
            source_dag_id=dag_id,
            source_run_id=f"run-{number}" if dag_id else None,
            source_task_id="land.publish" if dag_id else None,
            source_map_index=-1,
            timestamp=START + timedelta(days=number),
        )
    )
    session.flush()
    return dataset_id


def found(session: Session, dataset_id: str, dataset_type: str = TYPE) -> list[str]:
    return [each.dataset_id for each in past_datasets(session, "dag", dataset_type, dataset_id)]


def test_the_last_twelve_up_to_the_dataset_come_newest_first(session: Session) -> None:
    names = [publish(session, number) for number in range(20)]
    assert found(session, names[17]) == names[17:5:-1]
    assert len(found(session, names[17])) == TREND
    assert found(session, names[1]) == [names[1], names[0]]


def test_only_datasets_of_the_type_and_the_dag_count(session: Session) -> None:
    first = publish(session, 1)
    publish(session, 2, OTHER_TYPE, asset=2)
    publish(session, 3, dag_id="another")
    publish(session, 4, dag_id=None)  # made by hand
    publish(session, 5, OTHER_TYPE)  # by hand, to the asset of another type
    last = publish(session, 6)
    assert found(session, last) == [last, first]


def test_a_type_that_is_not_known_has_events_of_the_other_asset(session: Session) -> None:
    first = publish(session, 1, "something-new", asset=3)
    publish(session, 2, "something-else", asset=3)
    last = publish(session, 3, "something-new", asset=3)
    assert found(session, last, "something-new") == [last, first]


def test_a_dataset_that_was_published_again_counts_once(session: Session) -> None:
    first = publish(session, 1)
    for _ in range(3):
        second = publish(session, 2)
    assert found(session, second) == [second, first]
    assert past_datasets(session, "dag", TYPE, second)[0].published.replace(tzinfo=UTC) == START + timedelta(days=2)


def test_without_an_event_of_its_own_all_others_are_earlier(session: Session) -> None:
    first = publish(session, 1)
    assert found(session, "cleaned") == [first]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"figures": {"population": 3, "mean_percent": 50.5, "secret": 1}}, {"population": 3, "mean_percent": 50.5}),
        ({"figures": {"population": "3", "mean_percent": None}}, {}),
        ({"figures": [1]}, {}),
        ({}, {}),
    ],
)
def test_figures_are_checked(session: Session, said: dict[str, Any], expected: dict[str, float]) -> None:
    name = publish(session, 1, **said)
    assert past_datasets(session, "dag", TYPE, name)[0].figures == expected


def publish_several(session: Session, runs: int, places: list[tuple[str, int]], skipped: int = 0) -> None:
    """Runs that publish a dataset of one type in each of these tasks and map indexes.

    :param skipped: how many of these the first run leaves out.
    """
    for run in range(runs):
        for place, (task_id, map_index) in enumerate(places):
            if run or place >= skipped:
                name = publish(session, number := 10 * run + place)
                event = session.query(AssetEvent).filter(AssetEvent.timestamp == START + timedelta(days=number)).one()
                event.source_run_id, event.source_task_id, event.source_map_index = f"run-{run}", task_id, map_index
                assert name == f"dataset-{number}"
    session.flush()


SEVERAL = [
    [("a.land.publish", -1), ("b.land.publish", -1)],
    [("each.land.publish", 0), ("each.land.publish", 1)],
    [("each.land.publish", 0), ("b.land.publish", -1)],
]


@pytest.mark.parametrize("places", SEVERAL, ids=str)
def test_of_several_datasets_of_a_run_each_has_the_earlier_ones_of_its_own_task(
    session: Session, places: list[tuple[str, int]]
) -> None:
    publish_several(session, 3, places)
    assert found(session, "dataset-21") == ["dataset-21", "dataset-11", "dataset-1"]
    assert found(session, "dataset-20") == ["dataset-20", "dataset-10", "dataset-0"]


@pytest.mark.parametrize("places", SEVERAL, ids=str)
def test_a_dataset_of_the_same_run_is_no_earlier_one(session: Session, places: list[tuple[str, int]]) -> None:
    publish_several(session, 1, places)
    assert found(session, "dataset-1") == ["dataset-1"]


@pytest.mark.parametrize("places", SEVERAL, ids=str)
def test_where_a_task_is_new_the_datasets_of_other_tasks_count(session: Session, places: list[tuple[str, int]]) -> None:
    publish_several(session, 2, places[::-1], skipped=1)
    assert found(session, "dataset-10") == ["dataset-10", "dataset-1"]


def test_a_task_that_publishes_another_dataset_after_a_clear_has_the_one_before_it(session: Session) -> None:
    publish_several(session, 1, [("land.publish", -1), ("land.publish", -1)])
    assert found(session, "dataset-1") == ["dataset-1", "dataset-0"]
