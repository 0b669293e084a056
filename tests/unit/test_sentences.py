"""What pages say of settings, versions and places that no other test comes by. `audited.py` names the sentences."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pendulum
import pytest
import yaml  # type: ignore[import-untyped]
from airflow.configuration import conf
from airflow.serialization.serialized_objects import DagSerialization
from packaging.specifiers import SpecifierSet

from compose.proof.deployment import IMAGES
from learnosity.dags import scheduled_dags
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
        "compose/proof/deployment.py": re.findall(r"airflow:([0-9.]+)-", IMAGES["AIRFLOW_IMAGE"]),
        "deploy/values.yaml": [yaml.safe_load(text("deploy/values.yaml"))["airflowVersion"]],
    }
    assert all(places.values()), places
    (said,) = re.findall(r"Change Airflow in five places at once:(.*?);", text("docs/operations.md"), re.DOTALL)
    assert set(re.findall(r"`([\w./-]+\.\w+|Dockerfile)`", said)) == set(places)
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


def test_the_package_takes_the_versions_of_airflow_that_are_said() -> None:
    needed = tomllib.loads(text("pyproject.toml"))["project"]["dependencies"]
    (airflow,) = [
        SpecifierSet(each.removeprefix("apache-airflow")) for each in needed if re.match(r"apache-airflow[<>=]", each)
    ]
    tried = ("3.2.9", "3.3.0", "3.3.1", "3.3.2", "3.3.9", "3.4.0", "4.0.0")
    assert [each for each in tried if each in airflow] == ["3.3.2", "3.3.9"]
    for page in ("README.md", "docs/operations.md"):
        assert "Airflow 3.3.2 or a later 3.3" in text(page)
    pinned = set(re.findall(r"^(apache-airflow[a-z-]*)==", text("requirements.txt"), re.MULTILINE))
    assert pinned >= {"apache-airflow", *(f"apache-airflow-providers-{each}" for each in ("celery", "fab", "postgres"))}


def test_the_versions_of_python_that_are_said_are_those_that_make_venv_takes() -> None:
    (bounds,) = re.findall(r"\((\d+, \d+)\) <= sys\.version_info < \((\d+, \d+)\)", text("Makefile"))
    assert bounds == ("3, 11", "3, 15")
    assert tomllib.loads(text("pyproject.toml"))["project"]["requires-python"] == ">=3.11"
    assert "with Python 3.11 to 3.14" in text("README.md")


def test_make_clean_removes_what_is_generated_and_leaves_what_is_not(tmp_path: Path) -> None:
    generated = (
        ".devstack/a",
        ".pytest_cache/a",
        ".mypy_cache/a",
        ".ruff_cache/a",
        ".hypothesis/a",
        "build/a",
        "dist/sbom.cdx.json",
        "logs/a",
        "a.egg-info/a",
        "benchmarks/latest.json",
        "plugins/learnosity/__pycache__/a.pyc",
    )
    kept = (
        ".venv/lib/__pycache__/a.pyc",
        ".bench/a",
        ".clouds/a",
        ".env",
        "dags/datasets/nightly.yaml",
        "benchmarks/results.md",
    )
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    for each in (*generated, *kept):
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, capture_output=True, check=True)
    assert [each for each in generated if (tmp_path / each).exists()] == []
    assert [each for each in kept if not (tmp_path / each).exists()] == []


def test_no_service_but_the_store_has_the_key_that_makes_buckets() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    having = {
        name: [
            each
            for each in service.get("environment", {})
            if each.startswith("S3_ADMIN") and service["environment"][each]
        ]
        for name, service in services.items()
    }
    assert {name for name, keys in having.items() if keys} == {"s3"}


def test_what_was_never_run_is_said_wherever_it_is_described() -> None:
    assert "Not run on a cluster" in text("deploy/values.yaml").partition("\n")[0]
    for heading, said in (
        ("Kubernetes", "It has not been run on a cluster"),
        ("Managed Airflows", "Nothing of this has been run on a managed Airflow"),
    ):
        assert said in text("docs/operations.md").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert "The official images, the Helm values and managed Airflows have not been run." in " ".join(
        text("README.md").split()
    )


def test_the_api_server_has_all_that_pages_need() -> None:
    """Package and connections: it is the same image, with the database. Read access: it is on the way to the store."""
    services = yaml.safe_load(COMPOSE)["services"]
    server, worker = services["api-server"], services["worker"]
    assert server["image"] == worker["image"]
    assert set(server["networks"]) >= set(services["s3"]["networks"])
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" in server["environment"]
    assert server["environment"]["AIRFLOW__CORE__FERNET_KEY"] == worker["environment"]["AIRFLOW__CORE__FERNET_KEY"]


def test_nothing_but_landing_and_the_dag_for_it_removes_objects() -> None:
    """The clean-ups of Airflow run none of this. The DAG has no schedule unless somebody writes a file for it."""
    removing = {
        path.relative_to(REPOSITORY).as_posix()
        for folder in ("dags", "plugins/learnosity")
        for path in (REPOSITORY / folder).rglob("*.py")
        if re.search(r"\bstore\.delete\(", path.read_text())
    }
    package = "plugins/learnosity"
    # `storage/` deletes only what others ask for. `removal_marks` deletes only a landing's own note that it is running,
    # which is no part of a dataset.
    own = (f"{package}/landing/", f"{package}/retention/", f"{package}/storage/", f"{package}/dataset/removal_marks.py")
    assert f"{package}/retention/remove.py" in removing
    assert sorted(each for each in removing if not each.startswith(own)) == []


@pytest.mark.parametrize(("schedule", "runs", "last_day"), [("0 4 * * *", 365, 31), ("@daily", 366, 1)])
def test_a_backfill_of_a_year_ends_with_the_interval_that_begins_last(
    schedule: str, runs: int, last_day: int, tmp_path: Path
) -> None:
    assert "in UTC (`@daily`) has a 366th" in text("docs/operations.md").replace("\nmidnight ", " ")
    (tmp_path / "a.yaml").write_text(
        f"name: a\nschedule: '{schedule}'\nparams: {{dataset_type: ibk-analysis-by-question}}\n"
    )
    (dag,) = scheduled_dags(tmp_path).values()
    dates = [pendulum.datetime(2025, 8, 1), pendulum.datetime(2026, 8, 1)]
    serialized = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    intervals = [each.data_interval for each in serialized.iter_dagrun_infos_between(*dates)]
    assert len(intervals) == runs
    assert intervals[-1] is not None
    assert intervals[-1].start.day == last_day
