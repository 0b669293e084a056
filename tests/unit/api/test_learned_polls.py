"""Polls adapt to what earlier jobs took: ends are seen sooner, with no more calls. The clock jumps: nothing waits."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import mean

import pytest

from benchmarks import polls
from learnosity.api import poll_intervals
from learnosity.api.jobs import Job
from learnosity.api.poll_intervals import FEW, KINDS, JobTimes, Wait, times_of

LONGEST_GAP = 15 * 1.1 + 1.5  # the poll interval of the waits, its random part, and the time of replies
SEEDS = range(3)


class Noting(polls.Api):
    """Notes when it was asked for each job."""

    asked: dict[str, list[float]]

    async def jobs(self, references: Sequence[str]) -> list[Job]:
        for each in references:
            self.asked.setdefault(each, []).append(self.loop.now)
        return await super().jobs(references)


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    poll_intervals._TIMES.clear()
    yield
    poll_intervals._TIMES.clear()


def outcome(number: int, seconds: tuple[float, float], learns: bool) -> tuple[float, float]:
    """The number of calls, and how late ends are seen on average."""
    runs = []
    for seed in SEEDS:
        poll_intervals._TIMES.clear()
        runs.append(polls.measure(number, seconds, learns, seed))
    return sum(calls for _, calls in runs), mean(each for late, _ in runs for each in late)


@pytest.mark.parametrize("number", [1, 2, 10, 20, 50])
@pytest.mark.parametrize("seconds", [(20.0, 22.0), (60.0, 90.0), (300.0, 400.0)], ids=str)
def test_ends_are_seen_sooner_by_many_waits_and_with_no_more_calls_by_any(
    number: int, seconds: tuple[float, float]
) -> None:
    usual_calls, usual = outcome(number, seconds, learns=False)
    calls, learned = outcome(number, seconds, learns=True)
    assert calls <= usual_calls * 1.1 + 3  # both have random parts; the gain of many waits is far larger
    assert learned < usual * 1.1 or number < 20  # few waits save few calls that could be made near the end


@pytest.mark.parametrize("last", [3.0, 60.0, 400.0])
def test_a_job_unlike_the_earlier_ones_is_still_polled_within_its_interval(
    last: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Noting] = []

    def api(loop: polls.VirtualLoop) -> Noting:
        made.append(Noting(loop))
        made[0].asked = {}
        return made[0]

    original = polls.batch

    async def batch(of: polls.Api, name: str, number: int, seconds: tuple[float, float], kind: str) -> object:
        return await original(of, name, number, (last, last) if name == "last" else seconds, kind)

    monkeypatch.setattr(polls, "Api", api)
    monkeypatch.setattr(polls, "batch", batch)
    late, _ = polls.measure(5, (60.0, 70.0), True, 1)
    gaps = [later - earlier for moments in made[0].asked.values() for earlier, later in pairwise(moments)]
    assert max(gaps) <= LONGEST_GAP
    assert max(late) <= LONGEST_GAP


def test_few_waits_say_nothing_and_one_that_took_long_changes_little() -> None:
    times = JobTimes()
    for number in range(FEW):
        assert times.window() is None
        times.note(58 + number, 60 + number)
    assert times.window() == (58, 62)
    for _ in range(20):
        times.note(59, 61)
    times.note(2.0, 3000.0)
    assert times.window() == (59, 61)


def test_a_job_that_was_halted_says_nothing_about_the_time_of_others() -> None:
    times = times_of("kind")
    for number in range(FEW):
        for status in ("halted", "completed"):
            wait = Wait("job", 15, 1e12, began=0.0, times=times)
            wait.ended(5.0, poll_intervals.PollResult(Job("job", status), final=True))
        assert (times.window() is None) is (number < FEW - 1)


def test_the_times_of_so_many_kinds_are_kept() -> None:
    for _ in range(3 * KINDS):
        times_of(str(random.random()))
    assert len(poll_intervals._TIMES) == KINDS


def test_an_expectation_moves_no_deadline_and_no_first_poll() -> None:
    times = times_of("kind")
    for _ in range(FEW):
        times.note(0.0, 600.0)  # so the end is expected at any time up to 600 s
    now = time.monotonic()
    wait = Wait("job", 60, time.time() + 7, began=now, times=times, seen=now)
    begin = wait.expected(now)
    assert begin == now
    assert wait.due_by_expectation(begin, now, calls_left=False) == pytest.approx(now + 8, abs=0.5)
    assert wait.due_by_expectation(begin, now, calls_left=True) >= now + poll_intervals.MIN_POLL_SECONDS


@pytest.mark.parametrize("left", [-100.0, 0.0, 3.0, 14.0, 100.0])
@pytest.mark.parametrize("calls_left", [True, False])
@pytest.mark.parametrize("begin", [0.0, 50.0, 5000.0])
def test_the_last_poll_does_not_move_away_while_time_passes(
    left: float, calls_left: bool, begin: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The poller asks again and again when a wait is due. The answer after the deadline was always: in a second."""
    passed = 0.0
    monkeypatch.setattr(time, "time", lambda: 1e9 + passed)
    wait = Wait("job", 60, 1e9 + left, began=1000.0, seen=1000.0)
    wait.plan(1000.0)
    for _ in range(400):
        due = wait.due_by_expectation(1000.0 + begin, 1000.0 + passed, calls_left=calls_left)
        assert due <= 1000.0 + max(left, 0.0) + 1.0
        passed += 0.25
