"""The columns of a Parquet file: their names, also nested ones, and how each is read as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from learnosity.inputs.columns import Column, ColumnError

_WHOLE: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_AS_TEXT: Final = (*_WHOLE, "UHUGEINT", "UUID", "DATE")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f]")
BINARY: Final = ("BLOB", "BLOB[]")
"""Types of columns that are read as bytes: old writers write text so, without saying that it is text."""


def paths_of(schema: tuple[Any, ...]) -> list[tuple[int, tuple[str, ...]]]:
    """Index and name of each column. A nested column `groups` is left out: its fields stand behind all columns instead.

    :param schema: elements in the order of the file, each before its children; the first one is the whole row.
    """
    columns: list[tuple[int, tuple[str, ...]]] = []
    fields: list[tuple[int, tuple[str, ...]]] = []
    at = 1
    for index in range(schema[0][1] or 0):
        name, children, _, *kinds = schema[at]
        end = _skip(schema, at)
        # If `groups` is a struct, its children are fields, which are read like columns. A list or a map has children,
        # too, but they are not fields. Lists and maps have a converted type or a logical type (the first two of
        # `kinds`); structs have neither.
        if name.casefold() == "groups" and children and not any(kinds[:2]):
            at += 1
            while at < end:
                fields.append((index, (name, schema[at][0])))
                at = _skip(schema, at)
        else:
            columns.append((index, (name,)))
        at = end
    return [*columns, *fields]


def _skip(schema: tuple[Any, ...], at: int) -> int:
    """The index after a schema element and all its children."""
    open_ = 1
    while open_:
        open_ += (schema[at][1] or 0) - 1
        at += 1
    return at


def as_text(place: str, kind: str, column: Column) -> str:
    """The SQL expression that reads a column as text, or as bytes if its type is one of `BINARY`."""
    if kind == "BLOB" or (kind == "BLOB[]" and column.many):
        return place
    if kind in ("VARCHAR", "JSON") or (kind in ("VARCHAR[]", "UUID[]") and column.many):
        return f"{place}::VARCHAR[]" if kind == "UUID[]" else place
    has_text = kind in (*_AS_TEXT, '"NULL"') or (kind.startswith("DECIMAL") and kind.endswith(",0)"))
    if has_text or kind.startswith("ENUM"):
        return f"{place}::VARCHAR"
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        raise ColumnError(f'column "{column.name}" is nested ({kind.partition("(")[0]}): write a column of text')
    raise ColumnError(
        f'column "{column.name}" is of type {kind.partition("(")[0]}, which has no text of its own: cast it to text in '
        "the query that writes the file"
    )


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def texts(cells: Sequence[Any]) -> tuple[list[Any], int | None]:
    """Cells with bytes, or with lists of bytes, as texts; and the index of the first one that is no text.

    The bytes of a number or of a UUID are no UTF-8, or hold control characters.
    """
    found: list[Any] = []
    for place, cell in enumerate(cells):
        try:
            text = list(map(_text, cell)) if isinstance(cell, list) else _text(cell)
        except ValueError:
            return found, place
        found.append(text)
    return found, None


def no_text(column: Column) -> str:
    """The problem of a column of bytes that are no text."""
    return (
        f'column "{column.name}" is of type BINARY, and its bytes are no text: cast it to text in the query that '
        "writes the file"
    )


def _text(cell: bytes | None) -> str | None:
    """The text that bytes are.

    :raises ValueError: they are no text.
    """
    text = None if cell is None else str(cell, "utf-8")
    if text and not text.isprintable() and _CONTROL.search(text):
        raise ValueError
    return text
