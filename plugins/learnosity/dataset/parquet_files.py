"""The files of a dataset whose rows become Parquet, and which of two files with the same rows is read."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from learnosity.dataset.group_files import root_first, stem_of, suffix_of
from learnosity.dataset.parquet_rows import check_readable, check_shape, is_in_other_shape, known_tables
from learnosity.dataset.published import PublishedDataset
from learnosity.dataset.tables import Document
from learnosity.errors import IncompleteDatasetError

log = logging.getLogger(__name__)


async def documents(dataset: PublishedDataset) -> AsyncIterator[tuple[str, Document]]:
    """The files with their content, that of the root group first.

    A CSV file is left out if a JSON file of the same name has rows: both have the same rows then. A JSON file in a
    shape that is not read is left out if another file of its name has rows.
    """
    left: dict[str, list[str]] = {}  # paths of JSON and NDJSON files, by path without suffix
    tables: dict[str, list[str]] = {}  # paths of CSV and TSV files, by path without suffix
    for path in sorted(dataset.files, key=root_first):
        name, suffix = stem_of(path), suffix_of(path)
        if suffix:
            (tables if suffix in (".csv", ".tsv") else left).setdefault(name, []).append(path)
    with_rows: set[str] = set()
    # JSON files in a shape that this package cannot read, by path without suffix. Each value is the whole path and the
    # content. Such a file is refused only if no other file of its name has rows, so it waits here until all files of
    # its name are read.
    unread: dict[str, tuple[str, Document]] = {}
    for path in sorted(dataset.files, key=root_first):
        name = stem_of(path)
        if path in tables.get(name, ()) and name in left:
            continue
        document = await _document(dataset, path)
        is_twin = name in tables and path in left.get(name, ())
        if is_twin and is_in_other_shape(document) and not known_tables(document):
            unread[name] = path, document
        else:
            check_shape(path, document)
            yield path, document
        if not is_twin:
            continue
        if known_tables(document):
            with_rows.add(name)
        if path != left[name][-1]:
            continue
        for twin in tables[name] if name not in with_rows else ():
            found = await _document(dataset, twin)
            check_shape(twin, found)
            if known_tables(found):
                with_rows.add(name)
            yield twin, found
        if name in unread:
            if name not in with_rows:
                check_shape(*unread[name])
            log.info("%s is in a shape that is not read. A file of the same name has rows.", unread[name][0])


async def _document(dataset: PublishedDataset, path: str) -> Document:
    entry = dataset.files[path]
    document = await dataset.document(entry)
    if document is None:
        raise IncompleteDatasetError(
            f"{path} is too big for this sample, or its compression ({entry.content_encoding}) is "
            "unknown or damaged. Read it with DuckDB directly."
        )
    check_readable(path, document)
    return document
