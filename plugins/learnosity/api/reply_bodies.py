"""Reads the body of a reply in bounded memory, whatever the server sends: compressed, endless, or without a length.

A few hundred kilobytes of gzip can become a gigabyte of text. So a body is decompressed piece by piece, and reading
stops at the first byte over the limit. The limit counts for the bytes that arrive as well.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING

from learnosity.errors import TransientApiError, UnexpectedReplyError

if TYPE_CHECKING:
    from aiohttp import ClientResponse

MIB = 1024 * 1024
# Largest reply to `get` on /reports/datasets, in bytes. With 100,000 signed URLs, such a reply has about 60 MB.
MAX_DATA_BYTES = 256 * MIB
# Largest reply to a call other than `get` on /reports/datasets, in bytes. Such a reply has at most 100 upload URLs or
# 50 jobs.
MAX_REPLY_BYTES = 16 * MIB
# Largest body that is read if the HTTP status is an error, in bytes. The API's own errors are short. If a body is
# longer, such as an error page of a proxy, only the HTTP status is used.
MAX_ERROR_BYTES = MIB
# Maximum number of objects and lists in a reply. Each takes 60 bytes or more in memory, even if it has only two bytes
# in JSON (`{}`). Without this limit, a reply of allowed size could fill the memory.
MAX_CONTAINERS = 4_000_000
# Maximum number of values in a reply. A text of one letter takes about 60 bytes in memory, and only four bytes in JSON
# (`"a",`). A few hundred kilobytes of gzip can become JSON with fifty million such values.
MAX_VALUES = 16_000_000

# `Accept-Encoding` of every call: the only encodings that `_Inflate` can decompress in bounded memory.
ENCODINGS = "gzip, deflate"
_PIECE_BYTES = 256 * 1024
_MAX_MEMBERS = 100


class BodyError(Exception):
    """A body that cannot be used. The message says why, and has nothing of the body.

    :param broken: the body broke off or is damaged, so the next reply may be whole; default False.
    """

    def __init__(self, why: str, *, broken: bool = False) -> None:
        super().__init__(why)
        self.broken = broken


async def reply_body(response: ClientResponse, what: str, limit: int) -> bytes:
    """The body of a reply of the API. It is empty when the status is an error and the body cannot be used.

    :param response: of a session that does not decompress by itself.
    :param what: the name of the call, for messages.
    :param limit: largest number of bytes of a reply whose status is not an error.
    :raises UnexpectedReplyError: it is too large, or compressed in a way that was not asked for.
    :raises TransientApiError: it is damaged.
    """
    is_error = response.status >= 300
    try:
        body = await read_body(response.content.iter_any(), response.headers, MAX_ERROR_BYTES if is_error else limit)
        if len(body) > MIB:
            await asyncio.to_thread(check_values, body)
    except BodyError as error:
        if is_error:
            return b""  # no error is raised here: the caller reports the HTTP status
        message = f"Learnosity's reply to {what} cannot be used: {error}."
        if error.broken:
            raise TransientApiError(message, http_status=response.status) from None
        raise UnexpectedReplyError(
            f"{message} Another try gives the same. Check the host of the connection and any proxy in between; of a "
            "large dataset, ask for less at a time.",
            http_status=response.status,
        ) from None
    return body


async def read_body(pieces: AsyncIterator[bytes], headers: Mapping[str, str], limit: int) -> bytes:
    """The whole body, decompressed.

    :param pieces: the body as it arrives, not decompressed.
    :param headers: of the reply; `Content-Encoding` is read.
    :param limit: largest number of bytes, before and after decompression.
    :raises BodyError: the body is larger, damaged, or compressed in a way that was not asked for.
    """
    encoding = headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise BodyError("its body is compressed in a way that was not asked for")
    inflate = None if encoding in ("", "identity") else _Inflate(gzip=encoding != "deflate", limit=limit)
    body, arrived = bytearray(), 0
    async for piece in pieces:
        arrived += len(piece)
        if arrived > limit:
            raise _too_large(limit)
        if inflate is None:
            body += piece
        else:
            inflate.add(piece, body)
    if inflate is not None:
        inflate.end(arrived)
    return bytes(body)


def check_values(body: bytes) -> None:
    """Refuse JSON that would take far more memory than its text. Of a large reply, this may take seconds.

    :raises BodyError: it has more than four million objects and lists, or more than sixteen million values.
    """
    if not _is_too_much(body.count(b"{") + body.count(b"["), body.count(b",")):
        return
    # The body has too many `{`, `[` or `,`. But they may be in strings: a whole CSV file may be one string of the
    # reply. So only those outside of strings are counted now.
    containers = values = 0
    for part in _outside_texts(body):
        containers += part.count(b"{") + part.count(b"[")
        values += part.count(b",")
        if what := _is_too_much(containers, values):
            raise BodyError(f"it has more than {what}")


def _is_too_much(containers: int, values: int) -> str:
    if containers > MAX_CONTAINERS:
        return f"{MAX_CONTAINERS:,} objects and lists"
    return f"{MAX_VALUES:,} values" if values >= MAX_VALUES else ""


def _outside_texts(body: bytes) -> Iterator[bytes]:
    """What of a JSON text is outside of its strings, piece by piece."""
    begin, inside = 0, 0
    while begin < len(body):
        end = begin + _PIECE_BYTES
        # A piece does not end with a backslash. Otherwise `\"` could be divided between two pieces. Then its `"` would
        # look like the end of the string, although it is a character in it.
        while body[end - 1 : end] == b"\\":
            end += 1
        piece = body[begin:end]
        if b"\\" in piece:
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = piece.split(b'"')
        yield b"".join(parts[inside::2])
        inside = (inside + len(parts) - 1) % 2
        begin = end


class _Inflate:
    """Decompresses one body in small steps, and refuses it when it grows over the limit."""

    def __init__(self, *, gzip: bool, limit: int) -> None:
        self._gzip = gzip
        self._limit = limit
        self._members = 0
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16) if gzip else None

    def add(self, piece: bytes, body: bytearray) -> None:
        """Decompress `piece` to the end of `body`."""
        while piece:
            if self._stream is None:
                # A `deflate` body should begin with zlib's header, but some servers leave the header out (RFC 9110,
                # 8.4.1.2). If the low four bits of the first byte are 8, the header is there.
                self._stream = zlib.decompressobj(zlib.MAX_WBITS if piece[0] & 0x0F == 8 else -zlib.MAX_WBITS)
            elif self._stream.eof:
                self._next_member()
            self._take(self._stream, piece, body)
            piece = self._stream.unused_data

    def _take(self, stream: zlib._Decompress, piece: bytes, body: bytearray) -> None:
        more = True
        while more:
            try:
                out = stream.decompress(piece, _PIECE_BYTES)
            except zlib.error:
                raise BodyError("its compressed body is damaged", broken=True) from None
            body += out
            if len(body) > self._limit:
                raise _too_large(self._limit)
            piece = stream.unconsumed_tail
            # If zlib returned the maximum length of output, it may hold more output, even if it has read all of the
            # input. So it is called again.
            more = not stream.eof and (bool(piece) or len(out) == _PIECE_BYTES)

    def _next_member(self) -> None:
        """Begin the next member of a gzip body. Their number is limited: empty members cost time and give no text."""
        self._members += 1
        if not self._gzip or self._members >= _MAX_MEMBERS:
            raise BodyError("its compressed body goes on after its end")
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def end(self, arrived: int) -> None:
        """Check that the compressed body is whole."""
        if arrived and (self._stream is None or not self._stream.eof):
            raise BodyError("its compressed body breaks off", broken=True)


def _too_large(limit: int) -> BodyError:
    return BodyError(f"it is larger than {limit // MIB} MiB")
