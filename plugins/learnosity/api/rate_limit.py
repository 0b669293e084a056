"""Keeps the calls of one client below the documented rate limits, so that a 429 (too many calls) is rare.

Each consumer key has a quota per endpoint and action, in a window of 5 seconds (docs/learnosity-api.md, "Rate limits").
Other clients, processes and machines may use the same key. So a client does not use the whole quota. After each 429, it
uses less, until all clients together stay below the quota. A task has one client, and a triggerer one per Airflow
connection.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

WINDOW_SECONDS = 5.0
# How many calls of each action Learnosity allows on one endpoint in `WINDOW_SECONDS`, for one consumer key.
QUOTAS = {"get": 1000, "set": 50, "update": 50}
# One client uses at most this share of a quota. The rest is for other clients with the same consumer key.
HEAD_ROOM = 0.8
# After a reply with status 429, a client multiplies its share of the quota by `CUT`. Then the share grows in each
# window by `RECOVERY` times `HEAD_ROOM`, until it is `HEAD_ROOM` again.
CUT = 0.5
RECOVERY = 0.05

Key = tuple[str, str]


class Pacer:
    """Limits the calls per window to a share of each quota. Other calls wait, and are sent in the order they came.

    :param head_room: largest share of each quota to use, 0 to 1; default 0.8.
    """

    def __init__(self, head_room: float = HEAD_ROOM) -> None:
        self._head_room = head_room
        self._sent: dict[Key, deque[float]] = {}
        self._locks: dict[Key, asyncio.Lock] = {}
        self._shares: dict[Key, tuple[float, float]] = {}

    async def wait(self, endpoint: str, action: str) -> None:
        """Wait until one more call of `action` on `endpoint` is within the share."""
        key = (endpoint, action)
        sent = self._sent.setdefault(key, deque())
        async with self._locks.setdefault(key, asyncio.Lock()):
            while len(sent) >= self.limit(endpoint, action):
                delay = sent[0] + WINDOW_SECONDS - time.monotonic()
                if delay <= 0:
                    sent.popleft()
                else:
                    await asyncio.sleep(delay)
            sent.append(time.monotonic())

    def limit(self, endpoint: str, action: str) -> int:
        """How many calls of `action` on `endpoint` this client may now make per window."""
        return max(1, int(QUOTAS.get(action, 50) * self._share((endpoint, action))))

    def refused(self, endpoint: str, action: str) -> None:
        """Halve the share after a 429: it shows that other clients use the key too."""
        key = (endpoint, action)
        now = time.monotonic()
        _, since = self._shares.get(key, (self._head_room, float("-inf")))
        # If many calls are sent together, all of them may get a 429, for one and the same cause. So only the first 429
        # within `WINDOW_SECONDS` cuts the share. If each of them did, ten calls would leave a thousandth of it.
        if now - since < WINDOW_SECONDS:
            return
        self._shares[key] = (self._share(key) * CUT, now)

    def _share(self, key: Key) -> float:
        share, since = self._shares.get(key, (self._head_room, float("-inf")))
        if share >= self._head_room:
            return self._head_room
        windows = int((time.monotonic() - since) / WINDOW_SECONDS)
        return min(self._head_room, share + windows * RECOVERY * self._head_room)
