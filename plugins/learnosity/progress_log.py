"""Progress of long work as log lines: files, bytes, rate and the time that is left."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

# Shortest time between two progress lines, in seconds. The last line, which `finish` logs, does not wait for it.
EVERY_SECONDS = 5.0
# The remaining time is estimated from the files per second, once both `KNOWN_SECONDS` have passed and `KNOWN_FILES`
# files are done. In the first seconds, connections are still being opened, and the rate is too low for an estimate. The
# rate of very few files says little, because they may be unusually large or small.
KNOWN_SECONDS = 10.0
KNOWN_FILES = 20
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Progress:
    """Counts files and bytes, and logs a progress line every few seconds.

    :param verb: what is done with the files, in the past tense ("landed").
    :param files: number of files in all; 0 = unknown.
    :param every: seconds between two lines; default 5.
    """

    def __init__(self, verb: str, files: int = 0, *, every: float = EVERY_SECONDS) -> None:
        self._verb = verb
        self._total = files
        self._every = every
        self.files = 0
        self.bytes = 0
        self._before = (0, 0)
        self._started = self._said = time.monotonic()

    def begin_with(self, size: int, files: int) -> None:
        """Count the files of an earlier attempt. They do not count for the rate of this attempt."""
        self._before = (files, size)
        self.files += files
        self.bytes += size

    def add(self, size: int, files: int = 1) -> None:
        """Count `files` more files, of `size` bytes together."""
        self.files += files
        self.bytes += size
        now = time.monotonic()
        if now - self._said >= self._every:
            self._said = now
            log.info("%s", self.text(now))

    def finish(self) -> None:
        """Log the final figures."""
        log.info("%s", self.text(time.monotonic()))

    def byte_rate(self, now: float | None = None) -> float:
        """Bytes per second of this attempt."""
        return (self.bytes - self._before[1]) / self._elapsed(now)

    def left(self, files: int, now: float | None = None) -> float | None:
        """Seconds that `files` more files take at the rate so far; None while the rate is not known well enough."""
        elapsed, done = self._elapsed(now), self.files - self._before[0]
        if elapsed < KNOWN_SECONDS or done < KNOWN_FILES or files <= 0:
            return None
        return files / (done / elapsed)

    def text(self, now: float) -> str:
        """The progress line: files, bytes, rate, and the time left if it can be estimated."""
        elapsed = self._elapsed(now)
        of = f" of {self._total:,}" if self._total else ""
        seconds = self.left(self._total - self.files, now)
        left = "" if seconds is None else f", about {duration(seconds)} left"
        return (
            f"{self._verb} {self.files:,}{of} files, {size(self.bytes)} in {duration(elapsed)} "
            f"({(self.files - self._before[0]) / elapsed:,.0f} files/s, {size(self.byte_rate(now))}/s){left}"
        )

    def _elapsed(self, now: float | None) -> float:
        return max((time.monotonic() if now is None else now) - self._started, 1e-6)


def size(count: float) -> str:
    """A number of bytes for people: `12.3 MB`."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """A number of seconds for people: `2 h 05 min`, `3 min 20 s`, `4.2 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{seconds:.1f} s"
