"""The statistics against hand-computed values and the standard library."""

from __future__ import annotations

import statistics as stdlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.statistics import discrimination_index, mean, percentile, rounded, stddev

numbers = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50)


@pytest.mark.parametrize(
    ("percent", "type7", "type6"), [(0, 10, 10), (25, 17.5, 12.5), (50, 25, 25), (75, 32.5, 37.5), (99, 39.7, 40)]
)
def test_percentiles_of_four_values_by_hand(percent: float, type7: float, type6: float) -> None:
    assert percentile([10, 20, 30, 40], percent) == pytest.approx(type7)
    assert percentile([10, 20, 30, 40], percent, "type6") == pytest.approx(type6)


def test_the_published_sample_has_a_fraction_that_only_type_7_gives() -> None:
    # 92 scores in steps of 5: p25 lies 0.75 of the way between the 23rd and the 24th.
    scores = sorted([40.0] * 23 + [45.0] * 69)
    assert percentile(scores, 25) == 43.75


@given(numbers)
def test_percentiles_agree_with_the_inclusive_and_exclusive_quantiles_of_the_standard_library(
    values: list[float],
) -> None:
    values.sort()
    ours = [percentile(values, percent) for percent in (25, 50, 75)]
    assert ours == pytest.approx(stdlib.quantiles(values, n=4, method="inclusive"), abs=1e-6)
    within = [min(max(q, values[0]), values[-1]) for q in stdlib.quantiles(values, n=4, method="exclusive")]
    assert [percentile(values, percent, "type6") for percent in (25, 50, 75)] == pytest.approx(within, abs=1e-6)


@given(numbers, st.integers(0, 99), st.integers(0, 99))
def test_a_higher_percentile_is_never_lower(values: list[float], one: int, other: int) -> None:
    values.sort()
    low, high = percentile(values, min(one, other)), percentile(values, max(one, other))
    assert low is not None
    assert high is not None
    assert values[0] <= low <= high + 1e-9
    assert high <= values[-1] + 1e-9


@given(numbers)
def test_mean_and_spread_agree_with_the_standard_library(values: list[float]) -> None:
    assert mean(values) == pytest.approx(stdlib.fmean(values), abs=1e-6)
    assert stddev(values) == pytest.approx(stdlib.pstdev(values), abs=1e-3)
    assert stddev(values, "sample") == pytest.approx(stdlib.stdev(values), abs=1e-3)


def test_nothing_has_no_statistics() -> None:
    assert percentile([], 50) is None
    assert mean([]) is None
    assert stddev([]) is None
    assert stddev([1.0], "sample") is None
    assert discrimination_index([]) is None
    assert rounded(None) is None


def test_discrimination_compares_the_best_and_weakest_27_percent() -> None:
    # 10 users, so 3 at either end (0.27 * 10 = 2.7): best 3 of 3, weakest 1 of 3.
    assert discrimination_index([0, 1, 0, 1, 0, 1, 0, 1, 1, 1]) == pytest.approx(2 / 3)
    assert discrimination_index([1] * 10) == 0
    assert discrimination_index([0, 1]) == 1


@given(st.lists(st.floats(0, 1), min_size=1))
def test_discrimination_lies_between_minus_one_and_one(ratios: list[float]) -> None:
    value = discrimination_index(ratios)
    assert value is not None
    assert -1 <= value <= 1
