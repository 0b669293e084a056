"""The shipped DAG, with short waits between tries and nothing else changed (an Airflow dag file)."""

from __future__ import annotations

import importlib.util
from datetime import timedelta
from pathlib import Path

from airflow.sdk import ExceptionRetryPolicy, RetryRule

from learnosity import retries

retries.LEARNOSITY_RETRIES = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=rule.exception,
            action=rule.action,
            reason=rule.reason,
            retry_delay=timedelta(seconds=2) if rule.retry_delay else None,
        )
        for rule in retries.LEARNOSITY_RETRIES.rules
    ]
)
_shipped = Path(__file__).resolve().parents[2] / "dags" / "learnosity_dataset.py"
_spec = importlib.util.spec_from_file_location("learnosity_dataset_under_test", _shipped)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
dag = _module.dag
