"""What the runs told Airflow's metrics: the figures that the documentation lists, and no ids."""

from __future__ import annotations

import re

from devstack.environment import REPOSITORY
from tests.integration.scenarios import Runs
from tests.integration.statsd import Statsd

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}")


def told(metrics: Statsd, runs: Runs) -> set[str]:
    """Our metrics, once all runs have ended."""
    for name in runs.started:
        runs.finish(name)
    return {name for name in metrics.seen if name.startswith("airflow.learnosity.")}


def test_calls_jobs_and_waits_are_told_by_endpoint_action_and_state(metrics: Statsd, runs: Runs) -> None:
    seen = told(metrics, runs)
    assert "airflow.learnosity.api_calls,endpoint=reports/datasets,action=set|c" in seen
    assert "airflow.learnosity.api_calls,endpoint=jobs,action=get|c" in seen
    assert "airflow.learnosity.job_seconds,status=completed|ms" in seen
    assert "airflow.learnosity.landed_files,dataset_type=activity-summary-by-group|c" in seen
    assert runs.finish("unknown-job").state == "failed"
    # Told by the triggerer, in whose processes Airflow sets up metrics in another way.
    assert [name for name in seen if name.startswith("airflow.learnosity.waits_open,hostname=")]


def test_everything_that_is_told_is_documented_and_names_no_id(metrics: Statsd, runs: Runs) -> None:
    names = {name.split(",")[0].split("|")[0].removeprefix("airflow.") for name in told(metrics, runs)}
    listed = (REPOSITORY / "docs" / "operations.md").read_text()
    assert {name for name in names if f"`{name}`" not in listed} == set()
    assert not [name for name in told(metrics, runs) if UUID.search(name)]
