"""How CSV and TSV are written: delimiter, quote and line end, and cells that look as if they were written otherwise."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
"""The delimiters that a file may have, and their names."""
ESCAPE: Final = re.compile(r"""\\['"\\,;\t|]|\\$""")
"""A backslash that may be an escape."""
SPACED_QUOTE: Final = "a quote stands behind a blank: write the file without blanks between delimiter and quote"
"""The message about a cell that begins with blanks and a quote behind them."""
_SPACED_QUOTE: Final = re.compile(r' +"')
_FORMULA: Final = re.compile(r'="[^"]*"')
ODD: Final = ("\0", "\\", "'", ' "', '="')
"""`oddity` checks the cells of a block of rows only if one of these is in the block."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written.

    :param end: the last character of each line: a line feed, or a carriage return alone.
    :param is_certain: whether names in the header are in double quotes, so that no other quotes are meant.
    :param is_spaced: whether a blank follows a delimiter in the header.
    """

    delimiter: str
    quote: str
    end: str = "\n"
    is_certain: bool = False
    is_spaced: bool = False

    @property
    def name(self) -> str:
        """The format, for people to read."""
        return "TSV" if self.delimiter == "\t" else "CSV"

    def __str__(self) -> str:
        return f"{self.name}, delimiter {DELIMITERS[self.delimiter]}, quote {self.quote}"

    def rows(self, text: str | Iterable[str]) -> Reader:
        """The rows of a text, or of its lines. A blank line gives an empty row."""
        lines = self.lines(text) if isinstance(text, str) else text
        return csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote, strict=True)

    def lines(self, text: str) -> Iterable[str]:
        """The lines, each with its end. Only one kind of line end counts: the other one has to be in quotes."""
        if self.end == "\n":
            return io.StringIO(text, newline="\n")
        *lines, rest = text.split(self.end)
        return [*(f"{line}{self.end}" for line in lines), *([rest] if rest else ())]


def first_line_end(text: str, delimiter: str, quote: str) -> re.Match[str] | None:
    """The line end behind the first row of a text; None = there is none. A line end in quotes is a part of a cell.

    :returns: a match whose group 1 is the line end.
    """
    begins = rf"(?<![^{re.escape(delimiter)}])"  # where a cell begins: at the start of the text, or behind a delimiter
    quoted = f"{begins}{quote}(?:[^{quote}]|{quote}{quote})*+{quote}"
    return re.match(rf"(?:{quoted}|[^\r\n])*+(\r?\n|\r)", text)


def holds_rows(row: Sequence[str], dialect: Dialect) -> bool:
    """Whether a cell of several lines may be made of rows: a file without quoting has two cells that begin or end with
    a quote, and the parser took all between the two for one cell.

    Then the first line of the cell is the end of a row, its last line the begin of one, and each line between is one.
    So their delimiters are counted. In a text, a blank follows a comma; between the cells of a row, none does.
    """
    delimiter, needed = dialect.delimiter, len(row) - 1
    if dialect.is_certain or dialect.quote != '"' or not needed:
        return False
    for place, cell in enumerate(row):
        first, *others = cell.split(dialect.end)
        if not others or (f"{delimiter} " in cell and not dialect.is_spaced):
            continue
        *between, last = (line.count(delimiter) for line in others if line.strip("\r") or line is others[-1])
        if (first.count(delimiter), last) == (needed - place, place) and all(count == needed for count in between):
            return True
    return False


def oddity(cell: str, dialect: Dialect) -> str:
    """Why a cell is refused: it may have been written in another dialect; "" = it is accepted."""
    if cell == "\\N":
        return "the cell is null (\\N)"
    if ESCAPE.search(cell):
        return "a backslash in the cell may be an escape: write the file with doubled quotes instead of backslashes"
    if _FORMULA.fullmatch(cell):
        return 'the cell is a formula of Excel (="…"): write its text alone'
    if dialect.quote == '"' and not dialect.is_certain:
        if cell[:1] == cell[-1:] == "'" and len(cell) > 1:
            return "the cell may be quoted by ': write the file with double quotes"
        if _SPACED_QUOTE.match(cell):
            return SPACED_QUOTE
    return ""


def has_spaced_quote(names: Iterable[str]) -> bool:
    """Whether a name begins with blanks and a quote behind them, which quotes nothing there."""
    return any(map(_SPACED_QUOTE.match, names))
