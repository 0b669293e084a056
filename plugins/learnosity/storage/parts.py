"""The size of the parts in which a large object is written to a store, and the memory that they need."""

from __future__ import annotations

from math import ceil

MIB = 1024 * 1024
# Limits of S3: most parts of one object, and fewest bytes of each part except the last.
MAX_PARTS = 10_000
MIN_PART_BYTES = 5 * MIB
# Parts of one object that are sent at the same time. Meanwhile one more part is filled.
PARTS_IN_FLIGHT = 2


def part_bytes(size: int | None) -> int:
    """Bytes of each part except the last.

    :param size: bytes of the object. None = unknown; such an object can have 52 GB at most.
    """
    return max(MIN_PART_BYTES, 0 if size is None else ceil(size / MAX_PARTS / MIB) * MIB)


def parts_memory(size: int | None) -> int:
    """Bytes in memory while an object is written in parts."""
    return (PARTS_IN_FLIGHT + 1) * part_bytes(size)
