"""Rows that go the long way: written as CSV, TSV, Parquet or NDJSON, read, and compared with lines of JSON.

Dialect, encoding, packing, order of the columns and number of files are any. Either the upload is the same to the byte,
or the input is refused with a problem that names a file. What nobody could mistake, such as CSV in UTF-8 with quotes as
in RFC 4180, has to be read.
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
from functools import cache
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
PARQUET_SHARE, NDJSON_SHARE = 0.01, 0.2
_TYPES = {
    "activity-summary-by-group": ("user_id", *LEVELS),
    "sessions-summary-by-group": ("user_id", *LEVELS, "session_id"),
    "ibk-analysis-by-question": ("session_id",),
}
_CELLS = (
    *("007", "1e5", "1.50", "null", "NULL", "NaN", "true", "2026-01-05", "0x1F", "-0", "1_000", "Infinity"),
    *(
        "a,b;c\td|e",
        'say "x"',
        '"',
        '""',
        "'",
        "''",
        "'a'",
        "'a''b'",
        "O'Brien",
        "a\nb",
        "a\r\nb",
        "\r",
        "\n",
        "a\r",
        "a\n",
    ),
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
        "\ufeffa",
        "a\n\ufeffb",
        "\u2028",
    ),
    *("user_id", "district", "{", '{"a":1}', "[", "#a", "=1+1", "a\x0bb", "\x1c", "\x85", "PAR1", "x" * 50),
)
_ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252")
_QUOTING: tuple[Literal[0, 1, 2, 3], ...] = (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE)


_MARKED = ("utf-8-sig", "utf-16")

Row = tuple[str | None, ...]
"""The cells of one row; None = the user is in no group of this level."""
Files = list[tuple[str, bytes]]


class Different(AssertionError):
    """Files that were read as something else, or that were refused although they are plain."""


def check_table(seed: int) -> None:
    """Write rows in some format and read them."""
    chance = random.Random(seed)
    dataset_type = chance.choice(list(_TYPES))
    keys = _TYPES[dataset_type]
    rows = _rows(chance, keys)
    schema = schema_for(dataset_type, LEVELS if "user_id" in keys else ())
    expected = _lines(keys, rows)
    share = chance.random()
    if share < PARQUET_SHARE:
        content, certain = _parquet(chance, keys, rows)
    elif share < PARQUET_SHARE + NDJSON_SHARE:
        content, certain = _ndjson(chance, expected)
    else:
        content, certain = _text(chance, keys, rows)
    target = io.BytesIO()
    try:
        spool_input([_source(chance, *file) for file in content], schema, target, max_bytes=1 << 22)
    except InputError as error:
        if "No user of the input has a group" in str(error) and not all(map(any, zip(*rows, strict=True))):
            return
        if certain:
            raise Different(f"refused: {error} for {content!r}") from None
        if not error.problems and "mixes formats" not in str(error):
            raise Different(f"refused without a problem: {error} for {content!r}") from None
        return
    if target.getvalue() != expected:
        raise Different(f"{target.getvalue()!r} instead of {expected!r} for {content!r}")


def _rows(chance: random.Random, keys: Sequence[str]) -> list[Row]:
    # The code of each character is below this number. With 256, Windows-1252 can encode nearly all cells, so that this
    # encoding is tested, too. With 600 it cannot, and `_encoding` gives UTF-8 instead.
    most = chance.choice((256, 600))
    known = [cell for cell in _CELLS if not cell or ord(max(cell)) < most or most == 600]

    def cell() -> str:
        if chance.random() < 0.6:
            return chance.choice(known)
        return "".join(chr(chance.choice((chance.randrange(32, 127), chance.randrange(160, most)))) for _ in range(5))

    def path() -> Row:
        depth = chance.choice((2, 2, 2, 2, 2, 1, 0))
        return tuple(cell() if level < depth else None for level in range(len(LEVELS)))

    rows: dict[Row, None] = {}
    users: dict[str, Row] = {}
    for number in range(chance.randrange(1, 9)):
        if keys == ("session_id",):
            rows[(f"{cell()}{number}",)] = None
            continue
        user = chance.choice(list(users)) if users and chance.random() < 0.3 else f"{cell()[:40]}{number}"
        groups = users.setdefault(user, path()) if chance.random() < 0.7 else path()
        users.setdefault(user, groups)
        rows[(user, *groups, *((f"s{number}",) if "session_id" in keys else ()))] = None
    return list(rows)


def _lines(keys: Sequence[str], rows: Sequence[Row]) -> bytes:
    """The same rows as lines of JSON."""
    records: dict[Row, dict[str, Any]] = {}
    for row in rows:
        values = dict(zip(keys, row, strict=True))
        session = values.pop("session_id", None)
        if "user_id" not in keys:
            records[row] = {"session_id": session}
            continue
        groups = {level: values[level] for level in LEVELS if values[level] is not None}
        record = records.setdefault(row[: 1 + len(LEVELS)], {"user_id": values["user_id"], "groups": groups})
        if session is not None:
            record.setdefault("session_id", []).append(session)
    text = "".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records.values())
    return text.encode()


def _ndjson(chance: random.Random, lines: bytes) -> tuple[Files, bool]:
    """The lines as files, with blanks, blank lines, line ends, marks and packing that mean nothing."""
    encoding = _encoding(chance.choice(("utf-8", "utf-8", "utf-8", "utf-8", *_ENCODINGS)), lines.decode())
    end = chance.choice(("\n", "\r\n", " \n", "\n\n"))
    records, blank = lines.decode().split("\n")[:-1], chance.choice(("", "", " ", "\t"))
    cut = chance.randrange(len(records) + 1)
    files: Files = []
    for number, part in enumerate((records[:cut], records[cut:])):
        text = end.join(f"{blank}{record}" for record in part) + chance.choice(("", end))
        if encoding == "utf-8" and chance.random() < 0.1:
            text = text.replace("\n", "\n\ufeff")  # byte order marks inside the text, as in joined files
        content = text.encode(encoding)
        if encoding == "cp1252" and _is_utf8(content):
            content = text.encode()
        name = f"part-{number}{chance.choice(('.ndjson', '.jsonl', '.json', '', '.txt', '.ndjson.gz'))}"
        files.append((name, chance.choice((bytes, gzip.compress, zstd.compress))(content)))
    return files, encoding in ("utf-8", "utf-8-sig")


def _text(chance: random.Random, keys: Sequence[str], rows: Sequence[Row]) -> tuple[Files, bool]:
    """The files of a CSV or TSV input, and whether nobody could mistake them."""
    delimiter, quote = chance.choice(",,;\t|"), chance.choice('"""\'')
    quoting, encoding = chance.choice(_QUOTING), chance.choice(_ENCODINGS)
    end = chance.choice(("\n", "\r\n", "\r"))
    if end == "\r":
        # All cells are quoted here, because with this line end, Python 3.11 would not quote a cell with a line feed.
        quoting = csv.QUOTE_ALL
    doubled = chance.random() < 0.9
    columns = [*keys, *chance.sample(("name", "note;x", "a,b", "é"), chance.randrange(3))]
    chance.shuffle(columns)
    cells = [cell for row in rows for cell in row if cell is not None]
    encoding = _encoding(encoding, "".join((*cells, *columns)))
    others = [cell for cell in _CELLS if _encoding(encoding, cell) == encoding]
    if quote == "'" and (len(columns) > len(keys) or re.search('[\n\r"]', "".join(cells))):
        # If no name in the header is quoted, a reader takes `"` for the quote of this file. Then double quotes and line
        # ends in cells may make another valid table. So all cells are quoted, and with them the header.
        quoting = csv.QUOTE_ALL
    if encoding in _MARKED and any(cell.startswith("\ufeff") for cell in (*cells, *_CELLS)):
        # Such a file begins with a byte order mark. So a reader may take U+FEFF at the start of a later row for the
        # mark of a second file that was appended, and remove it. In quotes it is a part of the cell.
        quoting = csv.QUOTE_ALL
    cut = chance.randrange(len(rows) + 1)
    suffix = chance.choice((".csv", ".tsv", ".CSV", "", ".txt", ".csv.gz"))
    files: Files = []
    for number, part in enumerate((rows[:cut], rows[cut:])):
        text = io.StringIO()
        writer = csv.writer(
            text, delimiter=delimiter, quotechar=quote, quoting=quoting, lineterminator=end,
            doublequote=doubled, escapechar=None if doubled and quoting != csv.QUOTE_NONE else "\\",
        )  # fmt: skip
        writer.writerow(columns)
        for row in part:
            values = dict(zip(keys, row, strict=True))
            writer.writerow([values.get(column, chance.choice(others)) for column in columns])
        content = text.getvalue().encode(encoding)
        if encoding == "cp1252" and _is_utf8(content):
            content = text.getvalue().encode()  # a reader would take these bytes for UTF-8, with other letters
        pack = chance.choice((bytes, bytes, gzip.compress, zstd.compress))
        files.append((f"part-{number}{suffix}", pack(content)))
    # A reader has to accept the files if every cell is in double quotes and the encoding can be recognised for certain.
    # In the other encodings, a short file may not have enough text for this.
    certain = quoting == csv.QUOTE_ALL and quote == '"' and doubled and encoding in ("utf-8", "utf-8-sig", "utf-16")
    return files, certain and not any(map(_is_odd, cells))


def _is_odd(cell: str) -> bool:
    """Whether a cell is refused although it is plain: it looks like an escape or a null."""
    escaped = re.search(r"""\\['"\\,;\t|]|\\$""", cell)
    return bool(escaped) or cell == "\\N"


def _parquet(chance: random.Random, keys: Sequence[str], rows: Sequence[Row]) -> tuple[Files, bool]:
    """One or two Parquet files, with columns in any order, and others beside them."""
    columns = [*keys, *chance.sample(("1.5 AS score", "[1, 2] AS marks", "'x' AS user_ids"), chance.randrange(3))]
    chance.shuffle(columns)
    cut = chance.choice((0, chance.randrange(len(rows) + 1)))
    files: Files = []
    with tempfile.TemporaryDirectory() as folder, _database().cursor() as database:
        path = Path(folder) / "x.parquet"
        database.execute(f"CREATE OR REPLACE TEMP TABLE t ({', '.join(f'{key} VARCHAR' for key in keys)})")
        for number, part in enumerate((rows[:cut], rows[cut:])):
            database.execute("DELETE FROM t")
            if part:
                marks = ", ".join("?" for _ in keys)
                database.executemany(f"INSERT INTO t VALUES ({marks})", [_nulls(chance, row) for row in part])
            codec = chance.choice(("snappy", "zstd", "gzip", "uncompressed"))
            select = f"SELECT {', '.join(columns)} FROM t"
            database.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet, COMPRESSION {codec})")
            files.append((f"part-{number}{chance.choice(('.parquet', '.pq', '', '.csv'))}", path.read_bytes()))
    return files, True


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for all cases: it takes long to open."""
    return duckdb.connect()


def _nulls(chance: random.Random, row: Row) -> list[str | None]:
    """A row in which an empty text may stand for a null."""
    return [chance.choice((None, "")) if cell is None else cell for cell in row]


def _is_utf8(content: bytes) -> bool:
    try:
        return bool(content.decode())
    except UnicodeDecodeError:
        return False


def _encoding(wanted: str, text: str) -> str:
    """The encoding, or UTF-8 if it does not have all of the text."""
    try:
        text.encode(wanted)
    except UnicodeEncodeError:
        return "utf-8"
    return wanted


def _source(chance: random.Random, name: str, content: bytes) -> InputFile:
    size = chance.choice((1, 3, 64, 1 << 16))
    return InputFile(name, lambda: (content[at : at + size] for at in range(0, len(content), size)))
