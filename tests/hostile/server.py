"""Serves the dataset pages of what lies in a folder, in a process of its own, so that its memory can be measured.

`python tests/hostile/server.py FOLDER PORT`. Each folder in FOLDER is the destination of one run, with the same name.
The rights of Airflow and its database are not part of it: every user may read everything.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import uvicorn
from airflow.api_fastapi.core_api import security
from airflow.models.dag import DagModel
from fastapi import FastAPI, Request

from learnosity.dataset.layout import DatasetLayout
from learnosity.web import app as pages
from learnosity.web import audit, compare_page, routes, runs
from learnosity.web.history import PastDataset
from learnosity.web.run_datasets import Publication, RunDataset

DAG = "learnosity_dataset"
TYPE = "activity-summary-by-group"
DATASET_ID = "33285a4b-0e6e-47e4-bade-78999ada14db"
LAYOUT = DatasetLayout(TYPE, DATASET_ID)
# The run `before` has this dataset, all other runs have `LAYOUT`. If FOLDER has `before`, they are compared with it.
BEFORE = DatasetLayout(TYPE, "5d0c9e5c-6f3b-4b1e-9c58-0a3f3c1de002")


class _Account(str):
    def get_name(self) -> str:
        return str(self)


class _Manager:
    async def get_user_from_token(self, token: str) -> _Account:
        return _Account(token)

    def is_authorized_dag(self, **_: Any) -> bool:
        return True


@contextmanager
def _no_session() -> Iterator[None]:
    yield None


@contextmanager
def _noting_session() -> Iterator[Any]:
    yield SimpleNamespace(add=lambda row: None)


def main() -> None:
    """Serve until the process is ended."""
    folder, port = Path(sys.argv[1]), int(sys.argv[2])

    def load_run(session: None, dag_id: str, run_id: str) -> runs.Run | None:
        uri, layout = (folder / run_id).as_uri(), BEFORE if run_id == "before" else LAYOUT
        publication = Publication(layout, f"{uri}/{layout.manifest}", uri, "learnosity_default")
        dataset = RunDataset("land.publish", -1, TYPE, layout.dataset_id, publication)
        return runs.Run(DAG, run_id, "success", {}, None, None, (), (dataset,))

    def earlier(*_: object) -> list[PastDataset]:
        known = [("now", DATASET_ID)] + [("before", BEFORE.dataset_id)] * (folder / "before").exists()
        return [PastDataset(run_id, dataset_id, datetime.now(UTC)) for run_id, dataset_id in known]

    for where, name, stand_in in (
        (security, "get_auth_manager", _Manager),
        (DagModel, "get_team_name", lambda dag_id: None),
        (routes, "create_session", _no_session),
        (compare_page, "create_session", _no_session),
        (compare_page, "past_datasets", earlier),
        (audit, "create_session", _noting_session),
        (runs, "load_run", load_run),
    ):
        patch.object(where, name, stand_in).start()
    asked: list[tuple[str, bool]] = []
    server = FastAPI()
    server.mount("/learnosity", pages.app)

    # Stands for Airflow's API. It tells which calls came, and whether with the session of a user.
    @server.get("/asked")
    def tell() -> list[tuple[str, bool]]:
        return asked

    @server.api_route("/api/{path:path}", methods=["GET", "POST", "OPTIONS", "DELETE"])
    def api(path: str, request: Request) -> dict[str, str]:
        asked.append((path, "_token" in request.cookies))
        return {"secret": "of-airflow"}

    uvicorn.run(server, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
