"""Gathers the sessions of each user from rows anywhere in the input, in limited memory.

A user who is in several groups becomes a record for each.
"""

from __future__ import annotations

import re
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, Final

import msgspec
from msgspec import UNSET

from learnosity.inputs.records import MAX_SESSIONS_PER_USER

_BATCH: Final = 4096  # maximum number of records in one of the blocks that `SessionRows.gathered` gives
# Matches a UUID, with or without hyphens. 32 hexadecimal digits without hyphens are a UUID only if no letter or digit
# stands beside them. Otherwise they are a part of a longer id, such as a digest of 64 digits.
_UUID = "(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|(?<![0-9A-Za-z])[0-9A-Fa-f]{32}(?![0-9A-Za-z]))"
_SHORTEST: Final = 32  # characters of a UUID without hyphens
# Characters that may stand around and between session ids in a cell, as in `{<id>,<id>}` (PostgreSQL) or
# `['<id>', '<id>']` (Python). They separate ids only if all ids are UUIDs. An id of another form may itself contain
# such a character: the cell `{a,b}` is one id.
_BETWEEN = r"[\s,;|'\"{}\[\]()]"
_MARK: Final = re.compile(_BETWEEN)
_HOLDS_UUID: Final = re.compile(_UUID)
_HYPHENS: Final = (8, 13, 18, 23)  # where a UUID has its hyphens
_LENGTH: Final = 36  # characters of a UUID with hyphens
# Matches a list without a session id, as a database or Python may write it: `{}` or `[None]`. Without this pattern,
# such a text would be taken for a session id.
_NOTHING: Final = re.compile(rf"[\[{{(](?:{_BETWEEN}|null|none)*", re.IGNORECASE)
_UUIDS: Final = re.compile(rf"{_BETWEEN}*{_UUID}(?:{_BETWEEN}+{_UUID})*{_BETWEEN}*")


@dataclass(frozen=True, slots=True)
class Misfit:
    """A session that does not fit to its user. `file` and `row` are those that `add` was given."""

    file: int
    row: int
    what: str


class SessionRows:
    """Users with their sessions. Ids of users are in memory; all else is in a temporary file, which `close` removes.

    :param most: most sessions of one user; None = no limit.
    """

    def __init__(self, most: int | None = MAX_SESSIONS_PER_USER) -> None:
        self._most = most
        self._users: dict[str, int] = {}
        """The number of the first record of each user."""
        self._groups = array("q")
        """A hash of the groups of each record."""
        self._more: dict[tuple[str, int], int] = {}
        """The numbers of the further records of users, by user and hash of their groups."""
        # With an empty name, SQLite makes a private temporary file, and removes it when the connection is closed.
        self._database = sqlite3.connect("")
        self._database.execute("PRAGMA cache_size = -16000")  # at most 16 MB of the database in memory
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE users (user INTEGER PRIMARY KEY, other TEXT)")
        self._database.execute("CREATE TABLE sessions (user INTEGER, session TEXT, file INTEGER, row INTEGER)")

    @property
    def users(self) -> int:
        """How many users there are."""
        return len(self._users)

    def add(
        self,
        file: int,
        numbers: Sequence[int],
        users: Sequence[str],
        others: Sequence[tuple[Any, ...]],
        cells: Iterable[Any],
    ) -> Iterator[Misfit]:
        """Add rows, one for each session, or one for each user.

        :param file: number of the file.
        :param numbers: numbers of the rows.
        :param others: the other keys of each row. Rows of a user with the same ones make one record.
        :param cells: a session, several UUIDs with separators or brackets, a JSON array, or a list. The same session
            twice is a misfit, and so is a list with something else than ids.
        """
        fresh: list[tuple[int, bytes]] = []
        found: list[tuple[int, str, int, int]] = []
        known = self._users
        for number, user, other, cell in zip(numbers, users, others, cells, strict=True):
            place = known.setdefault(user, len(self._groups))
            digest = hash(other)
            if place < len(self._groups) and self._groups[place] != digest:
                place = self._more.setdefault((user, digest), len(self._groups))
            if place == len(self._groups):
                self._groups.append(digest)
                fresh.append((place, msgspec.json.encode([value if value is not UNSET else None for value in other])))
            for session in _sessions(cell, blank=self._most is None):
                if session:
                    found.append((place, session, file, number))
                else:
                    yield Misfit(file, number, "a session id in it is empty, or no id")
        self._database.executemany("INSERT INTO users VALUES (?, ?)", fresh)
        self._database.executemany("INSERT INTO sessions VALUES (?, ?, ?, ?)", found)

    def gathered(self) -> Iterator[tuple[list[str], list[list[Any]], list[list[str]], list[Misfit]]]:
        """Blocks of records in the order in which they came: ids of users, other keys, sessions, and misfits.

        An other key that was UNSET is None.
        """
        rows = self._database.execute(
            "SELECT s.user, u.other, s.session, s.file, s.row FROM sessions s JOIN users u USING (user) "
            "ORDER BY s.user, s.rowid"
        )
        names, grouped = iter(self._users), groupby(rows, key=lambda row: row[0])
        more = {place: user for (user, _), place in self._more.items()}
        # A record with more sessions than allowed is refused. To see this, one session above the limit is enough. So
        # the further sessions of this record are skipped.
        enough = None if self._most is None else self._most + 1
        while batch := list(islice(((key, list(islice(of_user, enough))) for key, of_user in grouped), _BATCH)):
            ids, others, sessions = [], [], []
            misfits: list[Misfit] = []
            for place, of_user in batch:
                ids.append(more[place] if place in more else next(names))
                others.append(msgspec.json.decode(of_user[0][1]))
                sessions.append([row[2] for row in of_user])
                misfits += self._misfits(of_user)
            yield ids, others, sessions, misfits

    def close(self) -> None:
        """Forget all users and sessions, also those on disk."""
        self._users, self._more = {}, {}
        self._database.close()

    def _misfits(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Misfit]:
        if self._most is None:
            return
        if len(rows) > self._most:
            _, _, _, file, row = rows[self._most]
            yield Misfit(file, row, f"it is one session too many: a user has at most {self._most}")
        if len({row[2].lower() for row in rows}) < len(rows):
            seen: dict[str, tuple[int, int]] = {}
            for session, (*_, file, row) in zip(as_compared([row[2] for row in rows]), rows, strict=True):
                if session not in seen:
                    seen[session] = file, row
                elif seen[session] == (file, row):
                    yield Misfit(file, row, "a session is twice in this row")
                else:
                    yield Misfit(file, row, "this session of this user is in an earlier row too")


def as_compared(ids: Sequence[str]) -> Sequence[str]:
    """Ids of sessions as they are compared: UUIDs in lower case, because they mean the same in upper case."""
    text = "".join(ids)
    if not any(map(text.__contains__, "ABCDEF")):
        return ids
    # Some databases write all UUIDs in upper case. To match each id with a pattern would be slow. So the joined text is
    # checked first: if each id has the length and the hyphens of a UUID, and only hex digits besides, all are UUIDs.
    if set(map(len, ids)) == {_LENGTH} and all(text[place::_LENGTH] == "-" * len(ids) for place in _HYPHENS):
        others = text.encode().translate(None, b"0123456789abcdefABCDEF")
        if others == b"-" * (len(_HYPHENS) * len(ids)):
            return list(map(str.lower, ids))
    return [one.lower() if len(one) in (_SHORTEST, _LENGTH) and _HOLDS_UUID.fullmatch(one) else one for one in ids]


def only_session(cell: str) -> str:
    """The one session id in a cell, without separators or brackets around it; "" = none, several, or other text too."""
    found = _sessions(cell)
    return str(found[0]) if len(found) == 1 else ""


def has_padded(cell: Any) -> bool:
    """Whether a session id in a cell begins or ends with a blank."""
    if isinstance(cell, str) and cell == cell.strip() and cell[:1] != "[":
        return False
    return any(each != each.strip() for each in _sessions(cell))


def _sessions(cell: Any, *, blank: bool = False) -> Sequence[Any]:
    """The session ids in a cell. What is no id counts as empty.

    :param blank: whether blanks alone are an id, as where ids are not checked; default False.
    """
    if isinstance(cell, str):
        listed = _json_array(cell) if cell[:1] == "[" else None
        if listed is None:
            if _is_one(cell, blank=blank):
                return (cell,)
            return re.findall(_UUID, cell) if _UUIDS.fullmatch(cell) else ("",)
        cell = listed
    return [each if isinstance(each, str) and _is_one(each, blank=blank) else "" for each in cell] if cell else ("",)


def _is_one(text: str, *, blank: bool) -> bool:
    """Whether a text is one id: no several UUIDs, no UUID with separators or brackets, and no empty list.

    :param blank: whether blanks alone are an id.
    """
    if not _MARK.search(text):
        # This text has no character of `_BETWEEN`. If it has two UUIDs with another character between them, such as a
        # slash, it is not one id. The length is compared first, because a short text need not be searched for UUIDs.
        return len(text) < 2 * _SHORTEST or len(_HOLDS_UUID.findall(text)) < 2
    if _HOLDS_UUID.search(text):
        return _HOLDS_UUID.fullmatch(text.strip()) is not None
    return (blank or bool(text.strip())) and not _NOTHING.fullmatch(text)


def _json_array(text: str) -> list[Any] | None:
    try:
        return msgspec.json.decode(text, type=list[Any])
    except msgspec.DecodeError:
        return None
    except RecursionError:
        return []
