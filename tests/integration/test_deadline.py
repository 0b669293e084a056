"""A scheduled dataset that is late: Airflow sees the missed deadline, and the schedule's notifier tells of it."""

from __future__ import annotations

from airflow_client.client import DAGRunResponse

from devstack.stack import Stack
from devstack.waiting import wait_until
from tests.integration.webhook import Webhook

# Its deadline is over before the first look at its job.
DAG_ID = "learnosity_late"
DEADLINE_MINUTES = 0.05


def first_run(stack: Stack) -> DAGRunResponse:
    """The run that the scheduler makes when the DAG is let run."""
    api = stack.airflow.api
    api.wait_for_dag(DAG_ID)
    runs = wait_until(lambda: api.dag_runs(DAG_ID), timeout=60, late=lambda: "the scheduler made no run")
    return runs[-1]


def test_a_missed_deadline_is_told_by_the_schedules_notifier(stack: Stack, webhook: Webhook) -> None:
    run = first_run(stack)
    try:
        assert run.dag_run_id.startswith("scheduled__")
        told = webhook.received.get(timeout=90)
        assert told == {"text": f"{DAG_ID} is not done {DEADLINE_MINUTES:g} minutes after it was queued."}
        assert stack.airflow.api.wait_for_run(DAG_ID, run.dag_run_id).state == "success", "late is not lost"
    finally:
        stack.airflow.api.pause(DAG_ID)
