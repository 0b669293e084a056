"""Recognises rows that are in a shape that is not read, so that nobody takes them for missing. Pure functions.

It goes by the names of fields: those that say what a row is about, and those that are results.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from learnosity.results.content import MEASURES

# A row with one of these fields is a row of groups, users or items.
TELLING = frozenset(
    {"user_id", "group_name", "item_reference", "question_reference", "p_value", "discrimination_index"}
)
_OF_A_GROUP = frozenset({"user_id", "group_name"})
# One of these fields says which question a row is about.
_OF_A_QUESTION = frozenset(
    {"item_reference", "question_reference", "question_number", "item_position", "reference", "id"}
    | {"item_id", "question_id"}
)
# Keys under which a file may have a list of results. The empty key stands for a list that is the whole file.
_LISTS = frozenset({"", "groups", "users", "items", "questions", "students", "data", "rows", "records", "results"})
_MEASURE_ENDS, _COUNTS = ("score", "percent"), ("count_", "num_")
_DELIMITERS = re.compile(r"[,;\t|]")


def known(column: str) -> str:
    """The spelling in which a name of a column is looked up."""
    return column.strip().casefold()


def is_measure(column: str) -> bool:
    """Whether a column has results, by its name."""
    return column in MEASURES or column.endswith(_MEASURE_ENDS) or column.startswith(_COUNTS)


def is_joined_header(columns: Iterable[str]) -> bool:
    """Whether names of known columns stand in one cell: they are separated by something else than commas."""
    return any(not TELLING.isdisjoint(names) for names in map(_names, columns) if len(names) > 1)


def is_like_header(cells: Iterable[str], *, is_longer: bool) -> bool:
    """Whether a row of CSV looks like names of columns. Then the first line was not the header.

    :param is_longer: whether the row has more cells than the first line. Otherwise it needs a second known name: one
        alone may be the value of a cell, such as in a list of fields with an explanation for each.
    """
    names = {name for cell in cells for name in _names(cell)}
    if TELLING.isdisjoint(names):
        return False
    return is_longer or sum(name in TELLING or is_measure(name) for name in names) > 1


def _names(cell: str) -> list[str]:
    return [known(name) for name in _DELIMITERS.split(cell)]


def is_keyed(name: str, value: Mapping[str, Any]) -> bool:
    """Whether an object looks like rows by their ids, such as `{"users": {"u1": {"score": 1}}}`.

    One such row is enough where the object is named like a list of rows. Otherwise it may be any object.

    :param name: the key of the object.
    """
    rows = [each[0] if isinstance(each, list) and each else each for each in value.values() if _is_nested(each)]
    if not all(isinstance(row, dict) and not _is_read(row) for row in rows):
        return False
    return sum(any(map(is_measure, row)) for row in rows) >= (1 if name and name in _LISTS else 2)


def holds_keyed(value: Any) -> bool:
    """Whether there are rows by their ids anywhere in a value, below a key that is named like a list of rows."""
    left = [("", value)]
    while left:
        name, each = left.pop()
        if isinstance(each, dict):
            if name in _LISTS - {""} and is_keyed(name, each):
                return True
            left += each.items()
        elif isinstance(each, list):
            left += [("", inner) for inner in each]
    return False


def has_names_apart(value: Any) -> bool:
    """Whether a value has lists of cells, and the name of a known column among its texts, such as for these lists."""
    left, lists, names = [value], False, False
    while left and not (lists and names):
        each = left.pop()
        if isinstance(each, str):
            names = names or known(each) in TELLING
        elif isinstance(each, dict):
            left += each.values()
        elif isinstance(each, list):
            lists = lists or any(isinstance(inner, list) and inner for inner in each)
            left += each
    return lists and names


def is_by_column(row: Mapping[str, Any]) -> bool:
    """Whether an object has the cells of each column together, such as `{"user_id": ["u1"], "score": [1]}`."""
    return any(_is_nested(row[name]) for name in TELLING & row.keys()) and any(
        _is_nested(cell) for name, cell in row.items() if is_measure(name)
    )


def is_list_of_results(name: str, rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether rows that say nothing of what they are about are results all the same.

    :param name: their key. A list of another name, such as of grades by score, is none of results.
    """
    return name in _LISTS and any(known(column) in MEASURES for row in rows for column in row)


def names_no_question(row: Mapping[str, Any]) -> bool:
    """Whether a row of results of a question does not say which question it is about."""
    return all(row.get(name) is None for name in _OF_A_QUESTION)


def _is_read(row: Mapping[str, Any]) -> bool:
    """Whether an object is read as a row and says what it is about."""
    return not _OF_A_GROUP.isdisjoint(row) or (not TELLING.isdisjoint(row) and not names_no_question(row))


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list)
