"""The statistics that datasets hold (docs/learnosity-api.md, "Initialise a dataset"), as pure functions of numbers.

Percentiles interpolate linearly at rank p*(n-1) (type 7), and the standard deviation is that of a population. Neither
is known of the real API (U24), so there is an alternative for each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal


def percentile(ordered: Sequence[float], percent: float, method: Literal["type7", "type6"] = "type7") -> float | None:
    """A percentile of values in ascending order; None when there are none.

    :param percent: 0 to 100.
    :param method: `type7` has rank p*(n-1), `type6` rank p*(n+1)-1, both counted from 0.
    """
    if not ordered:
        return None
    share = percent / 100
    rank = share * (len(ordered) - 1) if method == "type7" else share * (len(ordered) + 1) - 1
    rank = min(max(rank, 0.0), len(ordered) - 1.0)
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)


def mean(values: Sequence[float]) -> float | None:
    """The arithmetic mean; None when there are no values."""
    return math.fsum(values) / len(values) if values else None


def stddev(values: Sequence[float], method: Literal["population", "sample"] = "population") -> float | None:
    """The standard deviation; None when too few values are given to have one."""
    divisor = len(values) - (method == "sample")
    if divisor < 1:
        return None
    centre = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / divisor)


def discrimination_index(ratios_by_total: Sequence[float]) -> float | None:
    """How much better the best 27 % did on an item than the weakest 27 %, -1 to 1.

    :param ratios_by_total: score/max_score on the item, users in ascending order of whole-test score.
    """
    if not ratios_by_total:
        return None
    size = max(1, round(0.27 * len(ratios_by_total)))
    weakest, best = ratios_by_total[:size], ratios_by_total[-size:]
    return (math.fsum(best) - math.fsum(weakest)) / size


def rounded(value: float | None) -> float | None:
    """To four decimals, so that the bytes of a result are the same on every machine."""
    return None if value is None else round(value, 4)
