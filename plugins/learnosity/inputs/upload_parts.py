"""Cuts the spool (the checked lines of all input files, in one file) into parts. Each part becomes one upload."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Final

from learnosity.errors import InputError

MAX_PARTS: Final = 100
"""Maximum number of input files of one dataset: a limit of Learnosity."""
# A part has at most about this many bytes, because a part whose upload fails is sent again as a whole. If this would
# make more than `MAX_PARTS` parts, the parts are larger.
TARGET_PART_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """A range of the spool that becomes one upload: whole lines, `length` bytes from `offset` on."""

    index: int
    offset: int
    length: int


def plan_parts(
    spool: str | PathLike[str] | BinaryIO,
    total_bytes: int,
    records: int,
    *,
    target_part_bytes: int = TARGET_PART_BYTES,
    max_parts: int = MAX_PARTS,
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
    cuts = {0, total}  # a set: if two cuts are in one long line, both move to its end, and this is one cut
    for number in range(1, wanted):
        # A cut must be between two lines, so `readline` reads on to the next line end. It starts one byte before the
        # cut: if this byte is a line end, the cut is between two lines already, and stays where it is.
        file.seek(total * number // wanted - 1)
        file.readline()
        cuts.add(file.tell())
    return [Part(index, start, end - start) for index, (start, end) in enumerate(pairwise(sorted(cuts)))]
