"""Recognises the format of a file by its content and its name: NDJSON, a table as text, or Parquet."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection, Iterator
from enum import Enum

from learnosity.inputs.dialects import DELIMITERS
from learnosity.inputs.encodings import UTF32_BOMS, utf16_codec
from learnosity.inputs.unpack import BINARY, UnreadableError

_PACKED = re.compile(r"\.(gz|gzip|zst|zstd|snappy)(?=\.|$)", re.IGNORECASE)
_TABLE = (".csv", ".tsv", ".tab", ".psv")
_NDJSON = (".ndjson", ".jsonl", ".json", ".geojson")
_PARQUET = (".parquet", ".parq", ".pq")
_BLANK = b" \t\r\n"
# If a file begins with blanks and empty lines, `head_of` keeps them in memory until it finds the first text. So it
# gives up after about this many bytes. A file without text up to there has the format `EMPTY`: `spool` reads it line by
# line, as NDJSON, and does not have to keep empty lines.
_MOST_BLANKS = 4 * 1024 * 1024
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_BINARY = (
    f"the file is binary, or a text with another delimiter than {', '.join(DELIMITERS.values())}: write CSV, NDJSON or "
    "Parquet"
)
_HEAD = 4096  # number of bytes at the start of a file that show whether it is binary
_PARQUET_MARK = re.compile(b"PAR1" + BINARY)


class Format(Enum):
    """How a file is read. A delimited file is named CSV or TSV as soon as its delimiter is known."""

    EMPTY = "nothing"
    NDJSON = "NDJSON"
    DELIMITED = "CSV"
    PARQUET = "Parquet"


def head_of(pieces: Iterator[bytes]) -> bytes:
    """The beginning of a file up to its first text, for `recognise`: a mark and blank lines may stand before it."""
    head = next(pieces, b"")
    while len(head) < _MOST_BLANKS and not _text(head) and (piece := next(pieces, b"")):
        head += piece
    return head


def may_be_input(name: str) -> bool:
    """Whether a file's name ends as those of an input format, or of a packed file, do."""
    plain = _PACKED.sub("", name.lower())
    return plain != name.lower() or plain.endswith((*_TABLE, *_NDJSON, *_PARQUET))


def recognise(name: str, head: bytes, columns: Collection[str]) -> Format:
    """The format of a file.

    The content decides, where it is certain: Parquet has a mark, and a line of NDJSON is a JSON object. Else the name
    decides, and else whether the first line looks like a header.

    :param name: the file's name or URI.
    :param head: the start of its content, unpacked.
    :param columns: names of columns, each of which would be a header by itself.
    :raises UnreadableError: the name says Parquet, and the content does not; or the file is NDJSON in UTF-16, or JSON
        with a value over several lines.
    """
    text = _text(head)
    if not text:
        return Format.EMPTY
    if _PARQUET_MARK.match(head):
        return Format.PARQUET
    plain = _PACKED.sub("", name.lower())
    if plain.endswith(_PARQUET):
        raise UnreadableError("the file is no Parquet, although its name says so: it is damaged, or of another format")
    if codec := utf16_codec(head):
        start = head.decode(codec, "replace").removeprefix("\ufeff").lstrip(" \t\r\n")
        if plain.endswith(_NDJSON) or _is_object(re.split(r"[\r\n]", start, maxsplit=1)[0]):
            raise UnreadableError("the file is NDJSON in UTF-16, and JSON is UTF-8: save it as UTF-8")
        return Format.DELIMITED
    first = re.split(rb"[\r\n]", text, maxsplit=1)[0]
    if _CONTROL.search(first) and not first.startswith((b"{", *UTF32_BOMS)) and not _is_header(first, columns):
        raise UnreadableError(_BINARY)
    if first.startswith(b"{") and _is_object(first):
        return Format.NDJSON
    if plain.endswith(_TABLE):
        return Format.DELIMITED
    if plain.endswith(_NDJSON) or first.startswith((b"{", b"[")):
        _check_lines(text.decode("utf-8", "replace"))
        return Format.NDJSON
    header = first.decode("latin-1").strip("\"' ").casefold()
    looks_like_header = bool(re.search(rb"[,;\t|]", first)) or header in {name.casefold() for name in columns}
    if looks_like_header:
        return Format.DELIMITED
    # The first line is no JSON object, so the file is refused in any case. If it is read as NDJSON, there is an error
    # for each wrong line. For a binary file, these errors help nobody, so it is refused here, with one message.
    if _CONTROL.search(text[:_HEAD]) and not text.startswith(UTF32_BOMS):
        raise UnreadableError(_BINARY)
    return Format.NDJSON


def _text(head: bytes) -> bytes:
    """The start of a file without a byte order mark and the blanks behind it."""
    return head.removeprefix(codecs.BOM_UTF8).lstrip(_BLANK)


def _is_header(line: bytes, columns: Collection[str]) -> bool:
    """Whether a line names one of the columns, between delimiters that are known.

    Then a control character in it is no reason to refuse the file: it may be in a column that is not needed.
    """
    cells = re.split(r"[,;\t|]", line.decode("utf-8", "replace").casefold())
    return len(cells) > 1 and not {name.casefold() for name in columns}.isdisjoint(cell.strip("\"' ") for cell in cells)


def _check_lines(text: str) -> None:
    """Check the start of a file whose first line is no JSON object.

    A line that was cut off is no reason to refuse the file here: its error is named by its line.

    :raises UnreadableError: it is the start of an array of objects, or of an object over several lines.
    """
    first, *others = re.split(r"[\r\n]+\s*", text, maxsplit=1)
    rest, is_array = "".join(others), text.startswith("[")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
        is_over = end > len(first) or (is_array and not text[end:].strip())
    except (ValueError, RecursionError):
        # The JSON value at the start of `text` is not complete. `is_over` is true if it goes on in the next line, as
        # `{"a": 1,` does with `"b": 2` below it, or if it is an array in one line that is longer than `text`. If a new
        # object follows, as `{"a": 2}` below `{"a": 1`, `is_over` is false: only the first line was cut off. The file
        # is not refused here. The later check of each line names this line.
        before, after = first.rstrip()[-1:], rest[:1]
        goes_on = before == "[" or (before in "{," and (is_array or after in ('"', "}"))) or after == ","
        is_over = (goes_on and after != "") or (is_array and not rest)
    if is_array and is_over and text[1:].lstrip()[:1] == "{":
        raise UnreadableError("the file is a JSON array: write one object on each line, as jq -c '.[]' does")
    if text.startswith("{") and is_over:
        raise UnreadableError("an object of the file is over several lines: write each on one line, as jq -c . does")


def _is_object(line: bytes | str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
