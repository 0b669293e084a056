"""A sample consumer: the rows of a published dataset as Parquet, one file for groups, one for users, one for items.

It reads through the manifest alone, so that it can never see half a dataset. Rows go through files on disk, not
through memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import duckdb
import msgspec

from learnosity.dataset.published import PublishedDataset
from learnosity.dataset.tables import Document, Kind
from learnosity.errors import IncompleteDatasetError
from learnosity.storage.store import Store

# A group's own row stands in its parent's list, too.
REPEATED = frozenset({"ancestors", "group"})
CHUNK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """One file that was written: its URI and the number of its rows."""

    uri: str
    rows: int


async def to_parquet(dataset: PublishedDataset, target: Store) -> list[ParquetFile]:
    """Write the rows of a dataset.

    :param target: where to; files go to `{dataset_type}/{dataset_id}/{groups,users,items}.parquet`.
    :returns: what was written; nothing for a dataset in which no rows are recognised.
    :raises IncompleteDatasetError: when a listed file is gone, or is not what was listed.
    """
    with TemporaryDirectory(prefix="learnosity-parquet-") as folder:
        found = await _collect(dataset, Path(folder))
        written = []
        for kind, lines in found.items():
            file = Path(folder) / f"{kind}.parquet"
            rows = await asyncio.to_thread(_convert, lines, file)
            path = f"{dataset.layout.prefix}/{file.name}"
            await target.put_stream(path, _chunks(file), "application/vnd.apache.parquet")
            written.append(ParquetFile(f"{target.uri}/{path}", rows))
    return written


async def _collect(dataset: PublishedDataset, folder: Path) -> Mapping[Kind, Path]:
    """Rows of each kind as NDJSON files."""
    # Every row stands in a JSON and in a CSV file: one of the two is enough.
    listed = [entry for entry in dataset.files.values() if entry.path.endswith(".json")]
    opened: dict[Kind, BinaryIO] = {}
    paths: dict[Kind, Path] = {}
    encoder = msgspec.json.Encoder()
    with ExitStack() as files:
        for entry in listed or list(dataset.files.values()):
            document = await dataset.document(entry)
            if document is None:
                raise IncompleteDatasetError(f"{entry.path} is too big for this sample; read it with DuckDB directly.")
            for kind, row in _rows(document, entry.path.rpartition("/")[0]):
                if kind not in opened:
                    paths[kind] = folder / f"{kind}.ndjson"
                    opened[kind] = files.enter_context(paths[kind].open("wb"))
                opened[kind].write(encoder.encode(row) + b"\n")
    return paths


def _rows(document: Document, folder: str) -> Iterator[tuple[Kind, Mapping[str, Any]]]:
    for table in document.tables:
        if table.kind is Kind.PLAIN or table.name in REPEATED:
            continue
        for row in table.rows:
            # Groups of the same name in different places are told apart by where they stand.
            yield table.kind, row if table.kind is Kind.ITEMS else {"folder": folder, **row}


def _convert(lines: Path, file: Path) -> int:
    with duckdb.connect() as database:
        database.read_json(str(lines), format="newline_delimited").create_view("lines")
        database.execute("CREATE TABLE found AS SELECT DISTINCT * FROM lines")
        database.table("found").write_parquet(str(file), compression="zstd")
        (count,) = database.execute("SELECT count(*) FROM found").fetchone() or (0,)
    return int(count)


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while chunk := await asyncio.to_thread(opened.read, CHUNK_BYTES):
            yield chunk
