"""The assets of published datasets, and which of them the publishing task declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from learnosity.api.dataset_request import KNOWN_TYPES
from learnosity.assets import ANY_DATASET, KNOWN_DATASETS, OTHER_DATASETS, dataset_asset, published_assets
from learnosity.dags import dataset_dag
from learnosity.operators import LearnosityPublishOperator
from learnosity.schedules.dags import build_dag
from learnosity.schedules.files import Schedule, parse

KNOWN = "activity-analysis-by-question"
NEW_TYPE = "a-type-of-next-year"


def publish(request: Any, **more: Any) -> LearnosityPublishOperator:
    given: dict[str, Any] = {"dataset": {}, "destination_uri": "file:///tmp/datasets", "shards": []}
    return LearnosityPublishOperator(task_id="publish", request=request, **given, **more)


@pytest.mark.parametrize("name", [*KNOWN_TYPES, NEW_TYPE, "datasets", "other-datasets"])
def test_a_consumer_of_any_dataset_gets_each_one(name: str) -> None:
    assert [asset for asset in published_assets(name) if asset in ANY_DATASET.objects]


@pytest.mark.parametrize("name", [NEW_TYPE, "datasets", "other-datasets", "*"])
def test_no_type_has_the_name_or_the_uri_of_the_other_asset(name: str) -> None:
    """Airflow lets one of two assets be that share a name or a URI."""
    assert dataset_asset(name).name != OTHER_DATASETS.name
    assert dataset_asset(name).uri != OTHER_DATASETS.uri or name == "*"  # `*` is no valid type


@pytest.mark.parametrize("name", KNOWN_TYPES)
def test_where_the_type_is_fixed_its_asset_is_the_outlet(name: str) -> None:
    task = publish({"dataset_type": name})
    assert task.outlets == [dataset_asset(name)]
    assert task.inlets == []


def test_a_fixed_type_that_is_not_known_has_the_other_asset_too() -> None:
    assert publish({"dataset_type": NEW_TYPE}).outlets == [dataset_asset(NEW_TYPE), OTHER_DATASETS]


@pytest.mark.parametrize(
    "request_",
    [
        {"dataset_type": "{{ params.dataset_type }}"},
        {"dataset_type": "{% if x %}a{% endif %}"},
        {"dataset_type": "prefix-{{ x }}"},
        {"dataset_type": ""},
        {"dataset_type": None},
        {"dataset_type": "größen"},
        {},
        "{{ ti.xcom_pull(task_ids='request') }}",
    ],
    ids=str,
)
def test_where_it_is_not_every_asset_that_may_get_an_event_exists_before(request_: Any) -> None:
    """An asset that Airflow makes with its first event is made by one of two tasks, and the other one fails."""
    task = publish(request_)
    assert task.outlets == [OTHER_DATASETS]
    assert task.inlets == KNOWN_DATASETS


def schedule() -> DAG:
    found = parse(
        "a.yaml", f"name: a\nschedule: '0 4 * * 1'\nparams: {{dataset_type: {KNOWN}, filters: {{activity_id: [a]}}}}\n"
    )
    assert isinstance(found, Schedule), found
    return build_dag(found)


@pytest.mark.parametrize(
    ("dag", "outlets"),
    [
        pytest.param(dataset_dag, [OTHER_DATASETS], id="form"),
        pytest.param(lambda: dataset_dag(values={"dataset_type": KNOWN}), [OTHER_DATASETS], id="form with a default"),
        pytest.param(schedule, [dataset_asset(KNOWN)], id="schedule"),
    ],
)
def test_no_dataset_dag_has_an_alias_and_none_waits_for_another_publication(
    dag: Callable[[], DAG], outlets: list[Asset]
) -> None:
    task = dag().get_task("land.publish")
    assert task.outlets == outlets
    assert not [each for each in [*task.outlets, *task.inlets] if isinstance(each, AssetAlias)]
    assert task.max_active_tis_per_dag is None


def test_outlets_of_its_author_are_left_alone() -> None:
    assert publish({"dataset_type": NEW_TYPE}, outlets=[Asset("mine")]).outlets == [Asset("mine")]


def test_two_tasks_do_not_share_their_lists() -> None:
    publish({}).inlets.append(Asset("mine"))
    assert publish({}).inlets == KNOWN_DATASETS


def test_the_event_of_an_asset_is_kept_under_the_asset() -> None:
    """What the publishing task relies on: Airflow's accessor takes equal assets for one."""
    events = OutletEventAccessors()
    events[dataset_asset(NEW_TYPE)].extra = {"a": 1}
    assert events[dataset_asset(NEW_TYPE)].extra == {"a": 1}
