"""In which parts a large file is written, so that as many as may flow at once stay within the memory."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

MIB = 1024 * 1024
# S3 takes no more of them in one object, and none smaller than 5 MiB but the last. Larger ones cost more memory and
# no less time (docs/performance.md). A file of unknown size may have 52 GB.
MOST_PARTS = 10_000
PART_BYTES = 5 * MIB
# Large files at once, as far as memory goes, and the parts of one file that is alone.
FILES = 8
MOST_IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class Parts:
    """How one file is cut.

    :param bytes: of each part but the last.
    :param in_flight: so many of them are on their way to the store at once.
    """

    bytes: int = PART_BYTES
    in_flight: int = MOST_IN_FLIGHT

    @property
    def memory(self) -> int:
        """Bytes held while the file is written: the parts in flight, and the one that is read meanwhile."""
        return (self.in_flight + 1) * self.bytes


ALONE = Parts()
"""For one object whose size nobody tells."""


def parts_for(size: int | None, files: int) -> Parts:
    """The parts of a file.

    :param size: its bytes, None when unknown.
    :param files: how many files of its kind there are, or may be; at least 1.
    """
    needed = 0 if size is None else ceil(size / MOST_PARTS / MIB) * MIB
    return Parts(max(PART_BYTES, needed), max(1, min(MOST_IN_FLIGHT, FILES // files)))
