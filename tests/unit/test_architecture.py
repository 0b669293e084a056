"""The shape of the package: data flows one way, and most rooms can be read and tested without Airflow."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "plugins" / "learnosity"
MODULES = {".".join(path.with_suffix("").relative_to(PACKAGE.parent).parts): path for path in PACKAGE.rglob("*.py")}
# The tools around the product, which it must not know of.
OUTSIDE = {"simulator", "devstack", "tests", "benchmarks", "chaos", "compose"}


def imported_by(tree: ast.AST) -> set[str]:
    """Modules that are imported somewhere in it, also late and for types alone."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


IMPORTS = {name: imported_by(ast.parse(path.read_text())) for name, path in MODULES.items()}


def test_only_the_top_level_web_and_schedules_dags_import_airflow_and_no_import_runs_backwards() -> None:
    own = {name: {each for each in imports if each in MODULES} - {name} for name, imports in IMPORTS.items()}
    for name in TopologicalSorter(own).static_order():  # raises where imports go round in a circle
        reached = own[name].union(*(own[each] for each in own[name]))
        own[name] = reached
        room = name.split(".")[1:-1]
        if room and room != ["web"] and name != "learnosity.schedules.dags":
            assert not [each for part in {name, *reached} for each in IMPORTS[part] if each.split(".")[0] == "airflow"]


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_product_knows_nothing_of_the_tools_around_it(name: str) -> None:
    assert not {module.split(".")[0] for module in IMPORTS[name]} & OUTSIDE


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_is_about_one_thing_and_so_has_at_most_three_hundred_lines(name: str) -> None:
    assert len(MODULES[name].read_text().splitlines()) <= 300


@pytest.mark.parametrize("name", sorted(MODULES))
def test_openlineage_may_be_missing(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text())
    at_once = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    assert not [module for module in imported_by(at_once) if "openlineage" in module]


# Packages that this package imports and need not declare: Airflow, its amazon provider or aiohttp install them, or the
# code works without them.
COMES_ALONG = {
    "apache-airflow-providers-openlineage",
    "attrs",
    "azure-core",
    "boto3",
    "botocore",
    "croniter",
    "cryptography",
    "fastapi",
    "fsspec",
    "google-auth",
    "jinja2",
    "jsonschema",
    "openlineage-python",
    "markupsafe",
    "pyyaml",
    "requests",
    "sqlalchemy",
    "urllib3",
    "yarl",
}


def test_the_package_declares_what_it_imports() -> None:
    project = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    known = {re.split("[<>=;]", each)[0].replace(".", "-") for each in declared} | COMES_ALONG
    modules = {module.split(".")[0] for imports in IMPORTS.values() for module in imports}
    # `compression` is in the standard library of Python 3.14, and not in that of earlier ones.
    outside = modules - set(sys.stdlib_module_names) - {"learnosity", "airflow", "compression"}
    brought_by = packages_distributions()
    missing = {name for name in outside if not {re.sub("[._]", "-", each.lower()) for each in brought_by[name]} & known}
    assert not missing
