"""A large object in one PUT that is streamed: half the memory of parts, fewer requests, and no bytes to hash twice.

obstore holds whole whatever it does not write in parts. So it only signs the URL here, with the credentials that it
has anyway, and pyreqwest sends the body piece by piece. For S3 over verified TLS: a signed URL does not cover the
payload. What breaks cannot be repeated here, because its source has flowed on. From the first failure on the store
is told to write in parts, of which obstore repeats each by itself, and which say what is wrong.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from typing import Self

import obstore
from obstore.store import S3Store
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.proxy import ProxyBuilder

from learnosity.errors import BrokenWriteError, TransferError
from learnosity.storage.parts import MIB

log = logging.getLogger(__name__)

# S3 takes 5 GB. A larger file than this is not to be fetched again from its beginning because one request broke.
MOST_BYTES = 256 * MIB
CONNECT_SECONDS = 15.0
# A store that takes nothing for so long, or does not answer, is dead.
IDLE_SECONDS = 60.0
# It is used at once; S3 checks it when the request begins.
VALID = timedelta(minutes=15)


class SinglePut:
    """Writes objects of known size below a store's prefix.

    :param store: signs the requests; its endpoint has to speak TLS.
    :param uri: the prefix for people to read.
    :param proxy: URL of an outgoing proxy; default: that of the environment.
    :param certificates: PEM of authorities that are trusted besides the usual ones.
    """

    def __init__(
        self, store: S3Store, uri: str, *, proxy: str | None = None, certificates: str | bytes | None = None
    ) -> None:
        self._store = store
        self._uri = uri.rstrip("/")
        self._proxy = proxy
        self._certificates = certificates
        self._client: Client | None = None
        self._works = True

    def takes(self, size: int) -> bool:
        """Whether an object of so many bytes should be written here."""
        return self._works and size <= MOST_BYTES

    async def put(
        self, path: str, chunks: AsyncIterator[bytes | memoryview], size: int, content_type: str | None
    ) -> str | None:
        """Write one object; returns its entity tag. An error in `chunks` leaves no object, and comes out as it is.

        :param chunks: is closed at the end, whatever happens.
        :param size: bytes that `chunks` will give.
        :raises TransferError: it gave another number of bytes.
        :raises BrokenWriteError: the store refused, failed, or took nothing for a minute.
        """
        url = await obstore.sign_async(self._store, "PUT", path, VALID)
        deadline = asyncio.timeout(IDLE_SECONDS)
        body = _Body(chunks, size, deadline)
        request = self._requests().put(url).header("Content-Length", str(size)).body_stream(body)
        if content_type:
            request = request.header("Content-Type", content_type)
        try:
            async with deadline:
                response = await request.build().send()
            if response.status == 200 and body.is_given:
                await body.finish()
                return response.get_header("ETag")
        except (PyreqwestError, TimeoutError) as error:
            raise self._broken(path, type(error).__name__) from None
        finally:
            await body.end()
        raise self._broken(path, f"HTTP {response.status}", overload=response.status in (429, 503))

    def _broken(self, path: str, why: str, *, overload: bool = False) -> BrokenWriteError:
        if self._works:
            self._works = False
            log.warning("Writing to %s in one request failed (%s): large files go in parts now.", self._uri, why)
        return BrokenWriteError(f"Could not write {self._uri}/{path} in one request: {why}.", overload=overload)

    def _requests(self) -> Client:
        if self._client is None:
            builder = (
                ClientBuilder()
                .follow_redirects(False)
                .referer(False)
                .http1_only()
                .connect_timeout(timedelta(seconds=CONNECT_SECONDS))
            )
            if pem := self._certificates:
                builder = builder.add_root_certificate_pem(pem.encode() if isinstance(pem, str) else pem)
            if self._proxy:
                builder = builder.proxy(ProxyBuilder.all(self._proxy))
            self._client = builder.build()
        return self._client


class _Body:
    """A request's body: gives one piece after the other to whoever sends it, and sees that all that was promised comes.

    :param deadline: when to give up; moved on with each piece, and away while the source is what is waited for.
    """

    def __init__(self, chunks: AsyncIterator[bytes | memoryview], size: int, deadline: asyncio.Timeout) -> None:
        self._chunks = chunks
        self._size = size
        self._left = size
        self._deadline = deadline
        self._reader: asyncio.Task[object] | None = None
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    @property
    def is_given(self) -> bool:
        """Whether all that was promised has been given."""
        return not self._left

    async def __anext__(self) -> memoryview:
        if self._ended or self._deadline.expired():
            raise StopAsyncIteration
        # The client asks in a task of its own.
        self._reader = asyncio.current_task()
        self._deadline.reschedule(None)
        piece = await self._next()
        if not self._ended:
            self._deadline.reschedule(asyncio.get_running_loop().time() + IDLE_SECONDS)
        if piece is None:
            raise StopAsyncIteration
        return memoryview(piece)

    async def finish(self) -> None:
        """Go to the end of the source: nobody asks for it once the promised length has been sent."""
        while await self._next() is not None:
            continue

    async def end(self) -> None:
        """Give no more. A request whose length is not reached by that breaks off, and no object comes of it."""
        self._ended = True
        if self._reader is not None and not self._reader.done():
            # A client that was cancelled, or answered early, goes on asking.
            self._reader.cancel()
            await asyncio.wait((self._reader,))
        if isinstance(self._chunks, AsyncGenerator):
            await self._chunks.aclose()

    async def _next(self) -> bytes | memoryview | None:
        piece = await anext(self._chunks, None)
        self._left -= 0 if piece is None else len(piece)
        if self._left < 0 or (piece is None and self._left):
            raise TransferError(f"{self._size - self._left} instead of {self._size} bytes came.")
        return piece
