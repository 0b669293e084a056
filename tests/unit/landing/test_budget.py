"""The budget of what is in flight: a bound, in the order of asking."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from learnosity.landing.concurrency import Budget


@given(st.lists(st.integers(0, 150), min_size=1, max_size=40))
@settings(max_examples=50)
def test_never_more_than_the_limit_is_taken_and_everybody_gets_a_turn(sizes: list[int]) -> None:
    async def run() -> None:
        budget, in_flight, turns = Budget(100), 0, list[int]()

        async def work(number: int, size: int) -> None:
            nonlocal in_flight
            async with budget.holding(size):
                held = min(size, 100)
                in_flight += held
                assert in_flight <= 100
                turns.append(number)
                await asyncio.sleep(0)
                in_flight -= held

        await asyncio.gather(*(work(number, size) for number, size in enumerate(sizes)))
        assert turns == sorted(turns)
        assert budget.fits(100)

    asyncio.run(run())


@given(st.integers(1, 40), st.lists(st.integers(1, 10), min_size=1, max_size=10))
@settings(max_examples=50)
def test_a_limit_that_grows_holds_for_whoever_comes_in(number: int, limits: list[int]) -> None:
    async def run() -> None:
        limits.sort()
        budget, in_flight, served = Budget(limits[0]), 0, 0
        limit = limits[0]

        async def work() -> None:
            nonlocal in_flight, served
            async with budget.holding(1):
                in_flight += 1
                assert in_flight <= limit
                await asyncio.sleep(0)
                in_flight -= 1
                served += 1

        async def change() -> None:
            nonlocal limit
            for limit in limits:
                budget.grow(limit)
                await asyncio.sleep(0)

        await asyncio.gather(*(work() for _ in range(number)), change())
        assert served == number
        budget.grow(11)
        assert budget.fits(11)
        (second,) = await started(budget, 10)
        assert budget.fits(1)
        assert not budget.fits(2)
        await second.stop()

    asyncio.run(run())


class Holder:
    """Somebody who holds, or waits to hold, until told to stop."""

    def __init__(self, budget: Budget, size: int) -> None:
        self._holds = False
        self._enough = asyncio.Event()
        self.task = asyncio.create_task(self._hold(budget, size))

    async def _hold(self, budget: Budget, size: int) -> None:
        async with budget.holding(size):
            self._holds = True
            await self._enough.wait()
        self._holds = False

    def holds(self) -> bool:
        return self._holds

    async def stop(self) -> None:
        self._enough.set()
        await self.task


async def started(budget: Budget, *sizes: int) -> list[Holder]:
    holders = [Holder(budget, size) for size in sizes]
    await asyncio.sleep(0)
    return holders


async def test_a_piece_larger_than_the_limit_goes_alone() -> None:
    budget = Budget(100)
    large, small = await started(budget, 5_000, 1)
    assert large.holds()
    assert not small.holds()
    await large.stop()
    await asyncio.sleep(0)
    assert small.holds()
    await small.stop()


async def test_what_does_not_fit_is_told_before_it_is_taken() -> None:
    budget = Budget(100)
    (first,) = await started(budget, 60)
    assert budget.fits(40)
    assert not budget.fits(41)
    (waiting,) = await started(budget, 41)
    assert not budget.fits(1), "somebody is before"
    await first.stop()
    await waiting.stop()
    assert budget.fits(100)


async def test_who_stops_waiting_takes_nothing() -> None:
    budget = Budget(100)
    first, waiting = await started(budget, 100, 60)
    waiting.task.cancel()
    await asyncio.gather(waiting.task, return_exceptions=True)
    await first.stop()
    assert budget.fits(100)


async def test_who_is_stopped_just_when_its_turn_comes_gives_it_back() -> None:
    budget = Budget(100)
    first, waiting = await started(budget, 100, 60)
    await first.stop()
    waiting.task.cancel()
    await asyncio.gather(waiting.task, return_exceptions=True)
    assert budget.fits(100)


async def test_a_higher_limit_lets_in_who_waits() -> None:
    budget = Budget(2)
    first, second, third, fourth, fifth = await started(budget, 1, 1, 1, 1, 1)
    assert [holder.holds() for holder in (first, second, third, fourth, fifth)] == [True, True, False, False, False]
    budget.grow(4)
    await asyncio.sleep(0)
    assert [holder.holds() for holder in (third, fourth, fifth)] == [True, True, False]
    for holder in (first, second, third, fourth, fifth):
        await holder.stop()
    assert budget.fits(4)


async def test_what_was_larger_than_the_limit_and_goes_alone_gives_back_what_it_held() -> None:
    budget = Budget(10)
    (large,) = await started(budget, 500)
    budget.grow(100)
    assert budget.fits(90)
    assert not budget.fits(91)
    await large.stop()
    assert budget.fits(100)
