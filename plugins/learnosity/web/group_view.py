"""What the page of a group shows above its rows: its figures, and a comparison with the groups above it. No HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learnosity.api.report_definition import field_label, group_label
from learnosity.dataset.group_figures import (
    PERCENT,
    facts,
    finite,
    mean_row,
    own_row,
    rows_above,
    total_row,
    with_percents,
)
from learnosity.dataset.tables import Document, Kind, Table
from learnosity.web.cells import cell_text
from learnosity.web.tables import TableView, view

_SHOWN = ("population", "mean", "median", "stddev")
_QUARTILES = ("lowest", "p25", "median", "p75", "highest")
# Maximum number of rows in the comparison: the row of the group itself, and the rows of the nearest groups above it.
_MANY_LEVELS = 6


@dataclass(frozen=True, slots=True)
class GroupPage:
    """The figures of a group.

    :param facts: label and text of each figure.
    :param against: the group and those above, with a box plot each; None = nothing is known of those above.
    :param calculated: whether percents of users are calculated here.
    """

    facts: tuple[tuple[str, str], ...]
    against: TableView | None
    calculated: bool = False


def group_page(
    document: Document, users: Table | None, path: Sequence[str], request: Mapping[str, Any], *, whole: bool
) -> GroupPage:
    """The figures of a group.

    :param users: its users, with their percents; None = they are not shown, or the file has groups beside them.
    :param path: names of the groups from the top to this one.
    :param request: the request that made the dataset: it names the levels.
    :param whole: whether the file was read to its end.
    """
    own = own_row(document)
    known = users if whole else None
    shown = tuple((field_label(name), _fact(name, value)) for name, value in facts(own, known).items())
    return GroupPage(shown, _against(document, own, known, path, request))


def users_with_percents(users: Table) -> tuple[Table, bool]:
    """Users with their percents, and whether these were calculated here."""
    made = with_percents(users)
    return made, made is not users


def last_row(table: Table, own: Mapping[str, Any] | None, path: Sequence[str]) -> dict[str, Any] | None:
    """The row below a table: of the group itself, or else the sums; of users the means. None = there is none."""
    if len(table.rows) < 2 or not table.columns:
        return None
    if table.kind is Kind.USERS:
        found, name = mean_row(table), "Mean"
    elif table.kind is Kind.GROUPS:
        said = {column: own[column] for column in table.columns if column in own} if own else {}
        found, name = (said, f"All of {path[-1]}" if path else "All") if said else (total_row(table), "All")
    else:
        return None
    return {**found, table.columns[0]: name} if found else None


def _fact(name: str, value: Any) -> str:
    sign = "%" if name.endswith("_percent") else ""
    places = 0 if value == int(value) and not sign else 1 if sign else 2
    return cell_text(value, places) + sign


def _against(
    document: Document,
    own: Mapping[str, Any] | None,
    users: Table | None,
    path: Sequence[str],
    request: Mapping[str, Any],
) -> TableView | None:
    above = rows_above(document)
    if own is None or not above:
        return None
    rows = [own, *reversed(above)][:_MANY_LEVELS]
    unit = "percent" if any("mean_percent" in row or "median_percent" in row for row in rows) else "score"
    depths = range(len(above), len(above) - len(rows), -1)
    labels = [_label(row, depth, path, request) for row, depth in zip(rows, depths, strict=True)]
    mean, difference = f"mean_{unit}", f"difference_{unit}"
    made = [
        {**row, "group_name": label, difference: own[mean] - row[mean] if number and _both(own, row, mean) else None}
        for number, (row, label) in enumerate(zip(rows, labels, strict=True))
    ]
    names = [name if name == "population" else f"{name}_{unit}" for name in _SHOWN]
    columns = ["group_name", *(name for name in names if any(name in row for row in rows))]
    if any(row[difference] is not None for row in made):
        columns.append(difference)
    drawn = [name for each in _QUARTILES if any((name := f"{each}_{unit}") in row for row in rows)]
    table = Table(Kind.GROUPS, "against", tuple(columns), made)
    dots = [row.get(PERCENT) for row in users.rows] if users and unit == "percent" else []
    return view(table, caption="Against the groups above", users={0: dots}, drawn=drawn)


def _label(row: Mapping[str, Any], depth: int, path: Sequence[str], request: Mapping[str, Any]) -> str:
    if depth == 0:
        return "All"
    name = row.get("group_name")
    name = name if isinstance(name, str) and name else path[depth - 1] if depth <= len(path) else ""
    return f"{group_label(request, depth - 1)} {name}"


def _both(one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> bool:
    return finite(one.get(name)) and finite(other.get(name))
