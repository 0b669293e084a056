"""The files of one listing, with their signed URLs or their content. They are on local disk: memory stays bounded.

URLs and contents are encrypted there, with a key that only this process has. Nobody can read them after it has ended.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

import msgspec

from learnosity.dataset.local_table import LocalTable
from learnosity.results.outcomes import ResultFile

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Value = TypeVar("Value")

_SCHEMA = (
    "CREATE TABLE files (number INTEGER PRIMARY KEY, path TEXT UNIQUE, line BLOB, url BLOB, content BLOB);"
    "CREATE TABLE planned (shard INTEGER, place INTEGER, number INTEGER, PRIMARY KEY (shard, place)) WITHOUT ROWID"
)


class Listing:
    """All result files, with their signed URLs or their content. No `repr` shows them.

    `replies` is the number of API replies that were needed.
    """

    def __init__(self) -> None:
        self._table = LocalTable(_SCHEMA)
        self._cipher: AESGCM | None = None
        self._count = 0
        self.duplicates: list[str] = []
        self.replies = 0

    def add(self, file: ResultFile, *, url: str | None = None, content: bytes | None = None) -> None:
        """Add a file. A second file with the same path is only noted as a duplicate."""
        number = self._count + 1
        row = (number, file.path, msgspec.json.encode(file), self._hidden(number, url), self._hidden(-number, content))
        if self._table.change("INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?, ?)", row):
            self._count = number
        else:
            self.duplicates.append(file.path)

    def __len__(self) -> int:
        return self._count + len(self.duplicates)

    def names(self) -> list[str]:
        """Every listed path. A path that was listed twice is in it twice."""
        return list(self.each_name())

    def each_name(self) -> Iterator[str]:
        """Every listed path, one after the other, so that they need not all be in memory."""
        yield from self.files
        yield from self.duplicates

    @property
    def files(self) -> Mapping[str, ResultFile]:
        """The files by path."""
        return _Column(self._table, "line", lambda _, line: msgspec.json.decode(line, type=ResultFile))

    @property
    def urls(self) -> Mapping[str, str]:
        """The signed URL by path, for files of kind `url`."""
        return _Column(self._table, "url", lambda number, hidden: self._shown(number, hidden).decode())

    @property
    def contents(self) -> Mapping[str, bytes]:
        """The content by path, for files whose content is in the reply."""
        return _Column(self._table, "content", lambda number, hidden: self._shown(-number, hidden))

    @property
    def inline(self) -> dict[str, bytes]:
        """The content by path, for files of kind `inline`."""
        files = self.files
        return {path: content for path, content in self.contents.items() if files[path].kind == "inline"}

    def by_path(self) -> Iterator[tuple[int, ResultFile]]:
        """The number of each file and the file, sorted by path."""
        decoder = msgspec.json.Decoder(ResultFile)
        for number, line in self._table.rows("SELECT number, line FROM files ORDER BY path"):
            yield number, decoder.decode(line)

    def assign(self, planned: Iterator[tuple[int, int, int]]) -> None:
        """Note what each shard gets.

        :param planned: shard, place in the shard's plan, and number of the file.
        """
        self._table.change_many("INSERT INTO planned VALUES (?, ?, ?)", planned)

    def assigned(self, shard: int) -> Iterator[tuple[bytes, str | bytes | None]]:
        """The files of a shard in the order of its plan: the file as JSON, and its URL or content."""
        query = "SELECT number, line, url, content FROM planned NATURAL JOIN files WHERE shard = ? ORDER BY place"
        for number, line, url, content in self._table.rows(query, (shard,)):
            if url is not None:
                yield line, self._shown(number, url).decode()
            else:
                yield line, None if content is None else self._shown(-number, content)

    def _hidden(self, number: int, secret: str | bytes | None) -> bytes | None:
        if secret is None:
            return None
        if self._cipher is None:
            # This import is not at the top of the module, because only tasks that request the listing need the package.
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._cipher = AESGCM(secrets.token_bytes(32))
        plain = secret.encode() if isinstance(secret, str) else secret
        return self._cipher.encrypt(_nonce(number), plain, None)

    def _shown(self, number: int, hidden: bytes) -> bytes:
        if self._cipher is None:
            raise RuntimeError("nothing was encrypted")
        return self._cipher.decrypt(_nonce(number), hidden, None)


class _Column(Mapping[str, Value]):
    """One column of the files, by path, read when it is needed."""

    def __init__(self, table: LocalTable, column: str, read: Callable[[int, bytes], Value]) -> None:
        self._table = table
        self._column = column
        self._read = read

    def __getitem__(self, path: str) -> Value:
        found = self._table.row(f"SELECT number, {self._column} FROM files WHERE path = ?", (path,))
        if found is None or found[1] is None:
            raise KeyError(path)
        return self._read(*found)

    def __iter__(self) -> Iterator[str]:
        query = f"SELECT path FROM files WHERE {self._column} IS NOT NULL ORDER BY number"
        return (path for (path,) in self._table.rows(query))

    def __len__(self) -> int:
        (count,) = self._table.row(f"SELECT count({self._column}) FROM files")
        return int(count)


def _nonce(number: int) -> bytes:
    """The nonce for one text. No two may be the same: a URL has the number of its file, a content the negative one."""
    return number.to_bytes(12, "big", signed=True)
