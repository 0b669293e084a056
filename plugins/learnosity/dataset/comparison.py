"""Compares the rows of two datasets: groups by their name, questions and users by their reference or id.

Only what is compared is kept of a table, so that two large ones fit into memory. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learnosity.dataset.group_figures import finite
from learnosity.dataset.tables import Kind, Table

BEFORE, CHANGE = "_before", "_change"
NEW, GONE = "new", "gone"
STATE = "state"
# For each kind of rows, `_NAMES` has the columns that say which group, user or question a row is about. `_MEASURES` has
# the columns whose values are compared, the most important one first.
_NAMES = {
    Kind.GROUPS: ("group_name",),
    Kind.USERS: ("user_id",),
    Kind.ITEMS: ("item_reference", "question_reference", "question_number"),
}
_MEASURES = {
    Kind.GROUPS: ("mean_percent", "median_percent", "population", "mean_score", "median_score"),
    Kind.USERS: ("percent", "score"),
    Kind.ITEMS: ("p_value", "discrimination_index", "count_sessions"),
}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Slim:
    """The columns of a table that are compared. The others are not kept, to save memory.

    :param names: columns that name a row.
    :param measures: columns that are compared.
    """

    kind: Kind
    names: tuple[str, ...]
    measures: tuple[str, ...]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rows of both tables, in the order of the newer one; gone rows come last.

    :param rows: for each measure its value, the one before (`…_before`) and the change (`…_change`); and `state`.
    """

    table: Table
    new: int
    gone: int

    @property
    def both(self) -> int:
        """How many rows are in both tables."""
        return len(self.table.rows) - self.new - self.gone


def slim(table: Table | None) -> Slim | None:
    """The columns of a table that can be compared; None if no column names its rows."""
    if table is None or table.kind not in _NAMES:
        return None
    known = [name for name in _NAMES[table.kind] if table.has(name)]
    # `compare` matches the rows of two datasets by the columns in `names`. A column without any value is left out: if
    # the other dataset has values in it, no row would match. But if no column has a value, all columns are kept. Then
    # the rows have no names, and are matched by their order: the first row with the first row without a name in the
    # other dataset, the second row with the second one, and so on.
    names = tuple(name for name in known if any(row.get(name) is not None for row in table.rows)) or tuple(known)
    measures = tuple(name for name in _MEASURES[table.kind] if table.has(name))
    if not names:
        return None
    kept = (*names, *measures)
    return Slim(table.kind, names, measures, [{name: row.get(name) for name in kept} for row in table.rows])


def matchable(now: Slim, before: Slim) -> bool:
    """Whether rows of one table can be found in the other: both have one kind of rows, and a column with names."""
    return now.kind is before.kind and not set(now.names).isdisjoint(before.names)


def compare(now: Slim, before: Slim | None) -> Comparison:
    """Compare two tables whose rows can be matched.

    :param before: None = it is certain that there were no such rows: every row is new.
    """
    # The two datasets may have been requested with different fields. So rows are matched only by columns that are in
    # the `names` of both.
    shared = tuple(name for name in now.names if before and name in before.names)
    old = dict(_keyed(before, shared or before.names)) if before else {}
    theirs = set(before.measures) if before else set()
    measures = [name for name in now.measures if not before or name in theirs] or list(now.measures)
    rows: list[Row] = []
    new = 0
    for key, row in _keyed(now, shared or now.names):
        other = old.pop(key, None)
        new += other is None
        rows.append(_row(row, other, row, now.names, measures))
    gone = [_row(None, other, other, now.names, measures) for other in old.values()]
    columns = [*now.names[:2], *(f"{name}{end}" for name in measures for end in ("", BEFORE, CHANGE))]
    return Comparison(Table(now.kind, "compared", tuple(columns), [*rows, *gone]), new, len(gone))


def change(now: Any, before: Any) -> float | None:
    """The difference of two numbers; None if one of them is no number."""
    if not (finite(now) and finite(before)):
        return None
    # The difference of two floats is rounded, because it may have more decimals than the floats: 0.3 - 0.1 is
    # 0.19999999999999998.
    return now - before if isinstance(now, int) and isinstance(before, int) else round(float(now) - float(before), 6)


def differences(now: Row, before: Row) -> tuple[str, ...]:
    """The parts in which two requests differ: datasets of different requests can hardly be compared."""
    parts = ("filters", "groups", "organisation_id")
    found = [part for part in parts if now.get(part) != before.get(part)]
    asked = ("fields", "user_fields")
    return (*found, *(f"options.{name}" for name in asked if _asked(now, name) != _asked(before, name)))


def _asked(request: Row, name: str) -> Any:
    """The fields that were asked for. Their order changes no number."""
    options = request.get("options")
    fields = options.get(name) if isinstance(options, Mapping) else None
    return sorted({f"{name!s:.200}" for name in fields}) if isinstance(fields, list) else fields


def _keyed(table: Slim, names: Sequence[str]) -> Iterator[tuple[tuple[str, ...], Row]]:
    """The rows by these columns of theirs. A second row with the same name gets a number after it."""
    seen: dict[tuple[str, ...], int] = {}
    for row in table.rows:
        # `question_number` is only the position of a question, and the other dataset may have another order. So a row
        # that has a `question_reference` is matched by this reference, and not by its number.
        is_named = "question_reference" in names and row["question_reference"] is not None
        told = ("" if name == "question_number" and is_named else row[name] for name in names)
        key = (*names, *("" if each is None else f"{each!s:.200}" for each in told))
        number = seen[key] = seen.get(key, -1) + 1
        yield (*key, str(number)), row


def _row(now: Row | None, before: Row | None, named: Row, names: Sequence[str], measures: Sequence[str]) -> Row:
    state = NEW if before is None else GONE if now is None else ""
    found: dict[str, Any] = {**{name: named.get(name) for name in names}, STATE: state}
    for name in measures:
        one, other = (now or {}).get(name), (before or {}).get(name)
        found |= {name: one, f"{name}{BEFORE}": other, f"{name}{CHANGE}": change(one, other)}
    return found
