"""Reports of a task for the pages of its run: why it failed, and how far it is.

It is kept in Airflow's task state store, which outlives a try: a page can say why a task is tried again. Nothing here
may end a task: a report that cannot be stored is left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.sdk.exceptions import (
    AirflowNotFoundException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    DagRunTriggerException,
    DownstreamTasksSkipped,
    XComNotFound,
)

from learnosity.advice import what_to_do
from learnosity.errors import ApiError, LearnosityError

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

FAILURE_KEY = "learnosity_failure"
PROGRESS_KEY = "learnosity_progress"
MAX_MESSAGE = 4_000  # a longer message is cut to this many characters
EVERY_SECONDS = 5.0  # seconds between two reports of progress
# Errors whose messages the page shows. This package or Airflow wrote these messages, so they quote no data. The message
# of any other error may quote data, such as a line of an input file, and is not shown.
_QUOTED = (LearnosityError, AirflowNotFoundException, AirflowSensorTimeout, AirflowTaskTimeout, XComNotFound)
# Exceptions by which a task tells Airflow what to do next. They are no failures, so they are not reported. (With
# `TaskDeferred`, a task tells Airflow to wait. It is no `Exception`, so `report_failures` does not catch it.)
_NO_FAILURES = (AirflowSkipException, AirflowRescheduleException, DagRunTriggerException, DownstreamTasksSkipped)


class Failure(msgspec.Struct, frozen=True):
    """Why a try failed.

    :param kind: the type of the error.
    :param message: what it says.
    :param advice: what to do next.
    :param attempt: number of the try, from 1.
    """

    kind: str
    message: str
    advice: str
    attempt: int = 1


class Landing(msgspec.Struct, frozen=True):
    """How far a landing task is.

    :param files: files that have landed, with those of earlier tries.
    :param total: files in all.
    :param bytes: their size so far.
    :param rate: bytes per second of this try.
    :param left: seconds that are left; None = not known yet.
    """

    files: int
    total: int
    bytes: int
    rate: float = 0.0
    left: float | None = None


def failure_of(error: BaseException, task_id: str, attempt: int, conn_id: str = "") -> Failure:
    """The report about an error. A message that neither this package nor Airflow wrote is left out: it may quote data.

    :param conn_id: the connection to Learnosity, which an error of the API does not name; "" = not known.
    """
    kind = type(error).__name__
    if isinstance(error, AirflowTaskTimeout) and "execution_timeout" not in str(error):
        message = "The task did not end within its execution_timeout."  # Airflow's own text has only a process id
    else:
        message = str(error) if isinstance(error, _QUOTED) else f"{kind}. The log of the task says more."
    if conn_id and isinstance(error, ApiError):
        host = f", the host {error.host}" if error.host else ""
        message = f"{message} The Learnosity connection was {conn_id!r}{host}."
    return Failure(kind, message[:MAX_MESSAGE], what_to_do(error, task_id), attempt)


def of_last_try(told: Failure, try_number: int) -> Failure:
    """The report about the last try of a task that has failed. A try that was killed leaves none.

    :param told: the last report that is kept, which may be of an earlier try.
    :param try_number: number of the try that failed last.
    """
    if told.attempt >= try_number:
        return told
    said = f"Try {try_number} left no report; its log says more. Try {told.attempt} failed with: {told.message}"
    return Failure(told.kind, said[:MAX_MESSAGE], "", try_number)


@contextmanager
def report_failures(context: Context) -> Iterator[None]:
    """Log the error of a task in one plain line, before Airflow logs its traceback, and keep it for the pages."""
    try:
        yield
    except _NO_FAILURES:
        raise
    except (Exception, AirflowTaskTimeout) as error:  # AirflowTaskTimeout is no Exception: only a BaseException
        ti = context.get("ti")
        attempt = _whole(getattr(ti, "try_number", 1))
        told = failure_of(error, str(getattr(ti, "task_id", "the task")), attempt, _connection(context))
        log.error("%s", f"{told.message} {told.advice}".strip())
        _store(context, FAILURE_KEY, told)
        raise


class ReportsTemplates:
    """A task that reports an error in its templates as well: Airflow renders them before it calls `execute`."""

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Context, *args: Any, **kwargs: Any
    ) -> None:
        # Airflow calls this method for the task itself, and, within this call, for objects in the task's fields. Only
        # the call for the task reports an error, so that the error is reported once.
        with report_failures(context) if parent is self else nullcontext():
            super()._do_render_template_fields(parent, template_fields, context, *args, **kwargs)  # type: ignore[misc]


@asynccontextmanager
async def report_progress(context: Context, look: Callable[[], Landing | None]) -> AsyncIterator[None]:
    """Tell every few seconds how far the work of the block is, and once more when it ends.

    :param look: gives the figures; None = nothing to tell yet.
    """
    ended, failed = asyncio.Event(), False

    async def tell() -> None:
        try:
            found = look()
        except Exception as problem:  # any error is caught: figures that are only for the page must not end the task
            nonlocal failed
            log.log(logging.DEBUG if failed else logging.WARNING, "Progress is not told: %s", type(problem).__name__)
            failed = True
            return
        if found is not None:
            # This call waits for Airflow's supervisor process. It runs in a thread, so that it does not block the event
            # loop.
            await asyncio.to_thread(_store, context, PROGRESS_KEY, found)

    async def tell_often() -> None:
        while not ended.is_set():
            await tell()
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), EVERY_SECONDS)

    teller = asyncio.ensure_future(tell_often())
    try:
        yield
    finally:
        ended.set()
        # `teller` is not cancelled, but ends by itself. If it were cancelled, its thread would go on to store a report,
        # and this older report could replace the last one, which `tell` stores below.
        await teller
        await tell()


async def report_plan(context: Context, files: int) -> None:
    """Tell how many files the landing tasks will land, before the first of them begins.

    :param files: files in all, over all shards.
    """
    await asyncio.to_thread(_store, context, PROGRESS_KEY, Landing(0, files, 0))


def _store(context: Context, key: str, value: msgspec.Struct) -> None:
    try:
        context["task_state_store"].set(key, msgspec.to_builtins(value))
    except Exception as problem:  # any error is caught, because a report that cannot be stored must not end the task
        log.debug("What the page shows of this task could not be stored: %s", type(problem).__name__)


def _connection(context: Context) -> str:
    """The connection to Learnosity that a task uses; "" = not known."""
    task = getattr(context.get("ti"), "task", None)
    return str(getattr(task, "learnosity_conn_id", None) or "")


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 1
