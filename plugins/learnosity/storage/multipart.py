"""The size of the parts when a large object is written in parts, and the memory for these parts."""

from __future__ import annotations

from math import ceil

MIB = 1024 * 1024
# Limits of S3: the largest number of parts of one object, and the smallest size of a part (except the last part).
MAX_PARTS = 10_000
MIN_PART_BYTES = 5 * MIB
# How many parts of one object are sent at the same time. Meanwhile, one more part is filled.
PARTS_IN_FLIGHT = 2


def part_bytes(size: int | None) -> int:
    """Bytes of each part except the last.

    :param size: bytes of the object. None = unknown; then it can have at most 52 GB (10,000 parts of 5 MiB).
    """
    return max(MIN_PART_BYTES, 0 if size is None else ceil(size / MAX_PARTS / MIB) * MIB)


def parts_memory(size: int | None) -> int:
    """Bytes in memory while an object is written in parts."""
    return (PARTS_IN_FLIGHT + 1) * part_bytes(size)
