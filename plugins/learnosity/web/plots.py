"""Computes the plots: a box plot per row, their axis, and the points of the item scatter plot. Templates draw them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from learnosity.dataset.item_flags import DISCRIMINATION, P_VALUE, Flag, Thresholds, flags
from learnosity.dataset.tables import Table, is_number

PLOT_WIDTH = 160.0
MAX_POINTS = 5_000  # maximum number of points of one scatter plot; a browser draws this number quickly
MAX_DOTS = 400  # maximum number of users that one box plot shows as dots
# Pixels between each end of the axis and the edge of the drawing. The label of the lowest number begins 8 pixels before
# the axis, and the label of the highest number ends 8 pixels after it. The labels need this room.
_MARGIN = 10.0
# Maximum number of characters of `Point.label`, the reference of a question or an item. A longer one is cut, because it
# has to fit into the small box that the plot shows above a point.
_LABEL = 200
_LARGEST = 1e100  # larger numbers are not drawn, because calculations with them could overflow
_NAMES = ("lowest", "p25", "median", "p75", "highest")


@dataclass(frozen=True, slots=True)
class Box:
    """A box plot. Positions are pixels from the left edge; the drawing is `PLOT_WIDTH` wide.

    :param dots: one for each user, where users are drawn.
    """

    low: float
    left: float
    middle: float
    right: float
    high: float
    text: str
    dots: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Tick:
    """A number on the axis of the box plots, and its place in pixels."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Scale:
    """From which to which number the box plots of a table reach."""

    unit: str
    low: float
    high: float

    def at(self, value: float) -> float:
        """The place of a number in pixels; a number beyond the scale stands at its end."""
        share = min(max((value - self.low) / ((self.high - self.low) or 1.0), 0.0), 1.0)
        return round(_MARGIN + share * (PLOT_WIDTH - 2 * _MARGIN), 1)

    @property
    def sign(self) -> str:
        """The unit sign after each number."""
        return "%" if self.unit == "percent" else ""

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """The numbers on the axis: its ends, and what is between them."""
        middle = (self.low + self.high) / 2
        return tuple(Tick(self.at(value), f"{value:g}{self.sign}") for value in (self.low, middle, self.high))


@dataclass(frozen=True, slots=True)
class Point:
    """One item in the scatter plot: x is its p-value, y its discrimination index.

    :param path: its own file; "" = it has none.
    """

    x: float
    y: float
    label: str
    flags: tuple[Flag, ...] = ()
    path: str = field(default="")


def box_unit(columns: Sequence[str]) -> str | None:
    """The unit to draw, `percent` before `score`. None when a quartile or the median is missing for both."""
    units = ("percent", "score")
    return next((unit for unit in units if {f"{name}_{unit}" for name in _NAMES[1:4]} <= set(columns)), None)


def scale_of(table: Table) -> Scale | None:
    """The scale for all box plots of a table; None if it has none. It begins and ends at round numbers."""
    unit = box_unit(table.columns)
    if unit is None:
        return None
    if unit == "percent":
        return Scale(unit, 0.0, 100.0)
    columns = [f"{name}_{unit}" for name in _NAMES]
    known = [float(row[column]) for row in table.rows for column in columns if _finite(row.get(column))]
    return Scale(unit, *_round_ends(min(known, default=0.0), max(known, default=1.0)))


def box_of(row: Mapping[str, Any], scale: Scale, users: Iterable[Any] = ()) -> Box | None:
    """The box plot of a row; None for a row without these numbers.

    :param users: results of single users, in the unit of the scale; the first `MAX_DOTS` numbers are drawn.
    """
    columns = [f"{name}_{scale.unit}" for name in _NAMES]
    values = [float(row[column]) if _finite(row.get(column)) else None for column in columns]
    lowest, left, middle, right, highest = values
    if left is None or middle is None or right is None:
        return None
    lowest, highest = left if lowest is None else lowest, right if highest is None else highest
    sign, at = scale.sign, scale.at
    text = (
        f"lowest {lowest:g}{sign}, lower quartile {left:g}{sign}, median {middle:g}{sign}, "
        f"upper quartile {right:g}{sign}, highest {highest:g}{sign}"
    )
    dots = [at(float(value)) for value in users if _finite(value)]
    # A wrong file may have a lower quartile that is larger than the upper one. Without this line, the box of such a row
    # would have a negative width.
    left, right = min(left, right), max(left, right)
    return Box(at(lowest), at(left), at(middle), at(right), at(highest), text, tuple(dots[:MAX_DOTS]))


def points(rows: Sequence[Mapping[str, Any]], at: Thresholds, files: Mapping[str, str] | None = None) -> list[Point]:
    """Items that have both numbers, at most `MAX_POINTS`. Flagged items come first, because people look for them.

    :param files: an item's own file, by its reference.
    """
    known = files or {}
    usable = [(row, flags(row, at)) for row in rows if has_point(row)]
    usable.sort(key=lambda each: not each[1])
    return [
        Point(
            float(row[P_VALUE]),
            float(row[DISCRIMINATION]),
            reference(row)[:_LABEL],
            found,
            known.get(reference(row), ""),
        )
        for row, found in usable[:MAX_POINTS]
    ]


def has_point(row: Mapping[str, Any]) -> bool:
    """Whether an item has both numbers of a point, and both are possible."""
    return _within(row.get(P_VALUE), 0) and _within(row.get(DISCRIMINATION), -1)


def reference(row: Mapping[str, Any]) -> str:
    """The name of an item: of its question, or else of the item."""
    named = (row.get("question_reference"), row.get("item_reference"))
    return next((name for name in named if isinstance(name, str) and name), "")


def _round_ends(low: float, high: float) -> tuple[float, float]:
    """The scale from a low to a high number, widened to multiples of a round step."""
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span)) or span
    return math.floor(low / step) * step, math.ceil(high / step) * step


def _within(value: Any, low: int) -> bool:
    return is_number(value) and low <= value <= 1


def _finite(value: Any) -> bool:
    return is_number(value) and -_LARGEST < value < _LARGEST
