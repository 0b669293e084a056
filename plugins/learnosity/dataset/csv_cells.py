"""Reads the cells of CSV, and tells which of them would be lost. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")


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
    """The value of a cell. It is a number only if it is written like one in JSON: 007 and 2026_1 stay texts."""
    number = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if number is None:
        return value or None
    return float(value) if number[1] or number[2] else int(value)
