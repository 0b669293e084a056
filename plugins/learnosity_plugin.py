"""Registers the dataset pages with Airflow's UI, and the listener that leaves a note on runs: nothing else."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from learnosity import listeners as run_notes
from learnosity.web.app import app

PREFIX = "/learnosity"
# Airflow may live below a path of its host.
ROOT = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


class LearnosityPlugin(AirflowPlugin):
    """A page for the dataset of every run, one that lists all published datasets, and notes on their runs."""

    name = "learnosity"
    listeners = [run_notes]  # noqa: RUF012
    fastapi_apps = [{"app": app, "url_prefix": PREFIX, "name": "Learnosity datasets"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Dataset",
            "href": f"{ROOT}{PREFIX}/run/{{DAG_ID}}/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "dataset",
        },
        {
            "name": "Learnosity datasets",
            "href": f"{ROOT}{PREFIX}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "learnosity",
        },
    ]
