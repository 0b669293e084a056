"""As much of `pyspark.sql` as the code on the page uses, where PySpark is not installed: it is large, and needs Java.

What it does not know is an error, so code that calls Spark in another way does not pass.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import duckdb
import pytest


@dataclass
class Row:
    """One row: its columns are attributes."""

    values: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.values[name]

    def asDict(self) -> dict[str, Any]:
        """The values by column."""
        return self.values


@dataclass
class DataFrame:
    """Rows, read at once."""

    rows: Sequence[dict[str, Any]]

    def select(self, column: str) -> DataFrame:
        """One column."""
        return DataFrame([{column: row[column]} for row in self.rows])

    def selectExpr(self, expression: str) -> DataFrame:
        """A row for each entry of a list: of all of SQL only that."""
        found = re.fullmatch(r"inline\(`([^`]+)`\)", expression)
        assert found, expression
        return DataFrame([entry for row in self.rows for entry in row.get(found[1]) or []])

    def collect(self) -> list[Row]:
        """All rows."""
        return [Row(row) for row in self.rows]

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
            text = Path(each).read_text(encoding="utf-8")
            values = [json.loads(part) for part in ([text] if self.options.get("multiLine") else text.splitlines())]
            for value in values:
                rows += value if isinstance(value, list) else [value]
        return DataFrame(rows)

    def parquet(self, path: str) -> DataFrame:
        """Rows of a Parquet file."""
        with duckdb.connect() as connection:
            table = connection.read_parquet(path)
            return DataFrame([dict(zip(table.columns, row, strict=True)) for row in table.fetchall()])


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `from pyspark.sql import SparkSession` find it."""
    session = SimpleNamespace(read=Reader())
    module = ModuleType("pyspark.sql")
    module.SparkSession = SimpleNamespace(builder=SimpleNamespace(getOrCreate=lambda: session))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyspark", ModuleType("pyspark"))
    monkeypatch.setitem(sys.modules, "pyspark.sql", module)
