"""Lands one shard: copies many files at the same time from Learnosity to the object store.

Each file is hashed while it is copied, its size is checked, and it is written in one atomic step. When a signed URL has
expired, a new URL is requested. `concurrency` limits how many files are copied at the same time, and how many bytes are
in memory, for files of any size.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from learnosity import network
from learnosity.api.downloads import BUFFERED_BYTES
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.removal_marks import claim_landing
from learnosity.errors import (
    BrokenWriteError,
    IncompleteDatasetError,
    LearnosityError,
    OtherSizeError,
    TransferError,
    UrlExpiredError,
    first_error,
)
from learnosity.landing.concurrency import MEMORY_BYTES, AdaptiveLimit, Budget, LargeFileSlots
from learnosity.landing.file_urls import FileUrls
from learnosity.landing.large_files import WHOLE_BYTES, LargeFile
from learnosity.landing.ledger import Landed, Ledger
from learnosity.landing.listing import ResultSet
from learnosity.landing.offered import Offered, offered, other_size
from learnosity.landing.plan import BLOCK_BYTES, read_block
from learnosity.landing.shard_queue import ShardQueue, landed_before
from learnosity.progress_log import Progress
from learnosity.results.outcomes import ResultFile
from learnosity.storage.store import Store

if TYPE_CHECKING:
    from learnosity.api.signed_urls import SignedTransfer

log = logging.getLogger(__name__)

FILE_ATTEMPTS = 6  # maximum number of attempts to land a file in one try of the task
FIRST_WAIT_SECONDS = 0.5  # longest random wait after the first attempt; the `Retry-After` of a server is added to it
MOST_WAIT_SECONDS = 20.0  # longest random wait after any attempt; the `Retry-After` of a server is added to it
# If the listing gives a smaller size than this for a file, the memory budget counts this many bytes for the file: a
# server may send the file compressed, and compression can make a very small file a little larger.
SMALL_BYTES = 64 * 1024
# After this many failed files, the task begins no more files and fails: the source or the store probably does not work.
MAX_FAILED_FILES = 10


@dataclass(frozen=True, slots=True)
class ShardResult:
    """The counts that the landing of a shard returns.

    :param files: number of files in the shard. All of them have landed.
    :param total_bytes: bytes of these files.
    :param skipped: how many of them an earlier attempt had landed.
    """

    shard: int
    files: int
    total_bytes: int
    skipped: int


async def land_shard(
    store: Store,
    layout: DatasetLayout,
    results: ResultSet,
    transfer: SignedTransfer,
    *,
    work: str,
    shard: int,
    planned_on: str | None = None,
    is_retry: bool = False,
    limit: AdaptiveLimit | None = None,
    watch: Callable[[Progress], object] | None = None,
) -> ShardResult:
    """Land every file of a shard's plan that has not landed yet.

    :param work: folder of the notes of this landing (`DatasetLayout.work_prefix`).
    :param planned_on: host name of the worker that made the plan; None = unknown.
    :param is_retry: whether a try of the task has failed before. Only then, another size than listed is final.
    :param limit: how many files may be copied at the same time. None = the limit is measured.
    :param watch: gets the count of this shard before the first file lands; default: nobody watches.
    :raises TransientError: some files did not arrive after all attempts. The next try continues.
    :raises PermanentError: a retry cannot help.
    """
    await claim_landing(store, layout, work, f"land-{shard:04d}")
    first = await read_block(store, work, shard, planned_on=planned_on)
    done = await landed_before(store, layout, work, shard)
    progress = Progress("Landed", len(first.files) + first.more)
    if watch is not None:
        watch(progress)
    before, bytes_before = done.same_in_all()
    if before:
        progress.begin_with(bytes_before, before)
        log.info("%s of %s files were landed by an earlier attempt.", before, len(first.files) + first.more)
    ledger = Ledger(store, work, shard)
    urls = FileUrls(results, first.planned)
    queue = ShardQueue(store, results, urls, done, work=work, shard=shard, first=first)
    try:
        limit = limit or AdaptiveLimit()
        lander = _Lander(store, layout, transfer, urls, ledger, progress, limit, is_retry=is_retry)
        await _land_all(queue, lander.land, limit)
    finally:
        await ledger.flush()
    progress.finish()
    return ShardResult(shard, progress.files, progress.bytes, queue.skipped)


class _Lander:
    """Lands single files. It has the objects that all files of a shard use."""

    def __init__(
        self,
        store: Store,
        layout: DatasetLayout,
        transfer: SignedTransfer,
        urls: FileUrls,
        ledger: Ledger,
        progress: Progress,
        limit: AdaptiveLimit,
        *,
        is_retry: bool,
    ) -> None:
        self._store = store
        self._layout = layout
        self._transfer = transfer
        self._urls = urls
        self._ledger = ledger
        self._progress = progress
        self._limit = limit
        self._is_retry = is_retry
        self._memory = Budget(MEMORY_BYTES)
        self._slots = LargeFileSlots()

    async def land(self, file: ResultFile) -> None:
        """Land one file. After a temporary error, the file is landed again from its first byte."""
        said = set[str]()
        for attempt in range(1, FILE_ATTEMPTS + 1):
            try:
                landed = await (self._from_url(file) if file.kind == "url" else self._from_reply(file))
                break
            except (TransferError, UrlExpiredError, BrokenWriteError) as error:
                if not isinstance(error, UrlExpiredError) and error.overload:
                    self._limit.overloaded()
                said.add(str(error) if isinstance(error, OtherSizeError) else "")
                if attempt == FILE_ATTEMPTS and len(said) == 1 and "" not in said:
                    raise other_size(error, attempt, is_final=self._is_retry) from None
                if attempt == FILE_ATTEMPTS:
                    raise TransferError(f"{file.path!a} did not arrive in {attempt} attempts: {error}") from None
                self._transfer.metrics.count("landing_retries")
                wait = network.backoff_seconds(attempt, error, first=FIRST_WAIT_SECONDS, most=MOST_WAIT_SECONDS)
                await asyncio.sleep(wait)
        self._urls.forget(file.path)
        self._limit.done(landed.bytes)
        self._progress.add(landed.bytes)
        await self._ledger.add(landed)

    async def _from_reply(self, file: ResultFile) -> Landed:
        size = file.bytes or 0
        # `list_files` has stored a content larger than `BLOCK_BYTES` in an encrypted file of its own. This file is read
        # and decrypted here. For this, two more copies of the content are in memory, so it counts three times.
        async with self._memory.holding(3 * size if size > BLOCK_BYTES else size):
            return await self._content(file)

    async def _content(self, file: ResultFile) -> Landed:
        content = await self._urls.content(file)
        if file.bytes is not None and len(content) != file.bytes:
            raise IncompleteDatasetError(
                f"{file.path!a} has {len(content):,} bytes instead of {file.bytes:,}: it changed while it was landed. "
                "Clear list_files with its downstream tasks to land it as it is now."
            )
        return await self._put(file, content, file.content_type or "application/json")

    async def _from_url(self, file: ResultFile) -> Landed:
        size = file.bytes
        if size is None:
            async with self._opened(file) as opened:
                if opened.size is not None and opened.size <= WHOLE_BYTES:
                    async with self._memory.holding(_memory_of_whole(opened.size)):
                        if landed := await self._whole(file, opened, opened.size):
                            return landed
                size = opened.size
                if self._slots.is_free and self._memory.fits(self._memory_of_large(size)):
                    async with self._room_for_large(size):
                        return await self._large(file, opened)
            # The file must wait for a slot or for memory. Its download is closed now, because the buffers of an open
            # download would fill up during the wait. The last lines of this method open it again after the wait.
        elif size <= WHOLE_BYTES:
            room = max(size, SMALL_BYTES)
            async with self._memory.holding(_memory_of_whole(room)), self._opened(file) as opened:
                size = opened.size
                if (size is None or size <= room) and (landed := await self._whole(file, opened, room)):
                    return landed
            # Only a compressed body comes here: it has more than `room` bytes, although the listed size is smaller. It
            # may be large, so it is downloaded again below, as a large file.
        async with self._room_for_large(size), self._opened(file) as opened:
            return await self._large(file, opened)

    @asynccontextmanager
    async def _room_for_large(self, size: int | None) -> AsyncIterator[None]:
        async with self._slots.slot(), self._memory.holding(self._memory_of_large(size)):
            yield

    def _memory_of_large(self, size: int | None) -> int:
        return self._store.memory_for(size) + BUFFERED_BYTES

    @asynccontextmanager
    async def _opened(self, file: ResultFile) -> AsyncIterator[Offered]:
        url = await self._urls.url(file.path)
        try:
            async with self._transfer.get(url) as download:
                found = offered(file, url, download)
                await found.check_size()
                yield found
        except UrlExpiredError:
            self._urls.expire(file.path, url)
            raise

    async def _large(self, file: ResultFile, opened: Offered) -> Landed:
        async def renew(url: str) -> str:
            self._urls.expire(file.path, url)
            return await self._urls.url(file.path)

        stream = LargeFile(self._transfer, opened, renew=renew, flowed=self._slots.flowed)
        path = self._layout.data(file.path)
        etag = await self._store.put_stream(path, stream.pieces(), opened.size, opened.content_type, opened.encoding)
        return Landed(file.path, stream.received, stream.sha256, opened.content_type, opened.encoding, etag)

    async def _whole(self, file: ResultFile, opened: Offered, room: int) -> Landed | None:
        if (content := await opened.whole(room)) is None:
            return None
        return await self._put(file, content, opened.content_type, opened.encoding)

    async def _put(
        self, file: ResultFile, content: bytes | memoryview, content_type: str, encoding: str | None = None
    ) -> Landed:
        etag = await self._store.put(self._layout.data(file.path), content, content_type, encoding)
        return Landed(file.path, len(content), hashlib.sha256(content).hexdigest(), content_type, encoding, etag)


async def _land_all(queue: ShardQueue, land: Callable[[ResultFile], Awaitable[None]], limit: AdaptiveLimit) -> None:
    """Call `land` for all files, several at the same time: as many as `limit` allows at that moment.

    A permanent error stops all files at once. Transient errors are collected, up to `MAX_FAILED_FILES`: the other files
    still land, so that the next try has less to do.
    """
    failures: list[LearnosityError] = []
    running = 0

    async def worker() -> None:
        nonlocal running
        while running <= limit.limit and len(failures) < MAX_FAILED_FILES and (file := await queue.next()) is not None:
            try:
                await land(file)
            except LearnosityError as error:
                if not error.transient:
                    raise
                failures.append(error)
            start_workers()
        running -= 1

    def start_workers() -> None:
        nonlocal running
        for _ in range(min(limit.limit - running, queue.left)):
            one_more = worker()
            try:
                group.create_task(one_more)
            except RuntimeError:
                # An error or a cancellation has ended the task group. The group itself raises the cause, so this
                # RuntimeError is dropped.
                one_more.close()
                return
            running += 1

    try:
        async with asyncio.TaskGroup() as group:
            start_workers()
    except BaseExceptionGroup as several:
        raise first_error(several) from None
    if failures:
        raise TransferError(
            f"{len(failures)} file(s) did not arrive, among them: {failures[0]} What has landed is kept; the next try "
            "continues."
        )


def _memory_of_whole(size: int) -> int:
    """Bytes in memory for a file that is read as a whole: the file, and the buffers of its download."""
    return size + min(size, BUFFERED_BYTES)
