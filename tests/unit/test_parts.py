"""How large files are cut: what the stores allow, and memory that does not grow with the number of files."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from learnosity.api.signed_urls import BUFFERED_BYTES
from learnosity.landing.land import BUDGET_BYTES
from learnosity.storage.parts import FILES, MIB, MOST_PARTS, in_one_request, parts_for
from learnosity.storage.single_put import MOST_BYTES

GIB = 1024**3


@given(size=st.integers(0, 5 * 1024 * GIB), files=st.integers(1, 100_000), under_way=st.integers(0, FILES - 1))
def test_a_file_of_any_size_that_s3_takes_has_parts_that_s3_takes(size: int, files: int, under_way: int) -> None:
    parts = parts_for(size, files, under_way)
    assert parts.bytes >= 5 * MIB
    assert parts.bytes * MOST_PARTS >= size
    assert parts.in_flight >= 1


@given(files=st.integers(1, FILES), size=st.none() | st.integers(0, 50_000_000_000))
def test_so_many_files_at_once_stay_within_the_budget(files: int, size: int | None) -> None:
    at_once = [parts_for(size, files, under_way).memory + BUFFERED_BYTES for under_way in range(files)]
    assert sum(at_once) <= BUDGET_BYTES


@given(size=st.integers(0, MOST_BYTES))
def test_so_many_files_at_once_in_one_request_each_stay_within_the_budget(size: int) -> None:
    whole = in_one_request(size)
    assert whole.whole == size
    assert FILES * (whole.memory + BUFFERED_BYTES) <= BUDGET_BYTES


def test_a_file_that_is_alone_gets_more_parts_at_once_than_one_of_many() -> None:
    alone, many = parts_for(GIB, 1), parts_for(GIB, FILES)
    assert alone.in_flight > many.in_flight
    assert alone.bytes == many.bytes
    assert parts_for(GIB, 100 * FILES) == many
