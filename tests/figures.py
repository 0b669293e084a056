"""A meter that keeps what it is told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Figures:
    """Counters by name and tag values, gauges by name, durations by name."""

    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    gauges: dict[str, list[int]] = field(default_factory=dict)
    timings: dict[str, list[float]] = field(default_factory=dict)

    def count(self, name: str, number: int = 1, **tags: str) -> None:
        """Take it."""
        self.counts[(name, *tags.values())] += number

    def gauge(self, name: str, value: int) -> None:
        """Take it."""
        self.gauges.setdefault(name, []).append(value)

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        """Take it."""
        self.timings.setdefault(name, []).append(seconds)
