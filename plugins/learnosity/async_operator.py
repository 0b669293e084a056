"""The base of the operators: Airflow's async operator on uvloop, a faster event loop.

The speed of the event loop limits how fast small files land. docs/performance.md has measurements of uvloop.
"""

from __future__ import annotations

import asyncio
import signal
from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseAsyncOperator
from airflow.sdk.exceptions import AirflowTaskTimeout

from learnosity.task_report import ReportsTemplates, report_failures

if TYPE_CHECKING:
    from airflow.sdk import Context

# At `execution_timeout`, this module cancels the work. Airflow's own alarm for the time-out, which would interrupt the
# process at any point, comes this many seconds later. So the work has time to cancel the uploads that still run.
LET_GO_SECONDS = 30.0


class AsyncOperator(ReportsTemplates, BaseAsyncOperator):
    """An operator whose `aexecute` runs on uvloop. At `execution_timeout`, `aexecute` is cancelled and cleans up.

    :param execution_timeout: default: `longest`, so that no task runs for ever.
    """

    longest: ClassVar[timedelta] = timedelta(hours=6)

    def __init__(self, **kwargs: Any) -> None:
        if kwargs.get("execution_timeout") is None:
            kwargs["execution_timeout"] = self.longest
        super().__init__(**kwargs)

    def execute(self, context: Context) -> Any:
        """Run `aexecute` in a new event loop.

        :raises AirflowTaskTimeout: `execution_timeout` has passed. The next try continues where this try ended.
        """
        import uvloop  # not at the top: DAG files import this module and need no event loop

        alarms: list[AirflowTaskTimeout] = []

        def report(loop: asyncio.AbstractEventLoop, found: dict[str, Any]) -> None:
            # If an exception is raised inside asyncio's own code, asyncio only logs it and goes on. If the exception is
            # Airflow's time-out alarm, the loop must be stopped here.
            if isinstance(error := found.get("exception"), AirflowTaskTimeout):
                alarms.append(error)
                loop.stop()
            else:
                loop.default_exception_handler(found)

        loop = uvloop.new_event_loop()
        loop.set_exception_handler(report)
        _put_off_alarm()
        try:
            with report_failures(context):
                try:
                    return loop.run_until_complete(self._within_timeout(context))
                except RuntimeError:
                    if alarms:
                        raise alarms[0] from None
                    raise
        finally:
            # The loop is closed without waiting for its threads, because a thread may be blocked for ever. If Airflow's
            # alarm has interrupted asyncio's own code, the loop still counts as running. Then `close` would raise an
            # error.
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
            # After a time-out, any error is reported as the time-out, because cancelling the work can raise other
            # errors.
            if not limit.expired():
                raise
            raise AirflowTaskTimeout(
                f"{self.task_id} did not end within its execution_timeout of {self.execution_timeout}. The next try "
                "goes on where this one ended; if there is more to do than fits, raise execution_timeout."
            ) from error


def _put_off_alarm() -> None:
    """Delay Airflow's alarm by the time for cleaning up.

    The alarm interrupts the process at any point. At `execution_timeout`, it would interrupt the clean-up.
    """
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    if left:
        signal.setitimer(signal.ITIMER_REAL, left + LET_GO_SECONDS)


__all__ = ["AsyncOperator"]
