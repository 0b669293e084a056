"""The rows of two datasets side by side, and their key figures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.dataset.comparison import GONE, NEW, change, compare, differences, slim
from learnosity.dataset.group_figures import finite
from learnosity.dataset.key_figures import (
    OF_GROUPS,
    OF_ITEMS,
    comparable,
    figures_of_groups,
    figures_of_items,
    read_figures,
)
from learnosity.dataset.tables import Document, Kind, Table, read_document

CELLS = st.one_of(st.none(), st.booleans(), st.text(max_size=3), st.integers(), st.just(10**400), st.floats())
NAMES = st.sampled_from(["a", "b", "c", "", None, 7])
ROWS = st.lists(
    st.fixed_dictionaries({"group_name": NAMES}, optional={"population": CELLS, "mean_percent": CELLS}), max_size=6
)


def groups(rows: list[dict[str, Any]]) -> Table:
    columns = dict.fromkeys(["group_name", *(name for row in rows for name in row)])
    return Table(Kind.GROUPS, "groups", tuple(columns), rows)


def test_rows_are_told_by_their_name_and_gone_ones_come_last() -> None:
    now = slim(groups([{"group_name": "b", "mean_percent": 51.5}, {"group_name": "c", "mean_percent": 40}]))
    before = slim(groups([{"group_name": "a", "mean_percent": 30}, {"group_name": "b", "mean_percent": 50.0}]))
    assert now is not None
    found = compare(now, before)
    assert [(row["group_name"], row["state"], row["mean_percent_change"]) for row in found.table.rows] == [
        ("b", "", 1.5),
        ("c", NEW, None),
        ("a", GONE, None),
    ]
    assert (found.new, found.gone, found.both) == (1, 1, 1)
    assert found.table.columns == ("group_name", "mean_percent", "mean_percent_before", "mean_percent_change")


def test_questions_of_one_item_are_told_apart() -> None:
    rows = [{"item_reference": "i", "question_reference": f"q{n}", "p_value": n / 10} for n in range(3)]
    columns = ("item_reference", "question_reference", "p_value")
    now, before = slim(Table(Kind.ITEMS, "", columns, rows)), slim(Table(Kind.ITEMS, "", columns, rows[::-1]))
    assert now is not None
    assert [row["p_value_change"] for row in compare(now, before).table.rows] == [0, 0, 0]


@given(ROWS, ROWS)
def test_every_row_of_both_is_there_once(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    now, before = slim(groups(one)), slim(groups(other))
    if now is None:
        return
    found = compare(now, before)
    assert len(one) == len(found.table.rows) - found.gone
    assert found.both + found.gone == (len(other) if before else 0)
    assert [row["state"] for row in found.table.rows][len(one) :] == [GONE] * found.gone
    for row in found.table.rows:
        assert all(value is None or finite(value) for name, value in row.items() if name.endswith("_change"))


@given(ROWS)
def test_a_dataset_compared_with_itself_has_no_change(rows: list[dict[str, Any]]) -> None:
    if (own := slim(groups(rows))) is None:
        return
    found = compare(own, own)
    assert (found.new, found.gone) == (0, 0)
    changes = [value for row in found.table.rows for name, value in row.items() if name.endswith("_change")]
    assert all(value in (None, 0) for value in changes)


def test_what_only_one_of_two_has_is_not_compared() -> None:
    now = slim(groups([{"group_name": "a", "population": 3, "mean_percent": 5}]))
    assert now is not None
    columns = compare(now, slim(groups([{"group_name": "a", "population": 2, "median_score": 1}]))).table.columns
    assert columns == ("group_name", "population", "population_before", "population_change")
    assert compare(now, None).new == 1


@pytest.mark.parametrize(
    ("name", "measure"), [("group_name", "mean_percent"), ("user_id", "score"), ("item_reference", "p_value")]
)
def test_a_column_that_a_wide_table_does_not_show_is_compared(name: str, measure: str) -> None:
    rows = [{**{f"c{number}": 1 for number in range(70)}, name: "a", measure: 0.5}]
    document = read_document("a.json", msgspec.json.encode(rows))
    assert document is not None
    (table,) = document.tables
    assert measure not in table.columns
    found = slim(table)
    assert found is not None
    assert (found.names, found.measures) == ((name,), (measure,))


@pytest.mark.parametrize(
    "table", [None, Table(Kind.PLAIN, "", ("a",), [{"a": 1}]), Table(Kind.ITEMS, "", ("p_value",), [{"p_value": 1}])]
)
def test_what_has_nothing_to_compare_is_not_compared(table: Table | None) -> None:
    assert slim(table) is None


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [(3, 1, 2), (0.3, 0.1, 0.2), (None, 1, None), ("1", 1, None), (10**400, 1, None), (True, 1, None)],
)
def test_a_change_is_a_number_or_not_known(now: Any, before: Any, expected: float | None) -> None:
    assert change(now, before) == expected


def test_requests_differ_where_they_ask_for_something_else() -> None:
    request = {"filters": {"activity_id": ["a"]}, "groups": [], "dataset_id": "1"}
    assert differences(request, request | {"dataset_id": "2"}) == ()
    assert differences(request, {"filters": {"activity_id": ["b"]}}) == ("filters", "groups")


@pytest.mark.parametrize("name", ["fields", "user_fields"])
def test_requests_differ_in_their_fields_but_not_in_the_order_of_these(name: str) -> None:
    def asked(*fields: Any) -> dict[str, Any]:
        return {"options": {name: list(fields)}}

    assert differences(asked("a", "b"), asked("b", "a")) == ()
    for other in (asked("a"), asked("a", 7), {}, {"options": None}, {"options": {name: "a"}}):
        assert differences(asked("a", "b"), other) == (f"options.{name}",)


ALL_MEASURES = ("mean_percent", "median_percent", "population", "mean_score", "median_score")


@given(st.sets(st.sampled_from(ALL_MEASURES), min_size=1))
def test_mean_median_and_population_are_compared_whatever_else_is_there(has: set[str]) -> None:
    own = slim(groups([{"group_name": "a"} | dict.fromkeys(ALL_MEASURES, 1) | {"more": 1}]))
    before = slim(groups([{"group_name": "a"} | dict.fromkeys(has, 1)]))
    assert own is not None
    columns = compare(own, before).table.columns
    assert {name for name in ALL_MEASURES if name in columns} == has


REFERENCES = ("item_reference", "question_reference", "question_number")


@given(
    st.sets(st.sampled_from(REFERENCES), min_size=1),
    st.sets(st.sampled_from(REFERENCES), min_size=1),
    st.integers(1, 5),
)
def test_questions_are_told_by_the_names_that_both_have(one: set[str], other: set[str], number: int) -> None:
    def of(names: set[str]) -> Any:
        rows = [{name: f"{name}{n}" for name in names} | {"p_value": 0.5} for n in range(number)]
        return slim(Table(Kind.ITEMS, "", (*sorted(names), "p_value"), rows))

    found = compare(of(one), of(other))
    same = number if one & other else 0
    assert (found.both, found.new, found.gone) == (same, number - same, number - same)


@pytest.mark.parametrize("kind", [Kind.GROUPS, Kind.USERS, Kind.ITEMS])
def test_rows_without_a_measure_that_is_compared_are_new_or_gone_all_the_same(kind: Kind) -> None:
    name = {Kind.GROUPS: "group_name", Kind.USERS: "user_id", Kind.ITEMS: "item_reference"}[kind]

    def of(*names: str) -> Any:
        return slim(Table(kind, "", (name, "other"), [{name: each, "other": 1} for each in names]))

    found = compare(of("a", "b", "c"), of("b", "d"))
    assert (found.new, found.gone, found.both) == (2, 1, 1)
    assert found.table.columns == (name,)


@given(st.lists(st.integers(0, 9), max_size=6), st.lists(st.integers(0, 9), max_size=6))
def test_a_question_that_has_moved_within_its_item_is_neither_new_nor_gone(one: list[int], other: list[int]) -> None:
    def of(questions: list[int]) -> Any:
        rows = [
            {"item_reference": "i", "question_reference": f"q{each}", "question_number": place, "p_value": 0.5}
            for place, each in enumerate(questions)
        ]
        return slim(Table(Kind.ITEMS, "", (*REFERENCES, "p_value"), rows or [dict.fromkeys(REFERENCES)]))

    one, other = list(dict.fromkeys(one)), list(dict.fromkeys(other))
    if one and other:
        found = compare(of(one), of(other))
        assert (found.new, found.gone) == (len(set(one) - set(other)), len(set(other) - set(one)))


def test_questions_without_a_reference_are_told_by_their_number_beside_others_with_one() -> None:
    def of(*questions: tuple[int, str | None, float]) -> Any:
        rows = [
            {"item_reference": "i", "question_number": number, "question_reference": name, "p_value": value}
            for number, name, value in questions
        ]
        return slim(Table(Kind.ITEMS, "", (*REFERENCES, "p_value"), rows))

    found = compare(of((2, None, 0.6), (3, "q", 0.5)), of((1, None, 0.3), (2, None, 0.4), (4, "q", 0.5)))
    assert [row["p_value_before"] for row in found.table.rows] == [0.4, 0.5, 0.3]
    assert (found.new, found.gone) == (0, 1)


def test_a_column_of_names_without_any_does_not_count() -> None:
    now = Table(Kind.ITEMS, "", (*REFERENCES[:2], "p_value"), [{"item_reference": "i", "p_value": 1}])
    before = Table(Kind.ITEMS, "", (*REFERENCES[:2], "p_value"), [{"item_reference": "i", "question_reference": "q"}])
    own, other = slim(now), slim(before)
    assert own is not None
    assert compare(own, other).both == 1


@pytest.mark.parametrize("missing", ["mean_p_value", "mean_discrimination_index"])
def test_flags_are_compared_only_where_they_come_from_the_same_statistics(missing: str) -> None:
    full = {"questions": 3.0, "flagged": 1.0, "mean_p_value": 0.5, "mean_discrimination_index": 0.3}
    less = {name: value for name, value in full.items() if name != missing}
    assert comparable("flagged", full, full)
    assert not comparable("flagged", full, less)
    assert comparable("questions", full, less)


def document(value: Any) -> Document:
    found = read_document("a.json", msgspec.json.encode(value))
    assert found is not None
    return found


def test_the_figures_of_groups_are_those_of_the_root() -> None:
    row = {"group_name": "", "population": 12, "mean_percent": 50.12345678, "median_score": None, "p25_percent": 1}
    assert figures_of_groups(document({"group": row, "groups": []})) == {"population": 12, "mean_percent": 50.1235}
    assert figures_of_groups(document([{"group_name": "a", "population": 3}])) == {}


def test_the_figures_of_an_analysis_count_what_is_flagged() -> None:
    rows = [
        {"item_reference": "a", "p_value": 0.5, "discrimination_index": 0.5},
        {"item_reference": "b", "p_value": 0.1, "discrimination_index": -0.1},
    ]
    assert figures_of_items(document(rows)) == {
        "questions": 2,
        "flagged": 1,
        "mean_p_value": 0.3,
        "median_p_value": 0.3,
        "mean_discrimination_index": 0.2,
    }
    assert figures_of_items(document([])) == {}


ANY = st.recursive(CELLS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))


@given(
    st.one_of(
        ANY,
        st.fixed_dictionaries({"figures": ANY}),
        st.fixed_dictionaries({"figures": st.dictionaries(st.sampled_from([*OF_GROUPS, *OF_ITEMS, "x"]), CELLS)}),
    )
)
def test_whatever_an_event_says_its_figures_are_few_numbers(extra: Any) -> None:
    found = read_figures(extra)
    assert set(found) <= {*OF_GROUPS, *OF_ITEMS}
    assert all(isinstance(value, float) and finite(value) for value in found.values())
