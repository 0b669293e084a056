"""How many large files flow at once: many where each is slow, few where the machine is what is slow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

import pytest

from learnosity import streams as streams_module
from learnosity.budget import Budget
from learnosity.parts import FILES, MIB
from learnosity.streams import PIECE_BYTES, START, Streams, Turn

FILE_BYTES = 128 * MIB
TICK = 0.01


@dataclass
class File:
    """One that flows.

    :param end: gives its turn back.
    :param pieces: sizes of those that it is read in.
    :param piece: bytes of the one that is read now.
    """

    turn: Turn
    end: AsyncExitStack
    pieces: Iterator[int]
    piece: int
    arrived: float = 0.0
    left: int = FILE_BYTES


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
        self.under_way: list[File] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for file in self.under_way:
            await file.end.aclose()

    async def run(self, seconds: float) -> None:
        """Let as many flow as may, piece by piece, each followed by another when it ends."""
        until = self.now + seconds
        while self.now < until:
            self.now += TICK
            while self.streams.is_free(FILE_BYTES):
                end = AsyncExitStack()
                turn = await end.enter_async_context(self.streams.turn(FILE_BYTES))
                pieces = turn.pieces()
                self.under_way.append(File(turn, end, pieces, next(pieces)))
            flowing = [file for file in self.under_way if not file.turn.paused]
            arrives = TICK * min(self.each, self.all_together / len(flowing))
            for file in flowing:
                file.arrived += arrives
                while file.arrived >= min(file.piece, file.left) > 0:
                    taken = min(file.piece, file.left)
                    file.arrived -= taken
                    file.left -= taken
                    file.turn.flowed(taken)
                    file.piece = next(file.pieces)
                if not file.left:
                    self.under_way.remove(file)
                    await file.end.aclose()


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


async def test_those_that_brought_nothing_wait_until_the_ones_before_them_end() -> None:
    async with Flow(each=1e12, all_together=100e6) as flow:
        while len(flow.under_way) <= START:
            await flow.run(TICK)
        begun = list(flow.under_way)
        while flow.streams.limit > START:
            await flow.run(TICK)
        tried = begun[START:]
        left = [file.left for file in tried]
        assert [file.turn.paused for file in begun] == [False] * START + [True] * len(tried)
        while len(flow.under_way) == len(begun):
            assert [file.left for file in tried] == left
            await flow.run(TICK)
        assert not tried[0].turn.paused, "it goes on now that one has ended"
        assert set(map(id, flow.under_way)) <= set(map(id, begun)), "no other was begun instead"


async def test_files_are_read_in_small_pieces_until_it_is_known_how_many_flow_and_in_whole_parts_then() -> None:
    async with Flow(each=1e12, all_together=200e6) as flow:
        await flow.run(TICK)
        file = flow.under_way[0]
        assert file.piece == PIECE_BYTES
        while flow.streams.climbing:
            await flow.run(TICK)
        read = 0
        pieces = file.turn.pieces()
        for _ in range(20):
            piece = next(pieces)
            assert piece == file.turn.parts.bytes
            assert read % piece == 0
            read += piece


async def test_pieces_end_where_parts_end_whenever_the_climb_does() -> None:
    async with Flow(each=1e12, all_together=200e6) as flow:
        await flow.run(TICK)
        turn = flow.under_way[0].turn
        pieces, read = turn.pieces(), 0
        for _ in range(3):
            read += next(pieces)
        while flow.streams.climbing:
            await flow.run(TICK)
        while (piece := next(pieces)) != turn.parts.bytes:
            read += piece
        assert read % turn.parts.bytes == 0


async def test_nobody_waits_so_long_that_the_source_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams_module, "PAUSE_SECONDS", 0.01)
    streams = Streams(100, Budget(1000 * MIB))
    async with streams.turn(FILE_BYTES), streams.turn(FILE_BYTES) as second:
        streams.overloaded()
        await second.wait()
        assert second.paused


async def test_a_server_that_asks_for_less_makes_the_later_ones_wait_for_the_first() -> None:
    streams = Streams(100, Budget(1000 * MIB))
    async with AsyncExitStack() as others:
        async with streams.turn(FILE_BYTES) as first:
            second = await others.enter_async_context(streams.turn(FILE_BYTES))
            streams.overloaded()
            await first.wait()
            waiting = asyncio.create_task(second.wait())
            await asyncio.sleep(0)
            assert not waiting.done()
        await waiting


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
    async with streams.turn(FILE_BYTES), streams.turn(FILE_BYTES):
        assert not streams.is_free(128 * MIB), "two flow at first"
    async with budget.holding(40 * MIB):
        assert not streams.is_free(128 * MIB), "others hold the memory"
    assert streams.is_free(None)


async def test_what_the_store_takes_whole_is_not_cut_for_as_long_as_it_does() -> None:
    limits = [100 * MIB]
    streams = Streams(100, Budget(1000 * MIB), lambda size: size <= limits[-1])
    for size, whole in ((FILE_BYTES, None), (100 * MIB, 100 * MIB), (None, None)):
        async with streams.turn(size) as turn:
            assert turn.parts.whole == whole
    limits.append(0)
    async with streams.turn(100 * MIB) as turn:
        assert turn.parts.whole is None
