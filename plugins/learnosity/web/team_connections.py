"""Opens what a page reads with the connections of the run: those that Airflow gives to tasks of the DAG's team.

Airflow has teams only with the setting `[core] multi_team`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from airflow.configuration import conf
from airflow.models.dag import DagModel
from airflow.sdk import Connection
from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded
from airflow.secrets.metastore import MetastoreBackend
from sqlalchemy.orm import Session

from learnosity.errors import ConnectionConfigError
from learnosity.lookups import FINDER, checked_extra, connection_in

Result = TypeVar("Result")

_FIELDS = ("conn_type", "login", "password", "host", "schema", "port")


def team_of(session: Session, dag_id: str) -> str | None:
    """The team of a DAG; None = it has none, or this Airflow has no teams."""
    if not conf.getboolean("core", "multi_team", fallback=False):
        return None
    return DagModel.get_team_name(dag_id, session=session)


def with_connections_of(team: str | None, call: Callable[..., Result], *args: Any) -> Result:
    """Run `call`, which then finds the connections that a task of this team finds.

    :param team: None = no team.
    """
    if team is None:
        return call(*args)
    token = FINDER.set(partial(_of_team, team))
    try:
        return call(*args)
    finally:
        FINDER.reset(token)


def _of_team(team: str, conn_id: str) -> Connection | None:
    """The connection that a task of this team finds; None when it does not exist.

    A worker first asks its own secrets backends, without the team. Then it asks the API server, which asks all of its
    backends with the team. Pages do not know the backends of a worker: they may be the same as those of the API server.

    :raises ConnectionConfigError: with the team, another connection is found than without it.
    """
    backends = ensure_secrets_backend_loaded()
    found = _first(backends, conn_id, team)
    # A worker has no access to Airflow's database, so it never asks `MetastoreBackend`, which reads connections there.
    of_worker = (each for each in backends if not isinstance(each, MetastoreBackend))
    without = _first(of_worker, conn_id, None)
    if without is not None and (found is None or _parts(found) != _parts(without)):
        raise ConnectionConfigError(
            f"The connection {conn_id!r} exists twice: for all teams, and for the team {team!r} or in the database. "
            "Which of the two a task uses depends on its worker, so pages use neither. Give one of them another id."
        )
    return found


def _first(backends: Iterable[Any], conn_id: str, team: str | None) -> Connection | None:
    for backend in backends:
        if (found := connection_in(backend, conn_id, team)) is not None:
            return found
    return None


def _parts(connection: Connection) -> tuple[Any, ...]:
    return (*(getattr(connection, name) for name in _FIELDS), checked_extra(connection))
