"""The plugin in Airflow processes of its own: what it brings along, what it costs a task, and who loads the pages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from learnosity.plugin import LearnosityPlugin

REPOSITORY = Path(__file__).resolve().parents[2]
OF_ANOTHER_PACKAGE = "OpenLineageProviderPlugin"  # also found through the entry points of its package

# Prints what Airflow's two plugin managers find: that of its servers, and that of tasks.
LOAD = """
import json, sys
import airflow.sdk.execution_time.task_runner
from airflow import plugins_manager
from airflow.sdk import plugins_manager as of_tasks
before = set(sys.modules)
found = {
    "tasks": [plugin.name for plugin in of_tasks._get_plugins()[0]],
    "task errors": of_tasks._get_plugins()[1],
    "loaded": sorted(set(sys.modules) - before),
    "servers": [plugin.name for plugin in plugins_manager._get_plugins()[0]],
    "server errors": plugins_manager.get_import_errors(),
}
"""

# Libraries that take long to import. Neither loading the plugin nor reading the DAG files needs them.
HEAVY = {
    *("aiohttp", "airflow.api_fastapi.core_api.security", "boto3", "botocore", "duckdb", "fastapi", "learnosity.web"),
    *("learnosity_sdk", "requests", "starlette"),
}
# Modules that a task needs only when it does its work. Reading a DAG file must not import them.
OF_THE_WORK = {"jmespath", "obstore", "pyreqwest", "uvloop", "learnosity.connections", "learnosity.landing_tasks"}
# Rooms of the package that the DAG of the datasets does not enter while its file is read.
ROOMS_OF_THE_WORK = {
    f"learnosity.{room}" for room in ("creation", "inputs", "landing", "results", "retention", "schedules")
}


def run_airflow(home: Path, program: str, *, installed: bool, **environment: str) -> dict[str, Any]:
    """What a program prints as JSON, run in a Python with Airflow.

    :param installed: whether this package is installed there, with its entry points.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    command = [sys.executable, "-c", program]
    if not installed:
        own["PYTHONPATH"] = str(_packages_without_ours(home))
        command.insert(1, "-S")
    settings = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "false", **environment}
    ended = subprocess.run(command, env=own | settings, capture_output=True, text=True, check=False, cwd=home)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _packages_without_ours(home: Path) -> Path:
    """A folder with all installed packages but this one."""
    folder = home / "site-packages"
    folder.mkdir()
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if "airflow_provider_learnosity" not in package.name:
            (folder / package.name).symlink_to(package)
    return folder


def is_part_of(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The AIRFLOW_HOME of a team that has a plugin, modules and a DAG of its own."""
    files: Mapping[str, str] = {
        "plugins/config.py": "TEAM = 'theirs'",
        "plugins/client.py": "TEAM = 'theirs'",
        "plugins/their_plugin.py": """
from airflow.plugins_manager import AirflowPlugin
class TheirPlugin(AirflowPlugin):
    name = "theirs"
""",
        "dags/their_dag.py": """
import client, config
from airflow.sdk import DAG, task
with DAG("their_dag", schedule=None):
    @task
    def hello(): ...
    hello()
assert {config.TEAM, client.TEAM} == {"theirs"}
""",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("syntax", ["glob", "regexp"])
def test_a_copy_of_the_folders_adds_one_plugin_and_changes_nothing_of_another_team(home: Path, syntax: str) -> None:
    # Copied as the README says. The shell's `*` leaves out names that begin with a dot, so the copy has to work without
    # a file such as `.airflowignore`.
    for folder in ("plugins", "dags"):
        subprocess.run(f"cp -r {REPOSITORY}/{folder}/* {home}/{folder}/", shell=True, check=True)
    program = f"""{LOAD}
from airflow.dag_processing.dagbag import DagBag
top = {{name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items()) if "." not in name}}
found["modules"] = sorted(name for name, file in top.items() if file.startswith({str(home / "plugins")!r}))
bag = DagBag(dag_folder={str(home / "dags")!r})
found["dags"], found["dag errors"] = sorted(bag.dags), bag.import_errors
print(json.dumps(found))"""
    found = run_airflow(home, program, installed=False, AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX=syntax)
    assert sorted(found["tasks"]) == sorted(found["servers"]) == [OF_ANOTHER_PACKAGE, "learnosity", "theirs"]
    assert (found["task errors"], found["server errors"], found["dag errors"]) == ({}, {}, {})
    assert found["modules"] == ["client", "config", "learnosity", "learnosity_plugin", "their_plugin"]
    assert "their_dag" in found["dags"]
    assert {name for name in found["dags"] if not name.startswith("learnosity_")} == {"their_dag"}


@pytest.mark.parametrize("folder", [True, False], ids=["with the plugins folder", "without"])
def test_an_installed_package_registers_once(home: Path, folder: bool) -> None:
    if folder:
        subprocess.run(f"cp -r {REPOSITORY}/plugins/* {home}/plugins/", shell=True, check=True)
    found = run_airflow(home, f"{LOAD}print(json.dumps(found))", installed=True)
    assert found["tasks"].count("learnosity") == found["servers"].count("learnosity") == 1
    assert set(found["tasks"]) == set(found["servers"]) == {OF_ANOTHER_PACKAGE, "learnosity", "theirs"}
    assert (found["task errors"], found["server errors"]) == ({}, {})


@pytest.mark.parametrize("installed", [True, False])
def test_a_task_does_not_pay_for_the_pages(home: Path, installed: bool) -> None:
    environment = {} if installed else {"AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins")}
    found = run_airflow(home, f"{LOAD}print(json.dumps(found))", installed=installed, **environment)
    assert "learnosity" in found["tasks"]
    assert not [name for name in found["loaded"] if is_part_of(name, HEAVY | OF_THE_WORK | {"learnosity.operators"})]


def loaded_by(home: Path, *files: Path) -> list[str]:
    """The modules that a task process imports to read DAG files, besides those of Airflow's task runner."""
    program = f"""
import json, runpy, sys
import airflow.sdk.execution_time.task_runner
before = set(sys.modules)
for file in {sorted(map(str, files))!r}:
    runpy.run_path(file)
print(json.dumps({{"loaded": sorted(set(sys.modules) - before)}}))"""
    loaded: list[str] = run_airflow(home, program, installed=True)["loaded"]
    return loaded


def test_reading_the_dag_files_imports_nothing_large(home: Path) -> None:
    # One sample is left out: it imports an operator of Amazon's provider, which imports boto3. That delays only its own
    # tasks, because a task process reads only the file of its own DAG.
    files = [file for file in (REPOSITORY / "dags").glob("*.py") if file.name != "learnosity_from_warehouse.py"]
    assert len(files) > 3
    loaded = loaded_by(home, *files)
    assert {"learnosity.operators", "learnosity.schedules.dags", "learnosity.retention_dag"} <= {*loaded}
    assert not [name for name in loaded if is_part_of(name, HEAVY)]


@pytest.mark.parametrize("file", ["learnosity_dataset.py", "learnosity_schedules.py"])
def test_reading_a_dag_file_imports_nothing_that_only_a_running_task_needs(home: Path, file: str) -> None:
    loaded = loaded_by(home, REPOSITORY / "dags" / file)
    rooms = ROOMS_OF_THE_WORK - ({"learnosity.schedules"} if "schedules" in file else set())
    assert "learnosity.landing_operators" in loaded
    assert not [name for name in loaded if is_part_of(name, OF_THE_WORK | rooms)]


def test_no_airflow_process_pays_for_the_description_of_the_provider(home: Path) -> None:
    program = """
import json, sys
from learnosity.provider import get_provider_info
get_provider_info()
print(json.dumps({"loaded": sorted(name for name in sys.modules if name.split(".")[0] == "learnosity")}))"""
    found = run_airflow(home, program, installed=True)
    assert found["loaded"] == ["learnosity", "learnosity.api", "learnosity.api.defaults", "learnosity.provider"]


def test_the_api_server_mounts_the_pages(home: Path) -> None:
    program = """
import json
from airflow.api_fastapi.app import create_app
from fastapi.testclient import TestClient
client = TestClient(create_app(apps="core"))
paths = ("/learnosity/static/pages.css", "/learnosity/run/a_dag/a_run")
print(json.dumps({path: client.get(path).status_code for path in paths}))"""
    plugins = {"AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins")}
    found = run_airflow(home, program, installed=False, **plugins)
    assert found == {"/learnosity/static/pages.css": 200, "/learnosity/run/a_dag/a_run": 401}


def test_pages_that_cannot_be_imported_say_so_and_the_api_server_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "learnosity.web.app", None)  # its import raises
    server = FastAPI()
    (mounted,) = LearnosityPlugin().fastapi_apps
    server.mount(mounted["url_prefix"], mounted["app"])
    server.get("/other")(lambda: "works")
    client = TestClient(server)
    for path in ("/learnosity/", "/learnosity/run/dag/run"):
        reply = client.get(path)
        assert reply.status_code == 500
        assert "could not be loaded" in reply.text
    assert client.get("/other").json() == "works"
    assert "learnosity.web.app" in caplog.text


def test_airflow_knows_the_timetable_of_several_crons() -> None:
    assert [each.__name__ for each in LearnosityPlugin().timetables] == ["CronsTimetable"]
