"""The least that a DAG of the same shape costs: five tasks in a row, one deferral, one of them mapped; no work."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import DAG, task

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
    wait = TimeDeltaSensor(task_id="wait", delta=timedelta(seconds=0.1), deferrable=True)
    made >> wait >> listed
    publish(land.expand(shard=listed))
