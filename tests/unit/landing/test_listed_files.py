"""A listing of many files lies on the local disk."""

from __future__ import annotations

import tracemalloc

from learnosity.landing.listed_files import Listing
from learnosity.results.outcomes import ResultFile


def peak_of(files: int) -> int:
    """Bytes that Python holds at most while so many files are listed, and then planned in the order of their paths."""
    tracemalloc.start()
    try:
        listing = Listing()
        for number in range(files):
            listing.add(
                ResultFile(path=f"groups/{number:07}/group.json", kind="url"),
                url=f"https://bucket.s3.amazonaws.com/{number}?X-Amz-Signature={'0' * 64}",
            )
        assert sum(1 for _ in listing.by_path()) == files
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_its_memory_does_not_grow_with_its_files() -> None:
    peak_of(1_000)  # what is imported and compiled once
    # The names and URLs of 7,000 files are 1.5 MB.
    assert peak_of(8_000) < peak_of(1_000) + 300_000
