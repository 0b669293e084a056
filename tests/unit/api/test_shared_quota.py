"""Many processes with one consumer key, each with a pacer of its own, against the simulator's real quota.

The clock is virtual: every process sends as soon as its pacer lets it, which is the worst that can happen.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random

import pytest

from learnosity.api.rate_limit import WINDOW_SECONDS, Pacer
from simulator.config import SimulatorConfig
from simulator.ratelimit import RateLimiter

KEY, ENDPOINT = "AAAABBBBCCCCDDDD", "reports/datasets"
CALL_SECONDS = 0.05


class Time:
    """Virtual time: a sleeper is woken when nobody else has anything to do."""

    def __init__(self) -> None:
        self.now = 100.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), woken))
        await woken

    async def run(self, until: float) -> None:
        """Let time pass."""
        while self._sleepers and self._sleepers[0][0] <= until:
            self.now = self._sleepers[0][0]
            while self._sleepers and self._sleepers[0][0] <= self.now:
                heapq.heappop(self._sleepers)[2].set_result(None)
            for _ in range(20):
                await real_sleep(0)


real_sleep = asyncio.sleep


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr("learnosity.api.rate_limit.time.monotonic", clock.monotonic)
    monkeypatch.setattr("learnosity.api.rate_limit.asyncio.sleep", clock.sleep)
    return clock


@pytest.mark.parametrize(("processes", "action", "in_flight"), [(4, "get", 64), (12, "get", 64), (10, "set", 1)])
async def test_processes_that_know_nothing_of_each_other_come_to_share_one_quota(
    clock: Time, processes: int, action: str, in_flight: int
) -> None:
    limiter, config, chance = RateLimiter(clock.monotonic), SimulatorConfig(), random.Random(1)
    outcomes: list[tuple[float, bool]] = []

    async def caller(pacer: Pacer) -> None:
        while True:
            await pacer.wait(ENDPOINT, action)
            refused = limiter.admit(KEY, action, ENDPOINT, config) is not None
            outcomes.append((clock.now, refused))
            if refused:
                pacer.refused(ENDPOINT, action)
            await clock.sleep(WINDOW_SECONDS + chance.uniform(0.5, 1.0) if refused else CALL_SECONDS)

    pacers = [Pacer() for _ in range(processes)]
    tasks = [asyncio.create_task(caller(pacer)) for pacer in pacers for _ in range(in_flight)]
    await real_sleep(0)
    windows = 24
    await clock.run(100.0 + windows * WINDOW_SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    settled = [refused for moment, refused in outcomes if moment >= 100.0 + windows / 2 * WINDOW_SECONDS]
    quota = config.quota_get if action == "get" else config.quota_set
    assert settled.count(True) / len(settled) < 0.15
    assert settled.count(False) > 0.5 * quota * windows / 2


async def test_a_refusal_halves_the_share_once_a_burst_and_it_comes_back(clock: Time) -> None:
    pacer = Pacer()
    for _ in range(30):
        pacer.refused(ENDPOINT, "set")
    assert pacer.limit(ENDPOINT, "set") == 20
    assert pacer.limit("jobs", "set") == 40, "other quotas are not touched"
    clock.now += WINDOW_SECONDS
    assert pacer.limit(ENDPOINT, "set") == 22
    clock.now += 100 * WINDOW_SECONDS
    assert pacer.limit(ENDPOINT, "set") == 40


async def test_however_often_it_is_refused_a_process_still_gets_its_turn(clock: Time) -> None:
    pacer = Pacer()
    for _ in range(40):
        pacer.refused(ENDPOINT, "set")
        clock.now += WINDOW_SECONDS
    assert pacer.limit(ENDPOINT, "set") >= 1
