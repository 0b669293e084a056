"""What people see while a run goes on: a line when a task changes, and on a terminal one line that is refreshed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from devstack.tasks import in_order, label, state

if TYPE_CHECKING:
    from airflow_client.client import TaskInstanceResponse

WAITING = ("none", "scheduled")


class Progress:
    """Prints the progress of one run.

    :param why: says why a task failed, if it knows
    :param output: where to; default: standard output
    """

    def __init__(self, why: Callable[[TaskInstanceResponse], str | None], output: TextIO | None = None) -> None:
        self._why = why
        self._output = output or sys.stdout
        self._live = self._output.isatty()
        self._states: dict[str, str] = {}
        self._started = time.monotonic()

    def __call__(self, tasks: Sequence[TaskInstanceResponse]) -> None:
        """Show what changed since the last call."""
        self._wipe()
        for task in in_order(tasks):
            name, now = label(task), state(task)
            # A task that waits is not printed. So nothing is printed for a mapped task whose number of instances is not
            # known yet: Airflow lists it as one task that waits.
            if now in WAITING or self._states.get(name) == now:
                continue
            self._states[name] = now
            took = f"  ({task.duration:.1f} s)" if now in ("success", "failed") and task.duration else ""
            self._line(f"  {self._elapsed():6.1f} s  {name:<24} {now}{took}")
            if now in ("failed", "up_for_retry") and (reason := self._why(task)):
                self._line(f"{'':12}{reason}")
        if self._live:
            busy = [f"{name} {now}" for name, now in self._states.items() if now not in ("success", "failed")]
            self._output.write(f"  {self._elapsed():6.1f} s  {', '.join(busy)[:80]}")
            self._output.flush()

    def close(self) -> None:
        """Leave a clean line."""
        self._wipe()
        self._output.flush()

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _line(self, text: str) -> None:
        self._output.write(f"{text}\n")
        self._output.flush()

    def _wipe(self) -> None:
        if self._live:
            self._output.write("\r\x1b[2K")
