"""Schedule files in a real Airflow: bad ones beside good ones, and every kind of run with its own times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow_client.client import DAGRunResponse

from devstack.stack import Stack
from devstack.waiting import wait_until


def filters(stack: Stack, run: DAGRunResponse) -> Any:
    """What a successful run asked Learnosity for."""
    api = stack.airflow.api
    assert api.wait_for_run(run.dag_id, run.dag_run_id).state == "success"
    return api.xcom(run.dag_id, run.dag_run_id, "create_dataset")["request"]["filters"]


def test_bad_files_have_dags_that_say_why_and_the_others_run(stack: Stack) -> None:
    for name in ("by_hand", "on_asset", "undated", "invalid_broken", "invalid_pipe"):
        stack.airflow.api.wait_for_dag(f"learnosity_{name}")
    assert [error for error in stack.airflow.api.import_errors() if "schedules" in str(error.filename)] == []
    assert "several documents" in str(stack.airflow.api.dag("learnosity_invalid_broken").description)
    assert "it is a pipe" in str(stack.airflow.api.dag("learnosity_invalid_pipe").description)


def test_a_run_without_a_logical_date_covers_the_last_interval_and_its_publication_starts_another_schedule(
    stack: Stack,
) -> None:
    api = stack.airflow.api
    api.wait_for_dag("learnosity_by_hand")
    api.wait_for_dag("learnosity_on_asset")
    year = datetime.now(UTC).year
    assert filters(stack, api.trigger("learnosity_by_hand")) == {
        "mintime": f"{year - 1}-01-01T00:00:00Z",
        "maxtime": f"{year}-01-01T00:00:00Z",
    }
    run = wait_until(lambda: api.dag_runs("learnosity_on_asset"), timeout=60, late=lambda: "no asset started a run")[0]
    assert (run.run_type, run.logical_date) == ("asset_triggered", None)
    day_before = run.run_after - timedelta(days=1)
    assert filters(stack, run) == {"mintime": day_before.strftime("%Y-%m-%dT%H:%M:%SZ")}


@pytest.mark.promise("permanent at once")
@pytest.mark.promise("advice")
def test_a_time_that_the_run_does_not_have_fails_at_once_and_names_the_way_out(stack: Stack) -> None:
    api = stack.airflow.api
    api.wait_for_dag("learnosity_undated")
    run = api.trigger("learnosity_undated")
    assert api.wait_for_run(run.dag_id, run.dag_run_id).state == "failed"
    (task,) = [each for each in api.task_instances(run.dag_id, run.dag_run_id) if each.task_id == "create_dataset"]
    assert (task.state, task.try_number) == ("failed", 1)
    assert "{{ dag_run.run_after | days_before(1) | iso }}" in api.log(run.dag_id, run.dag_run_id, task)
