"""Rows that go the long way: written as a table in any dialect and encoding, read, and compared with lines of JSON.

Either the upload is the same to the byte, or the input is refused with a problem that names a file. What nobody could
mistake, such as CSV in UTF-8 with quotes as in RFC 4180, has to be read.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import duckdb

from learnosity.errors import InputError
from learnosity.inputs.records import schema_for
from learnosity.inputs.spool import InputFile, spool_input

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVELS = ("district", "school")
PARQUET_SHARE = 0.004
_TYPES = {
    "activity-summary-by-group": ("user_id", *LEVELS),
    "sessions-summary-by-group": ("user_id", *LEVELS, "session_id"),
    "ibk-analysis-by-question": ("session_id",),
}
_CELLS = (
    *("007", "1e5", "1.50", "null", "NULL", "NaN", "true", "2026-01-05", "0x1F", "-0", "1_000", "Infinity"),
    *("a,b;c\td|e", 'say "x"', '"', '""', "'", "''", "'a'", "'a''b'", "O'Brien", "a\nb", "a\r\nb", "\r", "\n"),
    *(
        " a",
        "a ",
        " ",
        "\t",
        "\\N",
        "a\\",
        "a\\\\b",
        'a\\"b',
        "é",
        "€",
        "ß",
        "校",
        "\U0001f393",
        "a\ufeff",
        "a\n\ufeffb",
        "\u2028",
    ),
    *("user_id", "district", "{", '{"a":1}', "[", "#a", "=1+1", "a\x0bb", "\x1c", "\x85", "PAR1", "x" * 50),
)
_ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252")
_QUOTING: tuple[Literal[0, 1, 2, 3], ...] = (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE)


class Different(AssertionError):
    """A table that was read as something else, or that was refused although it is plain."""


def check_table(seed: int) -> None:
    """Write rows as a table and read them."""
    chance = random.Random(seed)
    dataset_type = chance.choice(list(_TYPES))
    keys = _TYPES[dataset_type]
    rows = _rows(chance, keys)
    schema = schema_for(dataset_type, LEVELS if "user_id" in keys else ())
    expected = _lines(keys, rows)
    content, certain = _parquet(chance, keys, rows) if chance.random() < PARQUET_SHARE else _text(chance, keys, rows)
    target = io.BytesIO()
    try:
        spool_input([_source(chance, *file) for file in content], schema, target, max_bytes=1 << 22)
    except InputError as error:
        if certain:
            raise Different(f"refused: {error} for {content!r}") from None
        if not error.problems and "mixes formats" not in str(error):
            raise Different(f"refused without a problem: {error} for {content!r}") from None
        return
    if target.getvalue() != expected:
        raise Different(f"{target.getvalue()!r} instead of {expected!r} for {content!r}")


def _rows(chance: random.Random, keys: Sequence[str]) -> list[tuple[str, ...]]:
    def cell() -> str:
        if chance.random() < 0.6:
            return chance.choice(_CELLS)
        return "".join(chr(chance.choice((chance.randrange(32, 127), chance.randrange(160, 600)))) for _ in range(5))

    rows: dict[str, tuple[str, ...]] = {}
    groups: dict[str, tuple[str, ...]] = {}
    for number in range(chance.randrange(1, 9)):
        if keys == ("session_id",):
            row: tuple[str, ...] = (f"{cell()}{number}",)
        else:
            user = f"{cell()[:40]}{chance.randrange(3)}" if "session_id" in keys else f"{cell()[:40]}{number}"
            row = (user, *groups.setdefault(user, tuple(cell() for _ in LEVELS)))
            row += (f"s{number}",) if "session_id" in keys else ()
        rows[row[0] + row[-1]] = row
    return list(rows.values())


def _lines(keys: Sequence[str], rows: Sequence[tuple[str, ...]]) -> bytes:
    """The same rows as lines of JSON."""
    records: dict[str, dict[str, Any]] = {}
    for row in rows:
        values = dict(zip(keys, row, strict=True))
        session = values.pop("session_id", None)
        if "user_id" not in keys:
            records[str(session)] = {"session_id": session}
            continue
        fresh = {"user_id": values["user_id"], "groups": {level: values[level] for level in LEVELS}}
        record = records.setdefault(values["user_id"], fresh)
        if session is not None:
            record.setdefault("session_id", []).append(session)
    text = "".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records.values())
    return text.encode()


def _text(
    chance: random.Random, keys: Sequence[str], rows: Sequence[tuple[str, ...]]
) -> tuple[list[tuple[str, bytes]], bool]:
    """The files of a CSV or TSV input, and whether nobody could mistake them."""
    delimiter, quote = chance.choice(",,;\t|"), chance.choice('"""\'')
    quoting, encoding = chance.choice(_QUOTING), chance.choice(_ENCODINGS)
    end = chance.choice(("\n", "\r\n", "\r"))
    if end == "\r":
        quoting = csv.QUOTE_ALL  # Python 3.11 does not quote a line feed there
    doubled = chance.random() < 0.9
    columns = [*keys, *chance.sample(("name", "note;x", "a,b", "é"), chance.randrange(3))]
    chance.shuffle(columns)
    if quote == "'" and (len(columns) > len(keys) or re.search('[\n\r"]', "".join(map("".join, rows)))):
        quoting = csv.QUOTE_ALL  # else double quotes and line ends in cells would be a table of their own
    cut = chance.randrange(len(rows) + 1)
    suffix = chance.choice((".csv", ".tsv", ".CSV", "", ".txt", ".csv.gz"))
    files = []
    for number, part in enumerate((rows[:cut], rows[cut:])):
        text = io.StringIO()
        writer = csv.writer(
            text, delimiter=delimiter, quotechar=quote, quoting=quoting, lineterminator=end,
            doublequote=doubled, escapechar=None if doubled and quoting != csv.QUOTE_NONE else "\\",
        )  # fmt: skip
        writer.writerow(columns)
        for row in part:
            values = dict(zip(keys, row, strict=True))
            writer.writerow([values.get(column, chance.choice(_CELLS)) for column in columns])
        try:
            content = text.getvalue().encode(encoding)
        except UnicodeEncodeError:
            content, encoding = text.getvalue().encode("utf-8"), "utf-8"
        pack = chance.choice((bytes, bytes, gzip.compress, zstd.compress))
        files.append((f"part-{number}{suffix}", pack(content)))
    # Every cell is in double quotes, and the encoding shows by itself. A whole part may also be too short to tell it.
    certain = quoting == csv.QUOTE_ALL and quote == '"' and doubled and encoding in ("utf-8", "utf-8-sig", "utf-16")
    odd = any(_is_odd(cell) for row in rows for cell in row)
    return files, certain and not odd


def _is_odd(cell: str) -> bool:
    """Whether a cell is refused although it is plain: it looks like an escape or a null."""
    escaped = re.search(r"""\\['"\\,;\t|]|\\$""", cell)
    return bool(escaped) or cell == "\\N"


def _parquet(
    chance: random.Random, keys: Sequence[str], rows: Sequence[tuple[str, ...]]
) -> tuple[list[tuple[str, bytes]], bool]:
    columns = list(keys)
    chance.shuffle(columns)
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        path = Path(folder) / "x.parquet"
        database.execute(f"CREATE TABLE t ({', '.join(f'{key} VARCHAR' for key in keys)})")
        database.executemany(f"INSERT INTO t VALUES ({', '.join('?' for _ in keys)})", [list(row) for row in rows])
        database.execute(f"COPY (SELECT {', '.join(columns)} FROM t) TO '{path}' (FORMAT parquet)")
        return [("part-0.parquet", path.read_bytes())], True


def _source(chance: random.Random, name: str, content: bytes) -> InputFile:
    size = chance.choice((1, 3, 64, 1 << 16))
    return InputFile(name, lambda: (content[at : at + size] for at in range(0, len(content), size)))
