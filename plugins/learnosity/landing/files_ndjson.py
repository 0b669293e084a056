"""Makes and writes files.ndjson, the list of the files of a dataset, in limited memory."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import FileEntry, encode_files
from learnosity.errors import BrokenWriteError
from learnosity.landing.ledger import Landed
from learnosity.storage.store import Store

CONTENT_TYPE = "application/x-ndjson"
WHOLE_BYTES = 8 * 1024 * 1024  # a files.ndjson up to this size is kept in memory and written in one request
# Maximum number of attempts to write a larger files.ndjson. It is written as a stream, of which `Store.put_stream` gets
# each piece only once. So `put_stream` cannot repeat a write that broke, and `_put` calls it again.
ATTEMPTS = 3
_PIECE = 1024 * 1024


def file_entry(landed: Landed) -> FileEntry:
    """The line of files.ndjson for a landed file."""
    return FileEntry(landed.path, landed.bytes, landed.sha256, landed.content_type, landed.content_encoding)


class FilesList:
    """files.ndjson before it is written. A long list is in a temporary file.

    `files` and `total_bytes` are of all files together, `size` and `sha256` are of the list itself.

    :param landed: the files, sorted by path.
    """

    def __init__(self, landed: Iterable[Landed]) -> None:
        self.files = self.total_bytes = 0
        self._spool = tempfile.SpooledTemporaryFile(WHOLE_BYTES)  # noqa: SIM115 (closed at the end of the context)
        digest = hashlib.sha256()
        for entry in landed:
            for line in encode_files([file_entry(entry)]):
                digest.update(line)
                self._spool.write(line)
            self.files += 1
            self.total_bytes += entry.bytes
        self.size = self._spool.tell()
        self.sha256 = digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()

    async def put(self, store: Store, layout: DatasetLayout) -> Landed:
        """Write files.ndjson. Returns what was written, with the entity tag of the store's reply."""
        tag = await self._put(store, layout.files)
        return Landed(layout.files, self.size, self.sha256, CONTENT_TYPE, etag=tag)

    async def _put(self, store: Store, path: str) -> str | None:
        if self.size <= WHOLE_BYTES:
            self._spool.seek(0)
            return await store.put(path, self._spool.read(), CONTENT_TYPE)
        for _ in range(1, ATTEMPTS):
            with suppress(BrokenWriteError):
                return await store.put_stream(path, self._pieces(), self.size, CONTENT_TYPE)
        return await store.put_stream(path, self._pieces(), self.size, CONTENT_TYPE)

    async def _pieces(self) -> AsyncIterator[bytes]:
        self._spool.seek(0)
        while piece := self._spool.read(_PIECE):
            yield piece
