"""Reads the rows of a CSV file, and tells whether some of its cells are in no column. Pure functions."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from sys import float_info
from typing import Any

from learnosity.dataset.columns import is_id, kept_columns
from learnosity.dataset.shapes import TELLING, is_like_header

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
_TELLING = re.compile("|".join(sorted(TELLING)), re.IGNORECASE)
# A decimal number with at most 15 significant digits is the same after it has become a float and is written again. So
# if a number with a point or an exponent has at most this many characters, `_cell` makes a float of it.
_EXACT = float_info.dig
# From this number on, a float may lose digits before the point: `9007199254740993.0` would become 9007199254740992. So
# `_cell` makes a float of a larger number only if the float is equal to it; otherwise the number stays a text. The
# same holds for numbers closer to 0 than `float_info.min`, because floats have fewer digits there. For numbers between
# these limits, a float is good enough: it keeps the first 15 digits.
_WHOLE = 2**53


class CsvRows:
    """The rows of CSV. The header is the first line with a cell that is not blank.

    :param text: the CSV; rows raise `csv.Error` if it is none.
    :param most: at most so many columns are kept.
    :ivar left_out: how many columns are left out.
    :ivar lost: whether cells of the rows so far are in no column.
    :ivar headed: what says that one of the rows so far looks like a header, with a row below it: the first line was
        none. "" = there is no such row.
    """

    def __init__(self, text: str, most: int) -> None:
        stream = io.StringIO(text, newline="")
        self._lines = csv.reader(stream)
        self._header = header = next((row for row in self._lines if any(map(str.strip, row))), [])
        self._may_be_headed = _TELLING.search(text, stream.tell()) is not None
        kept = list(range(len(header))) if len(header) <= most else kept_columns(header, most)
        self._columns = [(place, header[place], is_id(header[place])) for place in kept]
        self._has_one_twice = len(set(header)) < len(header)
        self.left_out = len(header) - len(kept)
        self.lost = False
        self.headed = ""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        width = self._columns[-1][0] + 1 if self._columns else 0
        above = ""  # says where the first row is that looks like a header; "" = no row so far does
        # `tables.kind_of` recognises the row of a user by the key `user_id`, and the row of a group by `group_name`. A
        # short row may have no cell for these columns. If the header has them, such a row gets them with the value
        # None, so that it has the same kind as the other rows.
        telling = {name: None for _, name, _ in self._columns if name in ("user_id", "group_name")}
        for number, row in enumerate(filter(None, self._lines)):
            if number == 0:
                # A table gets its columns from its rows. So the first row is filled up with empty cells, and the table
                # has every column of the header. Other short rows stay short: if the header has a million names, to
                # fill up every row would take too much memory.
                row += [""] * (width - len(row))
            self.lost = self.lost or self._loses(row)
            self.headed = self.headed or above
            if not above and self._may_be_headed and self._is_like_header(row):
                above = f"rows below names of columns in line {self._lines.line_num}"
            cells = {
                name: (row[place] or None) if keeps_text else _cell(row[place])
                for place, name, keeps_text in self._columns
                if place < len(row)
            }
            yield cells if len(row) >= width else telling | cells

    def _is_like_header(self, row: Sequence[str]) -> bool:
        return is_like_header(row, is_longer=_filled(row) > _filled(self._header))

    def _loses(self, row: Sequence[str]) -> bool:
        """Whether a cell with a value is in no column, or in one that has another value of the same row.

        Blanks alone are no value.
        """
        if any(map(str.strip, row[len(self._header) :])):
            return True
        if not self._has_one_twice:
            return False
        # If two columns have the same name, only the cell of the last one is kept. A different value in an earlier one
        # is lost.
        kept = dict(zip(self._header, row, strict=False))
        return any(value.strip() and kept[name] != value for name, value in zip(self._header, row, strict=False))


def _filled(row: Sequence[str]) -> int:
    return sum(map(bool, map(str.strip, row)))


def _cell(value: Any) -> Any:
    """The value of a cell. It is a number only if it is written like one in JSON: 007 and 2026_1 stay texts.

    An integer of more than 18 digits stays a text, too, and so does a number of which a float would lose digits before
    the point. Of a fraction, a float keeps the first 15 digits.
    """
    number = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if number is None:
        return value or None
    if not (number[1] or number[2] or value == "-0"):
        return int(value)
    found = float(value)  # -0 becomes a float as well, because an int cannot store the sign of zero
    if len(value) <= _EXACT or float_info.min <= abs(found) < _WHOLE or Decimal(repr(found)) == Decimal(value):
        return found
    return value
