"""Users of the FAB auth manager, with its own roles, on an Airflow below a path: what each of them sees of a dataset.

The permission that the tab needs is given with the command of `compose/init.sh`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from airflow_client.client import DAGRunResponse
from playwright.sync_api import Browser, Locator, expect

from devstack import http
from devstack.browser import INSTALL_HINT, Ui, browser, find_browser
from devstack.environment import REPOSITORY
from devstack.errors import ApiError
from devstack.processes import undisturbed
from devstack.samples import DAG_ID, group_conf, land, upload_users
from devstack.secrets import ADMIN
from devstack.servers import DATABASE, start_postgres
from devstack.stack import Stack, StackOptions
from devstack.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

FAB = {
    "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    "AIRFLOW__FAB__CACHE_TTL": "3",  # seconds until the API server sees a new permission
}
COMMAND_SECONDS = 120.0
# Roles that are not Airflow's, but made by this test: what each of them may read.
OWN_ROLES = {
    "No DAGs": ["Website"],
    "No XComs": ["Website", "DAGs", "DAG Runs", "Task Instances"],
    "Just enough": ["Website", "DAGs", "DAG Runs", "Task Instances", "XComs"],
}
ROLES = ("Viewer", "User", "Op", *OWN_ROLES)


class FabStack(Stack):
    """A stack whose users and roles are in Airflow's database."""

    def fill_database(self) -> None:
        """Make the administrator as well, as `compose/init.sh` does."""
        super().fill_database()
        who = ("--username", ADMIN, "--role", "Admin", "--firstname", "A", "--lastname", "B", "--email", "a@b.example")
        password = self.airflow.passwords[ADMIN]
        twice = f"{password}\n{password}\n".encode()
        self.airflow.command("users", "create", *who, stdin=twice).wait_until_done(timeout=COMMAND_SECONDS)


@contextmanager
def fab_stack(root: Path) -> Iterator[Stack]:
    """A running FAB stack below `/airflow`, with the database that such a deployment has."""
    password = token_hex(16)
    with undisturbed():
        postgres = start_postgres(root / "postgres", password, log=root / "logs" / "postgres.log")
    database = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{postgres.address}/{DATABASE}"}
    try:
        with FabStack(root, StackOptions(airflow_path="/airflow", airflow_env=FAB | database)) as stack:
            yield stack
    finally:
        postgres.stop()


@dataclass(slots=True)
class Site:
    """A FAB stack below `/airflow` with a published dataset, a user for each role, and windows on it."""

    stack: Stack
    browser: Browser
    run: DAGRunResponse

    @property
    def page(self) -> str:
        """Path of the dataset's page, below that of Airflow."""
        return f"/learnosity/run/{DAG_ID}/{self.run.dag_run_id}"

    @property
    def in_airflow(self) -> str:
        """Path of the run in Airflow's own UI."""
        return f"/dags/{DAG_ID}/runs/{self.run.dag_run_id}"

    def token(self, role: str) -> str:
        """A token of the role's user."""
        return self.stack.airflow.api.as_user(user_of(role), password_of(role)).token()

    def status(self, role: str, path: str) -> int:
        """The status that the role's user gets."""
        return http.call("GET", self.stack.airflow.url + path, headers={"Cookie": f"_token={self.token(role)}"}).status

    def window(self, role: str) -> Ui:
        """A window in which the role's user has logged in with the form."""
        ui = Ui.open(self.browser, self.stack.airflow.url)
        ui.log_in(user_of(role), password_of(role))
        return ui

    def grant(self, role: str) -> None:
        """Give a role what `compose/init.sh` gives to Viewer and User, and wait until it holds."""
        script = (REPOSITORY / "compose" / "init.sh").read_text()
        (line,) = re.findall(r"\bairflow (roles add-perms [^;\n]+)", script)
        words = [word for word in shlex.split(line) if word not in {"Viewer", "User"} - {role}]
        assert role in words
        self.stack.airflow.command(*words).wait_until_done(timeout=COMMAND_SECONDS)
        wait_until(
            lambda: self.status(role, "/api/v2/plugins") == 200,
            timeout=60,
            late=lambda: f"{role} still may not read plugins",
        )


def user_of(role: str) -> str:
    return role.lower().replace(" ", "-")


def password_of(role: str) -> str:
    return f"password-of-{user_of(role)}"


def fab(stack: Stack, path: str, body: dict[str, Any]) -> None:
    """A POST to FAB's own API."""
    url = f"{stack.airflow.url}/auth/fab/v1{path}"
    stack.airflow.api.client.call_api("POST", url, {"Content-Type": "application/json"}, body)


def make_users(stack: Stack) -> None:
    for role, resources in OWN_ROLES.items():
        actions = [{"action": {"name": "can_read"}, "resource": {"name": name}} for name in resources]
        fab(stack, "/roles", {"name": role, "actions": actions})
    for role in ROLES:
        name = user_of(role)
        body = {"username": name, "first_name": name, "last_name": name, "email": f"{name}@b.example"}
        fab(stack, "/users", body | {"password": password_of(role), "roles": [{"name": role}]})


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, DAGRunResponse]]:
    """The stack, and a run that has published a dataset."""
    if find_browser() is None:
        pytest.skip(INSTALL_HINT)
    with fab_stack(tmp_path_factory.mktemp("fab")) as stack:
        make_users(stack)
        yield stack, land(stack, group_conf(upload_users(stack, 60)))


@pytest.fixture(scope="module")
def site(landed: tuple[Stack, DAGRunResponse]) -> Iterator[Site]:
    with browser() as running:
        yield Site(landed[0], running, landed[1])


def tab(ui: Ui) -> Locator:
    """The tab of the dataset, on the page of a run."""
    return ui.page.locator("a[href$='/plugin/dataset']")


def open_from_task(ui: Ui, site: Site, task_id: str) -> None:
    """Follow the link of a task, as a user does."""
    ui.goto(f"{site.in_airflow}/tasks/{task_id}/details")
    ui.page.locator("a[href*='/learnosity/run/']", has_text="Dataset").click()
    expect(ui.page.get_by_role("link", name="district_1", exact=True)).to_be_visible()


@pytest.mark.parametrize("role", ["Viewer", "User"])
def test_the_tab_needs_a_permission_and_the_link_does_not(site: Site, role: str) -> None:
    ui = site.window(role)
    with ui.page.expect_response(re.compile("/api/v2/plugins($|[?])")) as asked:
        ui.goto(site.in_airflow)
    assert asked.value.status == 403
    expect(ui.page.get_by_text("create_dataset").first).to_be_visible()
    expect(tab(ui)).to_have_count(0)
    for task_id in ("create_dataset", "land.publish"):
        open_from_task(ui, site, task_id)
        assert ui.page.url.startswith(f"{site.stack.airflow.url}/learnosity/run/")
    ui.page.get_by_role("navigation", name="Ways").get_by_role("link", name=site.run.dag_run_id).click()
    ui.page.wait_for_url("**/airflow/dags/**")
    expect(ui.page.get_by_text("wait_for_job").first).to_be_visible()
    ui.page.go_back()
    expect(ui.page.get_by_role("link", name="district_1", exact=True)).to_be_visible()

    site.grant(role)
    ui.goto(site.in_airflow)
    tab(ui).click()
    dataset = ui.page.frame_locator("iframe[title=Learnosity]")
    expect(dataset.get_by_role("link", name="district_1", exact=True)).to_be_visible()
    ways = dataset.get_by_role("navigation", name="Ways")
    expect(ways.get_by_role("link", name=site.run.dag_run_id)).to_have_attribute("target", "_top")
    ui.close()


def test_op_has_the_tab_from_the_start(site: Site) -> None:
    ui = site.window("Op")
    dataset = ui.dataset(DAG_ID, site.run.dag_run_id)
    expect(dataset.get_by_role("link", name="district_1", exact=True)).to_be_visible()
    open_from_task(ui, site, "create_dataset")
    ui.close()


PATHS = ["", "/files", "/report", "/manifest.json", "/file/groups/group.json", "/view/groups/group.json"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("role", "status"),
    [("Viewer", 200), ("User", 200), ("Op", 200), ("Just enough", 200), ("No XComs", 403), ("No DAGs", 403)],
)
def test_a_role_reads_what_its_permissions_say(site: Site, role: str, status: int, path: str) -> None:
    assert site.status(role, site.page + path) == status


@pytest.mark.parametrize("path", PATHS)
def test_nobody_reads_it_without_a_login(site: Site, path: str) -> None:
    assert http.call("GET", site.stack.airflow.url + site.page + path).status == 401


def test_a_link_that_is_opened_without_a_login_leads_there_after_it(site: Site) -> None:
    ui = Ui.open(site.browser, site.stack.airflow.url)
    ui.goto(site.page)
    ui.page.get_by_role("link", name="Log in to Airflow").click()
    ui.page.locator("input[name=username]").fill(user_of("Viewer"))
    ui.page.locator("input[name=password]").fill(password_of("Viewer"))
    ui.page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()
    expect(ui.page.get_by_role("link", name="district_1", exact=True)).to_be_visible()
    ui.close()


def test_a_wrong_password_is_no_login(site: Site) -> None:
    with pytest.raises(ApiError):
        site.stack.airflow.api.as_user(user_of("Viewer"), "wrong").token()
