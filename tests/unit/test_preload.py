"""What is loaded before tasks are forked, in Python processes of their own: where, and that a fork can live with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# One process plays all components in turn, because a process takes seconds to start. What is loaded stays loaded, so
# the components that load nothing come first.
PROGRAM = """
import json, os, sys
import psutil
import airflow.sdk.execution_time.task_runner
from airflow.listeners.listener import get_listener_manager
manager = get_listener_manager()
process, before = psutil.Process(), psutil.Process().num_fds()
for command, component, executor in json.loads(sys.argv.pop()):
    sys.argv[1:] = [command]
    os.environ["AIRFLOW__CORE__EXECUTOR"] = executor
    manager.hook.on_starting(component=type(component, (), {})())
    found = [name for name in ("aiohttp", "boto3", "learnosity.landing_tasks", "learnosity.web") if name in sys.modules]
    print(json.dumps({"loaded": found, "threads": process.num_threads(), "files": process.num_fds() - before}))
"""
WAIT = ["aiohttp"]
ALL = ["aiohttp", "boto3", "learnosity.landing_tasks"]
CASES: list[tuple[str, str, str, list[str]]] = [
    ("dag-processor", "Job", "LocalExecutor", []),
    ("api-server", "Job", "LocalExecutor", []),
    ("scheduler", "Job", "CeleryExecutor", []),
    ("scheduler", "Job", "KubernetesExecutor", []),
    ("scheduler", "TaskRunnerMarker", "LocalExecutor", []),
    ("triggerer", "Job", "LocalExecutor", WAIT),
    ("scheduler", "Job", "CeleryExecutor,LocalExecutor", ALL),
    ("scheduler", "Job", "LocalExecutor", ALL),
]


def test_a_process_loads_what_its_forks_need_and_nothing_that_a_fork_would_share(tmp_path: Path) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    environment = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "PYTHONPATH": str(REPOSITORY / "plugins"),
    }
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([case[:3] for case in CASES])],
        env={**own, **environment},
        capture_output=True,
        check=True,
    )
    said = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith(b"{")]
    for case, each in zip(CASES, said, strict=True):
        assert each == {"loaded": case[3], "threads": 1, "files": 0}, case


CELERY = """
import sys
sys.argv.append("worker")
import airflow_local_settings
from airflow.providers.celery.executors.celery_executor_utils import app
from celery.signals import import_modules
assert "learnosity.landing_tasks" not in sys.modules
import_modules.send(sender=app)
assert "learnosity.landing_tasks" in sys.modules
"""


def test_a_celery_worker_loads_them_with_its_own_modules(tmp_path: Path) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    path = os.pathsep.join([str(REPOSITORY / "plugins"), str(REPOSITORY / "compose")])
    environment = {"AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", CELERY, "celery"], env={**own, **environment}, check=True)


def test_every_module_that_is_loaded_early_exists() -> None:
    program = "import importlib, learnosity.preload as p; [importlib.import_module(n) for n in (*p.TASKS, *p.S3)]"
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY / "plugins", check=True, capture_output=True)


def test_a_module_that_cannot_be_imported_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('an installation that does not fit')")
    program = "from learnosity.preload import load; load(('no.such.module', 'broken', 'learnosity.api.client'))"
    check = "; import sys; assert 'learnosity.api.client' in sys.modules"
    path = os.pathsep.join([str(REPOSITORY / "plugins"), str(tmp_path)])
    told = subprocess.run(
        [sys.executable, "-c", program + check], env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True
    )
    assert b"broken could not be loaded early" in told.stdout
