"""Airflow's UI as people use it, in a real browser: the form, the run, the dataset's page and its report."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Locator, expect

from devstack import http
from devstack.browser import SECONDS, Ui, follow
from devstack.samples import DAG_ID, group_conf, upload_users

if TYPE_CHECKING:
    from tests.browser.conftest import Site

pytestmark = pytest.mark.integration


def section(dialog: Locator, name: str) -> None:
    dialog.get_by_role("button", name=name, exact=True).click()


def write_json(ui: Ui, dialog: Locator, param: str, value: Any) -> None:
    editor = dialog.locator(f"#element_{param} .monaco-editor").first
    editor.click()
    ui.page.keyboard.press("Control+A")
    # Pasted, because the editor closes brackets by itself while one types.
    ui.page.evaluate("text => navigator.clipboard.writeText(text)", json.dumps(value))
    ui.page.keyboard.press("Control+V")
    expect(editor).to_contain_text(next(iter(value if isinstance(value, dict) else value[0])))


def open_form(ui: Ui) -> Locator:
    ui.goto(f"/dags/{DAG_ID}")
    ui.page.get_by_test_id("trigger-dag-button").click()
    return ui.page.get_by_role("dialog")


class TestForm:
    def test_a_run_is_triggered_with_the_form_and_followed_to_its_dataset(self, site: Site, ui: Ui) -> None:
        conf = group_conf(upload_users(site.stack, 200))
        dialog = open_form(ui)
        dialog.locator("#element_input_uri").fill(conf["input_uri"])
        write_json(ui, dialog, "groups", conf["groups"])
        write_json(ui, dialog, "filters", conf["filters"])
        write_json(ui, dialog, "options", conf["options"])
        section(dialog, "Landing")
        expect(dialog.locator("#element_destination_uri")).to_have_value("")
        section(dialog, "Waiting and connection")
        expect(dialog.locator("#element_learnosity_conn_id")).to_have_value("learnosity_default")
        before = {run.dag_run_id for run in site.stack.airflow.api.dag_runs(DAG_ID)}
        dialog.get_by_test_id("trigger-dag-submit").click()
        expect(dialog).to_be_hidden()
        (run_id,) = {run.dag_run_id for run in site.stack.airflow.api.dag_runs(DAG_ID)} - before
        assert site.stack.airflow.api.wait_for_run(DAG_ID, run_id, timeout=120).state == "success"
        dataset = ui.dataset(DAG_ID, run_id)
        expect(dataset.get_by_role("link", name="district_1", exact=True)).to_be_visible()

    def test_a_bad_value_is_refused_by_the_form_and_nothing_runs(self, site: Site) -> None:
        ui = site.window()
        before = len(site.stack.airflow.api.dag_runs(DAG_ID))
        dialog = open_form(ui)
        dialog.locator("#element_input_uri").fill("not an address")
        dialog.get_by_test_id("trigger-dag-submit").click()
        expect(dialog.get_by_text(re.compile("input_uri|not an address")).first).to_be_visible()
        expect(dialog).to_be_visible()
        assert len(site.stack.airflow.api.dag_runs(DAG_ID)) == before
        ui.close()


class TestDatasetPage:
    def test_groups_are_drilled_into_down_to_the_users(self, site: Site, ui: Ui) -> None:
        dataset = ui.dataset(DAG_ID, site.groups.dag_run_id)
        for name in ("district_1", "school_1", "class_1"):
            follow(dataset.get_by_role("link", name=name, exact=True))
            expect(dataset.get_by_label("Group path").get_by_text(name, exact=True)).to_have_attribute(
                "aria-current", "location"
            )
        expect(dataset.get_by_role("columnheader", name="User id")).to_be_visible()
        follow(dataset.get_by_label("Group path").get_by_role("link", name="All"))
        expect(dataset.get_by_role("link", name="district_1", exact=True)).to_be_visible()

    def test_a_file_is_found_shown_and_downloaded(self, site: Site, ui: Ui) -> None:
        dataset = ui.dataset(DAG_ID, site.groups.dag_run_id)
        follow(dataset.get_by_role("link", name=re.compile("^Files")))
        dataset.get_by_label("Find files").fill("school_1/group.json")
        follow(dataset.get_by_role("button", name="Find"))
        expect(dataset.get_by_role("status")).to_contain_text("1 of")
        with ui.page.expect_download() as started:
            dataset.get_by_role("link", name=re.compile("^Download")).click()
        content = started.value.path().read_bytes()
        assert json.loads(content)["group_path"] == ["district_1", "school_1"]
        follow(dataset.get_by_role("link", name="groups/district_1/school_1/group.json", exact=True))
        expect(dataset.get_by_role("heading", name="groups/district_1/school_1/group.json")).to_be_visible()
        expect(dataset.get_by_role("table").first).to_be_visible()

    def test_items_are_plotted_and_sorted(self, site: Site, ui: Ui) -> None:
        dataset = ui.dataset(DAG_ID, site.items.dag_run_id)
        expect(dataset.locator("#scatter")).to_be_visible()
        header = dataset.get_by_role("columnheader", name="Discrimination index")
        follow(dataset.get_by_role("link", name="Discrimination index"))
        expect(header).to_have_attribute("aria-sort", "descending")
        follow(dataset.get_by_role("link", name="Discrimination index"))
        expect(header).to_have_attribute("aria-sort", "ascending")
        rows = dataset.get_by_role("region", name="Questions").locator("tbody tr")
        expect(rows.first.get_by_text("poor")).to_be_visible()
        dataset.get_by_label("Poor below discrimination").fill("0.4")
        follow(dataset.get_by_role("button", name="Apply"))
        follow(dataset.get_by_role("link", name=re.compile("^Poor discrimination")))
        expect(dataset.get_by_label("Poor below discrimination")).to_have_value("0.4")
        expect(header).to_have_attribute("aria-sort", "none")
        name = rows.first.get_by_role("link").inner_text()
        follow(rows.first.get_by_role("link"))
        expect(dataset.get_by_role("heading", name=f"items/{name}.json")).to_be_visible()
        follow(dataset.get_by_role("link", name="Results", exact=True))
        point = "canvas => { const { x, y } = Chart.getChart(canvas).getDatasetMeta(0).data[0]; return { x, y }; }"
        dataset.locator("#scatter").click(position=dataset.locator("#scatter").evaluate(point))
        expect(dataset.get_by_role("heading", name=re.compile("sim_item.*json$"))).to_be_visible()

    def test_a_user_is_found_and_shown_in_the_class(self, site: Site, ui: Ui) -> None:
        dataset = ui.dataset(DAG_ID, site.groups.dag_run_id)
        follow(dataset.get_by_role("link", name="Find", exact=True))
        dataset.get_by_label("Find a user").fill("CLASS_1")
        follow(dataset.get_by_role("button", name="Find"))
        expect(dataset.get_by_role("region", name="Found").locator("tbody tr").first).to_contain_text("class_1")
        follow(dataset.get_by_role("region", name="Found").get_by_role("link", name="class_1", exact=True).first)
        user = dataset.locator("tbody tr[id='row-1'] th").inner_text()
        follow(dataset.get_by_role("link", name="Find", exact=True))
        dataset.get_by_label("Find a user").fill(user.upper())
        follow(dataset.get_by_label("Find a user"), key="Enter")
        follow(dataset.get_by_role("link", name=user, exact=True).first)
        expect(dataset.locator("tr:target")).to_contain_text(user)

    def test_a_dataset_is_compared_with_the_one_before(self, site: Site, ui: Ui) -> None:
        dataset = ui.dataset(DAG_ID, site.again.dag_run_id)
        follow(dataset.get_by_role("link", name="Compare", exact=True))
        figures = dataset.get_by_role("region", name="Key figures").locator("tbody tr")
        expect(figures.first).to_contain_text("Questions")
        expect(dataset.get_by_role("img", name=re.compile("^Mean p value"))).to_be_visible()
        follow(dataset.get_by_role("link", name=re.compile("^Gone")))
        expect(dataset.get_by_text("No row is like this.")).to_be_visible()

    def test_the_list_of_datasets_leads_to_their_pages(self, site: Site, ui: Ui) -> None:
        ui.goto("/plugin/learnosity")
        listed = ui.page.frame_locator("iframe")
        expect(listed.get_by_text("ibk-analysis-by-question").first).to_be_visible()
        follow(listed.get_by_role("row").filter(has_text="published").locator("th a").first)
        expect(listed.get_by_role("heading", name="About this dataset")).to_be_visible()

    def test_dark_mode_is_that_of_airflow(self, site: Site) -> None:
        ui = site.window(dark=True)
        dataset = ui.dataset(DAG_ID, site.groups.dag_run_id)
        expect(dataset.locator("html")).to_have_attribute("data-theme", "dark")
        ui.close()
        assert ui.problems == []

    def test_a_narrow_window_shows_everything_without_scrolling_sideways(self, site: Site) -> None:
        ui = site.window(width=390, height=800)
        for path in ("", "/files", "/report"):
            ui.goto(site.page(site.groups) + path)
            expect(ui.page.get_by_role("heading", level=1)).to_be_visible()
            assert ui.page.evaluate("document.documentElement.scrollWidth") <= 390
        ui.close()

    def test_the_page_is_used_with_the_keyboard_alone(self, site: Site, ui: Ui) -> None:
        ui.goto(site.page(site.groups))
        for _ in range(50):
            ui.page.keyboard.press("Tab")
            if ui.page.evaluate("document.activeElement.textContent") == "district_1":
                break
        ui.page.keyboard.press("Enter")
        expect(ui.page.get_by_label("Group path")).to_contain_text("district_1")


class TestReport:
    def test_the_report_is_rendered_by_the_reports_api_and_drilled_into(self, site: Site, ui: Ui) -> None:
        dataset = ui.dataset(DAG_ID, site.groups.dag_run_id)
        follow(dataset.get_by_role("link", name="Report", exact=True))
        report = dataset.frame_locator("iframe[title=Report]").locator("#learnosity-report")
        report.get_by_role("button", name="district_1").click()
        report.get_by_role("button", name="school_1", exact=True).click()
        expect(report.locator("strong")).to_have_text("school_1")
        expect(dataset.get_by_role("status")).to_be_hidden()

    def test_the_secret_is_nowhere_in_the_page(self, site: Site, ui: Ui) -> None:
        ui.goto(site.page(site.groups) + "/report")
        expect(ui.page.frame_locator("iframe[title=Report]").locator("table")).to_be_visible()
        for frame in ui.page.frames:
            assert site.stack.simulator.consumer.secret_key not in frame.content()

    def test_without_the_reports_api_the_local_view_takes_its_place(self, site: Site) -> None:
        ui = site.window()
        ui.page.route(f"{site.stack.simulator.url}/**", lambda route: route.abort())
        dataset = ui.dataset(DAG_ID, site.groups.dag_run_id)
        follow(dataset.get_by_role("link", name="Report", exact=True))
        expect(dataset.get_by_role("status")).to_contain_text("cannot be reached", timeout=30 * SECONDS)
        expect(dataset.get_by_role("link", name="district_1", exact=True)).to_be_visible()
        ui.close()


class TestRights:
    @pytest.mark.parametrize(
        "path", ["", "/files", "/report", "/manifest.json", "/file/groups/group.json", "/view/groups/group.json"]
    )
    def test_a_user_without_rights_gets_403_and_no_data(self, site: Site, path: str) -> None:
        ui = Ui.open(site.browser, site.url)
        token = site.user("nobody").token()
        ui.page.context.add_cookies([{"name": "_token", "value": token, "url": site.url}])
        reply = ui.page.goto(site.url + site.page(site.groups) + path)
        assert reply is not None
        assert reply.status == 403
        assert "district_1" not in ui.page.content()
        ui.close()

    def test_the_list_shows_such_a_user_nothing(self, site: Site) -> None:
        ui = Ui.open(site.browser, site.url)
        token = site.user("nobody").token()
        ui.page.context.add_cookies([{"name": "_token", "value": token, "url": site.url}])
        ui.goto("/learnosity/")
        expect(ui.page.get_by_role("heading", level=1)).to_be_visible()
        assert "activity-summary-by-group" not in ui.page.content()
        ui.close()

    def test_a_viewer_reads_it(self, site: Site) -> None:
        token = site.user("viewer").token()
        reply = http.call("GET", site.url + site.page(site.groups), headers={"Cookie": f"_token={token}"})
        assert reply.status == 200

    def test_nobody_reads_it_without_a_login(self, site: Site) -> None:
        assert http.call("GET", site.url + site.page(site.groups)).status == 401
