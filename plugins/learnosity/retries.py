"""Which failures of a task are worth another try: those that say so of themselves, and a lost worker."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

# Transient errors have been through minutes of backoff inside the task; the next try waits for longer.
LEARNOSITY_RETRIES = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="learnosity.errors.PermanentError",
            action=RetryAction.FAIL,
            reason="Trying again cannot help; the error says what to change.",
        ),
        RetryRule(
            exception="learnosity.errors.TransientError",
            action=RetryAction.RETRY,
            retry_delay=timedelta(minutes=1),
            reason="The API, the network or the store failed for now; the next try continues.",
        ),
    ]
)
