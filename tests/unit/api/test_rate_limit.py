"""Below the documented quotas, on a clock that only moves when somebody waits."""

from __future__ import annotations

import asyncio

import pytest

from learnosity.api.rate_limit import QUOTAS, WINDOW_SECONDS, Pacer


class Clock:
    """Virtual time; `sleep` moves it and lets others run."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await real_sleep(0)


real_sleep = asyncio.sleep


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("learnosity.api.rate_limit.time.monotonic", clock.monotonic)
    monkeypatch.setattr("learnosity.api.rate_limit.asyncio.sleep", clock.sleep)
    return clock


async def moments(pacer: Pacer, clock: Clock, calls: int, endpoint: str, action: str) -> list[float]:
    async def one() -> float:
        await pacer.wait(endpoint, action)
        return clock.now

    return list(await asyncio.gather(*(one() for _ in range(calls))))


@pytest.mark.parametrize("action", ["get", "set", "update", "delete"])
async def test_no_window_ever_holds_more_than_the_share_of_the_quota(clock: Clock, action: str) -> None:
    limit = int(QUOTAS.get(action, 50) * 0.8)
    sent = await moments(Pacer(), clock, 3 * limit, "reports/datasets", action)
    for first, after in zip(sent, sent[limit:], strict=False):
        assert after - first >= WINDOW_SECONDS
    assert sent[limit - 1] == sent[0], "the quota itself is not to be waited for"
    assert sent[-1] - sent[0] == pytest.approx(2 * WINDOW_SECONDS)


async def test_endpoints_and_actions_have_quotas_of_their_own(clock: Clock) -> None:
    pacer = Pacer()
    for endpoint, action in (("reports/datasets", "set"), ("jobs/reports/datasets", "set"), ("jobs", "get")):
        assert len(set(await moments(pacer, clock, 40, endpoint, action))) == 1


async def test_however_small_the_share_one_call_a_window_goes_through(clock: Clock) -> None:
    sent = await moments(Pacer(head_room=0.0), clock, 3, "jobs", "set")
    assert sent == pytest.approx([1000.0, 1005.0, 1010.0])


async def test_those_who_wait_go_in_the_order_in_which_they_came(clock: Clock) -> None:
    pacer, order = Pacer(head_room=0.04), list[int]()

    async def call(number: int) -> None:
        await pacer.wait("jobs", "set")
        order.append(number)

    await asyncio.gather(*(call(number) for number in range(9)))
    assert order == list(range(9))
