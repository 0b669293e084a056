"""The budget of bytes in flight: a bound, in the order of asking."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from learnosity.budget import ByteBudget


@given(st.lists(st.integers(0, 150), min_size=1, max_size=40))
@settings(max_examples=50)
def test_never_more_than_the_limit_is_taken_and_everybody_gets_a_turn(sizes: list[int]) -> None:
    async def run() -> None:
        budget, in_flight, turns = ByteBudget(100), 0, list[int]()

        async def work(number: int, size: int) -> None:
            nonlocal in_flight
            held = await budget.take(size)
            in_flight += held
            assert in_flight <= 100
            turns.append(number)
            await asyncio.sleep(0)
            in_flight -= held
            budget.give(held)

        await asyncio.gather(*(work(number, size) for number, size in enumerate(sizes)))
        assert turns == sorted(turns)
        assert await budget.take(100) == 100

    asyncio.run(run())


async def test_a_piece_larger_than_the_limit_goes_alone() -> None:
    budget = ByteBudget(100)
    held = await budget.take(5_000)
    waiting = asyncio.create_task(budget.take(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    budget.give(held)
    assert await waiting == 1


async def test_who_stops_waiting_takes_nothing() -> None:
    budget = ByteBudget(100)
    held = await budget.take(100)
    waiting = asyncio.create_task(budget.take(60))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    budget.give(held)
    assert await budget.take(100) == 100


async def test_who_is_stopped_just_when_its_turn_comes_gives_it_back() -> None:
    budget = ByteBudget(100)
    held = await budget.take(100)
    waiting = asyncio.create_task(budget.take(60))
    await asyncio.sleep(0)
    budget.give(held)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await budget.take(100) == 100
