"""Notes which files have landed, so that an interrupted landing can continue.

Notes are written in batches. Each batch is a new object, because nothing can be added to an object in a store. After an
interruption, files without a written note are landed again. This is safe, because every write is atomic.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from uuid import uuid4

import msgspec

from learnosity.storage.store import ObjectInfo, Store

FLUSH_FILES = 2000  # maximum number of notes that are written together; a note says that a file has landed
# If notes were last written this long ago, the next note is written at once, together with all notes that wait.
FLUSH_SECONDS = 5.0


class Landed(msgspec.Struct, frozen=True):
    """The note of one file that has landed completely."""

    path: str
    bytes: int
    sha256: str
    content_type: str
    content_encoding: str | None = None
    """How the file is compressed, such as `gzip`; None = not compressed. It is stored as Learnosity sent it."""
    etag: str | None = None
    """Entity tag after the write. It shows a later change of the object without reading the object."""


class Ledger:
    """The notes of one shard.

    :param store: the destination.
    :param work: folder of the notes of this landing (`DatasetLayout.work_prefix`).
    :param shard: number of the shard.
    """

    def __init__(self, store: Store, work: str, shard: int) -> None:
        self._store = store
        self._prefix = ledger_prefix(work, shard)
        self._waiting: list[Landed] = []
        self._flushed = time.monotonic()

    async def add(self, landed: Landed) -> None:
        """Note one file. When the batch is full or old enough, the batch is written."""
        self._waiting.append(landed)
        due = time.monotonic() - self._flushed >= FLUSH_SECONDS
        if due or len(self._waiting) >= FLUSH_FILES:
            await self.flush()

    async def flush(self) -> None:
        """Write the notes that are not written yet."""
        self._flushed = time.monotonic()
        if not self._waiting:
            return
        batch, self._waiting = self._waiting, []
        # The name must be unique. An earlier attempt that Airflow treats as dead may still be writing notes, and under
        # the same name, these would replace the notes written here.
        name = f"{self._prefix}{time.time_ns():020d}-{uuid4().hex[:8]}.ndjson"
        try:
            await self._store.put(name, msgspec.json.Encoder().encode_lines(batch), "application/x-ndjson")
        except BaseException:
            self._waiting = batch + self._waiting
            raise


async def ledger_batches(store: Store, work: str, shard: int) -> AsyncIterator[list[Landed]]:
    """The notes of earlier attempts at this shard, in batches, the earliest first."""
    names: list[str] = []
    async for batch in store.list(work):
        notes = [info.path for info in batch if not info.marks_folder]
        names += [path for path in notes if path.startswith(ledger_prefix(work, shard))]
    decoder: msgspec.json.Decoder[Landed] = msgspec.json.Decoder(Landed)
    for name in sorted(names):
        yield decoder.decode_lines(await store.get(name) or b"")


async def read_ledger(store: Store, work: str, shard: int) -> dict[str, Landed]:
    """The notes of earlier attempts at this shard, by path of the file. The latest note of a file is used."""
    return {entry.path: entry async for batch in ledger_batches(store, work, shard) for entry in batch}


def ledger_prefix(work: str, shard: int) -> str:
    """The beginning of the paths of a shard's notes."""
    return f"{work}/landed-{shard:04d}-"


def is_same(info: ObjectInfo | None, entry: Landed) -> bool:
    """Whether a stored object is still the file that was landed. Only size and entity tag are compared."""
    if info is None or info.size != entry.bytes:
        return False
    return entry.etag is None or info.etag is None or info.etag.strip('"') == entry.etag.strip('"')
