"""Recognises what a result file contains by the names of its fields, because its format is not documented.

Rows with `group_name` are groups, rows with `user_id` are users, and rows with item fields are items. Other content is
shown as it is: as a plain table or as text. Pure functions, without I/O.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeGuard
from urllib.parse import unquote

import msgspec

MAX_DEPTH = 4  # tables are searched in this many levels of nested objects
MAX_COLUMNS = 60  # a table of the page shows this many columns and drops the others
POOR_DISCRIMINATION = 0.2  # an item with a lower index is poor ("Initialise a dataset" in docs/learnosity-api.md)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
_TEXT_AND_NUMBER = re.compile(r"([^0-9]*)([0-9]{0,18})")
_ITEM_FIELDS = frozenset({"item_reference", "question_reference", "p_value", "discrimination_index"})


class Kind(StrEnum):
    """What the rows of a table describe."""

    GROUPS = "groups"
    USERS = "users"
    ITEMS = "items"
    PLAIN = "rows"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that were found in a document.

    :param name: key of the rows in the document; "" when they are the document itself.
    """

    kind: Kind
    name: str
    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a file: its tables, or its text when it has none."""

    tables: tuple[Table, ...] = ()
    text: str = ""

    def first(self, kind: Kind) -> Table | None:
        """The longest table of a kind; None when no table has this kind. `ancestors`, the groups above, is ignored."""
        found = (table for table in self.tables if table.kind is kind and table.name != "ancestors")
        # `group` and `user` describe only the group or user of the page, so any other table is preferred to them.
        return max(found, key=lambda table: (table.name not in ("group", "user"), len(table.rows)), default=None)


def read_document(path: str, content: bytes) -> Document:
    """Read a file as NDJSON or CSV if its name ends like that, else as JSON. Other content is text."""
    name = path.lower()
    try:
        if name.endswith((".ndjson", ".jsonl")):
            rows = [row for row in msgspec.json.Decoder().decode_lines(content) if isinstance(row, dict)]
            return _document([_table("", rows)] if rows else [], content)
        if name.endswith(".csv"):
            rows = list(_csv(content.decode("utf-8-sig")))
            return _document([_table("", rows)] if rows else [], content)
        value = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, csv.Error):
        return Document(text=content.decode("utf-8", "replace"))
    return _document(list(_tables("", value, 0)), msgspec.json.format(content))


def group_files(paths: Iterable[str]) -> dict[tuple[str, ...], str]:
    """The JSON file of every group, by group path. The folders of a file are named like the groups of its path.

    The JSON file with the fewest folders describes the root, `()`. A group is described by a file of the same name in
    the group's folder, or by a file that is named like the group. Names may be percent-encoded.
    """
    files = [path for path in paths if path.lower().endswith(".json")]
    root = min(files, key=lambda path: (path.count("/"), len(path), path), default=None)
    if root is None:
        return {}
    folder, slash, name = root.rpartition("/")
    found: dict[tuple[str, ...], str] = {(): root}
    for path in files:
        if path == root or not path.startswith(folder + slash):
            continue
        parts = path[len(folder + slash) :].split("/")
        steps = parts[:-1] if parts[-1] == name else [*parts[:-1], parts[-1].removesuffix(".json")]
        for group_path in (tuple(steps), tuple(map(unquote, steps))):
            found.setdefault(group_path, path)
    return found


def is_id(column: str) -> bool:
    """Whether a column has names or ids. These are texts, even if they look like numbers: `007` and `1e5`."""
    return column == "id" or column.endswith(("_id", "_ids", "_name", "_reference", "_references"))


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a cell is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_poor(row: Mapping[str, Any]) -> bool:
    """Whether an item does not separate strong and weak users well: its discrimination index is below 0.2."""
    value = row.get("discrimination_index")
    return is_number(value) and float(value) < POOR_DISCRIMINATION


def sorted_rows(rows: Sequence[Mapping[str, Any]], column: str, *, descending: bool) -> list[Mapping[str, Any]]:
    """Rows sorted by a column. Numbers in texts are compared too: `a_2` comes before `a_10`. Empty cells come last."""

    def key(row: Mapping[str, Any]) -> tuple[int, float, list[tuple[str, int, int]]]:
        value = row.get(column)
        if is_number(value):
            return 0, float(value), []
        # Texts are compared by the text before a number, then by the number, then by its digits (`1` before `01`).
        return (
            1,
            0.0,
            [(text, int(digits or 0), len(digits)) for text, digits in _TEXT_AND_NUMBER.findall(str(value).casefold())],
        )

    full = [row for row in rows if row.get(column) not in (None, "")]
    empty = [row for row in rows if row.get(column) in (None, "")]
    return [*sorted(full, key=key, reverse=descending), *empty]


def _document(tables: list[Table], content: bytes) -> Document:
    return Document(tuple(tables)) if tables else Document(text=content.decode("utf-8", "replace"))


def _tables(name: str, value: Any, depth: int) -> Iterator[Table]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, list):
        rows = [row for row in value if isinstance(row, dict)]
        if rows and len(rows) == len(value):
            yield _table(name, rows)
    elif isinstance(value, dict):
        if _kind(value) is not Kind.PLAIN or not any(isinstance(each, dict | list) for each in value.values()):
            yield _table(name, [value])
            return
        for key, each in value.items():
            yield from _tables(str(key), each, depth + 1)


def _table(name: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = list(dict.fromkeys(str(key) for row in rows for key in row))[:MAX_COLUMNS]
    kind = _kind(rows[0])
    first = {Kind.GROUPS: ("group_name",), Kind.USERS: ("user_id",), Kind.ITEMS: ("item_reference",)}.get(kind, ())
    return Table(kind, name, tuple(sorted(columns, key=lambda column: column not in first)), rows)


def _kind(row: Mapping[str, Any]) -> Kind:
    if "group_name" in row:
        return Kind.GROUPS
    if "user_id" in row:
        return Kind.USERS
    return Kind.ITEMS if _ITEM_FIELDS & row.keys() else Kind.PLAIN


def _csv(text: str) -> Iterator[dict[str, Any]]:
    for row in csv.DictReader(io.StringIO(text, newline="")):
        yield {
            str(key): (value or None) if is_id(str(key)) else _cell(value)
            for key, value in row.items()
            if key is not None
        }


def _cell(value: Any) -> Any:
    # A cell is a number only if JSON would write it like this: 007 and 2026_1 stay texts.
    number = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if number is None:
        return value or None
    return float(value) if number[1] or number[2] else int(value)
