"""Result files are told by the names of their fields and places, because their shape is not documented."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.dataset.tables import Kind, group_files, is_poor, read_document, sorted_rows


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"group_name": "north", "mean_percent": 50}, Kind.GROUPS),
        ({"user_id": "u1", "score": 3}, Kind.USERS),
        ({"question_reference": "q1", "p_value": 0.5}, Kind.ITEMS),
        ({"x": 1}, Kind.PLAIN),
    ],
)
@pytest.mark.parametrize("shape", ["list", "object", "wrapped", "ndjson"])
def test_rows_are_known_by_their_fields_wherever_they_stand(row: dict[str, Any], kind: Kind, shape: str) -> None:
    text = msgspec.json.encode(row)
    content = {"list": b"[%s]", "object": b"%s", "wrapped": b'{"data": {"rows": [%s]}}', "ndjson": b"%s\n"}[
        shape
    ] % text
    document = read_document("file.ndjson" if shape == "ndjson" else "file.json", content)
    assert [(table.kind, list(table.rows)) for table in document.tables] == [(kind, [row])]


def test_csv_rows_are_known_too_and_identifiers_stay_texts() -> None:
    document = read_document("a.csv", b"user_id,score,code,year\n007,1.5,1e3,2026_1\n,,,\n")
    assert document.tables[0].kind is Kind.USERS
    assert document.tables[0].rows[0] == {"user_id": "007", "score": 1.5, "code": 1000.0, "year": "2026_1"}


def test_a_group_is_shown_by_its_children_not_by_its_ancestors() -> None:
    content = {"group": {"group_name": "b"}, "ancestors": [{"group_name": "a"}], "groups": [{"group_name": "c"}]}
    table = read_document("group.json", msgspec.json.encode(content)).first(Kind.GROUPS)
    assert table is not None
    assert table.rows == [{"group_name": "c"}]


@pytest.mark.parametrize(
    ("paths", "group_path", "expected"),
    [
        (["groups/group.json", "groups/a/group.json", "groups/a/group.csv"], ("a",), "groups/a/group.json"),
        (["root.json", "a.json", "a/b.json"], ("a", "b"), "a/b.json"),
        (["g/group.json", "g/a%20b/group.json"], ("a b",), "g/a%20b/group.json"),
        (["g/group.json", "other/a/group.json"], ("a",), None),
        ([], (), None),
    ],
)
def test_the_file_of_a_group_is_found_by_its_place(
    paths: list[str], group_path: tuple[str, ...], expected: str | None
) -> None:
    assert group_files(paths).get(group_path) == expected


def test_empty_cells_come_last_however_rows_are_sorted() -> None:
    rows: list[dict[str, Any]] = [{"n": 2}, {"n": None}, {"n": 10}, {}]
    assert [row.get("n") for row in sorted_rows(rows, "n", descending=False)] == [2, 10, None, None]
    assert [row.get("n") for row in sorted_rows(rows, "n", descending=True)] == [10, 2, None, None]


@given(
    st.permutations(["Class 2a", "class 2b", "class 10", "class 10a", "school_1", "school_2", "school_10", "9" * 5000])
)
def test_texts_are_sorted_with_their_numbers_as_numbers(names: list[str]) -> None:
    rows = [{"name": name} for name in names]
    found = [row["name"] for row in sorted_rows(rows, "name", descending=False)]
    assert found == ["9" * 5000, "Class 2a", "class 2b", "class 10", "class 10a", "school_1", "school_2", "school_10"]


def test_an_item_is_poor_below_two_tenths() -> None:
    assert is_poor({"discrimination_index": 0.19})
    assert not is_poor({"discrimination_index": 0.2})
    assert not is_poor({"discrimination_index": None})


@given(st.binary(max_size=200), st.sampled_from(["a.json", "a.csv", "a.ndjson", "a.txt"]))
def test_any_bytes_are_shown_somehow(content: bytes, name: str) -> None:
    document = read_document(name, content)
    assert document.tables or document.text == content.decode("utf-8", "replace") or name == "a.json" or not content


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=12,
    )
)
def test_any_json_is_shown_somehow(value: Any) -> None:
    document = read_document("a.json", msgspec.json.encode(value))
    assert document.tables or document.text
