"""A bound on what is in flight, bytes or files, that makes the rest wait in the order of asking."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Budget:
    """Lets work start while what is in flight stays below a limit, in the order of asking.

    :param limit: in whatever is counted; a single larger piece counts as that much, and so goes alone.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = limit
        self._queue: deque[tuple[int, asyncio.Future[int]]] = deque()

    def fits(self, size: int) -> bool:
        """Whether there is room for so much, and nobody before."""
        return not self._queue and min(size, self._limit) <= self._free

    @asynccontextmanager
    async def holding(self, size: int) -> AsyncIterator[None]:
        """Wait for room for `size`, and hold it for as long as the context lasts."""
        held = await self._take(size)
        try:
            yield
        finally:
            self._give(held)

    async def _take(self, size: int) -> int:
        size = min(size, self._limit)
        if self.fits(size):
            self._free -= size
            return size
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queue.append((size, turn))
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give(turn.result())
            raise

    def _give(self, size: int) -> None:
        self._free += size
        while self._queue and (self._queue[0][1].cancelled() or self._queue[0][0] <= self._free):
            size, turn = self._queue.popleft()
            if not turn.cancelled():
                self._free -= size
                turn.set_result(size)

    def resize(self, limit: int) -> None:
        """Change the limit. What is in flight stays; whoever waits is let in as far as there is room now."""
        grown, self._limit = limit - self._limit, limit
        self._queue = deque((min(size, limit), turn) for size, turn in self._queue)
        self._give(grown)
