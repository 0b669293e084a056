"""Which columns of a table are kept where it has too many, and which of them have names. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

MAX_NAME = 200  # maximum number of characters of a column's name; a column with a longer name is left out
# Columns that say which group, user or question a row is about. If a table has more columns than the limit, these are
# kept first. Then its other columns are kept, from left to right, until the limit is reached.
_NAMING = ("group_name", "user_id", "item_reference", "question_reference", "question_number")


def is_id(column: str) -> bool:
    """Whether a column has names or ids. These are texts, even if they look like numbers: `007` and `1e5`."""
    return column == "id" or column.endswith(("_id", "_ids", "_name", "_reference", "_references"))


def kept_columns(names: Sequence[str], limit: int) -> list[int]:
    """The places of the columns that are kept: those that say what a row is about, and then the first ones."""
    places = [place for place, name in enumerate(names) if len(name) <= MAX_NAME]
    if len(places) <= limit:
        return places
    return sorted(sorted(places, key=lambda place: names[place] not in _NAMING)[:limit])
