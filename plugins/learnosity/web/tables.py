"""Tables for the pages: sorted and split into pages on the server, so that a long table opens quickly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from learnosity.api.report_definition import field_label
from learnosity.dataset.tables import Kind, Table, is_number, is_poor, json_text, sorted_rows
from learnosity.web.plots import Box, box_unit, boxes

PAGE_ROWS = 100
MAX_CELL = 1_000  # characters of a cell
_JSON_CELL = 500


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
    """A row: the texts of its cells, the address of the group below it, its plot, and whether its item is poor."""

    cells: tuple[str, ...]
    link: str | None
    box: Box | None
    poor: bool


@dataclass(frozen=True, slots=True)
class TableView:
    """One page of a table."""

    caption: str
    kind: Kind
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    pager: Pager
    plotted: bool


def view(
    table: Table,
    *,
    caption: str,
    sort: str = "",
    direction: str = "asc",
    page: int = 1,
    link: Callable[[Mapping[str, Any]], str | None] = lambda row: None,
) -> TableView:
    """One page of a table.

    :param sort: column to sort by; default: the order of the file.
    :param direction: `asc` or `desc`.
    :param page: from 1. A page number that is too high shows the last page.
    :param link: gives the address of the group below a row; None = no group is below it.
    """
    descending = direction == "desc"
    rows: Sequence[Mapping[str, Any]] = table.rows
    if sort in table.columns:
        rows = sorted_rows(rows, sort, descending=descending)
    pager = Pager.of(len(rows), page)
    shown = rows[pager.start : pager.stop]
    order = "descending" if descending else "ascending"
    columns = tuple(
        Column(name, field_label(name), _is_numeric(table.rows, name), order if name == sort else "none")
        for name in table.columns
    )
    drawn = boxes(table, shown)
    return TableView(
        caption,
        table.kind,
        columns,
        tuple(
            Row(tuple(cell_text(row.get(name)) for name in table.columns), link(row), box, is_poor(row))
            for row, box in zip(shown, drawn, strict=True)
        ),
        pager,
        table.kind is Kind.GROUPS and box_unit(table.columns) is not None,
    )


def cell_text(value: Any) -> str:
    """The text of a cell. Numbers have separators and two decimals (four below 10); objects and lists are JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if is_number(value):
        text = f"{value:,.2f}" if abs(value) >= 10 else f"{value:,.4f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, str):
        return value if len(value) <= MAX_CELL else f"{value[:MAX_CELL]}…"
    return json_text(value, _JSON_CELL) or "nested too deeply"


def _is_numeric(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    first = next((row[name] for row in rows if row.get(name) is not None), None)
    return is_number(first)
