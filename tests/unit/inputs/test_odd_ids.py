"""Ids with blanks: alone they are refused, at the ends of an id they are warned about, in every format and column."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from learnosity.errors import InputError
from learnosity.inputs.odd_ids import padded
from learnosity.inputs.records import schema_for
from learnosity.inputs.spool import InputFile, spool_input

SUMMARY, SESSIONS, ANALYSIS = "activity-summary-by-group", "sessions-summary-by-group", "ibk-analysis-by-question"
UUID = "11111111-1111-4111-8111-11111111111"
KEYS = {SUMMARY: ("user_id",), SESSIONS: ("user_id", "session_id"), ANALYSIS: ("session_id", "user_id")}
EACH_ID = [pytest.param(kind, key, id=f"{kind}-{key}") for kind, keys in KEYS.items() for key in keys]


def ndjson(rows: list[dict[str, str]], kind: str, folder: Path) -> bytes:
    def record(row: Mapping[str, str]) -> dict[str, Any]:
        made: dict[str, Any] = {key: row[key] for key in KEYS[kind]}
        if kind != ANALYSIS:
            made["groups"] = {"district": row["district"]}
        if kind == SESSIONS:
            made["session_id"] = [f"{UUID}0", row["session_id"]]
        return made

    return b"".join(json.dumps(record(row)).encode() + b"\n" for row in rows)


def csv_text(rows: list[dict[str, str]], kind: str, folder: Path) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["user_id", "district", "session_id"])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def parquet(rows: list[dict[str, str]], kind: str, folder: Path) -> bytes:
    (folder / "rows.csv").write_bytes(csv_text(rows, kind, folder))
    with duckdb.connect() as connection:
        table = connection.read_csv(str(folder / "rows.csv"), all_varchar=True)
        table.write_parquet(str(folder / "rows.parquet"))
    return (folder / "rows.parquet").read_bytes()


Make = Callable[[list[dict[str, str]], str, Path], bytes]
FORMATS = pytest.mark.parametrize("make", [ndjson, csv_text, parquet], ids=["ndjson", "csv", "parquet"])


def spooled(make: Make, kind: str, key: str, ids: list[str], folder: Path, *, any_object: bool = False) -> bytes:
    rows = [
        {"user_id": f"u{number}", "district": "d", "session_id": f"{UUID}{number}"} for number in range(1, len(ids) + 1)
    ]
    for row, each in zip(rows, ids, strict=True):
        row[key] = each or row[key]
    content = make(rows, kind, folder)
    columns = {"user_id": "user_id"} if kind == ANALYSIS and make is not ndjson else None
    groups = () if kind == ANALYSIS else ("district",)
    schema = schema_for(kind, groups, input_columns=columns, any_object=any_object)
    target = io.BytesIO()
    spool_input([InputFile("users", lambda: iter([content]))], schema, target)
    return target.getvalue()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "learnosity.inputs.odd_ids"]


@FORMATS
@pytest.mark.parametrize(("kind", "key"), EACH_ID)
@pytest.mark.parametrize("blank", [" ", "   ", "\t", "\u00a0"], ids=ascii)
def test_an_id_of_blanks_alone_is_refused(make: Make, kind: str, key: str, blank: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        spooled(make, kind, key, ["", blank, ""], tmp_path)
    (problem,) = caught.value.problems
    assert problem.line == (3 if make is csv_text else 2)
    assert "blanks alone" in problem.what or "a session id in it is empty" in problem.what


@FORMATS
@pytest.mark.parametrize(("kind", "key"), EACH_ID)
@pytest.mark.parametrize("odd", ["x ", " x", "x\t", "\u00a0x"], ids=ascii)
def test_an_id_with_a_blank_at_an_end_is_warned_about_and_sent(
    make: Make, kind: str, key: str, odd: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent = spooled(make, kind, key, ["", odd, ""], tmp_path)
    assert odd in "".join(json.dumps(json.loads(line), ensure_ascii=False) for line in sent.splitlines()).replace(
        "\\t", "\t"
    )
    (warning,) = warnings(caplog)
    row = 3 if make is csv_text else 2
    what = "an id" if make is ndjson else f'column "{key}": the id'
    assert (
        warning == f"1 id(s) look wrong; they are sent as they are.\n  users:{row}: {what} begins or ends with a blank"
    )
    assert all(each.levelno == logging.WARNING for each in caplog.records if each.name == "learnosity.inputs.odd_ids")


@FORMATS
@pytest.mark.parametrize(("kind", "key"), EACH_ID)
def test_ids_with_blanks_inside_and_without_any_are_not_warned_about(
    make: Make, kind: str, key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spooled(make, kind, key, ["a b", "", "\u00fc"], tmp_path)
    assert warnings(caplog) == []


@FORMATS
def test_the_first_ten_are_named(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spooled(make, SUMMARY, "user_id", [f"CHAR{number:<9}" for number in range(25)], tmp_path)
    (warning,) = warnings(caplog)
    assert warning.startswith("25 id(s) look wrong; they are sent as they are. The first 10:")
    assert len(warning.splitlines()) == 11
    assert "CHAR" not in caplog.text


@FORMATS
@pytest.mark.parametrize(("kind", "key"), EACH_ID)
@pytest.mark.parametrize("blank", [" ", "   ", "\t", "\u00a0"], ids=ascii)
def test_without_a_check_ids_of_blanks_are_sent(
    make: Make, kind: str, key: str, blank: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent = spooled(make, kind, key, ["", blank, ""], tmp_path, any_object=True)
    found = [json.loads(line)[key] for line in sent.splitlines()]
    assert len(found) == 3 and [each for each in found if blank in (each, *each)] == [found[1]]
    assert warnings(caplog) == []


def test_several_sessions_in_a_cell_are_looked_at_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    """Blanks between UUIDs are left out, and those in a JSON array are not."""
    cells = [f"{UUID}1, {UUID}2 ", f"{{{UUID}3 , {UUID}4}}", '["a ", "b"]', "c"]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["user_id", "session_id"], *([f"u{place}", cell] for place, cell in enumerate(cells))])
    content = text.getvalue().encode()
    spool_input([InputFile("users.csv", lambda: iter([content]))], schema_for(SESSIONS), io.BytesIO())
    (warning,) = warnings(caplog)
    assert warning.splitlines()[1:] == ['  users.csv:4: column "session_id": the id begins or ends with a blank']


def test_places_of_padded_ids() -> None:
    assert padded([]) == padded(["a", "b c"]) == padded(("a",)) == []
    assert padded(["a ", "b", "\n"]) == [0, 2]
