"""The code on the page "Use this data" is run as it is shown, and finds the rows that landed."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import pytest

from learnosity.dataset.exact_paths import are_like_patterns
from learnosity.dataset.manifest import FileEntry, encode_files
from learnosity.dataset.snippets import Rows, Snippet, json_snippets, parquet_snippets
from learnosity.storage.uris import StorageUri, parse_uri
from tests.unit.dataset.spark_stand_in import stand_in

ROOT: dict[str, Any] = {"group_path": [], "group": {"group_name": "all"}, "ancestors": [], "users": []}
NORTH: dict[str, Any] = {"group_name": "north", "population": 2, "mean_percent": 61.5, "note": None}
SOUTH: dict[str, Any] = {"group_name": "south 'x'", "population": 1, "mean_percent": 40.0, "note": "late"}
SCHOOL: dict[str, Any] = {"group_name": "school", "population": 2, "mean_percent": 61.5, "note": None}
USERS: list[dict[str, Any]] = [{"user_id": "u1", "score": 7}, {"user_id": "007", "score": None}]
GROUP_FILES = {
    "groups/group.json": ROOT | {"groups": [NORTH, SOUTH]},
    "groups/group.csv": "group_name\nnorth\n",
    "groups/north/group.json": ROOT | {"groups": [SCHOOL]},
    "groups/north/school/group.json": ROOT | {"groups": [], "users": USERS},
    "groups/south%20x/group.json": ROOT | {"groups": [], "users": []},
}
ITEMS: list[dict[str, Any]] = [{"item_reference": "i1", "p_value": 0.5}, {"item_reference": "i2", "p_value": None}]
OWN: dict[str, Any] = {"item_reference": "grade5_items", "p_value": 0.25}
NESTED = [ITEMS[0] | {"tags": ["a", "b"], "by": {"x": 1, "p_value": [1, 2]}}, ITEMS[1] | {"tags": []}]
# Groups of one name in two schools, and files whose names end like those that are wanted.
SAME: dict[str, Any] = {"group_name": "Class 3A", "population": 4}
ODD_FILES = {
    "d/a group.json": ROOT | {"groups": [SAME | {"group_name": "alone"}]},
    "d/group.json": ROOT | {"groups": [{"group_name": "100% + ü", "population": 8}]},
    "d/100%25 + ü/group.json": ROOT | {"groups": [{"group_name": name, "population": 4} for name in ("data", "b")]},
    "d/100%25 + ü/data/group.json": ROOT | {"groups": [SAME]},
    "d/100%25 + ü/b/group.json": ROOT | {"groups": [SAME]},
    "d/100%25 + ü/b/subgroup.json": ROOT | {"groups": [SAME | {"group_name": "alone"}]},
    "other/group.json": ROOT | {"groups": [SAME | {"group_name": "alone"}]},
}
# What a tool takes for a pattern, with what such a pattern would match.
MARKS = {"[1]": "1", "x*": "xy", "x?": "xz", "{a,b}": "a", "[!c]": "d", "back\\slash": "backslash", "]": "}", "**": "e"}


def at(row: dict[str, Any], file: str, level: int | None = None) -> dict[str, Any]:
    """A row, and where it stands."""
    return {"_file": file, **({} if level is None else {"_level": level}), **row}


GROUPED = Rows("groups/group.json", "groups", "users", "/group.json", 1)
CASES: dict[str, tuple[dict[str, Any], Rows, list[dict[str, Any]]]] = {
    "groups": (
        GROUP_FILES,
        GROUPED,
        [*(at(row, "groups/group.json", 1) for row in (NORTH, SOUTH)), at(SCHOOL, "groups/north/group.json", 2)],
    ),
    "users": (
        GROUP_FILES,
        Rows("groups/group.json", "users", "", "/group.json", 0),
        [at(row, "groups/north/school/group.json", 2) for row in USERS],
    ),
    "names that look alike": (
        ODD_FILES,
        Rows("d/group.json", "groups", "users", "/group.json", 1),
        [
            at({"group_name": "100% + ü", "population": 8}, "d/group.json", 1),
            at({"group_name": "data", "population": 4}, "d/100%25 + ü/group.json", 2),
            at({"group_name": "b", "population": 4}, "d/100%25 + ü/group.json", 2),
            at(SAME, "d/100%25 + ü/data/group.json", 3),
            at(SAME, "d/100%25 + ü/b/group.json", 3),
        ],
    ),
    "a file named like the group": (
        {"all.json": {"groups": [NORTH]}, "north.json": {"groups": [SCHOOL]}, "north.csv": "x"},
        Rows("all.json", "groups", "", ".json"),
        [at(NORTH, "all.json"), at(SCHOOL, "north.json")],
    ),
    "lists of rows": (
        {"group.json": [NORTH], "north/group.json": [SCHOOL]},
        Rows("group.json", "", "", "/group.json", 1),
        [at(NORTH, "group.json", 1), at(SCHOOL, "north/group.json", 2)],
    ),
    "rows below several keys": (
        {
            "groups/group.json": {"data": {'a `b"': ROOT | {"groups": [NORTH, SOUTH]}}},
            "groups/north/group.json": {"data": {'a `b"': ROOT | {"groups": [SCHOOL], "more": [1]}}},
        },
        Rows("groups/group.json", "groups", "users", "/group.json", 1, above=("data", 'a `b"')),
        [*(at(row, "groups/group.json", 1) for row in (NORTH, SOUTH)), at(SCHOOL, "groups/north/group.json", 2)],
    ),
    "cells with lists and objects": (
        {"items.json": {"items": NESTED}},
        Rows("items.json", "items"),
        NESTED,
    ),
    "items": (
        {"items.json": [*ITEMS, OWN], "items.csv": "x\n", "items/grade5_items.json": OWN, "a/items.json": [OWN]},
        Rows("items.json", ""),
        [*ITEMS, OWN],
    ),
}


def landed(folder: Path, files: dict[str, Any], packed: Callable[[str], bool] = lambda path: False) -> StorageUri:
    """Write a dataset; its folder.

    :param packed: which files were served as gzip.
    """
    entries = []
    for path, value in sorted(files.items()):
        content = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        content = gzip.compress(content) if packed(path) else content
        file = folder / "data" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        entries.append(FileEntry(path, len(content), hashlib.sha256(content).hexdigest(), "application/json"))
    (folder / "files.ndjson").write_bytes(b"".join(encode_files(entries)))
    return parse_uri(f"file://{folder}")


def in_duckdb(code: str) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        result = connection.execute(code)
        columns = [each[0] for each in result.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


def in_python(code: str) -> Any:
    names: dict[str, Any] = {}
    exec(compile(code, "snippet", "exec"), names)
    return names


def in_pandas(code: str) -> list[dict[str, Any]]:
    frame = in_python(code)["frame"]
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return rows


def in_polars(code: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = in_python(code)["frame"].to_dicts()
    return rows


def in_spark(code: str) -> list[dict[str, Any]]:
    return [row.asDict() for row in in_python(code)["frame"].collect()]


@pytest.fixture(autouse=True)
def spark(monkeypatch: pytest.MonkeyPatch) -> None:
    """PySpark where it is installed (`make test-spark`), else its stand-in."""
    if find_spec("pyspark") is None:
        stand_in(monkeypatch)


RUN: dict[str, Callable[[str], list[dict[str, Any]]]] = {
    "DuckDB": in_duckdb,
    "pandas": in_pandas,
    "Polars": in_polars,
    "Spark": in_spark,
}


def of(snippets: tuple[Snippet, ...], tool: str) -> str:
    (code,) = [each.code for each in snippets if each.tool == tool]
    return code


def as_text(rows: list[dict[str, Any]]) -> list[str]:
    # Makes the rows of all tools alike. pandas turns the numbers of a column with a gap into floats. Spark leaves out a
    # column without any value, and reads the files in another order.
    def plain(value: Any) -> Any:
        return float(value) if isinstance(value, int) else value

    return sorted(json.dumps({key: plain(row[key]) for key in sorted(row) if row[key] is not None}) for row in rows)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tool", RUN)
def test_code_over_the_landed_json_finds_every_row(tmp_path: Path, tool: str, case: str) -> None:
    files, wanted, expected = CASES[case]
    folder = tmp_path / 'it\'s a "folder"' if tool != "Spark" else tmp_path / "plain"
    snippets = json_snippets(landed(folder, files), wanted)
    assert as_text(RUN[tool](of(snippets, tool))) == as_text(expected)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tool", RUN)
@pytest.mark.parametrize("some", [False, True])
def test_files_that_were_served_as_gzip_are_read_or_the_tool_says_that_it_cannot(
    tmp_path: Path, tool: str, case: str, some: bool
) -> None:
    files, wanted, expected = CASES[case]
    some = some and bool(wanted.below)
    folder = landed(tmp_path, files, lambda path: not (some and path == wanted.path))
    wanted = replace(wanted, encodings=frozenset([None, "gzip"] if some else ["x-gzip"]))
    (snippet,) = [each for each in json_snippets(folder, wanted) if each.tool == tool]
    if tool == "Spark" or (tool == "DuckDB" and some):
        assert snippet.code == ""
        assert "compressed" in snippet.note
        assert "learnosity_to_parquet" in snippet.note
    else:
        assert as_text(RUN[tool](snippet.code)) == as_text(expected)


@pytest.mark.parametrize("encodings", [["deflate"], [None, "br"], ["gzip", "deflate"]])
def test_no_tool_has_code_for_another_compression(encodings: list[str | None]) -> None:
    wanted = replace(GROUPED, encodings=frozenset(encodings))
    assert [each.tool for each in json_snippets(parse_uri("s3://b/a"), wanted) if not each.code] == list(RUN)


@pytest.mark.parametrize("case", CASES)
def test_the_rows_name_the_files_that_the_code_reads(case: str) -> None:
    files, wanted, expected = CASES[case]
    read = {path for path in files if wanted.reads(path)}
    assert {row.get("_file", wanted.path) for row in expected} <= read
    assert all(path == wanted.path or (wanted.below and path.endswith(wanted.below)) for path in read)


@pytest.mark.parametrize("tool", RUN)
def test_the_rows_of_one_level_add_up_to_the_whole(tmp_path: Path, tool: str) -> None:
    files, wanted, _ = CASES["names that look alike"]
    rows = RUN[tool](of(json_snippets(landed(tmp_path / "plain", files), wanted), tool))
    for level in (1, 2, 3):
        assert sum(row["population"] for row in rows if row["_level"] == level) == 8
    assert len({row["_file"] for row in rows if row["group_name"] == "Class 3A"}) == 2


@pytest.mark.parametrize("tool", RUN)
def test_code_over_the_parquet_files_finds_every_row(tmp_path: Path, tool: str) -> None:
    files = []
    for name, rows in (("groups", [NORTH, SOUTH]), ("users", USERS)):
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
        with duckdb.connect() as connection:
            connection.execute(f"COPY (FROM '{tmp_path}/{name}.json') TO '{tmp_path}/{name}.parquet'")
        files.append(parse_uri(f"file://{tmp_path}/{name}.parquet"))
    code = of(parquet_snippets(files), tool)
    for name, rows in (("groups", [NORTH, SOUTH]), ("users", USERS)):
        last = f"SELECT * FROM {name};" if tool == "DuckDB" else f"frame = {name}"
        assert as_text(RUN[tool](f"{code}\n{last}")) == as_text(rows)


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("place", ["group", "file", "folder"])
@pytest.mark.parametrize("tool", RUN)
def test_code_reads_no_other_file_that_a_name_would_match_as_a_pattern(
    tmp_path: Path, tool: str, place: str, mark: str
) -> None:
    school, other = {"groups": [SCHOOL]}, {"groups": [SAME], "extra": 1}
    files: dict[str, Any] = {"g/group.json": {"groups": [NORTH]}}
    wanted = Rows("g/group.json", "groups", "users", "/group.json", 1)
    expected = [at(NORTH, "g/group.json", 1)]
    if place == "group":
        files |= {f"g/{mark}/group.json": school, f"g/{MARKS[mark]}/group.json": {"groups": [SAME]}}
        files |= {f"h/{mark}/group.json": other, f"g/{MARKS[mark]}/groups.json": other}
        expected += [at(SCHOOL, f"g/{mark}/group.json", 2), at(SAME, f"g/{MARKS[mark]}/group.json", 2)]
    elif place == "file":
        files = {f"i{mark}.json": school, f"i{MARKS[mark]}.json": other}
        wanted, expected = Rows(f"i{mark}.json", "groups"), [SCHOOL]
    for folder, content in ((MARKS[mark], dict.fromkeys(files, other)), (mark, files)):
        made = landed(tmp_path / (folder if place == "folder" else "plain") / "id", content)
    snippets = json_snippets(made, replace(wanted, literal=are_like_patterns(files)))
    assert as_text(RUN[tool](of(snippets, tool))) == as_text(expected)


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("tool", RUN)
def test_code_over_parquet_reads_no_other_file_that_a_name_would_match_as_a_pattern(
    tmp_path: Path, tool: str, mark: str
) -> None:
    for folder, rows in ((MARKS[mark], [SAME]), (mark, [NORTH])):
        (tmp_path / folder).mkdir()
        frame = duckdb.sql(f"SELECT {rows[0]['population']} AS population")
        assert frame is not None
        frame.write_parquet(str(tmp_path / folder / "groups.parquet"))
    code = of(parquet_snippets([parse_uri(f"file://{tmp_path}/{mark}/groups.parquet")]), tool)
    last = "SELECT * FROM groups;" if tool == "DuckDB" else "frame = groups"
    assert as_text(RUN[tool](f"{code}\n{last}")) == as_text([{"population": NORTH["population"]}])


@pytest.mark.parametrize("tool", RUN)
def test_code_over_plain_names_says_nothing_of_patterns(tool: str) -> None:
    code = of(json_snippets(parse_uri("file:///data/id"), GROUPED), tool)
    assert "exact" not in code


@pytest.mark.parametrize("tool", RUN)
def test_code_over_the_groups_in_parquet_says_that_they_are_of_every_level(tool: str) -> None:
    for name, told in (("groups", True), ("users", False), ("items", False)):
        code = of(parquet_snippets([parse_uri(f"file:///data/{name}.parquet")]), tool)
        comments = [line for line in code.splitlines() if line.startswith(("#", "--"))]
        assert any("folder" in line for line in comments) is told


@pytest.mark.parametrize(
    ("uri", "plain", "spark"),
    [
        ("s3://conn@bucket/datasets/t/id", '"s3://bucket/datasets/t/id"', '"s3a://bucket/datasets/t/id"'),
        ("gs://conn@bucket/t/id", '"gs://bucket/t/id"', '"gs://bucket/t/id"'),
        ("file:///data/t/id", '"/data/t/id"', '"/data/t/id"'),
    ],
)
def test_a_store_is_named_as_the_tools_do_and_without_the_connection(uri: str, plain: str, spark: str) -> None:
    snippets = json_snippets(parse_uri(uri), Rows("items.json", ""))
    assert plain in of(snippets, "Polars")
    assert spark in of(snippets, "Spark")
    assert plain.replace('"', "'") in of(snippets, "DuckDB")
    assert "conn@" not in "".join(each.code for each in snippets)
    assert any(each.note for each in snippets) is (not uri.startswith("file"))
