"""Bytes over signed URLs: one file down, one part up, streamed, timed out, and never redirected.

A signed URL is all the authority there is: no header of ours goes with it, and no error names its query.
What is downloaded is counted against what was promised, so that a short file cannot pass for a whole one.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO, Self

import aiohttp
from yarl import URL

from learnosity.client import parse_retry_after
from learnosity.config import ApiConfig
from learnosity.errors import PermanentApiError, TransferError, UrlExpiredError
from learnosity.urls import redact

CHUNK_BYTES = 256 * 1024
# A connection that brings nothing for so long is dead. There is no limit on a whole file: it may be huge.
IDLE_SECONDS = 60.0
CONNECT_SECONDS = 15.0
# contract section 5: the header is part of what S3 signature v2 signs.
UPLOAD_CONTENT_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Download:
    """An answered GET whose body is still to be read.

    :param what: the request, fit for a message.
    :param length: bytes of the body, None when the server does not say.
    :param total: bytes of the whole file, None when unknown.
    :param validator: strong entity tag, with which the rest of the file can be asked for.
    """

    what: str
    length: int | None
    total: int | None
    content_type: str | None
    validator: str | None
    _body: aiohttp.StreamReader = field(repr=False)

    async def read(self) -> bytes:
        """The whole body. :raises TransferError: when it breaks off."""
        with _network_errors(self.what):
            return await self._body.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. :raises TransferError: when it breaks off."""
        with _network_errors(self.what):
            async for chunk in self._body.iter_chunked(CHUNK_BYTES):
                yield chunk


class SignedTransfer:
    """GETs and PUTs on signed URLs over one session. Use it as an async context manager.

    :param config: whose URL policy, proxy and TLS settings hold.
    :param connections: TCP connections at most.
    """

    def __init__(self, config: ApiConfig, *, connections: int = 128) -> None:
        self._config = config
        self._policy = config.url_policy
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._config.verify),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=IDLE_SECONDS),
            # Bytes are landed exactly as served.
            auto_decompress=False,
            trust_env=self._config.trust_env,
            cookie_jar=aiohttp.DummyCookieJar(),
            requote_redirect_url=False,
            read_bufsize=CHUNK_BYTES,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def get(self, url: str, *, start: int = 0, validator: str | None = None) -> AsyncIterator[Download]:
        """Open a download at byte `start`.

        :param validator: the file's entity tag so far; the server refuses the rest of another file.
        :raises UrlExpiredError: the URL is no longer good; ask for a new one.
        :raises TransferError: the server or the network failed for now.
        :raises PermanentApiError: the URL may not be followed, or redirects.
        """
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if validator:
                headers["If-Range"] = validator
        what = f"GET {redact(url)}"
        with _network_errors(what):
            async with self._request("GET", url, headers) as response:
                check_status(what, response.status, response.headers)
                if start and response.status != 206:
                    raise TransferError(f"{what}: the server cannot continue at byte {start}.")
                length = response.content_length
                yield Download(
                    what=what,
                    length=length,
                    total=None if length is None else start + length,
                    content_type=response.headers.get("Content-Type"),
                    validator=_strong(response.headers.get("ETag")),
                    _body=response.content,
                )

    async def put(self, url: str, file: BinaryIO, offset: int, length: int) -> None:
        """Upload `length` bytes of `file` from `offset`, with Content-Length (contract section 5).

        :param file: a local file; it is read at positions of its own, so parts may go up side by side.
        :raises UrlExpiredError: the URL is no longer good.
        :raises TransferError: the server or the network failed for now; the same PUT may be sent again.
        """
        what = f"PUT {redact(url)}"
        headers = {
            "Content-Type": UPLOAD_CONTENT_TYPE,
            "Content-Length": str(length),
            "Expect": "100-continue",
        }
        with _network_errors(what):
            async with self._request("PUT", url, headers, _slices(file, offset, length)) as response:
                await response.read()
                check_status(what, response.status, response.headers)

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: AsyncIterator[bytes] | None = None,
    ) -> aiohttp.client._RequestContextManager:
        if self._session is None:
            raise RuntimeError("SignedTransfer is used outside its context")
        return self._session.request(
            method,
            # The query is signed as it stands: it must not be encoded again (contract section 5).
            URL(self._policy.check(url), encoded=True),
            headers=headers,
            data=data,
            allow_redirects=False,
            proxy=self._config.proxy,
        )


def check_status(what: str, status: int, headers: Mapping[str, str]) -> None:
    """Let a success pass; raise what any other answer of a storage server stands for."""
    if status in (200, 201, 204, 206):
        return
    if status in (401, 403, 404, 410):
        raise UrlExpiredError(f"{what}: the signed URL is no longer good (HTTP {status}).")
    if status in (408, 425, 429) or status >= 500:
        raise TransferError(
            f"{what}: the storage server failed for now (HTTP {status}).",
            retry_after=parse_retry_after(headers.get("Retry-After")),
            overload=status in (429, 503),
        )
    if 300 <= status < 400:
        raise PermanentApiError(f"{what}: the signed URL redirects (HTTP {status}), which is never followed.")
    raise PermanentApiError(f"{what}: the storage server refused (HTTP {status}).")


@contextmanager
def _network_errors(what: str) -> Iterator[None]:
    """Turn the client's exceptions into `TransferError`, without the URL that they quote."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as error:
        raise TransferError(f"{what}: the connection failed ({type(error).__name__}).") from None


async def _slices(file: BinaryIO, offset: int, length: int) -> AsyncIterator[bytes]:
    descriptor = file.fileno()
    end = offset + length
    while offset < end:
        chunk = await asyncio.to_thread(os.pread, descriptor, min(1024 * 1024, end - offset), offset)
        if not chunk:
            raise TransferError("The spooled input file is shorter than planned.")
        offset += len(chunk)
        yield chunk


def _strong(etag: str | None) -> str | None:
    return etag if etag and not etag.startswith("W/") else None
