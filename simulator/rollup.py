"""Summary datasets: users with their scores, the tree of their groups, and the statistics of each group.

Users are columns of numbers, and groups hold user numbers, so that a large district fits in memory. A user in two
classes of one school counts once for the school, and one without a class counts for the school.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from typing import Any, Final

from . import statistics
from .config import SimulatorConfig
from .district import District, Outcome, total, within
from .records import UserRecord
from .validation import PERCENTILE, DatasetSpec

_CHECK_EVERY: Final = 2048


class Users:
    """The score columns of all users; a user is a row number."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.score = array("l")
        self.attempted = array("l")
        self.unscored = array("l")
        self.maximum = array("l")
        self.activities = array("h")

    def add(self, user_id: str, outcome: Outcome, activities: int) -> int:
        """Append a user.

        :returns: its row number.
        """
        self.ids.append(user_id)
        self.score.append(outcome.score)
        self.attempted.append(outcome.attempted)
        self.unscored.append(outcome.unscored)
        self.maximum.append(outcome.maximum)
        self.activities.append(activities)
        return len(self.ids) - 1

    def percent(self, row: int) -> float:
        """The score of a user who has a session, in percent of the possible points."""
        return 100 * self.score[row] / self.maximum[row]

    def attempted_percent(self, row: int) -> float:
        """The share of seen points whose items were attempted, in percent."""
        return 100 * self.attempted[row] / self.maximum[row]

    def fields(self, row: int, names: Iterable[str]) -> dict[str, Any]:
        """The requested fields of a user; scores of a user without any session are null."""
        seen = self.activities[row] > 0
        values: dict[str, Any] = {"user_id": self.ids[row]}
        for name in names:
            if name == "seen_activities":
                values[name] = self.activities[row]
            elif not seen:
                values[name] = None
            elif name == "percent":
                values[name] = statistics.rounded(self.percent(row))
            else:
                values[name] = self._column(name)[row]
        return values

    def _column(self, name: str) -> array[int]:
        return {
            "score": self.score,
            "attempted_max_score": self.attempted,
            "unscored_max_score": self.unscored,
            # A simulated user sees every item of a session, so `seen_score` and `max_score` are equal.
            "seen_score": self.maximum,
            "max_score": self.maximum,
        }[name]


class Group:
    """A node of the hierarchy; `row` holds its name and its statistics once they are computed."""

    __slots__ = ("children", "name", "row", "users")

    def __init__(self, name: str) -> None:
        self.name = name
        self.children: dict[str, Group] = {}
        self.users: list[int] = []
        self.row: dict[str, Any] = {}


class Rollup:
    """The groups of one summary dataset.

    :param records: the users to sum up.
    :param check: called from time to time; raises to stop the computation.
    """

    def __init__(
        self,
        spec: DatasetSpec,
        config: SimulatorConfig,
        records: Iterable[UserRecord],
        check: Callable[[], None],
    ) -> None:
        self._spec = spec
        self._config = config
        self._district = District(config.seed)
        self.users = Users()
        self.root = Group("")
        rows: dict[str, int] = {}
        for number, record in enumerate(records):
            if number % _CHECK_EVERY == 0:
                check()
            row = rows.get(record.user_id)
            if row is None:
                row = rows[record.user_id] = self._add(record)
            self._leaf(record).users.append(row)
        self._sum_up(self.root, check)

    def find(self, path: Iterable[str]) -> list[Group] | None:
        """The groups from the root to the one at `path`; None when there is no such group."""
        chain = [self.root]
        for name in path:
            if (child := chain[-1].children.get(name)) is None:
                return None
            chain.append(child)
        return chain

    def child_rows(self, group: Group) -> list[dict[str, Any]]:
        """The rows of the child groups, in the order of the request."""
        rows = [child.row for child in group.children.values()]
        return _ordered(rows, "group_name", self._spec.sort_field, self._spec.sort_descending)

    def user_rows(self, group: Group) -> list[dict[str, Any]]:
        """The users of a leaf group, when user fields were requested."""
        if group.children or not self._spec.user_fields:
            return []
        rows = [self.users.fields(row, self._spec.user_fields) for row in group.users]
        return _ordered(rows, "user_id", self._spec.users_sort_field, self._spec.users_sort_descending)

    def _add(self, record: UserRecord) -> int:
        district, spec = self._district, self._spec
        ability = district.ability(record.user_id)
        sessions: dict[str, str] = {}
        if spec.dataset_type == "activity-summary-by-group":
            for name in spec.activity_ids:
                session = district.latest_session(record.user_id, name, spec.mintime, spec.maxtime)
                if session is not None:
                    sessions[session] = name
        else:
            for session in record.session_list:
                if within(district.submitted(session), spec.mintime, spec.maxtime):
                    sessions[session] = district.activity_of_session(session)
        outcomes = [district.outcome(session, district.activity(name), ability) for session, name in sessions.items()]
        return self.users.add(record.user_id, total(outcomes), len(set(sessions.values())))

    def _leaf(self, record: UserRecord) -> Group:
        group = self.root
        for level in self._spec.levels:
            if (name := record.groups.get(level.key)) is None:
                break
            child = group.children.get(name)
            if child is None:
                child = group.children[name] = Group(name)
            group = child
        return group

    def _sum_up(self, group: Group, check: Callable[[], None]) -> None:
        check()
        for child in group.children.values():
            self._sum_up(child, check)
        # A record may name no group for the lower levels. Such a user belongs to this group itself, and not to a child.
        members = [group.users, *(child.users for child in group.children.values())]
        group.users = sorted({row for rows in members for row in rows})
        group.row = {"group_name": group.name, **self._statistics(group)}
        for child in group.children.values():
            if child.children:
                child.users = []  # to save memory: only groups without children need their users later

    def _statistics(self, group: Group) -> dict[str, Any]:
        users = self.users
        seen = [row for row in group.users if users.activities[row]]
        columns = {
            "score": sorted([float(users.score[row]) for row in seen]),
            "percent": sorted([users.percent(row) for row in seen]),
        }
        result: dict[str, Any] = {}
        for field in self._spec.fields:
            if field == "population":
                result[field] = len(group.users)
            elif field == "group_count":
                result[field] = len(group.children)
            elif field == "mean_seen_activities":
                result[field] = statistics.rounded(statistics.mean([users.activities[row] for row in group.users]))
            elif field == "mean_attempted_percent":
                result[field] = statistics.rounded(statistics.mean([users.attempted_percent(row) for row in seen]))
            else:
                kind, _, of = field.rpartition("_")
                result[field] = statistics.rounded(self._of(kind, field, columns[of]))
        return result

    def _of(self, kind: str, field: str, ordered: list[float]) -> float | None:
        if match := PERCENTILE.match(field):
            return statistics.percentile(ordered, int(match[1]), self._config.percentile_method)
        if not ordered:
            return None
        if kind == "lowest":
            return ordered[0]
        if kind == "highest":
            return ordered[-1]
        if kind == "median":
            return statistics.percentile(ordered, 50, self._config.percentile_method)
        if kind == "stddev":
            return statistics.stddev(ordered, self._config.stddev_method)
        return statistics.mean(ordered)


def _ordered(rows: list[dict[str, Any]], name: str, field: str | None, descending: bool) -> list[dict[str, Any]]:
    """Rows in the order of the sort field, nulls last; rows of equal value, or all without a field, by name."""
    rows.sort(key=lambda row: str(row[name]))
    if field is not None:
        present = [row for row in rows if row[field] is not None]
        present.sort(key=lambda row: float(row[field]), reverse=descending)
        rows = present + [row for row in rows if row[field] is None]
    return rows
