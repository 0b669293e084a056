"""How many files to have under way at once, found while they flow: no setting, and nothing known beforehand.

More are tried as long as that brings more through in the same time, so that a source far away gets many and a
busy machine few. A server that asks for less gets half at once, and more again only step by step. It only
decides: it never waits and never starts anything.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import ceil

START = 64
MOST = 256
# A step up is kept when it brings so many times as much; less is noise.
GAIN = 1.1
# A rate is measured over at least so long, and over one round of what is under way while climbing (a source that
# answers after a second would take longer to find than to read), over two afterwards.
WINDOW_SECONDS = 0.1
HOLD_ROUNDS = 2
# After so many measurements at one level a step up is tried again: the network may have changed.
HOLD_WINDOWS = 20
AGAIN = 1.5
# What was asked for less within a second belongs to the same burst.
CUT_SECONDS = 1.0
# Counting only files would take one large file for standstill.
UNIT_BYTES = 64 * 1024


def usual_growth(climbing: bool) -> float:
    """How many times as many to try next, while climbing and when trying again."""
    return 2.0 if climbing else AGAIN


class AdaptiveLimit:
    """A limit on work at once that climbs while throughput rises.

    :param start: where it begins; default 64.
    :param most: upper bound; default 256.
    :param gain: a step up is kept when it brings so many times as much; default 1.1.
    :param window: seconds over which a rate is measured at least; default 0.1.
    :param settle: seconds after a change that count for nothing; default 0.
    :param growth: how many times as many to try next, at least 1; is told whether it climbs or tries again after a
        while; default: twice, and 1.5 times.
    :param clock: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        start: int = START,
        most: int = MOST,
        gain: float = GAIN,
        window: float = WINDOW_SECONDS,
        settle: float = 0.0,
        growth: Callable[[bool], float] = usual_growth,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._most = most
        self._gain = gain
        self._window = window
        self._settle = settle
        self._growth = growth
        self._limit = min(start, most)
        self._kept = self._limit
        """The level to go back to when a step up brings nothing."""
        self._rate = 0.0
        self._hold = 0
        """Measurements until the next step up is tried; 0 while climbing."""
        self._ceiling: int | None = None
        """The level at which the server asked for less, until it is reached again."""
        self._cut_at = float("-inf")
        self._open_window(settle)

    @property
    def limit(self) -> int:
        """How many may be under way now; at least 1."""
        return self._limit

    @property
    def climbing(self) -> bool:
        """Whether it is being found out what more would bring."""
        return not self._hold

    def begin(self) -> None:
        """What was before, such as the making of connections, says nothing about what comes through."""
        self._open_window(self._settle)

    def done(self, size: int) -> None:
        """One file is through, or one piece of a large one.

        :param size: its bytes.
        """
        now = self._clock()
        if now < self._since:
            return
        self._count += 1
        self._units += 1.0 + size / UNIT_BYTES
        if self._count < self._limit * (HOLD_ROUNDS if self._hold else 1):
            return
        elapsed = now - self._since
        if elapsed >= self._window:
            before = self._limit
            self._measured(self._units / elapsed)
            self._open_window(self._settle if self._limit != before else 0.0)

    def overloaded(self) -> None:
        """The server asked for less (429, 503)."""
        now = self._clock()
        if now - self._cut_at < CUT_SECONDS:
            return
        self._cut_at = now
        self._ceiling = self._limit
        self._limit = max(1, self._limit // 2)
        self._open_window(self._settle)

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
                self._step(climbing=False)
        elif rate > self._gain * self._rate:
            self._rate = rate
            self._kept = self._limit
            self._step(climbing=True)
        else:
            self._limit = self._kept
            self._keep(self._rate)

    def _step(self, *, climbing: bool) -> None:
        self._limit = min(self._most, ceil(self._limit * self._growth(climbing)))
        if self._limit == self._kept:
            self._keep(self._rate)

    def _keep(self, rate: float) -> None:
        self._kept, self._rate, self._hold = self._limit, rate, HOLD_WINDOWS

    def _open_window(self, after: float) -> None:
        self._since, self._count, self._units = self._clock() + after, 0, 0.0


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
