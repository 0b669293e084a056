"""Parquet is read whole, or an error: what DuckDB does with faults and names, and how much of it is in memory."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from learnosity.errors import LearnosityError, TransientError
from learnosity.inputs.parquet_files import ParquetFiles
from learnosity.inputs.records import RecordSchema, schema_for
from learnosity.inputs.spool import InputFile, spool_input

SUMMARY = schema_for("activity-summary-by-group", ["school"])


def parquet(select: str, path: Path, name: str = "users.parquet") -> InputFile:
    with duckdb.connect() as database:
        database.execute(f"COPY ({select}) TO '{path / name}' (FORMAT parquet)")
    content = (path / name).read_bytes()
    return InputFile(name, lambda: iter([content]))


def spooled(*files: InputFile, schema: RecordSchema = SUMMARY) -> list[Any]:
    target = io.BytesIO()
    spool_input(files, schema, target)
    return [json.loads(line) for line in target.getvalue().splitlines()]


class Failing:
    """A result of DuckDB that fails, or ends, at one of its batches."""

    def __init__(self, result: Any, at: int, error: Exception | None) -> None:
        self._result, self._left, self._error = result, at, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._result, name)

    def fetchmany(self, size: int) -> Any:
        self._left -= 1
        if self._left >= 0:
            return self._result.fetchmany(size)
        if self._error:
            raise self._error
        return []


@pytest.mark.parametrize("at", [0, 2], ids="at batch {}".format)
@pytest.mark.parametrize(
    "error", [duckdb.IOException("x"), duckdb.OutOfMemoryException("x"), duckdb.Error("x"), None], ids=repr
)
@pytest.mark.parametrize("count", [1, 3], ids="{} files".format)
def test_a_read_that_fails_once_never_ends_with_a_part_of_the_rows(
    count: int, error: Exception | None, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [
        parquet(f"SELECT '{part}-' || n user_id, 's' school FROM range(20_000) t(n)", tmp_path, f"{part}.parquet")
        for part in range(count)
    ]
    query, failed = ParquetFiles._query, []

    def once(self: ParquetFiles, text: str, paths: list[str]) -> Any:
        result = query(self, text, paths)
        if failed or not text.startswith("SELECT") or "user_id" not in text:
            return result
        failed.append(text)
        return Failing(result, at, error)

    monkeypatch.setattr(ParquetFiles, "_query", once)
    with pytest.raises(LearnosityError) as caught:
        spooled(*files)
    assert failed
    assert f"{count - 1}.parquet" in str(caught.value)
    if count > 1 and error is not None:
        assert isinstance(caught.value, TransientError)
