"""The base of the operators: Airflow's async operator, on uvloop, an event loop that is written in C.

The work of the event loop itself limits how fast small files land. docs/performance.md has figures for uvloop.
"""

from __future__ import annotations

import asyncio
import signal
from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import uvloop
from airflow.sdk import BaseAsyncOperator
from airflow.sdk.exceptions import AirflowTaskTimeout

if TYPE_CHECKING:
    from airflow.sdk import Context

# Seconds that a task may still use after its time-out to clean up: long enough to abort the uploads under way.
LET_GO_SECONDS = 30.0


class AsyncOperator(BaseAsyncOperator):
    """An operator whose `aexecute` runs on uvloop. At `execution_timeout` it is cancelled and may clean up.

    :param execution_timeout: default: `longest`, so that no task runs for ever.
    """

    longest: ClassVar[timedelta] = timedelta(hours=6)

    def __init__(self, **kwargs: Any) -> None:
        if kwargs.get("execution_timeout") is None:
            kwargs["execution_timeout"] = self.longest
        super().__init__(**kwargs)

    def execute(self, context: Context) -> Any:
        """Run `aexecute` in an event loop of its own.

        :raises AirflowTaskTimeout: `execution_timeout` passed. The next try continues where this one ended.
        """
        alarms: list[AirflowTaskTimeout] = []

        def report(loop: asyncio.AbstractEventLoop, found: dict[str, Any]) -> None:
            # Airflow's time-out can be raised inside asyncio's own code, which would only log it and go on.
            if isinstance(error := found.get("exception"), AirflowTaskTimeout):
                alarms.append(error)
                loop.stop()
            else:
                loop.default_exception_handler(found)

        loop = uvloop.new_event_loop()
        loop.set_exception_handler(report)
        _put_off_alarm()
        try:
            return loop.run_until_complete(self._within_timeout(context))
        except RuntimeError:
            if alarms:
                raise alarms[0] from None
            raise
        finally:
            # Do not wait for threads: one that hangs must not keep a timed-out task alive. A loop that the alarm has
            # interrupted in its own code still counts as running. Closing it would raise an error.
            if not loop.is_running():
                loop.close()

    @abstractmethod
    async def aexecute(self, context: Context) -> Any:
        """The work of the operator. Its result is the task's XCom."""

    async def _within_timeout(self, context: Context) -> Any:
        limit = asyncio.timeout(self.execution_timeout.total_seconds() if self.execution_timeout else None)
        try:
            async with limit:
                return await self.aexecute(context)
        except Exception as error:
            # Every exception counts, not only TimeoutError: a clean-up that fails raises its own error instead.
            if not limit.expired():
                raise
            raise AirflowTaskTimeout(
                f"{self.task_id} did not end within its execution_timeout of {self.execution_timeout}. The next try "
                "goes on where this one ended; if there is more to do than fits, raise execution_timeout."
            ) from error


def _put_off_alarm() -> None:
    """Move the alarm that Airflow has set to the end of the time for cleaning up.

    The alarm interrupts whatever the process does. At `execution_timeout` itself it would interrupt the clean-up.
    """
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    if left:
        signal.setitimer(signal.ITIMER_REAL, left + LET_GO_SECONDS)


__all__ = ["AsyncOperator"]
