"""Registers the dataset pages in Airflow's UI, and the listener that writes notes on runs."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from learnosity import run_note_listener
from learnosity.web.app import app

PREFIX = "/learnosity"
# The path of Airflow's address, such as `/airflow`; empty when Airflow is at the root of its host.
ROOT = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


class LearnosityPlugin(AirflowPlugin):
    """A page for the dataset of each run, a page that lists all published datasets, and notes on the runs."""

    name = "learnosity"
    listeners = [run_note_listener]  # noqa: RUF012
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
