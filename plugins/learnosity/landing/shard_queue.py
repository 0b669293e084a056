"""The files of a shard that have not landed yet, read from its plan block by block."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.published import stored
from learnosity.landing.file_urls import FileUrls
from learnosity.landing.landed_files import LandedFiles
from learnosity.landing.listing import ResultSet
from learnosity.landing.plan import PlanBlock, read_block, sources_path
from learnosity.landing.stored_urls import Source
from learnosity.results.outcomes import ResultFile
from learnosity.storage.store import Store


class ShardQueue:
    """Gives the files of a shard one by one. Files that landed before are left out.

    :param urls: gets the URLs and contents that were stored beside the plan.
    :param done: the files that landed before and are still there.
    :param first: the first block of the plan.
    """

    def __init__(
        self,
        store: Store,
        results: ResultSet,
        urls: FileUrls,
        done: LandedFiles,
        *,
        work: str,
        shard: int,
        first: PlanBlock,
    ) -> None:
        self._store = store
        self._results = results
        self._urls = urls
        self._done = done
        self._work = work
        self._shard = shard
        self._next: PlanBlock | None = first
        self._block = 0
        self._files: deque[ResultFile] = deque()
        self._later = len(first.files) + first.more
        """How many files are in blocks that are not taken yet. Some may have landed before."""
        self._lock = asyncio.Lock()
        self.skipped = 0

    @property
    def left(self) -> int:
        """How many files there are still to land, at most."""
        return len(self._files) + self._later

    async def next(self) -> ResultFile | None:
        """The next file; None when there is no more."""
        while not self._files and self._later:
            async with self._lock:
                if not self._files and self._later:
                    await self._take_block()
        return self._files.popleft() if self._files else None

    async def _take_block(self) -> None:
        block = self._next or await read_block(self._store, self._work, self._shard, self._block)
        missing = [file for file in block.files if not self._done.is_same(file.path)]
        self.skipped += len(block.files) - len(missing)
        if missing:
            await self._hand_over(block, {file.path for file in missing})
        self._next, self._later = None, block.more
        self._block += 1
        self._files.extend(missing)

    async def _hand_over(self, block: PlanBlock, missing: set[str]) -> None:
        stored = sources_path(self._work, self._shard, self._block)
        if len(block.files) == 1 and block.files[0].kind != "url":

            async def content() -> bytes | None:
                (source,) = await self._unsealed(stored, 1) or (None,)
                return source if isinstance(source, bytes) else None

            # The content may be large. So it is not read here: `content` reads it when there is room for it in memory.
            self._urls.hand_over_later(block.files[0].path, content)
            return
        # The task `list_files` stored the sources (URLs and contents) in the order of the files. So each source belongs
        # to the file at the same position.
        pairs = zip(block.files, await self._unsealed(stored, len(block.files)), strict=False)
        self._urls.hand_over(
            {file.path: source for file, source in pairs if source is not None and file.path in missing}
        )

    async def _unsealed(self, path: str, files: int) -> Sequence[Source]:
        """What was stored for the files of a block; empty = nothing, or it cannot be read.

        It cannot be read if the consumer secret has changed since then. Then Learnosity is asked again.
        """
        sealed = await self._store.get(path)
        if sealed is None:
            return ()
        sources = await asyncio.to_thread(self._results.unseal, sealed)
        return sources if len(sources) == files else ()


async def landed_before(store: Store, layout: DatasetLayout, work: str, shard: int) -> LandedFiles:
    """The notes of earlier attempts whose objects are still there, with the same size and entity tag."""
    done = LandedFiles()
    await done.read(store, work, shard)
    if done.notes:
        async for batch in stored(store, layout):
            done.compare(batch)
    return done
