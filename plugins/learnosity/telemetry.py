"""What the domain tells of its work to whoever keeps figures: names, numbers, and tags out of small fixed sets.

Never an id, an address or a name of a file. The domain gets a meter handed in and knows nothing of what is behind it;
`metrics` puts Airflow's own there.
"""

from __future__ import annotations

import logging
import time
from typing import Protocol


class Meter(Protocol):
    """Takes figures; must not block, nor fail."""

    def count(self, name: str, number: int = 1, **tags: str) -> None:
        """So many more of them."""

    def gauge(self, name: str, value: int) -> None:
        """So many of them in this process now."""

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        """So long one of them took."""


class _NoMeter:
    def count(self, name: str, number: int = 1, **tags: str) -> None:
        """Nobody keeps figures."""

    def gauge(self, name: str, value: int) -> None:
        """Nobody keeps figures."""

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        """Nobody keeps figures."""


NO_METER: Meter = _NoMeter()


log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Progress:
    """Counts files and bytes and says so every few seconds.

    :param verb: what is happening, in the past tense ("landed").
    :param files: how many there are in all; 0 when unknown.
    :param every: seconds between lines; default 5.
    """

    def __init__(self, verb: str, files: int = 0, *, every: float = EVERY_SECONDS) -> None:
        self._verb = verb
        self._total = files
        self._every = every
        self.files = 0
        self.bytes = 0
        self._started = self._said = time.monotonic()

    def add(self, size: int, files: int = 1) -> None:
        """Count `files` more with `size` bytes in all."""
        self.files += files
        self.bytes += size
        now = time.monotonic()
        if now - self._said >= self._every:
            self._said = now
            log.info("%s", self.text(now))

    def finish(self) -> None:
        """Say the final figures."""
        log.info("%s", self.text(time.monotonic()))

    def text(self, now: float) -> str:
        """One line: files, bytes, rate, and time left where it can be known."""
        elapsed = max(now - self._started, 1e-6)
        rate = self.files / elapsed
        of = f" of {self._total:,}" if self._total else ""
        left = ""
        if self._total and rate and self.files < self._total:
            left = f", about {duration((self._total - self.files) / rate)} left"
        return (
            f"{self._verb} {self.files:,}{of} files, {size(self.bytes)} in {duration(elapsed)} "
            f"({rate:,.0f} files/s, {size(self.bytes / elapsed)}/s){left}"
        )


def size(count: float) -> str:
    """Bytes for people: `12.3 MB`."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """Seconds for people: `2 h 05 min`, `3 min 20 s`, `4.2 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{seconds:.1f} s"
