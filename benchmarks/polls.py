"""How soon the end of a job is seen, and for how many calls: `python -m benchmarks.polls`. It takes seconds.

The poller itself, with a clock that jumps from one event to the next: nothing depends on how busy this machine is.
Waits for one kind of job begin at random over some seconds, as a scheduler starts them. The first batches teach the
poller how long such jobs take. The same batches, with a poller that learns nothing, are what it is compared with.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import random
import selectors
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import cast
from unittest.mock import patch

from learnosity.api.client import LearnosityClient
from learnosity.api.jobs import Job
from learnosity.api.polling import shared_poller

ANSWER_SECONDS = 0.1
BATCHES = 4  # number of batches before the one that is measured; from them, the poller learns how long jobs take
# In each case: the number of waits at the same time, and the shortest and the longest duration of a job in seconds.
CASES = (
    (1, (60.0, 62.0)),
    (5, (60.0, 62.0)),
    (20, (60.0, 62.0)),
    (20, (50.0, 90.0)),
    (20, (600.0, 660.0)),
    (100, (60.0, 90.0)),
)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer when nothing else is left to do."""

    def __init__(self) -> None:
        super().__init__(selectors.SelectSelector())
        self.now = 1_000.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0].cancelled():
            heapq.heappop(scheduled)._scheduled = False  # type: ignore[attr-defined]
        if not self._ready and scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, scheduled[0].when())
        super()._run_once()  # type: ignore[misc]


@dataclass
class Api:
    """Answers GET /jobs: each job ends at its time."""

    loop: VirtualLoop
    ends: dict[str, float] = field(default_factory=dict)
    calls: int = 0

    async def jobs(self, references: Sequence[str]) -> list[Job]:
        """The jobs, after a while."""
        self.calls += 1
        await asyncio.sleep(ANSWER_SECONDS)
        return [Job(each, "completed" if self.loop.now >= self.ends[each] else "running") for each in references]

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[LearnosityClient]:
        """A client of it."""
        yield cast(LearnosityClient, self)


async def batch(api: Api, name: str, waits: int, seconds: tuple[float, float], kind: str) -> tuple[list[float], int]:
    """One batch of waits: how late each saw the end of its job, and the number of calls."""
    calls, late = api.calls, list[float]()

    async def wait(number: int) -> None:
        await asyncio.sleep(random.uniform(0, waits))
        reference = f"{name}-{number}"
        api.ends[reference] = end = api.loop.now + random.uniform(*seconds)
        # A real task also needs some seconds until the sensor has deferred it.
        await asyncio.sleep(random.uniform(2, 5))
        async with shared_poller("bench", api.connect) as poller:
            with poller.watch(reference, poll_interval=15, deadline=time.time() + 1e6, kind=kind) as results:
                while not (await results.get()).final:
                    pass
        late.append(api.loop.now - end)

    async with asyncio.TaskGroup() as group:
        for number in range(waits):
            group.create_task(wait(number))
    return late, api.calls - calls


def measure(waits: int, seconds: tuple[float, float], learns: bool, seed: int) -> tuple[list[float], int]:
    """The last of several batches."""
    random.seed(seed)
    loop = VirtualLoop()
    with patch("time.monotonic", lambda: loop.now):
        api = Api(loop)

        async def batches() -> tuple[list[float], int]:
            for number in range(BATCHES):
                await batch(api, str(number), waits, seconds, "jobs" if learns else "")
            return await batch(api, "last", waits, seconds, "jobs" if learns else "")

        try:
            return loop.run_until_complete(batches())
        finally:
            loop.close()


def main() -> None:
    """Measure, and print a line for each case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.polls", description=__doc__)
    parser.add_argument("--repeat", type=int, default=10, help="of each case, with other random numbers; default 10")
    arguments = parser.parse_args()
    print(f"{'waits':>5} {'jobs take':>12} | {'calls':>11} | {'seen after, median':>22} | {'longest':>12}")
    for waits, seconds in CASES:
        found = {
            learns: [measure(waits, seconds, learns, seed) for seed in range(arguments.repeat)]
            for learns in (False, True)
        }
        said = {
            learns: (
                sum(calls for _, calls in runs) / len(runs),
                median(each for late, _ in runs for each in late),
                max(each for late, _ in runs for each in late),
            )
            for learns, runs in found.items()
        }
        (c0, m0, x0), (c1, m1, x1) = said[False], said[True]
        print(
            f"{waits:>5} {f'{seconds[0]:g} to {seconds[1]:g} s':>12} | {c0:>4.1f} -> {c1:>4.1f} | "
            f"{m0:>8.1f} s -> {m1:>6.1f} s | {x0:>4.1f} -> {x1:>4.1f} s"
        )


if __name__ == "__main__":
    main()
