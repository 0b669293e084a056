"""Turns rows of tables into records. Whole columns are checked; single rows only if their column has a problem."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import UNSET

from learnosity.inputs.columns import GROUPS, Column, ColumnError, all_columns, find_columns
from learnosity.inputs.records import RecordSchema, level_above_nothing
from learnosity.inputs.sessions import only_session

MAX_CELL: Final = 131_072
"""Maximum number of characters of one cell."""

_DELIMITER: Final = re.compile(r"[,;\t|]")

Values = Sequence[Any]
"""The values of one column: texts, or None, or UNSET; for session ids also lists of texts."""


class RowSchema:
    """What the rows of a table must look like, and the records that they make.

    :param schema: what a record must look like.
    """

    def __init__(self, schema: RecordSchema) -> None:
        self.schema = schema

    def find(self, names: Sequence[str], *, in_text: bool = False) -> tuple[Column, ...]:
        """The columns that become keys of the records.

        :param in_text: as for `find_columns`.
        :raises ColumnError: they are not there, or the table has none of them.
        """
        schema = self.schema
        if not schema.fields:
            return all_columns(names, schema.group_keys, schema.input_columns)
        columns = find_columns(schema.fields, names, schema.input_columns, optional=schema.lenient, in_text=in_text)
        if not columns:
            known = ", ".join(field.key for field in schema.fields)
            raise ColumnError(
                f"it has none of the columns {known}. Say in input_columns which columns hold them",
                [field.own_names for field in schema.fields],
            )
        return columns

    def find_in_text(self, names: Sequence[str]) -> tuple[Column, ...]:
        """The same for a header that was split at one of the delimiters, which may be the wrong one.

        :raises ColumnError: as for `find`; or a type that takes every column has one, with a delimiter in its name.
        """
        columns = self.find(names, in_text=True)
        if not self.schema.fields and len(names) == 1 and _DELIMITER.search(names[0]) and not self.schema.input_columns:
            raise ColumnError("the name of its only column holds a delimiter: name the column in input_columns")
        return columns

    def check(self, columns: Sequence[Column], values: Sequence[Values]) -> tuple[dict[int, str], Sequence[Values]]:
        """The problems of rows: index of the row, and its first problem. Empty = there is none.

        :returns: also the values, with UNSET where a cell for a group is empty or null: the user is in no such group.
        """
        if self.schema.lenient or not self.schema.fields:
            return {}, values
        found, values = _one_session_each(columns, values)
        if not found and all(_is_good(cells, column) for column, cells in zip(columns, values, strict=True)):
            return {}, values
        checked: list[Values] = []
        for column, cells in zip(columns, values, strict=True):
            is_group = column.key.startswith(GROUPS)
            checked.append([cell or UNSET for cell in cells] if is_group else cells)
            for place, cell in enumerate(cells):
                if place not in found and (cell or not is_group) and (what := _wrong(cell, column)):
                    found[place] = f'column "{column.name}": {what}'
        return _without_parent(columns, checked) | found, checked


def _one_session_each(columns: Sequence[Column], values: Sequence[Values]) -> tuple[dict[int, str], Sequence[Values]]:
    """Where a record has one session: the problem of each row with a list, and the values with the ids alone."""
    found: dict[int, str] = {}
    changed = list(values)
    for number, column in enumerate(columns):
        if column.key == "session_id" and not column.many:
            changed[number] = [only_session(cell) if cell and cell.strip() else cell for cell in values[number]]
            for place, (cell, only) in enumerate(zip(values[number], changed[number], strict=True)):
                if cell and not only:
                    found[place] = f'column "{column.name}": the cell is a list: write a row for each session'
    return found, changed


def _without_parent(columns: Sequence[Column], values: Sequence[Values]) -> dict[int, str]:
    """The problem of each row that has a group of a level, and none of the level above it."""
    levels = [place for place, column in enumerate(columns) if column.key.startswith(GROUPS)]
    found = {}
    for place, path in enumerate(zip(*(values[level] for level in levels), strict=True)):
        if level := level_above_nothing(path):
            above, below = columns[levels[level - 1]].name, columns[levels[level]].name
            found[place] = f'column "{below}" has a group, and column "{above}", the level above it, has none'
    return found


def encode(columns: Sequence[Column], values: Sequence[Values]) -> bytes:
    """The records of rows: one line of JSON for each, with a newline at its end."""
    keys = tuple(column.key for column in columns)
    record, groups = _structs(keys)
    levels = [cells for key, cells in zip(keys, values, strict=True) if key.startswith(GROUPS)]
    parts: list[Any] = []
    for key, cells in zip(keys, values, strict=True):
        if not key.startswith(GROUPS):
            parts.append(cells)
        elif groups is not None and levels:
            parts.append(map(groups, *levels))
            levels = []
    return msgspec.json.Encoder().encode_lines(list(map(record, *parts)))


def take(values: Sequence[Values], places: Sequence[int]) -> list[Values]:
    """Columns with only the rows at `places`."""
    return [[cells[place] for place in places] for cells in values]


@cache
def _structs(keys: tuple[str, ...]) -> tuple[Any, Any]:
    """The structs of a record and of its groups; None = it has none. Keys are renamed: not each is a Python name."""
    levels = [key.removeprefix(GROUPS) for key in keys if key.startswith(GROUPS)]
    groups = _struct("Groups", levels) if levels else None
    flat = list(dict.fromkeys("groups" if key.startswith(GROUPS) else key for key in keys))
    return _struct("Record", flat), groups


def _struct(name: str, keys: Sequence[str]) -> Any:
    names: Mapping[str, str] = {f"field_{number}": key for number, key in enumerate(keys)}
    return msgspec.defstruct(name, [(field, Any) for field in names], rename=dict(names), gc=False)


def _is_good(cells: Values, column: Column) -> bool:
    try:
        lengths = list(map(len, cells))
    except TypeError:  # a cell is null: `len(None)` raises this error
        return False
    if lengths and not (min(lengths) > 0 and max(lengths) <= (column.most or MAX_CELL)):
        return False
    return column.many or column.key.startswith(GROUPS) or all(map(str.strip, cells))


def _wrong(cell: Any, column: Column) -> str:
    if cell is None:
        return "the cell is null"
    if not len(cell):
        return "the cell is empty"
    if not column.key.startswith(GROUPS) and isinstance(cell, str) and not cell.strip():
        return "the cell has blanks alone"
    most = column.most or MAX_CELL
    if len(cell) > most:
        return f"the cell has more than {most:,} characters"
    return ""
