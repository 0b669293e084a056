"""Behind deploy/nginx.conf: TLS, a host of its own and Airflow below a path, as docs/operations.md describes it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from devstack import http
from devstack.browser import INSTALL_HINT, Ui, browser, find_browser
from devstack.ports import LOOPBACK, free_ports
from devstack.processes import undisturbed
from devstack.proxy import INSTALL_HINT as NO_NGINX
from devstack.proxy import PATH, find_nginx, start_proxy
from devstack.samples import DAG_ID, group_conf, land, upload_users
from devstack.secrets import ADMIN
from devstack.stack import Stack, StackOptions

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, str]]:
    """A stack below a path, and its address behind the proxy."""
    if find_browser() is None:
        pytest.skip(INSTALL_HINT)
    if find_nginx() is None:
        pytest.skip(NO_NGINX)
    root = tmp_path_factory.mktemp("proxy")
    (port,) = free_ports(1)
    address = f"https://{LOOPBACK}:{port}{PATH}"
    options = StackOptions(airflow_path=PATH, airflow_env={"AIRFLOW__API__BASE_URL": address})
    with Stack(root / "stack", options) as stack:
        with undisturbed():
            proxy = start_proxy(root / "nginx", port=port, upstream=urlsplit(stack.airflow.url).netloc)
        try:
            yield stack, address
        finally:
            proxy.stop()


def test_behind_the_proxy_the_page_and_the_report_open_and_the_session_is_for_tls_alone(
    site: tuple[Stack, str],
) -> None:
    stack, address = site
    run = land(stack, group_conf(upload_users(stack, 60)))
    with browser() as running:
        ui = Ui.open(running, address, any_certificate=True)
        ui.log_in(ADMIN, stack.airflow.passwords[ADMIN])
        cookies = {each["name"]: each for each in ui.page.context.cookies()}
        assert cookies["_token"]["secure"], "Airflow knows from X-Forwarded-Proto that the browser speaks TLS"
        dataset = ui.dataset(DAG_ID, run.dag_run_id)
        expect(dataset.get_by_role("link", name="district_1", exact=True)).to_be_visible()
        dataset.get_by_role("link", name="Report", exact=True).click()
        report = dataset.frame_locator("iframe[title=Report]").locator("#learnosity-report")
        expect(report.get_by_role("button", name="district_1")).to_be_visible()
        ui.goto(f"/learnosity/run/{DAG_ID}/{run.dag_run_id}")
        expect(ui.page.get_by_role("link", name="district_1", exact=True)).to_be_visible()
        assert ui.page.url.startswith(address)
        assert ui.problems == []
        # Only workers need the execution API, and they call the API server directly. So the proxy answers 404 for it.
        refused = ui.page.request.get(f"{address}/execution/health")
        assert refused.status == 404
        ui.close()
    assert http.call("GET", f"{stack.airflow.url}/execution/health").status == 200
