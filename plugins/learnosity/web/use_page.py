"""The routes of the tab Use this data: tables as CSV, files as ZIP, and code that reads the dataset elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response

from learnosity.api.report_definition import has_report
from learnosity.connections import open_input_store
from learnosity.dataset.bounded_reads import compression, info_of
from learnosity.dataset.exact_paths import are_like_patterns
from learnosity.dataset.file_names import MAX_PATH_BYTES
from learnosity.dataset.group_files import stem_of, suffix_of
from learnosity.dataset.manifest import FileEntry
from learnosity.dataset.page_threads import reading, working
from learnosity.dataset.parquet_place import NAMES, beside
from learnosity.dataset.published import PublishedDataset
from learnosity.dataset.snippets import Rows, Snippet, json_snippets, parquet_snippets
from learnosity.dataset.tables import Document, Kind, Table, sorted_rows
from learnosity.errors import FolderNotFoundError, LearnosityError, StorageError
from learnosity.storage.store import ObjectInfo
from learnosity.storage.uris import parse_uri
from learnosity.web.audit import note_reading
from learnosity.web.exports import csv_of, files_of_group, zipped
from learnosity.web.group_view import users_with_percents
from learnosity.web.item_analysis import ItemQuery
from learnosity.web.open_dataset import Shown
from learnosity.web.rendering import DOWNLOAD_HEADERS, streamed
from learnosity.web.results import NoSuchGroupError, Sorting, chosen_table, has_only_a_part
from learnosity.web.routes import AskedItems, GroupPath, ShownDataset, SortedBy, Words, page
from learnosity.web.team_connections import with_connections_of

log = logging.getLogger(__name__)

NOT_READ = "This file has no table that can be shown, so there is no CSV of it. Download the file."


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """A Parquet file that was found. `uri` has the Airflow connection.

    :param old: whether it is of an earlier landing.
    """

    uri: str
    bytes: int
    old: bool


@page("/csv")
async def results_csv(
    shown: ShownDataset,
    wanted: SortedBy,
    asked: AskedItems,
    group: GroupPath = [],  # noqa: B006 - FastAPI copies this default, so no request can change it
) -> Response:
    """The table of the results, or of a group, as it is filtered and sorted."""
    entry = _of_group(shown, group)
    await note_reading(shown, "learnosity_csv", entry)
    document = await shown.dataset.unfolded(entry) if entry else None

    def made() -> bytes | None:
        table = chosen_table(document, shown.publication.layout.dataset_type, wanted.rows) if document else None
        return None if table is None else _csv(_filtered(table, asked), wanted)

    return _csv_file(await working(made), [*group[-1:], shown.publication.layout.dataset_type])


@page("/csv/{path:path}")
async def file_csv(
    shown: ShownDataset,
    path: str,
    wanted: SortedBy,
    table: Annotated[int, Query(ge=0, le=100)] = 0,
    file: Annotated[str, Query(max_length=MAX_PATH_BYTES)] = "",
) -> Response:
    """A table of a file, as it is sorted.

    :param table: its number on the page of the file, from 0.
    """
    entry = shown.dataset.entry(file or path)
    if entry is None:
        raise HTTPException(404, "This dataset lists no such file.")
    await note_reading(shown, "learnosity_csv", entry)
    document = await shown.dataset.unfolded(entry)

    def made() -> bytes | None:
        tables = document.tables if document else ()
        return _csv(tables[table], wanted) if table < len(tables) else None

    return _csv_file(await working(made), [entry.path.rpartition("/")[2]])


@page("/files.csv")
async def files_csv(shown: ShownDataset, q: Words = "") -> Response:
    """The list of files, as it is searched."""
    await note_reading(shown, "learnosity_files")

    def made() -> bytes:
        names = ("path", "bytes", "sha256", "content_type", "content_encoding")
        return csv_of(names, ({name: getattr(each, name) for name in names} for each in shown.dataset.search(q)))

    return _csv_file(await working(made), ["files"])


@page("/zip")
async def files_zip(
    shown: ShownDataset,
    group: GroupPath = [],  # noqa: B006 - FastAPI copies this default, so no request can change it
) -> Response:
    """The files of a group and of the groups below it, or all files, as one ZIP."""
    entry = _of_group(shown, group) if group else None
    await note_reading(shown, "learnosity_zip", entry)
    pieces = zipped(shown.dataset, await working(files_of_group, shown.dataset, group))
    name = _file_name([*group[-1:], shown.publication.layout.dataset_id], "zip")
    return await streamed(pieces, "application/zip", name)


@page("/use", response_class=HTMLResponse)
async def use_page(request: Request, shown: ShownDataset) -> Response:
    """How other tools read this dataset."""
    await note_reading(shown, "learnosity_use")
    looked = await _parquet(shown)
    found = looked or []
    parquet = [each for each in found if not each.old]
    root = None if shown.dataset.not_listed else shown.dataset.group_file(())
    document = await shown.dataset.document(root) if root else None
    rows = _rows(shown.dataset, root, document)
    in_parts = document is not None and has_only_a_part(shown.dataset, document)
    if in_parts:
        rows = None
    if rows is not None:
        read = [each for each in shown.dataset.files.values() if rows.reads(each.path)]
        encodings = frozenset(compression(each.content_encoding) for each in read)
        rows = replace(rows, encodings=encodings, literal=are_like_patterns(each.path for each in read))
    destination = parse_uri(shown.publication.destination_uri)
    folder = parse_uri(f"{shown.dataset.store.uri}/{shown.publication.layout.prefix}")
    code: Sequence[Snippet] = ()
    if parquet:
        code = parquet_snippets([parse_uri(each.uri) for each in parquet])
    elif rows:
        code = json_snippets(folder, rows)
    return await shown.page(
        request,
        "use.html",
        manifest_uri=f"{shown.publication.destination_uri.rstrip('/')}/{shown.publication.layout.manifest}",
        conn_id=destination.conn_id,
        parquet=parquet,
        looked=looked is not None,
        old=[each.uri.rpartition("/")[2] for each in found if each.old],
        snippets=code,
        in_parts=in_parts and not parquet,
    )


def _of_group(shown: Shown, group: Sequence[str]) -> FileEntry | None:
    entry = shown.dataset.group_file(group)
    if entry is None and group:
        raise NoSuchGroupError("No file of this dataset is named like this group. Look for it under Files.")
    return entry


def _filtered(table: Table, asked: ItemQuery) -> Table:
    """The rows that the page shows of a table."""
    if table.kind is Kind.ITEMS:
        rows: Sequence[Mapping[str, Any]] = [row for row in table.rows if asked.shows(row)]
        return Table(table.kind, table.name, table.columns, rows)
    return users_with_percents(table)[0] if table.kind is Kind.USERS else table


def _csv(table: Table, wanted: Sorting) -> bytes:
    rows = table.rows
    if wanted.sort in table.columns:
        rows = sorted_rows(rows, wanted.sort, descending=wanted.direction == "desc")
    return csv_of(table.columns, rows)


def _csv_file(content: bytes | None, names: Sequence[str]) -> Response:
    if content is None:
        raise HTTPException(404, NOT_READ)
    return Response(content, media_type="text/csv; charset=utf-8", headers=_file_name(names, "csv"))


def _file_name(names: Sequence[str], kind: str) -> dict[str, str]:
    name = quote(f"{'-'.join(names)[:120]}.{kind}", safe="")
    return {**DOWNLOAD_HEADERS, "Content-Disposition": f"attachment; filename*=UTF-8''{name}"}


async def _parquet(shown: Shown) -> list[ParquetFile] | None:
    """The Parquet files of the dataset at their default place; None = their place could not be looked at."""
    found, layout = [], shown.publication.layout
    try:
        place = beside(shown.publication.destination_uri)
    except StorageError:  # the destination is a whole bucket, so it has no folder beside it for Parquet files
        return []
    try:
        store = await reading(with_connections_of, shown.run.team, open_input_store, place)
        for name in NAMES:
            path = f"{layout.prefix}/{name}.parquet"
            if (info := await info_of(store, path)) is not None:
                manifest = await info_of(shown.dataset.store, layout.manifest)
                found.append(ParquetFile(f"{place}/{path}", info.size, _is_older(info, manifest, shown.published)))
    except FolderNotFoundError:
        return []
    except LearnosityError as error:
        log.warning("The place of the Parquet files of a dataset cannot be looked at: %s", error)
        return None
    return found


def _is_older(file: ObjectInfo, manifest: ObjectInfo | None, published: datetime) -> bool:
    """Whether a file was written before the dataset was published. Both times of the manifest have to say so.

    The one in the manifest is of the worker's clock, which may differ from the store's. That of its object is new where
    the whole dataset was copied.
    """
    known = manifest.modified if manifest else None
    return file.modified is not None and known is not None and file.modified < min(known, published.timestamp())


def _rows(dataset: PublishedDataset, root: FileEntry | None, document: Document | None) -> Rows | None:
    """Where the main rows of a dataset stand; None if they are not recognised."""
    if root is None or document is None or not document.tables or suffix_of(root.path) != ".json":
        return None
    if not has_report(dataset.layout.dataset_type):
        table = chosen_table(document, dataset.layout.dataset_type)
        return Rows(root.path, table.name, above=table.keys[:-1]) if table and not table.lone else None
    name = root.path.rpartition("/")[2]
    # If the files of all groups have the same name, each group has a folder: `data.json`, `north/data.json`. Then the
    # number of folders in a path says the level of its rows, and the code on the page adds this level to each row.
    # Otherwise, the file of a group may be beside that of the whole dataset: `data.json`, `north.json`. Both paths have
    # the same number of folders, so the code adds no level.
    same = all(path.rpartition("/")[2] == name for path in dataset.groups.values())
    below = f"/{name}" if same else name.removeprefix(stem_of(name))
    groups, users = document.first(Kind.GROUPS), document.first(Kind.USERS)
    table = users if groups is None or (groups.name == "group" and users) else groups
    if table is None or (table.lone and table.name != "group"):
        # The code on the page reads a list of rows, so it needs the key of this list. If the file has no groups and no
        # users, or `table` is one object (`lone`), the key is not known, and no code is shown. Only the object `group`
        # has a list beside it: `{"group": {…}, "users": []}`. If this were a list of groups, `table` would be the list,
        # and not the object `group`. So the list is that of users, and its key is `users`.
        return None
    above = table.keys[:-1]
    if table is groups and table.name != "group":
        return Rows(root.path, table.name, "users", below, 1 if same else None, above=above)
    name = table.name if table is users else "users"
    return Rows(root.path, name, below=below, level=0 if same else None, above=above)
