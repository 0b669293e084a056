"""What the DAG itself costs: a dataset with nearly nothing in it, against a bare DAG of the same shape.

Both run in the same Airflow, in turns; a run's time is that which Airflow itself notes, from its start to its end.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.rows import Row, faster
from devstack.environment import REPOSITORY
from devstack.errors import DevstackError
from devstack.rest import AirflowApi
from devstack.samples import DAG_ID, analysis_conf
from devstack.stack import Stack, StackOptions

BARE = "bare"
RUNS = 5


def dag_overhead(folder: Path, runs: int = RUNS) -> list[Row]:
    """Start a whole Airflow and measure."""
    dags = folder / "dags"
    dags.mkdir(parents=True)
    shutil.copy(REPOSITORY / "dags" / f"{DAG_ID}.py", dags)
    shutil.copy(Path(__file__).parent / "dags" / "bare.py", dags)
    with Stack(folder / "stack", StackOptions(dags=dags, job_seconds=0.0)) as stack:
        api = stack.airflow.api
        for dag_id in (DAG_ID, BARE):
            api.wait_for_dag(dag_id)
        conf = analysis_conf(include=["items.json"], poll_interval=1)
        _seconds(api, BARE, {})  # the first run of an Airflow pays for what it loads
        ours: list[float] = []
        bare: list[float] = []
        for _ in range(runs):
            ours.append(_seconds(api, DAG_ID, conf))
            bare.append(_seconds(api, BARE, {}))
    return [faster("DAG run of a job that does nothing", median(ours), median(bare), "bare DAG", 1 / 1.5)]


def _seconds(api: AirflowApi, dag_id: str, conf: dict[str, Any]) -> float:
    run = api.wait_for_run(dag_id, api.trigger(dag_id, conf).dag_run_id, timeout=180)
    if run.state != "success" or run.start_date is None or run.end_date is None:
        raise DevstackError(f"The run of {dag_id} ended as {run.state.value}.")
    return (run.end_date - run.start_date).total_seconds()
