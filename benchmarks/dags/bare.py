"""The least that a DAG of the same shape costs: five tasks in a row, one of them mapped; no work.

The run config says whether the second task is deferred.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import DAG, BaseSensorOperator, Context, task


class Wait(BaseSensorOperator):
    """Ends at once, or after a deferral that is as short as can be."""

    def execute(self, context: Context) -> None:
        """Defer if the run config says so."""
        if (context["dag_run"].conf or {}).get("deferred"):
            self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=0.1)), method_name="execute_complete")

    def execute_complete(self, context: Context, event: Any = None) -> None:
        """Nothing."""


with DAG(dag_id="bare", schedule=None, catchup=False) as dag:

    @task
    def first() -> dict[str, str]:
        """An XCom of the same size."""
        return {"dataset_id": "-", "job_reference": "-"}

    @task
    def listing(dataset: object) -> list[dict[str, int]]:
        """One entry to map over."""
        return [{"shard": 0, "files": 1}]

    @task
    def land(shard: dict[str, int]) -> dict[str, int]:
        """Nothing."""
        return shard

    @task
    def publish(shards: object) -> int:
        """Nothing."""
        return 1

    made = first()
    listed = listing(made)
    wait = Wait(task_id="wait")
    made >> wait >> listed
    publish(land.expand(shard=listed))
