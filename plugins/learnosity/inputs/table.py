"""Checks the rows of tables, and turns them into records. Columns are found by their names in the header."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from learnosity.inputs.columns import GROUPS, Column, ColumnError, folded, is_header
from learnosity.inputs.delimited import DelimitedText, RowBlock
from learnosity.inputs.dialects import Dialect, is_ruler, oddity
from learnosity.inputs.duplicates import SeenRecords, repetition
from learnosity.inputs.encodings import WINDOWS_1252, DecodedText
from learnosity.inputs.formats import Format
from learnosity.inputs.group_survey import GroupSurvey
from learnosity.inputs.odd_ids import OddIds, padded
from learnosity.inputs.parquet_files import ParquetFiles, ParquetProblem
from learnosity.inputs.problems import Problems
from learnosity.inputs.records import MAX_SESSIONS_PER_USER, RecordSchema
from learnosity.inputs.rows import RowSchema, Values, encode, take
from learnosity.inputs.sessions import Misfit, SessionRows, has_padded
from learnosity.inputs.swallowed_rows import SwallowedRows
from learnosity.inputs.unpack import UnreadableError

log = logging.getLogger(__name__)


class TableInput:
    """All tables of one input.

    :param seen: the records that are in the input.
    :param problems: collects what is wrong.
    :param survey: collects the groups.
    :param odd_ids: collects the ids that look wrong.
    :param write: takes records as lines of JSON, and their number.
    :param note_format: called with the format and the name of each file. Raises an error if formats are mixed.
    """

    def __init__(
        self,
        schema: RecordSchema,
        seen: SeenRecords,
        problems: Problems,
        survey: GroupSurvey,
        odd_ids: OddIds,
        write: Callable[[bytes, int, int], None],
        note_format: Callable[[str, str], None],
    ) -> None:
        self._schema, self._rows = schema, RowSchema(schema)
        self._is_checked = bool(schema.fields) and not schema.lenient
        self._survey, self._odd_ids = survey, odd_ids
        self._seen, self._problems, self._write, self._note_format = seen, problems, write, note_format
        self._swallowed = SwallowedRows(problems)
        self._parquet: ParquetFiles | None = None
        self._sessions: SessionRows | None = None
        self._columns: tuple[Column, ...] = ()
        self._files: list[str] = []
        self._said: set[str] = set()

    def read_text(self, name: str, pieces: Iterable[bytes], path: str = "") -> None:
        """Check and spool a CSV or TSV file.

        :param path: see `InputFile.path`.
        """
        self._files.append(name)
        text = DecodedText(pieces)
        table = DelimitedText(text, self._rows.find_in_text)
        columns: tuple[Column, ...] = ()
        try:
            found = table.open()
            if found is None:
                return
            columns = found
            self._note_format(table.dialect.name, name)
            self._say(name, str(table.dialect), columns)
            for block in table.blocks():
                self._take_rows(name, block, columns, table)
        except ColumnError as error:
            self._problems.add(name, table.row, error.about(path))
        except UnreadableError as error:
            self._problems.add(name, table.row, str(error))
        for number, row in self._swallowed.file_ends(name, is_quoting=table.is_quoting):
            self._take_rows(name, RowBlock(number, [row], is_odd=True), columns, table)
        if text.encoding == WINDOWS_1252 and text.encoding not in self._said:
            log.warning(
                "%s is not UTF-8, so it is read as Windows-1252. Check letters such as é in the result, or write "
                "UTF-8. This is logged only once, even if it is true of several files.", name,
            )  # fmt: skip
        elif text.encoding not in self._said:
            log.info("%s is %s.", name, text.encoding)
        self._said.add(text.encoding)

    def add_parquet(self, name: str, pieces: Iterable[bytes], path: str = "") -> None:
        """Check and spool a Parquet file, now or later. `path`: see `InputFile.path`."""
        self._note_format(Format.PARQUET.value, name)
        self._parquet = self._parquet or ParquetFiles(self._rows.find)
        self._parquet.add(name, pieces, path)
        if self._parquet.is_full:
            self._read_parquet()

    def finish(self) -> None:
        """Spool what has waited for the end of the input."""
        self._read_parquet()
        if self._sessions is not None:
            for users, others, sessions, misfits in self._sessions.gathered():
                self._note(misfits)
                _, values = self._rows.check(self._columns, [users, *zip(*others, strict=True), sessions])
                # If the connection's `input_check` is `json`, the line above lets every value pass, so a user id may be
                # null. Only texts can be counted, so null is counted as an empty text.
                self._seen.add([user or "" for user in users], self._groups(self._columns, values))
                self._look_at("", range(len(users)), self._columns, values)
                self._write(encode(self._columns, values), len(users), 0)

    def close(self) -> None:
        """Remove temporary files, and log the cells that may be rows."""
        self._swallowed.log()
        if self._parquet is not None:
            self._parquet.close()
        if self._sessions is not None:
            self._sessions.close()

    def _read_parquet(self) -> None:
        if self._parquet is None:
            return
        for found in self._parquet.read():
            if isinstance(found, ParquetProblem):
                self._problems.add(found.file, found.row, found.what)
                continue
            if not self._files or self._files[-1] != found.file:
                self._files.append(found.file)
            self._say(found.file, Format.PARQUET.value, found.columns)
            self._take(found.file, range(found.first, found.first + len(found.values[0])), found.columns, found.values)

    def _take_rows(self, name: str, block: RowBlock, columns: tuple[Column, ...], table: DelimitedText[Any]) -> None:
        numbers: Sequence[int] = range(block.first, block.first + len(block.rows))
        header, dialect = table.header, table.dialect
        rows, width = block.rows, len(header)
        # `[]` is no row of the input, so it is left out. It stands for a blank line, or for a header in the middle of
        # the file, behind a byte order mark: joined files have such headers.
        if [] in rows:
            numbers = [number for number, row in zip(numbers, rows, strict=True) if row]
            rows = [row for row in rows if row]
        if block.has_lines and not table.is_quoting:
            numbers, rows = self._swallowed.sift(name, numbers, rows, columns, table)
        # To check each row by itself is slow. So this is done only if the block may have a bad row. The last condition
        # looks for rows that repeat the header or have only empty cells. It looks at one column only (`place`): there,
        # such a row has the name of a column, or "".
        names, place = frozenset((*folded(header), "")), columns[0].index
        if block.is_odd or set(map(len, rows)) - {width} or not names.isdisjoint(folded(row[place] for row in rows)):
            good = []
            for number, row in zip(numbers, rows, strict=True):
                if width > 1 and self._is_checked and not any(map(str.strip, row)):
                    continue  # spreadsheets write rows of empty cells, which are no rows of the input
                if any("\0" in cell for cell in row):
                    self._problems.add(name, number, "the row holds a NUL byte: write the file again without it")
                elif len(row) != width:
                    cells = f"{len(row)} cell{'' if len(row) == 1 else 's'}"
                    self._problems.add(name, number, f"the row has {cells}, and the header has {width}")
                elif is_header(row, header, columns):
                    self._problems.add(name, number, "the header is here again: join files without their headers")
                elif block.is_odd and self._is_checked and is_ruler(row):
                    self._problems.add(name, number, "the row has dashes alone, as sqlcmd writes them: leave it out")
                elif what := self._oddity(row, columns, dialect) if block.is_odd else "":
                    self._problems.add(name, number, what)
                else:
                    good.append((number, row))
            numbers, rows = [number for number, _ in good], [row for _, row in good]
        if rows:
            self._take(name, numbers, columns, [list(map(itemgetter(column.index), rows)) for column in columns])

    def _take(self, name: str, numbers: Sequence[int], columns: tuple[Column, ...], values: Sequence[Values]) -> None:
        """Check and spool rows of the same columns."""
        wrong, values = self._rows.check(columns, values)
        for place, what in sorted(wrong.items()):
            self._problems.add(name, numbers[place], what)
        if wrong:
            places = [place for place in range(len(numbers)) if place not in wrong]
            numbers, values = [numbers[place] for place in places], take(values, places)
        if not numbers:
            return
        self._note_odd_ids(name, numbers, columns, values)
        if self._schema.gathers and columns[-1].many and columns[0].key == "user_id":
            self._look_at(name, numbers, columns, values, users=False)
            self._gather(numbers, columns, values)
            return
        identity = next((cells for column, cells in zip(columns, values, strict=True)
                         if column.key == self._schema.identity_key), ())  # fmt: skip
        repeated = self._seen.add(identity, self._groups(columns, values))
        for place in repeated:
            self._problems.add(name, numbers[place], repetition(self._schema, "row"), repeated=True)
        self._look_at(name, numbers, columns, values)
        self._write(encode(columns, values), len(numbers) - len(repeated), 0)

    def _oddity(self, row: Sequence[str], columns: Sequence[Column], dialect: Dialect) -> str:
        for column in columns:
            if what := oddity(row[column.index], dialect, is_checked=self._is_checked):
                named = f'"{column.name}"' if self._is_declared(column) else column.index + 1
                return f"column {named}: {what}"
        return ""

    def _note_odd_ids(
        self, name: str, numbers: Sequence[int], columns: Sequence[Column], values: Sequence[Values]
    ) -> None:
        for column, cells in zip(columns, values, strict=True):
            if column.key.startswith(GROUPS) or not self._is_checked:
                continue
            places = [place for place, cell in enumerate(cells) if has_padded(cell)] if column.many else padded(cells)
            self._odd_ids.add(name, (numbers[place] for place in places), f'column "{column.name}": the id')

    def _look_at(
        self,
        name: str,
        numbers: Sequence[int],
        columns: Sequence[Column],
        values: Sequence[Values],
        *,
        users: bool = True,
    ) -> None:
        """Survey the groups of rows."""
        if self._schema.levels:
            labels = [column.name for column in columns if column.key.startswith(GROUPS)]
            self._survey.add(name, numbers, self._groups(columns, values), labels=labels, users=users)

    def _groups(self, columns: Sequence[Column], values: Sequence[Values]) -> list[Values]:
        """The columns of the levels, if every record has them."""
        if not self._schema.levels:
            return []
        return [cells for column, cells in zip(columns, values, strict=True) if column.key.startswith(GROUPS)]

    def _gather(self, numbers: Sequence[int], columns: tuple[Column, ...], values: Sequence[Values]) -> None:
        if self._sessions is None:
            self._sessions = SessionRows(None if self._schema.lenient else MAX_SESSIONS_PER_USER)
            self._columns = columns
        elif [column.key for column in columns] != [column.key for column in self._columns]:
            self._problems.add(self._files[-1], 1, "it has other columns than the files before it")
            return
        users, *others, cells = values
        rows: Sequence[tuple[Any, ...]] = list(zip(*others, strict=True)) if others else [()] * len(numbers)
        self._note(self._sessions.add(len(self._files) - 1, numbers, users, rows, cells))
        most = self._schema.max_records
        if most is not None and self._sessions.users > most:
            # This call writes nothing. It raises the error that the input has too many users.
            self._write(b"", 0, self._sessions.users)

    def _note(self, misfits: Iterable[Misfit]) -> None:
        for misfit in misfits:
            self._problems.add(self._files[misfit.file], misfit.row, misfit.what)

    def _say(self, name: str, how: str, columns: Sequence[Column]) -> None:
        """Log how a file is read, once for each way."""
        named = [f'{column.key} = "{column.name}"' for column in columns if self._is_declared(column)]
        if others := len(columns) - len(named):
            named.append(f"{others} not named in the request")
        said = f"{how}; columns: " + ", ".join(named)
        if said not in self._said:
            self._said.add(said)
            log.info("%s: %s", name, said)

    def _is_declared(self, column: Column) -> bool:
        """Whether the request or its type names a column. Another name may be data of a file without a header."""
        schema = self._schema
        levels = (f"{GROUPS}{key}" for key in schema.group_keys)
        return bool(schema.fields) or column.key in schema.input_columns or column.key in levels
