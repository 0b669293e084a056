"""Writes a large object to S3 in one streamed PUT. This needs half the memory of a write in parts, and fewer requests.

For one request, obstore needs the whole object in memory. So botocore signs the request, and pyreqwest sends the body
piece by piece. The signature does not protect the body: a streamed PUT is only used over verified TLS. A failed PUT
cannot be sent again, because its source has already been read. After the first failure, `takes` returns False, and the
store writes in parts. obstore can repeat each part, and reports what is wrong.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Self

from pyreqwest.client import Client
from pyreqwest.exceptions import PyreqwestError

from learnosity.egress import proxy_failure, proxy_of
from learnosity.errors import BrokenWriteError, TransferError
from learnosity.network import IDLE_SECONDS
from learnosity.storage.errors import odd_reply, refusal
from learnosity.storage.multipart import MIB
from learnosity.storage.s3_signing import S3Signer
from learnosity.storage.store_client import store_client, words

if TYPE_CHECKING:
    from obstore.store import ClientConfig

log = logging.getLogger(__name__)

# A larger object is not written with one PUT. S3 would accept 5 GB, but if a PUT fails, the whole file must be
# downloaded again.
MAX_BYTES = 256 * MIB
# Memory that one PUT needs, for bytes of the file that were downloaded and are not sent to the store yet. Landing has a
# memory budget: it begins a PUT only when so much of it is free (`memory_for`).
BUFFERED_BYTES = 5 * MIB


class StreamedPut:
    """Writes objects of known size below a store's prefix.

    :param signer: signs the requests; its address must use TLS.
    :param uri: the prefix, for messages.
    :param client: the client options of `store`, whose proxy and certificate authorities count here as well.
    """

    def __init__(self, signer: S3Signer, uri: str, client: ClientConfig) -> None:
        self._signer = signer
        self._uri = uri.rstrip("/")
        self._options = client
        self._client: Client | None = None
        self._works = True

    def takes(self, size: int) -> bool:
        """Whether an object of `size` bytes should be written in one PUT."""
        return self._works and size <= MAX_BYTES

    async def put(
        self,
        path: str,
        chunks: AsyncIterator[bytes | memoryview],
        size: int,
        content_type: str | None,
        content_encoding: str | None = None,
    ) -> str | None:
        """Write one object. An error in `chunks` is raised unchanged and leaves no object.

        :param chunks: the content; this iterator is always closed at the end.
        :param size: bytes of the content.
        :returns: the entity tag.
        :raises TransferError: `chunks` gave another number of bytes than `size`.
        :raises StorageError: the bucket lies in another region.
        :raises BrokenWriteError: the store refused or failed, or accepted no bytes for a minute.
        """
        own = {"Content-Length": str(size)}
        if content_type:
            own["Content-Type"] = content_type
        if content_encoding:
            # `ObstoreStore` sets the same headers: an object must be stored in the same way, whichever code sends it.
            own |= {"Content-Encoding": content_encoding, "Cache-Control": "no-transform"}
        deadline = asyncio.timeout(IDLE_SECONDS)
        body = _Body(chunks, size, deadline)
        try:
            url, headers = await self._signer.put(path, own)
            request = self._requests().put(url).headers(headers).body_stream(body)
            # The body of the reply may have any size, and the status and the headers are enough. So the body is not
            # read.
            async with deadline, request.build_streamed() as response:
                status, tag = response.status, response.get_header("ETag")
                region = response.get_header("x-amz-bucket-region")
            if status == 200 and body.is_given:
                await body.finish()
                if not tag:
                    raise odd_reply("write", f"{self._uri}/{path}", "it has no ETag")
                return tag
        except (PyreqwestError, TimeoutError) as error:
            failure = proxy_failure(proxy_of(self._options, url), words(error))
            raise self._broken(path, failure[0].rstrip(".") if failure else type(error).__name__) from None
        finally:
            await body.end()
        if status in (301, 400) and region:
            raise refusal("write", f"{self._uri}/{path}", status, "PermanentRedirect", "")
        raise self._broken(path, f"HTTP {status}", overload=status in (429, 503))

    def _broken(self, path: str, why: str, *, overload: bool = False) -> BrokenWriteError:
        if self._works:
            self._works = False
            log.warning("Writing to %s in one request failed (%s). Parts are used from now on.", self._uri, why)
        return BrokenWriteError(f"Could not write {self._uri}/{path} in one request: {why}.", overload=overload)

    def _requests(self) -> Client:
        self._client = self._client or store_client(self._options)
        return self._client


class _Body:
    """The body of a request: gives the client one piece after the other, and checks their total size.

    :param deadline: ends a request that is stuck. Each piece moves it. It is off while the source is read.
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
        """Whether the client has received all bytes."""
        return not self._left

    async def __anext__(self) -> memoryview:
        if self._ended or self._deadline.expired():
            raise StopAsyncIteration
        # The HTTP client reads this body in its own asyncio task. The task is kept here, so that `end` can stop it.
        self._reader = asyncio.current_task()
        self._deadline.reschedule(None)
        piece = await self._next()
        if not self._ended:
            self._deadline.reschedule(asyncio.get_running_loop().time() + IDLE_SECONDS)
        if piece is None:
            raise StopAsyncIteration
        return memoryview(piece)

    async def finish(self) -> None:
        """Read the source to its end, so that its last checks run. The client itself stops at the last byte."""
        while await self._next() is not None:
            continue

    async def end(self) -> None:
        """End the body. If bytes are missing, the request fails and the store writes no object."""
        self._ended = True
        if self._reader is not None and not self._reader.done():
            # After a cancellation or an early reply, the HTTP client's task may still be reading `_chunks`. It has to
            # stop before `_chunks` can be closed.
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
