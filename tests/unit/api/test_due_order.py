"""The order in which many waits are due, against sorting them anew; and how their results are handed out."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from learnosity.api import polling
from learnosity.api.due_order import DueOrder
from learnosity.api.poll_intervals import Wait
from learnosity.api.polling import shared_poller
from tests.unit.api.test_polling import LATER, FakeApi, quick

__all__ = ["quick"]  # the fixture is used by each test of this file

WAITS = 8
# Which wait is added (or moved) as due when; None = it is removed.
STEPS = st.lists(st.tuples(st.integers(0, WAITS - 1), st.none() | st.sampled_from([0.0, 1.0, 1.5, 7.0])), max_size=40)


@given(STEPS)
def test_waits_are_listed_by_their_time_however_they_come_and_go(steps: list[tuple[int, float | None]]) -> None:
    waits = [Wait(f"job-{number}", 15, LATER, 0.0) for number in range(WAITS)]
    order, expected = DueOrder(), dict[Wait, float]()
    for number, due in steps:
        wait = waits[number]
        expected.pop(wait, None)
        if due is None:
            order.discard(wait)
        else:
            wait.due = expected[wait] = due
            order.add(wait)
        # Equal times: in the order in which they were added, which is that of the dict.
        assert list(order) == [(when, each) for each, when in sorted(expected.items(), key=lambda item: item[1])]


async def test_other_tasks_run_while_the_results_of_one_call_are_handed_out() -> None:
    api = FakeApi({f"job-{number}": "completed" for number in range(50)})
    seen: list[str] = []

    async def wait(reference: str) -> None:
        async with shared_poller("conn", api.connect) as poller:
            with poller.watch(reference, poll_interval=15, deadline=LATER) as results:
                await results.get()
                seen.append("result")

    async def other() -> None:
        while seen.count("result") < 50:
            seen.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(other(), *(wait(reference) for reference in api.jobs_by_reference))
    goes = "".join(each[0] for each in seen).split("o")
    assert max(map(len, api.calls)) > polling.IN_ONE_GO  # not 50: on a busy machine, not all may be in one call
    assert max(map(len, goes)) <= polling.IN_ONE_GO
