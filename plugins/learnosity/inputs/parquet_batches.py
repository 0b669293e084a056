"""Fetches the rows of a query in batches of limited size: a small Parquet file may have a large text in every row."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import duckdb

# A batch ends as soon as it has `_ROWS` rows, or its texts have `_TEXT` characters together, whichever comes first.
_ROWS: Final = 8192
_TEXT: Final = 8 * 1024 * 1024
# The first call of DuckDB fetches 8 rows, because nobody knows yet how large a row is. If the rows are small, later
# calls fetch more, but at most 256.
_FETCH: Final = (8, 256)


def batches(result: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a result, in batches."""
    rows: list[tuple[Any, ...]] = []
    count, size = _FETCH[0], 0
    while fetched := result.fetchmany(count):
        rows += fetched
        got = _characters(fetched)
        size += got
        count = max(1, min(_FETCH[1], 2 * count, _TEXT * len(fetched) // (got + 1)))
        if size >= _TEXT or len(rows) >= _ROWS:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _characters(rows: list[tuple[Any, ...]]) -> int:
    """Characters of all texts in rows."""
    try:
        # This is the quickest way to count the characters. It raises TypeError if a cell is null or a list. Then each
        # cell is measured by itself.
        return len("".join(chain.from_iterable(rows)))
    except TypeError:
        cells = list(chain.from_iterable(rows))
    return sum(sum(map(len, filter(None, cell))) if isinstance(cell, list) else len(cell or "") for cell in cells)
