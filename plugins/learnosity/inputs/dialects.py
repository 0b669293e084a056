"""How CSV and TSV are written: delimiter, quote and line end, and cells that look as if they were written otherwise."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
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
_FOOTER: Final = re.compile(r"\(\d+ rows?( affected)?\)")
_FORMULA: Final = re.compile(r'="[^"]*"')
ODD: Final = ("\0", "\\", "'", ' "', '="', "--", " row")
"""`oddity` and `is_ruler` look at a block of rows only if one of these is in the block."""


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


def rows_of(row: Sequence[str], dialect: Dialect) -> list[list[str]]:
    """The rows that a row may be made of, all as wide as it; [] = there is no sign of that.

    In a file without quoting, two cells may begin and end with a quote that is text. The parser then takes all between
    the two for one cell: the first line of the cell is the end of a row, its last line the begin of one, and each line
    between is one. In a text, a blank follows a comma; between the cells of a row, none does.
    """
    delimiter, width = dialect.delimiter, len(row)
    if dialect.quote != '"' or width < 2:
        return []
    for place, cell in enumerate(row):
        if dialect.end not in cell or (f"{delimiter} " in cell and not dialect.is_spaced):
            continue
        # In a file with CRLF, `dialect.end` is LF, so a line of the cell still ends with CR after the split. This CR is
        # removed, because it belongs to the line end.
        first, *others = (line.removesuffix("\r") for line in cell.split(dialect.end))
        *between, last = (line.split(delimiter) for line in others if line or line is others[-1])
        made = [[*row[:place], *first.split(delimiter)], *between, [*last, *row[place + 1 :]]]
        if len(last) == place + 1 and all(len(cells) == width for cells in made):
            return made
    return []


def quotes_cells(text: str, delimiter: str) -> bool:
    """Whether a text has a cell in quotes, within one line, with a delimiter or a doubled quote in it.

    Then its writer quotes the cells that need it.
    """
    return '"' in text and _quoted_cell(delimiter).search(text) is not None


@cache
def _quoted_cell(delimiter: str) -> re.Pattern[str]:
    # The pattern begins with the quote, and then looks back at the character before it. A pattern that begins with that
    # character would be slower: the search could not jump from quote to quote.
    inner = rf'[^"\r\n{re.escape(delimiter)}]*+'
    return re.compile(rf'"(?<![^{re.escape(delimiter)}\r\n]")(?:{inner}{re.escape(delimiter)}[^"\r\n]*+"|[^"\r\n]*+"")')


def oddity(cell: str, dialect: Dialect, *, is_checked: bool) -> str:
    """Why a cell is refused: it may have been written in another dialect; "" = it is accepted.

    :param is_checked: whether the fields of a record are known. Otherwise any text may be right.
    """
    if cell == "\\N":
        return "the cell is null (\\N): write null as an empty cell"
    if ESCAPE.search(cell):
        return "a backslash in the cell may be an escape: write the file with doubled quotes instead of backslashes"
    if is_checked and not dialect.is_certain and _FOOTER.fullmatch(cell.strip()):
        return "the cell is the number of rows, as psql and sqlcmd write it at the end: leave it out"
    if _FORMULA.fullmatch(cell):
        return 'the cell is a formula of Excel (="…"): write its text alone'
    if dialect.quote == '"' and not dialect.is_certain:
        if cell[:1] == cell[-1:] == "'" and len(cell) > 1:
            return "the cell may be quoted by ': write the file with double quotes"
        if _SPACED_QUOTE.match(cell):
            return SPACED_QUOTE
    return ""


def is_ruler(row: Sequence[str]) -> bool:
    """Whether a row is the line of dashes below the header that programs such as sqlcmd and tables of Markdown have."""
    return any("--" in cell for cell in row) and not "".join(row).strip("-: ")


def quoted_behind_blanks(names: Iterable[str]) -> list[str]:
    """The names that begin with blanks and a quote behind them, which quotes nothing there; without both."""
    return [name.strip(' "') for name in names if _SPACED_QUOTE.match(name)]
