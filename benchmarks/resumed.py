"""How soon a task goes on when its job is done: `python -m benchmarks.resumed`, in a whole Airflow.

Some runs come first, from which the polls learn how long such jobs take. Then several runs wait at once, in the same
triggerer. From the moment at which the job ended, as the simulator knows it, to the end of the task that waited, as
Airflow notes it: the next look of the poller, and the way of the event to the database. Until 28 November 2026 the task
was resumed in a worker, so that the scheduler's loop and the start of a task were in the figure, too.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from devstack.errors import DevstackError
from devstack.rest import AirflowApi
from devstack.samples import DAG_ID, analysis_conf
from devstack.stack import Stack, StackOptions
from devstack.waiting import wait_until

TASK = "wait_for_job"
SECONDS = 600.0
GOAL_SECONDS = 6.0


def measure(root: Path, runs: int, poll_interval: float, job_seconds: float, teach: int = 0) -> tuple[list[float], int]:
    """Seconds from done to gone on, of each run, and the polls of the waits.

    :param teach: runs beforehand
    """
    conf = analysis_conf(include=["items.json"], poll_interval=poll_interval)
    with Stack(root, StackOptions(job_seconds=job_seconds)) as stack:
        api = stack.airflow.api
        api.wait_for_dag(DAG_ID)
        # From these first runs, the poller learns how long a job takes. The measured runs begin only after their end:
        # then the poller knows it, and nothing else keeps the machine busy.
        for run in [api.trigger(DAG_ID, conf).dag_run_id for _ in range(teach)]:
            api.wait_for_run(DAG_ID, run, timeout=SECONDS)
        before = _polls(stack)
        started = [api.trigger(DAG_ID, conf).dag_run_id for _ in range(runs)]
        ends = {run: _end(api, run) for run in started}
        polls = _polls(stack) - before
        datasets = stack.simulator.control("datasets").values()
        done = {dataset.get("job_reference"): dataset.get("completed") for dataset in datasets}
        return [ends[run] - _moment(done, _created(api, run)) for run in started], polls


def _polls(stack: Stack) -> int:
    """Calls that asked for jobs so far."""
    return int(stack.simulator.control("stats")["calls"].get("get jobs", 0))


def _end(api: AirflowApi, run: str) -> float:
    """When the waiting task of a run ended, in Unix seconds."""

    def look() -> float | None:
        ended = (task for task in api.task_instances(DAG_ID, run) if task.task_id == TASK and task.state == "success")
        return next((task.end_date.timestamp() for task in ended if task.end_date), None)

    return wait_until(look, timeout=SECONDS, late=lambda: f"{run} waits longer than {SECONDS:.0f} s", every=1.0)


def _created(api: AirflowApi, run: str) -> dict[str, Any]:
    created: dict[str, Any] = api.xcom(DAG_ID, run, "create_dataset")
    return created


def _moment(done: dict[str | None, float | None], created: dict[str, Any]) -> float:
    moment = done.get(created["job_reference"])
    if moment is None:
        raise DevstackError(f"The simulator does not know when job {created['job_reference']} ended.")
    return moment


def main() -> None:
    """Measure, and print one figure per line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resumed", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs that wait at the same time, default 20")
    parser.add_argument("--poll-interval", type=float, default=15, help="seconds, default 15 as the DAG's")
    parser.add_argument("--job-seconds", type=float, default=60, help="how long a job takes, default 60")
    parser.add_argument("--teach", type=int, default=4, help="runs before, to learn from, default 4; 0 = learn nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="learnosity-resumed-") as folder:
        found, polls = measure(
            Path(folder), arguments.runs, arguments.poll_interval, arguments.job_seconds, arguments.teach
        )
    middle = statistics.median(found)
    print(f"{arguments.runs} waits at once, poll_interval {arguments.poll_interval:g} s, {arguments.teach} runs before")
    print(f"{'job done to task gone on':<26} median {middle:.1f} s, longest {max(found):.1f} s")
    print(f"{'calls':<26} {polls}, of which each sensor makes one before it defers")
    print(f"goal {'reached' if middle <= GOAL_SECONDS else 'NOT reached'}: median of at most {GOAL_SECONDS:g} s")


if __name__ == "__main__":
    main()
