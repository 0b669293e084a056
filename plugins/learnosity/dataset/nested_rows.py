"""Finds the rows of users and groups that stand inside the row of their group. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from learnosity.dataset.limits import WHOLE, Limits
from learnosity.dataset.shapes import ANCESTORS
from learnosity.dataset.tables import Document, Kind, Search, Table, has_rows, kind_of

# Name of the table with the row of the group that a file is about. By this name, other modules tell that table from the
# tables with the groups below. In `{"group": {…}, "groups": […]}`, the name is the key of the row. But the lists may be
# inside the row, as in `{"group_name": "d1", "groups": […]}`. Then the row has no key: `unfolded` takes the lists out,
# and gives this name to the table of the row.
OWN = "group"
# If the row of a group has a list with rows of these kinds, the list is taken out and becomes a table of its own. In a
# Parquet file, which has the rows of all groups together, each of these rows then gets a column `folder`, which says
# where it belongs. A row of a question gets no such column, so a list of questions stays in the row of its group.
OF_GROUPS = (Kind.GROUPS, Kind.USERS)


def split(row: Mapping[str, Any]) -> tuple[dict[str, Any], list[Table], str | None]:
    """The row of a group without lists of users and groups, these lists, and a field that has such rows elsewhere."""
    rest, below, lost = dict(row), list[Table](), None
    for key, cell in row.items():
        if not isinstance(cell, dict | list) or key == ANCESTORS:
            continue
        search = Search()
        tables = list(search.tables(key, cell))
        if search.hidden and has_rows(cell, OF_GROUPS):
            lost = lost or key
        lists = [by_kind(each) for each in tables if not each.lone and each.name != ANCESTORS]
        found = [each for parts in lists if any(part.kind in OF_GROUPS for part in parts) for each in parts]
        if any(each.kind not in OF_GROUPS for each in found):
            lost = lost or key
        below += found
        if found and isinstance(cell, list):
            del rest[key]
    return rest, below, lost


def by_kind(table: Table) -> list[Table]:
    """A table for each kind of its rows. Rows of no known kind go with the kind of the table."""
    found: dict[Kind, list[Mapping[str, Any]]] = {}
    for row in table.rows:
        kind = kind_of(row)
        found.setdefault(table.kind if kind is Kind.PLAIN else kind, []).append(row)
    return [table] if len(found) <= 1 else [replace(table, kind=kind, rows=rows) for kind, rows in found.items()]


def unfolded(document: Document, limits: Limits = WHOLE) -> Document:
    """The document with the rows inside the one row of a group as tables of their own; that row is called `group` then.

    A document with such rows in a list of groups is `hidden`: in one table, they would not say of which group they are.
    """
    found = [table for table in document.tables if table.lone and table.kind is Kind.GROUPS and table.name != ANCESTORS]
    tables = list(document.tables)
    if len(found) == 1:
        at = next(place for place, table in enumerate(tables) if table is found[0])
        tables[at : at + 1] = _unfolded(found[0])
    hidden = document.hidden or any(map(_holds_rows, tables))
    if tables == list(document.tables):
        return replace(document, hidden=hidden)
    cut = document.cut or len(tables) > limits.tables or any(len(table.rows) > limits.rows for table in tables)
    shown = (replace(table, rows=table.rows[: limits.rows]) for table in tables[: min(limits.tables, len(tables))])
    return replace(document, tables=tuple(shown), cut=cut, hidden=hidden)


def _unfolded(table: Table) -> list[Table]:
    rest, below, _ = split(table.rows[0])
    if not below:
        return [table]
    search = Search()
    above = list(search.tables(ANCESTORS, rest.pop(ANCESTORS, None)))
    own = {key: cell for key, cell in rest.items() if not (isinstance(cell, dict) and split({key: cell})[1])}
    return [*search.tables(OWN, own), *above, *below]


def _holds_rows(table: Table) -> bool:
    """Whether rows of users or groups stand in cells of a table of groups, or users among its rows."""
    return table.kind is Kind.GROUPS and any(
        kind_of(row) is Kind.USERS
        or any(
            has_rows(cell, OF_GROUPS) for key, cell in row.items() if key != ANCESTORS and isinstance(cell, dict | list)
        )
        for row in table.rows
    )
