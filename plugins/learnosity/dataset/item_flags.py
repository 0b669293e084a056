"""What stands out among the questions of an analysis: too hard, too easy, or a weak or negative discrimination.

`p_value` is the mean share of the points, 0 to 1. `discrimination_index` is the p-value of the best 27 % of users less
that of the weakest 27 %, -1 to 1 (docs/learnosity-api.md). Any value may stand in a file. Pure functions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Any

from learnosity.dataset.tables import is_number

P_VALUE, DISCRIMINATION = "p_value", "discrimination_index"
# Discrimination compares the best 27 % of users with the weakest 27 %. If a question has fewer sessions than this,
# fewer than 27 users are compared with fewer than 27 others. Then the value is not reliable, and pages say so.
FEW_SESSIONS = 100
BINS = 20  # number of bars in the histogram of p-values


class Flag(StrEnum):
    """What stands out about a question."""

    KEY = "key"
    """Strong users do worse than weak users: the key may be wrong."""
    ODD = "odd"
    """A value that the statistic cannot have."""
    POOR = "poor"
    HARD = "hard"
    EASY = "easy"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on a question is flagged.

    :param hard: a p-value below this is too hard. Default 0.3.
    :param easy: a p-value above this is too easy. Default 0.9.
    :param poor: a discrimination below this is poor. Default 0.2, as Learnosity says.
    """

    hard: float = 0.3
    easy: float = 0.9
    poor: float = 0.2


@dataclass(frozen=True, slots=True)
class Spread:
    """The mean and the median of some numbers."""

    mean: float
    median: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The questions of an analysis as a whole.

    :param flagged: how many have a flag.
    :param flags: how many have each flag; a question may have several.
    :param p_value: of the questions that have one; None = no question has.
    :param sessions: the fewest and the most sessions of a question; None = not known.
    :param few: questions with fewer than `FEW_SESSIONS` sessions.
    """

    questions: int
    flagged: int
    flags: Mapping[Flag, int]
    p_value: Spread | None
    discrimination: Spread | None
    sessions: tuple[int, int] | None
    few: int


def flags(row: Mapping[str, Any], at: Thresholds) -> tuple[Flag, ...]:
    """The flags of a question, the most urgent first. A value that is missing has none."""
    p, index = row.get(P_VALUE), row.get(DISCRIMINATION)
    of_p = _of_p_value(p, at) if is_number(p) else None
    of_index = _of_discrimination(index, at) if is_number(index) else None
    # The most urgent flag comes first: an impossible p-value, because it means that the data are wrong. Otherwise it is
    # the flag of the discrimination: the answer key may be wrong, so that a wrong answer counts as the right one. That
    # is more urgent than a question that is only hard or easy.
    found = (of_p, of_index) if of_p is Flag.ODD else (of_index, of_p)
    return tuple(flag for flag in dict.fromkeys(found) if flag)


def has_few_sessions(row: Mapping[str, Any]) -> bool:
    """Whether a question has too few sessions for its discrimination to mean much."""
    count = row.get("count_sessions")
    return is_number(count) and 0 <= count < FEW_SESSIONS


def summary(rows: Sequence[Mapping[str, Any]], at: Thresholds) -> Summary:
    """The questions as a whole."""
    found = [flags(row, at) for row in rows]
    counts = [count for row in rows if isinstance(count := row.get("count_sessions"), int) and 0 <= count < 2**63]
    return Summary(
        len(rows),
        sum(map(bool, found)),
        Counter(flag for several in found for flag in several),
        spread(p_values(rows)),
        spread(discriminations(rows)),
        (min(counts), max(counts)) if counts else None,
        sum(map(has_few_sessions, rows)),
    )


def _of_p_value(value: float, at: Thresholds) -> Flag | None:
    if not 0 <= value <= 1:
        return Flag.ODD
    return Flag.HARD if value < at.hard else Flag.EASY if value > at.easy else None


def _of_discrimination(value: float, at: Thresholds) -> Flag | None:
    if not -1 <= value <= 1:
        return Flag.ODD
    return Flag.KEY if value < 0 else Flag.POOR if value < at.poor else None


def p_values(rows: Iterable[Mapping[str, Any]]) -> list[float]:
    """The p-values that can be one."""
    return [float(p) for row in rows if is_number(p := row.get(P_VALUE)) and 0 <= p <= 1]


def discriminations(rows: Iterable[Mapping[str, Any]]) -> list[float]:
    """The discrimination indexes that can be one."""
    return [float(index) for row in rows if is_number(index := row.get(DISCRIMINATION)) and -1 <= index <= 1]


def spread(values: Sequence[float]) -> Spread | None:
    """The mean and the median; None of no numbers."""
    return Spread(math.fsum(values) / len(values), median(values)) if values else None


def histogram(values: Iterable[float], bins: int = BINS) -> tuple[int, ...]:
    """How many of these numbers, 0 to 1, lie in each of `bins` equal parts. The last part has its upper end, too."""
    counts = [0] * bins
    for value in values:
        # A computed value may be slightly too small: 0.35 - 0.2 is 0.14999999999999997. Without the 1e-9, it would be
        # counted in the next lower bin.
        counts[min(int(value * bins + 1e-9), bins - 1)] += 1
    return tuple(counts)
