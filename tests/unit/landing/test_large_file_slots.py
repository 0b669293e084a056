"""How many large files flow at once: as many as there are processors, and eight where the source is slow."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from typing import Self

import pytest

from learnosity.landing.concurrency import (
    MAX_LARGE_FILES,
    MIN_LARGE_FILES,
    SLOW_AFTER_SECONDS,
    SLOW_BYTES_PER_SECOND,
    LargeFileSlots,
)

MIB = 1024 * 1024
# Each file brings one piece a tick.
TICK = SLOW_AFTER_SECONDS / 64


class Flow:
    """Files that hold a slot each and bring bytes, on a clock of its own.

    :param processors: of the machine.
    """

    def __init__(self, processors: int) -> None:
        self.now = 100.0
        self.slots = LargeFileSlots(processors=processors, clock=lambda: self.now)
        self._open: list[AsyncExitStack] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._open:
            await self.end()

    async def fill(self) -> int:
        """Begin as many files as may flow; returns how many do now."""
        while self.slots.is_free:
            file = AsyncExitStack()
            await file.enter_async_context(self.slots.slot())
            self._open.append(file)
        return len(self._open)

    async def end(self) -> None:
        """The file that began first ends."""
        await self._open.pop(0).aclose()

    def run(self, seconds: float, *, each: float) -> None:
        """Let the files flow.

        :param each: bytes per second of one file.
        """
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            for _ in self._open:
                self.slots.flowed(round(each * TICK))


@pytest.mark.parametrize(("processors", "files"), [(1, 2), (2, 2), (3, 3), (8, 8), (64, 8)])
async def test_at_first_as_many_flow_as_there_are_processors_but_two_at_least_and_eight_at_most(
    processors: int, files: int
) -> None:
    async with Flow(processors) as flow:
        assert await flow.fill() == flow.slots.limit == files
        assert MIN_LARGE_FILES <= files <= MAX_LARGE_FILES


def test_the_processors_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 3, 5, 7, 9})
    assert LargeFileSlots().limit == 5


@pytest.mark.parametrize("each", [0.1 * MIB, 8 * MIB, SLOW_BYTES_PER_SECOND - MIB])
async def test_of_a_slow_source_eight_flow(each: float) -> None:
    async with Flow(2) as flow:
        await flow.fill()
        flow.run(SLOW_AFTER_SECONDS, each=each)
        assert flow.slots.limit == MAX_LARGE_FILES
        assert await flow.fill() == MAX_LARGE_FILES


@pytest.mark.parametrize("each", [SLOW_BYTES_PER_SECOND + MIB, 1024 * MIB])
async def test_of_a_fast_source_no_more_flow_than_at_first(each: float) -> None:
    async with Flow(2) as flow:
        await flow.fill()
        flow.run(40 * SLOW_AFTER_SECONDS, each=each)
        assert flow.slots.limit == 2
        assert not flow.slots.is_free


async def test_a_source_is_not_called_slow_before_a_quarter_of_a_second_has_passed() -> None:
    async with Flow(2) as flow:
        await flow.fill()
        flow.run(SLOW_AFTER_SECONDS - TICK, each=1.0)
        assert flow.slots.limit == 2
        flow.run(TICK, each=1.0)
        assert flow.slots.limit == MAX_LARGE_FILES


async def test_a_source_that_becomes_slow_gets_eight_too() -> None:
    async with Flow(2) as flow:
        await flow.fill()
        flow.run(20 * SLOW_AFTER_SECONDS, each=500 * MIB)
        assert flow.slots.limit == 2
        flow.run(2 * SLOW_AFTER_SECONDS, each=MIB)
        assert flow.slots.limit == MAX_LARGE_FILES


async def test_a_file_that_is_alone_is_measured_alone() -> None:
    async with Flow(2) as flow:
        await flow.fill()
        await flow.end()
        flow.run(4 * SLOW_AFTER_SECONDS, each=SLOW_BYTES_PER_SECOND + MIB)
        assert flow.slots.limit == 2, "one fast file is no slow pair"


async def test_the_time_between_two_files_is_not_held_against_the_source() -> None:
    async with Flow(2) as flow:
        await flow.fill()
        flow.run(TICK, each=500 * MIB)
        await flow.end()
        await flow.end()
        flow.now += 3600.0
        await flow.fill()
        flow.run(4 * SLOW_AFTER_SECONDS, each=500 * MIB)
        assert flow.slots.limit == 2


async def test_eight_stay_eight() -> None:
    async with Flow(2) as flow:
        await flow.fill()
        flow.run(SLOW_AFTER_SECONDS, each=MIB)
        await flow.fill()
        for each in (MIB, 500 * MIB):
            flow.run(10 * SLOW_AFTER_SECONDS, each=each)
            assert flow.slots.limit == MAX_LARGE_FILES


@pytest.mark.promise("bounded memory")
async def test_those_beyond_the_limit_wait_and_go_as_soon_as_there_are_more_slots() -> None:
    now, flowing, most = 0.0, 0, 0
    slots = LargeFileSlots(processors=2, clock=lambda: now)
    enough = asyncio.Event()

    async def flow() -> None:
        nonlocal flowing, most
        async with slots.slot():
            flowing += 1
            most = max(most, flowing)
            await enough.wait()
            flowing -= 1

    async with asyncio.TaskGroup() as files:
        for _ in range(20):
            files.create_task(flow())
        await asyncio.sleep(0)
        assert (flowing, slots.is_free) == (2, False)
        now += SLOW_AFTER_SECONDS
        slots.flowed(1)
        await asyncio.sleep(0)
        assert (flowing, slots.is_free) == (MAX_LARGE_FILES, False)
        enough.set()
    assert most == MAX_LARGE_FILES
    assert slots.is_free


async def test_a_slot_comes_back_whatever_happens_to_its_file() -> None:
    slots = LargeFileSlots(processors=2)
    for _ in range(5):
        with pytest.raises(RuntimeError, match="cut off"):
            async with slots.slot(), slots.slot():
                assert not slots.is_free
                raise RuntimeError("cut off")
        assert slots.is_free
