"""Turns the bytes of a file into lines: unpacks gzip, removes a byte order mark, splits at line ends.

The result depends only on the content of the file, and not on the size of the chunks from the network.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

MAX_LINE_BYTES: Final = 1024 * 1024
"""Longest line in bytes, without its line end. With this limit, a file without line ends cannot fill the memory."""

_BLOCK: Final = 256 * 1024  # bytes of unpacked content in one piece
_PACKED_BLOCK: Final = 64 * 1024  # bytes of gzip data that are unpacked in one step
_GZIP_MAGIC: Final = b"\x1f\x8b"
_UTF8_BOM: Final = b"\xef\xbb\xbf"
_UTF16_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")


class UnreadableError(ValueError):
    """The rest of a file cannot be read; the message says why."""


def text_pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The unpacked content of a file, in pieces that depend only on the content.

    :param chunks: the bytes of the file, in chunks of any size. Gzip is recognised by its first two bytes.
    :raises UnreadableError: the file is UTF-16, or its gzip data is damaged. The content before that is given first.
    """
    source = iter(chunks)
    head = b""
    while len(head) < len(_GZIP_MAGIC) and (chunk := next(source, None)) is not None:
        head += chunk
    whole = chain((head,), source)
    pieces = _pieces(_gunzip(_pieces(whole, _PACKED_BLOCK)) if head.startswith(_GZIP_MAGIC) else whole, _BLOCK)
    head = next(pieces, b"")
    if head.startswith(_UTF16_BOMS):
        raise UnreadableError("the file is UTF-16: save it as UTF-8")
    yield head.removeprefix(_UTF8_BOM)
    yield from pieces


def _pieces(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of exactly `size`; only the last piece may be shorter."""
    rest = bytearray()
    try:
        for chunk in chunks:
            start = 0
            if rest:
                start = size - len(rest)
                rest += chunk[:start]
                if len(rest) < size:
                    continue
                yield bytes(rest)
            while start + size <= len(chunk):
                yield chunk[start : start + size]
                start += size
            rest = bytearray(chunk[start:])
    except UnreadableError:
        yield bytes(rest)  # what comes before the unreadable gzip data: needed for the line number in the error
        raise
    yield bytes(rest)


def _gunzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip data of one or more members. Each piece has at most `_BLOCK` bytes, to limit the memory."""
    member = None
    for piece in pieces:
        data = piece
        while True:
            if member is None:
                data = data.lstrip(b"\0")  # some tools add zeros after the last member
                if not data:
                    break
                member = zlib.decompressobj(wbits=31)
            try:
                yield member.decompress(data, _BLOCK)
            except zlib.error:
                raise UnreadableError("the gzip data is damaged from here on: make the file again") from None
            if member.eof:
                data, member = member.unused_data, None
                continue
            data = member.unconsumed_tail
            if not data:
                break
    if member is not None:
        raise UnreadableError("the gzip data ends too early: the file is incomplete, copy it again")


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes | None]:
    """Blocks of whole lines. Each line that is longer than `MAX_LINE_BYTES` is replaced by None."""
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
