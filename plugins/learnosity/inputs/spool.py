"""Reads NDJSON input of any size, checks every line and spools the clean ones to one local file.

All checks end before anything is sent (contract section 12, U15), in memory that does not grow with the input.
A line is passed on byte for byte, less the blanks around it; what is wrong is told by file and line, never by
content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise, repeat
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Final

from learnosity.errors import InputError, InputProblem
from learnosity.inputs.identities import Identities
from learnosity.inputs.lines import MAX_LINE_BYTES, UnreadableError, text_pieces, whole_lines
from learnosity.inputs.records import RecordError, RecordSchema

MAX_FILES: Final = 100
"""Input files of one dataset (contract section 4.2)."""
MAX_INPUT_BYTES: Final = 4 * 1024**3
"""Bytes of all input together once unpacked; ours, against compressed files that never end."""
MAX_PROBLEMS: Final = 1_000
"""Reading stops after so many problems."""
TARGET_PART_BYTES: Final = 8 * 1024 * 1024

_BLANKS: Final = b" \t\r"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One source of lines.

    :param name: how problems name it; never a signed URL.
    :param open: starts reading: yields the content in chunks of any size. Its own errors pass through.
    """

    name: str
    open: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class InputSummary:
    """What was spooled: records, bytes, the files they came from, and the SHA-256 (hex) of the spool."""

    records: int
    bytes: int
    files: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the spool that becomes one upload: whole lines, `length` bytes from `offset` on."""

    index: int
    offset: int
    length: int


def spool_input(
    files: Iterable[InputFile],
    schema: RecordSchema,
    target: BinaryIO,
    *,
    progress: Callable[[int, int], None] | None = None,
    max_bytes: int = MAX_INPUT_BYTES,
) -> InputSummary:
    """Check every line of every file and write the clean ones to `target`, each ended by a newline.

    Plain or gzip (known by its first bytes); a UTF-8 byte order mark, CRLF, blank lines and a last line
    without newline are accepted. Blocks: run it in a thread.

    :param files: the sources, read one after the other in this order.
    :param schema: what a line must be, see `records.schema_for`.
    :param target: a buffered binary file, written from its present position and flushed; after an error its
        content means nothing.
    :param progress: called now and then with the records and the spooled bytes so far.
    :param max_bytes: bytes of all files together once unpacked, default 4 GiB.
    :raises InputError: something is wrong with the input; names the first ten problems and counts the others.
    """
    sources = list(islice(files, MAX_FILES + 1))
    if len(sources) > MAX_FILES:
        raise InputError(
            f"More than {MAX_FILES} input files: a dataset takes {MAX_FILES} at most. "
            "Join files, or point input_uri at fewer of them."
        )
    with closing(Identities()) as seen:
        spool = _Spool(schema, seen, target, progress, max_bytes)
        for source in sources:
            spool.read(source)
    return spool.finish(len(sources))


def plan_parts(
    spool: str | PathLike[str] | BinaryIO,
    total_bytes: int,
    records: int,
    *,
    target_part_bytes: int = TARGET_PART_BYTES,
    max_parts: int = MAX_FILES,
) -> list[Part]:
    """Cut a spool at line ends into parts of about the same size; together they are the spool, none is empty.

    :param spool: what `spool_input` wrote, from byte 0: a path, or an open file (whose position moves).
    :param total_bytes: `InputSummary.bytes`.
    :param records: `InputSummary.records`; there are never more parts than records.
    :param target_part_bytes: bytes of a part, default 8 MiB; more only when `max_parts` is not enough.
    :param max_parts: default and API limit: 100 (contract section 4.2).
    :raises InputError: the spool does not have `total_bytes` bytes.
    """
    if isinstance(spool, str | PathLike):
        with Path(spool).open("rb") as file:
            return _cut(file, total_bytes, min(records, max_parts), target_part_bytes)
    return _cut(spool, total_bytes, min(records, max_parts), target_part_bytes)


def _cut(file: BinaryIO, total: int, most: int, target: int) -> list[Part]:
    size = file.seek(0, 2)
    if size != total:
        raise InputError(
            f"The local copy of the input has {size:,} bytes instead of {total:,}: something changed it. "
            "Check that nothing cleans or fills the temporary folder, and run again."
        )
    wanted = min(most, -(-total // target))
    cuts = {0, total}  # a set: one long line may cover several ideal cuts
    for number in range(1, wanted):
        file.seek(total * number // wanted - 1)  # one back, so that a line that ends right there is cut there
        file.readline()
        cuts.add(file.tell())
    return [Part(index, start, end - start) for index, (start, end) in enumerate(pairwise(sorted(cuts)))]


class _Problems:
    """Counts what is wrong and keeps the first of it."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[InputProblem] = []

    def add(self, file: str, line: int, what: str) -> None:
        """Note a problem.

        :raises InputError: it is one too many to go on.
        """
        self.count += 1
        if len(self._kept) < InputError.KEPT:
            self._kept.append(InputProblem(file, line, what))
        if self.count >= MAX_PROBLEMS:
            raise self.error(at_least=True)

    def error(self, headline: str = "", *, at_least: bool = False) -> InputError:
        """The error to raise; `headline` says what stopped the reading before the end of the input."""
        found = f"{'at least ' if at_least else ''}{self.count:,} problem{'s' if self.count != 1 else ''}"
        advice = f"The input has {found}; nothing was sent. Correct the input and run again."
        if self.count > len(self._kept):
            advice += f" The first {len(self._kept)}:"
        parts = [part for part in (headline, advice if self.count else "") if part]
        return InputError(" ".join(parts), self._kept, self.count, at_least=at_least)


class _Spool:
    """The checks and the spool of all files; reads them one at a time."""

    def __init__(
        self,
        schema: RecordSchema,
        seen: Identities,
        target: BinaryIO,
        progress: Callable[[int, int], None] | None,
        max_bytes: int,
    ) -> None:
        self._schema, self._seen, self._target = schema, seen, target
        self._progress, self._max_bytes = progress, max_bytes
        self._problems = _Problems()
        self._records = self._bytes = self._unpacked = 0
        self._hash = hashlib.sha256()

    def read(self, source: InputFile) -> None:
        """Check and spool one file."""
        line = 1
        with _opened(source) as chunks:
            try:
                for block in whole_lines(self._bounded(text_pieces(chunks))):
                    if block is None:
                        self._problems.add(source.name, line, f"longer than {MAX_LINE_BYTES:,} bytes")
                        line += 1
                        continue
                    line += self._take(source.name, line, block)
            except UnreadableError as error:
                self._problems.add(source.name, line, str(error))

    def finish(self, files: int) -> InputSummary:
        """Raise what was found, or sum up."""
        if self._problems.count:
            raise self._problems.error()
        if not self._records:
            raise InputError(
                f"The input holds no {self._schema.noun} at all; files read: {files}. "
                "Check input_uri, and that its files have one JSON object on each line."
            )
        self._target.flush()
        return InputSummary(self._records, self._bytes, files, self._hash.hexdigest())

    def _bounded(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._unpacked += len(piece)
            if self._unpacked > self._max_bytes:
                headline = (
                    f"The input has more than {self._max_bytes:,} bytes once unpacked, the most that is "
                    "read. Split it into several datasets, and look for a damaged compressed file."
                )
                raise self._problems.error(headline, at_least=True)
            yield piece

    def _take(self, name: str, first: int, block: bytes) -> int:
        """Check a block of whole lines at once; only when something is wrong with it, line by line.

        :returns: how many line ends it has.
        """
        *raw_lines, rest = block.split(b"\n")
        if not rest and all(raw_lines) and not any(map(block.__contains__, _BLANKS)):
            self._check(name, first, block, raw_lines, block)  # as most programs write it
        elif lines := [*filter(None, map(bytes.strip, (*raw_lines, rest), repeat(_BLANKS)))]:
            self._check(name, first, block, lines, b"\n".join((*lines, b"")))
        return len(raw_lines)

    def _check(self, name: str, first: int, block: bytes, lines: list[bytes], clean: bytes) -> None:
        try:
            good = self._seen.add(self._schema.identities(lines, clean))
        except RecordError:
            good = False
        if good:
            self._records += len(lines)
            self._write(clean)
        else:
            self._name_bad_lines(name, first, block)
        most = self._schema.max_records
        if most is not None and self._records > most:
            headline = (
                f"The input has more than {most:,} {self._schema.noun}s, the most that one dataset takes. "
                "Split it into several datasets."
            )
            raise self._problems.error(headline, at_least=True)
        if self._progress is not None:
            self._progress(self._records, self._bytes)

    def _write(self, clean: bytes) -> None:
        if self._problems.count:
            return  # the spool is of no use any more
        self._target.write(clean)
        self._hash.update(clean)
        self._bytes += len(clean)

    def _name_bad_lines(self, name: str, first: int, block: bytes) -> None:
        for number, raw in enumerate(block.split(b"\n"), first):
            line = raw.strip(_BLANKS)
            if not line:
                continue
            try:
                new = self._seen.add(self._schema.identities([line]))
            except RecordError as error:
                self._problems.add(name, number, str(error))
                continue
            if new:
                self._records += 1
            else:
                self._problems.add(name, number, f"its `{self._schema.identity_key}` stands in an earlier line too")


@contextmanager
def _opened(source: InputFile) -> Iterator[Iterator[bytes]]:
    """The chunks of a file; a generator left half read is closed at once, with the connection it holds."""
    chunks = source.open()
    try:
        yield chunks
    finally:
        if isinstance(chunks, Generator):
            chunks.close()
