"""The network beyond this Airflow is cut: the browser reaches no other host, and the Data API answers nobody.

What has landed is all there; the one page that needs Learnosity says so kindly, and shows the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psutil
import pytest
from playwright.sync_api import Route, expect

from devstack.browser import Ui, follow
from devstack.samples import DAG_ID

if TYPE_CHECKING:
    from tests.browser.conftest import Site

pytestmark = pytest.mark.integration


@pytest.fixture
def cut(site: Site) -> Iterator[Ui]:
    """A window that reaches Airflow alone, and Learnosity's stand-in that answers nobody."""

    def only_airflow(route: Route) -> None:
        route.continue_() if route.request.url.startswith(f"{site.url}/") else route.abort()

    ui = site.window()
    ui.page.context.route("**/*", only_airflow)
    simulator = psutil.Process(site.stack.simulator.process.pid)
    simulator.suspend()
    try:
        yield ui
    finally:
        simulator.resume()
        ui.close()


def test_pages_and_local_views_need_no_network(site: Site, cut: Ui) -> None:
    dataset = cut.dataset(DAG_ID, site.groups.dag_run_id)
    for name in ("district_1", "school_1"):
        follow(dataset.get_by_role("link", name=name, exact=True))
    expect(dataset.get_by_role("link", name="class_1", exact=True)).to_be_visible()
    follow(dataset.get_by_role("link", name=re.compile("^Files")))
    follow(dataset.get_by_role("link", name="groups/district_1/group.json", exact=True))
    expect(dataset.get_by_role("table").first).to_be_visible()
    items = cut.dataset(DAG_ID, site.items.dag_run_id)
    expect(items.locator("#scatter")).to_be_visible()
    cut.goto("/learnosity/")
    expect(cut.page.get_by_text("ibk-analysis-by-question").first).to_be_visible()
    assert cut.problems == []


def test_the_report_says_kindly_that_it_cannot_come_and_shows_the_same_numbers(site: Site, cut: Ui) -> None:
    dataset = cut.dataset(DAG_ID, site.groups.dag_run_id)
    follow(dataset.get_by_role("link", name="Report", exact=True))
    told = dataset.get_by_role("status")
    expect(told).to_contain_text("The Reports API cannot be reached from this browser.")
    expect(told).to_contain_text("the same results from the landed files")
    expect(dataset.get_by_role("link", name="district_1", exact=True)).to_be_visible()
    # The browser itself says that the script did not load; the page adds nothing to that.
    failed = "net::ERR_FAILED"
    script = f"{failed} GET {site.stack.simulator.url}/reports/"
    assert sorted(cut.problems) == [f"console: Failed to load resource: {failed}", script]
