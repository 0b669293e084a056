"""Reads Parquet with DuckDB: several files at once, in bounded memory, with every id as the text that it is.

Parquet is read from its end, so files are copied to a temporary folder first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from learnosity.errors import TransientError
from learnosity.inputs.columns import Column, ColumnError
from learnosity.inputs.parquet_batches import batches
from learnosity.inputs.parquet_columns import BINARY, as_text, identifier, no_text, paths_of, texts
from learnosity.optional_packages import needs_extra

if TYPE_CHECKING:
    import duckdb

_BATCH_FILES: Final = 200
_BATCH_BYTES: Final = 64 * 1024 * 1024
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 1,
    "memory_limit": "100MB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

_SOURCE: Final = "read_parquet(?, hive_partitioning = false)"
_COUNT: Final = f"SELECT \"learnosity: path\", count(*) FROM {_SOURCE[:-1]}, filename = 'learnosity: path') GROUP BY 1"

FindColumns = Callable[[Sequence[str]], tuple[Column, ...]]


@dataclass(frozen=True, slots=True)
class ParquetRows:
    """Consecutive rows of one file: the number of the first one, counted from 1, and the values of each column."""

    file: str
    first: int
    columns: tuple[Column, ...]
    values: list[Sequence[Any]]


@dataclass(slots=True)
class _File:
    name: str
    path: Path
    inside: str
    rows: int = 0


@dataclass(frozen=True, slots=True)
class ParquetProblem:
    """Why a file cannot be read from `row` on; 0 = none of its rows."""

    file: str
    row: int
    what: str


class ParquetFiles:
    """Collects files, so that many small ones can be read with one query.

    :param find: finds the columns by their names.
    """

    def __init__(self, find: FindColumns) -> None:
        self._find = find
        self._folder = TemporaryDirectory(prefix="learnosity-parquet-")
        self._files: list[_File] = []
        self._bytes = 0
        self._database: duckdb.DuckDBPyConnection | None = None

    @property
    def is_full(self) -> bool:
        """Whether `read` has to be called before the next `add`."""
        return len(self._files) >= _BATCH_FILES or self._bytes >= _BATCH_BYTES

    def add(self, name: str, pieces: Iterable[bytes], inside: str = "") -> None:
        """Copy a file to the temporary folder. `inside`: its path below the place that `input_uri` names."""
        path = Path(self._folder.name) / f"{len(self._files)}.parquet"
        with path.open("wb") as file:
            for piece in pieces:
                self._bytes += file.write(piece)
        self._files.append(_File(name, path, inside))

    def read(self) -> Iterator[ParquetRows | ParquetProblem]:
        """Read all files that were added, and remove their copies."""
        with needs_extra("duckdb", "Reading Parquet"):
            import duckdb

        files, self._files, self._bytes = self._files, [], 0
        if self._database is None:
            self._database = _connect(self._folder.name)
        try:
            yield from self._described(files, duckdb.Error)
        finally:
            for file in files:
                file.path.unlink(missing_ok=True)

    def _described(self, files: Sequence[_File], failed: type[Exception]) -> Iterator[ParquetRows | ParquetProblem]:
        """The rows of files. Consecutive files with the same columns share a query, which is much faster."""
        try:
            schemas = self._schemas(files)
        except failed as error:
            if len(files) == 1:
                yield ParquetProblem(files[0].name, 0, _why(error))
                return
            for file in files:
                yield from self._described([file], failed)
            return
        for schema, alike in groupby(files, key=lambda file: schemas[str(file.path)]):
            together, select = list(alike), ""
            try:
                columns, binary, select = self._select(together[0], schema)
                yield from self._rows(together, columns, binary, select)
            except ColumnError as error:
                yield from (ParquetProblem(file.name, 0, error.about(file.inside)) for file in together)
            except failed as error:
                yield from self._blame(together, select, error, failed)

    def _schemas(self, files: Sequence[_File]) -> dict[str, tuple[Any, ...]]:
        """The schema of each file, by path. Also sets `rows` of each file."""
        paths = [str(file.path) for file in files]
        counts = dict(self._query("SELECT file_name, num_rows FROM parquet_file_metadata(?)", paths).fetchall())
        for file in files:
            file.rows = counts[str(file.path)]
        found: dict[str, list[Any]] = {path: [] for path in paths}
        query = (
            "SELECT file_name, name, num_children, type, converted_type, logical_type, precision, scale "
            "FROM parquet_schema(?)"
        )
        for path, *element in self._query(query, paths).fetchall():
            found[path].append(tuple(element))
        return {path: tuple(elements) for path, elements in found.items()}

    def _select(self, file: _File, schema: tuple[Any, ...]) -> tuple[tuple[Column, ...], list[int], str]:
        """The columns, the places of those that are read as bytes, and the query that reads all others as text."""
        paths = paths_of(schema)
        columns = self._find([".".join(path) for _, path in paths])
        # DuckDB ignores case in column names, and renames columns until all names differ: the columns `id`, `ID` and
        # `id_1` become `id`, `ID_1` and `id_1_1`. Then a query for `id_1` would read the column `ID`. So a column is
        # found by its position: `shown` has DuckDB's names in the order of the columns in the file.
        shown = [str(row[0]) for row in self._query(f"DESCRIBE SELECT * FROM {_SOURCE}", [str(file.path)]).fetchall()]
        fields = [path[1].casefold() for _, path in paths if len(path) > 1]
        places = []
        for column in columns:
            index, (top, *field) = paths[column.index]
            owners = {place for place, path in paths if path[0].casefold() == top.casefold()}
            if len(owners) > 1 or (field and len(set(fields)) < len(fields)):
                raise ColumnError(f'two of its columns have the name "{column.name}", or differ in case alone')
            places.append(".".join(map(identifier, (shown[index], *field))))
        described = self._query(f"DESCRIBE SELECT {', '.join(places)} FROM {_SOURCE}", [str(file.path)]).fetchall()
        kinds = [str(row[1]) for row in described]
        expressions = [as_text(place, kind, column) for place, kind, column in zip(places, kinds, columns, strict=True)]
        binary = [place for place, kind in enumerate(kinds) if kind in BINARY]
        return columns, binary, f"SELECT {', '.join(expressions)} FROM {_SOURCE}"

    def _rows(
        self, files: Sequence[_File], columns: tuple[Column, ...], binary: Sequence[int], select: str
    ) -> Iterator[ParquetRows | ParquetProblem]:
        paths = [str(file.path) for file in files]
        counts = dict(self._query(_COUNT, paths).fetchall())
        # The rows of the query below do not say which file they are from. The loop takes the first `file.rows` rows for
        # those of the first file, and so on. `file.rows` is what the metadata of a file says. If this number is wrong
        # for one file, rows would get the name of another file. So the rows themselves are counted here first.
        wrong = [(file, has) for file in files if (has := counts.get(str(file.path), 0)) != file.rows]
        for file, has in wrong:
            what = f"it {'ends' if has < file.rows else 'goes on'} here, and says that it has {file.rows:,} rows"
            yield ParquetProblem(file.name, min(has, file.rows) + 1, what)
        if wrong:
            return
        result, borders = self._query(select, paths), iter(files)
        file, first = next(borders), 1
        for rows in batches(result):
            start = 0
            while start < len(rows):
                while first > file.rows:
                    file, first = next(borders), 1
                part = rows[start : start + file.rows - first + 1]
                values: list[Sequence[Any]] = list(zip(*part, strict=True))
                for place in binary:
                    values[place], wrong_at = texts(values[place])
                    if wrong_at is not None:
                        yield ParquetProblem(file.name, first + wrong_at, no_text(columns[place]))
                        return
                yield ParquetRows(file.name, first, columns, values)
                start += len(part)
                first += len(part)
        for short in (file, *borders):
            if first <= short.rows:
                yield ParquetProblem(short.name, first, f"it ends here, and says that it has {short.rows:,} rows")
            first = 1

    def _blame(
        self, files: Sequence[_File], select: str, error: Exception, failed: type[Exception]
    ) -> Iterator[ParquetProblem]:
        """Find out which files could not be read. Without a query, all of them: their schema is the same.

        :raises TransientError: none of them; some of their rows are lost all the same.
        """
        if len(files) == 1 or not select:
            yield from (ParquetProblem(file.name, 0, _why(error)) for file in files)
            return
        found = False
        for file in files:
            try:
                for _ in batches(self._query(select, [str(file.path)])):
                    pass
            except failed as own:
                found = True
                yield ParquetProblem(file.name, 0, _why(own))
        if not found:
            raise TransientError(
                f"The {len(files)} Parquet files from {files[0].name} to {files[-1].name} could not be read together "
                f"({type(error).__name__}), and then each of them could; nothing was sent. If this happens again, look "
                "at memory and temporary disk of the worker, or write the files again."
            )

    def _query(self, query: str, paths: list[str]) -> duckdb.DuckDBPyConnection:
        if self._database is None:
            raise RuntimeError("the database is not open")
        result: duckdb.DuckDBPyConnection = self._database.execute(query, [paths])
        return result

    def close(self) -> None:
        """Remove the temporary folder."""
        if self._database is not None:
            self._database.close()
        self._folder.cleanup()


def _connect(folder: str) -> duckdb.DuckDBPyConnection:
    """A database that may read the files of this folder, and no others."""
    import duckdb

    database = duckdb.connect(config=_CONFIG)
    # If DuckDB takes the process for an interactive one, it would write a progress bar into the log of the task.
    database.execute("SET enable_progress_bar = false")
    quoted = folder.replace("'", "''")
    database.execute(f"SET allowed_directories = ['{quoted}/']")
    database.execute("SET enable_external_access = false")
    return database


def _why(error: Exception) -> str:
    """The message for an error of DuckDB. The text of the error itself may contain values of the file."""
    if type(error).__name__ == "OutOfMemoryException":
        return "a cell or a row group is too large to be read in limited memory: write smaller ones"
    return "the file cannot be read as Parquet: it is damaged or incomplete, or text in it is not UTF-8; write it again"
