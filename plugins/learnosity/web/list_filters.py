"""Which rows of the list are shown, and in which order: search, filters and sorting. No database, no HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from learnosity.api.dataset_request import dataset_type
from learnosity.web.list_rows import OPEN_STATES, PUBLISHED, Listed

STATES = (PUBLISHED, *OPEN_STATES)
_MAX_ZONE = 64  # maximum number of characters of a time zone's name; for a longer name, UTC is used

_KEYS: dict[str, Callable[[Listed], Any]] = {
    "at": lambda row: row.at,
    "type": lambda row: row.dataset_type,
    "state": lambda row: row.state,
    "activities": lambda row: ", ".join(row.activities) or None,
    "records": lambda row: row.records,
    "files": lambda row: row.file_count,
    "size": lambda row: row.total_bytes,
    "dag": lambda row: (row.dag_id, row.run_id),
}
# A click on the heading of a column sorts the list by this column. With one of these columns, the largest or newest
# value then comes first. The other columns have texts, which are then sorted from A to Z. If the list is already sorted
# by the column, the click reverses the order.
_LARGEST_FIRST = ("at", "records", "files", "size")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Search, filters and sorting of the list, as its address has them. An empty text does not filter.

    :param q: words that all have to stand in the type (its label or name), the id, the state, an activity, the DAG or
        the run.
    :param since: first day, and `until` the last, in the time zone `zone`.
    :param sort: one of the columns.
    """

    q: str = ""
    type: str = ""
    dag: str = ""
    state: str = ""
    since: date | None = None
    until: date | None = None
    zone: str = ""
    sort: str = "at"
    direction: str = "desc"

    @property
    def filtered(self) -> bool:
        """Whether a search or a filter is set, so that rows may be left out."""
        return any((self.q, self.type, self.dag, self.state, self.since, self.until))

    @property
    def times(self) -> tuple[datetime | None, datetime | None]:
        """The first moment, and the moment after the last."""
        zone = zone_of(self.zone)

        def start(day: date | None, days: int) -> datetime | None:
            try:
                return datetime.combine(day + timedelta(days=days), time(), zone).astimezone(UTC) if day else None
            except OverflowError:
                # The moment is outside of Python's calendar (years 1 to 9999). So the list has no limit on this side.
                return None

        return start(self.since, 0), start(self.until, 1)

    def query(self, **changes: Any) -> str:
        """The query of an address that asks for this, with some values changed."""
        new = replace(self, **changes)
        given = {name: getattr(new, name) for name in ("q", "type", "dag", "state", "since", "until", "zone")}
        given |= {"sort": new.sort, "direction": new.direction} if (new.sort, new.direction) != ("at", "desc") else {}
        return urlencode({name: str(value) for name, value in given.items() if value})

    def sorted_by(self, column: str) -> str:
        """The query that a click on the heading of a column asks for."""
        first = "desc" if column in _LARGEST_FIRST else "asc"
        turned = "asc" if self.direction == "desc" else "desc"
        return self.query(sort=column, direction=turned if column == self.sort else first)

    def order(self, column: str) -> str:
        """How a column is sorted: a value of the HTML attribute aria-sort."""
        if column != self.sort:
            return "none"
        return "descending" if self.direction == "desc" else "ascending"


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name; UTC for a name that is none."""
    try:
        return ZoneInfo(name) if 0 < len(name) <= _MAX_ZONE else ZoneInfo("UTC")
    except (ValueError, OSError):  # `ZoneInfo` raises an OSError if the name is a folder of time zones, such as Europe
        return ZoneInfo("UTC")
    except KeyError:
        return ZoneInfo("UTC")


def chosen(rows: Iterable[Listed], wanted: Wanted) -> Sequence[Listed]:
    """The rows that are wanted, in the order that is wanted. Rows without a value come last."""
    words = wanted.q.casefold().split()
    found = [row for row in rows if _fits(row, wanted) and all(word in _text(row) for word in words)]
    key = _KEYS.get(wanted.sort, _KEYS["at"])
    having = [row for row in found if key(row) is not None]
    having.sort(key=key, reverse=wanted.direction == "desc")
    return [*having, *(row for row in found if key(row) is None)]


def _fits(row: Listed, wanted: Wanted) -> bool:
    asked = ((wanted.type, row.dataset_type), (wanted.dag, row.dag_id), (wanted.state, row.state))
    return all(value in ("", has) for value, has in asked)


def _text(row: Listed) -> str:
    label = dataset_type(row.dataset_type).label if row.dataset_type else ""
    texts = (label, row.dataset_type, row.mark, row.dataset_id, row.dag_id, row.run_id, row.state, *row.activities)
    return "\n".join(texts).casefold()
