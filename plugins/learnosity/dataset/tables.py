"""Recognises what a result file contains by the names of its fields, because its format is not documented.

Rows with `group_name` are groups, rows with `user_id` are users, and rows with item fields are items. Other content is
shown as it is: as a plain table or as text. Pure functions, without I/O.
"""

from __future__ import annotations

import csv
import io
import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Any, TypeGuard

import msgspec

from learnosity.dataset.columns import kept_columns
from learnosity.dataset.csv_rows import CsvRows
from learnosity.dataset.json_values import Unread, json_value
from learnosity.dataset.limits import MAX_COLUMNS, WHOLE, Limits
from learnosity.dataset.shapes import ANCESTORS, NAMES_APART, TELLING, has_names_apart, is_keyed, keyed_rows

MAX_DEPTH = 4  # tables are looked for in at most this many levels of nested objects
MAX_TEXT = 200_000  # maximum number of characters that are shown of a file without tables
# When texts are sorted, numbers in them are compared by value: `a_2` comes before `a_10`. This is slow for long texts,
# and a page must not take long. So only numbers in the first 64 characters of a text are compared so.
_SORTED = 64
_DIGITS = re.compile(r"0*([0-9]+)")


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
    :param lone: whether it is one object, not a list of rows.
    :param left_out: how many more columns there are: too many, or with a name that is too long.
    :param keys: the keys above the rows in the document, from the top; the last one is `name`.
    """

    kind: Kind
    name: str
    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]
    lone: bool = False
    left_out: int = 0
    keys: tuple[str, ...] = field(default=(), compare=False)

    def has(self, column: str) -> bool:
        """Whether a row may have a value of this column, also if it is one that `columns` leaves out."""
        return column in self.columns or (self.left_out > 0 and any(column in row for row in self.rows))


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a file: its tables, or its text when it has none.

    :param cut: whether the file has more than this.
    :param unread: how many of its numbers are NaN or infinite; they are read as no value.
    :param broken: whether it is named like JSON or CSV but cannot be read as that.
    :param hidden: whether it may have rows that are in no table: beside other values in a list, or too deep.
    :param lost: whether it is CSV with cells that are in no column.
    :param odd: what looks like rows in a shape that is not read, for a message; "" = nothing.
    :param vacant: whether it has a list beside its tables, and all such lists are empty.
    """

    tables: tuple[Table, ...] = ()
    text: str = ""
    cut: bool = False
    unread: int = 0
    broken: bool = False
    hidden: bool = False
    lost: bool = False
    odd: str = ""
    vacant: bool = False

    def first(self, kind: Kind) -> Table | None:
        """The longest table of a kind; None when no table has this kind. `ancestors`, the groups above, is ignored."""
        found = (table for table in self.tables if table.kind is kind and table.name != ANCESTORS)
        # The tables `group` and `user` describe only the group or user that the file is about, so any other table is
        # preferred.
        return max(found, key=lambda table: (table.name not in ("group", "user"), len(table.rows)), default=None)


def read_document(path: str, content: bytes, *, cut: bool = False, limits: Limits = WHOLE) -> Document | None:
    """Read a file as NDJSON or CSV if its name ends like that, else as JSON. Other content is text.

    :param cut: whether `content` is only the start of the file.
    :returns: None when it is not shown: it is JSON, and cut or too large.
    """
    name = path.lower().removesuffix(".gz")
    body = content.removeprefix(BOM_UTF8)
    lines = body[: body.rfind(b"\n") + 1] if cut else body
    unread, search = Unread(), Search()
    try:
        if name.endswith((".ndjson", ".jsonl")) and (lines or not cut):
            cut = cut or _containers(lines) > limits.containers or lines.count(b"\n") > limits.rows
            found = _of_rows(_ndjson(lines, limits, unread, search), content, limits, cut=cut)
            hidden = search.hidden or any(map(_hides, found.tables))
            return replace(found, unread=unread.count, hidden=hidden)
        if name.endswith(".csv") and (lines or not cut):
            rows = CsvRows(lines.decode(), limits.csv_columns)
            found = _of_rows(iter(rows), content, limits, cut=cut, left_out=rows.left_out)
            return replace(found, lost=rows.lost, odd=rows.headed)
        if cut:
            return None if name.endswith(".json") else _text(content, cut=True)
        if _containers(content) > limits.containers:
            return None
        value = json_value(body, unread)
    except (msgspec.DecodeError, ValueError, csv.Error, RecursionError):
        return replace(_text(content, cut=cut), broken=name.endswith((".json", ".ndjson", ".jsonl", ".csv")))
    tables = list(islice(search.tables("", value), limits.tables + 1))
    odd = keyed_rows(search.keyed, beside_others=any(table.kind is not Kind.PLAIN for table in tables))
    odd = odd or (NAMES_APART if search.nested and has_names_apart(value) else "")
    if not tables:
        text = json_text(value, MAX_TEXT + 1, indent=2) if name.endswith(".json") else ""
        shown_text = Document(text=text[:MAX_TEXT], cut=len(text) > MAX_TEXT) if text else _text(content, cut=False)
        return replace(shown_text, unread=unread.count, hidden=search.hidden, odd=odd)
    shown = tuple(_limited(table, limits) for table in tables[: limits.tables])
    cut = len(tables) > len(shown) or any(len(table.rows) > limits.rows for table in tables)
    vacant = search.lists == {0}
    return Document(shown, cut=cut, unread=unread.count, hidden=search.hidden, odd=odd, vacant=vacant)


def json_text(value: Any, limit: int, *, indent: int | None = None) -> str:
    """The first `limit` characters of a value as JSON; "" when it is nested too deeply.

    No more than that is made, because a few bytes that are nested deeply have very many blanks before them.
    """
    found, length = list[str](), 0
    # With `check_circular`, the encoder keeps references to the values that it is working on. The loop below may stop
    # before the end. Then these references would keep `value` in memory until the garbage collector runs, because they
    # are part of a reference cycle. So the option is off.
    encoder = json.JSONEncoder(indent=indent, ensure_ascii=False, default=str, check_circular=False)
    try:
        for part in encoder.iterencode(value):
            found.append(part)
            if (length := length + len(part)) >= limit:
                break
    except (RecursionError, ValueError):
        return ""
    return "".join(found)[:limit]


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a cell is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def sorted_rows(rows: Sequence[Mapping[str, Any]], column: str, *, descending: bool) -> list[Mapping[str, Any]]:
    """Rows sorted by a column. Numbers in texts are compared too: `a_2` comes before `a_10`. Empty cells come last."""

    def key(row: Mapping[str, Any]) -> tuple[int, float, str, int, str]:
        value = row.get(column)
        if is_number(value):
            return 0, value, "", 0, ""
        # A number inside a text is compared by its count of digits first, and then by its digits. Leading zeros are
        # ignored. If two texts differ only in leading zeros, the shorter one comes first: `1` before `01`.
        text = str(value).casefold() if isinstance(value, str | bool) else json_text(value, _SORTED)
        return 1, 0, _DIGITS.sub(lambda found: f"\0{chr(len(found[1]))}{found[1]}", text[:_SORTED]), len(text), text

    full = [row for row in rows if row.get(column) not in (None, "")]
    empty = [row for row in rows if row.get(column) in (None, "")]
    return [*sorted(full, key=key, reverse=descending), *empty]


def _text(content: bytes, *, cut: bool) -> Document:
    text = content[: 4 * MAX_TEXT].decode("utf-8", "replace")
    return Document(text=text[:MAX_TEXT], cut=cut or len(text) > MAX_TEXT or len(content) > 4 * MAX_TEXT)


def _of_rows(
    rows: Iterator[Mapping[str, Any]], content: bytes, limits: Limits, *, cut: bool, left_out: int = 0
) -> Document:
    found = list(islice(rows, limits.rows + 1))
    if not found:
        return _text(content, cut=cut)
    table = _limited(_table("", found), limits)
    table = replace(table, left_out=table.left_out + left_out)
    return Document((table,), cut=cut or len(found) > limits.rows)


def _limited(table: Table, limits: Limits) -> Table:
    return replace(table, rows=table.rows[: limits.rows]) if len(table.rows) > limits.rows else table


class Search:
    """Finds tables in a value, and tells what it passed over.

    :ivar hidden: whether there are rows of a known kind among it.
    :ivar lists: the lengths of the lists among it.
    :ivar nested: whether there is a list of lists among it.
    :ivar keyed: the keys of rows by their ids, which are not read as one table.
    """

    def __init__(self) -> None:
        self.hidden = self.nested = False
        self.keyed: list[str] = []
        self.lists: set[int] = set()

    def tables(self, name: str, value: Any, keys: tuple[str, ...] = ()) -> Iterator[Table]:
        """The tables in a value.

        :param name: key of the value.
        :param keys: the keys above the value, from the top.
        """
        depth = len(keys)
        if isinstance(value, list):
            full = [row for row in value if row is not None]
            if depth <= MAX_DEPTH and full and all(isinstance(row, dict) for row in full):
                table = replace(_table(name, full), keys=keys)
                self.hidden = self.hidden or _hides(table)
                yield table
                return
            self.lists.add(len(value))
            self.nested = self.nested or any(isinstance(each, list) and each for each in value)
        elif isinstance(value, dict) and depth <= MAX_DEPTH:
            if kind_of(value) is not Kind.PLAIN or not any(isinstance(each, dict | list) for each in value.values()):
                yield replace(_table(name, [value]), lone=True, keys=keys)
                return
            before = len(self.keyed)
            self.keyed += [name] if is_keyed(name, value) else []
            for key, each in value.items():
                yield from self.tables(str(key), each, (*keys, str(key)))
            if name == ANCESTORS:
                # In `"ancestors": {"district": {…}}`, the keys are levels, and no ids of rows. `keyed` is for a message
                # about rows under ids. So what the lines above added to it for this object is dropped.
                del self.keyed[before:]
            return
        self.hidden = self.hidden or has_rows(value)


def has_rows(value: Any, kinds: Sequence[Kind] = (Kind.GROUPS, Kind.USERS, Kind.ITEMS)) -> bool:
    """Whether there are rows of some kinds anywhere in a value. It may be nested more deeply than calls may be."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            if kind_of(each) in kinds:
                return True
            left += each.values()
        elif isinstance(each, list):
            left += each
    return False


def _hides(table: Table) -> bool:
    """Whether cells of other rows have rows of a known kind in them."""
    return table.kind is Kind.PLAIN and has_rows(list(table.rows))


def _table(name: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    names = list(dict.fromkeys(key for row in rows for key in row))
    columns = [names[place] for place in kept_columns(names, MAX_COLUMNS)]
    kind = next((kind for row in rows if (kind := kind_of(row)) is not Kind.PLAIN), Kind.PLAIN)
    first = {Kind.GROUPS: ("group_name",), Kind.USERS: ("user_id",), Kind.ITEMS: ("item_reference",)}.get(kind, ())
    ordered = tuple(sorted(columns, key=lambda column: column not in first))
    return Table(kind, name, ordered, rows, left_out=len(names) - len(ordered))


def kind_of(row: Mapping[str, Any]) -> Kind:
    """What a row describes, by the names of its fields."""
    # `user_id` is checked first, because the row of a user may also have `group_name`, the group of the user.
    if "user_id" in row:
        return Kind.USERS
    if "group_name" in row:
        return Kind.GROUPS
    return Kind.ITEMS if TELLING & row.keys() else Kind.PLAIN


def _containers(content: bytes) -> int:
    """How many objects and lists some JSON has at most; braces in texts are counted too."""
    return content.count(b"{") + content.count(b"[")


def _ndjson(content: bytes, limits: Limits, unread: Unread, search: Search) -> Iterator[dict[str, Any]]:
    seen = 0
    for line in islice(io.BytesIO(content), limits.rows + 1):
        seen += _containers(line)
        if seen > limits.containers:
            return
        row = json_value(line, unread) if line.strip() else None
        if isinstance(row, dict):
            yield row
        elif row is not None:
            search.hidden = True
