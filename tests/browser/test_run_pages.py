"""The page of a run that has no dataset yet: it follows the run by itself, and says why it failed."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from airflow_client.client import DagRunApi, DagRunMutableStates, DAGRunPatchBody, DAGRunResponse
from playwright.sync_api import expect

from devstack.browser import SECONDS, Ui
from devstack.samples import DAG_ID, analysis_conf, land
from devstack.waiting import wait_until
from learnosity.job_report import JOB_KEY
from tests.browser.test_accessibility import violations

if TYPE_CHECKING:
    from tests.browser.conftest import Site

pytestmark = pytest.mark.integration


def check_each_width_and_theme(site: Site, ui: Ui, run: DAGRunResponse) -> None:
    """The page of a run breaks no rule of axe-core, and nothing of it is cut off: light and dark, wide and narrow."""
    for dark, width in ((False, 390), (True, 1280), (True, 390), (False, 1280)):
        ui.page.emulate_media(color_scheme="dark" if dark else "light")
        ui.page.set_viewport_size({"width": width, "height": 900})
        ui.goto(site.page(run))
        expect(ui.page.get_by_role("heading", level=1)).to_be_visible()
        assert ui.page.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(ui) == []


def test_a_run_is_followed_without_a_reload_to_the_reason_of_its_failure(site: Site, ui: Ui) -> None:
    run = site.stack.airflow.api.trigger(DAG_ID, {})
    ui.goto(site.page(run))
    failed = ui.page.get_by_role("heading", level=1, name="Failed in create_dataset")
    expect(failed).to_be_visible(timeout=180 * SECONDS)
    expect(ui.page.get_by_text("set input_uri").first).to_be_visible()
    expect(ui.page.get_by_text("Trigger a new run with another run config")).to_be_visible()
    steps = ui.page.get_by_role("region", name="Steps").locator("tbody th")
    expect(steps).to_have_text(["create_dataset", "wait_for_job", "land.list_files", "land.land_files", "land.publish"])
    # The page knows it as soon as the task has failed. The note is written when the scheduler has ended the run.
    wait_until(
        lambda: "failed in create_dataset" in (site.stack.airflow.api.dag_run(DAG_ID, run.dag_run_id).note or ""),
        timeout=180,
        late=lambda: "the run has no note of its failure",
    )
    check_each_width_and_theme(site, ui, run)
    ui.page.get_by_role("link", name="Log of create_dataset").click()
    ui.page.wait_for_url(re.compile("/tasks/create_dataset"))
    expect(ui.page.get_by_text("set input_uri").first).to_be_visible()


def test_a_deferred_wait_shows_the_state_of_the_job_and_since_when(site: Site, ui: Ui) -> None:
    api = site.stack.airflow.api
    site.stack.simulator.control("faults", method="POST", body=[{"match": "job", "kind": "job_hang", "times": 1}])
    before = time.time()
    run = api.trigger(DAG_ID, analysis_conf())
    try:
        ui.goto(site.page(run))
        told = ui.page.get_by_text("Learnosity's job is")
        expect(told).to_contain_text("running", timeout=180 * SECONDS)
        expect(ui.page.get_by_role("heading", level=1, name="Waiting for Learnosity's job")).to_be_visible()
        kept = api.xcom(DAG_ID, run.dag_run_id, "wait_for_job", key=JOB_KEY)
        assert kept["status"] == "running"
        assert before < kept["since"] < time.time()
        shown = told.locator("time").get_attribute("datetime") or ""
        assert datetime.fromisoformat(shown).timestamp() == pytest.approx(kept["since"], abs=1)
        check_each_width_and_theme(site, ui, run)
    finally:
        DagRunApi(api.client).patch_dag_run(DAG_ID, run.dag_run_id, DAGRunPatchBody(state=DagRunMutableStates.FAILED))
        site.stack.simulator.control("faults", method="DELETE")
    expect(told).to_have_count(0, timeout=60 * SECONDS)


def test_an_empty_dataset_says_so_and_what_to_do(site: Site, ui: Ui) -> None:
    long_ago = {"activity_id": ["reading-2026"], "mintime": "2001-01-01", "maxtime": "2001-12-31"}
    run = land(site.stack, analysis_conf(dataset_type="activity-analysis-by-question", filters=long_ago))
    ui.goto(site.page(run))
    warning = ui.page.get_by_role("note")
    expect(warning).to_contain_text("This dataset is empty.")
    expect(warning).to_contain_text("Check the activities, the times")
    check_each_width_and_theme(site, ui, run)
