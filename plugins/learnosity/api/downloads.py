"""A download whose headers have arrived, and the check that it holds the bytes that were asked for (RFC 9110).

The HTTP status is not enough: some S3 servers answer 206 although `If-Range` does not match, and so would mix two
versions of a file. So start, total and entity tag of every reply are compared with the request.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
from pyreqwest.exceptions import DetailedPyreqwestError, PyreqwestError
from pyreqwest.response import Response

from learnosity.egress import proxy_failure, proxy_refusal
from learnosity.errors import ChangedFileError, PermanentApiError, TransferError

# Size in bytes of one read-ahead buffer. With smaller buffers, the event loop would be woken more often, which takes
# processor time.
READ_AHEAD_BYTES = 512 * 1024
# Bytes of memory that the buffers of one download take at most, because it has up to three buffers at a time. The
# landing of files reserves memory for them.
BUFFERED_BYTES = 3 * READ_AHEAD_BYTES

# The header `Content-Range`, such as `bytes 0-99/1000`: first byte, last byte and size of the file. The size is `*` if
# the server does not know it. A number with more than 18 digits is refused, because no file is that large.
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rest:
    """The part of a file that is still missing, and the file to which it belongs.

    :param start: number of the first missing byte, from 0.
    :param total: bytes of the whole file.
    :param tag: strong entity tag of the file whose first part was read.
    :param encoding: how that file is compressed; None = not.
    """

    start: int
    total: int
    tag: str
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """The reply to a GET, whose body is not read yet.

    :param what: the name of the request. Its text is safe for a message.
    :param length: bytes of the body; None = the server does not say.
    :param total: bytes of the whole file; None = unknown.
    :param content_encoding: compression of the body, such as `gzip`. The body is not decompressed.
    :param tag: strong entity tag. The rest of the file can be asked for with it; None = it cannot.
    :param until_close: whether only the end of the connection ends the body. Then a cut looks like the end.
    """

    what: object
    length: int | None
    total: int | None
    content_type: str | None
    content_encoding: str | None
    tag: str | None
    _response: Response = field(repr=False)
    until_close: bool = False

    async def read(self, limit: int) -> memoryview:
        """The whole body. It is not copied if the server gives its length.

        :param limit: largest number of bytes that is expected. Of a longer body, a little more than that is returned.
        :raises TransferError: the body breaks off.
        """
        if self.length is not None and self.length <= limit:
            try:
                return memoryview(await self._response.bytes())
            except (PyreqwestError, TimeoutError, OSError) as error:
                raise connection_failed(self.what, error) from None
        content = bytearray()
        async for piece in self.pieces(READ_AHEAD_BYTES):
            content += piece
            if len(content) > limit:
                break
        return memoryview(content)

    async def pieces(self, size: int) -> AsyncIterator[memoryview]:
        """The body in pieces as they arrive. They are not copied.

        :param size: bytes of each piece, except the last one.
        :raises TransferError: the body breaks off.
        """
        reader = self._response.body_reader
        try:
            while (piece := await reader.read(size)) is not None:
                yield memoryview(piece)
        except (PyreqwestError, TimeoutError, OSError) as error:
            raise connection_failed(self.what, error) from None


def opened(what: object, response: Response, rest: Rest | None) -> Download:
    """Make a download of a successful reply, if it holds the bytes that were asked for.

    :param rest: the part that was asked for; None = the whole file.
    :raises TransferError: the reply is not what was asked for. The same request can succeed later.
    :raises ChangedFileError: the reply is not the rest of the same file.
    """
    header = response.get_header
    length, tag = _number(header("Content-Length")), _strong(header("ETag"))
    encoding = _compressed(header("Content-Encoding"))
    total = length
    if rest is None:
        if response.status != 200:
            raise TransferError(f"{what}: HTTP {response.status} in answer to a request for the whole file.")
        # With status 200, `Content-Range` has no meaning. But if it is sent, the body may be only a part of the file.
        # So it must say that the whole file comes: `bytes 0-99/100`, or `bytes */0` if the file is empty. Its size is
        # also compared with `Content-Length`, but not if the body is compressed: then `Content-Range` may count the
        # bytes before compression, and `Content-Length` counts those after it.
        if (told := header("Content-Range")) and not (length == 0 and told == "bytes */0"):
            whole = _of_whole(told)
            if whole is None or (encoding is None and length not in (None, whole)):
                raise TransferError(f"{what}: HTTP 200, but `Content-Range` does not say that the whole file comes.")
            total = whole if encoding is None else length
    else:
        if response.status != 206:
            raise ChangedFileError(f"{what}: the server cannot continue at byte {rest.start}.")
        found = _CONTENT_RANGE.fullmatch(header("Content-Range") or "")
        if found is None or found[3] == "*":
            raise ChangedFileError(f"{what}: the server does not say which bytes it sends.")
        first, last, total = int(found[1]), int(found[2]), int(found[3])
        if (first, last, total) != (rest.start, rest.total - 1, rest.total) or length not in (None, last + 1 - first):
            raise ChangedFileError(f"{what}: the server sends other bytes than those from {rest.start} on.")
        if tag != rest.tag:
            raise ChangedFileError(f"{what}: the file has changed since its first bytes were read.")
        # A reply with the rest of a file may leave out `Content-Encoding` (RFC 9110, 15.3.7). Then `encoding` is None.
        # That is accepted: the tag has shown that the file is the same, so it is compressed as before.
        if encoding not in (None, rest.encoding):
            raise ChangedFileError(f"{what}: the rest of the file is compressed in another way than its first bytes.")
    return Download(
        what=what,
        length=length,
        total=total,
        content_type=header("Content-Type"),
        content_encoding=encoding,
        tag=tag,
        _response=response,
        until_close=length is None and _ends_with_connection(response),
    )


def connection_failed(
    what: object, error: BaseException, proxy: str | None = None
) -> TransferError | PermanentApiError:
    """Turn an exception of the HTTP client into an error of this package, without the URL that it quotes.

    :param proxy: URL of the proxy that is used; None = none.
    """
    causes = _causes(error)
    if isinstance(error, ssl.SSLCertVerificationError) or re.search(r"certificate|UnknownIssuer", causes):
        return PermanentApiError(
            f"{what}: the server's TLS certificate could not be verified. Check any proxy in between, and name the "
            "PEM file of its authority in extra `verify` of the Learnosity connection."
        )
    if proxy and isinstance(error, aiohttp.ClientHttpProxyError):
        failure: tuple[str, bool] | None = proxy_refusal(proxy, error.status)
    else:
        failure = proxy_failure(proxy, f"{type(error).__name__} {causes}")
        if proxy and failure is None and re.search(r"tunnel", causes, re.IGNORECASE):
            # `tunnel` in the error means that the proxy did not connect to the server. pyreqwest does not tell the HTTP
            # status of the proxy's reply, so 0 is given: it stands for an unknown status.
            failure = proxy_refusal(proxy, 0)
    if failure:
        return (TransferError if failure[1] else PermanentApiError)(f"{what}: {failure[0]}")
    return TransferError(f"{what}: the connection failed ({type(error).__name__}).")


def _causes(error: BaseException) -> str:
    """What an error and its causes say, without URLs and hosts: these may have any word, such as "certificate"."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return str(error.os_error)  # the text of `error` itself quotes the host before the cause
    texts = [str(error)]
    if isinstance(error, DetailedPyreqwestError):
        texts = [error.message, *(cause["message"] for cause in error.details.get("causes") or [])]
    # In each text that quotes a URL, the URL stands last. It may contain blanks, because aiohttp quotes it unchanged.
    # So not only the text up to the next blank is removed, but all from `http://` or `https://` to the end.
    return ": ".join(re.sub(r"https?://.*", "", text, flags=re.IGNORECASE | re.DOTALL) for text in texts)


def _of_whole(content_range: str) -> int | None:
    """Bytes of the file, if the range is that of the whole file, such as `bytes 0-99/100`."""
    found = _CONTENT_RANGE.fullmatch(content_range)
    if found is None or int(found[1]) or found[3] != str(int(found[2]) + 1):
        return None
    return int(found[3])


def _ends_with_connection(response: Response) -> bool:
    """Whether neither a length nor chunks say where the body ends. HTTP/2 has another sign for it."""
    header = response.get_header
    chunks = "chunked" in (header("Transfer-Encoding") or "").lower()
    return response.version.startswith("HTTP/1") and header("Content-Length") is None and not chunks


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and re.fullmatch(r"[0-9]{1,18}", value) else None


def _compressed(encoding: str | None) -> str | None:
    encoding = (encoding or "").strip().lower()
    return None if encoding in ("", "identity") else encoding


def _strong(tag: str | None) -> str | None:
    return tag if tag and not tag.startswith("W/") else None
