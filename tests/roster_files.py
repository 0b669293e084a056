"""Rosters in every format and packing, and hostile ones, each with what has to be said of it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import duckdb

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVELS: Final = ("district", "school", "class")
HEADER: Final = ("user_id", *LEVELS)
FORMATS: Final = ("csv", "tsv", "parquet", "ndjson")
PACKINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd.compress}
CELL_BYTES: Final = 200_000_000
"""Size of the cell that is too large for every reader."""

Row = Sequence[str]


def people(count: int) -> list[tuple[str, ...]]:
    """Rows of users in groups: three classes in each school, two schools in each district."""
    return [(f"u{n:05d}", f"d{n % 2}", f"s{n % 4}", f"Größe, {n % 12}") for n in range(count)]


def written(kind: str, rows: Sequence[Row], **dialect: Any) -> bytes:
    """Rows in a format: csv, tsv, parquet or ndjson.

    :param dialect: arguments for `csv.writer`.
    """
    if kind == "ndjson":
        records = ({"user_id": row[0], "groups": dict(zip(LEVELS, row[1:], strict=True))} for row in rows)
        lines = (json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records)
        return "".join(f"{line}\n" for line in lines).encode()
    if kind == "parquet":
        with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
            (Path(folder) / "rows.csv").write_bytes(written("csv", rows))
            source = f"read_csv('{folder}/rows.csv', all_varchar = true, header = true)"
            database.execute(f"COPY (FROM {source}) TO '{folder}/rows' (FORMAT parquet)")
            return (Path(folder) / "rows").read_bytes()
    text = io.StringIO(newline="")
    csv.writer(text, **({"delimiter": "\t" if kind == "tsv" else ","} | dialect)).writerows([HEADER, *rows])
    return text.getvalue().encode()


@dataclass(frozen=True)
class Hostile:
    """Files that have to be refused.

    :param files: makes their content, by name.
    :param says: what the error says. `{}` is the URI of the folder.
    :param columns: the run config field `input_columns`.
    :param whole: whether the refusal is of the input as a whole, and not a problem of one file.
    """

    files: Callable[[], Mapping[str, bytes]]
    says: tuple[str, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False


def _csv(text: str, name: str = "users.csv") -> Callable[[], Mapping[str, bytes]]:
    return lambda: {name: f"{','.join(HEADER)}\n{text}".encode()}


def _half(kind: str, suffix: str) -> Callable[[], Mapping[str, bytes]]:
    def make() -> Mapping[str, bytes]:
        packed = PACKINGS[suffix](written(kind, people(5000)))
        return {f"users.{kind}{suffix}": packed[: len(packed) // 2]}

    return make


def _packed_cell(before: str, after: str, name: str) -> Callable[[], Mapping[str, bytes]]:
    """A text file with a large cell, packed: it is small in the store."""

    def pieces() -> Iterator[bytes]:
        packer = zlib.compressobj(1, wbits=31)
        yield packer.compress(before.encode())
        for _ in range(CELL_BYTES // 1_000_000):
            yield packer.compress(b"x" * 1_000_000)
        yield packer.compress(after.encode()) + packer.flush()

    return lambda: {name: b"".join(pieces())}


def _parquet_cell() -> Mapping[str, bytes]:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        select = f"SELECT 'u' user_id, 'd' district, 's' school, repeat('x', {CELL_BYTES}) class"
        database.execute(f"COPY ({select}) TO '{folder}/x' (FORMAT parquet, COMPRESSION zstd)")
        return {"users.parquet": (Path(folder) / "x").read_bytes()}


_NOBODY = ("no user at all", "Check input_uri")
_SOUND = ("u1,d,s,c\n", '{"user_id":"u1","groups":{"district":"d","school":"s","class":"c"}}\n')

HOSTILE: Final[Mapping[str, Hostile]] = {
    "wrong-column": Hostile(
        _csv(_SOUND[0]), ('{}users.csv:1: it has no column "Nummer", which holds user_id',), {"user_id": "Nummer"}
    ),
    "missing-column": Hostile(
        lambda: {"users.csv": b"user_id,district,class\nu1,d,c\n"}, ('{}users.csv:1: it has no column "school"',)
    ),
    "missing-header": Hostile(
        lambda: {"users.csv": b"u1,d,s,c\nu2,d,s,c\n"},
        ("{}users.csv:1: it has no column", "name the columns in the first row"),
    ),
    "ragged-row": Hostile(_csv("u1,d,s,c\nu2,d\n"), ("{}users.csv:3: the row has 2 cells, and the header has 4",)),
    "half-gzip": Hostile(_half("csv", ".gz"), ("{}users.csv.gz:", "the gzip data ends too early")),
    "half-gzip-of-lines": Hostile(_half("ndjson", ".gz"), ("{}users.ndjson.gz:", "the gzip data ends too early")),
    "half-zstd": Hostile(_half("tsv", ".zst"), ("{}users.tsv.zst:", "the zstd data ends too early")),
    "half-parquet": Hostile(
        _half("parquet", ""), ("{}users.parquet: the file cannot be read as Parquet: it is damaged or incomplete",)
    ),
    "empty-file": Hostile(lambda: {"users.csv": b""}, _NOBODY, whole=True),
    "empty-gzip": Hostile(lambda: {"users.csv.gz": gzip.compress(b"")}, _NOBODY, whole=True),
    "only-a-mark": Hostile(lambda: {"users.csv": b"\xef\xbb\xbf"}, _NOBODY, whole=True),
    "only-a-header": Hostile(_csv(""), _NOBODY, whole=True),
    "nul-byte": Hostile(_csv("u1,d,s,c\nu\0,d,s,c\n"), ("{}users.csv:3: the row holds a NUL byte",)),
    "nul-byte-in-a-line": Hostile(
        lambda: {"users.ndjson": (_SOUND[1] + _SOUND[1].replace("u1", "u\0")).encode()},
        ("{}users.ndjson:2: not valid JSON",),
    ),
    "huge-cell": Hostile(
        _packed_cell("user_id,district,school,class\nu1,d,s,", "\n", "users.csv.gz"),
        ("{}users.csv.gz:2: the row is longer than",),
    ),
    "huge-cell-in-quotes": Hostile(
        _packed_cell('user_id,district,school,class\nu1,d,s,"', '"\n', "users.csv.gz"),
        ("{}users.csv.gz:2: the row is longer than",),
    ),
    "huge-cell-in-a-line": Hostile(
        _packed_cell(_SOUND[1] + '{"user_id":"u2","x":"', '"}\n', "users.ndjson.gz"),
        ("{}users.ndjson.gz:2: longer than",),
    ),
    "huge-cell-in-parquet": Hostile(
        _parquet_cell, ("{}users.parquet: a cell or a row group is too large to be read in limited memory",)
    ),
    "utf-16-lines": Hostile(
        lambda: {"users.ndjson": _SOUND[1].encode("utf-16")}, ("{}users.ndjson: the file is NDJSON in UTF-16",)
    ),
    "mixed-formats": Hostile(
        lambda: {"a.csv": b"user_id,district,school,class\nu1,d,s,c\n", "b.ndjson": _SOUND[1].encode()},
        ("mixes formats: {}a.csv is CSV, and {}b.ndjson is NDJSON",),
        whole=True,
    ),
    "workbook": Hostile(lambda: {"users.xlsx": b"PK\x03\x04..xl/worksheets"}, ("{}users.xlsx: the file is an Excel",)),
}
"""By name."""
