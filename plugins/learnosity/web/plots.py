"""Computes the plots: one box plot per row, and the points of the item scatter plot. Templates draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learnosity.dataset.tables import Table, is_number, is_poor

PLOT_WIDTH = 160.0
MAX_POINTS = 5_000  # in one scatter plot; a browser draws this number quickly
_MARGIN = 4.0
_LABEL = 200  # characters of a point's name
_LARGEST = 1e100  # larger numbers are not drawn
_NAMES = ("lowest", "p25", "median", "p75", "highest")


@dataclass(frozen=True, slots=True)
class Box:
    """A box plot. Positions are pixels from the left edge; the drawing is `PLOT_WIDTH` wide."""

    low: float
    left: float
    middle: float
    right: float
    high: float
    text: str


@dataclass(frozen=True, slots=True)
class Point:
    """One item in the scatter plot: x is its p-value, y its discrimination index."""

    x: float
    y: float
    label: str
    poor: bool


def box_unit(columns: Sequence[str]) -> str | None:
    """The unit to draw, `percent` before `score`. None when a quartile or the median is missing for both."""
    units = ("percent", "score")
    return next((unit for unit in units if {f"{name}_{unit}" for name in _NAMES[1:4]} <= set(columns)), None)


def boxes(table: Table, rows: Sequence[Mapping[str, Any]]) -> list[Box | None]:
    """One box plot per row, all with the scale of the whole table. None for a row without these numbers."""
    unit = box_unit(table.columns)
    if unit is None:
        return [None] * len(rows)
    columns = [f"{name}_{unit}" for name in _NAMES]
    known = [float(row[column]) for row in table.rows for column in columns if _finite(row.get(column))]
    low, high = (0.0, 100.0) if unit == "percent" else (min(known, default=0.0), max(known, default=1.0))
    span = (high - low) or 1.0
    return [_box(row, columns, low, span, "%" if unit == "percent" else "") for row in rows]


def points(rows: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Items that have both numbers, at most `MAX_POINTS`. Poor items come first, because people look for them."""
    usable = [row for row in rows if _finite(row.get("p_value")) and _finite(row.get("discrimination_index"))]
    usable.sort(key=lambda row: not is_poor(row))
    return [
        Point(
            float(row["p_value"]),
            float(row["discrimination_index"]),
            str(row.get("question_reference") or row.get("item_reference") or "")[:_LABEL],
            is_poor(row),
        )
        for row in usable[:MAX_POINTS]
    ]


def _box(row: Mapping[str, Any], columns: Sequence[str], low: float, span: float, sign: str) -> Box | None:
    values = [float(row[column]) if _finite(row.get(column)) else None for column in columns]
    lowest, left, middle, right, highest = values
    if left is None or middle is None or right is None:
        return None
    lowest, highest = left if lowest is None else lowest, right if highest is None else highest

    def at(value: float) -> float:
        share = min(max((value - low) / span, 0.0), 1.0)
        return round(_MARGIN + share * (PLOT_WIDTH - 2 * _MARGIN), 1)

    text = (
        f"lowest {lowest:g}{sign}, lower quartile {left:g}{sign}, median {middle:g}{sign}, "
        f"upper quartile {right:g}{sign}, highest {highest:g}{sign}"
    )
    return Box(at(lowest), at(left), at(middle), at(right), at(highest), text)


def _finite(value: Any) -> bool:
    return is_number(value) and -_LARGEST < value < _LARGEST
