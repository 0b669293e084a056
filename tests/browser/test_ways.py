"""Ways between the pages: the list, deep links that survive a reload, links out of the tab, and copied addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from devstack.browser import Ui, follow
from devstack.samples import ANALYSIS_TYPE, DAG_ID

if TYPE_CHECKING:
    from tests.browser.conftest import Site

pytestmark = pytest.mark.integration

TAB = "iframe[title=Learnosity]"
LIST = "iframe[title='Learnosity datasets']"


def test_the_tab_of_a_run_comes_back_to_the_group_after_a_reload(site: Site, ui: Ui) -> None:
    dataset = ui.dataset(DAG_ID, site.groups.dag_run_id)
    for name in ("district_1", "school_1"):
        follow(dataset.get_by_role("link", name=name, exact=True))
    path = dataset.get_by_label("Group path")
    expect(path.get_by_text("school_1", exact=True)).to_have_attribute("aria-current", "location")
    ui.page.wait_for_url(re.compile("#.*group=school_1"))
    ui.page.reload()
    expect(path.get_by_text("school_1", exact=True)).to_have_attribute("aria-current", "location")
    expect(ui.page.get_by_role("link", name="Dags").first).to_be_visible()
    follow(dataset.get_by_role("link", name="Group above: district_1"))
    expect(path.get_by_text("district_1", exact=True)).to_have_attribute("aria-current", "location")
    ui.page.wait_for_url(re.compile("#[^#]*group=district_1$"))
    ui.page.go_back()
    expect(path.get_by_text("school_1", exact=True)).to_have_attribute("aria-current", "location")


def test_a_copied_link_opens_the_same_page_with_airflows_menu_and_keeps_its_address(site: Site, ui: Ui) -> None:
    dataset = ui.dataset(DAG_ID, site.groups.dag_run_id)
    follow(dataset.get_by_role("link", name="district_1", exact=True))
    expect(dataset.get_by_label("Group path")).to_contain_text("district_1")
    dataset.get_by_role("button", name="Copy link").click()
    expect(dataset.get_by_text("Copied", exact=True)).to_be_visible()
    link = ui.page.evaluate("navigator.clipboard.readText()")
    group = ui.page.frame_locator(LIST).get_by_label("Group path")
    ui.page.goto(link)
    expect(group).to_contain_text("district_1")
    ui.page.reload()
    expect(group).to_contain_text("district_1")
    expect(ui.page.get_by_role("link", name="Dags").first).to_be_visible()
    assert ui.page.url == link


def test_links_lead_out_of_the_tab_to_the_list_and_to_airflows_own_pages(site: Site, ui: Ui) -> None:
    dataset = ui.dataset(DAG_ID, site.groups.dag_run_id)
    dataset.get_by_role("region", name="Steps").get_by_role("link", name="wait_for_job").click()
    ui.page.wait_for_url(re.compile("/tasks/wait_for_job"))
    dataset = ui.dataset(DAG_ID, site.groups.dag_run_id)
    dataset.get_by_role("link", name="All datasets").click()
    listed = ui.page.frame_locator(LIST)
    listed.get_by_role("link", name=site.groups.dag_run_id).click()
    ui.page.wait_for_url(re.compile(f"/dags/{DAG_ID}/runs/manual"))
    expect(ui.page.get_by_role("link", name="Learnosity", exact=True)).to_be_visible()


def test_the_list_is_filtered_sorted_and_still_so_after_a_reload(site: Site, ui: Ui) -> None:
    failed = site.stack.airflow.api.trigger(DAG_ID, {})
    site.stack.airflow.api.wait_for_run(DAG_ID, failed.dag_run_id)
    ui.goto("/plugin/learnosity")
    listed = ui.page.frame_locator(LIST)
    rows = listed.get_by_role("row").filter(has=ui.page.locator("th[scope=row]"))
    listed.get_by_label("State").select_option("failed")
    follow(listed.get_by_role("button", name="Show"))
    ui.page.wait_for_url(re.compile("state=failed"))
    expect(listed.get_by_role("link", name=failed.dag_run_id)).to_be_visible()
    expect(listed.get_by_text("published", exact=True)).to_have_count(1)  # the filter's option: no row shows it
    follow(listed.get_by_role("link", name="Show all"))
    expect(listed.get_by_label("State")).to_have_value("")
    listed.get_by_label("State").select_option("published")
    listed.get_by_label("Type").select_option(ANALYSIS_TYPE)
    listed.get_by_label("Search").fill(site.items.dag_run_id)
    follow(listed.get_by_label("Search"), key="Enter")
    ui.page.wait_for_url(re.compile(f"type={ANALYSIS_TYPE}"))
    ui.page.reload()
    expect(rows).to_have_count(1)
    follow(listed.get_by_role("link", name="Size"))
    expect(listed.get_by_role("columnheader", name="Size")).to_have_attribute("aria-sort", "descending")
    expect(rows).to_have_count(1)
    follow(rows.locator("th a"))
    expect(listed.get_by_role("heading", name="About this dataset")).to_be_visible()


def test_times_and_days_are_those_of_the_zone_that_is_chosen_in_airflow(site: Site, ui: Ui) -> None:
    ui.page.add_init_script("if (self.origin !== 'null') localStorage.setItem('timezone', 'Asia/Tokyo')")
    ui.goto("/learnosity/")
    expect(ui.page.locator("tbody time").first).to_contain_text("Asia/Tokyo")
    ui.page.get_by_label("From").fill("2026-01-01")
    follow(ui.page.get_by_role("button", name="Show"))
    ui.page.wait_for_url(re.compile(r"since=2026-01-01.*zone=Asia%2FTokyo"))
    expect(ui.page.locator("tbody time").first).to_be_visible()
