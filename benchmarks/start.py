"""What this package adds to the start of a task, and to the DAG processor: `python -m benchmarks.start`.

Processor seconds, not time, so that a busy machine changes little. Each figure is the median of several processes that
have loaded what Airflow's task runner loads before it reads a DAG file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from devstack.environment import inherited_environment

ROOT = Path(__file__).resolve().parents[1]
SCHEDULES = 200
GOAL_START = 0.15
GOAL_PARSE = 3.0
_TASK = """
import json, runpy, sys, time
import airflow.sdk.execution_time.task_runner, airflow.sdk.execution_time.supervisor, airflow.dag_processing.dagbag
import airflow.plugins_manager
from airflow.sdk import DAG, Param
cpu, taken = time.process_time, {}
def part(name, work):
    begin = cpu()
    work()
    taken[name] = cpu() - begin
"""
_START = """
def plugin():
    import learnosity.plugin
def store():
    from learnosity.connections import open_store
    open_store("s3://bench@bucket/datasets")
part("plugin", plugin)
part("DAG file", lambda: runpy.run_path(sys.argv[1]))
part("S3 store", store)
print(json.dumps(taken))
"""
_PARSE = """
import logging
from pathlib import Path
from learnosity.dags import scheduled_dags
import learnosity.schedules.dags
logging.disable(logging.CRITICAL)
part("parse", lambda: scheduled_dags(Path(sys.argv[1])))
print(json.dumps(taken))
"""
_CONNECTION = {"conn_type": "aws", "login": "AKIAOFTHEBENCHMARK00", "password": "of-the-benchmark"}


def taken(program: str, *arguments: object, runs: int, **environment: str) -> Mapping[str, float]:
    """Median processor seconds of each part of a program, over several processes after one that compiles modules."""
    found: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="learnosity-start-") as home:
        own = {name: value for name, value in inherited_environment().items() if not name.startswith("AWS_")}
        own.pop("PYTHONDONTWRITEBYTECODE", None)
        settings = {
            "HOME": home,
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "PYTHONPATH": f"{ROOT / 'plugins'}{os.pathsep}{ROOT}",
        }
        for _ in range(runs + 1):
            ended = subprocess.run(
                [sys.executable, "-c", _TASK + program, *map(str, arguments)],
                env={**own, **settings, **environment},
                capture_output=True,
                check=True,
            )
            found.append(json.loads(ended.stdout.splitlines()[-1]))
    return {name: median(each[name] for each in found[1:]) for name in found[0]}


def start(runs: int, extra: Mapping[str, str]) -> Mapping[str, float]:
    """What plugin, DAG file and S3 store add to a task process."""
    connection = json.dumps({**_CONNECTION, "extra": extra})
    dag_file = ROOT / "dags" / "learnosity_dataset.py"
    return taken(_START, dag_file, runs=runs, AIRFLOW_CONN_BENCH=connection)


def parse(runs: int) -> tuple[float, float]:
    """What a folder of schedules costs the DAG processor, and a task of one of them."""
    sample = (ROOT / "dags" / "datasets" / "nightly_group_report.yaml.example").read_text()
    with tempfile.TemporaryDirectory(prefix="learnosity-schedules-") as folder:
        for number in range(SCHEDULES):
            text = sample.replace("name: nightly_group_report", f"name: school_{number}", 1)
            (Path(folder) / f"{number}.yaml").write_text(text)
        every = taken(_PARSE, folder, runs=runs)
        one = taken(_PARSE, folder, runs=runs, _AIRFLOW_PARSING_CONTEXT_DAG_ID="learnosity_school_100")
    return every["parse"], one["parse"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Its exit code says whether the goals are reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="processes for each figure, default 5")
    options = parser.parse_args(arguments)
    forms = {
        "static key": {"endpoint_url": "http://127.0.0.1:9000"},
        "boto3 asked": {"endpoint_url": "http://[::1]:9000"},
    }
    totals = []
    for name, extra in forms.items():
        parts = start(options.runs, extra)
        totals.append(sum(parts.values()))
        said = ", ".join(f"{part} {seconds:.3f}" for part, seconds in parts.items())
        print(f"task process, S3 connection with {name}: {totals[-1]:.3f} s of processor time ({said})")
    every, one = parse(options.runs)
    print(
        f"{SCHEDULES} schedule files: DAG processor {every:.2f} s of processor time, a task of one of them {one:.3f} s"
    )
    ok = totals[0] <= GOAL_START and every <= GOAL_PARSE
    print(f"goals {'reached' if ok else 'NOT reached'}: {GOAL_START} s (static key), {GOAL_PARSE:g} s")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
