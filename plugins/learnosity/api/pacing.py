"""Client-side pacing below the documented quotas, so that a 429 stays the exception.

Quotas count per consumer key, endpoint and action in a 5-second window (contract section 3). Other processes and
machines share the key without knowing of each other: the head room is for a few of them, and a refusal makes each
process take less, until all of them together fit.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

WINDOW_SECONDS = 5.0
# Requests per window by action, contract section 3.
QUOTAS = {"get": 1000, "set": 50, "update": 50}
HEAD_ROOM = 0.8
# After a refusal half as much goes out, and in each window without one a twentieth of the head room comes back.
CUT = 0.5
RECOVERY = 0.05

Key = tuple[str, str]


class Pacer:
    """Lets at most a share of the quota through in any window; the others wait for their turn, in order.

    :param head_room: share of each documented quota to use at most, 0 to 1; default 0.8.
    """

    def __init__(self, head_room: float = HEAD_ROOM) -> None:
        self._head_room = head_room
        self._sent: dict[Key, deque[float]] = {}
        self._locks: dict[Key, asyncio.Lock] = {}
        self._shares: dict[Key, tuple[float, float]] = {}

    async def wait(self, endpoint: str, action: str) -> None:
        """Return as soon as one more call of `action` on `endpoint` is within the quota."""
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
        """How many calls of `action` on `endpoint` this process makes in a window, as things are."""
        return max(1, int(QUOTAS.get(action, 50) * self._share((endpoint, action))))

    def refused(self, endpoint: str, action: str) -> None:
        """Take less from now on: the server has refused a call as one too many, so others use the key as well."""
        key = (endpoint, action)
        now = time.monotonic()
        _, since = self._shares.get(key, (self._head_room, float("-inf")))
        if now - since < WINDOW_SECONDS:
            return  # the same burst
        self._shares[key] = (self._share(key) * CUT, now)

    def _share(self, key: Key) -> float:
        share, since = self._shares.get(key, (self._head_room, float("-inf")))
        if share >= self._head_room:
            return self._head_room
        windows = int((time.monotonic() - since) / WINDOW_SECONDS)
        return min(self._head_room, share + windows * RECOVERY * self._head_room)
