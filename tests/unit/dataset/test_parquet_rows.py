"""No row of a dataset is left out of Parquet without an error, however its files are made, named and laid out."""

from __future__ import annotations

import gzip
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnosity.connections import open_store
from learnosity.dataset.parquet import to_parquet
from learnosity.errors import IncompleteDatasetError
from tests.unit.dataset.test_parquet import LAYOUT, published

USERS = {"users": [{"user_id": "u2", "score": 2}]}
CSV, TSV = b"user_id,score\nu2,2\n", b"user_id\tscore\nu2\t2\n"
LINE = b'{"user_id":"u2","score":2}\n'
JSON = msgspec.json.encode(USERS)
BOM = b"\xef\xbb\xbf"


async def rows(folder: Path, files: Mapping[str, Any], encoding: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """The rows of each Parquet file that is made of a dataset."""
    out = folder / "out"
    await to_parquet(await published(folder / "in", files, encoding=encoding), open_store(out.as_uri()))
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted((out / LAYOUT.prefix).glob("*.parquet")):
        relation = duckdb.read_parquet(str(file))
        found[file.stem] = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    return found


async def users(folder: Path, files: Mapping[str, Any], encoding: str | None = None) -> list[str]:
    return sorted(row["user_id"] for row in (await rows(folder, files, encoding)).get("users", []))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("b.json", JSON[:-1]),
        ("b.json", JSON.decode().encode("utf-16")),
        ("b.json", JSON + b"\n" + JSON),
        ("b.json", b"<html>"),
        ("b.json.gz", gzip.compress(JSON)),
        ("b.ndjson", LINE + b"{"),
        ("b.ndjson", LINE + b"5\n"),
        ("b.jsonl", b"[" + LINE.strip() + b"]\n"),
        ("b.ndjson.gz", gzip.compress(LINE)),
        ("b.csv", CSV.decode().encode("utf-16")),
        ("b.csv", CSV.decode().encode("utf-16-le")),
        ("b.csv", CSV.replace(b"u2", b"\xe9")),
        ("b.csv", CSV.replace(b",", b";")),
        ("b.csv", TSV),
        ("b.csv", CSV + b"x" * 200_000),
        ("b.csv.gz", gzip.compress(CSV)),
        ("b.tsv", TSV),
        ("b.tsv.gz", gzip.compress(TSV)),
    ],
)
async def test_a_file_of_data_that_cannot_be_read_is_an_error_that_names_it(
    tmp_path: Path, name: str, content: bytes
) -> None:
    with pytest.raises(IncompleteDatasetError, match=rf"^{name} .* land the dataset again without it"):
        await users(tmp_path, {"a.json": {"users": [{"user_id": "u1"}]}, name: content})


@given(
    header=st.lists(st.sampled_from(["score", "note", ""]), max_size=3),
    lines=st.lists(st.lists(st.sampled_from(["", "a", "b"]), max_size=6), min_size=1, max_size=4),
    place=st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
async def test_every_cell_of_csv_comes_out_in_its_column_or_the_file_is_refused(
    tmp_path_factory: pytest.TempPathFactory, header: list[str], lines: list[list[str]], place: int
) -> None:
    place = min(place, len(header))
    header.insert(place, "user_id")
    full = [[*line[:place], *[""] * (place - len(line)), f"u{at}", *line[place:]] for at, line in enumerate(lines)]
    content = "\n".join(map(",".join, [header, *full])).encode()
    folder = tmp_path_factory.mktemp("cells")
    try:
        found = {row["user_id"]: row for row in (await rows(folder, {"b.csv": content}))["users"]}
    except IncompleteDatasetError as error:
        assert re.match(r"b\.csv has cells that are in no column .* without it", str(error))
        assert len(set(header)) < len(header) or any(map(any, (line[len(header) :] for line in full)))
        return
    assert not any(map(any, (line[len(header) :] for line in full)))
    for line in full:
        there = found[line[place]]
        for name, value in zip(header, line, strict=False):
            assert not value or there[name or "column"] == value


@pytest.mark.parametrize(
    ("content", "is_refused"),
    [
        (b"user_id,score,score\nu2,1,2\n", True),
        (b"user_id,score,score\nu2,1,\n", True),
        (b"user_id,score\nu2,1,EXTRA\n", True),
        (b"user_id,score\nu1,1\nu2,1,,EXTRA\n", True),
        (b"user_id,score,score,score\nu1,,,\nu2,1,2\n", True),
        (b"user_id,score,score\nu2,1,1\n", False),
        (b"user_id,score,score\nu1,,\nu2,1\n", False),
        (b"user_id,score,user_id\nu2,1,u2\n", False),
        (b"user_id,score,,\nu2,1,,\n", False),
        (b"user_id,score\nu2,1,,\n", False),
        (b"user_id,score\nu2,1, \n", False),
        (b"user_id,score\nu2,1,\t, \n", False),
        (b"user_id,score,score\nu2, ,1\n", False),
        (b"user_id,score,score\nu2,1, \n", True),
        (b"user_id,score\nu2\n", False),
    ],
)
@pytest.mark.parametrize("name", ["b.csv", "b.csv.gz"])
async def test_csv_with_cells_in_no_column_is_refused_and_cells_without_a_value_are_not_missed(
    tmp_path: Path, name: str, content: bytes, is_refused: bool
) -> None:
    packed = name != "b.csv"
    files, encoding = {name: gzip.compress(content) if packed else content}, "gzip" if packed else None
    if is_refused:
        with pytest.raises(IncompleteDatasetError, match=r"^b\.csv.* has cells that are in no column .* without it"):
            await users(tmp_path, files, encoding)
        return
    assert "u2" in await users(tmp_path, files, encoding)


@pytest.mark.parametrize("field", ["user_id", "group_name", "item_reference", "question_reference", "p_value"])
@pytest.mark.parametrize(
    "spelt", [str.upper, str.title, " {}".format, "{} ".format], ids=["A", "Aa", "before", "after"]
)
@pytest.mark.parametrize("shape", ["csv", "list", "wrapped", "lines"])
async def test_fields_that_are_known_in_another_spelling_are_an_error(
    tmp_path: Path, field: str, spelt: Callable[[str], str], shape: str
) -> None:
    row = {"score": 1, spelt(field): "x"}
    content: Any = {
        "csv": f"score,{spelt(field)}\n1,x\n".encode(),
        "list": [row],
        "wrapped": {"data": [row]},
        "lines": msgspec.json.encode(row),
    }[shape]
    name = {"csv": "b.csv", "lines": "b.ndjson"}.get(shape, "b.json")
    with pytest.raises(IncompleteDatasetError, match=rf"^{name} has a column '{spelt(field)}', which is not read as"):
        await users(tmp_path, {"a.json": USERS, name: content})


@pytest.mark.parametrize("field", ["user_id", "group_name", "item_reference", "question_reference"])
@pytest.mark.parametrize("spelt", [str.upper, str.title, " {}".format], ids=["A", "Aa", "before"])
@pytest.mark.parametrize("beside", [{"label": "A"}, {"note": "new", "year": 2026}, {"Name": "Ann"}, {}])
@pytest.mark.parametrize("shape", ["csv", "list", "wrapped"])
async def test_a_file_of_labels_or_keys_is_passed_over(
    tmp_path: Path, field: str, spelt: Callable[[str], str], beside: dict[str, Any], shape: str
) -> None:
    row = {spelt(field): "x", **beside}
    line = ",".join("" if value is None else str(value) for value in row.values())
    content: Any = {"csv": f"{','.join(row)}\n{line}\n".encode(), "list": [row], "wrapped": {"data": [row]}}[shape]
    name = "labels.csv" if shape == "csv" else "keys.json"
    assert await users(tmp_path, {"a.json": USERS, name: content}) == ["u2"]


@pytest.mark.parametrize(
    "measure",
    [
        *("score", "SCORE", "percent", "mean_percent", "p25_score", " population", "count_sessions", "num_attempted"),
        *("P_Value", "p_value_if_attempted", "max_score", "Mean_Percent", "group_count", "mean_seen_activities"),
    ],
)
async def test_results_in_another_spelling_are_not_passed_over(tmp_path: Path, measure: str) -> None:
    content = [{"User_ID": "x", "label": "A"}, {"User_ID": "y", measure: 0}]
    with pytest.raises(IncompleteDatasetError, match=r"^b\.json has a column"):
        await users(tmp_path, {"a.json": USERS, "b.json": content})


async def test_what_a_file_says_of_itself_may_have_any_name(tmp_path: Path) -> None:
    assert await users(tmp_path, {"a.json": USERS, "b.json": {"User_ID": "teacher", "made": {"P_VALUE": 1}}}) == ["u2"]


@pytest.mark.parametrize("mark", [b"", BOM])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "content"), [("b.json", JSON), ("b.ndjson", LINE), ("b.jsonl", LINE), ("b.csv", CSV), ("b.JSON", JSON)]
)
async def test_a_byte_order_mark_or_packing_that_is_told_hides_no_row(
    tmp_path: Path, name: str, content: bytes, packed: bool, mark: bytes
) -> None:
    files = {"a.json": msgspec.json.encode({"users": [{"user_id": "u1"}]}), name: mark + content}
    if packed:
        files = {f"{path}.gz": gzip.compress(body) for path, body in files.items()}
    assert await users(tmp_path, files, "gzip" if packed else None) == ["u1", "u2"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("b.json", b'{"a":[1,2]}'),
        ("b.json", b'{"a":[1,{"b":2},[3]]}'),
        ("b.json", b"[]"),
        ("b.json", b"null"),
        ("b.json", b'{"users":[],"groups":[null]}'),
        ("b.json", b'[{"other":1}]'),
        ("b.ndjson", b""),
        ("b.ndjson", b"\n\n"),
        ("b.ndjson", b'{"other":1}\n'),
        ("b.csv", b""),
        ("b.csv", b"user_id,score\n"),
        ("b.csv", b"000000000,9f86d081\n000000001,884c7d65\n"),
        ("b.csv", b"note,note\na,b,c\n"),
        ("b.tsv", b"user_id\tscore\n"),
        ("b.txt", b"a note"),
        ("_SUCCESS", b""),
    ],
)
async def test_a_file_that_has_no_rows_by_design_is_only_told_in_the_log(
    tmp_path: Path, name: str, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert await users(tmp_path, {"a.json": USERS, name: content}) == ["u2"]
    assert f"1 file(s) have no rows of groups, users or items, such as '{name}'" in caplog.text


@pytest.mark.parametrize(
    ("json", "expected"),
    [
        ({"a": [1, 2]}, ["u2"]),
        ([], ["u2"]),
        ([{"other": 1}], ["u2"]),
        ({"ancestors": [{"group_name": "all"}]}, ["u2"]),
        ({"users": [{"user_id": "u1"}]}, ["u1"]),
    ],
)
async def test_a_csv_file_counts_unless_the_json_file_of_its_name_has_rows(
    tmp_path: Path, json: Any, expected: list[str]
) -> None:
    assert await users(tmp_path, {"questions.json": json, "questions.csv": CSV}) == expected


@pytest.mark.parametrize("json", ["json", "ndjson", "jsonl", "JSON", "Json"])
@pytest.mark.parametrize("csv", ["csv", "CSV", "tsv"])
@pytest.mark.parametrize("gz", ["", ".gz", ".GZ"])
@pytest.mark.parametrize("has_rows", [True, False])
async def test_files_of_one_name_count_once_in_any_spelling_of_their_suffixes(
    tmp_path: Path, json: str, csv: str, gz: str, has_rows: bool
) -> None:
    one = LINE if has_rows else b'{"note":1}'
    other = TSV if csv == "tsv" else CSV.replace(b",2", b",2.0")
    files = {f"a/q.{json}{gz}": one, f"a/q.{csv}{gz}": other}
    packed = {path: gzip.compress(body) for path, body in files.items()} if gz else files
    if csv == "tsv" and not has_rows:
        with pytest.raises(IncompleteDatasetError, match="is TSV"):
            await users(tmp_path, packed, "gzip" if gz else None)
        return
    assert await users(tmp_path, packed, "gzip" if gz else None) == ["u2"]


@pytest.mark.parametrize("paths", [["q.json", "q.ndjson"], ["q.ndjson", "q.json.gz"]])
@pytest.mark.parametrize("with_rows", [0, 1, None])
async def test_csv_counts_if_none_of_the_json_files_of_its_name_has_rows(
    tmp_path: Path, paths: list[str], with_rows: int | None
) -> None:
    files = dict.fromkeys(paths, b'{"note":1}')
    if with_rows is not None:
        files[paths[with_rows]] = LINE.replace(b"u2", b"u1")
    assert await users(tmp_path, {**files, "q.csv": CSV}) == (["u2"] if with_rows is None else ["u1"])


@pytest.mark.parametrize("shape", ["list", "wrapped", "lines"])
@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("foreign", [None, 5, "x", True, [], [{"user_id": "u3"}]])
async def test_rows_beside_a_null_are_rows_and_beside_anything_else_an_error(
    tmp_path: Path, shape: str, at: int, foreign: Any
) -> None:
    values: list[Any] = [{"user_id": "u1"}, {"user_id": "u2"}]
    values.insert(at, foreign)
    lines = b"\n".join(map(msgspec.json.encode, values))
    content: Any = {"list": values, "wrapped": {"data": {"users": values}}, "lines": lines}[shape]
    files = {"b.ndjson" if shape == "lines" else "b.json": content}
    if foreign is None:
        assert await users(tmp_path, files) == ["u1", "u2"]
        return
    with pytest.raises(IncompleteDatasetError, match="beside other values in a list"):
        await users(tmp_path, files)


@pytest.mark.parametrize(
    "content",
    [
        [[{"user_id": "u1"}]],
        {"a": {"b": {"c": {"d": {"e": [{"user_id": "u1"}]}}}}},
        {"classes": [{"name": "c1", "users": [{"user_id": "u1"}]}]},
        {"dataset_group": {"group_name": "all", "users": [{"user_id": "u1"}, 5]}},
    ],
)
async def test_rows_where_none_are_found_are_an_error(tmp_path: Path, content: Any) -> None:
    with pytest.raises(IncompleteDatasetError, match=r"^b\.json has rows"):
        await users(tmp_path, {"a.json": USERS, "b.json": content})


async def test_a_row_of_another_kind_before_them_hides_no_rows(tmp_path: Path) -> None:
    found = await rows(tmp_path, {"b.json": [{"note": "x"}, {"user_id": "u1"}]})
    assert {row["user_id"] for row in found["users"]} == {None, "u1"}


KINDS = {
    "groups": {"group_name": "a", "population": 2},
    "users": {"user_id": "u1", "group_name": "a"},
    "items": {"item_reference": "i", "p_value": 0.5},
}


@pytest.mark.parametrize("shape", ["list", "wrapped", "lines", "twice"])
@pytest.mark.parametrize("kinds", [*permutations(KINDS, 2), *permutations(KINDS)], ids="-".join)
async def test_rows_of_several_kinds_in_one_list_each_go_to_their_own_file(
    tmp_path: Path, kinds: Sequence[str], shape: str
) -> None:
    values = [KINDS[kind] for kind in kinds]
    lines = b"\n".join(map(msgspec.json.encode, values))
    content: Any = {"list": values, "wrapped": {"data": values}, "lines": lines, "twice": [*values, *values]}[shape]
    found = await rows(tmp_path, {"b.ndjson" if shape == "lines" else "b.json": content})
    without = {kind: [{key: row[key] for key in row if key != "folder"} for row in found[kind]] for kind in found}
    assert without == {kind: [KINDS[kind]] for kind in kinds}


@pytest.mark.parametrize("kinds", permutations(KINDS, 2), ids="-".join)
async def test_rows_of_several_kinds_in_the_row_of_a_group_are_found_or_an_error(
    tmp_path: Path, kinds: Sequence[str]
) -> None:
    files = {"b.json": {"dataset_group": {"group_name": "all", "members": [KINDS[kind] for kind in kinds]}}}
    if "items" in kinds:
        with pytest.raises(IncompleteDatasetError, match="'members' of a group"):
            await rows(tmp_path, files)
        return
    found = await rows(tmp_path, files)
    assert [row["user_id"] for row in found["users"]] == ["u1"]
    assert sorted(row["group_name"] for row in found["groups"]) == ["a", "all"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"group_name,score,user_id\na,1,u1\nb,2\n", {"users": 2}),
        (b"p_value,group_name\n0.5,a\n0.6\n", {"groups": 2}),
        (b"p_value,item_reference\n0.5,i\n0.6\n", {"items": 2}),
    ],
)
async def test_a_short_row_of_csv_is_of_the_kind_of_its_header(
    tmp_path: Path, content: bytes, expected: dict[str, int]
) -> None:
    found = await rows(tmp_path, {"b.csv": content})
    assert {kind: len(each) for kind, each in found.items()} == expected


SAME = [{"user_id": "u1", "score": 1}]


def own(name: str, population: int, **more: Any) -> dict[str, Any]:
    return {"group": {"group_name": name, "population": population}, **more}


@pytest.mark.parametrize("suffix", ["json", "ndjson", "csv"])
@pytest.mark.parametrize(
    ("paths", "folders"),
    [
        (["a", "b"], ["", "b"]),
        (["root", "root/a", "root/b"], ["", "root/a", "root/b"]),
        (["group", "a/group", "b/group"], ["", "a", "b"]),
        (["groups/group", "groups/a/group"], ["groups", "groups/a"]),
        (["a/b", "b/b", "b/c"], ["a", "b", "b/c"]),
        (["g/a/x", "g/a/y", "g/b/x"], ["g/a", "g/a/y", "g/b"]),
        (["a", "b", "b/a"], ["", "b", "b/a"]),
        (["group", "a", "a/group"], ["", "a", "a/group"]),
        (["longest", "a", "root"], ["", "a", "longest"]),
    ],
)
async def test_users_of_different_groups_stay_apart_in_any_layout(
    tmp_path: Path, paths: list[str], folders: list[str], suffix: str
) -> None:
    content = {"json": {"users": SAME}, "ndjson": b'{"user_id":"u1","score":1}\n', "csv": b"user_id,score\nu1,1\n"}
    found = await rows(tmp_path, {f"{path}.{suffix}": content[suffix] for path in paths} | {"about.json": {"a": [1]}})
    assert sorted(row["folder"] for row in found["users"]) == folders


async def test_users_with_a_folder_of_their_own_stay_apart(tmp_path: Path) -> None:
    listed = [{"user_id": "u1", "folder": "x"}]
    found = await rows(tmp_path, {"groups/group.json": listed, "groups/a/group.json": listed})
    assert sorted((row["folder"], row["folder_2"]) for row in found["users"]) == [("groups", "x"), ("groups/a", "x")]


KEYS = ["folder", "folder_2", "Folder", "FOLDER_2", "Group_Name", "group_name_2", "User_ID", "user_id_2", "", "column"]


@given(
    st.lists(st.dictionaries(st.sampled_from(KEYS), st.integers(0, 9), max_size=6), min_size=1, max_size=4),
    st.sampled_from(["user_id", "group_name", "item_reference"]),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
async def test_no_field_takes_the_column_of_another(
    tmp_path_factory: pytest.TempPathFactory, listed: list[dict[str, int]], named: str, first: bool
) -> None:
    names = [f"n{number}" for number in range(len(listed))]
    full = [{named: name, **row} if first else {**row, named: name} for name, row in zip(names, listed, strict=True)]
    ((found),) = (await rows(tmp_path_factory.mktemp("keys"), {"g/group.json": full})).values()
    by_name = {row[named]: row for row in found}
    for name, row in zip(names, listed, strict=True):
        there = by_name[name]
        place = [] if named == "item_reference" else ["g"]
        assert not place or there["folder"] == "g"
        values = [str(value) for value in there.values() if value is not None]
        assert sorted(values) == sorted([name, *place, *map(str, row.values())])


@pytest.mark.parametrize(
    ("listed", "columns"),
    [
        ([{"user_id": "u", "Group_Name": "n"}], ["folder", "user_id", "Group_Name"]),
        ([{"item_reference": "i", "USER_ID": 7}], ["item_reference", "USER_ID"]),
        ([{"item_reference": "i", "Folder": 7}], ["item_reference", "Folder"]),
        ([{"question_reference": "q", "ITEM_Reference": "i"}], ["question_reference", "ITEM_Reference"]),
        ([{"group_name": "n", "Folder": 7}], ["folder", "group_name", "Folder_2"]),
        ([{"user_id": "u", "Group_Name": "n", "Group_Name_2": 3}], ["folder", "user_id", "Group_Name", "Group_Name_2"]),
        (
            [{"user_id": "u", "Group_Name": "n"}, {"user_id": "v", "group_name": "m"}],
            ["folder", "user_id", "Group_Name_2", "group_name"],
        ),
    ],
)
async def test_a_field_keeps_its_name_if_no_row_has_the_field_that_it_is_named_like(
    tmp_path: Path, listed: list[dict[str, Any]], columns: list[str]
) -> None:
    ((found),) = (await rows(tmp_path, {"g/group.json": listed})).values()
    assert list(found[0]) == columns
    for row in listed:
        there = next(each for each in found if {str(value) for value in row.values()} <= set(map(str, each.values())))
        assert all(str(there[name]) == str(value) for name, value in row.items() if name in columns)


async def test_a_group_is_joined_with_its_own_file_by_its_name_alone(tmp_path: Path) -> None:
    listed = [{"Group_Name": "x", "group_name": "north"}]
    files = {"g/group.json": {"groups": listed}, "g/north/group.json": own("north", 1), "g/x/group.json": own("x", 2)}
    found = await rows(tmp_path, files)
    assert sorted(row["group_name"] for row in found["groups"]) == ["north", "x"]


@pytest.mark.parametrize("alone", [False, True], ids=["in a field", "the whole file"])
async def test_groups_of_one_name_stay_apart_where_files_are_named_like_them(tmp_path: Path, alone: bool) -> None:
    def file(population: int) -> Any:
        content = own("a", population)
        return content["group"] if alone else content

    listed = [{"group_name": "a", "population": 2}, {"group_name": "b", "population": 3}]
    files = {"group.json": own("all", 5, groups=listed), "a.json": file(2), "b/a.json": file(3)}
    found = await rows(tmp_path, files)
    assert sorted((row["folder"], row["group_name"], row["population"]) for row in found["groups"]) == [
        *[("", "a", 2), ("", "all", 5), ("", "b", 3)],
        ("b", "a", 3),
    ]


async def test_the_root_is_not_lost_where_a_group_has_its_name(tmp_path: Path) -> None:
    files = {
        "group.json": own("all", 5, groups=[{"group_name": "all", "population": 2}]),
        "all/group.json": own("all", 2),
    }
    found = await rows(tmp_path, files)
    assert sorted(row["population"] for row in found["groups"]) == [2, 5]


async def test_groups_of_one_name_are_all_kept_where_the_file_above_them_is_missing(tmp_path: Path) -> None:
    found = await rows(tmp_path, {"d/a/x.json": own("x", 1), "d/b/x.json": own("x", 1), "d/c/x.json": own("x", 2)})
    assert sorted(row["population"] for row in found["groups"]) == [1, 1, 2]


@pytest.mark.parametrize("shape", ["list", "lines", "csv"])
async def test_users_that_name_their_group_are_users(tmp_path: Path, shape: str) -> None:
    row = {"group_name": "north", "user_id": "u1", "score": 1}
    content: Any = {"list": {"users": [row]}, "lines": msgspec.json.encode(row), "csv": b"group_name,user_id\nnorth,u1"}
    found = await rows(tmp_path, {{"list": "a.json", "lines": "a.ndjson", "csv": "a.csv"}[shape]: content[shape]})
    assert list(found) == ["users"]
    assert found["users"][0]["group_name"] == "north"


@pytest.mark.parametrize("name", ["dataset_group", "group", "", "root"])
async def test_lists_in_the_row_of_a_group_are_rows(tmp_path: Path, name: str) -> None:
    inner = {"group_name": "north", "groups": [{"group_name": "class"}], "users": SAME, "reference": [1, 2]}
    files: dict[str, Any] = {
        "groups/group.json": own("all", 1, groups=[{"group_name": "north", "reference": [1, 2]}]),
        "groups/north/group.json": {name: inner} if name else inner,
    }
    found = await rows(tmp_path, files)
    assert [(row["folder"], row["user_id"]) for row in found["users"]] == [("groups/north", "u1")]
    assert sorted((row["folder"], row["group_name"]) for row in found["groups"]) == [
        *[("", "all"), ("groups", "north")],
        ("groups/north", "class"),
    ]
    assert {"users", "groups"}.isdisjoint(found["groups"][0])
    assert {row["reference"] for row in found["groups"]} == {None, "[1,2]"}


async def test_what_says_something_about_a_group_stays_in_its_row(tmp_path: Path) -> None:
    kept = {"owner": {"user_id": "t"}, "ancestors": [{"group_name": "all"}], "items": [{"item_reference": "i"}]}
    found = await rows(tmp_path, {"groups/group.json": {"groups": [{"group_name": "a", **kept}]}})
    assert list(found) == ["groups"]
    assert {name: msgspec.json.decode(found["groups"][0][name]) for name in kept} == kept


@given(
    tree=st.recursive(st.just(list[Any]()), lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=8),
    style=st.sampled_from(["folders", "names", "one file"]),
)
@settings(max_examples=30, deadline=None)
async def test_a_tree_of_groups_gives_every_group_and_user_once(
    tmp_path_factory: pytest.TempPathFactory, tree: list[Any], style: str
) -> None:
    """Groups of one parent have different names; the groups and users of different parents have the same ones."""
    files: dict[str, Any] = {}
    count = 0

    def walk(children: list[Any], path: list[str]) -> dict[str, Any]:
        nonlocal count
        count += 1
        row: dict[str, Any] = {"group_name": path[-1] if path else "all", "population": 1}
        inner = [walk(child, [*path, f"g{number}"]) for number, child in enumerate(children)]
        if style == "one file":
            return row | {"groups": inner, "users": SAME}
        place = ["groups", *path, "group"] if style == "folders" else path or ["root"]
        files["/".join(place) + ".json"] = {
            "group": row, "ancestors": [], "groups": inner, "users": SAME
        }  # fmt: skip
        return row

    root = walk(tree, [])
    if style == "one file":
        files["groups/group.json"] = root
    found = await rows(tmp_path_factory.mktemp("tree"), files)
    assert (len(found["groups"]), len(found["users"])) == (count, count)
