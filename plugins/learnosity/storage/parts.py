"""In which parts a large file is written, if any, so that as many as may flow at once stay within the memory."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

MIB = 1024 * 1024
# S3 takes no more of them in one object, and none smaller than 5 MiB but the last.
MOST_PARTS = 10_000
LEAST_BYTES = 5 * MIB
# Each part costs a request, and memory (docs/performance.md). A file of unknown size may have 52 GB.
PART_BYTES = 8 * MIB
# What is not cut flows in pieces, of which so many lie between the source and the store's connection.
PIECE_BYTES = 2 * MIB
PIECES_AHEAD = 4
# Large files at once, as far as memory goes, those of them that have large parts, and the parts of one that is alone.
FILES = 8
FEW = 2
MOST_IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class Parts:
    """How one file is cut.

    :param bytes: of each part but the last.
    :param in_flight: so many of them are on their way to the store at once.
    :param whole: bytes of the whole file where it goes in one request, piece by piece; None: each part is one.
    """

    bytes: int = PART_BYTES
    in_flight: int = MOST_IN_FLIGHT
    whole: int | None = None

    @property
    def memory(self) -> int:
        """Bytes held while the file is written: the parts in flight, and the one that is read meanwhile."""
        return (self.in_flight + 1) * self.bytes


ALONE = Parts()
"""For one object whose size nobody tells."""


def in_one_request(size: int) -> Parts:
    """A file that is not cut, but read and handed on in pieces.

    :param size: its bytes.
    """
    return Parts(PIECE_BYTES, PIECES_AHEAD, size)


def parts_for(size: int | None, files: int, under_way: int = 0) -> Parts:
    """The parts of a file.

    :param size: its bytes, None when unknown.
    :param files: how many files of its kind there are, or may be; at least 1.
    :param under_way: how many of them are being written already.
    """
    needed = 0 if size is None else ceil(size / MOST_PARTS / MIB) * MIB
    usual = PART_BYTES if under_way < FEW else LEAST_BYTES
    return Parts(max(usual, needed), max(1, min(MOST_IN_FLIGHT, FILES // files)))
