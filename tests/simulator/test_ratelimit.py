"""Quotas in a window."""

from __future__ import annotations

from simulator import SimulatorConfig
from simulator.ratelimit import RateLimiter


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def admitted(limiter: RateLimiter, config: SimulatorConfig, count: int, action: str = "set", key: str = "k") -> int:
    return sum(limiter.admit(key, action, "jobs", config) is None for _ in range(count))


def test_the_documented_quotas_are_the_default() -> None:
    limiter = RateLimiter(Clock())
    assert admitted(limiter, SimulatorConfig(), 60) == 50
    assert admitted(limiter, SimulatorConfig(), 1010, "get") == 1000


def test_consumers_and_endpoints_have_quotas_of_their_own() -> None:
    limiter, config = RateLimiter(Clock()), SimulatorConfig(quota_set=1)
    assert admitted(limiter, config, 2, key="a") == 1
    assert admitted(limiter, config, 2, key="b") == 1
    assert limiter.admit("a", "set", "reports/datasets", config) is None


def test_a_sliding_window_frees_a_place_five_seconds_after_each_call() -> None:
    clock = Clock()
    limiter, config = RateLimiter(clock), SimulatorConfig(quota_set=2)
    limiter.admit("k", "set", "jobs", config)
    clock.now += 3
    limiter.admit("k", "set", "jobs", config)
    assert limiter.admit("k", "set", "jobs", config) == 2.0
    clock.now += 2
    assert admitted(limiter, config, 2) == 1


def test_a_fixed_window_frees_all_places_when_the_next_begins() -> None:
    clock = Clock()
    limiter, config = RateLimiter(clock), SimulatorConfig(quota_set=2, rate_window="fixed")
    clock.now = 104.0
    assert admitted(limiter, config, 3) == 2
    assert limiter.admit("k", "set", "jobs", config) == 1.0
    clock.now = 105.0
    assert admitted(limiter, config, 3) == 2


def test_refused_calls_do_not_prolong_the_wait() -> None:
    clock = Clock()
    limiter, config = RateLimiter(clock), SimulatorConfig(quota_set=1)
    assert admitted(limiter, config, 5) == 1
    clock.now += 5
    assert admitted(limiter, config, 1) == 1
