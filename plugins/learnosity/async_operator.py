"""The base of the operators: Airflow's async operator, on uvloop.

What bounds the landing of small files is the work of the event loop itself, and uvloop does that in C
(docs/performance.md tells what it brings).
"""

from __future__ import annotations

import asyncio
import signal
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import uvloop
from airflow.sdk import BaseAsyncOperator
from airflow.sdk.exceptions import AirflowTaskTimeout

if TYPE_CHECKING:
    from airflow.sdk import Context

# What a task that has timed out may still take to let go of what it holds, such as uploads that it has begun.
LET_GO_SECONDS = 30.0


class AsyncOperator(BaseAsyncOperator):
    """An operator whose `aexecute` runs on uvloop, and is cancelled in good order when `execution_timeout` passes."""

    def execute(self, context: Context) -> Any:
        """Run `aexecute` in an event loop of its own.

        :raises AirflowTaskTimeout: `execution_timeout` passed. It is retried, and goes on where this try ended.
        """
        alarms: list[AirflowTaskTimeout] = []

        def report(loop: asyncio.AbstractEventLoop, found: dict[str, Any]) -> None:
            # The alarm rang in the loop's own work, where its error would only be logged.
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
            # Not waiting for threads: one that hangs must not keep a task alive that has timed out. And a loop whose
            # innermost code the alarm has broken off takes itself for running ever after, and refuses to be closed.
            if not loop.is_running():
                loop.close()

    @abstractmethod
    async def aexecute(self, context: Context) -> Any:
        """What the operator does; its result is the task's XCom."""

    async def _within_timeout(self, context: Context) -> Any:
        limit = asyncio.timeout(self.execution_timeout.total_seconds() if self.execution_timeout else None)
        try:
            async with limit:
                return await self.aexecute(context)
        except Exception as error:
            # Not only the limit's own TimeoutError: what is cancelled may fail to let go, and say so instead.
            if not limit.expired():
                raise
            raise AirflowTaskTimeout(
                f"{self.task_id} did not end within its execution_timeout of {self.execution_timeout}. The next try "
                "goes on where this one ended; if there is more to do than fits, raise execution_timeout."
            ) from error


def _put_off_alarm() -> None:
    """Let the alarm that Airflow has set ring when the time to let go is over, too.

    It raises wherever the process then is. At `execution_timeout` itself that would be in the midst of letting go.
    """
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    if left:
        signal.setitimer(signal.ITIMER_REAL, left + LET_GO_SECONDS)


__all__ = ["AsyncOperator"]
