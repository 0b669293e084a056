"""Tables on the local disk, for lists that grow with a dataset. So memory stays the same for a million files.

The file is private: SQLite removes its name at once, and its content when the table is closed or the process ends.
Nothing secret is written to it in the clear: see `landing.listed_files`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from learnosity.errors import TransientError

CACHE_KIB = 8 * 1024  # maximum KiB of one `LocalTable` that SQLite keeps in memory
_ROWS = 500  # number of rows that are fetched from SQLite at a time


class LocalTable:
    """A temporary database with one or a few tables.

    :param schema: SQL that makes the tables.
    """

    def __init__(self, schema: str) -> None:
        # By default, only the thread that opened a database may use it. Here, another thread may use it later, but
        # never two threads at the same time. So it is safe to switch this check off.
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.executescript(
            f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB}; {schema}; BEGIN"
        )

    def change(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run a statement. Returns how many rows it has changed.

        :raises TransientError: the local disk is full or fails.
        """
        try:
            return self._database.execute(statement, values).rowcount
        except sqlite3.DatabaseError as error:
            raise _full(error) from None

    def change_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row of values.

        :raises TransientError: the local disk is full or fails.
        """
        try:
            self._database.executemany(statement, rows)
        except sqlite3.DatabaseError as error:
            raise _full(error) from None

    def rows(self, query: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """The rows of a query, read piece by piece.

        :raises TransientError: the local disk is full or fails.
        """
        try:
            cursor = self._database.execute(query, values)
            while batch := cursor.fetchmany(_ROWS):
                yield from batch
        except sqlite3.DatabaseError as error:
            raise _full(error) from None

    def row(self, query: str, values: Sequence[Any] = ()) -> Any:
        """The first row of a query; None when there is none."""
        return next(self.rows(query, values), None)


def _full(error: sqlite3.DatabaseError) -> TransientError:
    return TransientError(
        f"A temporary file could not be written or read ({error}). A dataset needs about 1 KB per file in the folder "
        "for temporary files (TMPDIR): make room there, or let TMPDIR name a larger disk."
    )
