"""The texts of cells: the numbers of a column line up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.dataset.key_figures import OF_GROUPS
from learnosity.dataset.tables import Kind, Table
from learnosity.web import tables
from learnosity.web.cells import MAX_CELL, cell_text, decimals, is_statistic

CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=5),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.lists(st.none(), max_size=2),
)


@pytest.mark.parametrize(
    ("column", "values", "texts"),
    [
        ("median_percent", [50.0, 43.75], ["50.0", "43.8"]),
        ("p_value", [0.5, 0.1234], ["0.500", "0.123"]),
        ("p_value_change", [0.5, -0.1234], ["0.500", "−0.123"]),
        ("mean_score", [1234.5, 3.25], ["1,234.50", "3.25"]),
        ("population", [12, 1200], ["12", "1,200"]),
        ("score", [3.0, 4.0], ["3", "4"]),
        ("share", [0.12345, 0.5], ["0.1235", "0.5000"]),
        ("seconds", [12.5, None, "late"], ["12.50", "", "late"]),
    ],
)
def test_the_numbers_of_a_column_have_the_same_decimals(column: str, values: list[Any], texts: list[str]) -> None:
    places = decimals(column, values)
    assert [cell_text(value, places) for value in values] == texts


@pytest.mark.parametrize(("value", "text"), [(1.25, "+1.2"), (-1.26, "−1.3"), (0, "0.0"), (-0.01, "0.0")])
def test_a_change_has_a_sign_but_for_none(value: float, text: str) -> None:
    assert cell_text(value, 1, signed=True) == text


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("more", [-1, 0, 1, 100])
def test_only_a_text_of_which_something_is_left_out_ends_with_dots(more: int, sign: str) -> None:
    written = sign + "7" * (MAX_CELL + more - len(sign))
    for value in (written, int(written)):
        assert cell_text(value) == written[:MAX_CELL] + ("…" if more > 0 else "")


@given(st.text(max_size=8), st.lists(CELLS, max_size=6))
def test_any_cell_has_a_short_text(column: str, values: list[Any]) -> None:
    places = decimals(column, values)
    for value in values:
        assert len(cell_text(value, places)) <= MAX_CELL + 1


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=6), st.sampled_from(["a_percent", "p_value", "score", "x"]))
def test_all_numbers_have_as_many_decimals_as_their_column(values: list[float], column: str) -> None:
    places = decimals(column, values)
    found = {len(match[1]) if (match := re.search(r"\.(\d+)$", cell_text(value, places))) else 0 for value in values}
    assert found == {places}


STATISTICS = [
    *(f"{name}_{unit}" for name in ("mean", "lowest", "p25", "stdev") for unit in ("percent", "score")),
    *("population", "score", "max_score", "percent", "difference_mean_percent", "count_sessions"),
    *("p_value", "discrimination_index", "p_value_change", "mean_percent_before"),
]


@pytest.mark.parametrize(
    "column",
    STATISTICS,
)
@pytest.mark.parametrize("value", [None, 1.5])
def test_a_statistic_stands_to_the_right_with_and_without_values(column: str, value: float | None) -> None:
    shown = tables.view(Table(Kind.GROUPS, "", ("group_name", column), [{column: value}]), caption="x")
    assert [each.numeric for each in shown.columns] == [False, True]


def test_names_and_ids_are_no_statistics() -> None:
    assert all(map(is_statistic, OF_GROUPS))
    assert not [name for name in ("group_name", "user_id", "item_reference", "note", "flags") if is_statistic(name)]


def test_points_at_the_ends_of_the_axis_are_drawn_whole() -> None:
    code = (Path(tables.__file__).parent / "static" / "scatter.js").read_text(encoding="utf-8")
    (clip,) = map(int, re.findall(r"clip: (\d+)", code))
    assert clip >= max(map(int, re.findall(r" radius: (\d+)", code))) + 3  # a point grows under the pointer
