"""Landing one shard: many files at once from the API's results into the object store, each whole or not at all.

Each file is hashed while it flows, counted against the length that was promised, and written in one atomic
step. A signed URL that has run out is asked for again. How many files are under way follows from what the way
yields (`adaptive`); memory is bounded by a budget of bytes in flight, not by the size of files or of the dataset.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import repeat

from learnosity.api.signed_urls import BUFFERED_BYTES, READ_AHEAD_BYTES, Download, SignedTransfer
from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import BrokenWriteError, LearnosityError, TransferError, UrlExpiredError
from learnosity.landing.concurrency import AdaptiveLimit, Budget
from learnosity.landing.large_files import Streams, Turn
from learnosity.landing.ledger import Landed, Ledger, read_ledger
from learnosity.landing.listing import ResultFile, ResultSet
from learnosity.landing.plan import read_plan
from learnosity.landing.sources import Sources
from learnosity.storage.store import ObjectInfo, Store
from learnosity.telemetry import Progress

log = logging.getLogger(__name__)

FILE_ATTEMPTS = 6
# So many failed files mean that the source or the store is down: the rest waits for the next try.
MAX_FAILURES = 10
MAX_BACKOFF_SECONDS = 20.0
# Up to this size a file is held in memory and written in one request; above, it is streamed in parts.
WHOLE_BYTES = 8 * 1024 * 1024
BUDGET_BYTES = 140 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ShardResult:
    """What one shard's task did.

    :param files: files of the shard, all of them landed.
    :param total_bytes: their bytes.
    :param skipped: how many of them had landed in an earlier attempt.
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
    limit: AdaptiveLimit | None = None,
) -> ShardResult:
    """Land every file of a shard's plan that is not there yet.

    :param work: folder of this run's notes.
    :param limit: how many files may be under way; default: found while they flow.
    :raises TransientError: when some files did not arrive after all attempts; the next try continues.
    :raises PermanentError: when trying again cannot help.
    """
    files = await read_plan(store, work, shard)
    done = await _landed_before(store, layout, work, shard)
    missing = [file for file in files if file.path not in done]
    progress = Progress("Landed", len(files))
    skipped_bytes = sum(done[file.path].bytes for file in files if file.path in done)
    if len(missing) < len(files):
        progress.add(skipped_bytes, len(files) - len(missing))
        log.info("%s of %s files are there from an earlier attempt.", len(files) - len(missing), len(files))
    ledger = Ledger(store, work, shard)
    try:
        if missing:
            sources = Sources(results, {file.path for file in missing})
            await sources.refresh()
            limit = limit or AdaptiveLimit()
            large = [file.bytes for file in missing if file.bytes is None or file.bytes > WHOLE_BYTES]
            lander = _Lander(store, layout, transfer, sources, ledger, progress, limit, large)
            await _each(missing, lander.land, limit)
    finally:
        await ledger.flush()
    progress.finish()
    return ShardResult(shard, len(files), progress.bytes, len(files) - len(missing))


class _Lander:
    """Lands single files; holds what they share."""

    def __init__(
        self,
        store: Store,
        layout: DatasetLayout,
        transfer: SignedTransfer,
        sources: Sources,
        ledger: Ledger,
        progress: Progress,
        limit: AdaptiveLimit,
        large: Sequence[int | None],
    ) -> None:
        self._store = store
        self._layout = layout
        self._transfer = transfer
        self._sources = sources
        self._ledger = ledger
        self._progress = progress
        self._limit = limit
        self._budget = Budget(BUDGET_BYTES)
        self._streams = Streams(large, self._budget, store.takes_whole)

    async def land(self, file: ResultFile) -> None:
        """Land one file, trying again through what passes."""
        for attempt in range(1, FILE_ATTEMPTS + 1):
            try:
                landed = await (self._from_url(file) if file.kind == "url" else self._from_reply(file))
                break
            except (TransferError, UrlExpiredError, BrokenWriteError) as error:
                if not isinstance(error, UrlExpiredError) and error.overload:
                    self._limit.overloaded()
                    self._streams.overloaded()
                if attempt == FILE_ATTEMPTS:
                    raise TransferError(f"{file.path!a} did not arrive in {attempt} attempts: {error}") from None
                self._transfer.meter.count("landing_retries")
                await asyncio.sleep(_backoff(attempt, error))
        self._limit.done(landed.bytes)
        self._progress.add(landed.bytes)
        await self._ledger.add(landed)

    async def _from_reply(self, file: ResultFile) -> Landed:
        content = await self._sources.content(file)
        digest = hashlib.sha256(content).hexdigest()
        content_type = file.content_type or "application/json"
        etag = await self._store.put(self._layout.data(file.path), content, content_type)
        return Landed(file.path, len(content), digest, content_type, etag)

    async def _from_url(self, file: ResultFile) -> Landed:
        if file.bytes is None:
            return await self._of_unknown_size(file)
        if file.bytes > WHOLE_BYTES:
            return await self._streamed(file, file.bytes)
        # An answered request must not wait for room: the server would hang up.
        async with self._budget.holding(_memory(file.bytes)), self._opened(file) as (_, download):
            return await self._whole(file, download)

    async def _of_unknown_size(self, file: ResultFile) -> Landed:
        async with self._opened(file) as (url, download):
            size = download.total
            if size is not None and size <= WHOLE_BYTES:
                async with self._budget.holding(_memory(size)):
                    return await self._whole(file, download)
            if self._streams.is_free(size):
                async with self._streams.turn(size) as turn:
                    return await self._in_parts(file, url, download, turn)
        # Its turn may be long in coming: it is asked for again then.
        return await self._streamed(file, size)

    async def _streamed(self, file: ResultFile, size: int | None) -> Landed:
        async with self._streams.turn(size) as turn, self._opened(file) as (url, download):
            return await self._in_parts(file, url, download, turn)

    @asynccontextmanager
    async def _opened(self, file: ResultFile) -> AsyncIterator[tuple[str, Download]]:
        url = await self._sources.url(file.path)
        try:
            async with self._transfer.get(url) as download:
                yield url, download
        except UrlExpiredError:
            self._sources.expire(file.path, url)
            raise

    async def _in_parts(self, file: ResultFile, url: str, download: Download, turn: Turn) -> Landed:
        promised = _promised(file, download)
        if turn.parts.whole not in (None, promised):
            raise TransferError(f"{file.path!a}: {promised} bytes offered, {turn.parts.whole} a moment ago.")
        content_type = _content_type(file, download)
        stream = _Stream(self._transfer, turn, file, url, download, promised)
        etag = await self._store.put_stream(self._layout.data(file.path), stream.chunks(), content_type, turn.parts)
        return Landed(file.path, stream.received, stream.digest.hexdigest(), content_type, etag)

    async def _whole(self, file: ResultFile, download: Download) -> Landed:
        promised = _promised(file, download)
        content = await download.read()
        _check_length(file, len(content), promised)
        digest = hashlib.sha256(content).hexdigest()
        content_type = _content_type(file, download)
        etag = await self._store.put(self._layout.data(file.path), content, content_type)
        return Landed(file.path, len(content), digest, content_type, etag)


class _Stream:
    """A large file as it flows: hashed, counted, and continued where the connection dropped."""

    def __init__(
        self,
        transfer: SignedTransfer,
        turn: Turn,
        file: ResultFile,
        url: str,
        first: Download,
        promised: int | None,
    ) -> None:
        self._transfer = transfer
        self._turn = turn
        self._file = file
        self._url = url
        self._first = first
        self._promised = promised
        self.digest = hashlib.sha256()
        self.received = 0

    async def chunks(self) -> AsyncIterator[memoryview]:
        """The whole file; ends in an error unless every promised byte came."""
        try:
            async for chunk in self._take(self._first, self._turn.pieces()):
                yield chunk
        except TransferError:
            if not self._can_continue:
                raise
        attempt = 0
        while self._promised is not None and self.received < self._promised:
            attempt += 1
            if attempt >= FILE_ATTEMPTS or not self._can_continue:
                raise TransferError(f"{self._file.path!a} was cut off at byte {self.received} of {self._promised}.")
            log.info("%a: continuing at byte %d.", self._file.path, self.received)
            self._transfer.meter.count("landing_retries")
            try:
                async with self._transfer.get(self._url, start=self.received, validator=self._first.validator) as rest:
                    # In small pieces: one that is cut off before its end is lost, and this way breaks.
                    async for chunk in self._take(rest, repeat(READ_AHEAD_BYTES)):
                        attempt = 0
                        yield chunk
            except TransferError as error:
                await asyncio.sleep(_backoff(attempt, error))
        _check_length(self._file, self.received, self._promised)

    @property
    def _can_continue(self) -> bool:
        # Without a length there is no end to reach, without a tag no proof that the rest is of the same file.
        return self._promised is not None and self._first.validator is not None

    async def _take(self, download: Download, sizes: Iterator[int]) -> AsyncIterator[memoryview]:
        async for chunk in download.chunks(sizes):
            # Not in a thread: to wake one costs more than it frees the loop for (docs/performance.md).
            self.digest.update(chunk)
            self.received += len(chunk)
            yield chunk
            self._turn.flowed(len(chunk))
            await self._turn.wait()


async def _each(
    files: Sequence[ResultFile], land: Callable[[ResultFile], Awaitable[None]], limit: AdaptiveLimit
) -> None:
    """Run `land` over all files, as many at a time as `limit` says at that time.

    A permanent error ends the rest at once. Transient ones are collected, up to a point: what can land, lands,
    so that the next try has less to do.
    """
    queue = iter(files)
    failures: list[LearnosityError] = []
    running, left = 0, len(files)

    async def worker() -> None:
        nonlocal running, left
        while running <= limit.limit and len(failures) < MAX_FAILURES and (file := next(queue, None)) is not None:
            left -= 1
            try:
                await land(file)
            except LearnosityError as error:
                if not error.transient:
                    raise
                failures.append(error)
            hire()
        running -= 1

    def hire() -> None:
        nonlocal running
        for _ in range(min(limit.limit - running, left)):
            running += 1
            group.create_task(worker())

    try:
        async with asyncio.TaskGroup() as group:
            hire()
    except BaseExceptionGroup as several:
        # The task's error is the first cause, not the group that it came in.
        raise several.exceptions[0] from None
    if failures:
        raise TransferError(
            f"{len(failures)} file(s) did not arrive, among them: {failures[0]} What has landed is kept; the next try "
            "continues."
        )


async def _landed_before(store: Store, layout: DatasetLayout, work: str, shard: int) -> Mapping[str, Landed]:
    """What earlier attempts noted, as far as the objects are still there and of the same size and tag."""
    noted = await read_ledger(store, work, shard)
    if not noted:
        return {}
    there: dict[str, ObjectInfo] = {}
    prefix = f"{layout.data_prefix}/"
    async for batch in store.list(layout.data_prefix):
        for info in batch:
            there[info.path.removeprefix(prefix)] = info
    return {path: entry for path, entry in noted.items() if is_same(there.get(path), entry)}


def is_same(info: ObjectInfo | None, entry: Landed) -> bool:
    """Whether a stored object still is what was landed, as far as size and entity tag tell."""
    if info is None or info.size != entry.bytes:
        return False
    return entry.etag is None or info.etag is None or info.etag.strip('"') == entry.etag.strip('"')


def _memory(size: int) -> int:
    """What a file takes that is held whole: itself, and what of it is read ahead."""
    return size + min(size, BUFFERED_BYTES)


def _promised(file: ResultFile, download: Download) -> int | None:
    """The length that has to come, None when nobody tells."""
    promised = download.total if download.total is not None else file.bytes
    if file.bytes is not None and file.bytes != promised:
        raise TransferError(f"{file.path!a}: {promised} bytes offered, {file.bytes} listed.")
    return promised


def _content_type(file: ResultFile, download: Download) -> str:
    return download.content_type or file.content_type or "application/octet-stream"


def _check_length(file: ResultFile, received: int, promised: int | None) -> None:
    if promised is not None and received != promised:
        raise TransferError(f"{file.path!a}: {received} of {promised} bytes arrived.")


def _backoff(attempt: int, error: LearnosityError) -> float:
    wait = error.retry_after if isinstance(error, TransferError) else None
    return wait if wait is not None else random.uniform(0.5, 1.0) * min(MAX_BACKOFF_SECONDS, 0.25 * 2.0**attempt)
