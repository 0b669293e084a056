"""The groups of whole inputs: counted alike in every format, and warned about by file and line."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from learnosity.dataset.input_info import LevelInfo
from learnosity.errors import InputError
from learnosity.inputs.records import schema_for
from learnosity.inputs.spool import InputFile, InputSummary, spool_input

Rows = list[tuple[str, ...]]
ROWS: Rows = [("u1", "North", "West"), ("u2", "North", "West "), ("u3", "South", "West"), ("u4", "North", "West")]
SESSION = "11111111-1111-4111-8111-11111111111"


def ndjson(rows: Rows, folder: Path) -> bytes:
    return b"".join(
        json.dumps({"user_id": row[0], "groups": {"district": row[1], "school": row[2]}}
                   | ({"session_id": [row[3]]} if row[3:] else {})).encode() + b"\n"
        for row in rows
    )  # fmt: skip


def csv_text(rows: Rows, folder: Path) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("user_id", "district", "school", "session_id")[: len(rows[0])], *rows])
    return text.getvalue().encode()


def parquet(rows: Rows, folder: Path) -> bytes:
    (folder / "rows.csv").write_bytes(csv_text(rows, folder))
    with duckdb.connect() as connection:
        table = connection.read_csv(str(folder / "rows.csv"), all_varchar=True)
        table.write_parquet(str(folder / "rows.parquet"))
    return (folder / "rows.parquet").read_bytes()


FORMATS = pytest.mark.parametrize("make", [ndjson, csv_text, parquet], ids=["ndjson", "csv", "parquet"])
Make = Callable[[Rows, Path], bytes]


def spooled(content: bytes, dataset_type: str = "activity-summary-by-group") -> InputSummary:
    file = InputFile("s3://bucket/users", lambda: iter([content]))
    return spool_input([file], schema_for(dataset_type, ["district", "school"]), io.BytesIO())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name == "learnosity.inputs.group_survey"
    ]


@FORMATS
def test_groups_are_counted_and_odd_names_warned_about(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    summary = spooled(make(ROWS, tmp_path))
    assert summary.levels == (LevelInfo("district", 2, 4, 1), LevelInfo("school", 3, 4, 2))
    assert summary.odd_names == 1
    (warning,) = warnings(caplog)
    line = 2 if make is not csv_text else 3
    assert f's3://bucket/users:{line}: the group of "school" begins or ends with a blank' in warning
    assert "West" not in caplog.text
    assert 'Groups: "district" has 2, 1 of them with one user; "school" has 3, 2 of them with one user. 4 users.' in (
        caplog.text
    )


@FORMATS
def test_a_user_counts_once_however_many_rows_it_has(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows: Rows = [(*row, f"{SESSION}{number}") for number, row in enumerate(ROWS)]
    if make is not ndjson:
        rows.append((*ROWS[0], f"{SESSION}9"))
    summary = spooled(make(rows, tmp_path), "sessions-summary-by-group")
    assert summary.levels == (LevelInfo("district", 2, 4, 1), LevelInfo("school", 3, 4, 2))
    assert len(warnings(caplog)) == 1


def test_blank_lines_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = ndjson(ROWS, tmp_path).splitlines()
    spooled(b"\n \n" + lines[0] + b"\r\n\n\t" + lines[1] + b"\n\n" + lines[2])
    assert "s3://bucket/users:5: " in warnings(caplog)[0]


@FORMATS
def test_an_input_that_is_refused_is_warned_about_all_the_same(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = make([*ROWS, *ROWS], tmp_path)
    # NDJSON is checked in blocks of lines, and the groups of a block with a problem are not surveyed. 20,000 more lines
    # separate the odd group name from the first problem, so they are in different blocks.
    if make is ndjson:
        content = make([*ROWS, *((f"v{number}", "North", "West") for number in range(20_000))], tmp_path) + content
    with pytest.raises(InputError):
        spooled(content)
    assert len(warnings(caplog)) == 1


def test_types_without_groups_have_no_survey(caplog: pytest.LogCaptureFixture) -> None:
    summary = spooled(b'{"session_id": "s", "groups": {"district": " x"}}\n', "ibk-analysis-by-question")
    assert (summary.levels, summary.odd_names, warnings(caplog)) == ((), 0, [])
