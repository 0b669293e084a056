"""The event loop that the operators run in, and how a task in it ends: by itself, by time-out, by signal."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any, cast

import pytest
import uvloop
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import timeout

from learnosity import async_operator, operators
from learnosity.async_operator import AsyncOperator

NO_CONTEXT = cast(Context, {})
# Long enough for a task to be in the middle of its work, short enough to wait for.
SOON = timedelta(seconds=0.2)


class Task(AsyncOperator):
    """Does what the test says."""

    def __init__(self, *, work: Callable[[], Awaitable[Any]], **kwargs: Any) -> None:
        super().__init__(task_id="land_files", **kwargs)
        self.work = work

    async def aexecute(self, context: Context) -> Any:
        return await self.work()


@pytest.fixture
def put_back() -> Iterator[None]:
    """Signals are handled as before once the test has ended."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


async def forever(busy: bool) -> None:
    """Wait without an end; busy: in a loop that is never at rest."""
    if busy:
        loop = asyncio.get_running_loop()

        def again() -> None:
            loop.call_soon(again)

        again()
    await asyncio.Event().wait()


def timed_out(task: Task, says: str = "execution_timeout") -> AirflowTaskTimeout:
    """How the task ends, with Airflow's alarm set as its task runner does."""
    with pytest.raises(AirflowTaskTimeout, match=says) as ended, timeout(SOON.total_seconds()):
        task.execute(NO_CONTEXT)
    return ended.value


@pytest.mark.parametrize("name", [name for name in operators.__all__ if name.endswith("Operator")])
def test_every_operator_runs_in_it(name: str) -> None:
    assert issubclass(getattr(operators, name), AsyncOperator)


def test_what_the_task_returns_comes_from_uvloop() -> None:
    async def work() -> bool:
        return isinstance(asyncio.get_running_loop(), uvloop.Loop)

    assert Task(work=work).execute(NO_CONTEXT) is True


@pytest.mark.parametrize("error", [ValueError("wrong"), TimeoutError("a server's, not the task's")])
def test_an_error_of_the_task_is_the_error_of_the_task(error: Exception) -> None:
    async def work() -> None:
        raise error

    with pytest.raises(type(error)) as ended:
        Task(work=work, execution_timeout=timedelta(minutes=1)).execute(NO_CONTEXT)
    assert ended.value is error


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize("busy", [False, True], ids=["waiting", "busy"])
def test_a_timeout_lets_go_of_what_the_task_holds(busy: bool, caplog: pytest.LogCaptureFixture) -> None:
    let_go: list[str] = []

    async def work() -> None:
        try:
            await forever(busy)
        finally:
            await asyncio.sleep(SOON.total_seconds())
            let_go.append("the open upload")

    with caplog.at_level(logging.WARNING, "asyncio"):
        error = timed_out(Task(work=work, execution_timeout=SOON))
    assert let_go == ["the open upload"]
    assert "goes on where this one ended" in str(error)
    assert not [each for each in caplog.records if each.name == "asyncio"]


@pytest.mark.usefixtures("put_back")
def test_a_timeout_is_one_although_letting_go_fails() -> None:
    failed = ValueError("the upload could not be given up")

    async def work() -> None:
        try:
            await forever(busy=False)
        finally:
            raise failed

    assert timed_out(Task(work=work, execution_timeout=SOON)).__cause__ is failed


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize("busy", [False, True], ids=["waiting", "busy"])
def test_a_task_that_does_not_let_go_is_ended_by_airflows_alarm(busy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_operator, "LET_GO_SECONDS", 0.2)

    async def work() -> None:
        try:
            await forever(busy=False)
        finally:
            await forever(busy)

    timed_out(Task(work=work, execution_timeout=SOON), says="PID")


@pytest.mark.usefixtures("put_back")
def test_a_timeout_does_not_wait_for_a_thread_that_hangs() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def hang() -> None:
        go_on.wait(60)
        ended.set()

    timed_out(Task(work=lambda: asyncio.to_thread(hang), execution_timeout=SOON))
    assert not ended.is_set()
    go_on.set()


def test_an_error_that_nobody_awaits_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        def fail() -> None:
            raise ValueError("nobody awaits this")

        loop = asyncio.get_running_loop()
        afterwards = loop.create_future()
        loop.call_soon(fail)
        loop.call_soon(afterwards.set_result, None)
        await afterwards

    Task(work=work).execute(NO_CONTEXT)
    assert "nobody awaits this" in caplog.text


@pytest.mark.usefixtures("put_back")
def test_a_signal_is_handled_while_the_task_waits() -> None:
    """Airflow ends a task by SIGTERM, and waits for no event in the loop to do so."""

    async def work() -> int:
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        signal.signal(signal.SIGTERM, lambda number, frame: told.set_result(number))
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        async with asyncio.timeout(60):
            return await told

    assert Task(work=work).execute(NO_CONTEXT) == signal.SIGTERM
