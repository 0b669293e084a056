"""Downloads and uploads over signed URLs: streamed, limited in time, and never redirected.

Whoever has a signed URL can use it. So no credential is sent with it, and no error contains its query.

Downloads go over pyreqwest, which does TLS and HTTP outside of the interpreter: thousands of small files cost half the
processor time (docs/performance.md). Uploads go over aiohttp, which waits for `100 Continue` before it sends the body.
So an expired URL gets a reply that says so, and does not look like a broken connection.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import urlsplit

import aiohttp
from pyreqwest.client import Client
from pyreqwest.exceptions import ConnectError, ConnectTimeoutError, PyreqwestError
from pyreqwest.proxy import ProxyBuilder
from yarl import URL

from learnosity.api.config import ApiConfig
from learnosity.api.dns_lookup import CheckedLookup, CheckingResolver
from learnosity.api.downloads import READ_AHEAD_BYTES, Download, Rest, connection_failed, opened
from learnosity.api.ip_ranges import leads
from learnosity.api.upload_replies import check_uploaded
from learnosity.errors import OtherSizeError, PermanentApiError, TransferError, UrlExpiredError
from learnosity.metrics_interface import NULL_METRICS, Metrics
from learnosity.network import CONNECT_SECONDS, IDLE_SECONDS, parse_retry_after, signed_url_client
from learnosity.redaction import redact
from learnosity.storage.error_codes import Verdict, judge
from learnosity.storage.errors import MAX_ANSWER_BYTES, code_of, url_is_refused

# Learnosity documents this `Content-Type` for uploads. If the URL's signature covers it, S3 refuses any other value.
UPLOAD_CONTENT_TYPE = "application/x-www-form-urlencoded"
# Some servers never answer `Expect: 100-continue`. After this many seconds, the body is sent without an answer.
CONTINUE_SECONDS = 1.0
UPLOAD_PIECE_BYTES = 256 * 1024
# Maximum number of HTTP clients for downloads. Each IP address of a host has its own client. Without a limit, a host
# whose addresses change often would fill the memory with clients.
MOST_CLIENTS = 16


class SignedTransfer:
    """GETs and PUTs on signed URLs over kept connections. Use it as an async context manager.

    :param config: whose URL policy, proxy and TLS settings count.
    :param metrics: not used here: the code that repeats failed transfers counts with it.
    """

    def __init__(self, config: ApiConfig, metrics: Metrics = NULL_METRICS) -> None:
        self.metrics = metrics
        self._policy = config.url_policy
        self._egress = config.egress
        self._proxy_of = lru_cache(maxsize=256)(self._proxy)
        self._names = CheckedLookup(self._policy)
        self._open = False
        # Clients by host and IP address, the most recently used last. The client under the key None is for URLs that
        # need no DNS look-up here: they go through a proxy, or their host is an IP address.
        self._down: dict[tuple[str, str] | None, Client] = {}
        self._up: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        down, self._down = self._down, {}
        up, self._up = self._up, {}
        for client in down.values():
            await client.close()
        for session in up.values():
            await session.close()

    @asynccontextmanager
    async def get(self, url: str, rest: Rest | None = None) -> AsyncIterator[Download]:
        """Open a download.

        :param rest: what of the file is still missing; None = all of it.
        :raises UrlExpiredError: the URL is no longer good; ask for a new one.
        :raises ChangedFileError: what comes is not the rest of the same file.
        :raises TransferError: the server or the network failed for now.
        :raises PermanentApiError: the URL may not be followed, redirects, or is refused for good.
        """
        what = _Named("GET", url)
        origin = self._policy.origin(url)
        target = None
        if self._proxy_of(origin) is None:
            target = await self._target(origin, what)
        # The signature fits only this exact URL. pyreqwest replaces some characters, such as `'` by `%27`. A signed URL
        # has none of them, because they are replaced before a URL is signed. So it is sent unchanged.
        request = self._downloads(target).get(url).streamed_read_buffer_limit(READ_AHEAD_BYTES)
        if rest is not None:
            request = request.header("Range", f"bytes={rest.start}-").header("If-Range", rest.tag)
        try:
            async with request.build_streamed() as response:
                if response.status >= 300:
                    answer = await _beginning(response.body_reader.read)
                    if response.status == 416 and rest is not None:
                        raise OtherSizeError(f"{what}: the file now ends before byte {rest.start}.")
                    raise refusal(what, response.status, answer, response.get_header("Retry-After"))
                yield opened(what, response, rest)
        except (ConnectError, ConnectTimeoutError) as error:
            if target is not None:
                self._names.failed(*target)
            raise connection_failed(what, error, self._egress.proxy_for(url)) from None
        except (PyreqwestError, TimeoutError, OSError) as error:
            raise connection_failed(what, error, self._egress.proxy_for(url)) from None

    async def put(self, url: str, file: BinaryIO, offset: int, length: int) -> None:
        """Upload `length` bytes of `file` from `offset`, with Content-Length.

        :param file: a local file. It is read at positions of its own, so parts may be uploaded side by side.
        :raises UrlExpiredError: the URL is no longer good.
        :raises TransferError: the server or the network failed for now; the same PUT may be sent again.
        :raises PermanentApiError: the URL may not be called, redirects, or is refused for good.
        """
        what = _Named("PUT", url)
        headers = {"Content-Type": UPLOAD_CONTENT_TYPE, "Content-Length": str(length), "Expect": "100-continue"}
        proxy = self._proxy_of(self._policy.origin(url))
        # aiohttp sets no time limit for a server that stops reading. `deadline` does: each piece sent extends it.
        deadline = asyncio.timeout(CONNECT_SECONDS + IDLE_SECONDS)
        body = _Body(file, offset, length, deadline)
        try:
            async with (
                deadline,
                self._uploads(direct=proxy is None).put(
                    URL(url, encoded=True),
                    headers=headers,
                    data=body.pieces(),
                    allow_redirects=False,
                    proxy=proxy,
                ) as response,
            ):
                answer = await _beginning(response.content.read)
                if response.status >= 300:
                    raise refusal(what, response.status, answer, response.headers.get("Retry-After"))
                check_uploaded(what, response.status, response.headers, answer, length)
                if body.left:
                    raise TransferError(f"{what}: the server answered before it had the whole file.")
        except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as error:
            raise connection_failed(what, error, self._egress.proxy_for(url)) from None

    def _proxy(self, origin: tuple[str, str]) -> str | None:
        """The proxy for signed URLs of a scheme and host. A proxy resolves the host name itself."""
        return self._egress.proxy_for(f"{origin[0]}://{origin[1]}/")

    async def _target(self, origin: tuple[str, str], what: object) -> tuple[str, str] | None:
        """The host of a URL, and the checked address to connect to; None = the host is an address itself."""
        host = _host_to_look_up(origin[1])
        if host is None:
            return None
        try:
            return host, await self._names.address(host)
        except OSError as error:
            raise TransferError(
                f"{what}: the connection failed, because the host name could not be looked up "
                f"({type(error).__name__}). Check this machine's DNS."
            ) from None

    def _downloads(self, target: tuple[str, str] | None) -> Client:
        """The client that connects to a host at one address."""
        client = self._down.pop(target, None)
        if client is None:
            self._check_open()
            proxy_of = lru_cache(maxsize=256)(self._egress.proxy_for)
            client = signed_url_client(
                # An error in `proxy_of` would crash pyreqwest. `get` raises it earlier: it calls `proxy_for`, too.
                proxy=ProxyBuilder.custom(lambda url: proxy_of(str(url))) if self._egress.may_proxy else None,
                verify=self._egress.verify is not False,
                certificates=self._egress.certificates(),
                read_timeout=IDLE_SECONDS,
                target=target,
            )
            if len(self._down) >= MOST_CLIENTS:
                # The removed client is not closed, because downloads may still use it.
                del self._down[next(iter(self._down))]
        self._down[target] = client
        return client

    def _uploads(self, *, direct: bool) -> aiohttp.ClientSession:
        if direct not in self._up:
            self._check_open()
            # With a proxy, only the proxy's name is looked up. Its address may be private, so it is not checked.
            resolver = CheckingResolver(self._names) if direct else None
            self._up[direct] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._egress.tls(), resolver=resolver),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=IDLE_SECONDS),
                request_class=_ContinuingRequest,
                # aiohttp's `trust_env` is not set: it would send the password that ~/.netrc has for the URL's host.
                cookie_jar=aiohttp.DummyCookieJar(),
                requote_redirect_url=False,
                # The reply must not be compressed: its first bytes are read as text, and nothing decompresses them.
                headers={"Accept-Encoding": "identity"},
                auto_decompress=False,
            )
        return self._up[direct]

    def _check_open(self) -> None:
        if not self._open:
            raise RuntimeError("SignedTransfer is used outside its context")


def refusal(what: object, status: int, answer: bytes, retry_after: str | None = None) -> Exception:
    """The error to raise for an error reply of a storage server.

    :param answer: the beginning of its body.
    """
    if 300 <= status < 400:
        return PermanentApiError(f"{what}: the signed URL redirects (HTTP {status}), which is never followed.")
    code = code_of(answer.decode(errors="replace"))
    said = f"HTTP {status}{f', {code}' if code else ''}"
    meaning = judge(status, code)
    # If the server refuses the signed URL, for example because it has expired, only a new URL from Learnosity can help.
    if url_is_refused(status, code):
        return UrlExpiredError(f"{what}: the signed URL is no longer good ({said}).")
    if meaning.transient:
        return TransferError(
            f"{what}: the storage server failed for now ({said}).",
            retry_after=parse_retry_after(retry_after),
            overload=meaning.verdict is Verdict.OVERLOADED,
        )
    why = f": {meaning.what}" if meaning.what else ""
    return PermanentApiError(f"{what}: the storage server refused{why} ({said}).")


@lru_cache(maxsize=256)
def _host_to_look_up(netloc: str) -> str | None:
    """The host in `netloc`; None = it is an IP address."""
    host = (urlsplit(f"//{netloc}").hostname or "").lower()
    return host if leads(host) is None else None


class _Named:
    """A request, for messages. The URL is redacted when a message is made: most requests need none."""

    __slots__ = ("_method", "_url")

    def __init__(self, method: str, url: str) -> None:
        self._method = method
        self._url = url

    def __str__(self) -> str:
        return f"{self._method} {redact(self._url)}"

    __repr__ = __str__


class _ContinuingRequest(aiohttp.ClientRequest):
    """Sends the body although no `100 Continue` comes: aiohttp would wait for ever."""

    async def write_bytes(self, writer: Any, conn: Any, *more: Any) -> None:
        if self._continue is not None:
            asyncio.get_running_loop().call_later(CONTINUE_SECONDS, _go_on, self._continue)
        await super().write_bytes(writer, conn, *more)


def _go_on(waiting: asyncio.Future[bool]) -> None:
    if not waiting.done():
        waiting.set_result(True)


class _Body:
    """The bytes of one upload. The deadline is moved on with each piece that is sent."""

    def __init__(self, file: BinaryIO, offset: int, length: int, deadline: asyncio.Timeout) -> None:
        self._descriptor = file.fileno()
        self._offset = offset
        self._deadline = deadline
        self.left = length
        """Bytes that are not sent yet."""

    async def pieces(self) -> AsyncIterator[bytes]:
        """All bytes, from the first one on."""
        while self.left and not self._deadline.expired():
            size = min(UPLOAD_PIECE_BYTES, self.left)
            piece = await asyncio.to_thread(os.pread, self._descriptor, size, self._offset)
            if not piece:
                raise TransferError("The local copy of the input is shorter than planned.")
            self._offset += len(piece)
            self.left -= len(piece)
            self._deadline.reschedule(asyncio.get_running_loop().time() + IDLE_SECONDS)
            yield piece


async def _beginning(read: Callable[[int], Awaitable[Any]]) -> bytes:
    """The first bytes of an answer, which may come in several pieces."""
    answer = b""
    while len(answer) < MAX_ANSWER_BYTES and (piece := await read(MAX_ANSWER_BYTES - len(answer))):
        answer += bytes(piece)
    return answer
