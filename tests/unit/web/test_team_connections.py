"""Pages of a DAG of a team: they use the connection that its run used, or none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from airflow.models.dag import DagModel
from airflow.sdk.bases.secrets_backend import BaseSecretsBackend
from airflow.sdk.configuration import clear_secrets_backends_cache
from airflow.secrets.metastore import MetastoreBackend

from learnosity.connections import open_input_store
from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import ConnectionConfigError
from learnosity.hooks import LearnosityHook
from learnosity.lookups import FINDER, LookupFailedError, find_connection
from learnosity.web import app, open_dataset, use_page
from learnosity.web.open_dataset import Shown
from learnosity.web.run_datasets import Publication
from learnosity.web.runs import Run
from learnosity.web.team_connections import team_of, with_connections_of

TEAM = "maths"
SECRET = "a-secret-of-a-connection"
Has = dict[str | None, str]


def text(login: str) -> str:
    return json.dumps({"conn_type": "aws", "login": login, "password": SECRET, "extra": {"region_name": "eu-west-1"}})


class Vault(BaseSecretsBackend):
    """A backend of the deployment. `has`: login by team."""

    has: ClassVar[Has] = {}

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        login = self.has.get(team_name) or self.has.get(None)
        return text(login) if login else None


class OldVault(BaseSecretsBackend):
    """A backend from before Airflow had teams."""

    has: ClassVar[Has] = {}

    def get_conn_value(self, conn_id: str) -> str | None:  # type: ignore[override]
        return text(self.has[None]) if None in self.has else None


class Deployment:
    """An Airflow with teams, as its API server sees it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        self.database: Has = {}

        def in_database(_: Any, conn_id: str, team_name: str | None = None) -> Any:
            login = self.database.get(team_name) or self.database.get(None)
            fields = {"host": None, "schema": None, "port": None, "extra": "{}"}
            return login and SimpleNamespace(conn_id=conn_id, conn_type="aws", login=login, password=SECRET, **fields)

        patch.setattr(MetastoreBackend, "get_connection", in_database)
        patch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
        patch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")

    def vault(self, kind: type[Any], has: Has) -> None:
        self.patch.setattr(kind, "has", has)
        self.patch.setenv("AIRFLOW__SECRETS__BACKEND", f"{__name__}.{kind.__name__}")
        clear_secrets_backends_cache()

    def environment(self, has: Has) -> None:
        for team, login in has.items():
            name = f"AIRFLOW_CONN__{team.upper()}___STORE" if team else "AIRFLOW_CONN_STORE"
            self.patch.setenv(name, text(login))


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    clear_secrets_backends_cache()
    yield Deployment(monkeypatch)
    clear_secrets_backends_cache()


# One connection in the vault, in the environment and in the database: its login by team, with None for all teams. Then
# the login that a page uses. None = there is no connection. "?" = it cannot be told which of two the run used, so the
# page uses none.
PLACES: list[tuple[Has, Has, Has, str | None]] = [
    ({}, {}, {}, None),
    ({None: "all"}, {}, {}, "all"),
    ({}, {None: "all"}, {}, "all"),
    ({}, {}, {None: "all"}, "all"),
    ({TEAM: "own"}, {}, {}, "own"),
    ({}, {TEAM: "own"}, {}, "own"),
    ({}, {}, {TEAM: "own"}, "own"),
    ({"other": "theirs"}, {"other": "theirs"}, {"other": "theirs"}, None),
    ({None: "all"}, {None: "all"}, {TEAM: "own"}, "all"),
    ({}, {TEAM: "own"}, {None: "all"}, "own"),
    ({None: "same", TEAM: "same"}, {}, {}, "same"),
    ({None: "all", TEAM: "own"}, {}, {}, "?"),
    ({}, {None: "all", TEAM: "own"}, {}, "?"),
    ({TEAM: "own"}, {None: "all"}, {}, "?"),
]


@pytest.mark.parametrize(("vault", "environment", "database", "login"), PLACES)
def test_a_page_finds_the_connection_of_the_team_or_refuses(
    deployment: Deployment, vault: Has, environment: Has, database: Has, login: str | None
) -> None:
    deployment.vault(Vault, vault)
    deployment.environment(environment)
    deployment.database = database
    if login == "?":
        with pytest.raises(ConnectionConfigError, match="'store' exists twice.* id"):
            with_connections_of(TEAM, find_connection, "store")
        return
    found = with_connections_of(TEAM, find_connection, "store")
    assert (found and found.login) == login


def test_a_backend_that_knows_no_teams_is_asked_without_one(deployment: Deployment) -> None:
    deployment.vault(OldVault, {None: "all"})
    found = with_connections_of(TEAM, find_connection, "store")
    assert found is not None
    assert found.login == "all"


def test_a_backend_that_fails_is_never_passed_over(deployment: Deployment) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError(SECRET)

    deployment.vault(Vault, {})
    deployment.patch.setattr(Vault, "get_conn_value", fail)
    deployment.patch.setattr(Vault, "get_connection", fail)
    deployment.database = {TEAM: "own"}
    with pytest.raises(LookupFailedError, match="Vault failed with ConnectionError") as caught:
        with_connections_of(TEAM, find_connection, "store")
    assert SECRET not in str(caught.value)


USERS: dict[str, Callable[[], Any]] = {
    "store": lambda: open_input_store("s3://store@bucket/datasets"),
    "report": lambda: LearnosityHook("store").get_config(),
}


@pytest.mark.parametrize("use", USERS.values(), ids=USERS)
def test_stores_and_reports_ask_for_the_team_and_only_while_they_are_opened(
    deployment: Deployment, use: Callable[[], Any]
) -> None:
    deployment.environment({None: "all", TEAM: "own"})
    with pytest.raises(ConnectionConfigError, match="exists twice"):
        with_connections_of(TEAM, use)
    found = find_connection("store")
    assert found is not None
    assert found.login == "all"


def test_a_store_whose_driver_asks_airflow_itself_is_refused_for_a_team(deployment: Deployment) -> None:
    deployment.environment({None: "all"})
    with pytest.raises(ConnectionConfigError, match="memory://"):
        with_connections_of(TEAM, open_input_store, "memory://store@bucket/datasets")


@pytest.mark.parametrize("teams", [True, False])
def test_a_dag_has_a_team_only_where_airflow_has_teams(monkeypatch: pytest.MonkeyPatch, teams: bool) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", str(teams))
    monkeypatch.setattr(DagModel, "get_team_name", lambda dag_id, session: TEAM)
    assert team_of(None, "dag") == (TEAM if teams else None)  # type: ignore[arg-type]


def test_a_dag_without_a_team_is_looked_up_as_before(deployment: Deployment) -> None:
    deployment.environment({None: "all", TEAM: "own"})
    found = with_connections_of(None, find_connection, "store")
    assert found is not None
    assert found.login == "all"


PAGES: dict[str, Callable[[Any], Any]] = {
    "dataset": lambda shown: open_dataset.opened(shown.run, shown.publication),
    "Parquet files": use_page._parquet,
    "report": lambda shown: app.report_frame(None, shown),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("team", [TEAM, None])
def test_every_page_looks_up_for_the_team_of_its_run(
    monkeypatch: pytest.MonkeyPatch, page: Callable[[Any], Any], team: str | None
) -> None:
    looked_up: list[bool] = []

    def stop(*_: Any) -> None:
        looked_up.append(FINDER.get() is not None)
        raise LookupError

    async def noted(*_: Any) -> None: ...

    for module in (open_dataset, use_page):
        monkeypatch.setattr(module, "open_input_store", stop)
    monkeypatch.setattr(LearnosityHook, "get_config", stop)
    monkeypatch.setattr(app, "note_reading", noted)
    layout = DatasetLayout("activity-summary-by-group", "id-1")
    publication = Publication(layout, f"s3://b/d/{layout.manifest}", "s3://a@b/d", "store")
    run = Run("dag", "run", "success", {}, None, None, (), team=team)
    dataset: Any = SimpleNamespace(group_file=lambda group: None, not_listed="")
    with pytest.raises(LookupError):
        asyncio.run(page(Shown(run, publication, dataset, "", ())))
    assert looked_up == [team is not None]
