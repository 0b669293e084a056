"""One poller for all waits of an event loop on one connection: up to 50 jobs are asked for in one call.

A thousand waits cost twenty calls a round. What goes wrong with one job stays with that job, a blip of the network
ends no wait, and when the last wait leaves, the session and the task behind it are gone. Knows nothing of Airflow.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from learnosity.api.client import LearnosityClient
from learnosity.api.jobs import REFERENCES_PER_CALL, Job, poll_delay
from learnosity.errors import (
    AuthenticationError,
    ConnectionConfigError,
    LearnosityError,
    PermanentApiError,
    TransientError,
)
from learnosity.telemetry import NO_METER, Meter

# A look may come this share of its delay early to fill a call: waits that began apart come together so.
EARLY_SHARE = 0.3
# How long to wait for company when a wait comes.
GATHER_SECONDS = 0.5
# Calls side by side: a slow answer must not hold up everybody.
CALLS_AT_ONCE = 4
# A change in Console takes up to 30 minutes to act (contract section 1.3): so long a refusal may pass.
REFUSAL_SECONDS = 35 * 60.0
# A connection that cannot be used is not waited for that long: nobody at Learnosity will mend it.
MISCONFIGURED_SECONDS = 5 * 60.0

Connect = Callable[[], AbstractAsyncContextManager[LearnosityClient]]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a job brought.

    :param job: as listed; None when it was not, or when the call failed.
    :param error: why the call failed.
    :param final: nothing follows: the job has ended, the deadline has passed, or the error will not go away.
    """

    job: Job | None = None
    error: LearnosityError | None = None
    final: bool = False


@dataclass(eq=False, slots=True)
class _Wait:
    """One wait for one job; `due` and `since` are monotonic, the deadline is wall clock."""

    reference: str
    poll_interval: float
    deadline: float
    due: float = 0.0
    delay: float = 0.0
    rounds: int = 0
    refused_since: float | None = None
    looks: asyncio.Queue[Look] = field(default_factory=asyncio.Queue)

    def plan(self, now: float) -> None:
        """Set when to look next; at the deadline at the latest."""
        self.delay = poll_delay(self.rounds, self.poll_interval)
        self.rounds += 1
        self.due = now + min(self.delay, max(self.deadline - time.time(), 0.0) + 1.0)


class JobPoller:
    """Looks at jobs for whoever waits. Use `shared_poller`, which starts and ends it.

    :param connect: opens a client; called anew after a refusal, so that a rotated key is read again.
    :param meter: is told of `waits_open`, those of all pollers of this event loop.
    """

    def __init__(self, connect: Connect, meter: Meter = NO_METER) -> None:
        self._connect = connect
        self._meter = meter
        self._waits: set[_Wait] = set()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.users = 0

    @contextmanager
    def watch(self, reference: str, *, poll_interval: float, deadline: float) -> Iterator[asyncio.Queue[Look]]:
        """Looks at a job, as a queue that gets one after each call; the first after about 5 s.

        :param poll_interval: longest time between two looks, in seconds, at most 60.
        :param deadline: Unix seconds; a last look is taken then.
        """
        wait = _Wait(reference, poll_interval, deadline)
        wait.plan(time.monotonic())
        self._waits.add(wait)
        self._tell_open()
        if self._task is None:
            # Not in the context of whoever came first: the poller's log lines are nobody's in particular.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())
            self._task.add_done_callback(self._ended)
        self._more.set()
        try:
            yield wait.looks
        finally:
            self._waits.discard(wait)
            self._tell_open()

    async def close(self) -> None:
        """End the task and close the session."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def is_alive(self) -> bool:
        """Whether it can take another wait."""
        return self._task is None or not self._task.done()

    async def _run(self) -> None:
        while True:
            batch = await self._next_batch()
            try:
                async with self._connect() as client:
                    while True:
                        await self._look_at(client, batch)
                        batch = await self._next_batch()
            except* LearnosityError as refused:
                # The connection could not be opened or is refused: it is read again for the next look.
                self._failed(batch, _first(refused))

    async def _next_batch(self) -> list[_Wait]:
        """Wait until a look is due; then that one, and those that are due soon, as many as fit a few calls."""
        while True:
            self._more.clear()
            now = time.monotonic()
            first = min((wait.due for wait in self._waits), default=None)
            if first is not None and first <= now:
                break
            with _ignore_timeout():
                async with asyncio.timeout(None if first is None else first - now):
                    await self._more.wait()
                    # Waits tend to come together; not one of them is due for a second.
                    await asyncio.sleep(GATHER_SECONDS)
        soon = (wait for wait in self._waits if wait.due - EARLY_SHARE * wait.delay <= now)
        return heapq.nsmallest(REFERENCES_PER_CALL * CALLS_AT_ONCE, soon, key=lambda wait: wait.due)

    async def _look_at(self, client: LearnosityClient, batch: Sequence[_Wait]) -> None:
        """Ask for all jobs of a batch, in calls side by side."""
        by_reference: dict[str, list[_Wait]] = {}
        for wait in batch:
            by_reference.setdefault(wait.reference, []).append(wait)
        references = list(by_reference)
        async with asyncio.TaskGroup() as calls:
            for start in range(0, len(references), REFERENCES_PER_CALL):
                part = references[start : start + REFERENCES_PER_CALL]
                calls.create_task(self._look(client, [wait for each in part for wait in by_reference[each]]))

    async def _look(self, client: LearnosityClient, batch: Sequence[_Wait]) -> None:
        references = list(dict.fromkeys(wait.reference for wait in batch))
        try:
            jobs = {job.reference: job for job in await client.jobs(references)}
        except AuthenticationError:
            raise
        except PermanentApiError as error:
            if len(references) == 1:
                self._failed(batch, error)
                return
            # One of them may be what the API does not like: the others must not pay for it.
            half = set(references[: len(references) // 2])
            await self._look(client, [wait for wait in batch if wait.reference in half])
            await self._look(client, [wait for wait in batch if wait.reference not in half])
        except LearnosityError as error:
            self._failed(batch, error)
        else:
            for wait in batch:
                job = jobs.get(wait.reference)
                wait.refused_since = None
                self._tell(wait, Look(job, final=job is not None and job.is_terminal))

    def _failed(self, batch: Sequence[_Wait], error: LearnosityError) -> None:
        now = time.monotonic()
        for wait in batch:
            if error.transient:
                self._tell(wait, Look(error=error))
                continue
            wait.refused_since = now if wait.refused_since is None else wait.refused_since
            patience = MISCONFIGURED_SECONDS if isinstance(error, ConnectionConfigError) else REFUSAL_SECONDS
            self._tell(wait, Look(error=error, final=now - wait.refused_since >= patience))

    def _tell(self, wait: _Wait, look: Look) -> None:
        if not look.final and time.time() >= wait.deadline:
            look = Look(look.job, None, final=True)
        wait.looks.put_nowait(look)
        if look.final:
            self._waits.discard(wait)
        else:
            wait.plan(time.monotonic())

    def _tell_open(self) -> None:
        pollers = _POLLERS.get(asyncio.get_running_loop(), {}).values()
        self._meter.gauge("waits_open", sum(len(poller._waits) for poller in pollers))

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Wake everybody when the task ends by an error of ours: a wait that hangs is worse than one that fails."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        failure = TransientError(f"Looking at jobs came to an unforeseen end ({type(error).__name__}).")
        for wait in list(self._waits):
            self._waits.discard(wait)
            wait.looks.put_nowait(Look(error=failure, final=True))


_POLLERS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, JobPoller]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_poller(key: str, connect: Connect, meter: Meter = NO_METER) -> AsyncIterator[JobPoller]:
    """The poller of this event loop for `key`; started by whoever comes first, ended by whoever leaves last.

    :param key: the connection's id.
    :param connect: opens a client on that connection.
    :param meter: see `JobPoller`.
    """
    pollers = _POLLERS.setdefault(asyncio.get_running_loop(), {})
    poller = pollers.get(key)
    if poller is None or not poller.is_alive:
        poller = pollers[key] = JobPoller(connect, meter)
    poller.users += 1
    try:
        yield poller
    finally:
        poller.users -= 1
        if not poller.users:
            if pollers.get(key) is poller:
                del pollers[key]
            await poller.close()


def _first(several: BaseExceptionGroup[LearnosityError]) -> LearnosityError:
    error = several.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


@contextmanager
def _ignore_timeout() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        return
