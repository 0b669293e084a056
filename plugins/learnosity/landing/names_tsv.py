"""Writes `names.tsv` at publication. With it, the dataset's page finds a user, a group or a question.

Each file that may hold users has to be read for it, so a dataset with too many files gets none. Memory is bounded by
the files that are read at the same time and by the index itself. No name leaves the destination.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

from learnosity.api.dataset_request import KNOWN_TYPES, dataset_type
from learnosity.dataset.bounded_reads import unpacked
from learnosity.dataset.group_files import group_files
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.limits import Limits
from learnosity.dataset.manifest import FileEntry
from learnosity.dataset.names_tsv import MAX_BYTES, Name, NameKind, NamesInfo, encode_names
from learnosity.dataset.nested_rows import unfolded
from learnosity.dataset.question_files import CANDIDATES, MOST_PARTS, Questions, likely_files
from learnosity.dataset.tables import Document, Kind, read_document
from learnosity.landing.ledger import Landed
from learnosity.storage.store import Store

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/tab-separated-values"
_MIB = 1024 * 1024
MAX_FILES = 20_000  # if more files would have to be read, no names.tsv is made
# Size in bytes of the largest file that is read. For a compressed file, the size of its unpacked content must not be
# larger either. Names that only a larger file has are not in names.tsv.
FILE_BYTES = 4 * _MIB
AT_ONCE = 32  # maximum number of files that are read at the same time
BYTES_AT_ONCE = 8 * _MIB
_LIMITS = Limits(file_bytes=FILE_BYTES, shown_bytes=FILE_BYTES, containers=300_000)


async def put_names(store: Store, layout: DatasetLayout, made: tuple[bytes, NamesInfo] | None) -> Landed | None:
    """Write the index. Returns what was written, with the entity tag of the store's reply.

    :param made: what `make_names` has made; None = no index, so that of an earlier landing is removed.
    """
    if made is None:
        await store.delete([layout.names])
        return None
    content, info = made
    tag = await store.put(layout.names, content, CONTENT_TYPE)
    return Landed(layout.names, info.bytes, info.sha256, CONTENT_TYPE, etag=tag)


async def make_names(
    store: Store, layout: DatasetLayout, files: Sequence[FileEntry] | None
) -> tuple[bytes, NamesInfo] | None:
    """The index, and what the manifest says of it; None where the dataset has too many files or names.

    :param files: the files of the dataset, which have landed, in the order of files.ndjson. None = very many.
    """
    if files is None:
        return None
    places = {file.path: number for number, file in enumerate(files)}
    groups = group_files(places) if dataset_type(layout.dataset_type).by_group else {}
    chosen = _chosen(layout, places, groups)
    if groups and len(chosen) > MAX_FILES:
        log.info("The dataset has more than %d files with names, so its page cannot find a name.", MAX_FILES)
        return None
    content = bytearray()
    names = read = 0

    def add(found: Iterable[Name]) -> bool:
        nonlocal names
        for line in encode_names(found):
            content.extend(line)
            names += 1
        return len(content) <= MAX_BYTES

    fits = add(_of_groups(groups, places))
    questions, known, lacking = Questions(), set[str](), list[str]()
    for step in [chosen] if groups else [chosen[:CANDIDATES], chosen[CANDIDATES:MOST_PARTS]]:
        async for path, document in _documents(store, layout, [files[places[path]] for path in step]):
            if document is None or not _is_whole(document):
                lacking.append(path)
            if not groups:
                questions.add(path, document)
            if document is None:
                continue
            found: Iterable[Name] = _of_document(document, places[path])
            if not groups:
                found = [each for each in found if each.name not in known]
                known |= {each.name for each in found}
            fits = fits and add(found)
            if not fits:
                log.info("The names of the dataset are more than %d bytes, so its page cannot find a name.", MAX_BYTES)
                return None
        read += len(step)
        if not questions.goes_on:
            # The dataset is an analysis, and one file has all its questions, as usual. The other files only repeat
            # these questions, so they are not read.
            break
    # `left_out` is the number of files whose names may be missing in names.tsv. In a group dataset, these are all files
    # in `lacking`. In an analysis, a file counts only if it may have questions that are in no file that was read.
    left_out = len(lacking) if groups else sum(map(questions.may_lack, [*lacking, *chosen[read:]]))
    return bytes(content), NamesInfo(hashlib.sha256(content).hexdigest(), len(content), names, left_out)


def _chosen(layout: DatasetLayout, paths: Iterable[str], groups: Mapping[tuple[str, ...], str]) -> list[str]:
    """The files that may hold names: those of groups; of an analysis those that are likely to have the questions."""
    if groups:
        return sorted(set(groups.values()))
    return likely_files(paths) if layout.dataset_type in KNOWN_TYPES else []


def _of_groups(groups: Mapping[tuple[str, ...], str], places: Mapping[str, int]) -> Iterator[Name]:
    """The name of each group. `groups` has an encoded name in both spellings; the decoded one is last, and counts."""
    decoded = {path: steps for steps, path in groups.items()}
    return (Name(NameKind.GROUP, steps[-1], places[path], 0) for path, steps in decoded.items() if steps)


def _of_document(document: Document, place: int) -> Iterator[Name]:
    users, items = document.first(Kind.USERS), document.first(Kind.ITEMS)
    if users is not None:
        for number, row in enumerate(users.rows):
            if (name := row.get("user_id")) is not None:
                yield Name(NameKind.USER, str(name), place, number)
    elif items is not None:
        for number, row in enumerate(items.rows):
            known = (row.get("question_reference"), row.get("item_reference"))
            for name in dict.fromkeys(each for each in known if isinstance(each, str)):
                yield Name(NameKind.QUESTION, name, place, number)


def _is_whole(document: Document) -> bool:
    """Whether every row of a user that a file has is in the table that `_of_document` reads."""
    users = [table for table in document.tables if table.kind is Kind.USERS]
    return not document.broken and not document.hidden and len(users) < 2


async def _documents(
    store: Store, layout: DatasetLayout, files: Sequence[FileEntry]
) -> AsyncIterator[tuple[str, Document | None]]:
    """The content of files, in their order; None = too large, or not understood. A few are read at once."""

    async def content(file: FileEntry) -> bytes | None:
        if file.bytes > FILE_BYTES:
            return None
        return await store.get(layout.data(file.path), limit=FILE_BYTES)

    begin = 0
    while begin < len(files):
        end, size = begin, 0
        while end < len(files) and end - begin < AT_ONCE and (end == begin or size + files[end].bytes <= BYTES_AT_ONCE):
            size += min(files[end].bytes, FILE_BYTES)
            end += 1
        batch = files[begin:end]
        for file, found in zip(batch, await asyncio.gather(*map(content, batch)), strict=True):
            yield file.path, None if found is None else await asyncio.to_thread(_read, file, found)
        begin = end


def _read(file: FileEntry, content: bytes) -> Document | None:
    plain = unpacked(content, file.content_encoding, FILE_BYTES)
    document = None if plain is None else read_document(file.path, plain, limits=_LIMITS)
    return None if document is None or document.cut else unfolded(document)
