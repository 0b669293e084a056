"""How many large files flow at once: many, but few where the machine is busy with these or a server asks for less."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

import pytest

from learnosity.landing import large_files as streams_module
from learnosity.landing.concurrency import Budget
from learnosity.landing.large_files import PIECE_BYTES, START, START_WHOLE, Streams, Turn
from learnosity.storage.parts import FILES, MIB

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
    :param busy: whether the machine is.
    :param whole: whether the store takes each file in one request.
    """

    def __init__(self, *, each: float, all_together: float = 1e12, busy: bool = False, whole: bool = False) -> None:
        self.now = 0.0
        self.busy = busy
        self.asked: list[float] = []
        self.each = each
        self.all_together = all_together
        self.streams = Streams(
            [FILE_BYTES] * 100,
            Budget(1000 * MIB),
            lambda _: whole,
            is_busy=self._is_busy,
            clock=lambda: self.now,
        )
        self.under_way: list[File] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for file in self.under_way:
            await file.end.aclose()

    def _is_busy(self) -> bool:
        self.asked.append(self.now)
        return self.busy

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
async def test_a_machine_with_something_left_to_give_gets_all_there_may_be(megabytes_a_second: int) -> None:
    async with Flow(each=megabytes_a_second * 1e6) as flow:
        await flow.run(1.5)
        assert flow.streams.limit == FILES


@pytest.mark.parametrize(("whole", "start"), [(True, START_WHOLE), (False, START)])
async def test_a_machine_that_is_busy_gets_no_more(whole: bool, start: int) -> None:
    async with Flow(each=1e12, all_together=100e6, busy=True, whole=whole) as flow:
        for _ in range(100):
            await flow.run(0.1)
            assert flow.streams.limit == start
        flow.busy = False
        await flow.run(10.0)
        assert flow.streams.limit == FILES, "others have ended"


@pytest.mark.parametrize("whole", [True, False])
async def test_a_machine_that_is_busy_with_other_things_does_not_keep_a_slow_line_at_few(whole: bool) -> None:
    async with Flow(each=10e6, busy=True, whole=whole) as flow:
        await flow.run(0.5)
        assert flow.streams.limit == FILES


async def test_a_line_that_becomes_slow_gets_more() -> None:
    async with Flow(each=100e6, busy=True) as flow:
        await flow.run(2.0)
        assert flow.streams.limit == START
        flow.each = 10e6
        await flow.run(20.0)
        assert flow.streams.limit == FILES


@pytest.mark.parametrize("size", [None, FILE_BYTES + 1])
async def test_one_file_that_goes_in_parts_is_enough_to_begin_with_two(size: int | None) -> None:
    assert Streams([FILE_BYTES, size], Budget(1000 * MIB), lambda size: size <= FILE_BYTES).limit == START


async def test_how_busy_it_is_counts_from_the_first_piece_on() -> None:
    async with Flow(each=1e12, all_together=100e6) as flow:
        assert not flow.asked
        await flow.run(5 * TICK)
        assert len(flow.asked) == 1, "what was before is not of interest"
        await flow.run(0.3)
        assert len(flow.asked) == 2


async def test_those_that_began_last_wait_when_a_server_asks_for_less_until_ones_before_them_end() -> None:
    async with Flow(each=10e6) as flow:
        while len(flow.under_way) < FILES:
            await flow.run(TICK)
        begun = list(flow.under_way)
        flow.streams.overloaded()
        most = flow.streams.limit
        last = begun[most:]
        left = [file.left for file in last]
        assert [file.turn.paused for file in begun] == [False] * most + [True] * len(last)
        while len(flow.under_way) == len(begun) and flow.streams.limit == most:
            assert [file.left for file in last] == left
            await flow.run(TICK)
        assert not last[0].turn.paused, "it goes on"
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
    streams = Streams([FILE_BYTES] * 100, Budget(1000 * MIB))
    async with streams.turn(FILE_BYTES), streams.turn(FILE_BYTES) as second:
        streams.overloaded()
        await second.wait()
        assert second.paused


async def test_a_server_that_asks_for_less_makes_the_later_ones_wait_for_the_first() -> None:
    streams = Streams([FILE_BYTES] * 100, Budget(1000 * MIB))
    async with AsyncExitStack() as others:
        async with streams.turn(FILE_BYTES) as first:
            second = await others.enter_async_context(streams.turn(FILE_BYTES))
            streams.overloaded()
            await first.wait()
            waiting = asyncio.create_task(second.wait())
            await asyncio.sleep(0)
            assert not waiting.done()
        await waiting


async def test_a_server_that_asks_for_less_gets_less() -> None:
    async with Flow(each=50e6) as flow:
        await flow.run(4.0)
        flow.streams.overloaded()
        assert flow.streams.limit == FILES // 2


async def test_there_is_a_turn_for_so_many_as_may_flow_and_as_memory_allows() -> None:
    budget = Budget(50 * MIB)
    streams = Streams([FILE_BYTES] * 100, budget)
    assert streams.is_free(128 * MIB)
    async with streams.turn(FILE_BYTES), streams.turn(FILE_BYTES):
        assert not streams.is_free(128 * MIB), "two flow at first"
    async with budget.holding(40 * MIB):
        assert not streams.is_free(128 * MIB), "others hold the memory"
    assert streams.is_free(None)


async def test_what_the_store_takes_whole_is_not_cut_for_as_long_as_it_does() -> None:
    limits = [100 * MIB]
    streams = Streams([FILE_BYTES] * 100, Budget(1000 * MIB), lambda size: size <= limits[-1])
    for size, whole in ((FILE_BYTES, None), (100 * MIB, 100 * MIB), (None, None)):
        async with streams.turn(size) as turn:
            assert turn.parts.whole == whole
    limits.append(0)
    async with streams.turn(100 * MIB) as turn:
        assert turn.parts.whole is None
