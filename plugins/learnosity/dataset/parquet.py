"""A sample consumer: the rows of a published dataset as Parquet, one file for groups, one for users, one for items.

It reads only the files that the manifest leads to. So it never reads an incomplete dataset. The rows are kept in files
on disk, not in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from learnosity.dataset.manifest import FileEntry
from learnosity.dataset.parquet_place import beside as beside
from learnosity.dataset.published import PublishedDataset
from learnosity.dataset.tables import Document, Kind, is_id
from learnosity.errors import IncompleteDatasetError, StorageError
from learnosity.optional_packages import needs_extra
from learnosity.storage.store import Store

with needs_extra("duckdb", "Writing Parquet"):
    import duckdb

# Table of a group's file with the row of that group. The file of its parent usually lists the same row.
OWN = "group"
# Table of a group's file with the rows of the groups above it, for comparison. Each has a file of its own.
ANCESTORS = "ancestors"
CHUNK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """One file that was written: its URI and the number of its rows."""

    uri: str
    rows: int


async def to_parquet(dataset: PublishedDataset, target: Store) -> list[ParquetFile]:
    """Write the rows of a dataset.

    :param target: the store to write to; files go to `{dataset_type}/{dataset_id}/{groups,users,items}.parquet`. It
        must be outside of the destination, so that the files are never taken for datasets.
    :returns: the written files; no file if no rows are recognised in the dataset.
    :raises IncompleteDatasetError: when a listed file is missing or was changed.
    :raises StorageError: `target` is inside the destination of the dataset, or the store refuses.
    """
    if _place(f"{target.uri}/{dataset.layout.prefix}").is_relative_to(_place(dataset.store.uri)):
        raise StorageError(
            f"{target.uri} is inside {dataset.store.uri}, where datasets land. Set parquet_uri to another place."
        )
    with TemporaryDirectory(prefix="learnosity-parquet-") as folder:
        found = await _collect(dataset, Path(folder))
        written = []
        for kind, kept in found.items():
            file = Path(folder) / f"{kind}.parquet"
            rows = await asyncio.to_thread(_convert, kept, file)
            path = f"{dataset.layout.prefix}/{file.name}"
            await target.put_stream(path, _chunks(file), file.stat().st_size, "application/vnd.apache.parquet")
            written.append(ParquetFile(f"{target.uri}/{path}", rows))
    return written


def _place(uri: str) -> PurePosixPath:
    """The path of a URI without its scheme: `s3://` and `s3a://` mean the same store."""
    return PurePosixPath(normpath(uri.partition("://")[2]))


class _Rows:
    """Rows of one kind, as NDJSON on disk, and the JSON types of the values in each column.

    `path`: the rows; `spare`: rows of groups that count only where no row of `path` is about the same group.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.spare = path, path.with_suffix(".spare.ndjson")
        self.types: dict[str, set[str]] = {}
        self._names: dict[str, str] = {}
        self._files = (path.open("wb"), self.spare.open("wb"))
        self._encoder = msgspec.json.Encoder()

    def add(self, row: Mapping[str, Any], *, spare: bool) -> None:
        """Write one row. Ids, lists, objects and numbers beyond 64 bits are written as text."""
        line: dict[str, Any] = {}
        for key, value in row.items():
            name = self._name(key)
            types = self.types.setdefault(name, set())
            if value is None:
                continue
            if isinstance(value, dict | list):
                value = self._encoder.encode(value).decode()
            elif not isinstance(value, str) and (is_id(name) or _type_of(value) == "huge"):
                value = str(value)
            types.add(_type_of(value))
            line[name] = value
        self._files[spare].write(self._encoder.encode(line) + b"\n")

    def _name(self, key: str) -> str:
        """The column name of a key. SQL ignores case: if two names differ only in case, the second gets a number."""
        if key not in self._names:
            taken = {name.casefold() for name in self._names.values()}
            name, number = key or "column", 1
            while name.casefold() in taken:
                number += 1
                name = f"{key}_{number}"
            self._names[key] = name
        return self._names[key]

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    def columns(self) -> dict[str, str]:
        """The DuckDB type of each column: the narrowest type that changes no value in the column."""
        return {name: _COLUMN_TYPES.get(frozenset(types), "VARCHAR") for name, types in self.types.items()}


# A column with any other mixture of types becomes text. An example is `long` with `fraction`: a DOUBLE cannot store
# every integer above 2**53.
_COLUMN_TYPES = {
    frozenset({"whole"}): "BIGINT",
    frozenset({"whole", "long"}): "BIGINT",
    frozenset({"long"}): "BIGINT",
    frozenset({"fraction"}): "DOUBLE",
    frozenset({"whole", "fraction"}): "DOUBLE",
    frozenset({"truth"}): "BOOLEAN",
}


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int):
        return "whole" if abs(value) <= 2**53 else "long" if -(2**63) <= value < 2**63 else "huge"
    return "fraction" if isinstance(value, float) else "text"


async def _collect(dataset: PublishedDataset, folder: Path) -> Mapping[Kind, _Rows]:
    """Rows of each kind, on disk."""
    found: dict[Kind, _Rows] = {}
    with ExitStack() as files:
        for entry in _without_twins(dataset.files):
            document = await dataset.document(entry)
            if document is None:
                raise IncompleteDatasetError(
                    f"{entry.path} is too big for this sample, or its compression ({entry.content_encoding}) is "
                    "unknown or damaged. Read it with DuckDB directly."
                )
            for kind, row, spare in _rows(document, entry.path.rpartition("/")[0]):
                if kind not in found:
                    found[kind] = _Rows(folder / f"{kind}.ndjson")
                    files.callback(found[kind].close)
                found[kind].add(row, spare=spare)
    return found


def _without_twins(files: Mapping[str, FileEntry]) -> Iterator[FileEntry]:
    """All files, except a CSV file if a JSON file has the same name: both have the same rows."""
    for path, entry in files.items():
        if not (path.endswith(".csv") and path.removesuffix(".csv") + ".json" in files):
            yield entry


def _rows(document: Document, folder: str) -> Iterator[tuple[Kind, Mapping[str, Any], bool]]:
    """Kind and content of each row, and whether it counts only where the group is in no other row.

    :param folder: that of the file. Groups in different folders may have the same name, so each row of a group or a
        user gets it, too. The row of a group in its own file gets the folder of its parent, as in the parent's file.
    """
    above = folder.rpartition("/")[0]
    for table in document.tables:
        if table.kind is Kind.PLAIN or table.name == ANCESTORS:
            continue
        own = table.name == OWN and table.kind is Kind.GROUPS
        for row in table.rows:
            yield table.kind, row if table.kind is Kind.ITEMS else {"folder": above if own else folder, **row}, own


def _convert(rows: _Rows, file: Path) -> int:
    columns = rows.columns()
    with duckdb.connect() as database:
        # The column types are set here, because DuckDB would guess them from the first rows. In a column that it takes
        # for whole numbers, it would change 1.5 in a later row to 2.
        read = f"SELECT DISTINCT * FROM read_json($path, format = 'newline_delimited', columns = {_struct(columns)})"
        database.execute(f"CREATE TABLE found AS {read}", {"path": str(rows.path)})
        if rows.spare.stat().st_size:
            database.execute(f"CREATE TABLE spare AS {read}", {"path": str(rows.spare)})
            database.execute("INSERT INTO found FROM spare ANTI JOIN found USING (folder, group_name)")
        database.table("found").write_parquet(str(file), compression="zstd")
        (count,) = database.execute("SELECT count(*) FROM found").fetchone() or (0,)
    return int(count)


def _struct(columns: Mapping[str, str]) -> str:
    """A DuckDB struct of column names and types, each in quotes."""
    return "{" + ", ".join(f"{_quoted(name)}: {_quoted(kind)}" for name, kind in columns.items()) + "}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while chunk := await asyncio.to_thread(opened.read, CHUNK_BYTES):
            yield chunk
