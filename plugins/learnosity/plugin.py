"""Registers the dataset pages in Airflow's UI, and the listener that writes notes on runs.

Every Airflow process imports this module, each task too. So it imports nothing large: the API server alone needs the
pages, and imports them when it asks for `fastapi_apps`.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from learnosity import preload, run_note_listener

PREFIX = "/learnosity"
# The path at which Airflow is served, such as `/airflow`; empty if Airflow is at the root of its host.
ROOT = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


class LearnosityPlugin(AirflowPlugin):
    """A page for the dataset of each run, a page that lists all published datasets, and notes on the runs."""

    name = "learnosity"
    listeners = [run_note_listener, preload]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Learnosity",
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

    # In the base class, this and `timetables` are lists. A property in place of a list is safe: Airflow only reads it.
    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The pages. Airflow's API server asks for them when it starts; workers and the scheduler never do."""
        return [{"app": _pages(), "url_prefix": PREFIX, "name": "Learnosity datasets"}]

    @cached_property
    def timetables(self) -> list[Any]:  # type: ignore[override]
        """The timetable of schedules with several crons. Tasks never ask for it."""
        from learnosity.timetable import CronsTimetable

        return [CronsTimetable]


def _pages() -> Any:
    """The app of the pages. If it cannot be imported, one page says so: an exception would stop the API server."""
    try:
        from learnosity.web.app import app
    except Exception:
        logging.getLogger(__name__).exception("The Learnosity pages cannot be shown, because their import failed.")
        from fastapi.responses import PlainTextResponse

        text = "The Learnosity pages could not be loaded. The log of Airflow's API server says why, where it started."
        return PlainTextResponse(text, 500)
    return app
