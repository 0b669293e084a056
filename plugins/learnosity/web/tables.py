"""Tables for the pages: sorted and split into pages on the server, so that a long table opens quickly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from learnosity.api.report_definition import field_label
from learnosity.dataset.item_flags import Flag, Thresholds, flags
from learnosity.dataset.tables import Kind, Table, is_number, sorted_rows
from learnosity.web.cells import cell_text, decimals, is_statistic
from learnosity.web.plots import Box, Tick, box_of, scale_of

PAGE_ROWS = 100
MEAN_PLACES = 1  # if a column has only whole numbers, its mean in the last row has this many decimals
_USUAL = Thresholds()


@dataclass(frozen=True, slots=True)
class Pager:
    """Which page of a list is shown; the first page is 1."""

    page: int
    size: int
    total: int

    @property
    def pages(self) -> int:
        """How many pages there are; at least one."""
        return max(1, ceil(self.total / self.size))

    @property
    def start(self) -> int:
        """Index of the first entry shown."""
        return (self.page - 1) * self.size

    @property
    def stop(self) -> int:
        """Index after the last entry shown."""
        return min(self.start + self.size, self.total)

    @classmethod
    def of(cls, total: int, page: int, size: int = PAGE_ROWS) -> Pager:
        """The pager of a list. A page number that is too high becomes the last page."""
        last = max(1, ceil(total / size))
        return cls(min(max(page, 1), last), size, total)


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its field, its heading, and how it is sorted now."""

    field: str
    label: str
    numeric: bool
    order: str
    """`ascending`, `descending` or `none`: a value of the HTML attribute aria-sort."""

    @property
    def next_direction(self) -> str:
        """How the next click sorts. The first click begins with the largest number, or with A."""
        if self.order == "none":
            return "desc" if self.numeric else "asc"
        return "asc" if self.order == "descending" else "desc"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    :param cells: their texts.
    :param link: address of what the row describes: the group below it, or the file of its item. None = nothing.
    :param flags: what is noticed of its item.
    :param tags: other words that stand beside its name.
    :param anchor: its place in the file, from 0; None = the rows are not in the order of the file.
    """

    cells: tuple[str, ...]
    link: str | None = None
    box: Box | None = None
    flags: tuple[Flag, ...] = ()
    tags: tuple[str, ...] = ()
    anchor: int | None = None


@dataclass(frozen=True, slots=True)
class TableView:
    """One page of a table.

    :param ticks: axis of the box plots; empty = there are none.
    :param flagged: whether there is a column for the flags of items.
    :param total: the row below all others; None = there is none.
    :param left_out: how many more columns the table has.
    """

    caption: str
    kind: Kind
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    pager: Pager
    ticks: tuple[Tick, ...] = ()
    flagged: bool = False
    total: Row | None = None
    left_out: int = 0


def view(
    table: Table,
    *,
    caption: str,
    sort: str = "",
    direction: str = "asc",
    page: int = 1,
    link: Callable[[Mapping[str, Any]], str | None] = lambda row: None,
    tags: Callable[[Mapping[str, Any]], tuple[str, ...]] = lambda row: (),
    total: Mapping[str, Any] | None = None,
    users: Mapping[int, Sequence[Any]] | None = None,
    drawn: Sequence[str] = (),
    at: Thresholds = _USUAL,
    plain: bool = False,
) -> TableView:
    """One page of a table.

    :param sort: column to sort by; default: the order of the file.
    :param direction: `asc` or `desc`.
    :param page: from 1. A page number that is too high shows the last page.
    :param link: gives the address of what a row describes; None = nothing.
    :param tags: gives the words beside the name of a row; default none.
    :param total: the row below all others; default none.
    :param users: results of the users of a group, by the place of its row in a table that is not sorted, to be drawn as
        dots; default none.
    :param drawn: columns that only the box plots show; default none.
    :param at: from where on items are flagged.
    :param plain: without box plots and flags; default False.
    """
    descending = direction == "desc"
    rows: Sequence[Mapping[str, Any]] = table.rows
    is_sorted = sort in table.columns
    if is_sorted:
        rows = sorted_rows(rows, sort, descending=descending)
    pager = Pager.of(len(rows), page)
    shown = rows[pager.start : pager.stop]
    order = "descending" if descending else "ascending"
    columns = tuple(
        Column(name, field_label(name), _is_numeric(table.rows, name), order if name == sort else "none")
        for name in table.columns
    )
    # The rows `alike` decide how many decimals a column has. In a table of users, the last row (`total`) has means. A
    # mean may have decimals even if all values are whole, so this row is not in `alike`. In a table of groups, the last
    # row has values like those of the other rows, so it is in `alike`.
    alike = [*shown, total] if total is not None and table.kind is not Kind.USERS else shown
    places = {name: decimals(name, (row.get(name) for row in alike)) for name in table.columns}
    items, plotted = table.kind is Kind.ITEMS and not plain, replace(table, columns=(*table.columns, *drawn))
    scale = scale_of(plotted) if table.kind is Kind.GROUPS and not plain else None

    def made(row: Mapping[str, Any], number: int | None, more: int = 0) -> Row:
        return Row(
            tuple(cell_text(row.get(name), places[name] or more, signed=is_change(name)) for name in table.columns),
            link(row),
            box_of(row, scale, () if number is None else (users or {}).get(number, ())) if scale else None,
            flags(row, at) if items else (),
            tags(row),
            number,
        )

    numbered, more = enumerate(shown, pager.start), MEAN_PLACES if table.kind is Kind.USERS else 0
    return TableView(
        caption,
        table.kind,
        columns,
        tuple(made(row, None if is_sorted else number) for number, row in numbered),
        pager,
        scale.ticks if scale else (),
        items,
        None if total is None else replace(made(total, None, more), link=None),
        table.left_out,
    )


def is_change(column: str) -> bool:
    """Whether a column has differences: their numbers have a sign."""
    return column.endswith("_change") or column.startswith("difference_")


def _is_numeric(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    first = next((row[name] for row in rows if row.get(name) is not None), None)
    if first is None:
        # No row of the whole table has a value in this column. So its name decides whether it is a column of numbers.
        # Columns of numbers are aligned to the right, and the first click on their heading sorts the largest first.
        return is_statistic(name)
    return is_number(first)
