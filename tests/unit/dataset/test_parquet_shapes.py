"""Rows in a shape that is not read are an error, and what only looks like them is none."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

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
    "names in objects": lambda kind: {"columns": [{"name": name} for name in KNOWN[kind]], "rows": [[1, 2]]},
    "lists": lambda kind: [[*KNOWN[kind]], [*KNOWN[kind].values()]],
    "by column": lambda kind: {name: [value] for name, value in KNOWN[kind].items()},
    "by column and row": lambda kind: {kind: {name: {"0": value} for name, value in KNOWN[kind].items()}},
}


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("shape", UNREAD)
async def test_rows_in_another_shape_are_refused(tmp_path: Path, kind: str, shape: str) -> None:
    if (kind, shape) == ("items", "by id in a group"):
        return  # questions of a group stay in its row
    with pytest.raises(IncompleteDatasetError, match=REFUSED):
        await rows(tmp_path, {**GOOD, "b.json": UNREAD[shape](kind)})


@pytest.mark.parametrize("kind", ["users", "groups"])
@pytest.mark.parametrize("name", ["", "users", "groups", "data", "rows"])
async def test_results_without_ids_are_refused(tmp_path: Path, kind: str, name: str) -> None:
    listed = [without(kind), without(kind)]
    with pytest.raises(IncompleteDatasetError, match=REFUSED):
        await rows(tmp_path, {**GOOD, "b.json": {name: listed} if name else listed})


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
