"""Splits the content of an NDJSON file into lines, and removes byte order marks.

The result depends only on the content of the file, and not on the size of the pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

MAX_LINE_BYTES: Final = 1024 * 1024
"""Longest line in bytes, without its line end. With this limit, a file without line ends cannot fill the memory."""

BLANKS: Final = b" \t\r"
"""What may stand before and behind a record in its line."""

_UTF8_BOM: Final = b"\xef\xbb\xbf"


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes | None]:
    """The content in blocks of whole lines. None stands for a line that is longer than `MAX_LINE_BYTES`.

    A byte order mark at the start of a line is removed: files that were joined have one where the next file begins. It
    is never inside of a text there, because a text in JSON has no line end.
    """
    for block in _split(pieces):
        if block is not None and _UTF8_BOM in block:
            block = block.removeprefix(_UTF8_BOM).replace(b"\n" + _UTF8_BOM, b"\n")
        yield block


def line_numbers(first: int, block: bytes, count: int) -> Sequence[int]:
    """The numbers of the lines of a block that are not blank.

    :param first: number of its first line.
    :param count: how many of its lines are not blank.
    """
    if block.count(b"\n") + (not block.endswith(b"\n")) == count:
        return range(first, first + count)
    return [number for number, raw in enumerate(block.split(b"\n"), first) if raw.strip(BLANKS)]


def _split(pieces: Iterable[bytes]) -> Iterator[bytes | None]:
    rest, too_long = b"", False
    for piece in pieces:
        first = piece.find(b"\n")
        if not too_long and len(rest) + (first if first >= 0 else len(piece)) > MAX_LINE_BYTES:
            yield None
            rest, too_long = b"", True
        if too_long:
            if first < 0:
                continue
            piece, too_long = piece[first + 1 :], False
        end = piece.rfind(b"\n") + 1
        if end:
            yield rest + piece[:end]
            rest = piece[end:]
        else:
            rest += piece
    if rest:
        yield rest
