"""What pages say of settings, versions and places that no other test comes by. `audited.py` names the sentences."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from airflow.configuration import conf

from compose.proof.deployment import IMAGES
from learnosity.plugin import LearnosityPlugin

REPOSITORY = Path(__file__).resolve().parents[2]
COMPOSE = (REPOSITORY / "docker-compose.yaml").read_text()


def text(name: str) -> str:
    return (REPOSITORY / name).read_text()


def test_airflow_has_one_version_in_all_the_places_in_which_it_is_changed() -> None:
    places = {
        "requirements.txt": re.findall(
            r"^apache-airflow(?:\[[^\]]*\])?==([0-9.]+)", text("requirements.txt"), re.MULTILINE
        ),
        "Dockerfile": re.findall(r"AIRFLOW_IMAGE=apache/airflow:([0-9.]+)-", text("Dockerfile")),
        "docker-compose.yaml": re.findall(r"apache/airflow:([0-9.]+)-", COMPOSE),
        "compose/proof": re.findall(r"airflow:([0-9.]+)-", IMAGES["AIRFLOW_IMAGE"]),
        "deploy/values.yaml": [yaml.safe_load(text("deploy/values.yaml"))["airflowVersion"]],
    }
    assert all(places.values()), places
    assert len({version for found in places.values() for version in found}) == 1, places


def test_workers_get_two_minutes_to_end_what_they_have() -> None:
    assert yaml.safe_load(COMPOSE)["services"]["worker"]["stop_grace_period"] == "2m"


def test_all_dags_start_paused() -> None:
    assert conf.getboolean("core", "dags_are_paused_at_creation") is True
    assert "DAGS_ARE_PAUSED" not in COMPOSE
    for folder in ("dags", "plugins/learnosity"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.keyword) and node.arg == "is_paused_upon_creation":
                    assert ast.unparse(node.value) == "True", path


def test_the_tab_is_on_the_runs_of_all_dags() -> None:
    (view,) = [each for each in LearnosityPlugin.external_views if each["destination"] == "dag_run"]
    # Airflow knows no condition on such a view: these are all the fields of it.
    assert set(view) <= {"name", "href", "icon", "icon_dark_mode", "url_route", "destination", "category"}


def test_python_finds_the_installed_package_before_the_plugins_folder(tmp_path: Path) -> None:
    copy = tmp_path / "plugins" / "learnosity" / "__init__.py"
    copy.parent.mkdir(parents=True)
    copy.write_text("raise AssertionError('the copy in the plugins folder')")
    program = "import airflow.settings, json, sys, learnosity; print(json.dumps([learnosity.__file__, sys.path]))"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import airflow; airflow.settings.initialize(); {program}"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    found, searched = json.loads(done.stdout.splitlines()[-1])
    assert str(tmp_path / "plugins") in searched
    assert not found.startswith(str(tmp_path))
