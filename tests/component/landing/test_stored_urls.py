"""What a long listing hands over to its shards, so that they need not request it again, and in how small pieces."""

from __future__ import annotations

import base64
import time
import zlib
from typing import Any

import pytest

from learnosity.errors import IncompleteDatasetError, TransferError
from learnosity.landing import land as landing
from learnosity.landing import plan, stored_urls
from learnosity.landing.listing import Listing, ResultSet
from learnosity.landing.plan import make_plan, plan_path, read_plan, sources_path
from learnosity.landing.stored_urls import seal_sources, unseal_sources
from learnosity.results.outcomes import ResultFile
from tests.component.landing_scene import Scene, StartScene, scene

__all__ = ["scene"]

SECRET = "0123456789abcdef0123456789abcdef01234567"
URL = "https://b.s3.amazonaws.com/file?X-Amz-Signature=5d672d79"


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans of parts of three files each."""
    monkeypatch.setattr(plan, "BLOCK_FILES", 3)


async def listed(dataset: Scene, shards: int) -> tuple[int, int]:
    """Calls of the plan and of all shards together."""
    dataset.sim.stats.reset()
    made = await dataset.plan(shards=shards)
    planning = dataset.sim.stats.calls["get reports/datasets"]
    for shard in made:
        await dataset.land(shard.shard)
    landing = dataset.sim.stats.calls["get reports/datasets"] - planning
    await dataset.publish(len(made))
    await dataset.check_whole()
    return planning, landing


@pytest.mark.parametrize("shards", [1, 4])
async def test_shards_do_not_request_the_pages_of_a_listing_again(
    scene: StartScene, small_blocks: None, shards: int
) -> None:
    dataset = await scene(results_shape="paged", page_size=5)
    pages = -(-len(dataset.served) // 5)
    assert pages > 4
    assert await listed(dataset, shards) == (pages, 0)


async def test_a_listing_of_one_reply_is_requested_again_and_nothing_is_stored_of_it(scene: StartScene) -> None:
    dataset = await scene()
    made = await dataset.plan(shards=3)
    assert len(await dataset.paths(dataset.work)) == len(made)
    assert await listed(dataset, 3) == (1, 3)


async def test_a_listing_of_one_long_reply_is_handed_over(
    scene: StartScene, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "HAND_OVER_FILES", 10)
    dataset = await scene()
    assert await listed(dataset, 3) == (1, 0)


@pytest.mark.parametrize("block_bytes", [None, 2_000, 1])
@pytest.mark.parametrize("shape", ["inline", "groups", "one group"])
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.promise("whole or nothing")
async def test_contents_land_as_they_were_listed_though_another_reply_would_have_others(
    scene: StartScene, monkeypatch: pytest.MonkeyPatch, shape: str, shards: int, block_bytes: int | None
) -> None:
    if block_bytes is not None:
        monkeypatch.setattr(plan, "BLOCK_BYTES", block_bytes)
        monkeypatch.setattr(landing, "BLOCK_BYTES", block_bytes)
    dataset = await scene(results_shape="groups" if shape == "one group" else shape)
    results = dataset.results
    if shape == "one group":
        content = b'{"elapsed": 9}' + b" " * 5_000

        async def one() -> Listing:
            listing = Listing()
            listing.replies = 1
            listing.add(ResultFile("groups/group.json", "group", len(content), "application/json"), content=content)
            return listing

        results.list = one  # type: ignore[method-assign]
    listing = await results.list()
    listed = dict(listing.contents)
    assert len(listed) > 10 or shape == "one group"
    made = await make_plan(dataset.store, dataset.layout, results, work=dataset.work, shards=shards)
    for name in list(dataset.served):
        dataset.add_file(name, b'{"elapsed": 12345}')
    dataset.sim.stats.reset()
    for shard in made:
        await dataset.land(shard.shard)
    assert dataset.sim.stats.calls == {}
    await dataset.publish(len(made))
    assert {entry.path: await dataset.data(entry.path) for entry in await dataset.listed()} == listed


async def test_many_large_contents_are_not_in_memory_at_once(
    scene: StartScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "BLOCK_BYTES", 1)
    monkeypatch.setattr(landing, "BLOCK_BYTES", 1)
    monkeypatch.setattr(landing, "MEMORY_BYTES", 1)
    dataset = await scene(results_shape="groups")
    (shard,) = await dataset.plan()
    most, now = 0, 0
    unseal = ResultSet.unseal

    def one_by_one(self: ResultSet, sealed: bytes | None) -> Any:
        nonlocal most, now
        now += 1
        most = max(most, now)
        time.sleep(0.01)
        now -= 1
        return unseal(self, sealed)

    monkeypatch.setattr(ResultSet, "unseal", one_by_one)
    dataset.sim.stats.reset()
    await dataset.land()
    assert (most, dataset.sim.stats.calls) == (1, {})
    assert (await dataset.publish()).file_count == shard.files > 5


@pytest.mark.parametrize("shape", ["paged", "groups", "inline"])
@pytest.mark.promise("no secret")
async def test_nothing_of_it_lies_in_the_store_in_the_clear_and_nothing_stays(scene: StartScene, shape: str) -> None:
    dataset = await scene(results_shape=shape, page_size=5)
    made = await dataset.plan(shards=2)
    sealed = [path for path in await dataset.paths(dataset.work) if path.endswith(".sealed")]
    assert len(sealed) == 2
    for path in await dataset.paths(dataset.work):
        content = await dataset.store.get(path) or b""
        for text in (content, base64.urlsafe_b64decode(content) if path in sealed else b""):
            assert not any(word in text for word in (b"http", b"Signature", b"mean_score"))
            with pytest.raises(zlib.error):
                zlib.decompress(text)
    for shard in made:
        await dataset.land(shard.shard)
    await dataset.publish(len(made))
    assert not await dataset.paths(dataset.layout.landing_prefix)


async def test_urls_that_have_run_out_cost_one_listing_for_all_parts(scene: StartScene, small_blocks: None) -> None:
    dataset = await scene(results_shape="paged", page_size=5)
    pages = -(-len(dataset.served) // 5)
    dataset.fault("expired_url", match="get reports/datasets", times=pages)
    assert await listed(dataset, 1) == (pages, pages)


async def test_urls_of_an_hour_ago_are_not_tried(scene: StartScene, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = await scene(results_shape="paged", page_size=5)
    await dataset.plan()
    monkeypatch.setattr(stored_urls, "URLS_VALID_SECONDS", -1)
    dataset.sim.stats.reset()
    await dataset.land()
    assert dataset.sim.stats.calls["get reports/datasets"] == -(-len(dataset.served) // 5)


@pytest.mark.parametrize("harm", ["gone", "other", "noise"])
async def test_what_was_handed_over_and_cannot_be_read_is_requested_again(scene: StartScene, harm: str) -> None:
    dataset = await scene(results_shape="groups")
    (shard,) = await dataset.plan()
    path = sources_path(dataset.work, 0, 0)
    sources = {"gone": None, "other": dataset.results.seal(["one"]), "noise": b"noise"}[harm]
    await (dataset.store.put(path, sources) if sources else dataset.store.delete([path]))
    dataset.sim.stats.reset()
    await dataset.land()
    assert dataset.sim.stats.calls["get reports/datasets"] == shard.files
    assert (await dataset.publish()).file_count == shard.files


@pytest.mark.promise("whole or nothing")
async def test_a_plan_of_which_a_part_is_gone_lands_and_publishes_nothing_as_complete(
    scene: StartScene, small_blocks: None
) -> None:
    dataset = await scene(results_shape="paged", page_size=5)
    await dataset.plan()
    await dataset.land()
    await dataset.store.delete([plan_path(dataset.work, 0, 2)])
    with pytest.raises(IncompleteDatasetError, match="Clear list_files"):
        await dataset.land()
    with pytest.raises(IncompleteDatasetError, match="Clear list_files"):
        await dataset.publish()
    assert await dataset.manifest() is None


async def test_a_landing_of_several_parts_goes_on_with_the_rest(scene: StartScene, small_blocks: None) -> None:
    dataset = await scene(results_shape="paged", page_size=5)
    (shard,) = await dataset.plan()
    assert len(await read_plan(dataset.store, dataset.work, 0)) == shard.files == len(dataset.served)
    failing = [name for name in dataset.served if name.startswith("groups/s1/")]
    dataset.fault("status", status=500, name="groups/s1/*")
    with pytest.raises(TransferError):
        await dataset.land()
    with pytest.raises(IncompleteDatasetError, match=f"{len(failing)} planned"):
        await dataset.publish()
    dataset.sim.faults.clear()
    again = await dataset.land()
    assert (again.files, again.skipped) == (shard.files, shard.files - len(failing))
    await dataset.publish()
    await dataset.check_whole()
    assert set(dataset.gets.values()) == {1}


def test_only_the_same_secret_and_dataset_open_it() -> None:
    sealed = seal_sources([URL, b"content", None], secret=SECRET, dataset_id="one")
    assert unseal_sources(sealed, secret=SECRET, dataset_id="one") == [URL, b"content", None]
    assert unseal_sources(sealed, secret=SECRET[::-1], dataset_id="one") == []
    assert unseal_sources(sealed, secret=SECRET, dataset_id="two") == []


def test_content_does_not_grow_old_as_urls_do(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = seal_sources([URL, b"content"], secret=SECRET, dataset_id="one")
    monkeypatch.setattr(stored_urls, "URLS_VALID_SECONDS", -1)
    assert unseal_sources(sealed, secret=SECRET, dataset_id="one") == [None, b"content"]
