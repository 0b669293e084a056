"""What stands out among the questions of an analysis, and their histogram."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.dataset.item_flags import BINS, Flag, Thresholds, flags, histogram, p_values, summary

USUAL = Thresholds()
SHARES = st.floats(0, 1)
# What may stand in a file in place of a number.
CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=5),
    st.integers(),
    st.just(10**400),
    st.just(-(10**400)),
    st.floats(),
    st.lists(st.integers(), max_size=2),
)
FIELDS = ("p_value", "discrimination_index", "count_sessions")
ROWS = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, CELLS)), max_size=8)


@pytest.mark.parametrize(
    ("p_value", "discrimination", "expected"),
    [
        (0.6, 0.4, ()),
        (0.3, 0.2, ()),  # a threshold itself is not beyond it
        (0.9, 0.2, ()),
        (0.29, 0.4, (Flag.HARD,)),
        (0.91, 0.4, (Flag.EASY,)),
        (0.6, 0.19, (Flag.POOR,)),
        (0.6, 0.0, (Flag.POOR,)),
        (0.6, -0.01, (Flag.KEY,)),
        (0.1, -0.3, (Flag.KEY, Flag.HARD)),
        (0.95, 0.1, (Flag.POOR, Flag.EASY)),
        (62.0, 0.4, (Flag.ODD,)),
        (-0.1, 1.5, (Flag.ODD,)),
        (math.nan, math.inf, (Flag.ODD,)),
        (10**400, -(10**400), (Flag.ODD,)),
        (None, None, ()),
        ("0.1", True, ()),
    ],
)
def test_a_question_has_the_flags_of_its_numbers(p_value: Any, discrimination: Any, expected: tuple[Flag, ...]) -> None:
    assert flags({"p_value": p_value, "discrimination_index": discrimination}, USUAL) == expected


def test_a_question_without_numbers_has_no_flag() -> None:
    assert flags({}, USUAL) == ()


@given(SHARES, SHARES, st.floats(-1, 1), SHARES, st.floats(-1, 1))
def test_thresholds_decide(one: float, other: float, poor: float, p_value: float, discrimination: float) -> None:
    at = Thresholds(min(one, other), max(one, other), poor)
    found = flags({"p_value": p_value, "discrimination_index": discrimination}, at)
    assert (Flag.HARD in found) == (p_value < at.hard)
    assert (Flag.EASY in found) == (p_value > at.easy)
    assert (Flag.KEY in found) == (discrimination < 0)
    assert (Flag.POOR in found) == (0 <= discrimination < poor)


@given(ROWS)
def test_whatever_stands_in_the_rows_the_summary_counts_every_one(rows: list[dict[str, Any]]) -> None:
    found = summary(rows, USUAL)
    assert found.questions == len(rows)
    assert max(found.flags.values(), default=0) <= found.flagged <= len(rows)
    assert found.flagged <= sum(found.flags.values())
    assert found.p_value is None or 0 <= found.p_value.mean <= 1
    assert found.discrimination is None or -1 <= found.discrimination.median <= 1
    assert sum(histogram(p_values(rows))) == len(p_values(rows))


@given(st.lists(SHARES, max_size=50), st.integers(1, 40))
def test_every_number_is_in_one_bar(values: list[float], bins: int) -> None:
    counts = histogram(values, bins)
    assert len(counts) == bins
    assert sum(counts) == len(values)


@pytest.mark.parametrize("number", range(BINS + 1))
def test_a_bar_begins_with_its_lower_end_and_the_last_has_both(number: int) -> None:
    counts = histogram([round(number / BINS, 2)])
    assert counts.index(1) == min(number, BINS - 1)


def test_the_summary_says_how_many_and_how_hard() -> None:
    rows = [
        {"p_value": 0.2, "discrimination_index": 0.3, "count_sessions": 99},
        {"p_value": 0.5, "discrimination_index": -0.1, "count_sessions": 100},
        {"p_value": 0.8, "discrimination_index": 0.5, "count_sessions": 4_000},
    ]
    found = summary(rows, USUAL)
    assert (found.questions, found.flagged, found.few, found.sessions) == (3, 2, 1, (99, 4_000))
    assert dict(found.flags) == {Flag.HARD: 1, Flag.KEY: 1}
    assert found.p_value is not None
    assert (found.p_value.mean, found.p_value.median) == pytest.approx((0.5, 0.5))
