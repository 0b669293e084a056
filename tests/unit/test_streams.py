"""How many large files flow at once: many where each is slow, few where the machine is what is slow."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Self

import pytest

from learnosity.budget import Budget
from learnosity.parts import FILES, MIB, PIECE_BYTES
from learnosity.streams import START, Streams

FILE_BYTES = 128 * MIB
TICK = 0.01


class Flow:
    """Files that flow at a rate of their own over a line that all of them share, on a clock of its own.

    :param each: bytes a second of one file.
    :param all_together: bytes a second of the line.
    """

    def __init__(self, *, each: float, all_together: float = 1e12) -> None:
        self.now = 0.0
        self.each = each
        self.all_together = all_together
        self.streams = Streams(100, Budget(1000 * MIB), clock=lambda: self.now)
        self._under_way: list[tuple[list[float], AsyncExitStack]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for _file, turn in self._under_way:
            await turn.aclose()

    async def run(self, seconds: float) -> None:
        """Let as many flow as may, piece by piece, each followed by another when it ends."""
        end = self.now + seconds
        while self.now < end:
            self.now += TICK
            while self.streams.is_free(FILE_BYTES):
                turn = AsyncExitStack()
                await turn.enter_async_context(self.streams.turn(FILE_BYTES))
                self._under_way.append(([0.0, FILE_BYTES], turn))
            arrives = TICK * min(self.each, self.all_together / len(self._under_way))
            for arrived_and_left, turn in list(self._under_way):
                arrived_and_left[0] += arrives
                while arrived_and_left[0] >= PIECE_BYTES and arrived_and_left[1] > 0:
                    arrived_and_left[0] -= PIECE_BYTES
                    arrived_and_left[1] -= PIECE_BYTES
                    self.streams.flowed(PIECE_BYTES)
                if not arrived_and_left[1]:
                    self._under_way.remove((arrived_and_left, turn))
                    await turn.aclose()


@pytest.mark.parametrize("megabytes_a_second", [5, 10, 50, 200])
async def test_a_source_that_gives_so_much_a_connection_gets_all_there_may_be(megabytes_a_second: int) -> None:
    async with Flow(each=megabytes_a_second * 1e6) as flow:
        await flow.run(4.0)
        assert flow.streams.limit == FILES


@pytest.mark.parametrize("megabytes_a_second", [100, 500, 2000])
async def test_a_line_that_two_fill_gets_no_more(megabytes_a_second: int) -> None:
    async with Flow(each=1e12, all_together=megabytes_a_second * 1e6) as flow:
        limits = []
        for _ in range(100):
            await flow.run(0.1)
            limits.append(flow.streams.limit)
    # More are tried now and then.
    assert max(limits) == 2 * START
    assert limits.count(START) > 80


async def test_a_source_that_becomes_slow_gets_more_later() -> None:
    async with Flow(each=1e12, all_together=200e6) as flow:
        await flow.run(4.0)
        flow.each = 10e6
        await flow.run(60.0)
        assert flow.streams.limit == FILES


async def test_a_server_that_asks_for_less_gets_less() -> None:
    async with Flow(each=50e6) as flow:
        await flow.run(4.0)
        flow.streams.overloaded()
        assert flow.streams.limit == FILES // 2


async def test_there_is_a_turn_for_so_many_as_may_flow_and_as_memory_allows() -> None:
    budget = Budget(50 * MIB)
    streams = Streams(100, budget)
    assert streams.is_free(128 * MIB)
    async with streams.turn(128 * MIB), streams.turn(128 * MIB):
        assert not streams.is_free(128 * MIB), "two flow at first"
    async with budget.holding(40 * MIB):
        assert not streams.is_free(128 * MIB), "others hold the memory"
    assert streams.is_free(None)
