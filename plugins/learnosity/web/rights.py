"""Who may see the pages: users who may read a DAG, its runs and its XComs, as Airflow's auth manager says.

Result files are the output of a task, so a user who reads them needs the right to read XComs.
"""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.dag import DagModel
from fastapi import Depends
from sqlalchemy.orm import Session

from learnosity.web import known_dags

ENTITIES = (None, DagAccessEntity.RUN, DagAccessEntity.XCOM)  # None = the DAG itself

# The checks for each route that shows data of a DAG. They take the DAG from `{dag_id}` in the route's address.
READ_RUN: list[Any] = [Depends(requires_access_dag("GET", entity)) for entity in ENTITIES]


def may_read(session: Session, user: BaseUser, dag_id: str) -> bool:
    """Whether the user may read a DAG, its runs and its XComs."""
    team = DagModel.get_dag_id_to_team_name_mapping([dag_id], session=session).get(dag_id)
    return _may_read(user, dag_id, team)


def readable_dags(session: Session, user: BaseUser) -> set[str]:
    """The DAGs that have datasets, and of which the user may read the runs and the XComs."""
    manager = get_auth_manager()
    known = manager.get_authorized_dag_ids(user=user, method="GET", session=session)
    having = known_dags.learnosity_dags(session, known)
    teams = DagModel.get_dag_id_to_team_name_mapping(sorted(having), session=session) if having else {}
    return {dag_id for dag_id in having if _may_read(user, dag_id, teams.get(dag_id))}


def _may_read(user: BaseUser, dag_id: str, team: str | None) -> bool:
    details = DagDetails(id=dag_id, team_name=team)
    authorized = get_auth_manager().is_authorized_dag
    return all(authorized(method="GET", access_entity=entity, details=details, user=user) for entity in ENTITIES)
