"""The texts of the cells of a table. The numbers of a column have the same number of decimals, so that they line up."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isfinite
from typing import Any

from learnosity.dataset.tables import is_number, json_text

MAX_CELL = 1_000  # a longer text in a cell is cut to this many characters
_JSON_CELL = 500
# The page that compares two datasets adds these endings to names of columns: `mean_percent_change`. An ending is
# removed before a name is looked up in `_COUNTS` and `_DECIMALS`, so this column gets the decimals of `mean_percent`.
_STATISTIC = re.compile("_(change|before)$")
# A negative number is shown with this sign and not with a hyphen. This sign is as wide as a plus sign, so the numbers
# of a column line up.
MINUS = "\N{MINUS SIGN}"
# The page aligns columns of numbers to the right. If a column has no value at all, its name decides (`is_statistic`):
# it counts as a column of numbers if its name begins with one of these texts, such as `count_sessions`, or ends with a
# key of `_DECIMALS` or with "score".
_COUNTS = ("population", "difference_", "count_", "num_")
# A number as large as this (or as far below zero) gets no separators and no fixed decimals: with them, 1e300 would have
# more than 400 characters, and Python fails for an integer like 10**400. So a large float is shown with an exponent,
# such as 1e+15, and a large integer as its digits, cut after `MAX_CELL` of them.
_LARGEST = 1e15
_DECIMALS = {"_percent": 1, "percent": 1, "_score": 2, "p_value": 3, "_if_attempted": 3, "discrimination_index": 3}


def decimals(column: str, values: Iterable[Any]) -> int:
    """How many decimals the numbers of a column have: none for whole numbers; else by its name, or by their size."""
    numbers = [abs(value) for value in values if is_number(value) and abs(value) < _LARGEST]
    if all(number == int(number) for number in numbers):
        return 0
    named = next((places for end, places in _DECIMALS.items() if _STATISTIC.sub("", column).endswith(end)), None)
    return named if named is not None else 4 if max(numbers) < 1 else 2


def is_statistic(column: str) -> bool:
    """Whether a column has numbers by its name; it need not have any value."""
    plain = _STATISTIC.sub("", column)
    return plain.startswith(_COUNTS) or plain.endswith((*_DECIMALS, "score"))


def cell_text(value: Any, places: int = 0, *, signed: bool = False) -> str:
    """The text of a cell. Numbers have separators for thousands; objects and lists are JSON.

    :param places: decimals of a number.
    :param signed: whether a number above zero has a plus.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_number(value):
        return _number(value, places, signed=signed)
    if isinstance(value, str):
        return value if len(value) <= MAX_CELL else f"{value[:MAX_CELL]}…"
    return json_text(value, _JSON_CELL) or "nested too deeply"


def _number(value: int | float, places: int, *, signed: bool) -> str:
    if isinstance(value, int) and abs(value) >= _LARGEST:
        text = json_text(value, MAX_CELL + 1)
        return f"{text[:MAX_CELL]}…" if len(text) > MAX_CELL else text
    if not isfinite(value) or abs(value) >= _LARGEST:
        return f"{value:g}"
    text = f"{value:+,.{places}f}" if signed else f"{value:,.{places}f}"
    # If rounding leaves only zeros, the sign is removed: -0.001 with two decimals is shown as 0.00, and not as -0.00.
    return text.lstrip("+-") if not any(digit in text for digit in "123456789") else text.replace("-", MINUS)
