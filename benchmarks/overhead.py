"""What the DAG itself costs: a dataset with nearly nothing in it, against a bare DAG of the same shape.

In two modes, each against a bare run of its own kind: the job is done when the sensor first asks for it, or the wait
goes to the triggerer. All run in the same Airflow, in turns; a run's time is that which Airflow itself notes, from its
start to its end. The job of the second mode takes two seconds, which are part of the time. Its wait
ends in the triggerer; the bare one is resumed in a worker, as most sensors are.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
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
# For each DAG, the id of the task that waits.
WAITS = {DAG_ID: "wait_for_job", BARE: "wait"}
# How many seconds the simulated job takes. Key True: the task is deferred until the job has ended. Key False: the job
# has ended when the sensor first asks.
JOB_SECONDS = {False: 0.0, True: 2.0}
# Even a job of 0 seconds may not have ended when the sensor first asks, and then the task is deferred. Such a run does
# not count and is repeated. After this many runs, the measurement fails.
MOST_TRIES = 10
GOAL = 1 / 1.5


def dag_overhead(folder: Path, runs: int = RUNS) -> list[Row]:
    """Start a whole Airflow and measure."""
    dags = folder / "dags"
    dags.mkdir(parents=True)
    shutil.copy(REPOSITORY / "dags" / f"{DAG_ID}.py", dags)
    shutil.copy(Path(__file__).parent / "dags" / "bare.py", dags)
    rows: list[Row] = []
    with Stack(folder / "stack", StackOptions(dags=dags, job_seconds=0.0)) as stack:
        api = stack.airflow.api
        for dag_id in WAITS:
            api.wait_for_dag(dag_id)
        conf = analysis_conf(include=["items.json"], poll_interval=1)
        for deferred, job_seconds in JOB_SECONDS.items():
            stack.simulator.control("config", method="POST", body={"job_seconds": job_seconds})
            ours: list[float] = []
            bare: list[float] = []
            for _ in range(runs + 1):
                ours.append(_seconds(api, DAG_ID, conf, deferred))
                bare.append(_seconds(api, BARE, {"deferred": deferred}, deferred))
            name = "DAG run, deferred, job of 2 s" if deferred else "DAG run, job done at the first look"
            # The first run of each kind is left out: it also loads modules, and so takes longer.
            rows.append(faster(name, median(ours[1:]), median(bare[1:]), "bare DAG", GOAL))
    return rows


def _seconds(api: AirflowApi, dag_id: str, conf: Mapping[str, Any], deferred: bool) -> float:
    """Seconds of one run of this mode.

    :raises DevstackError: a run fails, or no run is of this mode.
    """
    for _ in range(MOST_TRIES):
        run = api.wait_for_run(dag_id, api.trigger(dag_id, conf).dag_run_id, timeout=180)
        if run.state != "success" or run.start_date is None or run.end_date is None:
            raise DevstackError(f"The run of {dag_id} ended as {run.state.value}.")
        if _was_deferred(api, dag_id, run.dag_run_id) == deferred:
            return (run.end_date - run.start_date).total_seconds()
    raise DevstackError(f"{MOST_TRIES} runs of {dag_id} were {'not ' if deferred else ''}deferred.")


def _was_deferred(api: AirflowApi, dag_id: str, run_id: str) -> bool:
    """Whether the wait of a run went to the triggerer, by the log of its task."""
    wait = next(task for task in api.task_instances(dag_id, run_id) if task.task_id == WAITS[dag_id])
    return "DEFERRED" in api.log(dag_id, run_id, wait)
