"""Counts what clients did: tests see from it, for example, that a client started one job and not two.

Holds counts and names only, never a URL, a header's value or a body.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Stats:
    """Counters since the start or the last `reset`.

    `calls` per target, `statuses` per `"<target> <HTTP status>"`, `codes` per application error, `jobs_started` per
    dataset id, `puts` and `put_bytes` per `"<dataset_id>/<part>"` (stored ones), `file_gets` per dataset id and
    name, `faults` per `"<kind> <target>"`, `leaks` per header that must never reach the object store.
    """

    calls: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    jobs_started: Counter[str] = field(default_factory=Counter)
    puts: Counter[str] = field(default_factory=Counter)
    put_bytes: Counter[str] = field(default_factory=Counter)
    file_gets: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    faults: Counter[str] = field(default_factory=Counter)
    leaks: Counter[str] = field(default_factory=Counter)
    rate_limited: int = 0
    bytes_served: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    max_in_flight_of: dict[str, int] = field(default_factory=dict)
    _in_flight_of: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def track(self, target: str) -> Iterator[None]:
        """Count a call, and count it as in flight while the block runs."""
        self.calls[target] += 1
        self.in_flight += 1
        self._in_flight_of[target] += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        self.max_in_flight_of[target] = max(self.max_in_flight_of.get(target, 0), self._in_flight_of[target])
        try:
            yield
        finally:
            self.in_flight -= 1
            self._in_flight_of[target] -= 1

    def answered(self, target: str, status: int) -> None:
        """Count the HTTP status of an answer."""
        self.statuses[f"{target} {status}"] += 1
        self.rate_limited += status == 429

    def reset(self) -> None:
        """Set the counters to zero; calls in flight stay counted as such."""
        for counter in (self.calls, self.statuses, self.codes, self.jobs_started, self.puts, self.put_bytes):
            counter.clear()
        for other in (self.file_gets, self.faults, self.leaks, self.max_in_flight_of):
            other.clear()
        self.rate_limited = self.bytes_served = 0
        self.max_in_flight = self.in_flight

    def snapshot(self) -> dict[str, Any]:
        """All counters as plain JSON values."""
        found: dict[str, Any] = {}
        for name in self.__slots__:
            if not name.startswith("_"):
                value = getattr(self, name)
                found[name] = _plain(value) if isinstance(value, Mapping) else value
        return found


def _plain(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): _plain(v) if isinstance(v, Mapping) else v for key, v in value.items()}
