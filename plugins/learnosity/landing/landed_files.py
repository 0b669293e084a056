"""The notes of landed files, compared with plan and store. They are on local disk, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum

import msgspec

from learnosity.dataset.local_table import LocalTable
from learnosity.landing.ledger import Landed, is_same, ledger_batches
from learnosity.results.outcomes import ResultFile
from learnosity.storage.store import ObjectInfo, Store


class Finding(IntEnum):
    """How the object in the store compares with the note of its file."""

    MISSING = 0
    SAME = 1
    OTHER_TAG = 2
    """The same size, but another entity tag. Only its bytes show whether it is the same."""
    OTHER_SIZE = 3


class LandedFiles:
    """The notes of one or more shards, by path of the file. The latest note of a file is used."""

    def __init__(self) -> None:
        self._table = LocalTable(
            "CREATE TABLE landed (path TEXT PRIMARY KEY, planned INTEGER, found INTEGER, line BLOB) WITHOUT ROWID;"
            "CREATE TABLE others (path TEXT)"
        )
        self._decoder = msgspec.json.Decoder(Landed)
        self.notes = 0
        """How many notes were read. A file that landed twice has two."""

    async def read(self, store: Store, work: str, shard: int) -> None:
        """Read the notes of a shard."""
        encoder = msgspec.json.Encoder()
        async for batch in ledger_batches(store, work, shard):
            rows = ((entry.path, Finding.MISSING.value, encoder.encode(entry)) for entry in batch)
            self._table.change_many("INSERT OR REPLACE INTO landed VALUES (?, 0, ?, ?)", rows)
            self.notes += len(batch)

    def plan(self, files: Iterable[ResultFile]) -> list[str]:
        """Note which files are planned. Returns the paths of those that have no note."""
        planned = "UPDATE landed SET planned = 1 WHERE path = ?"
        return [file.path for file in files if not self._table.change(planned, (file.path,))]

    def compare(self, objects: Mapping[str, ObjectInfo]) -> None:
        """Compare some objects of the store with the notes. Objects without a note are kept for `others`."""
        for path, info in objects.items():
            row = self._table.row("SELECT line FROM landed WHERE path = ?", (path,))
            if row is None:
                self._table.change("INSERT INTO others VALUES (?)", (path,))
                continue
            entry = self._decoder.decode(row[0])
            if is_same(info, entry):
                found = Finding.SAME
            else:
                found = Finding.OTHER_TAG if info.size == entry.bytes else Finding.OTHER_SIZE
            self._table.change("UPDATE landed SET found = ? WHERE path = ?", (found.value, path))

    def is_same(self, path: str) -> bool:
        """Whether a file has a note, and its object is the same."""
        query = "SELECT 1 FROM landed WHERE path = ? AND found = ?"
        return self._table.row(query, (path, Finding.SAME.value)) is not None

    def same_in_all(self) -> tuple[int, int]:
        """How many files have an object that is the same, and how many bytes they have together."""
        files = total = 0
        for (line,) in self._table.rows("SELECT line FROM landed WHERE found = ?", (Finding.SAME.value,)):
            files += 1
            total += self._decoder.decode(line).bytes
        return files, total

    def planned(self, finding: Finding | None = None) -> Iterator[Landed]:
        """The notes of planned files, sorted by path.

        :param finding: only those with this finding. None = all.
        """
        query = "SELECT line FROM landed WHERE planned = 1 AND ? IN (-1, found) ORDER BY path"
        for (line,) in self._table.rows(query, (-1 if finding is None else finding.value,)):
            yield self._decoder.decode(line)

    def others(self) -> Iterator[str]:
        """Objects in the store that are not part of the plan."""
        not_planned = "SELECT path FROM others UNION ALL SELECT path FROM landed WHERE planned = 0 AND found != ?"
        for (path,) in self._table.rows(not_planned, (Finding.MISSING.value,)):
            yield path
