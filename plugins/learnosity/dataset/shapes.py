"""Recognises rows that are in a shape that is not read, so that nobody takes them for missing. Pure functions.

It goes by the names of fields: those that say what a row is about, and those that are results.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from learnosity.results.content import MEASURES
from learnosity.results.values import number

# In the file of a group, the rows of the groups above it stand under this key, for comparison. Each of these groups has
# a file of its own. So what is under this key is not counted: otherwise, the same group would be counted several times.
ANCESTORS = "ancestors"
# A row with one of these fields is about a group, a user or a question, so it is taken for a result. A row without any
# of them may be anything.
TELLING = frozenset(
    {"user_id", "group_name", "item_reference", "question_reference", "p_value", "discrimination_index"}
)
_OF_A_GROUP = frozenset({"user_id", "group_name"})
# The row of a question must have one of these fields, which say which question it is about. A row such as
# `{"p_value": 0.5}` has results, but nobody can tell of which question: `names_no_question` finds such a row.
_OF_A_QUESTION = frozenset(
    {"item_reference", "question_reference", "question_number", "item_position", "reference", "id"}
    | {"item_id", "question_id"}
)
_SUBJECTS = _OF_A_GROUP | _OF_A_QUESTION
# Names of lists of groups and users. Entries of such a list that have no ids are not read as rows of groups or users.
# If they have results, these would be missing in Parquet, and nobody would notice. `measure_without_id` finds such a
# list, so that the file can be refused.
_LISTS_OF_GROUPS = frozenset({"groups", "users", "students"})
_LISTS = _LISTS_OF_GROUPS | {"items", "questions"}
# In an object with rows by their ids, such as `{"u1": {…}, "u2": {…}}`, the keys are ids. The keys below are no ids,
# but names of fields, lists or single rows. So an object with one of them does not have rows by their ids.
_NO_IDS = MEASURES | _SUBJECTS | TELLING | _LISTS | {"data", "rows", "records", "results", "row", "group", "user"}
# A list with one of these names may have rows without names of columns, such as `"rows": [["u1", "5"], ["u2", "7"]]`.
# So in such a list, `has_names_apart` takes the text `"5"` for a number. In a list with another name, a text may be
# anything, so the number must be written as one: `["u1", 5]`.
_LISTS_OF_ROWS = _LISTS | {"rows", "data", "records", "results", "values", "cells"}
NAMES_APART = "rows apart from the names of their columns"
# Fields with a name for people. `_are_alike` ignores them, because some rows of a list may have them and others not.
_NAME_FIELDS = frozenset({"name", "title", "label"})
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

    Names with another delimiter than commas are looked for only in a row with one filled cell: beside others, such a
    cell is text.

    :param is_longer: whether the row has more cells than the first line. Otherwise it needs a second known name: one
        alone may be the value of a cell, such as in a list of fields with an explanation for each.
    """
    filled = [cell for cell in cells if cell.strip()]
    names = set(_names(filled[0]) if len(filled) == 1 else map(known, filled))
    if TELLING.isdisjoint(names):
        return False
    return is_longer or sum(name in TELLING or (is_measure(name) and " " not in name) for name in names) > 1


def _names(cell: str) -> list[str]:
    return [known(name) for name in _DELIMITERS.split(cell)]


def is_keyed(name: str, value: Mapping[str, Any]) -> bool:
    """Whether an object looks like rows by their ids, such as `{"users": {"u1": {"score": 1}}}`.

    One row with a documented measure is enough where the object is named like a list of rows. Otherwise it needs two,
    and nothing else. They have the same fields; or one measure in common, and no fields but measures, ids and names.

    :param name: the key of the object.
    """
    rows = [each[0] if isinstance(each, list) and each else each for each in value.values() if _is_nested(each)]
    if not all(isinstance(row, dict) and not _is_read(row) for row in rows):
        return False
    if any(known(key) in _NO_IDS or known(key).startswith("ancestor") for key in value):
        return False
    if not any(known(column) in MEASURES for row in rows for column in row):
        return False
    return name in _LISTS or (len(value) == len(rows) > 1 and _are_alike(rows))


def _are_alike(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether objects have the same fields, or seem to: a measure that one of them does not have may be optional."""
    fields = [frozenset(map(known, row)) for row in rows]
    if len(set(fields)) == 1:
        return True
    others = frozenset().union(*fields) - MEASURES - _SUBJECTS - _NAME_FIELDS
    return not MEASURES.isdisjoint(frozenset.intersection(*fields)) and all(each.endswith("_id") for each in others)


def keyed_rows(names: Iterable[str], *, beside_others: bool) -> str:
    """Says where a file has rows by their ids; "" = nowhere.

    :param names: the keys of what looks like such rows.
    :param beside_others: whether the file has rows that are read. Then what is not named like a list of rows may be a
        statistic.
    """
    found = next((name for name in names if name in _LISTS or not beside_others), None)
    return "" if found is None else f"rows by their ids in {found!a}" if found else "rows by their ids"


def keyed_in(value: Any, *, in_group: bool) -> str:
    """The key of rows by their ids anywhere in a value; "" = there are none. The key is named like a list of rows.

    :param in_group: whether the value is from the row of a group. Other objects than users and groups stay in it.
    """
    lists = _LISTS_OF_GROUPS if in_group else _LISTS
    left = [("", value)]
    while left:
        name, each = left.pop()
        if isinstance(each, dict):
            if name in lists and is_keyed(name, each):
                return name
            left += [(str(key), inner) for key, inner in each.items() if key != ANCESTORS]
        elif isinstance(each, list):
            left += [("", inner) for inner in each]
    return ""


def has_names_apart(value: Any) -> bool:
    """Whether a value has a list with the names of columns, and a list of their cells.

    Such a list names what a row is about and a measure. The cells have a text at the one place and a number at the
    other, and there are about as many of them. In a list that is named like one of rows, with just as many cells, the
    text may be an integer, and the number a text or null.
    """
    places: dict[int, set[tuple[int, int]]] = {}
    for _, each in _lists(value):
        of = next((at for at, texts in _texts(each) if not _SUBJECTS.isdisjoint(texts)), None)
        measured = next((at for at, texts in _texts(each) if any(map(is_measure, texts))), None)
        if of is not None and measured is not None:
            places.setdefault(len(each), set()).add((of, measured))
    return bool(places) and any(
        _are_cells(inner, places, of_rows=key in _LISTS_OF_ROWS) for key, each in _lists(value) for inner in each
    )


def is_by_column(row: Mapping[str, Any]) -> bool:
    """Whether an object has the cells of each column together, such as `{"user_id": ["u1"], "score": [1]}`."""
    return any(_is_nested(row[name]) for name in TELLING & row.keys()) and any(
        _is_nested(cell) for name, cell in row.items() if is_measure(name)
    )


def measure_without_id(name: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """A documented measure of rows that say nothing of what they are about, although they are results; "" = none.

    :param name: their key. A list of another name than of groups or users, such as of grades by score, is no result.
    """
    if name not in _LISTS_OF_GROUPS:
        return ""
    return next((column for row in rows for column in row if known(column) in MEASURES), "")


def names_no_question(row: Mapping[str, Any]) -> bool:
    """Whether a row of results of a question does not say which question it is about."""
    return all(row.get(name) is None for name in _OF_A_QUESTION)


def _lists(value: Any) -> Iterator[tuple[str, list[Any]]]:
    """The lists anywhere in a value, each with its key: `rows` for the value itself, and none in a list."""
    left: list[tuple[str, Any]] = [("rows", value)]
    while left:
        key, each = left.pop()
        if isinstance(each, list):
            yield key, each
            left += [("", inner) for inner in each if _is_nested(inner)]
        elif isinstance(each, dict):
            left += [(known(name), inner) for name, inner in each.items() if _is_nested(inner)]


def _texts(entries: list[Any]) -> Iterator[tuple[int, set[str]]]:
    """The texts of each entry of a list of names, such as "score" or {"name": "score", "label": "Score"}."""
    for at, entry in enumerate(entries):
        if isinstance(entry, str | dict):
            texts = entry.values() if isinstance(entry, dict) else (entry,)
            yield at, {known(text) for text in texts if isinstance(text, str)}


def _are_cells(value: Any, places: Mapping[int, set[tuple[int, int]]], *, of_rows: bool) -> bool:
    if not isinstance(value, list):
        return False
    pairs = (pair for more in (-1, 0, 1) for pair in places.get(len(value) + more, ()) if max(pair) < len(value))
    if any(isinstance(value[of], str) and isinstance(value[at], int | float) for of, at in pairs):
        return True
    return of_rows and any(_is_name(value[of]) and _may_be_measured(value[at]) for of, at in places.get(len(value), ()))


def _is_name(cell: Any) -> bool:
    return isinstance(cell, str | int) and not isinstance(cell, bool)


def _may_be_measured(cell: Any) -> bool:
    return cell is None or number(cell) is not None


def _is_read(row: Mapping[str, Any]) -> bool:
    """Whether an object is read as a row and says what it is about."""
    return not _OF_A_GROUP.isdisjoint(row) or (not TELLING.isdisjoint(row) and not names_no_question(row))


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list)
