"""The local view of a dataset: which rows are shown for a group, and their captions. No routes, no HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import msgspec

from learnosity.api.report_definition import field_label, group_label, has_report
from learnosity.dataset.group_figures import own_row
from learnosity.dataset.manifest import FileEntry
from learnosity.dataset.page_threads import working
from learnosity.dataset.published import PublishedDataset
from learnosity.dataset.shapes import ANCESTORS
from learnosity.dataset.tables import Document, Kind, Table
from learnosity.web.addresses import file_address
from learnosity.web.group_view import GroupPage, group_page, last_row, users_with_percents
from learnosity.web.item_analysis import ItemAnalysis, ItemQuery, item_analysis, own_files, words_of
from learnosity.web.plots import PLOT_WIDTH, reference
from learnosity.web.tables import TableView, view

ALL_ITEMS = ItemQuery()
# What the page calls each kind of rows. Groups have "", because the request gives the name of their level, such as
# "School".
_LABELS = {Kind.GROUPS: "", Kind.USERS: "Users", Kind.ITEMS: "Questions"}
# A file about one group or user may have a table with one of these names. Its only row is about this group or user
# itself, so the page does not count this table as a list of groups or users.
_OWN = ("group", "user")


class NoSuchGroupError(LookupError):
    """The dataset has no file for this group."""


@dataclass(frozen=True, slots=True)
class Sorting:
    """Which table of a file is shown, how it is sorted, and which page of it is shown.

    :param rows: kind of its rows; "" = as the type of the dataset has it.
    """

    sort: str = ""
    direction: str = "asc"
    page: int = 1
    rows: str = ""

    @property
    def rows_query(self) -> str:
        """The part of an address's query that keeps the table; "" or ends with `&`."""
        return f"rows={quote(self.rows, safe='')}&" if self.rows else ""


@dataclass(frozen=True, slots=True)
class RowsChoice:
    """A kind of rows that a file has, to be chosen."""

    kind: str
    label: str
    count: int
    current: bool


@dataclass(frozen=True, slots=True)
class Results:
    """The local view of a dataset, or of one of its groups.

    :param table: the rows; None when no table was recognised.
    :param cut: whether the file has more than is shown.
    :param path: group path of what is shown.
    :param crumbs: name and address of each group from the root to the shown group.
    :param items: what is shown of an item analysis beside its rows; None = it is none.
    :param scatter: data of its scatter plot, as JSON; None when there is no plot.
    :param group: what is shown of a group beside its rows; None = it is none.
    :param document: what was read of the file, to say what is odd in it; None = it was not read.
    :param choices: the kinds of rows that the file has; empty = there is no choice.
    :param more: how many more tables of these kinds it has, which only the page of the file shows.
    :param rows_query: see `Sorting`.
    """

    table: TableView | None
    text: str
    cut: bool
    entry: FileEntry | None
    path: Sequence[str]
    crumbs: Sequence[tuple[str, str]]
    items: ItemAnalysis | None = None
    scatter: str | None = None
    group: GroupPage | None = None
    plot_width: float = PLOT_WIDTH
    document: Document | None = None
    choices: tuple[RowsChoice, ...] = ()
    more: int = 0
    rows_query: str = ""


async def results(
    dataset: PublishedDataset, path: Sequence[str], wanted: Sorting, here: str, asked: ItemQuery = ALL_ITEMS
) -> Results:
    """The local view of a group.

    :param path: names of the groups from the top to this group; empty = the whole dataset.
    :param here: address of the page, to which `?group=` is added.
    :param asked: which questions of an analysis are shown; default all.
    :raises NoSuchGroupError: no file describes this group.
    """
    entry = None if dataset.not_listed and not path else dataset.group_file(path)
    if entry is None and path:
        raise NoSuchGroupError("No file of this dataset is named like this group. Look for it under Files.")
    document = await dataset.unfolded(entry) if entry else None
    return await working(_results, dataset, entry, document, path, wanted, here, asked)


def _results(
    dataset: PublishedDataset,
    entry: FileEntry | None,
    document: Document | None,
    path: Sequence[str],
    wanted: Sorting,
    here: str,
    asked: ItemQuery,
) -> Results:
    crumbs = [(name, address(here, path[:depth])) for depth, name in enumerate(["All", *path])]
    if document is None:
        return Results(None, "", False, entry, path, crumbs)
    chosen = chosen_table(document, dataset.layout.dataset_type, wanted.rows)
    # The page uses `Results.document` only for messages about what is odd in the file. So the document is kept without
    # its tables and its text.
    odd = replace(document, tables=(), text="")
    plain = Results(None, document.text, document.cut, entry, path, crumbs, document=odd)
    if chosen is None:
        return plain
    request = dataset.manifest.request
    plain = replace(
        plain,
        choices=rows_choices(document, chosen, group_label(request, len(path))),
        more=_more_tables(document),
        rows_query=wanted.rows_query,
    )
    if chosen.kind is Kind.ITEMS:
        return _items(plain, dataset, chosen, wanted, here, asked)

    def below(row: Mapping[str, Any]) -> str | None:
        name = row.get("group_name")
        if chosen.kind is not Kind.GROUPS or not isinstance(name, str) or dataset.group_file([*path, name]) is None:
            return None
        return address(here, [*path, name])

    rows, users, calculated, group = chosen, None, False, None
    if chosen.kind is Kind.USERS:
        rows, calculated = users_with_percents(chosen)
        # If a file lists groups beside users, perhaps some users of its own group are missing in it. Figures of the
        # group that are computed from only some of its users would be wrong. So `users` is None, and these figures are
        # not computed from users. The row `Mean` below the table is computed: it is only about the users in the table.
        users = None if Kind.GROUPS in tables_by_kind(document) else rows
    if has_report(dataset.layout.dataset_type):
        group = replace(group_page(document, users, path, request, whole=not document.cut), calculated=calculated)
    caption = {Kind.GROUPS: group_label(request, len(path)), Kind.USERS: "Users"}.get(chosen.kind, "Rows")
    last = None if document.cut else last_row(rows, own_row(document), path)
    table = view(
        rows, caption=caption, sort=wanted.sort, direction=wanted.direction, page=wanted.page, link=below, total=last
    )
    return replace(plain, table=table, text="", group=group)


def tables_by_kind(document: Document) -> dict[str, Table]:
    """The longest table of each kind that is known. The row of the group or user that a file is about is none."""
    found = {str(kind): document.first(kind) for kind in _LABELS}
    return {kind: table for kind, table in found.items() if table is not None and table.name not in _OWN}


def rows_choices(document: Document, chosen: Table, groups: str) -> tuple[RowsChoice, ...]:
    """The kinds of rows that a file has; none if there is only one.

    :param groups: how its groups are called.
    """
    found = tables_by_kind(document).values()
    made = [RowsChoice(t.kind, _LABELS[t.kind] or groups, len(t.rows), t.kind is chosen.kind) for t in found]
    return tuple(made) if len(made) > 1 else ()


def _more_tables(document: Document) -> int:
    shown = tables_by_kind(document).values()
    known = [table for table in document.tables if table.kind in _LABELS and table.name not in (*_OWN, ANCESTORS)]
    return len(known) - len(shown)


def chosen_table(document: Document, dataset_type: str, rows: str = "") -> Table | None:
    """The table of a file that is shown as its results.

    :param rows: kind of its rows, if it has such a table; default: users, or else groups, questions, or any.
    """
    if rows and (wanted := tables_by_kind(document).get(rows)):
        return wanted
    table = document.first(Kind.GROUPS) if has_report(dataset_type) else None
    users = document.first(Kind.USERS)
    chosen = users if users and (table is None or table.name == "group") else table
    return chosen or document.first(Kind.ITEMS) or next(iter(document.tables), None)


def _items(
    plain: Results, dataset: PublishedDataset, table: Table, wanted: Sorting, here: str, asked: ItemQuery
) -> Results:
    shown = replace(table, rows=[row for row in table.rows if asked.shows(row)])
    files = own_files(dataset.files, shown.rows)
    found = item_analysis(table, shown, asked, files, here)

    def own(row: Mapping[str, Any]) -> str | None:
        path = files.get(reference(row))
        return file_address(here, path) if path else None

    rows = view(
        shown,
        caption="Questions",
        sort=wanted.sort,
        direction=wanted.direction,
        page=wanted.page,
        link=own,
        tags=words_of,
        at=asked.at,
    )
    scatter = script_json(found.scatter) if found.scatter else None
    return replace(plain, table=rows, text="", items=found, scatter=scatter)


def has_only_a_part(dataset: PublishedDataset, document: Document) -> bool:
    """Whether a file has only some of the questions of an analysis, as its manifest counts them."""
    table, returned = document.first(Kind.ITEMS), dataset.manifest.returned
    counted = returned.questions if returned else None
    return table is not None and not document.cut and counted is not None and counted > len(table.rows)


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
