"""The shipped DAG with short waits between tries, and as many more tries, so that its patience stays about the same.

Nothing else is changed. (An Airflow dag file.)
"""

from __future__ import annotations

import importlib.util
from datetime import timedelta
from pathlib import Path

from airflow.sdk.definitions.mappedoperator import MappedOperator

_shipped = Path(__file__).resolve().parents[2] / "dags" / "learnosity_dataset.py"
_spec = importlib.util.spec_from_file_location("learnosity_dataset_under_test", _shipped)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
dag = _module.dag

# The tests need many retries, one soon after the other. The rules of the DAG's retry policy name no delay, so Airflow
# uses the delay that is set here.
_soon = {"retries": 30, "retry_delay": timedelta(seconds=2), "retry_exponential_backoff": 0.0}
for _task in dag.tasks:
    if isinstance(_task, MappedOperator):
        _task.partial_kwargs |= _soon
    else:
        for _name, _value in _soon.items():
            setattr(_task, _name, _value)
