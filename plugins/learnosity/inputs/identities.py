"""The user and session ids of one input: which of them stand in it twice, in bounded memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from learnosity.inputs.records import MAX_USERS


class Identities:
    """The identities met so far, exact and in bounded memory: a set that becomes a temporary database when large.

    :param in_memory: how many are held in memory; more go to a temporary file that disappears by itself.
    """

    def __init__(self, in_memory: int = MAX_USERS + 50_000) -> None:
        self._in_memory = in_memory
        self._seen: set[str] = set()
        self._added: list[Sequence[str]] | None = []
        """What `_seen` is made of, for as long as all of it could be added; None from then on."""
        self._database: sqlite3.Connection | None = None

    def add(self, identities: Sequence[str]) -> bool:
        """Add all of them, or none of them if one is known already or stands twice among them.

        :returns: whether they were added.
        """
        if self._database is None and self._added is not None:
            added = self._add_quickly(self._added, identities)
        else:
            added = self._add_carefully(identities)
        if self._database is None and len(self._seen) > self._in_memory:
            self._spill()
        return added

    def _add_quickly(self, earlier: list[Sequence[str]], identities: Sequence[str]) -> bool:
        """As long as all goes well one set is enough; the first time that it does not, it is made anew."""
        expected = len(self._seen) + len(identities)
        self._seen.update(identities)
        if len(self._seen) == expected:
            earlier.append(identities)
            return True
        self._seen = set[str]().union(*earlier)
        self._added = None
        return False

    def _add_carefully(self, identities: Sequence[str]) -> bool:
        fresh = set(identities)
        if len(fresh) != len(identities):
            return False
        if self._database is not None:
            return self._insert(self._database, fresh)
        if not self._seen.isdisjoint(fresh):
            return False
        self._seen |= fresh
        return True

    def close(self) -> None:
        """Forget all of them, on disk too."""
        self._seen, self._added = set(), None
        if self._database is not None:
            self._database.close()
            self._database = None

    def _spill(self) -> None:
        self._database = sqlite3.connect("")  # the empty name: a private file, removed on close
        self._database.execute("PRAGMA cache_size = -32000")  # 32 MB
        self._database.execute("PRAGMA journal_mode = MEMORY")  # no more than one call's changes
        self._database.execute("CREATE TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._insert(self._database, self._seen)
        self._seen, self._added = set(), None

    @staticmethod
    def _insert(database: sqlite3.Connection, identities: set[str]) -> bool:
        try:
            with database:
                database.executemany("INSERT INTO seen VALUES (?)", ((one,) for one in sorted(identities)))
        except sqlite3.IntegrityError:
            return False
        return True
