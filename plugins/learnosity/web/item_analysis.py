"""The view of an item analysis: its summary, the histogram of p-values, the scatter plot, and which questions to show.

What is asked for, such as thresholds, stands in the address of the page and in every link of it. No HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote

from learnosity.dataset.item_flags import (
    DISCRIMINATION,
    P_VALUE,
    Flag,
    Summary,
    Thresholds,
    flags,
    has_few_sessions,
    histogram,
    p_values,
    summary,
)
from learnosity.dataset.tables import Table
from learnosity.web.addresses import file_address
from learnosity.web.plots import has_point, points, reference

LABELS = {
    Flag.KEY: "check the key",
    Flag.ODD: "out of range",
    Flag.POOR: "poor discrimination",
    Flag.HARD: "too hard",
    Flag.EASY: "too easy",
}
ANY_FLAG = "flagged"
FIELDS = {"hard": "Too hard below p", "easy": "Too easy above p", "poor": "Poor below discrimination"}
DEFAULTS = Thresholds()
# Width and height of the histogram in pixels. BASE is the y position of its horizontal axis.
WIDTH, HEIGHT, BASE = 640.0, 190.0, 150.0
LEFT = 10.0  # x position of the first bar, in pixels


class NotAThresholdError(ValueError):
    """A value in the address cannot be a threshold, or a choice of questions. The message says which values can."""


@dataclass(frozen=True, slots=True)
class ItemQuery:
    """Which questions of an analysis the page shows, as its address says.

    :param only: `flagged`, or the name of one flag; "" = all questions.
    """

    at: Thresholds = DEFAULTS
    only: str = ""

    @classmethod
    def of(cls, *, hard: str, easy: str, poor: str, only: str) -> ItemQuery:
        """From the texts of an address; an empty text is the default.

        :raises NotAThresholdError: see the message.
        """
        usual = DEFAULTS
        at = Thresholds(
            _number("hard", hard, usual.hard, 0),
            _number("easy", easy, usual.easy, 0),
            _number("poor", poor, usual.poor, -1),
        )
        if at.hard > at.easy:
            raise NotAThresholdError(
                f"Too hard ({at.hard:g}) is above too easy ({at.easy:g}): lower the first, or raise the second"
            )
        if only and only not in (ANY_FLAG, *Flag):
            raise NotAThresholdError(f"Only which questions: give {ANY_FLAG}, {', '.join(Flag)}, or nothing")
        return cls(at, only)

    @property
    def given(self) -> dict[str, str]:
        """The values that differ from the defaults, by their parameter in the address."""
        usual = DEFAULTS
        numbers = ((name, getattr(self.at, name), getattr(usual, name)) for name in ("hard", "easy", "poor"))
        found = {name: f"{value}" for name, value, default in numbers if value != default}
        return found | ({"only": self.only} if self.only else {})

    @property
    def moved(self) -> bool:
        """Whether a threshold is not the default."""
        return self.at != DEFAULTS

    @property
    def query(self) -> str:
        """The start of an address's query; every part ends with `&`."""
        return "".join(f"{name}={quote(value, safe='')}&" for name, value in self.given.items())

    def shows(self, row: Mapping[str, Any]) -> bool:
        """Whether the page shows a question."""
        if not self.only:
            return True
        found = flags(row, self.at)
        return bool(found) if self.only == ANY_FLAG else self.only in found


@dataclass(frozen=True, slots=True)
class Choice:
    """A link that shows the questions of one kind."""

    label: str
    count: int
    query: str
    current: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the histogram, in pixels.

    :param kind: `hard`, `easy` or "": beyond which threshold all of it lies.
    """

    x: float
    y: float
    width: float
    height: float
    count: int
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class ItemAnalysis:
    """What the page of an analysis shows beside its table.

    :param bars: histogram of the p-values; empty = no question has one.
    :param lines: the thresholds of the p-value in the histogram: pixels, and text.
    :param scatter: data of the scatter plot; None = no question has both numbers.
    :param drawn_all: whether all points are drawn.
    """

    asked: ItemQuery
    whole: Summary
    choices: tuple[Choice, ...]
    bars: tuple[Bar, ...]
    lines: tuple[tuple[float, str], ...]
    scatter: Mapping[str, Any] | None
    drawn_all: bool


def item_analysis(table: Table, shown: Table, asked: ItemQuery, files: Mapping[str, str], here: str) -> ItemAnalysis:
    """The view of an analysis.

    :param shown: the questions that are asked for.
    :param files: see `own_files`.
    :param here: address of the dataset's page.
    """
    whole = summary(table.rows, asked.at)
    drawn = points(shown.rows, asked.at, files)
    scatter = {
        "here": f"{here}/view/",
        "thresholds": {"hard": asked.at.hard, "easy": asked.at.easy, "poor": asked.at.poor},
        "points": [
            [each.x, each.y, each.label, each.flags[0] if each.flags else "", _words(each.flags), _below(each.path)]
            for each in drawn
        ],
    }
    return ItemAnalysis(
        asked,
        whole,
        tuple(_choices(asked, whole)),
        tuple(_bars(p_values(table.rows), asked.at)),
        tuple((_x(value), text) for value, text in ((asked.at.hard, "too hard"), (asked.at.easy, "too easy"))),
        scatter if drawn else None,
        len(drawn) == sum(map(has_point, shown.rows)),
    )


def own_files(paths: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The own file of each question, by its reference: a JSON file that is named like the question or its item.

    A name may be percent-encoded. Where several files have the name, the one with the fewest folders counts.
    """
    wanted = {name for row in rows for name in _names(row)}
    found: dict[str, str] = {}
    for path in paths:
        stem, dot, ending = path.rpartition("/")[2].rpartition(".")
        if dot and ending.lower() == "json":
            name = unquote(stem) if "%" in stem else stem
            if name in wanted and (name not in found or _shorter(path, found[name])):
                found[name] = path
    own = ((reference(row), next((found[name] for name in _names(row) if name in found), "")) for row in rows)
    return {name: path for name, path in own if path}


def words_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Words beside the flags of a question."""
    return ("few sessions",) if has_few_sessions(row) else ()


def has_statistics(table: Table) -> bool:
    """Whether a table of questions has a column that can be flagged."""
    return bool({P_VALUE, DISCRIMINATION} & set(table.columns))


def _number(name: str, text: str, default: float, low: int) -> float:
    if not text.strip():
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= 1:
        raise NotAThresholdError(f"{FIELDS[name]}: give a number from {low} to 1")
    return value


def _choices(asked: ItemQuery, whole: Summary) -> Iterable[Choice]:
    for only, label, count in (
        ("", "All", whole.questions),
        (ANY_FLAG, "Flagged", whole.flagged),
        *((flag, LABELS[flag].capitalize(), whole.flags.get(flag, 0)) for flag in Flag),
    ):
        if only != Flag.ODD or count:
            yield Choice(label, count, replace(asked, only=str(only)).query, asked.only == only)


def _bars(values: Sequence[float], at: Thresholds) -> Iterable[Bar]:
    counts = histogram(values) if values else ()
    width = (WIDTH - LEFT - 10) / (len(counts) or 1)
    for number, count in enumerate(counts):
        low, high = number / len(counts), (number + 1) / len(counts)
        kind = "hard" if high <= at.hard + 1e-9 else "easy" if low >= at.easy - 1e-9 else ""
        height = round(count / max(counts) * (BASE - 24), 1)
        text = f"{low:.2f} to {high:.2f}: {count:,}"
        yield Bar(round(LEFT + number * width + 1, 1), BASE - height, round(width - 2, 1), height, count, text, kind)


def _x(value: float) -> float:
    return round(LEFT + value * (WIDTH - LEFT - 10), 1)


def _names(row: Mapping[str, Any]) -> list[str]:
    return [name for key in ("question_reference", "item_reference") if isinstance(name := row.get(key), str) and name]


def _shorter(path: str, other: str) -> bool:
    return (path.count("/"), path) < (other.count("/"), other)


def _below(path: str) -> str:
    """What follows `/view/` in the address of a file; "" = there is no file."""
    return file_address("", path).removeprefix("/view/") if path else ""


def _words(found: Iterable[Flag]) -> str:
    return ", ".join(LABELS[flag] for flag in found)
