"""The waits of a poller in the order in which they are due. With thousands of waits, sorting them for each call would
stop the event loop of the triggerer for some 20 ms.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import count

from learnosity.api.poll_intervals import Wait


class DueOrder:
    """Waits, the soonest due first. To add or remove one takes microseconds, also among thousands.

    A wait is added when it is planned, and removed when a call asks for its job or when it ends.
    """

    def __init__(self) -> None:
        self._order: list[tuple[float, int, Wait]] = []
        self._places: dict[Wait, tuple[float, int, Wait]] = {}
        # Each entry of `_order` has a number from here. Entries that are due at the same time are sorted by it, because
        # Python cannot compare two waits. So the wait that was added first comes first.
        self._numbers = count()

    def __iter__(self) -> Iterator[tuple[float, Wait]]:
        return ((due, wait) for due, _, wait in self._order)

    def add(self, wait: Wait) -> None:
        """Add a wait as its `due` says now. One that is there already changes its place."""
        self.discard(wait)
        place = self._places[wait] = (wait.due, next(self._numbers), wait)
        insort(self._order, place)

    def discard(self, wait: Wait) -> None:
        """Remove a wait, if it is there."""
        place = self._places.pop(wait, None)
        if place is not None:
            del self._order[bisect_left(self._order, place)]
