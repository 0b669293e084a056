"""The view that compares a dataset with one that its DAG has published before. No routes, no HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from learnosity.api.report_definition import field_label, group_label
from learnosity.dataset.comparison import GONE, NEW, STATE, Comparison, Slim, compare, differences, matchable, slim
from learnosity.dataset.comparison import change as changed
from learnosity.dataset.completeness import has_no_rows
from learnosity.dataset.group_figures import with_percents
from learnosity.dataset.key_figures import comparable
from learnosity.dataset.page_threads import working
from learnosity.dataset.published import PublishedDataset
from learnosity.dataset.tables import Document, Kind, Table, sorted_rows
from learnosity.web.addresses import file_address
from learnosity.web.cells import cell_text, decimals
from learnosity.web.exports import csv_of
from learnosity.web.history import PastDataset
from learnosity.web.item_analysis import own_files
from learnosity.web.plots import reference
from learnosity.web.results import (
    NoSuchGroupError,
    RowsChoice,
    Sorting,
    address,
    chosen_table,
    has_only_a_part,
    rows_choices,
)
from learnosity.web.tables import TableView, view
from learnosity.web.trend import figure_names

ONLY = ("", NEW, GONE)
_CAPTIONS = {Kind.USERS: "Users", Kind.ITEMS: "Questions"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One key figure of both datasets, and its change; "" = not known.

    :param same: whether it says the same in both; flags do not if the two have other statistics.
    """

    label: str
    now: str
    before: str
    change: str
    same: bool = True


@dataclass(frozen=True, slots=True)
class Compared:
    """The comparison that the page shows.

    :param table: the rows of both; None = no rows can be compared.
    :param cut: whether one of the files has more than is compared.
    :param counts: rows by `only`: all, new, and gone ones.
    :param rows: all the rows that are asked for, not only those of the page.
    """

    table: TableView | None
    cut: bool = False
    counts: Mapping[str, int] | None = None
    rows: Table | None = None

    def csv(self, wanted: Sorting) -> bytes | None:
        """All the rows as CSV, as they are filtered and sorted; None = there is nothing to compare."""
        if self.rows is None:
            return None
        table = self.rows
        rows = table.rows
        if wanted.sort in table.columns:
            rows = sorted_rows(rows, wanted.sort, descending=wanted.direction == "desc")
        return csv_of((*table.columns, STATE), rows)


@dataclass(frozen=True, slots=True)
class Side:
    """The rows of one of the two datasets.

    :param rows: None = there are none, or they cannot be read or are not recognised.
    :param cut: whether the dataset has more rows of this kind than were read.
    :param empty: whether it is certain that there are none but the row of its own group.
    :param choices: the kinds of rows that its file has; empty = there is no choice.
    """

    rows: Slim | None
    cut: bool
    empty: bool = False
    choices: tuple[RowsChoice, ...] = ()


async def side(dataset: PublishedDataset, path: Sequence[str], rows: str = "") -> Side:
    """Read what is compared of a dataset. The rest of the file is not kept, so that two fit into memory.

    :param path: group path; empty = the whole dataset.
    :param rows: see `Sorting`.
    """
    entry = dataset.group_file(path)
    if entry is None:
        return Side(None, cut=False, empty=await _has_no_group(dataset, path))
    document = await dataset.unfolded(entry)
    if document is None:
        return Side(None, cut=True)
    groups = group_label(dataset.manifest.request, len(path))
    found = await working(_side, document, dataset.layout.dataset_type, rows, groups)
    return replace(found, cut=found.cut or has_only_a_part(dataset, document))


async def _has_no_group(dataset: PublishedDataset, path: Sequence[str]) -> bool:
    """Whether it is certain that a dataset has no such group: the file of the nearest group above does not list it.

    If `include` left files out, or a file cannot be read, the group may well be there.
    """
    above = next((path[:depth] for depth in range(len(path) - 1, -1, -1) if dataset.group_file(path[:depth])), None)
    entry = None if above is None or dataset.manifest.left_out else dataset.group_file(above)
    document = await dataset.unfolded(entry) if entry else None
    if above is None or document is None or document.cut or document.hidden:
        return False
    table = document.first(Kind.GROUPS)
    listed = table.rows if table is not None and table.name != "group" else ()
    return bool(document.tables) and all(row.get("group_name") != path[len(above)] for row in listed)


def _side(document: Document, dataset_type: str, rows: str, groups: str) -> Side:
    table = chosen_table(document, dataset_type, rows)
    choices = rows_choices(document, table, groups) if table is not None else ()
    if table is not None and table.kind is Kind.USERS:
        table = with_percents(table)
    return Side(slim(table), document.cut, has_no_rows(document), choices)


def compared(
    dataset: PublishedDataset,
    now: Side,
    before: Side | None,
    path: Sequence[str],
    wanted: Sorting,
    address_of: Mapping[str, str],
    only: str,
) -> Compared:
    """The rows of both datasets.

    :param before: None = there is nothing to compare with.
    :param address_of: `here`; `rest`: the query that every link keeps; `dataset`: the page of the dataset.
    :param only: `new` or `gone`; "" = all rows.
    """
    if before is None:
        return Compared(None, now.cut)
    rows = _pair(now, before)
    if rows is None:
        return Compared(None, now.cut or before.cut)
    found = compare(*rows)
    files = own_files(dataset.files, found.table.rows) if found.table.kind is Kind.ITEMS else {}

    def below(row: Mapping[str, Any]) -> str | None:
        if row[STATE] == GONE:
            return None
        if own := files.get(reference(row)):
            return file_address(address_of["dataset"], own)
        name = row.get("group_name")
        if not isinstance(name, str) or dataset.group_file([*path, name]) is None:
            return None
        target = address(address_of["here"], [*path, name])
        return f"{target}&{address_of['rest']}" if address_of["rest"] else target

    table = found.table
    caption = _CAPTIONS.get(table.kind) or group_label(dataset.manifest.request, len(path))
    wanted_rows = table.rows if not only else [row for row in table.rows if row[STATE] == only]
    shown = view(
        replace(table, rows=wanted_rows),
        caption=caption,
        sort=wanted.sort,
        direction=wanted.direction,
        page=wanted.page,
        link=below,
        tags=lambda row: (row[STATE],) if row[STATE] else (),
        plain=True,
    )
    return Compared(shown, now.cut or before.cut, _counts(found), replace(table, rows=wanted_rows))


def _pair(now: Side, before: Side) -> tuple[Slim, Slim | None] | None:
    """What is compared; None = the rows of the two cannot be compared.

    A side that is empty may have the row of its own group. That is compared only with a row of its kind.
    """
    ours, theirs = now.rows, before.rows
    if ours and theirs and matchable(ours, theirs):
        return ours, theirs
    if ours and before.empty:
        return (replace(ours, rows=()) if now.empty else ours), None
    if theirs and now.empty:
        return replace(theirs, rows=()), None if before.empty else theirs
    return None


def _counts(found: Comparison) -> Mapping[str, int]:
    return {"": len(found.table.rows), NEW: found.new, GONE: found.gone}


def figures(now: PastDataset, before: PastDataset) -> tuple[Figure, ...]:
    """The key figures of both datasets."""
    made = []
    for name in figure_names([now, before]):
        one, other = now.figures.get(name), before.figures.get(name)
        places = decimals(name, [one, other])
        same = comparable(name, now.figures, before.figures)
        made.append(
            Figure(
                field_label(name),
                cell_text(one, places),
                cell_text(other, places),
                cell_text(changed(one, other), places, signed=True) if same else "",
                same,
            )
        )
    return tuple(made)


def asked_differently(now: PublishedDataset, before: PublishedDataset) -> tuple[str, ...]:
    """The parts of the requests that differ."""
    return differences(now.manifest.request, before.manifest.request)


def kept(chosen: str, only: str, rows: str = "") -> str:
    """The begin of the query of every link of the page; every part ends with `&`."""
    parts = (("with", chosen), ("only", only), ("rows", rows))
    return "".join(f"{name}={quote(value, safe='')}&" for name, value in parts if value)


def check_group(dataset: PublishedDataset, path: Sequence[str]) -> None:
    """Check that the dataset of the page has the group.

    :raises NoSuchGroupError: it has not.
    """
    if path and dataset.group_file(path) is None:
        raise NoSuchGroupError("No file of this dataset is named like this group. Look for it under Files.")
