"""The limit on files at once: climbs where that helps, stays where it does not, yields when asked to."""

from __future__ import annotations

import heapq
import resource
from typing import Any

import pytest

from learnosity.landing.concurrency import MAX_FILES_AT_ONCE, AdaptiveLimit


class Server:
    """A source with a latency and a capacity, on a clock of its own; answers in the order of asking."""

    def __init__(self, *, latency: float, capacity: float) -> None:
        self.now = 0.0
        self.latency = latency
        self.spacing = 1 / capacity
        self._free_at = 0.0

    def answer_at(self) -> float:
        self._free_at = max(self._free_at, self.now) + self.spacing
        return self._free_at + self.latency

    def serve(self, limit: AdaptiveLimit, files: int, *, size: int = 20_000) -> float:
        """Run so many files through, as many at once as the limit says; returns files a second."""
        started, under_way = self.now, list[float]()
        for _ in range(files):
            while len(under_way) >= limit.limit:
                self.now = max(self.now, heapq.heappop(under_way))
                limit.done(size)
            heapq.heappush(under_way, self.answer_at())
        return files / (self.now - started)


def limit_of(server: Server, **more: Any) -> AdaptiveLimit:
    return AdaptiveLimit(clock=lambda: server.now, **more)


@pytest.mark.parametrize("latency", [0.01, 0.05, 0.2])
def test_a_source_far_away_gets_as_many_as_fill_the_way(latency: float) -> None:
    server = Server(latency=latency, capacity=1200)
    limit = limit_of(server)
    server.serve(limit, 3000)
    possible = min(1200, 256 / latency)
    assert server.serve(limit, 3000) > 0.75 * possible


def test_a_source_far_away_gets_the_highest_limit_as_soon_as_the_first_files_have_landed() -> None:
    # Each step multiplies the limit by four. With smaller steps, many files of a dataset of a few thousand would have
    # landed before the limit is high.
    server = Server(latency=0.2, capacity=1e9)
    limit = limit_of(server)
    first = limit.limit
    server.serve(limit, 2 * first)
    second = limit.limit
    assert second >= 4 * first
    server.serve(limit, 2 * second)
    assert limit.limit == MAX_FILES_AT_ONCE


@pytest.mark.parametrize(
    ("open_files", "most"),
    [(resource.RLIM_INFINITY, 512), (1_048_576, 512), (1280, 512), (1024, 384), (300, 75), (256, 64), (64, 16), (1, 1)],
)
def test_no_more_files_at_once_than_the_process_may_open_connections_for(
    monkeypatch: pytest.MonkeyPatch, open_files: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (open_files, open_files))
    server = Server(latency=1.0, capacity=1e9)
    limit = limit_of(server)
    assert limit.limit <= most
    server.serve(limit, 5000)
    assert limit.limit == most


def test_a_source_that_gives_no_more_is_not_flooded() -> None:
    server = Server(latency=0.002, capacity=300)
    limit = limit_of(server, start=16)
    server.serve(limit, 5000)
    assert limit.limit <= 32


def test_never_more_than_the_bound() -> None:
    server = Server(latency=1.0, capacity=1e9)
    limit = limit_of(server, most=40)
    server.serve(limit, 5000)
    assert limit.limit == 40


def test_overload_halves_once_for_a_burst_and_comes_back_step_by_step() -> None:
    server = Server(latency=0.05, capacity=1e9)
    limit = limit_of(server, start=64, most=64)
    for _ in range(30):
        limit.overloaded()
    assert limit.limit == 32
    server.now += 0.2
    server.serve(limit, 120)
    assert 32 < limit.limit < 48
    server.serve(limit, 5000)
    assert limit.limit == 64


def test_overload_that_lasts_leaves_one() -> None:
    server = Server(latency=0.05, capacity=1e9)
    limit = limit_of(server)
    for _ in range(20):
        server.now += 2.0
        limit.overloaded()
    assert limit.limit == 1


def test_large_files_do_not_count_as_standstill() -> None:
    server = Server(latency=0.05, capacity=1e9)
    limit = limit_of(server, start=16)
    server.serve(limit, 40, size=1_000)
    server.serve(limit, 3000, size=5_000_000)
    assert limit.limit > 64
