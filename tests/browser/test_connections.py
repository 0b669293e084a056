"""Airflow's list of connections and its form, as users work with them: what the stack made, Test, and an edit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from airflow_client.client import ConnectionApi
from playwright.sync_api import Locator, Response, expect

from devstack.browser import Ui
from devstack.environment import REPOSITORY
from devstack.samples import DAG_ID, analysis_conf
from devstack.stack import LANDING_CONN_ID, LEARNOSITY_CONN_ID

if TYPE_CHECKING:
    from tests.browser.conftest import Site

pytestmark = pytest.mark.integration

MADE_HERE = "learnosity_made_in_the_form"


@pytest.fixture
def window(site: Site) -> Iterator[Ui]:
    """A window of the administrator, in which a refused request is no failure of the test."""
    ui = site.window()
    yield ui
    ui.close()


def row(ui: Ui, conn_id: str) -> Locator:
    """The row of a connection in the list."""
    ui.goto("/connections")
    found = ui.page.get_by_role("row").filter(has=ui.page.get_by_text(conn_id, exact=True))
    expect(found).to_be_visible()
    return found


def press_test(ui: Ui, conn_id: str) -> Response:
    """Press the button of a row; what Airflow answers."""
    button = row(ui, conn_id).get_by_role("button", name="Test Connection")
    with ui.page.expect_response(re.compile("/connections/test$")) as answered:
        button.click()
    return answered.value


def fill(ui: Ui, **fields: str) -> None:
    """Put values into the fields of the open form, and save it."""
    dialog = ui.page.get_by_role("dialog")
    for name, value in fields.items():
        dialog.locator(f"[name={name}]").fill(value)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()


def edit(ui: Ui, conn_id: str, **fields: str) -> None:
    """Change a connection with the form."""
    row(ui, conn_id).get_by_role("button", name="Edit Connection").click()
    fill(ui, **fields)


def test_the_connections_of_the_stack_are_listed(window: Ui) -> None:
    for conn_id in (LEARNOSITY_CONN_ID, LANDING_CONN_ID):
        expect(row(window, conn_id)).to_contain_text("changes in the UI are kept")


def test_the_connection_of_the_stack_passes_its_test(window: Ui) -> None:
    assert press_test(window, LEARNOSITY_CONN_ID).json()["status"] is True
    expect(window.page.get_by_text("accepted key, secret and domain")).to_be_visible()


def test_a_saved_connection_needs_a_port_for_the_test_button_as_the_form_says(site: Site, window: Ui) -> None:
    url = urlsplit(site.stack.simulator.url)
    window.goto("/connections")
    window.page.get_by_role("button", name="Add Connection").click()
    dialog = window.page.get_by_role("dialog")
    dialog.get_by_role("combobox").fill("Learnosity")
    dialog.get_by_role("option", name="Learnosity", exact=True).click()
    expect(dialog.get_by_text("Port (443 for https)", exact=True)).to_be_visible()
    port = dialog.locator("[name=port]")
    expect(port).to_have_attribute("placeholder", "443; without a port, Test answers Bad Request")
    consumer = site.stack.simulator.consumer
    fields = {"connection_id": MADE_HERE, "host": f"http://{url.netloc}", "login": consumer.access_key}
    fill(window, **fields, password=consumer.secret_key)

    refused = press_test(window, MADE_HERE)
    assert '"port":0' in (refused.request.post_data or "").replace(" ", "")
    assert refused.status == 400, "Airflow is mended (#73298): the texts about the port can go"
    expect(window.page.get_by_text("Test Connection Failed")).to_be_visible()

    edit(window, MADE_HERE, port=str(url.port))
    assert press_test(window, MADE_HERE).json()["status"] is True
    expect(window.page.get_by_text("accepted key, secret and domain")).to_be_visible()
    assert "without a port it answers *Bad Request*" in (REPOSITORY / "README.md").read_text()


def test_an_edit_of_the_stacks_own_connection_takes_effect(site: Site, window: Ui) -> None:
    api, port = site.stack.airflow.api, urlsplit(site.stack.simulator.url).port
    edit(window, LEARNOSITY_CONN_ID, host="localhost")
    try:
        run = api.trigger(DAG_ID, analysis_conf())
        api.wait_for_run(DAG_ID, run.dag_run_id, timeout=120)
    finally:
        edit(window, LEARNOSITY_CONN_ID, host="127.0.0.1")
    (task,) = [each for each in api.task_instances(DAG_ID, run.dag_run_id) if each.task_id == "create_dataset"]
    log = api.log(DAG_ID, run.dag_run_id, task)
    assert f"Learnosity: connection {LEARNOSITY_CONN_ID}, http://localhost:{port}." in log
    assert site.stack.simulator.consumer.secret_key not in log
    assert ConnectionApi(api.client).get_connection(LEARNOSITY_CONN_ID).host == "127.0.0.1"
