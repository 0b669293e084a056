"""The tasks of a dataset in anybody's DAG: at its top, in groups, in mapped groups, with what runs before and after."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, TaskGroup, task_group
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.definitions.xcom_arg import PlainXComArg
from airflow.serialization.serialized_objects import DagSerialization

from learnosity.dags import MAX_ACTIVE_RUNS, dataset_dag
from learnosity.dataset_tasks import dataset_tasks
from learnosity.errors import RequestError
from learnosity.run_config import FIELDS

VALUES = {"dataset_type": "ibk-analysis-by-question"}
IDS = ["create_dataset", "wait_for_job", "land.list_files", "land.land_files", "land.publish"]


def new_dag() -> DAG:
    return DAG("a_dag", schedule=None, start_date=datetime(2026, 1, 1))


def references(dag: DAG) -> dict[str, set[str]]:
    """For each task, the tasks whose output its template fields take."""
    found: dict[str, set[str]] = {}
    for each in dag.tasks:
        arguments = each.partial_kwargs if isinstance(each, MappedOperator) else vars(each)
        found[each.task_id] = {
            value.operator.task_id for value in arguments.values() if isinstance(value, PlainXComArg)
        }
    return found


def test_they_stand_at_the_top_of_a_dag() -> None:
    with new_dag() as dag:
        dataset_tasks(VALUES)
    assert [each.task_id for each in dag.topological_sort()] == IDS


@pytest.mark.parametrize("outer", [None, "reports"])
def test_a_dag_has_several_datasets_each_in_a_group(outer: str | None) -> None:
    with new_dag() as dag:
        if outer:
            with TaskGroup(outer):
                groups = [dataset_tasks(VALUES, group_id=name) for name in ("maths", "reading")]
        else:
            groups = [dataset_tasks(VALUES, group_id=name) for name in ("maths", "reading")]
    assert len(groups) == 2
    before = f"{outer}." if outer else ""
    for name in ("maths", "reading"):
        own = f"{before}{name}."
        assert {each.task_id for each in dag.tasks if each.task_id.startswith(own)} == {own + each for each in IDS}
        taken = references(dag)
        for task_id in (f"{own}wait_for_job", f"{own}land.list_files", f"{own}land.land_files"):
            assert taken[task_id] == {f"{own}create_dataset"}
        assert taken[f"{own}land.publish"] == {f"{own}create_dataset", f"{own}land.list_files"}


def test_what_runs_before_and_after_is_set_by_first_and_last() -> None:
    with new_dag() as dag:
        export, load = BaseOperator(task_id="export"), BaseOperator(task_id="load")
        tasks = dataset_tasks(VALUES, group_id="maths")
        export >> tasks.first
        tasks.last >> load
    assert dag.get_task("maths.create_dataset").upstream_task_ids == {"export"}
    assert dag.get_task("load").upstream_task_ids == {"maths.land.publish"}


def test_in_a_mapped_group_one_task_lands_all_shards() -> None:
    """Airflow maps no task inside a mapped group."""
    with new_dag() as dag:

        @task_group
        def dataset(dataset_type: Any, filters: Any) -> None:
            dataset_tasks({"dataset_type": dataset_type, "filters": filters})

        dataset.expand_kwargs([{"dataset_type": "a", "filters": {}}, {"dataset_type": "b", "filters": {}}])
    land_files = dag.get_task("dataset.land.land_files")
    assert not isinstance(land_files, MappedOperator)
    assert references(dag)["dataset.land.land_files"] == {"dataset.create_dataset", "dataset.land.list_files"}


def test_a_group_that_is_mapped_over_whole_requests_is_told_how_to_be_mapped() -> None:
    with new_dag():

        @task_group
        def dataset(values: Any) -> None:
            dataset_tasks(values)

        with pytest.raises(RequestError, match="map it with expand_kwargs"):
            dataset.expand(values=[VALUES, VALUES])


def test_no_task_takes_the_output_of_another_by_a_template() -> None:
    """Inside a group, a bare task id finds nothing."""
    for each in dataset_dag().tasks:
        arguments = each.partial_kwargs if isinstance(each, MappedOperator) else vars(each)
        assert "xcom_pull" not in str([value for value in arguments.values() if isinstance(value, str | dict)])


def test_waiting_runs_do_not_hold_up_others() -> None:
    """Airflow's own default is 16 runs of a DAG at once."""
    assert dataset_dag().max_active_runs == MAX_ACTIVE_RUNS >= 1000


def test_another_deployment_sets_defaults_and_arguments_of_its_own() -> None:
    dag = dataset_dag(
        "grades", values={"landing_shards": 4}, tags=["ours"], default_args={"owner": "us"}, max_active_runs=2
    )
    assert (dag.dag_id, dag.tags, dag.max_active_runs) == ("grades", {"ours"}, 2)
    assert dag.params["landing_shards"] == 4
    assert dag.get_task("create_dataset").owner == "us"
    assert dag.get_task("create_dataset").retries == 7
    assert vars(dag.get_task("land.list_files"))["landing_shards"] == 4
    assert set(dag.params) == {each.name for each in FIELDS}


@pytest.mark.parametrize(
    ("wrong", "meant"), [("filter", "filters"), ("dataset-type", "dataset_type"), ("destination", "destination_uri")]
)
def test_a_value_that_is_no_field_is_refused_when_the_dag_is_parsed(wrong: str, meant: str) -> None:
    values = {**VALUES, wrong: {"activity_id": ["maths"]}}
    with pytest.raises(RequestError, match=f"'{wrong}' is not a field; did you mean '{meant}'"):
        dataset_dag("typo", values=values, auto_register=False)
    with new_dag(), pytest.raises(RequestError, match=f"'{wrong}' is not a field; did you mean '{meant}'"):
        dataset_tasks(values, group_id="typo")


def test_parsing_twice_gives_the_same_dag() -> None:
    """A serialised DAG that changes at each parse becomes a new version each time."""
    first, second = (DagSerialization.to_dict(dataset_dag()) for _ in range(2))
    assert first == second
    assert " at 0x" not in str(first)
