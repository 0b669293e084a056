"""One real stack and one browser for all browser tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from airflow_client.client import DAGRunResponse
from playwright.sync_api import Browser, expect

from devstack.browser import INSTALL_HINT, SECONDS, Ui, browser, find_browser
from devstack.environment import REPOSITORY
from devstack.rest import AirflowApi
from devstack.samples import DAG_ID, analysis_conf, group_conf, land, upload_users
from devstack.secrets import ADMIN
from devstack.stack import Stack, StackOptions

NOBODY = "nobody"
USERS = 400
# A user without any role may log in and read nothing.
ROLES = {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"admin:admin,operator:op,viewer:viewer,{NOBODY}:"}

# Besides the bucket of the default destination: the bucket of a test that lands elsewhere.
PLACES = {"AIRFLOW_VAR_LEARNOSITY_ALLOWED_URIS": '["s3://aws_landing@learnosity/", "s3://aws_archive@archive/"]'}

# What the OpenLineage provider sent, one event per line.
LINEAGE = "lineage.ndjson"


def lineage_to(file: Path) -> dict[str, str]:
    """Settings with which OpenLineage events go to a file."""
    transport = {"type": "file", "log_file_path": str(file), "append": True}
    return {"AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport)}


@dataclass(slots=True)
class Site:
    """A stack with published datasets, and windows on it.

    :param again: an analysis that landed after `items`.
    """

    stack: Stack
    browser: Browser
    groups: DAGRunResponse
    items: DAGRunResponse
    again: DAGRunResponse

    @property
    def url(self) -> str:
        return self.stack.airflow.url

    def window(self, *, dark: bool = False, width: int = 1280, height: int = 900) -> Ui:
        """A window of the administrator."""
        ui = Ui.open(self.browser, self.url, dark=dark, width=width, height=height)
        ui.log_in(ADMIN, self.stack.airflow.passwords[ADMIN])
        return ui

    def page(self, run: DAGRunResponse) -> str:
        """Path of the dataset's page, outside of Airflow's UI."""
        return f"/learnosity/run/{DAG_ID}/{run.dag_run_id.replace('+', '%2B')}"

    def user(self, name: str) -> AirflowApi:
        """The API as another user."""
        passwords = msgspec.json.decode((self.stack.airflow.home / "passwords.json").read_bytes(), type=dict[str, str])
        return self.stack.airflow.api.as_user(name, passwords[name])


@pytest.fixture(scope="session")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, list[DAGRunResponse]]]:
    """A stack, and three runs that have published a dataset each."""
    if find_browser() is None:
        pytest.skip(INSTALL_HINT)
    root = tmp_path_factory.mktemp("browser")
    dags = root / "dags"
    for folder in (REPOSITORY / "dags", Path(__file__).parent / "dags"):
        shutil.copytree(folder, dags, dirs_exist_ok=True)
    for example in (dags / "datasets").glob("*.yaml.example"):
        example.rename(example.with_suffix(""))
    env = ROLES | PLACES | lineage_to(root / LINEAGE)
    with Stack(root, StackOptions(dags=dags, test_button=True, airflow_env=env)) as stack:
        confs = (group_conf(upload_users(stack, USERS)), analysis_conf(), analysis_conf())
        yield stack, [land(stack, conf) for conf in confs]


@pytest.fixture(scope="module")
def site(landed: tuple[Stack, list[DAGRunResponse]]) -> Iterator[Site]:
    """The browser's driver runs an event loop of its own: it must be gone before other tests want one."""
    # A test must not fail because the machine is busy.
    expect.set_options(timeout=30 * SECONDS)
    with browser() as running:
        yield Site(landed[0], running, *landed[1])


@pytest.fixture
def ui(site: Site) -> Iterator[Ui]:
    """A window of the administrator; nothing may have gone wrong in it."""
    window = site.window()
    yield window
    window.close()
    assert window.problems == []
