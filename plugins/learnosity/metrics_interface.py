"""The interface for metrics, for code that must not import Airflow. `metrics` implements it.

A metric has a name, a number, and tags from small fixed sets. It never contains an id, an address or a file name.
"""

from __future__ import annotations

from typing import Protocol


class Metrics(Protocol):
    """Takes metrics. No method may block or fail."""

    def count(self, name: str, number: int = 1, **tags: str) -> None:
        """Add `number` to a counter."""

    def gauge(self, name: str, value: int) -> None:
        """Set the current value of this process."""

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        """Record one duration, in seconds."""


class NullMetrics:
    """Metrics that are not kept."""

    def count(self, name: str, number: int = 1, **tags: str) -> None:
        return None

    def gauge(self, name: str, value: int) -> None:
        return None

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        return None


NULL_METRICS: Metrics = NullMetrics()
