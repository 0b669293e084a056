"""The shape of the package: data flows one way, and the domain can be used without Airflow."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "plugins" / "learnosity"
# The side that knows Airflow; everything else must not.
AIRFLOW_SIDE = {
    "async_operator",
    "consuming",
    "dataset_tasks",
    "fsspec_store",
    "hooks",
    "input_sources",
    "lineage",
    "links",
    "metrics",
    "notifiers",
    "operators",
    "params",
    "provider",
    "retries",
    "run_notes",
    "scheduled_dags",
    "sensors",
    "store_connections",
    "task_state",
    "triggers",
}
# The stand-ins and tools around the product, which it must not know of.
OUTSIDE = {"simulator", "devstack", "tests", "benchmarks", "chaos"}
DOMAIN = sorted(path for path in PACKAGE.glob("*.py") if path.stem not in AIRFLOW_SIDE)


IMPORTS = (ast.Import, ast.ImportFrom)


def imported(path: Path) -> set[str]:
    """Modules that a file imports, also late and for types alone."""
    return imported_by(ast.parse(path.read_text()))


def imported_by(tree: ast.AST) -> set[str]:
    """Modules that are imported somewhere in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", DOMAIN, ids=lambda path: path.stem)
def test_the_domain_imports_no_airflow(path: Path) -> None:
    reached, todo = set[str](), {path}
    while todo:
        for module in imported(todo.pop()):
            assert not module.startswith("airflow"), f"{path.stem} reaches {module}"
            below = PACKAGE / f"{module.removeprefix('learnosity.')}.py"
            if module.startswith("learnosity.") and module not in reached and below.exists():
                reached.add(module)
                todo.add(below)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_the_product_knows_nothing_of_what_stands_around_it(path: Path) -> None:
    assert not {module.split(".")[0] for module in imported(path)} & OUTSIDE


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_openlineage_may_be_missing(path: Path) -> None:
    at_once = ast.Module([node for node in ast.parse(path.read_text()).body if isinstance(node, IMPORTS)], [])
    assert not [module for module in imported_by(at_once) if "openlineage" in module]


def test_only_the_plugin_file_is_in_reach_of_the_plugin_loader() -> None:
    ignored = (PACKAGE.parent / ".airflowignore").read_text()
    assert "learnosity/" in ignored
    loose = {path.name for path in PACKAGE.parent.glob("*.py")}
    assert loose <= {"learnosity_plugin.py"}


# What Airflow, its amazon provider and aiohttp are built on, and what a deployment may do without.
COMES_ALONG = {
    "apache-airflow-providers-openlineage",
    "boto3",
    "botocore",
    "croniter",
    "cryptography",
    "fastapi",
    "fsspec",
    "jinja2",
    "jsonschema",
    "openlineage-python",
    "pyyaml",
    "sqlalchemy",
    "yarl",
}


def test_the_package_declares_whatever_it_imports() -> None:
    project = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text())["project"]
    known = {re.split("[<>=]", each)[0] for each in project["dependencies"]} | COMES_ALONG
    modules = {module.split(".")[0] for path in PACKAGE.rglob("*.py") for module in imported(path)}
    outside = modules - set(sys.stdlib_module_names) - {"learnosity", "airflow"}
    brought_by = packages_distributions()
    missing = {name for name in outside if not {each.lower().replace("_", "-") for each in brought_by[name]} & known}
    assert not missing
