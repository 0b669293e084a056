"""Reads CSV and TSV: finds the delimiter and the quote, and gives the rows as texts, in bounded memory.

Python's `csv` does the parsing. DuckDB would not do: it reads no row of a file with a cell of 200 MB and reports no
error, it takes a NUL byte for text, and it needs a download for Windows-1252.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final, Generic, TypeVar

from learnosity.inputs.columns import ColumnError, folded
from learnosity.inputs.dialects import (
    DELIMITERS,
    ESCAPE,
    ODD,
    SPACED_QUOTE,
    Dialect,
    first_line_end,
    quoted_behind_blanks,
    quotes_cells,
)
from learnosity.inputs.unpack import BLOCK, UnreadableError

MAX_CELL: Final = 131_072
"""Maximum number of characters of one cell: the default limit of Python's `csv`."""
MAX_ROW: Final = 1024 * 1024
"""Maximum number of characters of one row. The check is coarse, so a row with up to 2 * `BLOCK` more may be accepted.
With this limit, a file without line ends cannot fill the memory.
"""

# At least this many characters (or all of a shorter file) are read to find the header and the delimiter. Line ends and
# byte order marks before the header are dropped, so they do not count.
_SAMPLE: Final = 64 * 1024
_MARK: Final = "\ufeff"
# Matches a first line such as `sep=;`. Programs write it to tell Excel the delimiter of the file. The header is then
# the next line that is not empty, and only the named delimiter is tried.
_SEP: Final = re.compile(r'"?sep=(.)"?[,;\t|]*(?:\r\n|\r|\n)', re.IGNORECASE)
# Python's `csv` raises an error with this text if its input ends inside quotes. If there is more of the file to read,
# `_parse` leaves this row for its next call. At the end of the file, the quote is never closed, and `_parse` raises an
# error.
_UNFINISHED: Final = "unexpected end of data"

# Maps the line end of the file's first row to a pattern, which finds the line ends that no row of this file may have.
# But such a line end may also be text of a cell in quotes. So if a piece of the file has one, `_parse` checks the end
# of each row in this piece, which is slower.
_SUSPECT: Final = {"\n": re.compile("\r"), "\r\n": re.compile(r"\r(?!\n)"), "\r": re.compile("\n")}
# Maps the line end of the file's first row to the line ends that a row may have; "" is the end of the file. A row with
# another line end is refused. For example, if the first row ends with LF and another row with CRLF, nobody can tell
# whether this CR belongs to the line end, or is text of the last cell.
_ENDS: Final = {"\n": ("\n", ""), "\r\n": ("\r\n", "\n", ""), "\r": ("\r", "")}

_OTHER_END: Final = (
    "the line end of this row is not that of the first one: write one kind, and cells that hold one in quotes"
)

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Consecutive rows of one file.

    :param first: number of the first one. The first line of a file is 1.
    :param is_odd: whether a cell may hold a NUL byte, or look as if it was written in another dialect.
    :param has_lines: whether a cell may hold a line end.
    """

    first: int
    rows: list[list[str]]
    is_odd: bool
    has_lines: bool = False


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
        self.is_quoting = False
        """Whether the rows so far show that the writer quotes the cells that need it. Rows are looked at from the first
        cell with a line end on, and so are those of the first block.
        """
        self._texts = iter(texts)
        self._find = find
        self._line_end = "\n"
        self._delimiters: Iterable[str] = DELIMITERS
        self._is_marked = False  # whether the file starts with a byte order mark

    def open(self) -> Found | None:
        """Read the header. Returns what `find` has found; None if the file has no row.

        :raises ColumnError: the columns are not there, whatever the delimiter.
        :raises UnreadableError: the header cannot be read.
        """
        sample = self._sample()
        if not sample:
            return None
        best: tuple[tuple[bool, int], Dialect, str, list[str], Any] | None = None
        for delimiter in self._delimiters:
            # `'` is the quote of the file if a name of the header begins with it. Any other `'` is text. Example: in
            # the name `"a,'b"`, no name begins after the comma, because the comma is inside double quotes.
            quoted = r'"(?:[^"]|"")*+"'
            others = rf"(?:(?!'|{quoted}(?:[\r\n]|\Z))(?:{quoted}|[^{delimiter}\r\n]*+)[{delimiter}])*+"
            quote = "'" if re.match(f"{others}'", sample) else '"'
            ends = first_line_end(sample, delimiter, quote)
            line_end = ends[1] if ends else "\n"
            row = sample[: ends.start(1)] if ends else sample
            dialect = Dialect(delimiter, quote, line_end[-1], '"' in row, f"{delimiter} " in row)
            try:
                header = next(dialect.rows(sample))
                found: Any = self._find(header)
            except csv.Error:
                continue
            except ColumnError as error:
                found = error
            rank = (not isinstance(found, ColumnError), len(header))
            if best is None or rank > best[0]:
                best = rank, dialect, line_end, header, found
        if best is None:
            raise UnreadableError("the header cannot be read: a quote in it is not closed, or a name is too long")
        _, self.dialect, self._line_end, self.header, found = best
        if isinstance(found, ColumnError):
            is_spaced = found.lacks(quoted_behind_blanks(self.header))
            raise UnreadableError(f"in the header, {SPACED_QUOTE}") if is_spaced else found
        if any(map(ESCAPE.search, self.header)):
            raise UnreadableError("a backslash in the header may be an escape: write the file with doubled quotes")
        return found  # type: ignore[no-any-return]

    def blocks(self) -> Iterator[RowBlock]:
        """The rows after the header. Call `open` first.

        :raises UnreadableError: the rest cannot be read; `row` says where. The rows of the blocks before are given.
        """
        rest, header, final = "", True, False
        failure: UnreadableError | None = None
        had_lines = False
        while not final and failure is None:
            try:
                text = next(self._texts, None)
            except UnreadableError as error:
                text, failure = None, error
            final = text is None and failure is None
            rest += text or ""
            rows, end = self._parse(rest, len(rest) if final else rest.rfind(self.dialect.end) + 1, final)
            lines = rest.count(self.dialect.end, 0, end) + (not rest.endswith(self.dialect.end, 0, end))
            is_odd, has_lines = any(mark in rest for mark in ODD), lines > len(rows)
            had_lines = had_lines or has_lines
            if (header or had_lines) and not self.is_quoting:
                self.is_quoting = self.dialect.is_certain or quotes_cells(rest[:end], self.dialect.delimiter)
            rest = rest[end:]
            if rows and header:
                rows, header = rows[1:], False
                self.row += 1
            if rows:
                yield RowBlock(self.row, rows, is_odd, has_lines)
                self.row += len(rows)
            if len(rest) > MAX_ROW + BLOCK:
                raise UnreadableError(f"the row is longer than {MAX_ROW:,} characters, or a quote in it is not closed")
        if failure is not None:
            raise failure

    def _sample(self) -> str:
        """The first characters from the header on. `blocks` reads them again."""
        head = self._from_text("")
        if named := _SEP.match(head):
            if named[1] not in DELIMITERS:
                known = ", ".join(DELIMITERS.values())
                raise UnreadableError(f"this line names a delimiter that is not read: take {known}, or leave it out")
            self._delimiters = named[1]
            self.row += 1
            head = self._from_text(head[named.end() :])
        self._texts = chain((head,), self._texts)
        return head

    def _from_text(self, begin: str) -> str:
        """At least `_SAMPLE` characters from the first one on that belongs to a row. What is before it is dropped."""
        head, feeds, returns = "", 0, 0
        try:
            for text in chain((begin,), self._texts):
                whole = head + text
                head = whole.lstrip(_MARK + "\r\n")
                blank = whole[: len(whole) - len(head)]
                feeds, returns = feeds + blank.count("\n"), returns + blank.count("\r")
                self._is_marked = self._is_marked or _MARK in blank
                if len(head) >= _SAMPLE:
                    break
        except UnreadableError as error:
            if not re.search(r"[\r\n]", head):
                raise  # the header itself could not be read completely
            self._texts = _raising(error)
        self.row += feeds or returns
        return head

    def _parse(self, text: str, end: int, final: bool) -> tuple[list[list[str]], int]:
        """The rows of a text up to `end`, which ends a line, and where the last one of them ends.

        :raises UnreadableError: a row cannot be read. The rows before it are lost, `row` is its number.
        """
        block = text[:end]
        if _MARK not in block and not _SUSPECT[self._line_end].search(block):
            try:
                return list(self.dialect.rows(block)), end
            except csv.Error:
                pass
        rows: list[list[str]] = []
        lines = _Lines(self.dialect.lines(block))
        reader, read = self.dialect.rows(lines), 0
        try:
            for row in reader:
                if lines.row_end() not in _ENDS[self._line_end]:
                    self.row += len(rows)
                    raise UnreadableError(_OTHER_END)
                rows.append(self._unmarked(row, len(rows)) if lines.row_is_marked else row)
                read = reader.line_num
                lines.row_ends()
        except csv.Error as error:
            if _UNFINISHED not in str(error) or final:
                self.row += len(rows)
                raise UnreadableError(_why(str(error))) from None
        # The rows take the first `read` lines of `block`, so the last row ends where these lines end. Their lengths are
        # not taken from `_Lines`: it removes byte order marks, so the sum would be too small.
        return rows, sum(map(len, islice(self.dialect.lines(block), read)))

    def _unmarked(self, row: list[str], place: int) -> list[str]:
        """A row that had a byte order mark before it; empty for a repeated header, as joined files have it.

        :param place: how many rows of the text are before it.
        :raises UnreadableError: the mark may be a part of the first cell.
        """
        if folded(row) == folded(self.header) or not row:
            return []
        if not self._is_marked:
            self.row += place
            raise UnreadableError(
                "a byte order mark is before this row, and none at the begin of the file: remove it, or put the first "
                "cell in quotes if it is part of it"
            )
        return row


class _Lines:
    """Lines for the parser, without the byte order mark before a row. A mark inside of a cell stays.

    Only the parser knows where a row begins, because quotes hold line ends. It takes line by line, up to a row's end.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._row_begins = True
        self._line = ""
        self.row_is_marked = False
        """Whether the row that was read last had a mark before it."""

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self._line = line
            if self._row_begins:
                self._row_begins = False
                self.row_is_marked = line.startswith(_MARK)
                if self.row_is_marked:
                    yield line.lstrip(_MARK)
                    continue
            yield line

    def row_end(self) -> str:
        """The line end of the row that was read last."""
        return self._line[len(self._line.rstrip("\r\n")) :]

    def row_ends(self) -> None:
        """Tell that the parser has read a whole row, so the next line begins another one."""
        self._row_begins = True


def _raising(error: UnreadableError) -> Iterator[str]:
    yield ""
    raise error


def _why(error: str) -> str:
    if _UNFINISHED in error:
        return "a quote in this row is not closed"
    if "field larger than" in error:
        return f"a cell is longer than {MAX_CELL:,} characters"
    if "new-line character" in error:
        return "a line end of another kind than that of the first line is in a cell without quotes"
    if "expected after" in error:
        return "there is text behind the closing quote of a cell: a quote in a cell has to be doubled"
    return "the row cannot be read as CSV"
