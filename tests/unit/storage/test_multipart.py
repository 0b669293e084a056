"""How large objects are written: what the stores allow, and memory that does not grow with the number of files."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from learnosity.api.downloads import BUFFERED_BYTES
from learnosity.landing.concurrency import MAX_LARGE_FILES, MEMORY_BYTES
from learnosity.storage import streamed_put
from learnosity.storage.multipart import MAX_PARTS, MIN_PART_BYTES, part_bytes, parts_memory

GIB = 1024**3


@given(size=st.integers(0, 5 * 1024 * GIB))
def test_an_object_of_any_size_that_s3_takes_has_parts_that_s3_takes(size: int) -> None:
    assert part_bytes(size) >= MIN_PART_BYTES
    assert part_bytes(size) * MAX_PARTS >= size


def test_an_object_of_unknown_size_may_have_fifty_gigabytes() -> None:
    assert part_bytes(None) * MAX_PARTS >= 50_000_000_000


@given(size=st.none() | st.integers(0, 50_000_000_000))
def test_eight_files_in_parts_stay_within_the_memory(size: int | None) -> None:
    assert MAX_LARGE_FILES * (parts_memory(size) + BUFFERED_BYTES) <= MEMORY_BYTES


def test_eight_files_in_one_request_each_stay_within_the_memory() -> None:
    assert MAX_LARGE_FILES * (streamed_put.BUFFERED_BYTES + BUFFERED_BYTES) <= MEMORY_BYTES
