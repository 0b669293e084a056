"""A synthetic school district: what each user did in each session is computed from a hash of seed and names.

Nothing is stored, so 200,000 users need no memory until they are used, and the same seed always gives the same data. A
session is one byte per item: low values are right answers, and the highest values mean "not attempted".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from operator import lt
from typing import Final

_EPOCH: Final = 1_755_216_000  # Unix seconds of 2025-08-15T00:00:00Z, the first day of the school year
_YEAR: Final = 300 * 86_400  # length of the school year, in seconds
_UNATTEMPTED: Final = 243  # each item of a session has a random byte; if it is this or more, the item was not attempted
# For each activity, a user has a random byte. If it is this or more, the user has no session of the activity.
_ABSENT: Final = 243
_ATTEMPTED: Final = bytes(int(byte < _UNATTEMPTED) for byte in range(256))
_BANK_ITEMS: Final = 240


@dataclass(frozen=True, slots=True)
class Activity:
    """An assessment: its items from the bank, in order, and the points for each.

    :param essay: whether the last item is marked by hand, so that it may still be unscored.
    """

    name: str
    items: tuple[int, ...]
    points: tuple[int, ...]
    essay: bool

    @property
    def max_score(self) -> int:
        """Points of all items."""
        return sum(self.points)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The points of a user in one session."""

    score: int
    attempted: int
    unscored: int
    maximum: int


class District:
    """All users, activities and sessions of one seed."""

    def __init__(self, seed: int) -> None:
        self._key = seed.to_bytes(8, "big", signed=True)
        self.activity = lru_cache(maxsize=4096)(self._activity)
        self._thresholds = lru_cache(maxsize=65_536)(self._make_thresholds)

    def bank_activities(self) -> tuple[str, ...]:
        """The activities of the item bank, used where a request names none."""
        return tuple(f"sim_activity_{number}" for number in range(1, 6))

    def ability(self, user_id: str) -> int:
        """The ability of a user, 0 to 31; most users are near the middle."""
        digest = self._hash("user", user_id)
        return (digest[0] + digest[1] + digest[2] + digest[3]) >> 5

    def latest_session(
        self, user_id: str, activity: str, mintime: float | None = None, maxtime: float | None = None
    ) -> str | None:
        """The user's most recent session of an activity that was submitted within the window, if there is one."""
        digest = self._hash("sessions", user_id, activity)
        if digest[0] >= _ABSENT:
            return None
        latest, chosen = -1, -1
        for number in range(1 + digest[1] % 3):
            offset = int.from_bytes(digest[2 + 2 * number : 4 + 2 * number], "big")
            submitted = _EPOCH + offset * _YEAR // 65_536
            if not within(submitted, mintime, maxtime):
                continue
            if submitted > latest:
                latest, chosen = submitted, number
        return f"{activity}/{user_id}/{chosen}" if chosen >= 0 else None

    def activity_of_session(self, session_id: str) -> str:
        """The activity of a session that the caller knows only by its id."""
        bank = self.bank_activities()
        return bank[self._hash("activity", session_id)[0] % len(bank)]

    def submitted(self, session_id: str) -> float:
        """When a session that the caller knows only by its id was submitted, in Unix seconds."""
        return _EPOCH + int.from_bytes(self._hash("time", session_id)[:2], "big") * _YEAR // 65_536

    def answers(self, session_id: str, activity: Activity, ability: int) -> tuple[bytes, bytes]:
        """Two flags (0 or 1) per item: right, and attempted."""
        responses = self._responses(session_id, len(activity.items))
        right = bytes(map(lt, responses, self._thresholds(activity.name, ability)))
        return right, responses.translate(_ATTEMPTED)

    def outcome(self, session_id: str, activity: Activity, ability: int) -> Outcome:
        """The points of one session; an essay that is not marked yet gives none."""
        responses = self._responses(session_id, len(activity.items))
        right = map(lt, responses, self._thresholds(activity.name, ability))
        score = sum(compress(activity.points, right))
        attempted = sum(compress(activity.points, responses.translate(_ATTEMPTED)))
        unscored = 0
        if activity.essay and responses[-1] < _UNATTEMPTED and responses[-1] & 1:
            unscored = activity.points[-1]
            if responses[-1] < self._thresholds(activity.name, ability)[-1]:
                score -= unscored
        return Outcome(score, attempted, unscored, activity.max_score)

    def item_reference(self, item: int) -> str:
        """The reference of an item of the bank."""
        return f"sim_item_{item:04d}"

    def _activity(self, name: str) -> Activity:
        digest = hashlib.shake_128(b"activity" + self._key + name.encode()).digest(256)
        count = 20 + digest[0] % 21
        items: dict[int, None] = dict.fromkeys(
            int.from_bytes(digest[1 + 2 * i : 3 + 2 * i], "big") % _BANK_ITEMS for i in range(count)
        )
        points = [1 + (item % 3 == 0) for item in items]
        essay = digest[255] % 4 == 0
        if essay:
            points[-1] = 4
        return Activity(name, tuple(items), tuple(points), essay)

    def _make_thresholds(self, name: str, ability: int) -> bytes:
        """Per item of an activity: a response below this is right."""
        limits = []
        for item in self.activity(name).items:
            # As in a real item bank, some items (here a fifth) hardly separate strong users from weak ones.
            slope = 1 if item % 5 == 0 else 6
            ease = 60 + self._hash("item", str(item))[0] % 150
            limits.append(max(8, min(_UNATTEMPTED - 2, ease + slope * (ability - 16))))
        return bytes(limits)

    def _responses(self, session_id: str, count: int) -> bytes:
        return hashlib.shake_128(self._key + session_id.encode()).digest(count)

    def _hash(self, *parts: str) -> bytes:
        return hashlib.blake2b("\0".join(parts).encode(), digest_size=16, key=self._key).digest()


def within(moment: float, minimum: float | None, maximum: float | None) -> bool:
    """Whether a moment is within a window; an end that is None is open."""
    return (minimum is None or moment >= minimum) and (maximum is None or moment <= maximum)


def total(outcomes: Iterable[Outcome]) -> Outcome:
    """The points of several sessions together."""
    score = attempted = unscored = maximum = 0
    for each in outcomes:
        score += each.score
        attempted += each.attempted
        unscored += each.unscored
        maximum += each.maximum
    return Outcome(score, attempted, unscored, maximum)
