"""Calculates figures of a group from its rows and those of its users: percents of users, means and totals.

Only what a file says is used, and nothing is guessed: a median is never made of medians. Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from learnosity.dataset.columns import is_id
from learnosity.dataset.tables import Document, Kind, Table, is_number

PERCENT, ATTEMPTED = "percent", "attempted_percent"
_COUNTS = ("population", "group_count")
_LARGEST = 1e100  # larger numbers are left out of calculations, because their sums could overflow

Row = Mapping[str, Any]


def own_row(document: Document) -> Row | None:
    """The row of the group that a file describes; None = it has none."""
    return next((each.rows[0] for each in document.tables if each.name == "group" and each.rows), None)


def rows_above(document: Document) -> Sequence[Row]:
    """The rows of the groups above, the top first."""
    found = (each.rows for each in document.tables if each.name == "ancestors" and each.kind is Kind.GROUPS)
    return next(found, ())


def with_percents(users: Table) -> Table:
    """Users with their percents: of the points, and of what they attempted. Columns of the file are not replaced."""
    wanted = {PERCENT: ("score", ("max_score",)), ATTEMPTED: ("attempted_max_score", ("seen_score", "max_score"))}
    made: dict[str, tuple[str, str]] = {}
    for name, (part, wholes) in wanted.items():
        whole = next((each for each in wholes if users.has(each)), None)
        if not users.has(name) and users.has(part) and whole:
            made[name] = part, whole
    if not made:
        return users
    rows = [
        {**row, **{name: percent(row.get(part), row.get(whole)) for name, (part, whole) in made.items()}}
        for row in users.rows
    ]
    first, rest = users.columns[:1], users.columns[1:]
    return replace(users, columns=(*first, *made, *rest), rows=rows)


def percent(part: Any, whole: Any) -> float | None:
    """`part` in percent of `whole`; None if one of them is no number, or `whole` is 0."""
    if not (finite(part) and finite(whole)) or not whole:
        return None
    return 100 * float(part) / float(whole)


def mean_row(users: Table) -> dict[str, Any]:
    """The mean of each column of numbers."""
    found: dict[str, Any] = {}
    for name in users.columns:
        values = [row[name] for row in users.rows if finite(row.get(name))]
        if values and not is_id(name):
            found[name] = math.fsum(values) / len(values)
    return found


def total_row(groups: Table) -> dict[str, Any]:
    """The sums of users and groups. If one group has no number, there is no sum."""
    found: dict[str, Any] = {}
    for name in _COUNTS:
        values = [row.get(name) for row in groups.rows]
        if name in groups.columns and values and all(isinstance(value, int) and abs(value) < 2**63 for value in values):
            found[name] = sum(value for value in values if isinstance(value, int))
    return found


def facts(own: Row | None, users: Table | None) -> dict[str, Any]:
    """The figures of a group, by the name of their field: from its own row, or else calculated from all its users.

    :param users: all users of the group, with their percents; None = they are not known.
    """
    said = own or {}
    # If `population` is 0, it is kept: the group has no users. If `group_count` is 0, it is left out: a group of the
    # lowest level never has groups below it, so this 0 says nothing.
    found = {name: said[name] for name in _COUNTS if finite(said.get(name)) and (said[name] or name == "population")}
    made: dict[str, Any] = {}
    if users is not None:
        values = [row[PERCENT] for row in users.rows if finite(row.get(PERCENT))]
        found.setdefault("population", len(users.rows))
        if users.has(PERCENT):
            found["with_a_result"] = len(values)
        if values:
            made = {
                "mean_percent": math.fsum(values) / len(values),
                "median_percent": median(values),
                "lowest_percent": min(values),
                "highest_percent": max(values),
            }
    unit = "percent" if made or any(name.endswith("_percent") for name in said) else "score"
    for kind in ("mean", "median", "stddev", "lowest", "highest"):
        name = f"{kind}_{unit}"
        value = said.get(name) if finite(said.get(name)) else made.get(name)
        if value is not None:
            found[name] = value
    return found


def finite(value: Any) -> bool:
    """Whether a cell is a number that can be calculated with."""
    return is_number(value) and -_LARGEST < value < _LARGEST
