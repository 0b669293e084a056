"""What has landed already, noted as it goes, so that a landing that was cut short continues.

Notes are written in batches to objects of their own (an object store cannot append). A file that landed after
the last note is fetched again, which is harmless: every write is whole or not at all.
"""

from __future__ import annotations

import time
from uuid import uuid4

import msgspec

from learnosity.storage.store import Store

FLUSH_FILES = 2000
FLUSH_SECONDS = 5.0


class Landed(msgspec.Struct, frozen=True):
    """One file that lies in the store, whole."""

    path: str
    bytes: int
    sha256: str
    content_type: str
    etag: str | None = None
    """Entity tag at the time of writing: a cheap way to see that nobody changed the object since."""


class Ledger:
    """Notes of one shard.

    :param store: destination.
    :param work: folder of the run's notes.
    :param shard: number of the shard.
    """

    def __init__(self, store: Store, work: str, shard: int) -> None:
        self._store = store
        self._prefix = ledger_prefix(work, shard)
        self._waiting: list[Landed] = []
        self._flushed = time.monotonic()

    async def add(self, landed: Landed) -> None:
        """Note one file; now and then the notes are written down."""
        self._waiting.append(landed)
        due = time.monotonic() - self._flushed >= FLUSH_SECONDS
        if due or len(self._waiting) >= FLUSH_FILES:
            await self.flush()

    async def flush(self) -> None:
        """Write down what is not yet written."""
        self._flushed = time.monotonic()
        if not self._waiting:
            return
        batch, self._waiting = self._waiting, []
        # The name only has to be new: an attempt that is thought dead may still be writing.
        name = f"{self._prefix}{time.time_ns():020d}-{uuid4().hex[:8]}.ndjson"
        try:
            await self._store.put(name, msgspec.json.Encoder().encode_lines(batch), "application/x-ndjson")
        except BaseException:
            self._waiting = batch + self._waiting
            raise


async def read_ledger(store: Store, work: str, shard: int) -> dict[str, Landed]:
    """Every file that earlier attempts at this shard have noted, by path; the latest note counts."""
    names: list[str] = []
    async for batch in store.list(work):
        names += [info.path for info in batch if info.path.startswith(ledger_prefix(work, shard))]
    decoder: msgspec.json.Decoder[Landed] = msgspec.json.Decoder(Landed)
    landed: dict[str, Landed] = {}
    for name in sorted(names):
        content = await store.get(name)
        for entry in decoder.decode_lines(content or b""):
            landed[entry.path] = entry
    return landed


def ledger_prefix(work: str, shard: int) -> str:
    """What the names of a shard's notes begin with."""
    return f"{work}/landed-{shard:04d}-"
