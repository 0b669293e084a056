"""In which parts a large file is written: small ones, and fewer of one file at once the more files there are.

A download from a bucket far away is as fast as its one connection, so that several large files have to be under way
at once; what that costs is memory. Small parts pay for it: eight files, each with one part on its way up and one on
its way down, hold no more than two that write four larger parts at once (docs/performance.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

MIB = 1024 * 1024
# S3 takes no smaller part but the last, and no more of them in one object.
LEAST_BYTES = 5 * MIB
MOST_PARTS = 10_000
# For a file whose size nobody tells: enough for 80 GB.
PART_BYTES = 8 * MIB
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
    :param files: how many files of its kind want to be written at the same time; at least 1.
    """
    whole_mib = PART_BYTES if size is None else ceil(size / MOST_PARTS / MIB) * MIB
    return Parts(max(LEAST_BYTES, whole_mib), max(1, min(MOST_IN_FLIGHT, FILES // files)))
