"""One poller for all waits of an event loop that use the same Airflow connection. One call asks for up to 50 jobs.

So a thousand waits need twenty calls per round. With fewer waits, each call asks for the jobs of all: then the end of a
job is seen by the next call for any job. An error about one job affects only this job. A short network failure
ends no wait. A slow call delays only the jobs that it asks for. After a refusal of key or version, or of all jobs of a
call, and after a minute in which every call failed, the Airflow connection is read again: a person may have corrected
it. The poller ends with its last wait.

With at most 50 waits, jobs are polled when they are expected to end, by what earlier jobs of the same kind took: calls
are saved before that time, so that there are never more of them than without expectations (`UsualPlan`).
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from learnosity.api.due_order import DueOrder
from learnosity.api.jobs import REFERENCES_PER_CALL
from learnosity.api.poll_intervals import EARLY_SHARE, Call, PollResult, UsualPlan, Wait, times_of
from learnosity.api.refusals import Outage, concerns_no_job_alone
from learnosity.api.replies import is_about_connection
from learnosity.errors import LearnosityError, TransientError, first_error
from learnosity.metrics_interface import NULL_METRICS, Metrics

if TYPE_CHECKING:
    from learnosity.api.client import LearnosityClient

    Connect = Callable[[], AbstractAsyncContextManager[LearnosityClient]]

# Many waits often begin together. When a wait has begun, or its next poll was planned, the poller sleeps this many
# seconds before it plans the next call. So it plans once for all of these waits. If a poll becomes due, the sleep ends.
GATHER_SECONDS = 0.5
# A call that is not full also asks for jobs that are not due yet, except those of waits younger than this many seconds:
# if such a job has ended, its task would resume right after its deferral, and Airflow can lose a task that does so.
SETTLED_SECONDS = 3.0
# Maximum number of calls of one poller at the same time. With only one, a slow reply would delay the polls of all jobs.
CALLS_AT_ONCE = 4
# After this many results, other asyncio tasks get a turn. Each result wakes a trigger, which may write a log line. 50
# results in one go would delay all other triggers.
IN_ONE_GO = 5


class JobPoller:
    """Polls jobs for all waits on one Airflow connection. Use `shared_poller`, which starts and ends it.

    :param connect: reads the Airflow connection and opens a client.
    :param metrics: gets `waits_open`, the number of waits of all pollers of this event loop.
    """

    def __init__(self, connect: Connect, metrics: Metrics = NULL_METRICS) -> None:
        self._connect = connect
        self._metrics = metrics
        self._waits: set[Wait] = set()
        self._order = DueOrder()
        """Those of the waits that no call asks for."""
        self._waits_of: Counter[str] = Counter()
        """How many of the waits are for each job."""
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._fills_calls = True
        """Whether calls also ask for jobs that are not due. False after such a call was refused because of them."""
        self._usual = UsualPlan()
        self._last_call = 0.0
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)
        self._outage = Outage()
        self.users = 0

    @contextmanager
    def watch(
        self, reference: str, *, poll_interval: float, deadline: float, kind: str = ""
    ) -> Iterator[asyncio.Queue[PollResult]]:
        """Poll a job, and give a queue that gets the result of each poll. The first poll is after about 5 s.

        :param poll_interval: longest time between two polls, in seconds, at most 60.
        :param deadline: Unix seconds. The job is polled for the last time one second later.
        :param kind: polls adapt to what earlier jobs of this kind took; "" = they do not; default.
        """
        now = time.monotonic()
        wait = Wait(reference, poll_interval, deadline, now, times=times_of(kind) if kind else None, seen=now)
        wait.plan(now)
        self._waits.add(wait)
        self._order.add(wait)
        self._waits_of[reference] += 1
        self._report_open()
        if self._task is None:
            # The asyncio task gets an empty context. Otherwise it would copy the context of the first wait, and its log
            # lines about all waits would go to the log of one Airflow task.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())
            self._task.add_done_callback(self._ended)
        self._more.set()
        try:
            yield wait.results
        finally:
            self._forget(wait)
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
        async with asyncio.TaskGroup() as clients:
            call = await self._next_call()
            while True:
                handed_on: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
                clients.create_task(self._use_client(call, handed_on))
                call = await handed_on

    async def _use_client(self, call: Call, handed_on: asyncio.Future[Call]) -> None:
        """Make calls with a new client, until the connection is to be read again. Then hand on the next call."""
        outdated = asyncio.Event()

        async def make(call: Call) -> None:
            if not await self._poll(client, call):
                outdated.set()

        try:
            async with self._connect() as client, asyncio.TaskGroup() as calls:
                while not outdated.is_set():
                    await self._slots.acquire()
                    calls.create_task(make(call)).add_done_callback(lambda _: self._slots.release())
                    call = await self._next_call()
                handed_on.set_result(call)
        except LearnosityError as error:  # the Airflow connection cannot be read or used
            if not handed_on.done():  # if it is done, only closing the client has failed, which harms no wait
                self._failed(call.due, error)
                handed_on.set_result(await self._next_call())

    async def _next_call(self) -> Call:
        """Wait until a poll is due. Return it, and as many other polls as fit into one call, the soonest first."""
        while True:
            self._more.clear()
            now = time.monotonic()
            waiting, again = self._waiting(now)
            first = next((when for when, _ in waiting), None)
            if first is not None and first <= now:
                break
            if first is not None and again is not None:
                first = min(first, again)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if first is None else first - now):
                    await self._more.wait()
                    await asyncio.sleep(GATHER_SECONDS)
        self._last_call, self._usual.saved = now, self._usual.saved - 1
        due, others = self._picked(waiting, now)
        for wait in due:
            wait.asked, wait.seen = True, now
            self._order.discard(wait)
        return Call(due, others)

    def _waiting(self, now: float) -> tuple[Iterable[tuple[float, Wait]], float | None]:
        """When each wait is due that no call asks for, the soonest first, and when to ask this again.

        The second is None if no job is expected to end at a certain time: then the next call is soon enough.
        """
        if not self._fills_calls or len(self._waits) > REFERENCES_PER_CALL:
            self._usual = UsualPlan()
            return self._order, None
        dues = {wait: due for due, wait in self._order}
        usual = self._usual.next_call(self._waits, now)
        expected = {wait: begin for wait in dues if (begin := wait.expected(now)) is not None}
        for wait, begin in expected.items():
            dues[wait] = wait.due_by_expectation(begin, self._last_call, calls_left=self._usual.saved > 0)
        waiting = sorted(((due, wait) for wait, due in dues.items()), key=lambda each: each[0])
        return waiting, usual if expected else None

    def _picked(self, waiting: Iterable[tuple[float, Wait]], now: float) -> tuple[list[Wait], list[Wait]]:
        """The waits whose jobs the next call asks for: those that are due or nearly so, and others, up to 50 jobs."""
        jobs, due, later, others = set[str](), list[Wait](), list[Wait](), list[Wait]()
        for when, wait in waiting:
            if len(jobs) == REFERENCES_PER_CALL and len(self._waits_of) == len(self._waits):
                break  # the call is full, and no two waits are for the same job, so no other wait fits
            if when <= now or wait.due - EARLY_SHARE * wait.delay <= now:
                if wait.reference in jobs or len(jobs) < REFERENCES_PER_CALL:
                    jobs.add(wait.reference)
                    due.append(wait)
            elif self._fills_calls and now - wait.began >= SETTLED_SECONDS:
                later.append(wait)
        for wait in later:
            if wait.reference in jobs or len(jobs) < REFERENCES_PER_CALL:
                jobs.add(wait.reference)
                others.append(wait)
        return due, others

    def _forget(self, wait: Wait) -> None:
        """The wait has ended. Nothing happens if that is known."""
        if wait in self._waits:
            self._waits.discard(wait)
            self._order.discard(wait)
            self._waits_of[wait.reference] -= 1
            if not self._waits_of[wait.reference]:
                del self._waits_of[wait.reference]

    async def _poll(self, client: LearnosityClient, call: Call, *, is_half: bool = False) -> bool:
        """Ask for the jobs of a call, and report to the waits. Returns whether the client may be used on."""
        references = call.references
        try:
            jobs = {job.reference.casefold(): job for job in await client.jobs(references)}
        except LearnosityError as error:
            if error.transient or is_about_connection(error) or len(references) == 1:
                self._failed(call.due, error)
                return error.transient and not self._outage.note(time.monotonic())
            if call.others:
                self._fills_calls = not (is_good := await self._poll(client, Call(call.due)))
                return is_good
            halves = call.halves()
            if not is_half and await concerns_no_job_alone(error, client, [half.references for half in halves]):
                self._failed(call.due, error)
                return False
            # Each half is asked for in a call of its own, and is halved again if that call is refused. This finds the
            # job that is refused, and all other jobs are still polled.
            return any([await self._poll(client, half, is_half=True) for half in halves])
        self._outage.clear()
        for number, wait in enumerate(call.due, 1):
            self._report(wait, wait.result(jobs.get(wait.reference.casefold()), time.monotonic()))
            if number % IN_ONE_GO == 0:
                await asyncio.sleep(0)
        for wait in call.others:
            job = jobs.get(wait.reference.casefold())
            if wait in self._waits and job is not None and job.is_terminal:
                self._report(wait, PollResult(job, final=True))
            elif job is not None:
                wait.seen = time.monotonic()
        return True

    def _failed(self, batch: Sequence[Wait], error: LearnosityError) -> None:
        now = time.monotonic()
        for wait in batch:
            final = not error.transient and wait.refusals.note(error, now)
            self._report(wait, PollResult(error=error, final=final))

    def _report(self, wait: Wait, result: PollResult) -> None:
        if wait not in self._waits:  # the task no longer waits, or another call has already reported a final result
            return
        if not result.final and time.time() >= wait.deadline:
            result = PollResult(result.job, result.error, final=True, timed_out=True)
        wait.results.put_nowait(result)
        if result.final:
            self._forget(wait)
            wait.ended(time.monotonic(), result)
        else:
            wait.plan(time.monotonic())
            self._order.add(wait)
            self._more.set()

    def _report_open(self) -> None:
        pollers = _POLLERS.get(asyncio.get_running_loop(), {}).values()
        self._metrics.gauge("waits_open", sum(len(poller._waits) for poller in pollers))

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Fail every wait if the task has ended with an unexpected error: otherwise the waits would never end."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        error = first_error(error) if isinstance(error, BaseExceptionGroup) else error
        failure = TransientError(f"Polling the jobs ended with an unexpected error ({type(error).__name__}).")
        for wait in list(self._waits):
            self._forget(wait)
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
