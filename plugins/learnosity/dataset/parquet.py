"""A sample consumer: the rows of a published dataset as Parquet, one file for groups, one for users, one for items.

It reads only the files that the manifest leads to. So it never reads an incomplete dataset. The rows are kept in files
on disk, not in memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from learnosity.dataset.columns import is_id
from learnosity.dataset.group_files import Places
from learnosity.dataset.parquet_files import documents
from learnosity.dataset.parquet_place import NAMES
from learnosity.dataset.parquet_place import beside as beside
from learnosity.dataset.parquet_rows import Source, known_tables, passed_over, rows_of
from learnosity.dataset.published import PublishedDataset, some
from learnosity.dataset.tables import Kind
from learnosity.errors import StorageError
from learnosity.optional_packages import needs_extra
from learnosity.storage.store import Store

with needs_extra("duckdb", "Writing Parquet"):
    import duckdb

log = logging.getLogger(__name__)

CHUNK_BYTES = 8 * 1024 * 1024
# Name of the Parquet column that says where a row belongs, because two schools may each have a class of the same name.
# In the row of a user of the class `c1` in `d1/s1`, the column has the value `d1/s1/c1`. In the row of this class
# itself, it has the value `d1/s1`, and the column `group_name` has `c1`.
FOLDER = "folder"
# Fields that keep their name in Parquet, because queries need them to tell what a row is about. SQL ignores upper and
# lower case. So if a dataset has `user_id` and `User_Id`, one of the two columns needs another name. `user_id` is in
# this list, so the other one is renamed to `User_Id_2`.
_NAMING = ("group_name", "user_id", "item_reference", "question_reference")


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """One file that was written: its URI and the number of its rows."""

    uri: str
    rows: int


async def to_parquet(dataset: PublishedDataset, target: Store) -> list[ParquetFile]:
    """Write the rows of a dataset. Files of an earlier landing of it are replaced, or removed if they get no rows now.

    :param target: the store to write to; files go to `{dataset_type}/{dataset_id}/{groups,users,items}.parquet`. It
        must be outside of the destination, so that the files are never taken for datasets.
    :returns: the written files; no file if no rows are recognised in the dataset.
    :raises IncompleteDatasetError: a listed file is missing, was changed, or may have rows that cannot be read.
    :raises StorageError: `target` is inside the destination of the dataset, or the store refuses.
    """
    if _place(f"{target.uri}/{dataset.layout.prefix}").is_relative_to(_place(dataset.store.uri)):
        raise StorageError(
            f"{target.uri} is inside {dataset.store.uri}, where datasets land. Set parquet_uri to another place."
        )
    with TemporaryDirectory(prefix="learnosity-parquet-") as folder:
        found = await _collect(dataset, Path(folder))
        await _remove(target, [f"{dataset.layout.prefix}/{name}.parquet" for name in NAMES if name not in found])
        written = []
        for kind, kept in found.items():
            file = Path(folder) / f"{kind}.parquet"
            rows = await asyncio.to_thread(_convert, kept, file)
            path = f"{dataset.layout.prefix}/{file.name}"
            await target.put_stream(path, _chunks(file), file.stat().st_size, "application/vnd.apache.parquet")
            written.append(ParquetFile(f"{target.uri}/{path}", rows))
    return written


async def _remove(target: Store, paths: Sequence[str]) -> None:
    """Remove files that an earlier landing left. Credentials that may not delete are no error where there are none.

    :raises StorageError: the store does not say whether there are any, or may not remove them.
    """
    try:
        left = [path for path in paths if await target.head(path) is not None]
    except StorageError as error:
        raise StorageError(
            f"{error} So it is not known whether an earlier landing left Parquet files, whose rows would stand beside "
            "new ones. On S3, the connection of parquet_uri needs s3:GetObject, and s3:ListBucket on the bucket: "
            "without that, S3 answers 403 for an object that does not exist."
        ) from error
    if left:
        await target.delete(left)
        log.info("Removed %s: the dataset has no such rows any more.", some(left))


def _place(uri: str) -> PurePosixPath:
    """The path of a URI without its scheme: `s3://` and `s3a://` mean the same store."""
    return PurePosixPath(normpath(uri.partition("://")[2]))


class _Rows:
    """Rows of one kind, as NDJSON on disk with a file for each source, and the JSON types of each column's values."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        self.paths = {source: folder / f"{kind}.{source}.ndjson" for source in Source}
        self.types: dict[str, set[str]] = {}
        # `_names` maps each field of the rows to its name in the NDJSON files. The key None stands for the column
        # `folder`, which is no field of the rows. If the rows have a field called `folder`, too, its name becomes
        # `folder_2`.
        self._names: dict[str | None, str] = {name: name for name in _NAMING}
        if kind is not Kind.ITEMS:
            self._names[None] = FOLDER
        self._files = {source: path.open("wb") for source, path in self.paths.items()}
        self._encoder = msgspec.json.Encoder()

    def add(self, folder: str | None, row: Mapping[str, Any], source: Source) -> None:
        """Write one row. Ids, lists, objects and numbers beyond 64 bits are written as text.

        :param folder: the folder of a group or a user; None = it is neither.
        """
        line: dict[str, Any] = {}
        if folder is not None:
            line[FOLDER] = folder
            self.types.setdefault(FOLDER, {"text"})
        for key, value in row.items():
            name = self._name(key)
            types = self.types.setdefault(name, set())
            if value is None:
                continue
            if isinstance(value, dict | list):
                value = self._encoder.encode(value).decode()
            elif not isinstance(value, str) and (is_id(key) or _type_of(value) == "huge"):
                value = str(value)
            types.add(_type_of(value))
            line[name] = value
        self._files[source].write(self._encoder.encode(line) + b"\n")

    def _name(self, key: str) -> str:
        """The name of a key in the files on disk. `_NAMING` and the folder are kept free: later rows may have them."""
        return _add(self._names, key)

    def named(self) -> dict[str, str]:
        """The name that each column gets in Parquet, by its name on disk."""
        found: dict[str | None, str] = {}
        for key, name in self._names.items():
            if name in self.types and (key is None or key in _NAMING):
                found[key] = name
        final = {name: _add(found, key) for key, name in self._names.items() if key is not None and name in self.types}
        return {name: final.get(name, name) for name in self.types}

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def columns(self) -> dict[str, str]:
        """The DuckDB type of each column: the narrowest type that changes no value in the column."""
        return {name: _COLUMN_TYPES.get(frozenset(types), "VARCHAR") for name, types in self.types.items()}


def _add(names: dict[str | None, str], key: str) -> str:
    """The name of a key, which is added to `names`. SQL ignores case: where it is taken, the key gets a number."""
    if key not in names:
        taken = {name.casefold() for name in names.values()}
        name, number = key or "column", 1
        while name.casefold() in taken:
            number += 1
            name = f"{key}_{number}"
        names[key] = name
    return names[key]


# The DuckDB type of a column, by the types of its values (`_type_of`). A column with any other set of types becomes
# text. Example: a column with integers above 2**53 (`long`) and fractions. A DOUBLE cannot store each of these
# integers.
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
    places = Places()
    without: list[str] = []
    with ExitStack() as files:
        async for path, document in documents(dataset):
            tables = known_tables(document)
            if not tables:
                without.append(path)
            for table in passed_over(document):
                log.info("%s: the figures in %a are left out: they are of no question.", path, table.name)
            place = places.of(path) if any(table.kind is not Kind.ITEMS for table in tables) else ""
            for kind, group, row, source in rows_of(path, document, place, is_root=path == places.root):
                if kind not in found:
                    found[kind] = _Rows(folder, kind)
                    files.callback(found[kind].close)
                found[kind].add(group, row, source)
    if without:
        log.info("%d file(s) have no rows of groups, users or items, such as %s.", len(without), some(without))
    return found


def _convert(rows: _Rows, file: Path) -> int:
    columns = rows.columns()
    with duckdb.connect() as database:
        # The column types are set here, because DuckDB would guess them from the first rows. If the first rows have
        # only whole numbers, DuckDB would change 1.5 in a later row to 2.
        read = f"* FROM read_json($path, format = 'newline_delimited', columns = {_struct(columns)})"
        listed, own, root = (rows.paths[source] for source in (Source.LISTED, Source.OWN, Source.ROOT))
        database.execute(f"CREATE TABLE found AS SELECT DISTINCT {read}", {"path": str(listed)})
        if own.stat().st_size:
            database.execute(f"CREATE TABLE own AS SELECT {read}", {"path": str(own)})
            database.execute("INSERT INTO found FROM own ANTI JOIN found USING (folder, group_name)")
        if root.stat().st_size:
            database.execute(f"INSERT INTO found SELECT {read}", {"path": str(root)})
        named = ", ".join(f"{_column(name)} AS {_column(final)}" for name, final in rows.named().items())
        database.sql(f"SELECT {named} FROM found").write_parquet(str(file), compression="zstd")
        (count,) = database.execute("SELECT count(*) FROM found").fetchone() or (0,)
    return int(count)


def _struct(columns: Mapping[str, str]) -> str:
    """A DuckDB struct of column names and types, each in quotes."""
    return "{" + ", ".join(f"{_quoted(name)}: {_quoted(kind)}" for name, kind in columns.items()) + "}"


def _column(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while chunk := await asyncio.to_thread(opened.read, CHUNK_BYTES):
            yield chunk
