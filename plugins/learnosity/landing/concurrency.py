"""Limits how much happens at the same time: files, large files, and bytes in memory.

`AdaptiveLimit` measures how many files to land at the same time. `LargeFileSlots` limits how many of them may be large.
`Budget` limits the memory: work that does not fit waits, and starts in the order in which it came.
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import ceil

# Memory in bytes that one landing task may use for its files, small and large ones together. A large file usually needs
# 16.5 MiB: three parts of 5 MiB, and 1.5 MiB for its download. So there is room for `MAX_LARGE_FILES` large files.
MEMORY_BYTES = 140 * 1024 * 1024

START = 64  # how many files are landed at the same time at the beginning
MAX_FILES_AT_ONCE = 512  # maximum number of files that are landed at the same time, however fast that is
# A process may have only a certain number of open files and connections (`ulimit -n`). Landing leaves 256 of them, or
# half of them if this is fewer, for everything else in the process. Each file that is landed may need two connections:
# one to its source, and one to the store. So if 600 are allowed, at most 172 files land at once.
OPEN_FILES_FOR_THE_REST = 256
# `AdaptiveLimit.limit` is how many files are landed at the same time. A higher limit is kept only if the rate of
# landing becomes more than 1.1 times as high. A smaller growth may be random.
GAIN = 1.1
# Shortest time over which the rate is measured. In a shorter time, the rate varies at random.
WINDOW_SECONDS = 0.1
# Once the best limit is found, each measurement of the rate takes `HOLD_ROUNDS * limit` landed files, because a longer
# measurement varies less. While the limit still grows, it takes only `limit` files: with longer measurements, all files
# of a small dataset could land before the best limit is found.
HOLD_ROUNDS = 2
# The best limit is kept for this many measurements. Then a higher limit is tried, because the network may have become
# faster.
HOLD_WINDOWS = 20
# At the beginning, each step multiplies the limit by this. With smaller steps, a few thousand files from a distant
# source would land slowly, because all of them would land before the best limit is found.
GROWTH_WHILE_CLIMBING = 4.0
# After `HOLD_WINDOWS` measurements, the limit is multiplied by this. The step is small, because the limit was the best
# one before: usually, landing does not become faster, and the limit goes back. If it does become faster, the next steps
# multiply the limit by `GROWTH_WHILE_CLIMBING` again.
GROWTH_WHEN_TRYING_AGAIN = 1.5
# Replies of an overloaded server (429, 503) halve the limit at most once in this time. Many files get such a reply at
# the same time. If each reply halved the limit, a short overload would reduce the limit to 1.
CUT_SECONDS = 1.0
# The rate is a number of units per second. A file counts as one unit, plus its bytes divided by `UNIT_BYTES`: a file of
# 128 KiB is three units. If only files were counted, landing large files would look slow.
UNIT_BYTES = 64 * 1024

# As many large files are landed at the same time as this process has processors, but at least `MIN_LARGE_FILES` and at
# most `MAX_LARGE_FILES`. With a fast source, each file keeps one processor busy, so more files than processors do not
# help. On two processors, landing a set of large files eight at a time took 6 % longer than two at a time.
MAX_LARGE_FILES = 8
MIN_LARGE_FILES = 2
# If each large file receives, on average, fewer bytes per second than this, the network is slower than the processors.
# Then the processors have time for more files, so `MAX_LARGE_FILES` large files are landed at the same time.
SLOW_BYTES_PER_SECOND = 32 * 1024 * 1024
# The bytes per second are measured over at least this time. Over a shorter time, they vary at random.
SLOW_AFTER_SECONDS = 0.25


class AdaptiveLimit:
    """How many files may be landed at the same time. The limit grows as long as the rate of files grows too.

    A distant source gets a high limit, a busy machine a low limit. When a server replies that it is overloaded, the
    limit is halved at once. Then it grows again in small steps. This class only computes the limit. It never waits.

    :param start: first limit.
    :param most: highest limit. None = `MAX_FILES_AT_ONCE`, or fewer if this process may not open enough connections.
    :param clock: monotonic seconds.
    """

    def __init__(
        self, *, start: int = START, most: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._most = most or most_files_at_once()
        self._limit = min(start, self._most)
        self._kept = self._limit
        """The limit to return to if a higher limit is not faster."""
        self._rate = 0.0
        self._hold = 0
        """Measurements until a higher limit is tried; 0 while the limit climbs."""
        self._ceiling: int | None = None
        """The limit at the last overload reply; None when it is reached again."""
        self._cut_at = float("-inf")
        self._open_window()

    @property
    def limit(self) -> int:
        """How many files may be landed at the same time now; at least 1."""
        return self._limit

    def done(self, size: int) -> None:
        """Count one file that has landed.

        :param size: its bytes.
        """
        self._count += 1
        self._units += 1.0 + size / UNIT_BYTES
        if self._count < self._limit * (HOLD_ROUNDS if self._hold else 1):
            return
        elapsed = self._clock() - self._since
        if elapsed >= WINDOW_SECONDS:
            self._measured(self._units / elapsed)
            self._open_window()

    def overloaded(self) -> None:
        """Halve the limit, because a server is overloaded (429, 503)."""
        now = self._clock()
        if now - self._cut_at < CUT_SECONDS:
            return
        self._cut_at = now
        self._ceiling = self._limit
        self._limit = max(1, self._limit // 2)
        self._open_window()

    def _measured(self, rate: float) -> None:
        if self._ceiling is not None:
            self._limit += max(1, self._limit // 10)
            if self._limit >= self._ceiling:
                self._limit, self._ceiling = self._ceiling, None
                self._keep(rate)
        elif self._hold:
            self._hold -= 1
            self._rate = 0.7 * self._rate + 0.3 * rate
            if not self._hold:
                self._step_up(GROWTH_WHEN_TRYING_AGAIN)
        elif rate > GAIN * self._rate:
            self._rate = rate
            self._kept = self._limit
            self._step_up(GROWTH_WHILE_CLIMBING)
        else:
            self._limit = self._kept
            self._keep(self._rate)

    def _step_up(self, growth: float) -> None:
        self._limit = min(self._most, ceil(self._limit * growth))
        if self._limit == self._kept:
            self._keep(self._rate)

    def _keep(self, rate: float) -> None:
        self._kept, self._rate, self._hold = self._limit, rate, HOLD_WINDOWS

    def _open_window(self) -> None:
        self._since, self._count, self._units = self._clock(), 0, 0.0


def most_files_at_once() -> int:
    """How many files may be landed at the same time by the limit on open files of this process (`ulimit -n`)."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return MAX_FILES_AT_ONCE
    return max(1, min(MAX_FILES_AT_ONCE, (allowed - min(OPEN_FILES_FOR_THE_REST, allowed // 2)) // 2))


class Budget:
    """Limits the total size of the work that runs at the same time. Waiting work starts in the order in which it came.

    :param limit: largest total size, in any unit. Larger work counts as `limit`, so it runs alone.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = limit
        self._queue: deque[tuple[int, asyncio.Future[int]]] = deque()

    def fits(self, size: int) -> bool:
        """Whether there is room for `size` and no other work is waiting."""
        return not self._queue and min(size, self._limit) <= self._free

    @asynccontextmanager
    async def holding(self, size: int) -> AsyncIterator[None]:
        """Wait for room for `size`, and keep it until the context ends."""
        held = await self._take(size)
        try:
            yield
        finally:
            self._give(held)

    def grow(self, limit: int) -> None:
        """Raise the limit, and start waiting work that fits now."""
        grown, self._limit = limit - self._limit, limit
        self._give(grown)

    async def _take(self, size: int) -> int:
        size = min(size, self._limit)
        if self.fits(size):
            self._free -= size
            return size
        room: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queue.append((size, room))
        try:
            return await room
        except asyncio.CancelledError:
            if room.done() and not room.cancelled():
                self._give(room.result())
            raise

    def _give(self, size: int) -> None:
        self._free += size
        while self._queue and (self._queue[0][1].cancelled() or self._queue[0][0] <= self._free):
            size, room = self._queue.popleft()
            if not room.cancelled():
                self._free -= size
                room.set_result(size)


class LargeFileSlots:
    """How many large files may be landed at the same time: one per processor (2 to 8), or 8 if the source is slow.

    :param processors: how many processors this process may use. None = count them.
    :param clock: monotonic seconds.
    """

    def __init__(self, *, processors: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        count = processors or len(os.sched_getaffinity(0))
        self.limit = min(MAX_LARGE_FILES, max(MIN_LARGE_FILES, count))
        self._slots = Budget(self.limit)
        self._clock = clock
        self._open = 0
        self._bytes = 0
        self._since = 0.0

    @property
    def is_free(self) -> bool:
        """Whether a slot is free, so that `slot` would not wait."""
        return self._slots.fits(1)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait until one more large file may be landed, and keep its slot until the context ends."""
        async with self._slots.holding(1):
            self._open += 1
            self._measure_anew()
            try:
                yield
            finally:
                self._open -= 1
                self._measure_anew()

    def flowed(self, size: int) -> None:
        """Count `size` bytes of one of the files. If the source is slow, allow eight files from now on."""
        if self.limit == MAX_LARGE_FILES:
            return
        self._bytes += size
        elapsed = self._clock() - self._since
        if elapsed < SLOW_AFTER_SECONDS:
            return
        if self._bytes < SLOW_BYTES_PER_SECOND * elapsed * self._open:
            self.limit = MAX_LARGE_FILES
            self._slots.grow(self.limit)
        self._measure_anew()

    def _measure_anew(self) -> None:
        self._bytes, self._since = 0, self._clock()
