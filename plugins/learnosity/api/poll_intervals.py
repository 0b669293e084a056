"""What the poller keeps of each wait, and when a job is polled: as usual, or by what earlier jobs of its kind took."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from learnosity.api.jobs import Job
from learnosity.api.refusals import Refusals, odd_end
from learnosity.errors import LearnosityError

# One call can ask for several jobs. So it asks for the jobs whose poll is due, and for those whose poll is due soon.
# Soon means: the time that is left is at most this share of the time between two polls of that job.
EARLY_SHARE = 0.3
# The first poll of a job comes `MIN_POLL_SECONDS` after the wait began. Then the time between two polls grows with each
# poll, up to the sensor's `poll_interval`, which is at most `MAX_POLL_SECONDS`. If `poll_interval` is shorter than
# `MIN_POLL_SECONDS`, the first poll comes after `poll_interval` instead.
MIN_POLL_SECONDS = 5.0
MAX_POLL_SECONDS = 60.0
# Before the time at which a job is expected to end, it is polled less often than usual. Around that time, it is polled
# more often: every `SPACING_SECONDS`. The additional calls are never more than the calls that were saved before.
SPACING_SECONDS = 2.5
# Earlier waits for jobs of the same kind (same dataset type and connection) show when a job is expected to end. Only
# waits whose job was completed count. If a kind has fewer than `FEW` of them, its jobs are polled as usual. To bound
# the memory, at most `KINDS` kinds are remembered, and of each kind the last `REMEMBERED` waits.
FEW = 3
REMEMBERED = 40
KINDS = 100


def _longest(poll_interval: float) -> float:
    return min(max(poll_interval, 1.0), MAX_POLL_SECONDS)


def poll_delay(round_number: int, poll_interval: float) -> float:
    """Seconds until the next poll: 5 at first, 1.5 times longer each round, at most `poll_interval`; ±10 % at random.

    :param round_number: 0 for the first wait.
    :param poll_interval: longest delay in seconds; values above 60 are treated as 60, values below 1 as 1.
    """
    ceiling = _longest(poll_interval)
    # The exponent is limited: after about 1,750 polls, 1.5 ** rounds would be too large for a float.
    grown = MIN_POLL_SECONDS * 1.5 ** min(max(round_number, 0), 20)
    return min(ceiling, grown) * random.uniform(0.9, 1.1)  # this random part is no secret, so `random` is good enough


@dataclass(slots=True)
class JobTimes:
    """At which age the waits for one kind of job have ended, by the clock of this process."""

    _ended: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def note(self, running: float, done: float) -> None:
        """Note a wait that has ended.

        :param running: its age in seconds at `Wait.seen`. If the job was due, that is when the call that saw its end
            began. If it was only asked for early, that is when the job was last seen running, or when it was last due.
        :param done: its age when the job was seen to have ended.
        """
        self._ended.append((running, done))

    def window(self) -> tuple[float, float] | None:
        """Between which ages the ends of most jobs were seen; None = too few are known."""
        if len(self._ended) < FEW:
            return None
        running, done = (sorted(each[side] for each in self._ended) for side in (0, 1))
        return running[len(running) // 8], done[-1 - len(done) // 8]


_TIMES: dict[str, JobTimes] = {}


def times_of(kind: str) -> JobTimes:
    """What jobs of a kind took, as far as this process has seen it."""
    while len(_TIMES) >= KINDS and kind not in _TIMES:
        del _TIMES[next(iter(_TIMES))]
    return _TIMES.setdefault(kind, JobTimes())


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of one poll of a job.

    :param job: the job; None when it was not listed, or when the call failed.
    :param error: why the call failed.
    :param final: no more results follow: the job has ended, the deadline has passed, or the error is permanent.
    :param timed_out: the deadline has passed, and the job has not ended. `error` is then that of the last poll.
    """

    job: Job | None = None
    error: LearnosityError | None = None
    final: bool = False
    timed_out: bool = False


@dataclass(eq=False, slots=True)
class Wait:
    """A task's wait for one job. `began`, `due`, `refusals`: monotonic seconds; `deadline`: Unix seconds."""

    reference: str
    poll_interval: float
    deadline: float
    began: float
    due: float = 0.0
    delay: float = 0.0
    rounds: int = 0
    times: JobTimes | None = None
    seen: float = 0.0
    """When a call that asked for this job began, or when the job was last seen running; monotonic seconds."""
    last: float = field(init=False)
    """When the last poll is due: one second after the deadline; monotonic seconds."""
    asked: bool = False
    """Whether a call that asks for this job has no reply yet."""
    refusals: Refusals = field(default_factory=Refusals)
    results: asyncio.Queue[PollResult] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self._set_last(self.began)

    def _set_last(self, now: float) -> None:
        self.last = now + max(self.deadline - time.time(), 0.0) + 1.0

    def plan(self, now: float) -> None:
        """Set the time of the next poll: at the latest one second after the deadline."""
        self.asked = False
        self._set_last(now)
        self.delay = poll_delay(self.rounds, self.poll_interval)
        self.rounds += 1
        self.due = min(now + self.delay, self.last)

    def expected(self, now: float) -> float | None:
        """From when on the job is expected to end, in monotonic seconds; None = not known, or it should have ended."""
        window = self.times.window() if self.times is not None else None
        return None if window is None or now > self.began + window[1] + SPACING_SECONDS else self.began + window[0]

    def due_by_expectation(self, begin: float, last_call: float, *, calls_left: bool) -> float:
        """When the wait is due whose job is expected to end after `begin`: never later than its poll interval says.

        :param begin: what `expected` says.
        :param last_call: when the poller has made its last call.
        :param calls_left: whether calls were put off before, so that one more may be made now.
        """
        longest = _longest(self.poll_interval)
        latest = min(self.seen + longest, self.last)
        extra = max(begin, last_call, self.began + min(MIN_POLL_SECONDS, longest)) + SPACING_SECONDS
        return min(latest, extra) if calls_left else latest

    def result(self, job: Job | None, now: float) -> PollResult:
        """The result of a poll that was not refused."""
        if job is not None and job.has_odd_end:
            error = odd_end(job)
            return PollResult(job, error, final=self.refusals.note(error, now))
        self.refusals.clear()
        return PollResult(job, final=job is not None and job.is_terminal)

    def ended(self, now: float, result: PollResult) -> None:
        """Note how long the job took, for the waits for other jobs of its kind."""
        if self.times is not None and result.job is not None and result.job.is_completed:
            self.times.note(self.seen - self.began, now - self.began)


@dataclass(frozen=True, slots=True)
class Call:
    """The waits whose jobs one call asks for: those that are due, and up to 50 jobs in all, `others` that are not."""

    due: Sequence[Wait]
    others: Sequence[Wait] = ()

    @property
    def references(self) -> list[str]:
        """The jobs, each once."""
        return list(dict.fromkeys(wait.reference for wait in (*self.due, *self.others)))

    def halves(self) -> tuple[Call, Call]:
        """The waits for the first and for the second half of the jobs that are due."""
        references = list(dict.fromkeys(wait.reference for wait in self.due))
        half = set(references[: len(references) // 2])
        return (
            Call([wait for wait in self.due if wait.reference in half]),
            Call([wait for wait in self.due if wait.reference not in half]),
        )


class UsualPlan:
    """Counts the calls that are made without expectations. Only as many are made with them, at other times.

    Each wait is planned here as `Wait.plan` does it, from one counted call to the next.
    """

    def __init__(self) -> None:
        self._plans: dict[Wait, tuple[float, float, int]] = {}
        self.saved = 0
        """Calls that were counted and not made."""

    def next_call(self, waits: Collection[Wait], now: float) -> float | None:
        """Count what is due by now, and return when the next call is due; None = there is no wait."""
        for gone in self._plans.keys() - waits:
            del self._plans[gone]
        for wait in waits - self._plans.keys():
            self._plan(wait, wait.began, 0)
        while self._plans:
            first = min(due for due, _, _ in self._plans.values())
            if first > now:
                return first
            for wait, (due, delay, rounds) in list(self._plans.items()):
                if due - EARLY_SHARE * delay <= first:
                    self._plan(wait, first, rounds)
            self.saved += 1
        self.saved = 0
        return None

    def _plan(self, wait: Wait, now: float, rounds: int) -> None:
        delay = poll_delay(rounds, wait.poll_interval)
        self._plans[wait] = (now + delay, delay, rounds + 1)
