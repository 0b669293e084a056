"""Reads CSV and TSV: finds the delimiter and the quote, and gives the rows as texts, in bounded memory.

Python's `csv` does the parsing. DuckDB was tried: of a file with a cell of 200 MB it reads no row and says nothing, it
takes a NUL byte for text, and it needs a download for Windows-1252.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from learnosity.inputs.columns import ColumnError
from learnosity.inputs.unpack import BLOCK, UnreadableError

MAX_CELL: Final = 131_072
"""Most characters of one cell; the limit that Python's `csv` begins with."""
MAX_ROW: Final = 1024 * 1024
"""Most characters of one row. With this limit, a file without line ends cannot fill the memory."""

_DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SAMPLE: Final = 64 * 1024  # characters that tell the delimiter and the quote
_MARK: Final = "\ufeff"
_UNFINISHED: Final = "unexpected end of data"  # what `csv` says of a quote that is not closed

Found = TypeVar("Found")


if TYPE_CHECKING:
    from _csv import Reader


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written."""

    delimiter: str
    quote: str

    @property
    def name(self) -> str:
        """The format, for people to read."""
        return "TSV" if self.delimiter == "\t" else "CSV"

    def __str__(self) -> str:
        return f"{self.name}, delimiter {_DELIMITERS[self.delimiter]}, quote {self.quote}"

    def rows(self, text: str) -> Reader:
        """The rows of whole lines. A blank line gives an empty row."""
        lines = io.StringIO(text, newline="")
        return csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote, strict=True)


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Rows that follow each other.

    :param first: number of the first one. The first line of a file is 1.
    :param has_nul: whether a cell may hold a NUL byte.
    """

    first: int
    rows: list[list[str]]
    has_nul: bool


class DelimitedText(Generic[Found]):
    """The rows of one file.

    :param texts: its text, in pieces.
    :param find: finds the columns by the names in the header. Raises `ColumnError` if they are not there.
    """

    def __init__(self, texts: Iterable[str], find: Callable[[list[str]], Found]) -> None:
        self.row = 1
        """Number of the row that is read next."""
        self.header: list[str] = []
        self.dialect = Dialect(",", '"')
        self._texts = iter(texts)
        self._find = find

    def open(self) -> Found | None:
        """Read the header. Returns what `find` has found; None if the file has no row.

        :raises ColumnError: the columns are not there, whatever the delimiter.
        :raises UnreadableError: the header cannot be read.
        """
        sample = self._sample()
        if not sample:
            return None
        best: tuple[tuple[bool, int], Dialect, list[str], Any] | None = None
        for delimiter in _DELIMITERS:
            dialect = Dialect(delimiter, _quote_of(sample, delimiter))
            try:
                header = next(dialect.rows(sample))
                found: Any = self._find(header)
            except csv.Error:
                continue
            except ColumnError as error:
                found = error
            rank = (not isinstance(found, ColumnError), len(header))
            if best is None or rank > best[0]:
                best = rank, dialect, header, found
        if best is None:
            raise UnreadableError("the header cannot be read: a quote in it is not closed, or a name is too long")
        _, self.dialect, self.header, found = best
        if isinstance(found, ColumnError):
            raise found
        return found  # type: ignore[no-any-return]

    def blocks(self) -> Iterator[RowBlock]:
        """The rows after the header. Call `open` first.

        :raises UnreadableError: the rest cannot be read; `row` says where. The rows before are given first.
        """
        rest, header, final = "", True, False
        failure: UnreadableError | None = None
        while not final and failure is None:
            try:
                text = next(self._texts, None)
            except UnreadableError as error:
                text, failure = None, error
            final = text is None and failure is None
            rest += text or ""
            rows, end = self._parse(rest, len(rest) if final else _end_of_lines(rest), final)
            has_nul = "\0" in rest
            rest = rest[end:]
            if rows and header:
                rows, header = rows[1:], False
                self.row += 1
            if rows:
                yield RowBlock(self.row, rows, has_nul)
                self.row += len(rows)
            if len(rest) > MAX_ROW + BLOCK:
                raise UnreadableError(f"the row is longer than {MAX_ROW:,} characters, or a quote in it is not closed")
        if failure is not None:
            raise failure

    def _sample(self) -> str:
        """The begin of the text, from the header on, which is also left to be read."""
        head = ""
        rest: Iterator[str] = self._texts
        try:
            for text in self._texts:
                head += text
                if len(head) >= _SAMPLE and head.strip(_MARK + "\r\n"):
                    break
        except UnreadableError as error:
            if not _end_of_lines(head.lstrip(_MARK + "\r\n")):
                raise  # the header is not whole
            rest = _raising(error)
        start = len(head) - len(head.lstrip(_MARK + "\r\n"))
        self.row += head.count("\n", 0, start) or head.count("\r", 0, start)
        self._texts = chain((head[start:],), rest)
        return head[start:]

    def _parse(self, text: str, end: int, final: bool) -> tuple[list[list[str]], int]:
        """The rows of a text up to `end`, which ends a line, and where the last one of them ends.

        :raises UnreadableError: a row cannot be read. The rows before it are lost, `row` is its number.
        """
        block = text[:end]
        if _MARK in block:
            block = self._without_marks(block)
        try:
            return list(self.dialect.rows(block)), end
        except csv.Error:
            pass
        rows: list[list[str]] = []
        reader, lines = self.dialect.rows(block), 0
        try:
            for row in reader:
                rows.append(row)
                lines = reader.line_num
        except csv.Error as error:
            if _UNFINISHED not in str(error) or final:
                self.row += len(rows)
                raise UnreadableError(_why(str(error))) from None
        # The last row goes on behind the end. The marks that were removed are not counted: the lines are.
        return rows, sum(map(len, islice(io.StringIO(text[:end], newline=""), lines)))

    def _without_marks(self, block: str) -> str:
        """Without the byte order marks, and the headers behind them, of files that were joined."""
        kept, quotes = [], 0
        for line in io.StringIO(block, newline=""):
            if line.startswith(_MARK) and quotes % 2 == 0:
                line = line.lstrip(_MARK)
                if next(csv.reader([line], delimiter=self.dialect.delimiter, quotechar=self.dialect.quote), None) == (
                    self.header
                ):
                    line = "\n"
            quotes += line.count(self.dialect.quote)
            kept.append(line)
        return "".join(kept)


def _raising(error: UnreadableError) -> Iterator[str]:
    yield ""
    raise error


def _end_of_lines(text: str) -> int:
    """Where the last whole line of a text ends. A `\\r` at the very end may be the first half of a line end."""
    return text.rfind("\n") + 1 or text.rfind("\r", 0, max(0, len(text) - 1)) + 1


def _quote_of(sample: str, delimiter: str) -> str:
    """The quote of a file: `'` if its first cell is in such quotes, or if cells are, and none is in `"`."""
    ends = (delimiter, "\n", "\r")
    if sample.startswith(('"', "'")):
        return sample[0]
    double = any(f'{end}"' in sample for end in ends)
    single = any(f"{end}'" in sample for end in ends) and any(f"'{end}" in sample for end in ends)
    return "'" if single and not double else '"'


def _why(error: str) -> str:
    if _UNFINISHED in error:
        return "a quote in this row is not closed"
    if "field larger than" in error:
        return f"a cell is longer than {MAX_CELL:,} characters"
    if "expected after" in error:
        return "there is text behind the closing quote of a cell: a quote in a cell has to be doubled"
    return "the row cannot be read as CSV"
