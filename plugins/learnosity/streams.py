"""How many large files flow at once.

A bucket far away gives so much a connection, so that many have to flow. A machine that is busy with what flows
already is fastest with few. Which of the two it is shows in the flow alone.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from learnosity.adaptive import AdaptiveLimit
from learnosity.budget import Budget
from learnosity.parts import FILES, Parts, parts_for
from learnosity.transfer import BUFFERED_BYTES

START = 2
# One that flows is not stopped again, so that more of them have to bring a good deal more.
GAIN = 1.4
WINDOW_SECONDS = 0.15
# What flows into empty buffers at first says nothing about what comes through.
SETTLE_SECONDS = 0.05
# Half as much again would be one more of two: too little to tell from the pieces that files come in.
AGAIN = 2.0


class Streams:
    """Lets as many large files flow as bring most through, within the memory.

    :param files: how many there are, or may be; at least 1.
    :param budget: bytes in memory, shared with others.
    :param clock: seconds, monotonic.
    """

    def __init__(self, files: int, budget: Budget, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._budget = budget
        self._limit = AdaptiveLimit(
            start=START,
            most=FILES,
            gain=GAIN,
            window=WINDOW_SECONDS,
            settle=SETTLE_SECONDS,
            again=AGAIN,
            clock=clock,
        )
        self._turns = Budget(self._limit.limit)

    @property
    def limit(self) -> int:
        """How many may flow now."""
        return self._limit.limit

    def is_free(self, size: int | None) -> bool:
        """Whether `turn` would not wait."""
        return self._turns.fits(1) and self._budget.fits(_memory(parts_for(size, self._files)))

    @asynccontextmanager
    async def turn(self, size: int | None) -> AsyncIterator[Parts]:
        """Wait until one more file may flow; gives the parts to write it in.

        :param size: bytes of the file, None when unknown.
        """
        parts = parts_for(size, self._files)
        async with self._turns.holding(1), self._budget.holding(_memory(parts)):
            yield parts

    def flowed(self, size: int) -> None:
        """So many bytes of one file have been taken by the store."""
        if self._turns.exceeded():
            return  # what more of them bring says nothing about so few
        self._limit.done(size)
        self._turns.resize(self._limit.limit)

    def overloaded(self) -> None:
        """The server asked for less (429, 503)."""
        self._limit.overloaded()
        self._turns.resize(self._limit.limit)


def _memory(parts: Parts) -> int:
    return parts.memory + BUFFERED_BYTES
