"""The first visit of a new user after `make up`: a result of their own with few clicks, and nothing typed."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from devstack import first_visit
from devstack.browser import SECONDS, Ui
from devstack.samples import DAG_ID

if TYPE_CHECKING:
    from tests.browser.conftest import Site

pytestmark = pytest.mark.integration

MOST_CLICKS = 6
# The aim is 60 s on a machine that does nothing else. The limit is higher, because other tests may run on this machine.
MOST_SECONDS = 300
# Counts clicks and key presses, in Airflow's page and in the frame with our page. Events that a script of a page makes
# are not counted: the browser gives `isTrusted` only to those that come from mouse and keyboard.
COUNTING = """
for (const [event, name] of [["click", "clicks"], ["keydown", "keys"]]) {
  addEventListener(event, ({ isTrusted }) => {
    if (isTrusted) sessionStorage.setItem(name, Number(sessionStorage.getItem(name)) + 1);
  }, true);
}
"""


def test_few_clicks_and_no_typing_lead_from_the_printed_address_to_a_result_of_ones_own(site: Site, ui: Ui) -> None:
    first_visit.prepare(site.stack)
    ui.page.add_init_script(COUNTING)
    began = time.monotonic()
    told = first_visit.instructions(site.url)
    (address,) = re.findall(r"^  groups +(\S+)", told, re.MULTILINE)
    ui.page.goto(address)
    ui.page.get_by_test_id("trigger-dag-button").click()
    ui.page.get_by_role("menuitem", name="Trigger again with this config").click()
    dialog = ui.page.get_by_role("dialog")
    # The visitor has to open no section and to type nothing: these two fields are visible at once, and are filled.
    expect(dialog.locator("#element_input_uri")).to_have_value(re.compile(f"{first_visit.INPUT_KEY}$"))
    expect(dialog.locator("#element_groups")).to_contain_text("district")
    dialog.get_by_test_id("trigger-dag-submit").click()
    ui.page.wait_for_url(lambda url: f"/dags/{DAG_ID}/runs/" in url and first_visit.GROUPS_RUN not in url)
    ui.page.get_by_role("link", name="Learnosity", exact=True).click()
    dataset = ui.page.frame_locator("iframe[title=Learnosity]")
    district = dataset.get_by_role("link", name="district_1", exact=True)
    expect(district).to_be_visible(timeout=240 * SECONDS)
    district.click()
    expect(dataset.get_by_role("columnheader", name="School")).to_be_visible()
    took = time.monotonic() - began
    clicks, keys = (int(ui.page.evaluate(f"sessionStorage.getItem('{name}')") or 0) for name in ("clicks", "keys"))
    logging.getLogger(__name__).info("The first visit took %d clicks and %.0f s.", clicks, took)
    assert 0 < clicks <= MOST_CLICKS
    assert keys == 0
    assert took < MOST_SECONDS


def test_the_samples_are_landed_once(site: Site) -> None:
    first_visit.prepare(site.stack)
    before = len(site.stack.airflow.api.dag_runs(DAG_ID))
    first_visit.prepare(site.stack)
    assert len(site.stack.airflow.api.dag_runs(DAG_ID)) == before
