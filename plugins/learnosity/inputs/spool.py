"""Reads input of any size, checks every record, and copies the records to one local file, the spool.

All checks end before anything is sent. Memory does not grow with the input. Lines of NDJSON are copied unchanged, but
without the blanks around them; rows of tables become such lines. A message about a problem has the file and the line or
row, but never the content.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from typing import BinaryIO, Final

from learnosity.dataset.input_info import LevelInfo
from learnosity.errors import InputError
from learnosity.inputs.duplicates import SeenRecords, repetition
from learnosity.inputs.formats import Format, head_of, recognise
from learnosity.inputs.group_survey import GroupSurvey, finished_levels, log_warnings
from learnosity.inputs.lines import BLANKS, MAX_LINE_BYTES, line_numbers, whole_lines
from learnosity.inputs.odd_ids import OddIds
from learnosity.inputs.problems import Problems
from learnosity.inputs.records import Checked, RecordError, RecordSchema
from learnosity.inputs.table import TableInput
from learnosity.inputs.unpack import UnreadableError, unpacked

log = logging.getLogger(__name__)

MAX_INPUT_BYTES: Final = 4 * 1024**3
"""Maximum size of all input files, unpacked, in bytes. A small gzip file may unpack to a huge one and fill the disk."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input file.

    :param name: its name in messages; never a signed URL.
    :param open: starts reading and gives the content in chunks of any size. Its errors are raised unchanged.
    :param version: size and entity tag. It changes when the file changes, if the store reports this.
    :param path: its path below the place that `input_uri` names; "" = not known, or it is the file itself.
    :param lasting: the version without what another machine sees otherwise, or a copy has otherwise; "" = it is
        `version`.
    """

    name: str
    open: Callable[[], Iterator[bytes]]
    version: str = ""
    path: str = ""
    lasting: str = ""


@dataclass(frozen=True, slots=True)
class InputSummary:
    """Counts and digest of the spool.

    :param files: number of input files.
    :param sha256: digest of the spool, in hex.
    :param users: number of different ids: of users, or of sessions for a type without users.
    :param levels: the groups of each level; empty = there are none, or too many to count.
    :param odd_names: how many group names were warned about.
    """

    records: int
    bytes: int
    files: int
    sha256: str
    users: int = 0
    levels: tuple[LevelInfo, ...] = ()
    odd_names: int = 0


def spool_input(
    files: Iterable[InputFile],
    schema: RecordSchema,
    target: BinaryIO,
    *,
    progress: Callable[[int, int], None] | None = None,
    max_bytes: int = MAX_INPUT_BYTES,
) -> InputSummary:
    """Check every record of every file and write the records to `target`, each as one line of JSON.

    Files are NDJSON, CSV, TSV or Parquet, all of one format, and plain, gzip or zstd. Content and name tell which. In
    NDJSON, a UTF-8 byte order mark, CRLF, blank lines and a last line without newline are accepted. The call blocks, so
    run it in a thread.

    :param files: the input files, which are read in this order.
    :param schema: what a record must look like (see `records.schema_for`).
    :param target: a binary file, written from its present position and flushed. Not usable after an error.
    :param progress: called after each block of records, with the number of records and of spooled bytes so far.
    :param max_bytes: limit for all files together, in bytes after unpacking; default 4 GiB.
    :returns: what was spooled. Group names and ids that look wrong are logged as warnings, also before an error.
    :raises InputError: the input has problems. The message names the first ten and counts the others.
    """
    count = 0
    with ExitStack() as resources:
        survey = GroupSurvey(schema.levels)
        resources.callback(log_warnings, survey)
        spool = _Spool(schema, target, survey, progress, max_bytes, resources)
        for count, source in enumerate(files, 1):  # noqa: B007 - `count` is used after the loop
            spool.read(source)
        return spool.finish(count)


class _Spool:
    """Checks and spools all files, one at a time."""

    def __init__(
        self,
        schema: RecordSchema,
        target: BinaryIO,
        survey: GroupSurvey,
        progress: Callable[[int, int], None] | None,
        max_bytes: int,
        resources: ExitStack,
    ) -> None:
        self._schema, self._target, self._survey = schema, target, survey
        self._progress, self._max_bytes = progress, max_bytes
        self._seen = SeenRecords(sessions=schema.identity_key == "session_id")
        resources.callback(self._seen.close)
        self._problems = Problems()
        self._odd_ids = OddIds()
        resources.callback(self._odd_ids.log)
        self._table = TableInput(
            schema, self._seen, self._problems, survey, self._odd_ids, self.write, self._note_format
        )
        resources.callback(self._table.close)
        self._names = {name for field in schema.fields for name in (*field.own_names, field.key)}
        self._names.update(schema.input_columns.values())
        self._format: tuple[str, str] | None = None
        self._records = self._bytes = self._unpacked = 0
        self._hash = hashlib.sha256()

    def read(self, source: InputFile) -> None:
        """Check and spool one file."""
        with _opened(source) as chunks:
            pieces = self._bounded(unpacked(chunks))
            try:
                head = head_of(pieces)
                kind = recognise(source.name, head, self._names)
                if kind is Format.PARQUET:
                    self._table.add_parquet(source.name, chain((head,), pieces), source.path)
                    return
                if kind is Format.DELIMITED:
                    self._table.read_text(source.name, chain((head,), pieces), source.path)
                    return
            except UnreadableError as error:
                self._problems.add(source.name, 0, str(error))
                return
            if kind is Format.NDJSON:
                self._note_format(Format.NDJSON.value, source.name)
            self._read_lines(source.name, chain((head,), pieces))

    def finish(self, files: int) -> InputSummary:
        """Return the summary, or raise the problems that were found."""
        self._table.finish()
        if self._problems.count:
            raise self._problems.error()
        if not self._records:
            raise InputError(
                f"The input holds no {self._schema.noun} at all; files read: {files}. "
                "Check input_uri, and that its files have one JSON object on each line, or rows below a header."
            )
        self._target.flush()
        levels = finished_levels(self._survey, self._seen.count, self._seen.in_several())
        if empty := [level.key for level in levels if not level.groups]:
            raise InputError(
                f"No user of the input has a group of the level {', '.join(map(repr, empty))}; nothing was sent. Check "
                "the names of the columns or keys, or leave the level out of groups."
            )
        digest = self._hash.hexdigest()
        return InputSummary(self._records, self._bytes, files, digest, self._seen.count, levels, self._survey.odd_names)

    def write(self, clean: bytes, records: int, users: int = 0) -> None:
        """Add checked records: lines that each end with a newline.

        :param users: how many different users there are, if they are counted elsewhere.
        """
        self._records += records
        # After the first problem, nothing more is written, because `finish` will refuse the whole input.
        if not self._problems.count:
            self._target.write(clean)
            self._hash.update(clean)
            self._bytes += len(clean)
        most = self._schema.max_records
        if most is not None and max(users, self._seen.count) > most:
            headline = (
                f"The input has more than {most:,} {self._schema.noun}s, the most that one dataset takes. "
                "Split it into several datasets."
            )
            raise self._problems.error(headline, at_least=True)
        self._check_size(self._bytes)
        if self._progress is not None:
            self._progress(self._records, self._bytes)

    def _note_format(self, kind: str, name: str) -> None:
        """Note the format of a file.

        :raises InputError: an earlier file had another one.
        """
        if self._format is None:
            self._format = kind, name
        elif self._format[0] != kind:
            raise InputError(
                f"The input mixes formats: {self._format[1]} is {self._format[0]}, and {name} is {kind}. Name files of "
                "one format with a glob; nothing was sent."
            )
        elif kind == Format.NDJSON.value:
            return
        if kind == Format.NDJSON.value and self._schema.input_columns:
            raise InputError(f"input_columns names columns of tables, and {name} is NDJSON: leave it empty for NDJSON.")

    def _bounded(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._unpacked += len(piece)
            self._check_size(self._unpacked)
            yield piece

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            headline = (
                f"The input has more than {self._max_bytes:,} bytes once unpacked, the most that is "
                "read. Split it into several datasets, and look for a damaged compressed file."
            )
            raise self._problems.error(headline, at_least=True)

    def _read_lines(self, name: str, pieces: Iterable[bytes]) -> None:
        line = 1
        try:
            for block in whole_lines(pieces):
                if block is None:
                    self._problems.add(name, line, f"longer than {MAX_LINE_BYTES:,} bytes")
                    line += 1
                    continue
                line += self._take(name, line, block)
        except UnreadableError as error:
            self._problems.add(name, line, str(error))

    def _take(self, name: str, first: int, block: bytes) -> int:
        """Check all lines of a block together. Only if this finds a problem, check the block line by line.

        :returns: the number of line ends in the block.
        """
        *raw_lines, rest = block.split(b"\n")
        if not rest and all(raw_lines) and not any(map(block.__contains__, BLANKS)):
            # The block has no blank, tab or carriage return, and no empty line. So nothing has to be stripped or
            # left out.
            self._check(name, first, block, raw_lines, block)
        elif lines := [*filter(None, map(bytes.strip, (*raw_lines, rest), repeat(BLANKS)))]:
            self._check(name, first, block, lines, b"\n".join((*lines, b"")))
        return len(raw_lines)

    def _check(self, name: str, first: int, block: bytes, lines: list[bytes], clean: bytes) -> None:
        try:
            checked = self._schema.check(lines, clean)
        except RecordError:
            self.write(b"", self._name_bad_lines(name, first, block))
            return
        numbers = line_numbers(first, block, len(lines))
        self._odd_ids.add(name, (numbers[place] for place in checked.padded), "an id")
        repeated = self._add(name, numbers, checked)
        if checked.groups and not repeated:
            self._survey.add(name, numbers, checked.groups)
        self.write(clean, len(lines) - repeated)

    def _name_bad_lines(self, name: str, first: int, block: bytes) -> int:
        """Add the problems of a block. Returns how many of its lines are records."""
        records = 0
        for number, raw in enumerate(block.split(b"\n"), first):
            if line := raw.strip(BLANKS):
                try:
                    checked = self._schema.check([line])
                except RecordError as error:
                    self._problems.add(name, number, str(error))
                else:
                    records += 1 - self._add(name, [number], checked)
        return records

    def _add(self, name: str, numbers: Sequence[int], checked: Checked) -> int:
        """Remember records. Those that were added before are problems; their number is returned."""
        repeated = self._seen.add(checked.ids, checked.groups)
        for place in repeated:
            self._problems.add(name, numbers[place], repetition(self._schema, "line"), repeated=True)
        return len(repeated)


@contextmanager
def _opened(source: InputFile) -> Iterator[Iterator[bytes]]:
    """Open a file, and give its chunks. At the end, the generator is closed, and with it the network connection."""
    chunks = source.open()
    try:
        yield chunks
    finally:
        if isinstance(chunks, Generator):
            chunks.close()
