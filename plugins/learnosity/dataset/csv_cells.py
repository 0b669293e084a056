"""Reads the cells of CSV, and tells which of them would be lost. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from sys import float_info
from typing import Any

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
_EXACT = float_info.dig  # a float keeps so many digits of any number
_WHOLE = 2**53  # up to here, a float has every whole number


class Header:
    """The names of the columns."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._has_one_twice = len(set(names)) < len(names)

    def loses(self, row: Sequence[str]) -> bool:
        """Whether a cell with a value is in no column, or in one that has another value of the same row."""
        if any(row[len(self.names) :]):
            return True
        if not self._has_one_twice:
            return False
        kept = dict(zip(self.names, row, strict=False))  # the last cell of a name counts
        return any(value and kept[name] != value for name, value in zip(self.names, row, strict=False))


def cell(value: Any) -> Any:
    """The value of a cell. It is a number only if it is written like one in JSON: 007 and 2026_1 stay texts.

    A number with more whole digits than a float can hold stays a text, too. Of a fraction, a float has 15 digits.
    """
    number = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if number is None:
        return value or None
    if not (number[1] or number[2] or value == "-0"):
        return int(value)
    found = float(value)  # also of -0, because a whole number has no sign without a value
    if len(value) <= _EXACT or float_info.min <= abs(found) < _WHOLE or Decimal(repr(found)) == Decimal(value):
        return found
    return value
