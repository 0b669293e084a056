"""The percents of users, the row of a total, and the figures of a group."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.dataset.group_figures import facts, finite, mean_row, percent, total_row, with_percents
from learnosity.dataset.tables import Kind, Table, read_document

CELLS = st.one_of(
    st.none(), st.booleans(), st.text(max_size=3), st.integers(-100, 100), st.just(10**400), st.floats(), st.just([])
)
OPTIONAL = dict.fromkeys(("score", "max_score", "attempted_max_score", "seen_score", "percent"), CELLS)


def users(*rows: dict[str, Any]) -> Table:
    return Table(Kind.USERS, "users", tuple(dict.fromkeys(name for row in rows for name in row)), rows)


def test_percents_are_of_the_points_and_stand_behind_the_name() -> None:
    made = with_percents(
        users({"user_id": "u1", "score": 3, "max_score": 4, "attempted_max_score": 1}, {"user_id": "u2", "score": None})
    )
    assert made.columns == ("user_id", "percent", "attempted_percent", "score", "max_score", "attempted_max_score")
    assert [row["percent"] for row in made.rows] == [75, None]
    assert [row["attempted_percent"] for row in made.rows] == [25, None]


def test_seen_points_count_for_what_was_attempted() -> None:
    (row,) = with_percents(users({"user_id": "u", "attempted_max_score": 1, "seen_score": 2, "max_score": 4})).rows
    assert row["attempted_percent"] == 50


def test_percents_of_the_file_are_not_replaced() -> None:
    table = users({"user_id": "u", "percent": 1.5, "score": 3, "max_score": 4})
    assert with_percents(table) is table


def test_percents_that_a_wide_table_does_not_show_are_not_replaced() -> None:
    row = {"user_id": "a", **{f"c{number}": 1 for number in range(70)}, "score": 1, "max_score": 2, "percent": 7}
    document = read_document("a.json", msgspec.json.encode([row]))
    assert document is not None
    assert with_percents(document.tables[0]).rows[0]["percent"] == 7


def test_without_points_nothing_is_calculated() -> None:
    table = users({"user_id": "u", "score": 3})
    assert with_percents(table) is table


@given(CELLS, CELLS)
def test_a_percent_is_a_number_or_nothing(part: Any, whole: Any) -> None:
    found = percent(part, whole)
    assert found is None or isinstance(found, float)


@given(st.lists(st.fixed_dictionaries({"user_id": st.just("u")}, optional=OPTIONAL), max_size=6))
def test_whatever_users_have_their_figures_are_numbers(rows: list[dict[str, Any]]) -> None:
    made = with_percents(users(*rows))
    figures = facts(None, made)
    assert figures.get("population", 0) == len(rows)
    assert all(finite(value) for value in figures.values())
    if "mean_percent" in figures:
        low, high = figures["lowest_percent"], figures["highest_percent"]
        assert low - 1e-6 * abs(low) <= figures["mean_percent"] <= high + 1e-6 * abs(high)
    assert "user_id" not in mean_row(made)


def test_what_the_row_of_the_group_says_comes_before_what_its_users_give() -> None:
    table = with_percents(users({"user_id": "a", "score": 1, "max_score": 2}, {"user_id": "b"}))
    found = facts({"population": 30, "mean_percent": 61.5, "stddev_percent": 9.0}, table)
    assert found == {
        "population": 30,
        "with_a_result": 1,
        "mean_percent": 61.5,
        "median_percent": 50,
        "stddev_percent": 9.0,
        "lowest_percent": 50,
        "highest_percent": 50,
    }


@pytest.mark.parametrize(("said", "shown"), [(0, 0), (7, 7), (None, 2), ("7", 2), (True, 2)])
def test_only_a_population_that_is_not_said_is_counted_from_the_users(said: Any, shown: int) -> None:
    found = facts({"population": said, "group_count": 0}, users({"user_id": "a"}, {"user_id": "b"}))
    assert found["population"] == shown
    assert "group_count" not in found


def test_a_group_with_scores_alone_has_figures_of_scores() -> None:
    assert facts({"population": 3, "mean_score": 12.5, "median_score": 12}, None) == {
        "population": 3,
        "mean_score": 12.5,
        "median_score": 12,
    }


@pytest.mark.parametrize(
    ("populations", "expected"),
    [((40, 60), {"population": 100}), ((40, None), {}), ((40, "60"), {}), ((40, 10**400), {}), ((), {})],
)
def test_only_what_every_group_says_is_summed_up(populations: tuple[Any, ...], expected: dict[str, int]) -> None:
    rows = [{"group_name": "g", "population": each, "median_percent": 50.0} for each in populations]
    assert total_row(Table(Kind.GROUPS, "groups", ("group_name", "population", "median_percent"), rows)) == expected
