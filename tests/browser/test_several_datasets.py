"""A run with several datasets: in two task groups, and in a task group that is mapped over requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from airflow_client.client import (
    ClearTaskInstancesBody,
    ClearTaskInstancesBodyTaskIdsInner,
    TaskInstanceApi,
    VariableApi,
    VariableBody,
)
from playwright.sync_api import Locator, expect

from devstack.browser import Ui, follow
from devstack.landed import LandedDataset
from devstack.samples import ANALYSIS_TYPE
from learnosity.api.dataset_request import dataset_type
from tests.browser.test_accessibility import violations

if TYPE_CHECKING:
    from tests.browser.conftest import Site

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ACTIVITIES = "activity-analysis-by-question"
GROUPS, MAPPED = "two_groups", "mapped_group"
ITEMS: dict[str, Any] = {"dataset_type": ANALYSIS_TYPE, "filters": {}}
MATHS: dict[str, Any] = {"dataset_type": ACTIVITIES, "filters": {"activity_id": ["mathematics-2026"]}}
BAD: dict[str, Any] = {"dataset_type": "no-such-type", "filters": {}}
PUBLISH = {
    GROUPS: [("items.land.publish", -1), ("maths.land.publish", -1)],
    MAPPED: [("dataset.land.publish", 0), ("dataset.land.publish", 1)],
}


def ask_for(site: Site, *requests: Mapping[str, Any]) -> None:
    """Set what the mapped DAG makes datasets of."""
    variables = VariableApi(site.stack.airflow.api.client)
    body = VariableBody(key="requests", value=msgspec.json.encode(requests).decode())
    if "requests" in {each.key for each in variables.get_variables().variables}:
        variables.patch_variable("requests", body)
    else:
        variables.post_variable(body)


def finish(site: Site, dag_id: str, run_id: str) -> str:
    """Wait for the end of a run; its state."""
    return str(site.stack.airflow.api.wait_for_run(dag_id, run_id, timeout=300).state.value)


def published(site: Site, dag_id: str, run_id: str) -> list[dict[str, Any]]:
    """What each publish task returned."""
    api = site.stack.airflow.api
    return [api.xcom(dag_id, run_id, task_id, map_index=map_index) for task_id, map_index in PUBLISH[dag_id]]


def created(site: Site, run_id: str) -> list[dict[str, Any]]:
    """What each create task of the mapped DAG returned."""
    api = site.stack.airflow.api
    return [api.xcom(MAPPED, run_id, "dataset.create_dataset", map_index=map_index) for map_index in (0, 1)]


def jobs_started(site: Site) -> dict[str, int]:
    """How many jobs Learnosity's stand-in has started, by dataset."""
    started: dict[str, int] = site.stack.simulator.control("stats")["jobs_started"]
    return started


@pytest.fixture(scope="module")
def runs(site: Site) -> dict[str, str]:
    """A run of each DAG that has ended well."""
    ask_for(site, ITEMS, MATHS)
    api = site.stack.airflow.api
    for dag_id in PUBLISH:
        api.wait_for_dag(dag_id)
    started = {dag_id: api.trigger(dag_id, run_id=f"good-{dag_id}").dag_run_id for dag_id in PUBLISH}
    for dag_id, run_id in started.items():
        assert finish(site, dag_id, run_id) == "success"
    return started


def row(page: Any, label: str) -> Locator:
    """The row of a dataset in the list of a run."""
    found: Locator = (
        page.get_by_role("table", name="Datasets of this run")
        .get_by_role("row")
        .filter(has=page.get_by_role("rowheader", name=label, exact=True))
    )
    return found


@pytest.mark.parametrize("dag_id", PUBLISH)
def test_every_dataset_lands_whole_by_one_job_each(site: Site, runs: dict[str, str], dag_id: str) -> None:
    store = site.stack.seaweedfs.store("learnosity", prefix="datasets")
    results = published(site, dag_id, runs[dag_id])
    assert [each["dataset_type"] for each in results] == [ANALYSIS_TYPE, ACTIVITIES]
    for each in results:
        dataset = LandedDataset.of(store, each["dataset_type"], each["dataset_id"])
        made = site.stack.simulator.made_files(each["dataset_id"])
        assert dataset.problems(made) == []
        assert each["file_count"] == len(made) > 0
        assert jobs_started(site)[each["dataset_id"]] == 1


def test_in_a_mapped_group_one_task_lands_all_shards_of_its_dataset(site: Site, runs: dict[str, str]) -> None:
    api = site.stack.airflow.api
    for map_index, result in enumerate(published(site, MAPPED, runs[MAPPED])):
        shards = api.xcom(MAPPED, runs[MAPPED], "dataset.land.land_files", map_index=map_index)
        assert len(shards) == 2
        assert sum(shard["files"] for shard in shards) == result["file_count"]


@pytest.mark.parametrize("dag_id", PUBLISH)
def test_people_choose_a_dataset_and_stay_with_it(site: Site, ui: Ui, runs: dict[str, str], dag_id: str) -> None:
    results = published(site, dag_id, runs[dag_id])
    for result, (task_id, map_index) in zip(results, PUBLISH[dag_id], strict=True):
        tab = ui.dataset(dag_id, runs[dag_id])
        expect(tab.get_by_role("status")).to_contain_text("2 of 2 published")
        own = row(tab, task_id if map_index < 0 else f"{task_id}[{map_index}]")
        expect(own).to_contain_text(result["dataset_type"])
        follow(own.get_by_role("link", name=result["dataset_id"]))
        expect(tab.get_by_role("heading", level=1)).to_have_text(dataset_type(result["dataset_type"]).label)
        follow(tab.get_by_role("link", name="Discrimination index"))
        expect(tab.get_by_text(result["dataset_id"], exact=True)).to_be_visible()
        follow(tab.get_by_role("link", name=re.compile("^Files")))
        expect(tab.get_by_role("status")).to_contain_text(f"{result['file_count']} of {result['file_count']} files")
        tab.get_by_label("Find files").fill("items.json")
        follow(tab.get_by_role("button", name="Find"))
        expect(tab.get_by_text(result["dataset_id"], exact=True)).to_be_visible()
        follow(tab.get_by_role("link", name="All datasets of this run"))
        expect(tab.get_by_role("heading", level=1)).to_have_text("Datasets of this run")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_list_is_used_by_everybody(site: Site, runs: dict[str, str], width: int) -> None:
    ui = site.window(width=width)
    ui.goto(f"/learnosity/run/{MAPPED}/{runs[MAPPED]}")
    expect(ui.page.get_by_role("heading", level=1)).to_have_text("Datasets of this run")
    assert violations(ui) == []
    assert ui.page.evaluate("document.documentElement.scrollWidth") <= width
    ui.close()


@pytest.mark.parametrize("dag_id", PUBLISH)
def test_the_links_of_a_publish_task_lead_to_its_own_dataset(
    site: Site, ui: Ui, runs: dict[str, str], dag_id: str
) -> None:
    api = site.stack.airflow.api
    for result, (task_id, map_index) in zip(published(site, dag_id, runs[dag_id]), PUBLISH[dag_id], strict=True):
        link = api.xcom(dag_id, runs[dag_id], task_id, key="_link_ManifestLink", map_index=map_index)
        reply = ui.page.request.get(link)
        assert reply.status == 200
        assert reply.json()["dataset_id"] == result["dataset_id"]


def test_the_list_of_all_datasets_has_each_of_them(site: Site, ui: Ui, runs: dict[str, str]) -> None:
    for dag_id, run_id in runs.items():
        for result in published(site, dag_id, run_id):
            ui.goto("/learnosity/")
            follow(ui.page.get_by_role("row", name=result["dataset_id"]).get_by_role("link").first)
            label = dataset_type(result["dataset_type"]).label
            expect(ui.page.get_by_role("heading", level=1)).to_have_text(label)
            assert ui.page.url.endswith(f"/run/{dag_id}/{run_id}/dataset/{result['dataset_id']}")


def test_one_that_failed_is_listed_and_hides_no_other(site: Site, ui: Ui, runs: dict[str, str]) -> None:
    ask_for(site, ITEMS, BAD)
    run_id = site.stack.airflow.api.trigger(MAPPED, run_id="one-is-bad").dag_run_id
    assert finish(site, MAPPED, run_id) == "failed"
    tab = ui.dataset(MAPPED, run_id)
    expect(tab.get_by_role("status")).to_contain_text("1 of 2 published")
    expect(row(tab, "dataset.land.publish[1]")).to_contain_text("failed dataset.create_dataset")
    follow(row(tab, "dataset.land.publish[0]").get_by_role("link").last)
    expect(tab.get_by_role("heading", level=1)).to_have_text(dataset_type(ANALYSIS_TYPE).label)


def test_clearing_one_dataset_of_a_mapped_group_leaves_the_others_alone(site: Site, runs: dict[str, str]) -> None:
    api = site.stack.airflow.api
    before, started = published(site, MAPPED, runs[MAPPED]), jobs_started(site)
    body = ClearTaskInstancesBody(
        dry_run=False,
        dag_run_id=runs[MAPPED],
        task_ids=[ClearTaskInstancesBodyTaskIdsInner(["dataset.create_dataset", 1])],
        only_failed=False,
        include_downstream=True,
    )
    TaskInstanceApi(api.client).post_clear_task_instances(MAPPED, body)
    assert finish(site, MAPPED, runs[MAPPED]) == "success"
    assert published(site, MAPPED, runs[MAPPED]) == before
    assert jobs_started(site) == started
    tries = {(each.task_id, each.map_index): each.try_number for each in api.task_instances(MAPPED, runs[MAPPED])}
    assert {tries[each] for each in tries if each[1] == 0} == {1}
    assert {tries[each] for each in tries if each[1] == 1} == {2}


def test_requests_in_another_order_do_not_take_each_others_datasets(site: Site, runs: dict[str, str]) -> None:
    ask_for(site, ITEMS, MATHS)
    run_id = site.stack.airflow.api.trigger(MAPPED, run_id="another-order").dag_run_id
    assert finish(site, MAPPED, run_id) == "success"
    first = created(site, run_id)
    ask_for(site, MATHS, ITEMS)
    site.stack.airflow.api.clear(MAPPED, run_id, ["requests"])
    assert finish(site, MAPPED, run_id) == "success"
    second = created(site, run_id)
    assert [each["request"]["dataset_type"] for each in first] == [ANALYSIS_TYPE, ACTIVITIES]
    assert [each["request"]["dataset_type"] for each in second] == [ACTIVITIES, ANALYSIS_TYPE]
    assert not {each["dataset_id"] for each in first} & {each["dataset_id"] for each in second}
    assert {jobs_started(site)[each["dataset_id"]] for each in (*first, *second)} == {1}
