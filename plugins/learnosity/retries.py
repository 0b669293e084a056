"""Which failures of a task are worth another try, and when: those that say so of themselves, and a lost worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

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
            reason="The API, the network or the store failed for now; the next try continues.",
        ),
    ]
)

# A transient error has been through backoff inside the task already. These tries last for about an hour: 30 s, 1, 2,
# 4, 8, 15 and 15 minutes apart.
RETRY_ARGS: dict[str, Any] = {
    "retries": 7,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
    "retry_policy": LEARNOSITY_RETRIES,
}
