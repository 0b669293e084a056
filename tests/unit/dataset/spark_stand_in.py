"""As much of `pyspark.sql` as the code on the page uses, where PySpark is not installed: it is large, and needs Java.

What it does not know is an error, so code that calls Spark in another way does not pass.
"""

from __future__ import annotations

import glob
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import unquote_plus

import duckdb
import pytest

_FILE_PATH = "_metadata.file_path"  # a hidden column: `*` does not have it


@dataclass
class Row:
    """One row: its columns are attributes."""

    values: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.values[name]

    def asDict(self) -> dict[str, Any]:
        """The values by column."""
        return self.values


def _evaluated(expression: str, row: dict[str, Any]) -> dict[str, Any]:
    if expression == "*":
        return {name: value for name, value in row.items() if name != _FILE_PATH}
    if expression in row:
        return {expression: row[expression]}
    if path := re.fullmatch(
        r"url_decode\(replace\(regexp_extract\(_metadata\.file_path, '([^']+)', 1\), '\+', '%2B'\)\) AS (\w+)",
        expression,
    ):
        found = re.search(path[1], row[_FILE_PATH])
        return {path[2]: unquote_plus(found[1].replace("+", "%2B")) if found else ""}
    count = re.fullmatch(r"size\(split\((\w+), '/'\)\)(?: ([+-]) (\d+))? AS (\w+)", expression)
    assert count, expression
    number = len(row[count[1]].split("/")) + int(f"{count[2] or '+'}{count[3] or 0}")
    return {count[4]: number}


def _inside(row: Any, keys: Sequence[str]) -> Any:
    """The value below these keys; None where one of them is missing."""
    for key in keys:
        row = (row or {}).get(key)
    return row


def _exact(path: str) -> Path:
    """The one file that a path names. Hadoop reads some characters as a pattern, if there is no backslash before."""
    assert not re.search(r"[{}\[\]*?]", re.sub(r"\\.", "", path)), path
    return Path(re.sub(r"\\(.)", r"\1", path))


@dataclass
class DataFrame:
    """Rows, read at once."""

    rows: Sequence[dict[str, Any]]

    def select(self, column: str) -> DataFrame:
        """One column."""
        return DataFrame([{column: row[column]} for row in self.rows])

    def selectExpr(self, *expressions: str) -> DataFrame:
        """Columns of SQL: of all of SQL only what is needed here."""
        found = [dict[str, Any]() for _ in self.rows]
        entries: list[Sequence[dict[str, Any]]] = [[{}] for _ in self.rows]
        for expression in expressions:
            if inline := re.fullmatch(r"inline\(((?:`(?:[^`]|``)+`\.?)+)(?<!\.)\)", expression):
                keys = [key.replace("``", "`") for key in re.findall(r"`((?:[^`]|``)+)`", inline[1])]
                entries = [_inside(row, keys) or [] for row in self.rows]
                continue
            for row, made in zip(self.rows, found, strict=True):
                made |= _evaluated(expression, row)
        return DataFrame([made | entry for made, each in zip(found, entries, strict=True) for entry in each])

    def collect(self) -> list[Row]:
        """All rows."""
        return [Row({name: value for name, value in row.items() if name != _FILE_PATH}) for row in self.rows]

    def show(self) -> None:
        """Print them, which nobody looks at here."""


@dataclass
class Reader:
    """Reads files, or refuses what Spark would not read as it is meant."""

    options: dict[str, Any] = field(default_factory=dict)

    def option(self, name: str, value: Any) -> Reader:
        """The same reader with one more option."""
        return Reader({**self.options, name: value})

    def json(self, path: str | Sequence[str]) -> DataFrame:
        """Rows of JSON: a line each, or, with `multiLine`, a whole file, whose list is rows."""
        assert set(self.options) <= {"multiLine"}
        rows: list[dict[str, Any]] = []
        for each in [path] if isinstance(path, str) else path:
            file = _exact(each)
            text = file.read_text(encoding="utf-8")
            values = [json.loads(part) for part in ([text] if self.options.get("multiLine") else text.splitlines())]
            for value in values:
                found = value if isinstance(value, list) else [value]
                rows += [{**row, _FILE_PATH: file.absolute().as_uri()} for row in found]
        return DataFrame(rows)

    def parquet(self, path: str) -> DataFrame:
        """Rows of a Parquet file."""
        with duckdb.connect() as connection:
            table = connection.read_parquet(glob.escape(str(_exact(path))))
            return DataFrame([dict(zip(table.columns, row, strict=True)) for row in table.fetchall()])


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `from pyspark.sql import SparkSession` find it."""
    session = SimpleNamespace(read=Reader())
    module = ModuleType("pyspark.sql")
    module.SparkSession = SimpleNamespace(builder=SimpleNamespace(getOrCreate=lambda: session))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyspark", ModuleType("pyspark"))
    monkeypatch.setitem(sys.modules, "pyspark.sql", module)
