"""Quotas per consumer, endpoint and action in a window of some seconds (docs/learnosity-api.md, "Rate limits").

Only the Data API is limited: uploads and downloads go to the object store and never count.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from .config import SimulatorConfig


class RateLimiter:
    """Counts calls in a sliding or fixed window.

    :param clock: seconds of a monotonic clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: dict[tuple[str, str, str], deque[float]] = {}

    def admit(self, consumer_key: str, action: str, endpoint: str, config: SimulatorConfig) -> float | None:
        """Count one call; a refused call does not count.

        :returns: None when the call is within its quota, else the seconds until the next one is allowed.
        """
        now = self._clock()
        window = config.rate_window_seconds
        quota = config.quota_get if action == "get" else config.quota_set
        calls = self._calls.setdefault((consumer_key, action, endpoint), deque())
        start = now - window if config.rate_window == "sliding" else math.floor(now / window) * window
        while calls and (calls[0] <= start if config.rate_window == "sliding" else calls[0] < start):
            calls.popleft()
        if len(calls) < quota:
            calls.append(now)
            return None
        return (calls[0] if config.rate_window == "sliding" and calls else start) + window - now
