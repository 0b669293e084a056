"""Reads the rows of a CSV file. Pure functions."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

from learnosity.dataset.columns import is_id, kept_columns

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")


def csv_rows(text: str, most: int) -> tuple[Iterator[dict[str, Any]], int]:
    """The rows of CSV, and how many columns they leave out.

    :param most: at most so many columns are kept.
    :raises csv.Error: it is no CSV; the rows raise it, too.
    """
    lines = csv.reader(io.StringIO(text, newline=""))
    header = next(lines, [])
    kept = list(range(len(header))) if len(header) <= most else kept_columns(header, most)
    return _rows(lines, [(place, header[place], is_id(header[place])) for place in kept]), len(header) - len(kept)


def _rows(lines: Iterator[list[str]], columns: Sequence[tuple[int, str, bool]]) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(filter(None, lines)):
        if number == 0 and columns:
            # The first row is filled up with empty cells, because a table has only the columns that its rows have. Any
            # other row with few cells stays short. If each row were filled up to the length of the header, a header of
            # a million names would fill the memory.
            row += [""] * (columns[-1][0] + 1 - len(row))
        yield {
            name: (row[place] or None) if keeps_text else _cell(row[place])
            for place, name, keeps_text in columns
            if place < len(row)
        }


def _cell(value: Any) -> Any:
    # A cell becomes a number only if it is written like a number in JSON. 007 and 2026_1 stay texts.
    number = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if number is None:
        return value or None
    return float(value) if number[1] or number[2] else int(value)
