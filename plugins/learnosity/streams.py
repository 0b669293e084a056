"""How many large files flow at once.

A bucket far away gives so much a connection, so that many have to flow. A machine that is busy with what flows
already is fastest with few. Which of the two it is shows in the flow alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

from learnosity.adaptive import AdaptiveLimit
from learnosity.budget import Budget
from learnosity.parts import FILES, MIB, Parts, in_one_request, parts_for
from learnosity.transfer import BUFFERED_BYTES

START = 2
# Less could be chance: files come in pieces, and stores take them in bursts.
GAIN = 1.7
WINDOW_SECONDS = 0.25
# What flows into empty buffers at first says nothing about what comes through.
SETTLE_SECONDS = 0.2
# Half as much again would be one more of two: too little to tell.
AGAIN = 2.0
# Each trial costs where it brings nothing: one in ten seconds.
HOLD_WINDOWS = 40
# Small pieces tell sooner how much flows.
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
    """Lets as many large files flow as bring most through, within the memory.

    :param files: how many there are, or may be; at least 1.
    :param budget: bytes in memory, shared with others.
    :param takes_whole: whether a file of so many bytes goes in one request now; default: none does.
    :param clock: seconds, monotonic.
    """

    def __init__(
        self,
        files: int,
        budget: Budget,
        takes_whole: Callable[[int], bool] = lambda _: False,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._budget = budget
        self._takes_whole = takes_whole
        self._limit = AdaptiveLimit(
            start=START,
            most=FILES,
            gain=GAIN,
            window=WINDOW_SECONDS,
            settle=SETTLE_SECONDS,
            again=AGAIN,
            hold=HOLD_WINDOWS,
            clock=clock,
        )
        self._places = Budget(self._limit.limit)
        self._begun: list[Turn] = []

    @property
    def limit(self) -> int:
        """How many may flow now."""
        return self._limit.limit

    @property
    def climbing(self) -> bool:
        """Whether it is being found out what more of them would bring."""
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
        before = self.limit
        self._limit.done(size)
        if self.limit != before:
            self._share()

    def overloaded(self) -> None:
        """The server asked for less (429, 503)."""
        self._limit.overloaded()
        self._share()

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
