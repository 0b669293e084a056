"""Bytes over signed URLs: one file down, one part up, streamed, timed out, and never redirected.

A signed URL is all the authority there is: no header of ours goes with it, and no error names its query.
What is downloaded is counted against what was promised, so that a short file cannot pass for a whole one.

Down goes over pyreqwest, which does TLS and HTTP outside of the interpreter: thousands of small files cost half
the processor time (docs/performance.md). Up goes over aiohttp, which waits for `100 Continue`: a URL that has run
out is told apart from a broken connection before the body is sent.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import BinaryIO, Self

import aiohttp
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.response import Response
from yarl import URL

from learnosity.api.client import parse_retry_after
from learnosity.api.config import ApiConfig
from learnosity.api.url_policy import HostGuard, redact, uses_proxy
from learnosity.errors import PermanentApiError, TransferError, UrlExpiredError
from learnosity.telemetry import NO_METER, Meter

# A download is read so far ahead of whoever takes it, in three buffers; smaller ones wake the event loop too often.
READ_AHEAD_BYTES = 512 * 1024
BUFFERED_BYTES = 3 * READ_AHEAD_BYTES
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
    _response: Response = field(repr=False)

    async def read(self) -> memoryview:
        """The whole body, not copied. :raises TransferError: when it breaks off."""
        with _network_errors(self.what):
            return memoryview(await self._response.bytes())

    async def chunks(self, sizes: Iterator[int]) -> AsyncIterator[memoryview]:
        """The body as it comes, so many bytes at a time, not copied.

        :param sizes: of one piece after the other, without end.
        :raises TransferError: when it breaks off.
        """
        reader = self._response.body_reader
        with _network_errors(self.what):
            while (chunk := await reader.read(next(sizes))) is not None:
                yield memoryview(chunk)


class SignedTransfer:
    """GETs and PUTs on signed URLs over kept connections. Use it as an async context manager.

    :param config: whose URL policy, proxy and TLS settings hold.
    :param meter: for whoever repeats a transfer: one that failed is not repeated here.
    """

    def __init__(self, config: ApiConfig, meter: Meter = NO_METER) -> None:
        self.meter = meter
        self._config = config
        self._policy = config.url_policy
        self._guard = HostGuard(self._policy.api_host, proxied=uses_proxy(config.proxy, config.trust_env))
        self._open = False
        self._down: Client | None = None
        self._up: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        down, self._down = self._down, None
        up, self._up = self._up, None
        if down is not None:
            await down.close()
        if up is not None:
            await up.close()

    @asynccontextmanager
    async def get(self, url: str, *, start: int = 0, validator: str | None = None) -> AsyncIterator[Download]:
        """Open a download at byte `start`.

        :param validator: the file's entity tag so far; the server refuses the rest of another file.
        :raises UrlExpiredError: the URL is no longer good; ask for a new one.
        :raises TransferError: the server or the network failed for now.
        :raises PermanentApiError: the URL may not be followed, or redirects.
        """
        what = f"GET {redact(url)}"
        await self._guard.check(self._policy.check(url))
        # The query is signed as it stands, and is sent as it stands (contract section 5).
        request = self._downloads().get(url).streamed_read_buffer_limit(READ_AHEAD_BYTES)
        if start:
            request = request.header("Range", f"bytes={start}-")
            if validator:
                request = request.header("If-Range", validator)
        with _network_errors(what):
            async with request.build_streamed() as response:
                header = response.get_header
                check_status(what, response.status, header("Retry-After"))
                if start and response.status != 206:
                    raise TransferError(f"{what}: the server cannot continue at byte {start}.")
                length = _number(header("Content-Length"))
                yield Download(
                    what=what,
                    length=length,
                    total=None if length is None else start + length,
                    content_type=header("Content-Type"),
                    validator=_strong(header("ETag")),
                    _response=response,
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
        await self._guard.check(self._policy.check(url))
        with _network_errors(what):
            async with self._uploads().put(
                URL(url, encoded=True),
                headers=headers,
                data=_slices(file, offset, length),
                allow_redirects=False,
                proxy=self._config.proxy,
            ) as response:
                await response.read()
                check_status(what, response.status, response.headers.get("Retry-After"))

    def _downloads(self) -> Client:
        if self._down is None:
            self._check_open()
            builder = (
                ClientBuilder()
                # Bytes are landed exactly as served.
                .gzip(False)
                .brotli(False)
                .zstd(False)
                .deflate(False)
                .default_headers({"Accept-Encoding": "identity"})
                .follow_redirects(False)
                .referer(False)
                # One connection a file under way: over a shared one, all would wait for a lost packet of one.
                .http1_only()
                .connect_timeout(timedelta(seconds=CONNECT_SECONDS))
                .read_timeout(timedelta(seconds=IDLE_SECONDS))
                .danger_accept_invalid_certs(not self._config.verify)
            )
            if self._config.proxy:
                builder = builder.proxy(ProxyBuilder.all(self._config.proxy))
            elif not self._config.trust_env:
                builder = builder.no_proxy()
            self._down = builder.build()
        return self._down

    def _uploads(self) -> aiohttp.ClientSession:
        if self._up is None:
            self._check_open()
            self._up = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._config.verify),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=IDLE_SECONDS),
                trust_env=self._config.trust_env,
                cookie_jar=aiohttp.DummyCookieJar(),
                requote_redirect_url=False,
            )
        return self._up

    def _check_open(self) -> None:
        if not self._open:
            raise RuntimeError("SignedTransfer is used outside its context")


def check_status(what: str, status: int, retry_after: str | None = None) -> None:
    """Let a success pass; raise what any other answer of a storage server stands for."""
    if status in (200, 201, 204, 206):
        return
    if status in (401, 403, 404, 410):
        raise UrlExpiredError(f"{what}: the signed URL is no longer good (HTTP {status}).")
    if status in (408, 425, 429) or status >= 500:
        raise TransferError(
            f"{what}: the storage server failed for now (HTTP {status}).",
            retry_after=parse_retry_after(retry_after),
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
    except (PyreqwestError, aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as error:
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


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and value.isascii() and value.isdigit() else None


def _strong(etag: str | None) -> str | None:
    return etag if etag and not etag.startswith("W/") else None
