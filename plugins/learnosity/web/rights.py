"""Who may see the pages: users who may read a DAG, its runs and its XComs, as Airflow's auth manager says.

Result files are the output of a task, so a user who reads them needs the right to read XComs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.batch_apis import IsAuthorizedDagRequest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.dag import DagModel
from fastapi import Depends
from sqlalchemy.orm import Session

from learnosity.web import known_dags

OF_DAG = (DagAccessEntity.RUN, DagAccessEntity.XCOM)
ENTITIES = (None, *OF_DAG)  # None = the right to read the DAG itself

# The checks for each route that shows data of a DAG. They take the DAG from `{dag_id}` in the route's address.
READ_RUN: list[Any] = [Depends(requires_access_dag("GET", entity)) for entity in ENTITIES]


def may_read(session: Session, user: BaseUser, dag_id: str) -> bool:
    """Whether the user may read a DAG, its runs and its XComs."""
    team = DagModel.get_dag_id_to_team_name_mapping([dag_id], session=session).get(dag_id)
    return all(_is_authorized(user, each) for each in _requests(dag_id, team, ENTITIES))


def readable_dags(session: Session, user: BaseUser) -> set[str]:
    """The DAGs that have datasets, and of which the user may read the runs and the XComs.

    An auth manager may be a server elsewhere. So one question is asked about all DAGs, and only if the answer is no,
    each right of each DAG is asked for.
    """
    manager = get_auth_manager()
    # The DAGs that the user may read. Whether the user may also read their runs and XComs is asked below.
    known = manager.get_authorized_dag_ids(user=user, method="GET", session=session)
    having = known_dags.learnosity_dags(session, known)
    if not having:
        return set()
    teams = DagModel.get_dag_id_to_team_name_mapping(sorted(having), session=session)
    asked = {dag_id: _requests(dag_id, teams.get(dag_id), OF_DAG) for dag_id in sorted(having)}
    if manager.batch_is_authorized_dag([each for several in asked.values() for each in several], user=user):
        return set(having)
    return {dag_id for dag_id, several in asked.items() if all(_is_authorized(user, each) for each in several)}


def _requests(
    dag_id: str, team: str | None, entities: Iterable[DagAccessEntity | None]
) -> list[IsAuthorizedDagRequest]:
    details = DagDetails(id=dag_id, team_name=team)
    return [{"method": "GET", "access_entity": entity, "details": details} for entity in entities]


def _is_authorized(user: BaseUser, request: IsAuthorizedDagRequest) -> bool:
    return get_auth_manager().is_authorized_dag(**request, user=user)
