"""What the package declares to need, what only an extra installs, and what is said where that is missing."""

from __future__ import annotations

import importlib
import io
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from unittest.mock import patch

import pytest

import learnosity
from learnosity.connections import open_store
from learnosity.errors import MissingExtraError, PermanentError
from learnosity.inputs.records import schema_for
from learnosity.inputs.spool import InputFile, spool_input

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def names(requirements: Iterable[str]) -> set[str]:
    found = (re.match(r"[A-Za-z0-9._-]+", line) for line in requirements)
    return {match[0].lower() for match in found if match}


def azure() -> None:
    with patch.dict(
        "os.environ",
        {"AIRFLOW_CONN_OF_AZURE": json.dumps({"conn_type": "wasb", "host": "https://account.blob.core.windows.net"})},
    ):
        open_store("abfs://of_azure@container/key")


def parquet() -> None:
    sys.modules.pop("learnosity.dataset.parquet", None)
    importlib.import_module("learnosity.dataset.parquet")


def parquet_input() -> None:
    source = InputFile("users.parquet", lambda: iter([b"PAR1\x15\x04\x15\x00PAR1"]))
    spool_input([source], schema_for("ibk-analysis-by-question"), io.BytesIO())


@pytest.mark.parametrize(
    ("extra", "module", "use"),
    [
        pytest.param("s3", "airflow.providers.amazon", lambda: open_store("s3://bucket/key"), id="s3"),
        pytest.param("gcs", "airflow.providers.google", lambda: open_store("gs://bucket/key"), id="gcs"),
        pytest.param("azure", "airflow.providers.microsoft", azure, id="azure"),
        pytest.param("duckdb", "duckdb", parquet, id="duckdb"),
        pytest.param("duckdb", "duckdb", parquet_input, id="duckdb for input"),
    ],
)
def test_what_needs_an_extra_says_which(
    monkeypatch: pytest.MonkeyPatch, extra: str, module: str, use: Callable[[], object]
) -> None:
    for name in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)  # Python then finds no such package
    with pytest.raises(MissingExtraError) as error:
        use()
    assert f"airflow-provider-learnosity[{extra}]" in str(error.value)
    assert module in str(error.value)
    assert isinstance(error.value, PermanentError)
    assert extra in EXTRAS


def test_the_deployment_has_what_it_needs_and_the_tests_have_every_extra() -> None:
    deployed = names((REPOSITORY / "requirements.txt").read_text().splitlines())
    tested = names(chain(*(file.read_text().splitlines() for file in REPOSITORY.glob("requirements*.txt"))))
    assert names([*PROJECT["dependencies"], *EXTRAS["s3"], *EXTRAS["duckdb"]]) <= deployed
    assert names(chain(*EXTRAS.values())) <= tested


def test_the_version_stands_in_one_place() -> None:
    assert "version" not in PROJECT
    assert version("airflow-provider-learnosity") == learnosity.__version__
