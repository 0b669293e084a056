"""What the domain tells of its work to whoever keeps figures: names, numbers, and tags out of small fixed sets.

Never an id, an address or a name of a file. The domain gets a meter handed in and knows nothing of what is behind it;
`metrics` puts Airflow's own there.
"""

from __future__ import annotations

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
