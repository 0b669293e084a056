"""Exports of a dataset: its tables as CSV, and the files of a group as one ZIP, streamed in bounded memory."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from learnosity.dataset.bounded_reads import compression
from learnosity.dataset.file_names import safe_path
from learnosity.dataset.group_files import stem_of
from learnosity.dataset.manifest import FileEntry
from learnosity.dataset.page_threads import reading_on
from learnosity.dataset.published import PublishedDataset
from learnosity.dataset.tables import is_number, json_text

# A longer text is cut to this many units of UTF-16, because a cell of Excel takes at most 32,767 of them. Most
# characters have one unit, and an emoji has two.
CSV_CELL = 32_000
# A ZIP is sent in pieces. A piece is sent as soon as it has `_PIECE` bytes. With small files and a slow store, that may
# take long. So a piece is also sent after every `_FILES` files, and the browser does not wait too long for bytes.
_PIECE = 256 * 1024
_FILES = 20
_ZIP64_FROM = 2**31 - 1
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_of(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as CSV with a header, in UTF-8 with the mark by which spreadsheets recognise it.

    A spreadsheet takes a text that begins like a formula for one, and the names in results are not ours. So such a text
    gets an apostrophe in front.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([_cell(name) for name in columns])
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return text.getvalue().encode("utf-8-sig", "replace")


def _cell(value: Any) -> Any:
    if value is None or is_number(value):
        return value
    text = str(value) if isinstance(value, str | bool) else json_text(value, CSV_CELL)
    if len(text) > CSV_CELL // 2:
        # An emoji has two units, and the cut may be between them. Its first unit alone is no character, so "ignore"
        # drops it.
        text = text[:CSV_CELL].encode("utf-16-le", "replace")[: 2 * CSV_CELL].decode("utf-16-le", "ignore")
    return f"'{text}" if text.startswith(_FORMULA) else text


def files_of_group(dataset: PublishedDataset, path: Sequence[str]) -> list[FileEntry]:
    """The files of a group and of the groups below it; all files for the whole dataset.

    :param path: names of the groups from the top.
    :raises UnsafeNameError: the list of files has a path that no landing writes.
    """
    for each in dataset.files:
        safe_path(each)
    own, root = dataset.group_file(path), dataset.group_file(())
    if not path or own is None or root is None:
        return list(dataset.files.values())
    folder, _, name = own.path.rpartition("/")
    # Datasets have one of two layouts. In the first, each group has a folder, and its file in this folder has the same
    # name as the file of the whole dataset: `data.json`, `north/data.json`. In the second, the file of a group is
    # beside its folder, and both have the group's name: `north.json`, `north/`.
    if name == root.path.rpartition("/")[2]:
        return [entry for entry in dataset.files.values() if entry.path.startswith(f"{folder}/")]
    begin = stem_of(own.path)
    return [entry for entry in dataset.files.values() if entry is own or _is_of(begin, entry.path)]


def _is_of(begin: str, path: str) -> bool:
    """Whether a path is in the folder `begin`, or is a file of this name, such as `begin.csv`.

    A name may have dots, so `aa.b.json` is a file of the group `aa.b`, and not one of the group `aa`.
    """
    stem, _, ending = path.rpartition(".")
    return path.startswith(f"{begin}/") or stem_of(path) == begin or (stem == begin and "/" not in ending)


async def zipped(dataset: PublishedDataset, entries: Sequence[FileEntry]) -> AsyncIterator[bytes]:
    """A ZIP with these files, piece by piece.

    :raises LearnosityError: a file is missing or was changed. The ZIP then breaks off, so it is not taken for whole.
    """
    async for piece in reading_on(_pieces(entries, dataset.chunks)):
        yield piece


class _Sink(io.RawIOBase):
    """Takes what a ZIP writes until it is sent."""

    def __init__(self) -> None:
        self._content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._content += content
        return len(content)

    def __len__(self) -> int:
        return len(self._content)

    def take(self) -> bytes:
        """What was written since the last time."""
        content, self._content = bytes(self._content), bytearray()
        return content


def _pieces(entries: Sequence[FileEntry], read: Callable[[FileEntry], Iterator[bytes]]) -> Iterator[bytes]:
    sink, files = _Sink(), 0
    now = time.gmtime()[:6]
    taken = {name for entry in entries for name in _with_folders(entry.path)}
    with ZipFile(sink, "w", ZIP_STORED) as archive:
        for entry in entries:
            info = ZipInfo(_member(entry, taken), now)
            with archive.open(info, "w", force_zip64=entry.bytes >= _ZIP64_FROM) as file:
                for chunk in read(entry):
                    file.write(chunk)
                    if len(sink) >= _PIECE:
                        yield sink.take()
            files += 1
            if files % _FILES == 0 and len(sink):
                yield sink.take()
    yield sink.take()


def _member(entry: FileEntry, taken: set[str]) -> str:
    """The name of a file in the ZIP. A file that is compressed with gzip gets the ending `.gz`.

    :param taken: names that stand for something else. The name is added.
    """
    if compression(entry.content_encoding) not in ("gzip", "x-gzip"):
        return entry.path
    names = chain([f"{entry.path}.gz"], (f"{entry.path}.{number}.gz" for number in count(1)))
    name = next(each for each in names if each not in taken)
    taken.add(name)
    return name


def _with_folders(path: str) -> Iterator[str]:
    """A path, and the folders that it is in."""
    while path:
        yield path
        path = path.rpartition("/")[0]
