"""Whether this machine has anything left to give."""

from __future__ import annotations

import psutil

# A core that waits now and then is busy all the same.
IDLE_SHARE = 0.2


class Processors:
    """All of them together. In a container these may be those of the whole host."""

    def __init__(self) -> None:
        self._idle, self._all = _seconds()

    def are_busy(self) -> bool:
        """Whether they have had less than a fifth of their time free since this was asked last."""
        before_idle, before_all = self._idle, self._all
        self._idle, self._all = _seconds()
        return self._idle - before_idle < IDLE_SHARE * (self._all - before_all)


def _seconds() -> tuple[float, float]:
    """Seconds of all processors since the system began: without work, and in all."""
    times = psutil.cpu_times()._asdict()
    # What guests got is in what the system's own processes got.
    everything = sum(seconds for kind, seconds in times.items() if not kind.startswith("guest"))
    # To wait for a disk is no idleness: more files would not make it faster.
    return times["idle"], everything
