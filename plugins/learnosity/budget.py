"""A bound on the bytes that are in flight, whatever the size of files and however many are under way."""

from __future__ import annotations

import asyncio
from collections import deque


class ByteBudget:
    """Lets work start while what is in flight stays below a limit, in the order of asking.

    :param limit: bytes; a single larger piece counts as that much, and so goes alone.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = limit
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> int:
        """Wait for room for `size` bytes; returns what was taken, to be given back."""
        size = min(size, self._limit)
        if not self._queue and size <= self._free:
            self._free -= size
            return size
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(size)
            raise
        return size

    def give(self, size: int) -> None:
        """Give back what `take` returned."""
        self._free += size
        while self._queue and (self._queue[0][1].cancelled() or self._queue[0][0] <= self._free):
            size, turn = self._queue.popleft()
            if not turn.cancelled():
                self._free -= size
                turn.set_result(None)
