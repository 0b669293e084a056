"""Reads a large file from its signed URL: hashes and counts its bytes, and continues after a broken connection."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from learnosity import network
from learnosity.api.downloads import READ_AHEAD_BYTES, Download, Rest
from learnosity.errors import ChangedFileError, OtherSizeError, TransferError, UrlExpiredError
from learnosity.landing.offered import Offered

if TYPE_CHECKING:
    from learnosity.api.signed_urls import SignedTransfer

log = logging.getLogger(__name__)

# A file up to this size is read into memory and written in one request. A larger file is copied piece by piece.
WHOLE_BYTES = 8 * 1024 * 1024
# A download fails after this many attempts. Then the caller downloads the file again from its first byte. When an
# attempt receives bytes, counting begins again with this attempt as the first one. So a download that makes progress
# does not fail.
MAX_ATTEMPTS = 6
# Longest random wait after an attempt that received no bytes. Each further attempt without bytes doubles it. If an
# attempt received bytes before it broke, the source works, so the wait is at most half of this. The `Retry-After` of a
# server is added to each wait.
FIRST_WAIT_SECONDS = 0.5
MOST_WAIT_SECONDS = 20.0  # longest random wait after any attempt; the `Retry-After` of a server is added to it
# A large file goes to the store in pieces of at most this many bytes, so that only a small part of it is in memory.
PIECE_BYTES = 1024 * 1024


class LargeFile:
    """One large file as a stream of pieces.

    :param opened: its download, which is already open.
    :param renew: returns a new signed URL for an expired URL.
    :param flowed: called with the number of bytes of each piece that the store has taken.
    """

    def __init__(
        self,
        transfer: SignedTransfer,
        opened: Offered,
        *,
        renew: Callable[[str], Awaitable[str]],
        flowed: Callable[[int], None],
    ) -> None:
        self._transfer = transfer
        self._name = ascii(opened.file.path)
        self._url = opened.url
        self._first = opened.download
        self._size = opened.size
        self._opened = opened
        self._renew = renew
        self._flowed = flowed
        self._digest = hashlib.sha256()
        self.received = 0

    @property
    def sha256(self) -> str:
        """SHA-256, in hex, of what has been received."""
        return self._digest.hexdigest()

    async def pieces(self) -> AsyncIterator[memoryview]:
        """The bytes of the whole file, piece by piece.

        :raises ChangedFileError: the file has changed since its first bytes were read.
        :raises TransferError: some of its bytes did not arrive.
        """
        try:
            async for piece in self._take(self._first, PIECE_BYTES):
                yield piece
        except ChangedFileError:
            raise
        except TransferError:
            if self._rest is None:
                raise
        attempt = 0
        while (rest := self._rest) is not None:
            attempt += 1
            if attempt >= MAX_ATTEMPTS:
                raise TransferError(f"{self._name} was cut off at byte {rest.start} of {rest.total}.")
            log.info("%s: continuing at byte %d.", self._name, rest.start)
            self._transfer.metrics.count("landing_retries")
            try:
                async with self._transfer.get(self._url, rest) as download:
                    # A connection has broken before, and this one may break too. Then the piece that has not arrived
                    # completely is lost. So the pieces here are smaller than the pieces of the first download above.
                    async for piece in self._take(download, READ_AHEAD_BYTES):
                        attempt = 0
                        yield piece
            except OtherSizeError as error:
                raise self._opened.judged(error) from None
            except ChangedFileError:
                raise
            except UrlExpiredError:
                self._url = await self._renew(self._url)
            except TransferError as error:
                wait = network.backoff_seconds(attempt, error, first=FIRST_WAIT_SECONDS, most=MOST_WAIT_SECONDS)
                await asyncio.sleep(wait)
        if self._size is not None and self.received != self._size:
            raise self._opened.other_size(f"{self.received} of {self._size} bytes arrived.")
        self._opened.finish()

    @property
    def _rest(self) -> Rest | None:
        """The bytes that are missing; None if no byte is, or if the file's size or entity tag is unknown."""
        if self._size is None or self._first.tag is None or self.received >= self._size:
            return None
        return Rest(self.received, self._size, self._first.tag, self._first.content_encoding)

    async def _take(self, download: Download, piece_bytes: int) -> AsyncIterator[memoryview]:
        async for piece in download.pieces(piece_bytes):
            self._opened.take(piece)
            if self._size is not None and self.received + len(piece) > self._size:
                raise self._opened.other_size(f"more than the {self._size} bytes that were listed.")
            # The hash is computed here and not in a thread, because switching to a thread takes more time than it
            # saves.
            self._digest.update(piece)
            self.received += len(piece)
            yield piece
            self._flowed(len(piece))
