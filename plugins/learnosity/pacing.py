"""Client-side pacing below the documented quotas, so that a 429 stays the exception.

Quotas count per consumer key, endpoint and action in a 5-second window (contract section 3). Other processes
share the key, hence the head room.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

WINDOW_SECONDS = 5.0
# Requests per window by action, contract section 3.
QUOTAS = {"get": 1000, "set": 50, "update": 50}
HEAD_ROOM = 0.8


class Pacer:
    """Lets at most a share of the quota through in any window; the others wait for their turn, in order.

    :param head_room: share of each documented quota to use, 0 to 1; default 0.8.
    """

    def __init__(self, head_room: float = HEAD_ROOM) -> None:
        self._head_room = head_room
        self._sent: dict[tuple[str, str], deque[float]] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def wait(self, endpoint: str, action: str) -> None:
        """Return as soon as one more call of `action` on `endpoint` is within the quota."""
        key = (endpoint, action)
        limit = max(1, int(QUOTAS.get(action, 50) * self._head_room))
        sent = self._sent.setdefault(key, deque())
        async with self._locks.setdefault(key, asyncio.Lock()):
            while len(sent) >= limit:
                delay = sent[0] + WINDOW_SECONDS - time.monotonic()
                if delay <= 0:
                    sent.popleft()
                else:
                    await asyncio.sleep(delay)
            sent.append(time.monotonic())
