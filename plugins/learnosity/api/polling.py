"""One poller for all waits of an event loop that use the same Airflow connection. One call asks for up to 50 jobs.

So a thousand waits need twenty calls per round. With fewer waits, each call asks for the jobs of all: then the end of a
job is seen by the next call for any job. An error about one job affects only this job. A short network failure
ends no wait. A slow call delays only the jobs that it asks for. The poller ends with its last wait.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from learnosity.api.jobs import REFERENCES_PER_CALL, Job
from learnosity.errors import (
    AuthenticationError,
    ConnectionConfigError,
    LearnosityError,
    PermanentApiError,
    TransientError,
    first_error,
)
from learnosity.metrics_interface import NULL_METRICS, Metrics

if TYPE_CHECKING:
    from learnosity.api.client import LearnosityClient

    Connect = Callable[[], AbstractAsyncContextManager[LearnosityClient]]

# A poll may be early by this share of its `delay`, so that it joins a call that another poll needs now.
EARLY_SHARE = 0.3
# Seconds from the start of a wait to the next call. Waits often begin together, and then share this call.
GATHER_SECONDS = 0.5
# A call that has fewer than 50 due jobs also asks for jobs that are not due, but not for those of younger waits:
# Airflow can lose a task that is resumed right after it was deferred.
SETTLED_SECONDS = 3.0
# Most calls at the same time. There are several, so that one slow reply does not delay the other calls.
CALLS_AT_ONCE = 4
# How long a refused key is tried again: the 30 minutes that Learnosity may need to apply a change, and 5 for safety.
REFUSAL_SECONDS = 35 * 60.0
# How long a wait continues with a wrong Airflow connection: a person may be editing this connection.
MISCONFIGURED_SECONDS = 5 * 60.0
# Limits for the time between two polls of a job. This time grows with each poll, up to the sensor's `poll_interval`.
MIN_POLL_SECONDS = 5.0
MAX_POLL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of one poll of a job.

    :param job: the job; None when it was not listed, or when the call failed.
    :param error: why the call failed.
    :param final: no more results follow: the job has ended, the deadline has passed, or the error is permanent.
    """

    job: Job | None = None
    error: LearnosityError | None = None
    final: bool = False


@dataclass(eq=False, slots=True)
class _Wait:
    """A task's wait for one job. `began`, `due`, `refused_since`: monotonic seconds; `deadline`: Unix seconds."""

    reference: str
    poll_interval: float
    deadline: float
    began: float = field(default_factory=time.monotonic)
    due: float = 0.0
    delay: float = 0.0
    rounds: int = 0
    asked: bool = False
    """Whether a call that asks for this job has no reply yet."""
    refused_since: float | None = None
    results: asyncio.Queue[PollResult] = field(default_factory=asyncio.Queue)

    def plan(self, now: float) -> None:
        """Set the time of the next poll: at the latest one second after the deadline."""
        self.asked = False
        self.delay = poll_delay(self.rounds, self.poll_interval)
        self.rounds += 1
        self.due = now + min(self.delay, max(self.deadline - time.time(), 0.0) + 1.0)


@dataclass(frozen=True, slots=True)
class _Call:
    """The waits whose jobs one call asks for: those that are due, and up to 50 jobs in all, `others` that are not."""

    due: Sequence[_Wait]
    others: Sequence[_Wait] = ()

    @property
    def references(self) -> list[str]:
        """The jobs, each once."""
        return list(dict.fromkeys(wait.reference for wait in (*self.due, *self.others)))


class JobPoller:
    """Polls jobs for all waits on one Airflow connection. Use `shared_poller`, which starts and ends it.

    :param connect: opens a client. It is called again after a refusal, because the key may have been changed.
    :param metrics: gets `waits_open`, the number of waits of all pollers of this event loop.
    """

    def __init__(self, connect: Connect, metrics: Metrics = NULL_METRICS) -> None:
        self._connect = connect
        self._metrics = metrics
        self._waits: set[_Wait] = set()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._fills_calls = True
        """Whether calls also ask for jobs that are not due. False after such a call was refused: they may be why."""
        self.users = 0

    @contextmanager
    def watch(self, reference: str, *, poll_interval: float, deadline: float) -> Iterator[asyncio.Queue[PollResult]]:
        """Poll a job, and give a queue that gets the result of each poll. The first poll is after about 5 s.

        :param poll_interval: longest time between two polls, in seconds, at most 60.
        :param deadline: Unix seconds. At this time, the job is polled for the last time.
        """
        wait = _Wait(reference, poll_interval, deadline)
        wait.plan(time.monotonic())
        self._waits.add(wait)
        self._report_open()
        if self._task is None:
            # In the context of the first wait, all log lines of the poller would go to the log of that task.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())
            self._task.add_done_callback(self._ended)
        self._more.set()
        try:
            yield wait.results
        finally:
            self._waits.discard(wait)
            self._report_open()

    async def close(self) -> None:
        """End the task and close the session."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def is_alive(self) -> bool:
        """Whether the poller can accept another wait."""
        return self._task is None or not self._task.done()

    async def _run(self) -> None:
        slots = asyncio.Semaphore(CALLS_AT_ONCE)
        while True:
            call = await self._next_call()
            try:
                async with self._connect() as client, asyncio.TaskGroup() as calls:
                    while True:
                        await slots.acquire()
                        calls.create_task(self._poll(client, call)).add_done_callback(lambda _: slots.release())
                        call = await self._next_call()
            except* LearnosityError as refused:
                # The connection is wrong, or its key was refused. The loop reads it again: it may be corrected.
                self._failed([wait for wait in self._waits if wait.asked], first_error(refused))

    async def _next_call(self) -> _Call:
        """Wait until a poll is due. Return it, and as many other polls as fit into one call, the soonest first."""
        while True:
            self._more.clear()
            now = time.monotonic()
            waiting = sorted((wait for wait in self._waits if not wait.asked), key=lambda wait: wait.due)
            first = waiting[0].due if waiting else None
            if first is not None and first <= now:
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(None if first is None else first - now):
                    await self._more.wait()
                    await asyncio.sleep(GATHER_SECONDS)
        soon = [wait for wait in waiting if wait.due - EARLY_SHARE * wait.delay <= now]
        references = set(list(dict.fromkeys(wait.reference for wait in soon))[:REFERENCES_PER_CALL])
        due = [wait for wait in soon if wait.reference in references]
        for wait in due:
            wait.asked = True
        others: list[_Wait] = []
        settled = [wait for wait in waiting if not wait.asked and now - wait.began >= SETTLED_SECONDS]
        for wait in settled if self._fills_calls else ():
            if wait.reference in references or len(references) < REFERENCES_PER_CALL:
                references.add(wait.reference)
                others.append(wait)
        return _Call(due, others)

    async def _poll(self, client: LearnosityClient, call: _Call) -> None:
        """Ask for the jobs of a call.

        :raises AuthenticationError: key, secret or rights are wrong. Every other error is reported to the waits.
        """
        references = call.references
        try:
            jobs = {job.reference: job for job in await client.jobs(references)}
        except AuthenticationError:
            raise
        except PermanentApiError as error:
            if len(references) == 1:
                self._failed(call.due, error)
            elif call.others:
                self._fills_calls = False
                await self._poll(client, _Call(call.due))
            else:
                # One of the jobs may be why the API refused the call. Halving finds it, and the others are polled.
                half = set(references[: len(references) // 2])
                await self._poll(client, _Call([wait for wait in call.due if wait.reference in half]))
                await self._poll(client, _Call([wait for wait in call.due if wait.reference not in half]))
        except LearnosityError as error:
            self._failed(call.due, error)
        else:
            for wait in call.due:
                job = jobs.get(wait.reference)
                wait.refused_since = None
                self._report(wait, PollResult(job, final=job is not None and job.is_terminal))
            for wait in call.others:
                job = jobs.get(wait.reference)
                if wait in self._waits and job is not None and job.is_terminal:
                    self._report(wait, PollResult(job, final=True))

    def _failed(self, batch: Sequence[_Wait], error: LearnosityError) -> None:
        now = time.monotonic()
        for wait in batch:
            if error.transient:
                self._report(wait, PollResult(error=error))
                continue
            wait.refused_since = wait.refused_since or now
            patience = MISCONFIGURED_SECONDS if isinstance(error, ConnectionConfigError) else REFUSAL_SECONDS
            self._report(wait, PollResult(error=error, final=now - wait.refused_since >= patience))

    def _report(self, wait: _Wait, result: PollResult) -> None:
        if wait not in self._waits:  # another call has already reported the end of its job
            return
        if not result.final and time.time() >= wait.deadline:
            result = PollResult(result.job, None, final=True)
        wait.results.put_nowait(result)
        if result.final:
            self._waits.discard(wait)
        else:
            wait.plan(time.monotonic())
            self._more.set()

    def _report_open(self) -> None:
        pollers = _POLLERS.get(asyncio.get_running_loop(), {}).values()
        self._metrics.gauge("waits_open", sum(len(poller._waits) for poller in pollers))

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Fail every wait if the task has ended with an unexpected error: otherwise the waits would never end."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        failure = TransientError(f"Polling the jobs ended with an unexpected error ({type(error).__name__}).")
        for wait in list(self._waits):
            self._waits.discard(wait)
            wait.results.put_nowait(PollResult(error=failure, final=True))


_POLLERS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, JobPoller]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_poller(key: str, connect: Connect, metrics: Metrics = NULL_METRICS) -> AsyncIterator[JobPoller]:
    """The poller of this event loop for `key`. The first user starts it. The last user ends it.

    :param key: id of the Airflow connection.
    :param connect: opens a client with that connection.
    :param metrics: see `JobPoller`.
    """
    pollers = _POLLERS.setdefault(asyncio.get_running_loop(), {})
    poller = pollers.get(key)
    if poller is None or not poller.is_alive:
        poller = pollers[key] = JobPoller(connect, metrics)
    poller.users += 1
    try:
        yield poller
    finally:
        poller.users -= 1
        if not poller.users:
            if pollers.get(key) is poller:
                del pollers[key]
            await poller.close()


def poll_delay(round_number: int, poll_interval: float) -> float:
    """Seconds until the next poll: 5 at first, 1.5 times longer each round, at most `poll_interval`; ±10 % at random.

    :param round_number: 0 for the first wait.
    :param poll_interval: longest delay in seconds; values above 60 are treated as 60.
    """
    ceiling = min(max(poll_interval, 1.0), MAX_POLL_SECONDS)
    # The exponent is limited: after a day of rounds, 1.5 ** rounds would be too large for a float.
    grown = MIN_POLL_SECONDS * 1.5 ** min(max(round_number, 0), 20)
    return min(ceiling, grown) * random.uniform(0.9, 1.1)  # jitter, not security
