"""The trend of the key figures over the last datasets: one small chart per figure. Templates draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from learnosity.api.report_definition import field_label
from learnosity.dataset.key_figures import OF_GROUPS, OF_ITEMS, comparable
from learnosity.web.cells import cell_text, decimals
from learnosity.web.history import PastDataset
from learnosity.web.rendering import utc_text

WIDTH, HEIGHT = 280.0, 110.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 12.0, 268.0, 26.0, 84.0


@dataclass(frozen=True, slots=True)
class Mark:
    """One dataset in a chart, in pixels.

    :param published: when the dataset was published.
    :param text: its figure.
    :param current: whether it is the dataset of the page.
    """

    x: float
    y: float
    published: datetime
    text: str
    current: bool

    @property
    def title(self) -> str:
        """When it was published, in UTC and with the time of day, and its figure."""
        return f"{utc_text(self.published)}: {self.text}"


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure over time, the oldest dataset first. A dataset without the figure is left out.

    :param line: the points of the line, as SVG wants them.
    """

    label: str
    marks: tuple[Mark, ...]
    line: str
    first: str
    last: str

    @property
    def text(self) -> str:
        """The chart in words. A script of the page writes its moments in the zone of the viewer."""
        return f"{self.label}. {', '.join(mark.title for mark in self.marks)}"


def charts(past: Sequence[PastDataset]) -> tuple[Chart, ...]:
    """The charts of the figures that at least two datasets have.

    :param past: the newest first; the first is that of the page.
    """
    made = (_chart(name, past) for name in (*OF_GROUPS, *OF_ITEMS))
    return tuple(chart for chart in made if chart is not None)


def figure_texts(past: Sequence[PastDataset], names: Sequence[str]) -> list[list[str]]:
    """The figures of each dataset, with the same decimals for each figure; "" = the dataset has none."""
    places = {name: decimals(name, [each.figures.get(name) for each in past]) for name in names}
    return [[cell_text(each.figures.get(name), places[name]) for name in names] for each in past]


def figure_names(past: Sequence[PastDataset]) -> list[str]:
    """The figures that some dataset has."""
    return [name for name in (*OF_GROUPS, *OF_ITEMS) if any(name in each.figures for each in past)]


def _chart(name: str, past: Sequence[PastDataset]) -> Chart | None:
    found = [
        (place, each)
        for place, each in enumerate(reversed(past))
        if name in each.figures and comparable(name, each.figures, past[0].figures)
    ]
    if len(found) < 2:
        return None
    values = [each.figures[name] for _, each in found]
    places = decimals(name, values)
    low, high = min(values), max(values)
    step = (_RIGHT - _LEFT) / (len(past) - 1)

    def height(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(_BOTTOM - share * (_BOTTOM - _TOP), 1)

    texts = [cell_text(value, places) for value in values]
    marks = tuple(
        Mark(round(_LEFT + place * step, 1), height(value), each.published, text, each is past[0])
        for (place, each), value, text in zip(found, values, texts, strict=True)
    )
    line = " ".join(f"{mark.x:g},{mark.y:g}" for mark in marks)
    return Chart(field_label(name), marks, line, texts[0], texts[-1])
