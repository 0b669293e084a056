"""The package as others install it: its wheel beside Airflow, in a virtual environment without the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from airflow_client.client import ConnectionApi

from devstack import http
from devstack.environment import REPOSITORY, tool
from devstack.samples import analysis_conf, land
from devstack.stack import Stack, StackOptions
from tests.integration.scenarios import landed, simulator_connection

pytestmark = pytest.mark.slow

# The interpreter of the virtual environment: a path, or a version that uv finds.
PYTHON = os.environ.get("WHEEL_PYTHON", sys.executable)
DAG_ID = "installed"
# Airflow only reads files that contain the words "airflow" and "dag".
DAG_FILE = f"""# An Airflow DAG.
from learnosity.dags import dataset_dag, scheduled_dags

dag = dataset_dag("{DAG_ID}")
globals().update(scheduled_dags("{REPOSITORY}/dags/datasets"))
"""
# What the package needs at run time beside its modules.
DATA = ("py.typed", "web/templates/run.html", "web/static/report.js", "web/static/vendor/chart-LICENSE.md")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, freshly built."""
    folder = tmp_path_factory.mktemp("dist")
    _uv("build", "--wheel", "--out-dir", folder, REPOSITORY)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a virtual environment with Airflow and the wheel."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    _uv("venv", "--python", PYTHON, folder)
    packages = ("apache-airflow==3.3.2", f"{wheel}[s3]", "--constraint", REPOSITORY / "constraints.txt")
    _uv("pip", "install", "--compile-bytecode", "--python", folder / "bin" / "python", *packages)
    return folder / "bin"


@pytest.fixture(scope="module")
def stack(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """That Airflow with a DAG of five lines and an empty plugins folder; S3 server and simulator as always."""
    root = tmp_path_factory.mktemp("wheel")
    for folder in ("dags", "plugins"):
        (root / folder).mkdir()
    (root / "dags" / "installed.py").write_text(DAG_FILE)
    options = StackOptions(
        dags=root / "dags",
        plugins=root / "plugins",
        airflow=programs / "airflow",
        job_seconds=1.0,
        test_button=True,
        airflow_env={"PYTHONPATH": "", "PATH": f"{programs}:/usr/bin:/bin"},
    )
    with Stack(root / "stack", options) as stack:
        yield stack


def _uv(*arguments: object) -> None:
    subprocess.run([tool("uv"), "--quiet", *map(str, arguments)], check=True)


def _said(stack: Stack, *command: object) -> str:
    ran = subprocess.run([*map(str, command)], env=stack.airflow.env, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names} == {"learnosity", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}
    assert {f"learnosity/{name}" for name in DATA} <= names
    package = REPOSITORY / "plugins" / "learnosity"
    tracked = subprocess.run(["git", "ls-files"], cwd=package, capture_output=True, text=True, check=True).stdout
    assert {f"learnosity/{name}" for name in tracked.splitlines()} <= names


def test_airflow_lists_the_provider_and_its_connection_type(stack: Stack, programs: Path) -> None:
    (line,) = [
        line
        for line in _said(stack, programs / "airflow", "providers", "hooks", "--output", "plain").splitlines()
        if line.startswith("learnosity")
    ]
    assert "learnosity.hooks.LearnosityHook" in line
    where = _said(stack, programs / "python", "-c", "import learnosity; print(learnosity.__file__)")
    assert Path(where.splitlines()[-1]).is_relative_to(programs.parent)


def test_the_connection_form_is_there_and_its_test_button_works(stack: Stack) -> None:
    forms = stack.airflow.api.ui("/connections/hook_meta")
    (ours,) = [form for form in forms if form["connection_type"] == "learnosity"]
    assert ours["standard_fields"]["login"]["title"] == "Consumer key"
    connection = simulator_connection(stack, "learnosity_form")
    result = ConnectionApi(stack.airflow.api.client).test_connection(connection)
    assert result.status, result.message


def test_a_dataset_lands_and_its_page_opens_for_who_is_logged_in(stack: Stack) -> None:
    run = land(stack, analysis_conf(poll_interval=1), dag_id=DAG_ID)
    published = stack.airflow.api.xcom(DAG_ID, run.dag_run_id, "land.publish")
    dataset = landed(stack, published["dataset_type"], published["dataset_id"])
    assert dataset.problems(stack.simulator.made_files(published["dataset_id"])) == []
    page = f"/learnosity/run/{DAG_ID}/{run.dag_run_id}"
    assert published["dataset_id"] in stack.airflow.api.page(page)
    assert http.call("GET", f"{stack.airflow.url}{page}").status == 401
