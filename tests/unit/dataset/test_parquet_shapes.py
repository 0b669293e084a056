"""Rows in a shape that is not read are an error, and what only looks like them is none."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.dataset.tables import Document, read_document
from learnosity.errors import IncompleteDatasetError
from tests.unit.dataset.test_parquet_rows import USERS, rows, users

KNOWN: dict[str, dict[str, Any]] = {
    "items": {"item_reference": "i1", "p_value": 0.4, "count_sessions": 3},
    "users": {"user_id": "u1", "group_name": "a", "score": 1},
    "groups": {"group_name": "a", "population": 2},
}
GOOD = {"good.json": {"users": [{"user_id": "u2"}], "items": [{"item_reference": "i2"}], "groups": []}}
ABOVE = [
    "Item analysis",
    "# generated 2026",
    "sep=,",
    "Item analysis, of 2026",
    "a,b,c,d",
    "made,by\nx,y",
    '"a\nb"',
    "Table 1,,,,",
]
REFUSED = r"^b\..* land the dataset again without it"


def lines(row: dict[str, Any], delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([row.keys(), row.values()])
    return text.getvalue()


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("blank", ["\n", "\r\n\n", "  \n", ",,\n", '"",\n'])
async def test_blank_lines_above_the_header_of_csv_are_no_header(tmp_path: Path, kind: str, blank: str) -> None:
    found = await rows(tmp_path, {"b.csv": f"{blank}{lines(KNOWN[kind])}".encode()})
    assert [{name: row[name] for name in KNOWN[kind]} for row in found[kind]] == [KNOWN[kind]]


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("between", ["", "\n", "note\n"])
async def test_csv_with_other_lines_above_its_header_is_refused(
    tmp_path: Path, kind: str, delimiter: str, above: str, between: str
) -> None:
    content = f"{above}\n{between}{lines(KNOWN[kind], delimiter)}"
    with pytest.raises(IncompleteDatasetError, match=REFUSED):
        await rows(tmp_path, {**GOOD, "b.csv": content.encode()})


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
async def test_a_comma_in_a_header_with_another_delimiter_hides_no_rows(
    tmp_path: Path, kind: str, delimiter: str
) -> None:
    content = lines(KNOWN[kind], delimiter).replace("\n", f"{delimiter}d,x\n", 1)
    with pytest.raises(IncompleteDatasetError, match=r"^b\.csv is not separated by commas"):
        await rows(tmp_path, {**GOOD, "b.csv": content.encode()})


@pytest.mark.parametrize(
    "content",
    [
        "field,meaning\nuser_id,the user\nscore,what was reached\n",
        "field\nuser_id\nscore\n",
        "Title\nuser_id,score\n",
        "note,note\na,b,c\n",
        "level,Name; first\n1,A; B\n",
    ],
)
async def test_csv_that_only_tells_of_columns_is_passed_over(tmp_path: Path, content: str) -> None:
    assert await users(tmp_path, {"a.json": USERS, "b.csv": content.encode()}) == ["u2"]


def read(value: Any) -> Document:
    document = read_document("b.json", msgspec.json.encode(value))
    assert document is not None
    return document


def without(kind: str) -> dict[str, Any]:
    return {
        name: value for name, value in KNOWN[kind].items() if name not in ("item_reference", "user_id", "group_name")
    }


UNREAD: dict[str, Callable[[str], object]] = {
    "by id": lambda kind: {kind: {"x": without(kind), "y": without(kind)}},
    "one by id": lambda kind: {kind: {"x": without(kind)}},
    "by id alone": lambda kind: {"x": without(kind), "y": without(kind)},
    "by id below another key": lambda kind: {"other": {"x": without(kind), "y": without(kind)}},
    "by id, with lists": lambda kind: {kind: {"x": {**without(kind), "answers": [{"a": 1}]}}},
    "lists by id": lambda kind: {kind: {"x": [without(kind)]}},
    "by id in rows": lambda kind: {"classes": [{"name": "c", kind: {"x": without(kind)}}]},
    "by id in a group": lambda kind: {"top": {"group_name": "all", kind: {"x": without(kind)}}},
    "names apart": lambda kind: {"columns": [*KNOWN[kind]], "rows": [[*KNOWN[kind].values()]]},
    "names in objects": lambda kind: {
        "columns": [{"name": name} for name in KNOWN[kind]],
        "rows": [[*KNOWN[kind].values()]],
    },
    "lists": lambda kind: [[*KNOWN[kind]], [*KNOWN[kind].values()]],
    "by column": lambda kind: {name: [value] for name, value in KNOWN[kind].items()},
    "by column and row": lambda kind: {kind: {name: {"0": value} for name, value in KNOWN[kind].items()}},
}


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("shape", UNREAD)
async def test_rows_in_another_shape_are_refused(tmp_path: Path, kind: str, shape: str) -> None:
    if (kind, shape) == ("items", "by id in a group"):
        return  # questions in a group become a cell of the group's row
    with pytest.raises(IncompleteDatasetError, match=REFUSED):
        await rows(tmp_path, {**GOOD, "b.json": UNREAD[shape](kind)})


@pytest.mark.parametrize("kind", ["users", "groups"])
@pytest.mark.parametrize("name", ["users", "groups", "students"])
async def test_results_without_ids_are_refused(tmp_path: Path, kind: str, name: str) -> None:
    listed = [without(kind), without(kind)]
    with pytest.raises(IncompleteDatasetError, match=REFUSED):
        await rows(tmp_path, {**GOOD, "b.json": {name: listed}})


@pytest.mark.parametrize("row", [{"p_value": 0.4}, {"discrimination_index": 0.1, "activity_id": "a"}])
@pytest.mark.parametrize("name", ["", "meta"])
async def test_the_row_of_a_question_without_its_name_is_refused(tmp_path: Path, row: Any, name: str) -> None:
    with pytest.raises(IncompleteDatasetError, match=REFUSED):
        await rows(tmp_path, {**GOOD, "b.json": {name: row} if name else row})


@pytest.mark.parametrize("name", ["item_reference", "question_reference", "question_number", "id"])
async def test_the_row_of_a_question_with_its_name_is_a_row(tmp_path: Path, name: str) -> None:
    found = await rows(tmp_path, {"b.json": {name: "i", "p_value": 0.4}})
    assert [row["p_value"] for row in found["items"]] == [0.4]


@pytest.mark.parametrize(
    "beside",
    [
        {"summary": {"mean_score": 3, "count_sessions": 4}},
        {"meta": {"made": {"by": "x"}, "of": {"version": 1}}},
        {"grades": [{"grade": "A", "score": 80}, {"grade": "B", "score": 60}]},
        {"distribution": [{"bin": 1, "count_sessions": 4}]},
        {"fields": ["user_id", "score"], "note": [1, 2]},
        {"matrix": [[1, 2], [3, 4]]},
        {"own": {"user_id": "u2", "score": 2, "subscores": [{"name": "a"}]}},
    ],
)
async def test_what_stands_beside_rows_is_passed_over(tmp_path: Path, beside: dict[str, Any]) -> None:
    content = msgspec.json.encode({**USERS, **beside})
    assert set(await users(tmp_path, {"b.json": content})) == {"u2"}


# Helper files: no row of them is certainly a result. So none of these files may be refused.
HELPERS: dict[str, Any] = {
    "meta": {"input": {"num_users": 3}, "output": {"num_files": 2}},
    "timing": {"request": {"file_count": 1}, "result": {"count_rows": 2}, "timing": {"num_retries": 0}},
    "totals": {"users": {"count_total": 3}, "items": {"count_total": 4}},
    "sessions": {"users": {"count_sessions": 3}, "items": {"count_sessions": 4}},
    "statistics": {"statistics": {"mean_score": 3, "max_score": 4}, "reliability": {"count_items": 4, "alpha": 0.9}},
    "tests": {"test": {"mean_score": 3}, "scores": {"max_score": 4}},
    "summary": {"data": {"summary": {"mean_score": 1, "population": 3}}},
    "fields": {
        "fields": {"mean_score": {"min_score": 0, "max_score": 3}, "p25_score": {"min_score": 1, "max_score": 2}}
    },
    "grades": [{"grade": "A", "lowest_score": 90}],
    "data": {"data": [{"score": 1, "count": 3}, {"score": 2, "count": 3}]},
    "rows": {"rows": [{"percentile": 1, "max_score": 3}]},
    "references": {"items": [{"reference": "i1", "mean_score": 1, "max_score": 2}]},
    "points": {"plot": {"points": [[1, 2], [2, 1]]}, "sort": "p_value", "key": "user_id"},
    "matrix": {"matrix": [[1, 2], [2, 1]], "metrics": ["p_value", "discrimination_index"]},
    "metrics": {"matrix": [[1, 2], [2, 1]], "metrics": ["p_value"]},
    "bands": {"score_bands": [[0, 10], [10, 20]], "user_columns": [{"type": "user_id"}, {"type": "score"}]},
    "roster": {"columns": ["user_id", "name"], "rows": [["u1", "Ann"]]},
    "parts": {"statistics": {"mean_score": 3, "alpha": 0.9}, "reliability": {"mean_score": 4}},
    "sort": {"sort": [["user_id", "score"]], "range": [[0, 1], ["a", "1"], ["b", None]]},
    "levels": {"ancestors": {"ancestor_1": {"mean_score": 3}, "ancestor_2": {"mean_score": 3}}},
    "level": {"ancestors": {"district": {"mean_score": 3}}},
    "sources": {"row": {"mean_score": 3}, "ancestor_1": {"mean_score": 3}},
    "bands.csv": b"grade,lowest_score,highest_score\nA,90,100\nB,80,89\n",
    "fields.csv": b"field,label\nuser_id,the score\ngroup_name,Group\np_value,P\n",
    "columns.csv": b'name,type,fields\nr1,x,"user_id,score"\nr2,y,z\n',
    "histogram.ndjson": b'{"score":1,"count":3}\n{"score":2,"count":4}\n',
}
GOOD_FILES: dict[str, tuple[str, Any]] = {
    "group": ("a.json", {"group": KNOWN["groups"], "users": [KNOWN["users"]]}),
    "group of users": ("a.json", {**KNOWN["groups"], "users": [KNOWN["users"]]}),
    "groups": ("a.json", {"groups": [KNOWN["groups"]]}),
    "questions": ("a.json", {"questions": [KNOWN["items"]]}),
    "list": ("a.json", [KNOWN["users"]]),
    **{kind: (f"{kind}.csv", lines(row).encode()) for kind, row in KNOWN.items()},
    "ndjson": ("a.ndjson", msgspec.json.encode(KNOWN["users"]) + b"\n"),
}


@pytest.mark.parametrize("good", GOOD_FILES)
@pytest.mark.parametrize("helper", HELPERS)
async def test_a_helper_file_never_blocks_a_good_one(tmp_path: Path, good: str, helper: str) -> None:
    name, content = GOOD_FILES[good]
    alone = await rows(tmp_path / "alone", {name: content})
    assert alone
    other = helper if "." in helper else f"{helper}.json"
    assert await rows(tmp_path / "beside", {name: content, f"z/{other}": HELPERS[helper]}) == alone


@pytest.mark.parametrize("good", [name for name, (_, content) in GOOD_FILES.items() if isinstance(content, dict)])
@pytest.mark.parametrize("helper", [name for name, content in HELPERS.items() if isinstance(content, dict)])
async def test_what_is_no_result_never_blocks_the_rows_of_its_file(tmp_path: Path, good: str, helper: str) -> None:
    name, content = GOOD_FILES[good]
    found = await rows(tmp_path, {name: {**HELPERS[helper], **content}})
    alone = await rows(tmp_path / "alone", {name: content})
    assert {kind: [row[column] for row in of] for kind, of in found.items() for column in KNOWN[kind]} == {
        kind: [row[column] for row in of] for kind, of in alone.items() for column in KNOWN[kind]
    }


@given(
    st.dictionaries(
        st.sampled_from(["input", "output", "a", "b"]),
        st.dictionaries(st.sampled_from(["num_users", "count_rows", "file_count", "label", "seconds"]), st.integers()),
    )
)
def test_counters_by_key_are_never_rows(value: dict[str, Any]) -> None:
    assert not read(value).odd


@pytest.mark.parametrize(
    "cell",
    [
        {"items": {"i1": {"mean_score": 1}, "i2": {"mean_score": 0}}},
        {"data": {"2025": {"mean_score": 3}, "2026": {"mean_score": 3}}},
        {"results": {"math": {"mean_score": 1}}},
        {"ancestors": {"groups": {"a": {"population": 1}}}},
    ],
)
@pytest.mark.parametrize("name", ["", "group", "groups"])
async def test_objects_stay_in_the_row_of_their_group(tmp_path: Path, name: str, cell: dict[str, Any]) -> None:
    row = {**KNOWN["groups"], **cell}
    content = {"groups": [row]} if name == "groups" else {name: row} if name else row
    (found,) = (await rows(tmp_path, {"b.json": content}))["groups"]
    ((key, value),) = cell.items()
    assert msgspec.json.decode(found[key]) == value


@pytest.mark.parametrize("name", ["users", "students", "groups"])
async def test_users_and_groups_by_id_in_the_row_of_a_group_are_refused(tmp_path: Path, name: str) -> None:
    row = {**KNOWN["groups"], name: {"x": {"score": 1}}}
    with pytest.raises(IncompleteDatasetError, match=REFUSED) as raised:
        await rows(tmp_path, {**GOOD, "b.json": {"groups": [row]}})
    assert f"by their ids in '{name}'" in str(raised.value)


UNREAD_TWINS = ["by id", "by id alone", "names apart", "lists"]


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("shape", UNREAD_TWINS)
async def test_the_csv_of_its_name_is_read_for_a_file_in_another_shape(tmp_path: Path, kind: str, shape: str) -> None:
    files = {"b.json": UNREAD[shape](kind), "b.csv": lines(KNOWN[kind]).encode()}
    found = await rows(tmp_path, files)
    assert [[row[name] for name in KNOWN[kind]] for row in found[kind]] == [[*KNOWN[kind].values()]]
    with pytest.raises(IncompleteDatasetError, match=REFUSED):
        await rows(tmp_path / "without", {**files, "b.csv": b"note\nx\n"})


async def test_rows_beside_rows_in_another_shape_are_not_replaced_by_csv(tmp_path: Path) -> None:
    both = {"users": [KNOWN["users"]], "items": {"x": without("items")}}
    with pytest.raises(IncompleteDatasetError, match=REFUSED):
        await rows(tmp_path, {"b.json": both, "b.csv": lines(KNOWN["users"]).encode()})


async def test_figures_of_all_questions_are_left_out_beside_a_list_of_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    summary = {"p_value": 0.5, "discrimination_index": 0.2}
    found = await rows(tmp_path, {"b.json": {"summary": summary, "questions": [KNOWN["items"]]}})
    assert [row["item_reference"] for row in found["items"]] == ["i1"]
    assert "b.json: the figures in 'summary' are left out" in caplog.text


@pytest.mark.parametrize("text", ["p_value, max_score", "score;p_value;max", "user_id|score"])
async def test_a_text_with_names_beside_other_cells_is_no_header(tmp_path: Path, text: str) -> None:
    content = f'item_reference,label,p_value\ni1,"{text}",.3\ni2,x,.3\n'
    found = await rows(tmp_path, {"b.csv": content.encode()})
    assert sorted(row["item_reference"] for row in found["items"]) == ["i1", "i2"]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"users": {"u1": {"score": 1}}}, "by their ids in 'users'"),
        ({"u1": {"score": 1}, "u2": {"score": 2}}, "by their ids"),
        ({"members": {"u1": {"score": 1}, "u2": {"score": 2}}}, "by their ids in 'members'"),
        ({"u1": {"score": 1, "max_score": 2}, "u2": {"score": 2}}, "by their ids"),
        ({"u1": {"score": 1, "name": "Ann"}, "u2": {"score": 2}, "u3": {"score": 2, "class_id": 3}}, "by their ids"),
        ({"i1": {"median_score": 1}, "i2": {"median_score": 2, "count_sessions": 3}}, "by their ids"),
        ({"users": [{"id": "u1", "score": 1}]}, "rows with 'score' but without ids in 'users'"),
        ({"user_id": ["u1"], "score": [1]}, "the cells of each column together, as in 'user_id'"),
        ({"p_value": 0.5}, "does not say which one, with p_value"),
        ({"columns": ["user_id", "score"], "rows": [["u1", 1]]}, "apart from the names of their columns"),
        ({"columns": ["user_id", "score"], "rows": [[7, 1.5]]}, "apart from the names of their columns"),
        ({"columns": ["user_id", "score"], "rows": [["u1", "1"]]}, "apart from the names of their columns"),
        (b"Users\nuser_id,score\nu1,1\n", "below names of columns in line 2"),
    ],
)
async def test_the_message_says_what_looks_like_results(tmp_path: Path, content: Any, named: str) -> None:
    name = "b.csv" if isinstance(content, bytes) else "b.json"
    with pytest.raises(IncompleteDatasetError, match=REFUSED) as raised:
        await rows(tmp_path, {name: content})
    assert named in str(raised.value)
