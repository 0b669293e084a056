"""Rows of users and groups inside the row of their group."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from learnosity.dataset.completeness import groups_returned
from learnosity.dataset.group_figures import own_row, rows_above
from learnosity.dataset.limits import PAGE, Limits
from learnosity.dataset.nested_rows import unfolded
from learnosity.dataset.tables import Document, Kind, read_document

ALL = {"group_name": "all", "population": 5}
GROUPS = [{"group_name": "north"}, {"group_name": "south"}]
USERS = [{"user_id": "u1"}, {"user_id": "u2"}]


def read(content: Any, limits: Limits = PAGE) -> Document:
    document = read_document("group.json", msgspec.json.encode(content), limits=limits)
    assert document is not None
    return unfolded(document, limits)


@pytest.mark.parametrize(
    "wrapped", [lambda value: {"dataset_group": value}, lambda value: {"group": value}, lambda v: v]
)
@pytest.mark.parametrize("users", [USERS, []])
@pytest.mark.parametrize("groups", [GROUPS, []])
def test_the_row_of_a_group_is_told_from_the_rows_in_it(wrapped: Any, users: Any, groups: Any) -> None:
    above = [{"group_name": "top"}]
    document = read(wrapped({**ALL, "ancestors": above, "groups": groups, "users": users}))
    groups_in, users_in = document.first(Kind.GROUPS), document.first(Kind.USERS)
    if not users and not groups:
        return
    assert own_row(document) is not None
    assert {name: (own_row(document) or {}).get(name) for name in ALL} == ALL
    assert rows_above(document) == above
    assert (users_in.rows if users_in else []) == users
    assert groups_in is not None
    assert groups_in.rows == groups or not groups
    assert not document.hidden
    returned = groups_returned(document, {}, ["region"])
    assert returned.population == 5
    assert returned.groups == ({"region": 2} if groups else {})


VALUES = st.recursive(
    st.none() | st.integers() | st.sampled_from(["a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["group_name", "user_id", "groups", "users", "group", "x"]), inner)
    ),
    max_leaves=12,
)


def users_in(value: Any) -> int:
    """How many objects with a user there are in a value."""
    if isinstance(value, list):
        return sum(map(users_in, value))
    return ("user_id" in value) + sum(map(users_in, value.values())) if isinstance(value, dict) else 0


@example({"group_name": [{"user_id": None}], "groups": []})
@example([{"group_name": None}, {"group_name": None, "user_id": None}])
@given(VALUES)
def test_every_user_is_in_a_table_or_the_document_says_that_there_are_more(value: Any) -> None:
    document = read(value)
    tables = [table for table in document.tables if table.kind is Kind.USERS]
    in_users = any(users_in(list(row.values())) for table in tables for row in table.rows)
    in_ancestors = any(users_in(row) for table in document.tables if table.name == "ancestors" for row in table.rows)
    in_items = any(users_in(row) for table in document.tables if table.kind is Kind.ITEMS for row in table.rows)
    known = sum("user_id" in row for table in tables for row in table.rows)
    if not (document.hidden or in_users or in_ancestors or in_items):
        assert known == users_in(value)


@pytest.mark.parametrize("rows", [PAGE.rows, PAGE.rows + 1])
def test_a_page_has_no_more_of_them_than_of_other_rows(rows: int) -> None:
    document = read({"dataset_group": {**ALL, "users": [{"user_id": "u"}] * rows}})
    users = document.first(Kind.USERS)
    assert users is not None
    assert len(users.rows) == PAGE.rows
    assert document.cut is (rows > PAGE.rows)
