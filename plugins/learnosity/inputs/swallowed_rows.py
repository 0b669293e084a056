"""Finds the rows that the parser took for one cell, because two cells begin and end with a quote that is text.

A text of several lines may have the same form. It is refused only if it has rows of the file for sure. What is in doubt
is sent, with a warning. No message has the content of a cell.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from learnosity.errors import InputProblem
from learnosity.inputs.columns import GROUPS, Column
from learnosity.inputs.delimited import DelimitedText
from learnosity.inputs.dialects import rows_of
from learnosity.inputs.group_survey import KEPT
from learnosity.inputs.problems import MAX_PROBLEMS, Problems

log = logging.getLogger(__name__)

_ARE_ROWS: Final = (
    "a cell of several lines looks like rows between two quotes that are text: double the quotes in cells; if the cell "
    "is right, put the names in the header in double quotes"
)
# In a file without groups, a cell is refused as several rows only if each id in these rows has at least this many
# characters, as a UUID without hyphens has. Shorter ids may be words of a text, so the cell is sent, with a warning.
_LONG_ID: Final = 32


class SwallowedRows:
    """The cells of several lines that may be rows: those of one file, and the places of the first doubtful ones of all.

    :param problems: takes the cells that are rows for sure.
    """

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._sure: list[tuple[int, list[str]]] = []
        self._doubtful: list[int] = []
        self._kept: list[InputProblem] = []
        self._count = self._all = 0

    def sift(
        self,
        name: str,
        numbers: Sequence[int],
        rows: list[list[str]],
        columns: Sequence[Column],
        table: DelimitedText[Any],
    ) -> tuple[Sequence[int], list[list[str]]]:
        """Look at rows of the file. Those with a cell that is rows for sure are kept until `file_ends`, and left out.

        :returns: the other rows, and their numbers.
        """
        end, width = table.dialect.end, len(table.header)
        made = {
            place: found
            for place, row in enumerate(rows)
            if end in "".join(row) and len(row) == width and (found := rows_of(row, table.dialect))
        }
        if not made:
            return numbers, rows
        top = next((column.index for column in columns if column.key.startswith(GROUPS)), None)
        others = [row for place, row in enumerate(rows) if place not in made and len(row) == width]
        sure = {place for place, found in made.items() if _are_rows(found, columns, top, others)}
        self._sure += [(numbers[place], rows[place]) for place in sorted(sure)]
        doubtful = [numbers[place] for place in made if place not in sure]
        self._count += len(doubtful)
        self._doubtful = [*self._doubtful, *doubtful][:KEPT]
        if len(self._sure) >= MAX_PROBLEMS:
            # After `MAX_PROBLEMS` problems, the rest of the input is not read. This call ends the reading: `file_ends`
            # adds the rows of `_sure` to the problems, and `Problems.add` raises an error when there are so many.
            self.file_ends(name, is_quoting=False)
        left = [place for place in range(len(rows)) if place not in sure]
        return [numbers[place] for place in left], [rows[place] for place in left]

    def file_ends(self, name: str, *, is_quoting: bool) -> list[tuple[int, list[str]]]:
        """Decide on the cells of a file.

        :param is_quoting: whether its writer quotes the cells that need it, so that each of them is one cell.
        :returns: the rows that were left out and are right, with their numbers.
        """
        sure, doubtful, count = self._sure, self._doubtful, self._count
        self._sure, self._doubtful, self._count = [], [], 0
        if is_quoting:
            return sure
        for number, _ in sure:
            self._problems.add(name, number, _ARE_ROWS)
        self._all += count
        what = "a cell of several lines may be rows"
        self._kept = [*self._kept, *(InputProblem(name, number, what) for number in doubtful)][:KEPT]
        return []

    def log(self) -> None:
        """Log the doubtful cells, each by its place."""
        if self._all:
            kept = f" The first {KEPT}:" if self._all > KEPT else ""
            advice = (
                f"{self._all:,} cell(s) of several lines have the form of rows between two quotes that are text; each "
                "is read as one cell. If rows are missing, double the quotes in cells; if the cells are right, put the "
                f"names in the header in double quotes, and nothing is said.{kept}"
            )
            log.warning("%s", "\n  ".join(map(str, [advice, *self._kept])))


def _are_rows(
    made: Sequence[Sequence[str]], columns: Sequence[Column], top: int | None, others: Sequence[Sequence[str]]
) -> bool:
    """Whether rows that a cell may be made of are rows of the file for sure.

    Their ids have to be of the same kinds of characters, or of the kinds that the ids of other rows have. Their groups
    of the top level have to be all the same, or groups of other rows; where there are no groups, the ids have to be
    long. Rows of two columns prove nothing.

    :param top: index of the column with the top level; None = there are no groups.
    :param others: other rows of the file.
    """
    place = next((column.index for column in columns if column.key in ("user_id", "session_id")), None)
    if place is None or len(made[0]) < 3:
        return False
    ids = [row[place] for row in made]
    if any(not each or any(map(str.isspace, each)) for each in ids):
        return False
    are_alike = len(set(map(_kinds, ids))) == 1
    if top is None:
        return are_alike and len(set(map(len, ids))) == 1 and len(ids[0]) >= _LONG_ID
    groups = {row[top] for row in made}
    if not all(map(str.strip, groups)) or not (len(groups) == 1 or groups <= {row[top] for row in others}):
        return False
    return are_alike or _kinds("".join(ids)) <= _kinds("".join(row[place] for row in others))


def _kinds(text: str) -> frozenset[str]:
    """The kinds of characters in a text: letters, digits, and each other one."""
    return frozenset("a" if each.isalpha() else "0" if each.isdigit() else each for each in text)
