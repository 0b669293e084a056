"""Warns about ids that begin or end with a blank, such as those of a CHAR column. No message has an id."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from learnosity.errors import InputProblem
from learnosity.inputs.group_survey import KEPT

log = logging.getLogger(__name__)


class BlankIdError(ValueError):
    """An id has blanks alone."""


def padded(ids: Sequence[str]) -> list[int]:
    """The places of the ids that begin or end with a blank."""
    stripped = list(map(str.strip, ids))
    if stripped == list(ids):
        return []
    return [place for place, (bare, each) in enumerate(zip(stripped, ids, strict=True)) if bare != each]


def padded_records(ids: Sequence[str], more: Iterable[Sequence[str]]) -> list[int]:
    """The places of the records with an id that begins or ends with a blank.

    :param ids: one of each record; empty = they have none.
    :param more: further ids of each record; empty = no record has any.
    :raises BlankIdError: an id has blanks alone.
    """
    found = padded(ids)
    blank = any(not ids[place].strip() for place in found)
    for place, others in enumerate(more):
        if odd := padded(others):
            blank = blank or any(not others[each].strip() for each in odd)
            found.append(place)
    if blank:
        raise BlankIdError("an id in it has blanks alone")
    return sorted(set(found))


class OddIds:
    """Counts the ids that begin or end with a blank, and keeps the places of the first ones."""

    def __init__(self) -> None:
        self._kept: list[InputProblem] = []
        self._count = 0

    def add(self, file: str, numbers: Iterable[int], what: str) -> None:
        """Note ids.

        :param numbers: the line or the row of each.
        :param what: which id it is, for the message.
        """
        for number in numbers:
            self._count += 1
            if len(self._kept) < KEPT:
                self._kept.append(InputProblem(file, number, f"{what} begins or ends with a blank"))

    def log(self) -> None:
        """Log the ids that were noted, each by its place."""
        if self._count:
            kept = f" The first {KEPT}:" if self._count > KEPT else ""
            lines = [f"{self._count:,} id(s) look wrong; they are sent as they are.{kept}", *self._kept]
            log.warning("%s", "\n  ".join(map(str, lines)))
