"""Finds records that are in one input twice, in limited memory: ids of sessions, and users in the same group."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Collection, Hashable, Iterator, Sequence

from learnosity.inputs.records import MAX_USERS, RecordSchema
from learnosity.inputs.sessions import as_compared


class SeenRecords:
    """All records that were added.

    A user may be in several groups: a record for each. The same user in the same group again is a repetition, and so is
    an id of a type without groups.

    :param sessions: whether the ids are those of sessions (see `as_compared`); default False.
    """

    def __init__(self, *, sessions: bool = False) -> None:
        self._are_sessions = sessions
        self.count = 0
        """How many different ids there are."""
        self._identities = Identities()
        self._users: set[str] = set()
        self._blocks: list[tuple[Sequence[str], array[int]]] = []
        """The lists of users that `_users` was made from, and for each user the hash of the group path."""
        self._paths: dict[str, int | set[int]] | None = None
        """For each user, the hash of the group path, or several hashes. None as long as each user is in one group: this
        needs less memory."""

    def add(self, ids: Sequence[str], groups: Sequence[Sequence[Hashable]]) -> list[int]:
        """Add records.

        :param ids: the id of each record; empty for a type without ids.
        :param groups: for each level, the group of each record; empty for a type without groups.
        :returns: the places of those that are repetitions. They are not added.
        """
        if not groups:
            return self._add_ids(ids)
        paths = array("q", map(hash, zip(*groups, strict=True)))
        if self._paths is None:
            expected = self.count + len(ids)
            self._users.update(ids)
            if len(self._users) == expected:
                self._blocks.append((ids, paths))
                self.count = expected
                return []
            self._paths = {user: path for block in self._blocks for user, path in zip(*block, strict=True)}
            self._users, self._blocks = set(), []
        records = enumerate(zip(ids, paths, strict=True))
        repeated = [place for place, (user, path) in records if not _add_path(self._paths, user, path)]
        self.count = len(self._paths)
        return repeated

    def in_several(self) -> Iterator[Collection[int]]:
        """For each user who is in several groups, the hashes of their paths."""
        return (paths for paths in (self._paths or {}).values() if isinstance(paths, set))

    def close(self) -> None:
        """Forget all records."""
        self._identities.close()
        self._users, self._blocks, self._paths = set(), [], {}

    def _add_ids(self, ids: Sequence[str]) -> list[int]:
        repeated: list[int] = []
        if self._are_sessions:
            ids = as_compared(ids)
        if not self._identities.add(ids):
            repeated = [place for place, one in enumerate(ids) if not self._identities.add([one])]
        self.count += len(ids) - len(repeated)
        return repeated


def _add_path(paths: dict[str, int | set[int]], user: str, path: int) -> bool:
    """Add a group of a user. Returns whether it is a new one."""
    earlier = paths.get(user)
    if earlier is None:
        paths[user] = path
    elif isinstance(earlier, set):
        if path in earlier:
            return False
        earlier.add(path)
    elif path == earlier:
        return False
    else:
        paths[user] = {earlier, path}
    return True


class Identities:
    """All ids that were added. They are in a set, or in a temporary database if there are many ids.

    :param in_memory: how many ids stay in memory. With more ids, all ids go to a temporary file, which `close` removes.
    """

    def __init__(self, in_memory: int = MAX_USERS + 50_000) -> None:
        self._in_memory = in_memory
        self._seen: set[str] = set()
        self._added: list[Sequence[str]] | None = []
        """The lists of ids that `_seen` was made from; None after the first duplicate."""
        self._database: sqlite3.Connection | None = None

    def add(self, identities: Sequence[str]) -> bool:
        """Add all ids. If one id was added before or is in the list twice, add no id.

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
        """Add ids, then compare the size of `_seen`, which needs no second set. A duplicate means building it again."""
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
        """Forget all ids, also those on disk."""
        self._seen, self._added = set(), None
        if self._database is not None:
            self._database.close()
            self._database = None

    def _spill(self) -> None:
        # With an empty name, SQLite makes a private temporary file, and removes it when the connection is closed.
        self._database = sqlite3.connect("")
        self._database.execute("PRAGMA cache_size = -32000")  # at most 32 MB of the database in memory
        # SQLite needs a journal to undo an `add` that finds a duplicate. The journal is kept in memory: it is small,
        # because it has only the changes of one call.
        self._database.execute("PRAGMA journal_mode = MEMORY")
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


def repetition(schema: RecordSchema, unit: str) -> str:
    """The message about a record that occurs twice. `unit` is `line` or `row`."""
    same = ", with the same groups" if schema.levels else ""
    return f"its {schema.identity_key} is in an earlier {unit} too{same}"
