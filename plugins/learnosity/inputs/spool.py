"""Reads NDJSON input of any size, checks every line, and copies the lines to one local file, the spool.

All checks end before anything is sent. Memory does not grow with the input. Lines are copied unchanged, but without the
blanks around them. A message about a problem has the file and line, but never the content.
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
from learnosity.inputs.duplicates import Identities
from learnosity.inputs.lines import MAX_LINE_BYTES, UnreadableError, text_pieces, whole_lines
from learnosity.inputs.records import RecordError, RecordSchema

MAX_FILES: Final = 100
"""Most input files of one dataset: a limit of Learnosity."""
MAX_INPUT_BYTES: Final = 4 * 1024**3
"""Most bytes of all input files, unpacked. This limit protects the disk: a small gzip file may unpack to a huge one."""
MAX_PROBLEMS: Final = 1_000
"""Reading stops after this many problems."""
TARGET_PART_BYTES: Final = 8 * 1024 * 1024  # usual size of one upload

_BLANKS: Final = b" \t\r"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input file.

    :param name: its name in messages; never a signed URL.
    :param open: starts reading and gives the content in chunks of any size. Its errors are raised unchanged.
    :param version: size and entity tag. It changes when the file changes, if the store reports this.
    """

    name: str
    open: Callable[[], Iterator[bytes]]
    version: str = ""


@dataclass(frozen=True, slots=True)
class InputSummary:
    """What was spooled: records, bytes, number of input files, and the SHA-256 (hex) of the spool."""

    records: int
    bytes: int
    files: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Part:
    """A range of the spool that becomes one upload: whole lines, `length` bytes from `offset` on."""

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
    """Check every line of every file and write the lines to `target`, each with a newline at its end.

    Files may be plain or gzip, which is recognised by its first bytes. A UTF-8 byte order mark, CRLF, blank lines and
    a last line without newline are accepted. The call blocks, so run it in a thread.

    :param files: the input files, which are read in this order.
    :param schema: what a line must look like (see `records.schema_for`).
    :param target: a binary file, written from its present position and flushed. Not usable after an error.
    :param progress: called after each block of lines, with the number of records and of spooled bytes so far.
    :param max_bytes: limit for all files together, in bytes after unpacking; default 4 GiB.
    :raises InputError: the input has problems. The message names the first ten and counts the others.
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
    """Cut a spool at line ends into parts of about the same size. No part is empty.

    :param spool: what `spool_input` wrote, from byte 0: a path, or an open file (whose position moves).
    :param total_bytes: `InputSummary.bytes`.
    :param records: `InputSummary.records`; there are never more parts than records.
    :param target_part_bytes: bytes of a part, default 8 MiB. With too many parts of this size, the parts are larger.
    :param max_parts: limit for the number of parts; default 100, the limit of the API.
    :returns: the parts, in order. Together they are the whole spool.
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
    cuts = {0, total}  # a set, because several cuts in one long line all move to the end of this line
    for number in range(1, wanted):
        file.seek(total * number // wanted - 1)  # one byte back, so that a cut right after a line end stays there
        file.readline()
        cuts.add(file.tell())
    return [Part(index, start, end - start) for index, (start, end) in enumerate(pairwise(sorted(cuts)))]


class _Problems:
    """Counts the problems and keeps the first ones."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[InputProblem] = []

    def add(self, file: str, line: int, what: str) -> None:
        """Note a problem.

        :raises InputError: there are `MAX_PROBLEMS` problems, so reading stops.
        """
        self.count += 1
        if len(self._kept) < InputError.KEPT:
            self._kept.append(InputProblem(file, line, what))
        if self.count >= MAX_PROBLEMS:
            raise self.error(at_least=True)

    def error(self, headline: str = "", *, at_least: bool = False) -> InputError:
        """The error to raise. `headline` says why reading stopped before the end of the input."""
        found = f"{'at least ' if at_least else ''}{self.count:,} problem{'s' if self.count != 1 else ''}"
        advice = f"The input has {found}; nothing was sent. Correct the input and run again."
        if self.count > len(self._kept):
            advice += f" The first {len(self._kept)}:"
        parts = [part for part in (headline, advice if self.count else "") if part]
        return InputError(" ".join(parts), self._kept, self.count, at_least=at_least)


class _Spool:
    """Checks and spools all files, one at a time."""

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
        """Return the summary, or raise the problems that were found."""
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
        """Check all lines of a block together. Only if this finds a problem, check the block line by line.

        :returns: the number of line ends in the block.
        """
        *raw_lines, rest = block.split(b"\n")
        if not rest and all(raw_lines) and not any(map(block.__contains__, _BLANKS)):
            self._check(name, first, block, raw_lines, block)  # the usual case: nothing to remove
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
            return  # the input will be refused, so the spool is not needed
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
                self._problems.add(name, number, f"its `{self._schema.identity_key}` is in an earlier line too")


@contextmanager
def _opened(source: InputFile) -> Iterator[Iterator[bytes]]:
    """The chunks of a file. A generator that is not read to its end is closed, and so is its network connection."""
    chunks = source.open()
    try:
        yield chunks
    finally:
        if isinstance(chunks, Generator):
            chunks.close()
