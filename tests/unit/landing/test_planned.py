"""A listing that is requested again while files are landed is compared with the plan."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from learnosity.errors import IncompleteDatasetError
from learnosity.landing.file_urls import FileUrls
from learnosity.landing.listed_files import Listing
from learnosity.landing.plan import make_plan, read_block
from learnosity.landing.planned import NamesDigest, Planned, included
from learnosity.results.outcomes import ResultFile
from tests.memory_store import MemoryStore
from tests.unit.retention.scenes import layout_of

WORK = "work"
LISTED = ["a.json", "b.csv", "s1/c.json", "s1/d.log"]


def listing(names: Sequence[str], *, replies: int = 1) -> Listing:
    made = Listing()
    made.replies = replies
    for name in names:
        made.add(ResultFile(name), url=f"https://b/{name}")
    return made


class Listings:
    """Gives one listing after the other."""

    def __init__(self, *listings: Listing) -> None:
        self.listings = list(listings)

    async def list(self) -> Listing:
        return self.listings.pop(0)

    def seal(self, sources: Any) -> bytes:
        return b"sealed"


CHANGES = [
    pytest.param(["*"], [*LISTED, "e.json"], True, id="one more"),
    pytest.param(["*"], [*LISTED, "a.json"], True, id="one of them twice"),
    pytest.param(["*"], ["a.json", "b.csv", "s1/c.json", "s2/d.log"], True, id="another in place of one"),
    pytest.param(["*"], ["a.json", "b.csv", "s1/c.json", "b.csv"], True, id="one of them in place of another"),
    pytest.param(["*.json"], [*LISTED, "s1/e.json"], True, id="one more that is included"),
    pytest.param(["*.json", "*.csv"], [*LISTED, "e.csv"], True, id="one more that another glob includes"),
    pytest.param(["*.json"], ["a.json", "b.csv", "s1/d.json", "s1/d.log"], True, id="another that is included"),
    pytest.param(["*"], LISTED, False, id="the same"),
    pytest.param(["*"], LISTED[::-1], False, id="the same in another order"),
    pytest.param(["*.json"], [*LISTED, "e.log"], False, id="one more that is left out"),
    pytest.param(["*.json"], ["a.json", "s1/c.json"], False, id="without those that are left out"),
    pytest.param(["*.json"], ["x.csv", "y.log", "s1/c.json", "a.json"], False, id="others that are left out"),
    pytest.param(["*"], LISTED[:-1], True, id="one fewer"),
    pytest.param(["*"], LISTED[1:], True, id="without the first"),
    pytest.param(["*"], ["a.json", "e.json"], True, id="fewer, and another"),
    pytest.param(["*"], [], True, id="none"),
]


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("replies", [1, 2])
@pytest.mark.parametrize(("include", "later", "is_refused"), CHANGES)
@pytest.mark.promise("whole or nothing")
async def test_a_later_listing_has_no_other_files_to_land_than_the_plan(
    include: list[str], later: list[str], is_refused: bool, replies: int, shards: int
) -> None:
    store = MemoryStore()
    results: Any = Listings(listing(LISTED, replies=replies), *(listing(later, replies=replies) for _ in range(shards)))
    for shard in await make_plan(store, layout_of(1), results, work=WORK, include=include, shards=shards):
        block = await read_block(store, WORK, shard.shard)
        assert (len(block.files), block.more) == (shard.files, 0)
        urls = FileUrls(results, block.planned)
        path = block.files[0].path
        if is_refused:
            with pytest.raises(
                IncompleteDatasetError, match=r"has other files .*while it was landed.*Clear list_files"
            ):
                await urls.url(path)
        else:
            assert await urls.url(path) == f"https://b/{path}"


async def test_no_listing_is_requested_to_compare_it() -> None:
    urls = FileUrls(Listings(), Planned(("*",), 1, ""))  # type: ignore[arg-type]
    urls.hand_over({"a.json": "https://b/handed", "b.json": b"{}"})
    assert await urls.url("a.json") == "https://b/handed"
    assert await urls.content(ResultFile("b.json", "inline")) == b"{}"


async def test_the_listing_for_new_addresses_is_compared_too_and_once_for_all() -> None:
    results: Any = Listings(listing([*LISTED, "e.json"]), listing(LISTED))
    names = NamesDigest()
    for _, file in included(listing(LISTED), ["*"]):
        names.add(file.path)
    urls = FileUrls(results, Planned(("*",), 4, names.digest()))
    urls.hand_over(dict.fromkeys(LISTED, "https://b/old"))
    urls.expire("a.json", "https://b/old")
    with pytest.raises(IncompleteDatasetError, match="5 now, 4 then"):
        await urls.url("a.json")
    assert await asyncio.gather(*map(urls.url, LISTED)) == [f"https://b/{name}" for name in LISTED]


async def test_a_plan_of_an_earlier_release_is_compared_with_nothing() -> None:
    store = MemoryStore()
    await store.put(f"{WORK}/plan-0000.ndjson", b'{"path":"a.json"}\n')
    block = await read_block(store, WORK, 0)
    assert block.planned is None
    results: Any = Listings(listing(LISTED))
    urls = FileUrls(results, block.planned)
    assert await urls.url("a.json") == "https://b/a.json"
    with pytest.raises(IncompleteDatasetError, match="'x.json' was listed, but is not in the dataset any more"):
        await urls.url("x.json")
