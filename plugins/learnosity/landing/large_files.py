"""How many large files flow at once.

A bucket far away gives so much a connection, so that many have to flow. A machine that is busy with what flows already
is fastest with few. Which of the two it is, its processors tell, and how slowly the files come. Whether a step brought
more does not, because files come in bursts and first fill buffers (docs/performance.md).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress

from learnosity.api.signed_urls import BUFFERED_BYTES
from learnosity.landing.concurrency import AdaptiveLimit, Budget
from learnosity.landing.processors import Processors
from learnosity.storage.parts import FILES, MIB, Parts, in_one_request, parts_for

# Between two parts of a file that is written in parts there is room for another; in one request there is none.
START_WHOLE = 1
START = 2
# More after so long, if the machine has anything left to give; asked again now and then.
WINDOW_SECONDS = 0.15
SETTLE_SECONDS = 0.05
# A file that brings less a second waits for its line, however busy the processors are: with other things, then.
SLOW_BYTES = 32 * MIB
# Small pieces come sooner, as long as it is being found out how many should flow.
PIECE_BYTES = 1 * MIB
# So long a file that others go before is kept waiting for its next piece: any longer, and its source might hang up.
PAUSE_SECONDS = 10.0


class Turn:
    """One file that may flow, as long as those that began before it leave room.

    :param parts: to write it in.
    """

    def __init__(self, parts: Parts, streams: Streams) -> None:
        self.parts = parts
        self._streams = streams
        self._room = asyncio.Event()

    @property
    def paused(self) -> bool:
        """Whether others go first now."""
        return not self._room.is_set()

    def pieces(self) -> Iterator[int]:
        """How many bytes to read at a time.

        A store that writes in parts takes one piece more while one part is on its way. Where that is a whole part, it
        follows at once.
        """
        read = 0
        while True:
            size = PIECE_BYTES if self._streams.climbing or read % self.parts.bytes else self.parts.bytes
            read += size
            yield size

    def flowed(self, size: int) -> None:
        """So many bytes of the file have been taken by the store."""
        self._streams.flowed(size)

    async def wait(self) -> None:
        """Wait while others go first, at most `PAUSE_SECONDS`."""
        if self._room.is_set():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSE_SECONDS):
                await self._room.wait()

    def give_room(self, room: bool) -> None:
        """Let the file flow, or not."""
        if room:
            self._room.set()
        else:
            self._room.clear()


class Streams:
    """Lets as many large files flow as the machine and the server have room for, within the memory.

    :param sizes: bytes of each file, None where unknown.
    :param budget: bytes in memory, shared with others.
    :param takes_whole: whether a file of so many bytes goes in one request now; default: none does.
    :param is_busy: whether the machine has been busy since it was asked last; default: it is looked at.
    :param clock: seconds, monotonic.
    """

    def __init__(
        self,
        sizes: Sequence[int | None],
        budget: Budget,
        takes_whole: Callable[[int], bool] = lambda _: False,
        *,
        is_busy: Callable[[], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_busy = is_busy or Processors().are_busy
        self._files = max(1, len(sizes))
        self._budget = budget
        self._takes_whole = takes_whole
        self._clock = clock
        whole = all(size is not None and takes_whole(size) for size in sizes)
        self._limit = AdaptiveLimit(
            start=START_WHOLE if whole else START,
            most=FILES,
            gain=0.0,  # more need not prove itself: see above
            window=WINDOW_SECONDS,
            settle=SETTLE_SECONDS,
            growth=lambda _: self._growth(),
            clock=clock,
        )
        self._places = Budget(self._limit.limit)
        self._begun: list[Turn] = []
        self._flows = False
        self._since = 0.0
        self._taken = 0

    @property
    def limit(self) -> int:
        """How many may flow now."""
        return self._limit.limit

    @property
    def climbing(self) -> bool:
        """Whether there will be more in a moment."""
        return self._limit.climbing

    def is_free(self, size: int | None) -> bool:
        """Whether `turn` would not wait."""
        return self._places.fits(1) and self._budget.fits(_memory(self._parts(size)))

    @asynccontextmanager
    async def turn(self, size: int | None) -> AsyncIterator[Turn]:
        """Wait until one more file may flow.

        :param size: bytes of the file, None when unknown.
        """
        async with self._places.holding(1):
            parts = self._parts(size)
            async with self._budget.holding(_memory(parts)):
                turn = Turn(parts, self)
                self._begun.append(turn)
                self._share()
                try:
                    yield turn
                finally:
                    self._begun.remove(turn)
                    self._share()

    def flowed(self, size: int) -> None:
        """So many bytes of one file have been taken by the store."""
        if not self._flows:
            # What was before, such as the making of connections, is of no interest.
            self._flows, self._since = True, self._clock()
            self._is_busy()
            self._limit.begin()
        self._taken += size
        before = self.limit
        self._limit.done(size)
        if self.limit != before:
            self._share()

    def overloaded(self) -> None:
        """The server asked for less (429, 503)."""
        self._limit.overloaded()
        self._share()

    def _growth(self) -> float:
        """How many times as many may flow, as far as can be told since this was asked last."""
        now = self._clock()
        slow = self._taken < SLOW_BYTES * (now - self._since) * len(self._begun)
        self._taken, self._since = 0, now
        busy = self._is_busy()
        if slow:
            return FILES
        return 1.0 if busy else 2.0

    def _parts(self, size: int | None) -> Parts:
        if size is not None and self._takes_whole(size):
            return in_one_request(size)
        return parts_for(size, self._files, len(self._begun))

    def _share(self) -> None:
        """Let flow as many as may now, in the order in which they began."""
        for place, turn in enumerate(self._begun):
            turn.give_room(place < self.limit)
        self._places.resize(self.limit)


def _memory(parts: Parts) -> int:
    return parts.memory + BUFFERED_BYTES
