"""The local view of a dataset: which rows are shown for a group, and their captions. No routes, no HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from learnosity.api.report_definition import field_label, group_label, has_report
from learnosity.dataset.manifest import FileEntry
from learnosity.dataset.published import PublishedDataset
from learnosity.dataset.tables import Document, Kind, Table
from learnosity.dataset.workers import working
from learnosity.web.plots import PLOT_WIDTH, points
from learnosity.web.tables import TableView, view


class NoSuchGroupError(LookupError):
    """The dataset has no file for this group."""


@dataclass(frozen=True, slots=True)
class Sorting:
    """How the table of a page is sorted, and which page of it is shown."""

    sort: str = ""
    direction: str = "asc"
    page: int = 1


@dataclass(frozen=True, slots=True)
class Results:
    """The local view of a dataset, or of one of its groups.

    :param table: the rows; None when no table was recognised.
    :param cut: whether the file has more than is shown.
    :param path: group path of what is shown.
    :param crumbs: name and address of each group from the root to the shown group.
    :param scatter: points of the item scatter plot, as JSON; None when there is no plot.
    """

    table: TableView | None
    text: str
    cut: bool
    entry: FileEntry | None
    path: Sequence[str]
    crumbs: Sequence[tuple[str, str]]
    scatter: str | None
    plot_width: float = PLOT_WIDTH


async def results(dataset: PublishedDataset, path: Sequence[str], wanted: Sorting, here: str) -> Results:
    """The local view of a group.

    :param path: names of the groups from the top to this group; empty = the whole dataset.
    :param here: address of the page, to which `?group=` is added.
    :raises NoSuchGroupError: no file describes this group.
    """
    entry = dataset.group_file(path)
    if entry is None and path:
        raise NoSuchGroupError("No file of this dataset is named like this group. Look for it under Files.")
    document = await dataset.document(entry) if entry else None
    return await working(_results, dataset, entry, document, path, wanted, here)


def _results(
    dataset: PublishedDataset,
    entry: FileEntry | None,
    document: Document | None,
    path: Sequence[str],
    wanted: Sorting,
    here: str,
) -> Results:
    crumbs = [(name, address(here, path[:depth])) for depth, name in enumerate(["All", *path])]
    if document is None:
        return Results(None, "", False, entry, path, crumbs, None)
    table = document.first(Kind.GROUPS) if has_report(dataset.layout.dataset_type) else None
    users = document.first(Kind.USERS)
    items = document.first(Kind.ITEMS)
    chosen = users if users and (table is None or table.name == "group") else table
    chosen = chosen or items or next(iter(document.tables), None)
    if chosen is None:
        return Results(None, document.text, document.cut, entry, path, crumbs, None)

    def below(row: Mapping[str, Any]) -> str | None:
        name = row.get("group_name")
        if chosen.kind is not Kind.GROUPS or not isinstance(name, str) or dataset.group_file([*path, name]) is None:
            return None
        return address(here, [*path, name])

    label = group_label(dataset.manifest.request, len(path))
    caption = {Kind.GROUPS: label, Kind.USERS: "Users", Kind.ITEMS: "Questions"}.get(chosen.kind, "Rows")
    shown = view(chosen, caption=caption, sort=wanted.sort, direction=wanted.direction, page=wanted.page, link=below)
    return Results(shown, "", document.cut, entry, path, crumbs, _scatter(chosen))


def _scatter(table: Table) -> str | None:
    if table.kind is not Kind.ITEMS:
        return None
    found = points(table.rows)
    return script_json([[each.x, each.y, each.label, each.poor] for each in found]) if found else None


def views(document: Document, wanted: Sorting) -> list[TableView]:
    """Every table of a document."""
    return [
        view(
            table,
            caption=field_label(table.name) or field_label(table.kind),
            sort=wanted.sort,
            direction=wanted.direction,
            page=wanted.page,
        )
        for table in document.tables
    ]


def address(here: str, path: Sequence[str]) -> str:
    """Address of a group's page."""
    query = "&".join(f"group={quote(name, safe='')}" for name in path)
    return f"{here}?{query}" if query else here


def script_json(value: Any) -> str:
    """JSON for a script element. Nothing in it can end the element."""
    text = msgspec.json.encode(value).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
