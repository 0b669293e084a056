"""Which lists of files stay in memory."""

from __future__ import annotations

import pytest

from learnosity.dataset.listings import Listing, _Listings

LISTING: Listing = {}, {}


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ([4, 6], [0, 1]),
        ([4, 6, 1], [1, 2]),
        ([10], [0]),
        ([4, 10], [1]),
        ([11], []),
        ([4, 11], [0]),
        ([4, 6, 11, 11], [0, 1]),
    ],
)
def test_a_list_that_is_too_large_is_not_kept_and_drops_no_other(sizes: list[int], kept: list[int]) -> None:
    listings = _Listings(10)
    for place, size in enumerate(sizes):
        listings.put(str(place), size, LISTING)
    assert [place for place in range(len(sizes)) if listings.get(str(place)) is not None] == kept
