"""A scheduled dataset that is late: Airflow sees the missed deadline, and the schedule's notifier tells of it."""

from __future__ import annotations

import time

from devstack.rest import POLL_SECONDS, DagRun
from devstack.stack import Stack
from tests.integration.webhook import Webhook

# Its deadline is over before the first look at its job.
DAG_ID = "learnosity_late"
DEADLINE_MINUTES = 0.05


def first_run(stack: Stack) -> DagRun:
    """The run that the scheduler makes when the DAG is let run."""
    api = stack.airflow.api
    api.wait_for_dag(DAG_ID)
    deadline = time.monotonic() + 60
    while not (runs := api.dag_runs(DAG_ID)):
        assert time.monotonic() < deadline, "the scheduler made no run"
        time.sleep(POLL_SECONDS)
    return runs[-1]


def test_a_missed_deadline_is_told_by_the_schedules_notifier(stack: Stack, webhook: Webhook) -> None:
    run = first_run(stack)
    try:
        assert run.run_id.startswith("scheduled__")
        told = webhook.received.get(timeout=90)
        assert told == {"text": f"{DAG_ID} is not done {DEADLINE_MINUTES:g} minutes after it was queued."}
        assert stack.airflow.api.wait_for_run(DAG_ID, run.run_id).state == "success", "late is not lost"
    finally:
        stack.airflow.api.pause(DAG_ID)
