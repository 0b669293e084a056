"""Parquet is read whole, or an error: what DuckDB does with faults and names, and how much of it is in memory."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import duckdb
import pytest

from learnosity.errors import InputError, LearnosityError, TransientError
from learnosity.inputs.parquet_files import ParquetFiles
from learnosity.inputs.records import RecordSchema, schema_for
from learnosity.inputs.spool import InputFile, spool_input

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
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
    query = ParquetFiles._query
    failed: list[str] = []

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


def that_says(file: InputFile, has: int, says: int) -> InputFile:
    """The file with another number of rows in its footer than in its row group. Both are below 64: one byte each."""
    content = b"".join(file.open())
    groups = b"\x19\x1c" if has else b"\x19\x0c"  # a list of one row group, or an empty list
    old = b"\x16" + bytes([2 * has]) + groups
    assert content.count(old) == 1
    content = content.replace(old, b"\x16" + bytes([2 * says]) + groups)
    return InputFile(file.name, lambda: iter([content]))


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("count", [1, 3], ids="{} files".format)
@pytest.mark.parametrize("says", [0, 1, 2, 4, 30])
def test_a_file_with_another_number_of_rows_than_it_says_is_named(
    says: int, count: int, place: int, tmp_path: Path
) -> None:
    files = [
        parquet(f"SELECT '{part}-' || n user_id, 's' school FROM range(3) t(n)", tmp_path, f"{part}.parquet")
        for part in range(count)
    ]
    place = min(place, count - 1)
    files[place] = that_says(files[place], 3, says)
    with pytest.raises(InputError) as caught:
        spooled(*files)
    what = f"it {'goes on' if says < 3 else 'ends'} here, and says that it has {says} rows"
    assert [str(each) for each in caught.value.problems] == [f"{place}.parquet:{min(says, 3) + 1}: {what}"]


@pytest.mark.parametrize("place", range(3))
def test_a_file_without_a_row_that_says_that_it_has_some_is_named(place: int, tmp_path: Path) -> None:
    files = [
        parquet(
            f"SELECT '{part}-' || n user_id, 's' school FROM range({3 if part != place else 0}) t(n)",
            tmp_path,
            f"{part}.parquet",
        )
        for part in range(3)
    ]
    files[place] = that_says(files[place], 0, 2)
    with pytest.raises(InputError) as caught:
        spooled(*files)
    what = "it ends here, and says that it has 2 rows"
    assert [str(each) for each in caught.value.problems] == [f"{place}.parquet:1: {what}"]


def test_rows_that_one_file_lacks_and_another_has_too_many_are_no_rows_of_either(tmp_path: Path) -> None:
    files = [parquet(f"SELECT '{part}-' || n user_id, 's' school FROM range(3) t(n)", tmp_path, part) for part in "abc"]
    for says in ([2, 4, 3], [4, 2, 3], [3, 4, 2], [2, 3, 4]):
        with pytest.raises(InputError) as caught:
            spooled(*(that_says(file, 3, rows) for file, rows in zip(files, says, strict=True)))
        assert [problem.file for problem in caught.value.problems] == [
            name for name, rows in zip("abc", says, strict=True) if rows != 3
        ]


def renamed(file: InputFile, names: dict[str, str]) -> InputFile:
    """The file with other names of columns, as long as the old ones: DuckDB does not write names that are alike."""
    content = b"".join(file.open())
    for old, new in names.items():
        assert len(old) == len(new)
        assert old.encode() in content
        content = content.replace(old.encode(), new.encode())
    return InputFile(file.name, lambda: iter([content]))


@pytest.mark.parametrize("order", list(permutations(("first__", "SECOND_", "first___1"))), ids="-".join)
def test_names_that_are_alike_shadow_no_other_column(order: tuple[str, ...], tmp_path: Path) -> None:
    """DuckDB calls the second one of them `first___1`, as another column is called."""
    select = ", ".join(f"'{name}' AS \"{name}\"" for name in order)
    file = renamed(parquet(f"SELECT 'u1' user_id, {select}", tmp_path), {"SECOND_": "FIRST__"})
    schema = schema_for("activity-summary-by-group", ["school"], input_columns={"groups.school": "first___1"})
    assert spooled(file, schema=schema) == [{"user_id": "u1", "groups": {"school": "first___1"}}]
    for either in ("first__", "FIRST__", "First__"):
        schema = schema_for("activity-summary-by-group", ["school"], input_columns={"groups.school": either})
        with pytest.raises(InputError, match="differ in case alone|2 times"):
            spooled(file, schema=schema)


@pytest.mark.parametrize("wanted", ["first__", "first___1"])
def test_fields_of_nested_groups_that_are_alike_are_refused(wanted: str, tmp_path: Path) -> None:
    fields = "'first__': 'a', 'SECOND_': 'b', 'first___1': 'c'"
    file = renamed(parquet(f"SELECT 'u1' user_id, {{{fields}}} AS groups", tmp_path), {"SECOND_": "FIRST__"})
    schema = schema_for("activity-summary-by-group", ["school"], input_columns={"groups.school": f"groups.{wanted}"})
    with pytest.raises(InputError, match="differ in case alone|2 times"):
        spooled(file, schema=schema)


def test_the_name_of_the_temporary_folder_is_no_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = parquet("SELECT 'u1' user_id, 's1' school", tmp_path)
    (tmp_path / "school=elsewhere").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "school=elsewhere"))
    assert spooled(file) == [{"user_id": "u1", "groups": {"school": "s1"}}]


NESTED = "{'school': 's1', 'district': 'd1'} AS groups"


@pytest.mark.parametrize("select", [f"'u1' AS id, {NESTED}", f"{NESTED}, 'u1' AS id"])
def test_nested_groups_of_a_type_that_is_not_known_are_its_groups(select: str, tmp_path: Path) -> None:
    schema = schema_for("next-years-type", ["district", "school"])
    assert spooled(parquet(f"SELECT {select}", tmp_path), schema=schema) == [
        {"id": "u1", "groups": {"school": "s1", "district": "d1"}}
    ]


@pytest.mark.parametrize("groups", ["['a']", "MAP {'a': 'b'}", "[{'school': 's'}]", "{'school': {'a': 'b'}}"])
def test_groups_that_are_no_texts_are_refused_by_name(groups: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'column "groups(\.school)?" is nested'):
        spooled(parquet(f"SELECT 'u1' id, {groups} AS groups", tmp_path), schema=schema_for("next-years-type"))


PROGRAM = """
import io, sys
from pathlib import Path
from learnosity.errors import InputError
from learnosity.inputs.records import schema_for
from learnosity.inputs.spool import InputFile, spool_input
schema = schema_for("activity-summary-by-group" if sys.argv[2] == "known" else "next-years-type", ["school"])
file = InputFile("u.parquet", lambda: iter([open(sys.argv[1], "rb").read()]))
class Nothing(io.RawIOBase):
    def write(self, content): return len(content)
try:
    print(spool_input([file], schema, Nothing()).records)
except InputError as error:
    print(repr(error))
# `getrusage` would count what the parent held when it started this process.
print(next(int(line.split()[1]) // 1024 for line in Path("/proc/self/status").open() if line.startswith("VmHWM:")))
"""


@pytest.mark.parametrize("kind", ["known", "not known"])
@pytest.mark.parametrize(("small", "large", "length"), [(0, 16_000, 60_000), (9_000, 3_000, 120_000)])
@pytest.mark.promise("bounded memory")
def test_many_rows_with_a_large_text_that_the_file_has_once_stay_within_bounded_memory(
    small: int, large: int, length: int, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "u.parquet"
    with duckdb.connect() as database:
        text = f"CASE WHEN n < {small} THEN 's' ELSE repeat('x', {length}) END"
        database.execute(
            f"COPY (SELECT 'u' || n user_id, {text} school FROM range({small + large}) t(n)) TO '{path}' "
            "(FORMAT parquet, COMPRESSION zstd)"
        )
    assert path.stat().st_size < 1_000_000
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), kind],
        env={**os.environ, "PYTHONPATH": str(PLUGINS)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    told, megabytes = ran.stdout.splitlines()
    assert told == str(small + large)
    assert int(megabytes) < 600, "it took 2.7 GB"


BYTES = ("'\\x00'", "'a\\x00b'", "'\\x1Fab'", "'\\xFF'", "'ab\\xC3'", "'\\xED\\xA0\\x80'", "'\\x00\\x01\\x02\\x03'")


def cells_of(column: str, cell: str, kind: str = "BLOB") -> str:
    """A query with a row of sound cells, and one in which this cell of this column is another one."""
    own = {"user_id": "'u1'", "school": "'s1'", "session_id": "['x']"}
    rows = [
        ", ".join(
            f"{value}::{kind if name == column else 'VARCHAR'}{'[]' if name == 'session_id' else ''} AS {name}"
            for name, value in (own | changed).items()
        )
        for changed in ({}, {"user_id": "'u2'"}, {"user_id": "'u3'", column: cell})
    ]
    return " UNION ALL ".join(f"SELECT {row}" for row in rows)


@pytest.mark.parametrize("cell", BYTES)
@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("sessions-summary-by-group", "user_id"),
        ("sessions-summary-by-group", "school"),
        ("sessions-summary-by-group", "session_id"),
        ("next-years-type", "user_id"),
        ("next-years-type", "school"),
    ],
)
def test_bytes_that_are_no_text_are_named_by_row_column_and_type(
    kind: str, column: str, cell: str, tmp_path: Path
) -> None:
    select = cells_of(column, f"['y', {cell}]" if column == "session_id" else cell)
    if kind == "next-years-type":
        select = f"SELECT user_id, school FROM ({select})"
    schema = schema_for(kind, ["school"])
    for count in (1, 3):
        files = [parquet(select, tmp_path, f"{number}.parquet") for number in range(count)]
        with pytest.raises(InputError) as caught:
            spooled(*files, schema=schema)
        assert str(caught.value.problems[0]) == (
            f'0.parquet:3: column "{column}" is of type BINARY, and its bytes are no text: cast it to text in the '
            "query that writes the file"
        )


@pytest.mark.parametrize("cell", ["u9", "é", "日本", "a b", "a\tb\r\n", "\u200b", "007"])
@pytest.mark.parametrize("column", ["user_id", "school", "session_id"])
def test_text_that_its_writer_calls_bytes_is_text(column: str, cell: str, tmp_path: Path) -> None:
    """As old writers do."""
    value = f"encode('{cell}')"
    select = cells_of(column, f"[{value}]" if column == "session_id" else value)
    schema = schema_for("sessions-summary-by-group", ["school"])
    found = spooled(parquet(select, tmp_path), schema=schema)
    assert {
        "user_id": found[2]["user_id"],
        "school": found[2]["groups"]["school"],
        "session_id": found[2]["session_id"][0],
    }[column] == cell
    nested = f"SELECT user_id, {{'school': school}} AS groups, session_id FROM ({select})"
    assert spooled(parquet(nested, tmp_path), schema=schema) == found


def test_no_bytes_are_no_group(tmp_path: Path) -> None:
    select = "SELECT 'u' || n AS user_id, CASE n WHEN 0 THEN NULL WHEN 1 THEN ''::BLOB ELSE 's'::BLOB END AS school"
    found = spooled(parquet(f"{select} FROM range(3) t(n)", tmp_path))
    assert [user["groups"] for user in found] == [{}, {}, {"school": "s"}]


def test_bytes_that_are_not_needed_are_not_looked_at(tmp_path: Path) -> None:
    file = parquet("SELECT 'u' AS user_id, 's' AS school, '\\xFF'::BLOB AS photo", tmp_path)
    assert spooled(file) == [{"user_id": "u", "groups": {"school": "s"}}]


@pytest.mark.parametrize("cell", ["a\0b", "\x01"])
def test_control_characters_in_what_its_writer_calls_text_are_text(cell: str, tmp_path: Path) -> None:
    chars = " || ".join(f"chr({ord(char)})" for char in cell)
    file = parquet(f"SELECT 'u' AS user_id, {chars} AS school", tmp_path)
    assert spooled(file) == [{"user_id": "u", "groups": {"school": cell}}]
