"""Landing one shard: many files at once from the API's results into the object store, each whole or not at all.

Each file is hashed while it flows, counted against the length that was promised, and written in one atomic
step. A signed URL that has run out is asked for again. Memory is bounded by a budget of bytes in flight, not
by the size of files or of the dataset.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from learnosity.errors import IncompleteDatasetError, LearnosityError, TransferError, UrlExpiredError
from learnosity.ledger import Landed, Ledger, read_ledger
from learnosity.names import DatasetLayout
from learnosity.plan import read_plan
from learnosity.progress import Progress
from learnosity.results import Listing, ResultFile, ResultSet
from learnosity.stores import ObjectInfo, Store
from learnosity.transfer import Download, SignedTransfer

log = logging.getLogger(__name__)

CONCURRENCY = 64
FILE_ATTEMPTS = 6
# So many failed files mean that the source or the store is down: the rest waits for the next try.
MAX_FAILURES = 10
MAX_BACKOFF_SECONDS = 20.0
# Up to this size a file is held in memory and written in one request; above, it is streamed in parts.
WHOLE_BYTES = 4 * 1024 * 1024
# What a streamed file may hold: the parts under way and the one being filled.
STREAM_COST = 48 * 1024 * 1024
BUDGET_BYTES = 96 * 1024 * 1024


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
    concurrency: int = CONCURRENCY,
) -> ShardResult:
    """Land every file of a shard's plan that is not there yet.

    :param work: folder of this run's notes.
    :param concurrency: files under way at once.
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
            lander = _Lander(store, layout, transfer, sources, ledger, progress)
            await _each(missing, lander.land, concurrency)
    finally:
        await ledger.flush()
    progress.finish()
    return ShardResult(shard, len(files), progress.bytes, len(files) - len(missing))


class Sources:
    """Where each file's content is to be had now; asks again when a URL has run out, once for all who need it.

    :param wanted: paths of interest; nothing is kept of the others.
    """

    def __init__(self, results: ResultSet, wanted: set[str]) -> None:
        self._results = results
        self._wanted = wanted
        self._listing = Listing()
        self._lock = asyncio.Lock()

    async def refresh(self, stale: str | None = None) -> None:
        """Ask for the listing again, unless somebody has since `stale` was current.

        :param stale: path whose URL did not work, together with the URL in `url_of` at that time.
        """
        async with self._lock:
            if stale is not None and stale in self._listing.urls:
                return
            listing = await self._results.list()
            for path in [path for path in listing.files if path not in self._wanted]:
                del listing.files[path]
                listing.urls.pop(path, None)
                listing.inline.pop(path, None)
            self._listing = listing

    def expire(self, path: str, url: str) -> None:
        """Forget every URL when `path` still has the one that did not work: its neighbours are as old."""
        if self._listing.urls.get(path) == url:
            self._listing.urls.clear()

    async def url(self, path: str) -> str:
        """A signed URL for `path`.

        :raises IncompleteDatasetError: when the dataset does not hold it any more.
        """
        if path not in self._listing.urls:
            await self.refresh(path)
        try:
            return self._listing.urls[path]
        except KeyError:
            raise _vanished(path) from None

    async def content(self, file: ResultFile) -> bytes:
        """Content of a file that comes with an API reply."""
        if file.kind == "group":
            return await self._results.group_content(file.group_path)
        try:
            return self._listing.inline[file.path]
        except KeyError:
            raise _vanished(file.path) from None


class ByteBudget:
    """Lets work start while what is in flight stays below a limit; a single larger piece goes alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._changed = asyncio.Condition()

    async def take(self, size: int) -> int:
        """Wait for room for `size` bytes; returns what was taken, to be given back."""
        size = min(size, self._limit)
        async with self._changed:
            await self._changed.wait_for(lambda: self._used + size <= self._limit)
            self._used += size
        return size

    async def give(self, size: int) -> None:
        """Give back what `take` returned."""
        async with self._changed:
            self._used -= size
            self._changed.notify_all()


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
    ) -> None:
        self._store = store
        self._layout = layout
        self._transfer = transfer
        self._sources = sources
        self._ledger = ledger
        self._progress = progress
        self._budget = ByteBudget(BUDGET_BYTES)

    async def land(self, file: ResultFile) -> None:
        """Land one file, trying again through what passes."""
        for attempt in range(1, FILE_ATTEMPTS + 1):
            try:
                landed = await (self._from_url(file) if file.kind == "url" else self._from_reply(file))
                break
            except (TransferError, UrlExpiredError) as error:
                if attempt == FILE_ATTEMPTS:
                    raise TransferError(f"{file.path!a} did not arrive in {attempt} attempts: {error}") from None
                await asyncio.sleep(_backoff(attempt, error))
        await self._ledger.add(landed)
        self._progress.add(landed.bytes)

    async def _from_reply(self, file: ResultFile) -> Landed:
        content = await self._sources.content(file)
        digest = hashlib.sha256(content).hexdigest()
        content_type = file.content_type or "application/json"
        etag = await self._store.put(self._layout.data(file.path), content, content_type)
        return Landed(file.path, len(content), digest, content_type, etag)

    async def _from_url(self, file: ResultFile) -> Landed:
        url = await self._sources.url(file.path)
        try:
            async with self._transfer.get(url) as download:
                return await self._copy(file, url, download)
        except UrlExpiredError:
            self._sources.expire(file.path, url)
            raise

    async def _copy(self, file: ResultFile, url: str, download: Download) -> Landed:
        promised = download.total if download.total is not None else file.bytes
        if file.bytes is not None and download.total is not None and file.bytes != download.total:
            raise TransferError(f"{file.path!a}: {download.total} bytes offered, {file.bytes} listed.")
        content_type = download.content_type or file.content_type or "application/octet-stream"
        target = self._layout.data(file.path)
        digest = hashlib.sha256()
        whole = promised is not None and promised <= WHOLE_BYTES
        held = await self._budget.take(promised if whole and promised is not None else STREAM_COST)
        try:
            if whole:
                content = await download.read()
                _check_length(file, len(content), promised)
                digest.update(content)
                received = len(content)
                etag = await self._store.put(target, content, content_type)
            else:
                stream = _Stream(self._transfer, file, url, download, digest, promised)
                etag = await self._store.put_stream(target, stream.chunks(), content_type)
                received = stream.received
        finally:
            await self._budget.give(held)
        return Landed(file.path, received, digest.hexdigest(), content_type, etag)


class _Stream:
    """A large file as it flows: hashed, counted, and continued where the connection dropped."""

    def __init__(
        self,
        transfer: SignedTransfer,
        file: ResultFile,
        url: str,
        first: Download,
        digest: hashlib._Hash,
        promised: int | None,
    ) -> None:
        self._transfer = transfer
        self._file = file
        self._url = url
        self._first = first
        self._digest = digest
        self._promised = promised
        self.received = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """The whole file; ends in an error unless every promised byte came."""
        try:
            async for chunk in self._take(self._first):
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
            try:
                async with self._transfer.get(self._url, start=self.received, validator=self._first.validator) as rest:
                    async for chunk in self._take(rest):
                        attempt = 0
                        yield chunk
            except TransferError as error:
                await asyncio.sleep(_backoff(attempt, error))
        _check_length(self._file, self.received, self._promised)

    @property
    def _can_continue(self) -> bool:
        # Without a length there is no end to reach, without a tag no proof that the rest is of the same file.
        return self._promised is not None and self._first.validator is not None

    async def _take(self, download: Download) -> AsyncIterator[bytes]:
        async for chunk in download.chunks():
            # A megabyte takes the hash about a millisecond, and it lets go of the interpreter meanwhile.
            self._digest.update(chunk)
            self.received += len(chunk)
            yield chunk


async def _each(files: Sequence[ResultFile], land: Callable[[ResultFile], Awaitable[None]], concurrency: int) -> None:
    """Run `land` over all files, `concurrency` at a time.

    A permanent error ends the rest at once. Transient ones are collected, up to a point: what can land, lands,
    so that the next try has less to do.
    """
    queue = iter(files)
    failures: list[LearnosityError] = []

    async def worker() -> None:
        for file in queue:
            if len(failures) >= MAX_FAILURES:
                return
            try:
                await land(file)
            except LearnosityError as error:
                if not error.transient:
                    raise
                failures.append(error)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(files))):
                group.create_task(worker())
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


def _check_length(file: ResultFile, received: int, promised: int | None) -> None:
    if promised is not None and received != promised:
        raise TransferError(f"{file.path!a}: {received} of {promised} bytes arrived.")


def _backoff(attempt: int, error: LearnosityError) -> float:
    wait = error.retry_after if isinstance(error, TransferError) else None
    return wait if wait is not None else random.uniform(0.5, 1.0) * min(MAX_BACKOFF_SECONDS, 0.25 * 2.0**attempt)


def _vanished(path: str) -> IncompleteDatasetError:
    return IncompleteDatasetError(
        f"{path!a} was listed, but the dataset does not hold it any more: it changed while it was landed. Clear "
        "list_files with its downstream tasks to land it as it is now."
    )
