"""Landing: every file whole or not at all, nothing fetched twice, whatever the network does."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from devstack.seaweedfs import SeaweedFS
from learnosity.api.downloads import Download, Rest
from learnosity.errors import IncompleteDatasetError, PermanentApiError, StorageError, TransferError
from learnosity.landing import land as landing
from learnosity.landing.concurrency import MAX_LARGE_FILES, AdaptiveLimit, LargeFileSlots
from learnosity.landing.land import land_shard
from learnosity.landing.large_files import WHOLE_BYTES
from learnosity.landing.ledger import read_ledger
from learnosity.storage.store import Store
from simulator.faults import FaultKind
from tests.component.landing_scene import Chunks, Passing, Scene, StartScene, scene, tls_store
from tests.figures import Figures

__all__ = ["scene"]

PASSING_FAULTS = [
    pytest.param("truncate", {"fraction": 0.5}, id="a truncated body"),
    pytest.param("truncate", {"fraction": 0.0}, id="a body that never comes"),
    pytest.param("wrong_length", {}, id="a body one byte short"),
    pytest.param("reset", {}, id="a reset connection"),
    pytest.param("lost_reply", {}, id="an answer that is lost"),
    pytest.param("status", {"status": 500}, id="a server error"),
    pytest.param("status", {"status": 503}, id="a busy server"),
    pytest.param("rate_limited", {}, id="SlowDown"),
    pytest.param("expired_url", {}, id="an expired URL"),
    pytest.param("slow_body", {"bytes_per_second": 20_000}, id="a slow body"),
]


async def test_what_lands_is_what_was_served_and_the_manifest_says_so(scene: StartScene) -> None:
    dataset = await scene()
    plan = await dataset.plan()
    landed = await dataset.land()
    await dataset.publish()
    await dataset.check_whole()
    assert sum(shard.files for shard in plan) == landed.files == len(dataset.served)
    assert landed.total_bytes == sum(file.size for file in dataset.served.values())
    assert landed.skipped == 0
    assert set(dataset.gets.values()) == {1}


@pytest.mark.parametrize("shape", ["inline", "groups"])
async def test_content_of_a_reply_that_has_changed_since_the_plan_does_not_land(scene: StartScene, shape: str) -> None:
    dataset = await scene(results_shape=shape)
    await dataset.plan(shards=2)
    await dataset.land(0)
    for name in list(dataset.served):
        content = b"group_name,population\nchanged,1\n"
        if name.endswith(".json"):
            content = b'[{"group_name": "changed", "population": 1}]'
        dataset.add_file(name, content)

    async def changed(group_path: Sequence[str]) -> bytes:
        return b'{"changed": 1}'

    results = dataset.results
    results.unseal = lambda sealed: []  # type: ignore[method-assign]
    results.group_content = changed  # type: ignore[method-assign]
    with pytest.raises(
        IncompleteDatasetError, match=r"bytes instead of .* changed while it was landed.*Clear list_files"
    ):
        await land_shard(dataset.store, dataset.layout, results, dataset.transfer, work=dataset.work, shard=1)


@pytest.mark.parametrize("shape", ["urls", "paged", "inline", "groups"])
async def test_every_shape_of_listing_lands_whole(scene: StartScene, shape: str) -> None:
    dataset = await scene(results_shape=shape, page_size=5)
    await dataset.landed()
    listed = await dataset.listed()
    assert len(listed) > 10
    for entry in listed:
        content = await dataset.data(entry.path)
        assert content is not None
        assert hashlib.sha256(content).hexdigest() == entry.sha256


async def test_a_listing_without_sizes_and_types_lands_whole(scene: StartScene) -> None:
    dataset = await scene(list_bytes=False, list_content_type=False)
    await dataset.landed()
    await dataset.check_whole()


@pytest.mark.parametrize(("kind", "how"), PASSING_FAULTS)
@pytest.mark.promise("transient with backoff")
async def test_lands_whole_through(scene: StartScene, kind: FaultKind, how: dict[str, Any]) -> None:
    dataset = await scene()
    dataset.fault(kind, times=7, every=3, **how)
    await dataset.landed()
    await dataset.check_whole()
    assert dataset.sim.stats.faults[f"{kind} file"] == 7


async def test_urls_that_have_run_out_are_asked_for_once_for_all_who_need_them(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    dataset.sim.stats.reset()
    dataset.fault("expired_url", match="get reports/datasets", times=1)
    await dataset.land()
    assert dataset.sim.stats.calls["get reports/datasets"] == 2
    assert len(dataset.gets) == len(dataset.served)


async def test_a_file_that_never_comes_whole_is_named_and_leaves_nothing(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    dataset.fault("truncate", name="groups/s1/group.csv")
    with pytest.raises(TransferError, match=r"groups/s1/group\.csv.* did not arrive in 6 attempts"):
        await dataset.land()
    assert await dataset.data("groups/s1/group.csv") is None
    assert len(await dataset.paths(dataset.layout.data_prefix)) == len(dataset.served) - 1


@pytest.mark.parametrize("lie", [None, "no_length"])
@pytest.mark.parametrize("size", [2, 70_000, 9 * 1024 * 1024])
@pytest.mark.promise("permanent at once")
async def test_a_file_that_always_has_another_size_than_listed_is_not_tried_for_hours(
    scene: StartScene, size: int, lie: str | None
) -> None:
    dataset = await scene()
    dataset.add_file("groups/s1/group.json", b"[" + b"1," * 5_000_000 + b"1]" if size > WHOLE_BYTES else b"[1, 2]")
    await dataset.plan()
    dataset.add_file("groups/s1/group.json", b" " * size)
    if lie:
        dataset.fault("lie", name="groups/s1/group.json", lie=lie)
    advice = r"Each of 6 attempts .*Clear list_files .*without `bytes`"
    with pytest.raises(TransferError, match=advice):
        await dataset.land()
    with pytest.raises(IncompleteDatasetError, match=advice):
        await dataset.land(is_retry=True)
    assert await dataset.data("groups/s1/group.json") is None


@pytest.mark.parametrize(
    "begin", [b"<!DOCTYPE html><title>Sign in</title>", b"<Error><Code>InternalError</Code></Error>"]
)
@pytest.mark.parametrize("lie", [None, "no_length"])
@pytest.mark.parametrize("size", [100, 70_000, 9 * 1024 * 1024])
@pytest.mark.parametrize("listed", [200, 100_000, 10 * 1024 * 1024])
@pytest.mark.promise("transient with backoff")
async def test_a_page_or_an_error_of_another_size_than_listed_is_not_for_good(
    scene: StartScene, listed: int, size: int, lie: str | None, begin: bytes
) -> None:
    dataset = await scene()
    for name in list(dataset.served):
        dataset.remove_file(name)
    dataset.add_file("a.json", b" " * listed)
    await dataset.plan()
    dataset.add_file("a.json", begin.ljust(size))
    if lie:
        dataset.fault("lie", lie=lie)
    with pytest.raises(TransferError, match="in place of the file"):
        await dataset.land(is_retry=True)
    assert not await dataset.paths(dataset.layout.data_prefix)


async def test_a_size_that_differs_from_try_to_try_is_not_for_good(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    dataset.add_file("groups/s1/group.json", b"{}")
    dataset.fault("wrong_length", name="groups/s1/group.json", times=1)
    with pytest.raises(TransferError, match="2 bytes offered"):
        await dataset.land()


async def plan_of_unpacked(dataset: Scene) -> list[dict[str, Any]]:
    """Make the plan give the sizes of files before compression."""
    plan = f"{dataset.work}/plan-0000.ndjson"
    *files, end = (json.loads(line) for line in (await dataset.store.get(plan) or b"").splitlines())
    for line in files:
        line["bytes"] = len(dataset.unpacked(line["path"]))
    content = b"".join(msgspec.json.encode(line) + b"\n" for line in [*files, end])
    await dataset.store.put(plan, content)
    return files


@pytest.mark.parametrize("encoding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("lie", [None, "no_length"])
@pytest.mark.parametrize(
    ("unit", "size", "more"), [(b"ab", 2, 0), (b"ab", 70_000, 0), (b"", 60_000, 0), (b"", 70_000, 1)]
)
async def test_a_small_file_is_requested_once_if_it_fits_into_its_room(
    scene: StartScene, unit: bytes, size: int, more: int, lie: str | None, encoding: str | None
) -> None:
    dataset = await scene(content_encoding=encoding)
    for name in list(dataset.served):
        dataset.remove_file(name)
    # Random bytes get larger by compression. So 70,000 of them do not fit into the room of their listed size.
    dataset.add_file("a.json", unit * (size // 2) if unit else os.urandom(size))
    await dataset.plan()
    await plan_of_unpacked(dataset)
    if lie:
        dataset.fault("lie", lie=lie)
    await dataset.land()
    await dataset.publish()
    await dataset.check_whole()
    assert dataset.gets == {"a.json": 1 + (more if encoding else 0)}


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("lie", [None, "no_length"])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.promise("whole or nothing")
async def test_compressed_files_whose_listed_size_is_that_before_compression_land(
    scene: StartScene, encoding: str, lie: str | None, large: bool
) -> None:
    dataset = await scene(content_encoding=encoding)
    if large:
        dataset.add_file("large.json", os.urandom(9 * 1024 * 1024).hex().encode())
    await dataset.plan()
    lines = await plan_of_unpacked(dataset)
    assert len({line["bytes"] - dataset.served[line["path"]].size > 0 for line in lines}) == 2
    if lie:
        dataset.fault("lie", lie=lie)
    await dataset.land()
    await dataset.publish()
    await dataset.check_whole()
    assert {entry.content_encoding for entry in await dataset.listed()} == {encoding}


@pytest.mark.parametrize("list_content_type", [True, False])
@pytest.mark.promise("whole or nothing")
async def test_a_login_page_in_place_of_files_without_a_listed_size_is_tried_again(
    scene: StartScene, list_content_type: bool
) -> None:
    dataset = await scene(list_bytes=False, list_content_type=list_content_type)
    await dataset.plan()
    dataset.fault("non_json", times=10, every=3)
    await dataset.land()
    await dataset.publish()
    await dataset.check_whole()
    assert dataset.sim.stats.faults["non_json file"] == 10


async def test_a_login_page_that_stays_lands_as_no_file(scene: StartScene) -> None:
    dataset = await scene(list_bytes=False)
    await dataset.plan()
    dataset.fault("non_json", name="groups/s1/group.csv")
    with pytest.raises(TransferError, match=r"groups/s1/group\.csv.*a web page came in place of the file.*proxies"):
        await dataset.land()
    assert await dataset.data("groups/s1/group.csv") is None


@pytest.mark.parametrize("length", [True, False])
async def test_a_large_page_in_place_of_a_large_file_lands_as_no_file(scene: StartScene, length: bool) -> None:
    dataset = await scene(list_bytes=False)
    page = b"<!DOCTYPE html>" + b" " * (9 * 1024 * 1024)
    dataset.add_file("large.json", page)
    await dataset.plan()
    if not length:
        dataset.fault("lie", name="large.json", lie="no_length")
    with pytest.raises(TransferError, match="'large.json': a web page came in place of the file"):
        await dataset.land()
    assert dataset.gets["large.json"] == landing.FILE_ATTEMPTS
    assert await dataset.data("large.json") is None


async def test_a_file_that_is_gone_since_the_listing_says_to_list_again(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    dataset.remove_file("groups/s1/group.json")
    with pytest.raises(IncompleteDatasetError, match=r"\(33 now, 34 then\).*Clear list_files"):
        await dataset.land()


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("include", ["*", "*.json"])
@pytest.mark.promise("whole or nothing")
async def test_a_file_that_has_come_since_the_listing_says_to_list_again(
    scene: StartScene, include: str, shards: int
) -> None:
    dataset = await scene()
    await dataset.plan(shards=shards, include=[include])
    await dataset.land(0)
    dataset.add_file("groups/s1/late.json", b"[]")
    for shard in range(1, shards):
        with pytest.raises(IncompleteDatasetError, match=r"has other files .*Clear list_files"):
            await dataset.land(shard)
    dataset.work = dataset.layout.work_prefix("run-1", "plan-2")
    await dataset.plan(shards=shards, include=[include])
    for shard in range(shards):
        await dataset.land(shard)
    await dataset.publish(shards)
    assert "groups/s1/late.json" in {entry.path for entry in await dataset.listed()}


async def test_a_file_that_has_come_since_the_listing_and_is_not_included_changes_nothing(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan(include=["*.json"])
    dataset.add_file("groups/s1/late.csv", b"a,b\n")
    dataset.remove_file("groups/s1/group.csv")
    assert (await dataset.land()).files == len([name for name in dataset.served if name.endswith(".json")])


@pytest.mark.promise("whole or nothing")
async def test_a_file_that_has_come_before_the_addresses_ran_out_says_to_list_again(scene: StartScene) -> None:
    dataset = await scene(results_shape="paged", page_size=5)
    await dataset.plan()
    dataset.add_file("groups/s1/late.json", b"[]")
    dataset.sim.stats.reset()
    landed = await dataset.land()
    assert landed.files == len(dataset.served) - 1
    assert not dataset.sim.stats.calls["get reports/datasets"], "no listing is requested where none is needed"
    dataset.work = dataset.layout.work_prefix("run-1", "plan-2")
    await dataset.plan(overwrite=True)
    dataset.add_file("groups/s1/later.json", b"[]")
    dataset.fault("expired_url", times=1)
    with pytest.raises(IncompleteDatasetError, match=r"has other files .*Clear list_files"):
        await dataset.land()


@pytest.mark.promise("permanent at once")
async def test_a_permanent_refusal_ends_the_landing_at_once(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    dataset.fault("status", status=400)
    with pytest.raises(PermanentApiError, match="refused"):
        await dataset.land()


async def test_when_nothing_comes_the_rest_is_left_for_the_next_try(
    scene: StartScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "MAX_FAILED_FILES", 3)
    dataset = await scene()
    await dataset.plan()
    dataset.fault("status", status=500)
    with pytest.raises(TransferError, match="the next try continues"):
        await dataset.land(limit=AdaptiveLimit(start=1, most=1))
    assert dataset.sim.stats.calls["file"] == 3 * landing.FILE_ATTEMPTS


async def test_files_that_are_fetched_again_are_counted(scene: StartScene) -> None:
    dataset = await scene()
    dataset.transfer.metrics = figures = Figures()
    await dataset.plan()
    dataset.fault("status", status=503, times=3)
    await dataset.land()
    assert figures.counts == {("landing_retries",): 3}


@pytest.mark.promise("no secret")
async def test_no_error_tells_a_signature(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    dataset.fault("reset")
    with pytest.raises(TransferError) as caught:
        await dataset.land()
    assert "Signature" not in str(caught.value)
    assert "Expires" not in str(caught.value)


async def test_the_next_try_fetches_only_what_is_missing(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    failing = [name for name in dataset.served if name.startswith("groups/s1/")]
    assert 1 < len(failing) < landing.MAX_FAILED_FILES
    dataset.fault("status", status=500, name="groups/s1/*")
    with pytest.raises(TransferError):
        await dataset.land()
    dataset.sim.faults.clear()
    again = await dataset.land()
    await dataset.publish()
    await dataset.check_whole()
    assert again.skipped == len(dataset.served) - len(failing)
    assert set(dataset.gets.values()) == {1}


class Stuck(Passing):
    """Hangs on every write of a data file after the first few."""

    def __init__(self, inner: Store, after: int) -> None:
        super().__init__(inner)
        self._left = after
        self.stuck = asyncio.Event()

    async def put(self, path: str, content: bytes | memoryview, *how: Any, **named: Any) -> str | None:
        if "/data/" in path:
            if self._left == 0:
                self.stuck.set()
                await asyncio.Event().wait()
            self._left -= 1
        return await super().put(path, content, *how, **named)


async def test_a_landing_killed_in_the_middle_continues_with_the_rest(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    store = Stuck(dataset.store, after=9)
    task = asyncio.create_task(dataset.land(store=store, limit=AdaptiveLimit(start=1, most=1)))
    await asyncio.wait_for(store.stuck.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    dataset.sim.stats.reset()
    again = await dataset.land()
    await dataset.publish()
    await dataset.check_whole()
    assert again.skipped == 9
    assert len(dataset.gets) == len(dataset.served) - 9


async def test_landing_again_moves_no_data_byte(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    first = await dataset.land()
    dataset.sim.stats.reset()
    second = await dataset.land()
    assert dataset.sim.stats.bytes_served == 0
    assert dataset.sim.stats.calls == {}
    assert (second.skipped, second.files, second.total_bytes) == (first.files, first.files, first.total_bytes)


@pytest.mark.parametrize("change", ["other bytes", "other size", "gone"])
async def test_a_landed_file_that_somebody_changed_is_fetched_again(scene: StartScene, change: str) -> None:
    dataset = await scene()
    await dataset.plan()
    await dataset.land()
    path = "groups/group.json"
    size = dataset.served[path].size
    if change == "gone":
        await dataset.store.delete([dataset.layout.data(path)])
    else:
        await dataset.store.put(dataset.layout.data(path), b"x" * (size if change == "other bytes" else 1))
    dataset.sim.stats.reset()
    await dataset.land()
    assert dataset.gets == {path: 1}
    await dataset.publish()
    await dataset.check_whole()


async def test_shards_land_apart_and_publish_together(scene: StartScene) -> None:
    dataset = await scene()
    plan = await dataset.plan(shards=4)
    landed = await asyncio.gather(*(dataset.land(shard.shard) for shard in plan))
    await dataset.publish(4)
    await dataset.check_whole()
    assert [result.files for result in landed] == [shard.files for shard in plan]
    assert set(dataset.gets.values()) == {1}


async def test_two_runs_over_the_same_dataset_at_once_leave_it_whole(scene: StartScene) -> None:
    first = await scene()
    second = Scene(first.sim, first.client, first.transfer, first.layout, first.store)
    second.work = first.layout.work_prefix("run-2", "plan-1")
    await asyncio.gather(first.plan(), second.plan())
    await asyncio.gather(first.land(), second.land())
    await first.publish()
    await second.publish()
    await first.check_whole()
    assert not await first.paths(f"{first.layout.prefix}/_landing")


async def test_a_store_that_may_not_be_written_ends_the_landing_with_its_name(scene: StartScene) -> None:
    class Full(Passing):
        async def put(self, path: str, content: bytes | memoryview, *how: Any, **named: Any) -> str | None:
            if "/data/" in path:
                raise StorageError("no permission")
            return await super().put(path, content, *how, **named)

    dataset = await scene()
    await dataset.plan()
    with pytest.raises(StorageError, match="no permission"):
        await dataset.land(store=Full(dataset.store))


async def many_large(scene: StartScene, number: int, *, store: Store | None = None, **switches: Any) -> Scene:
    """A planned dataset of nothing but large files."""
    dataset = await scene(**switches)
    dataset.store = store or dataset.store
    for name in list(dataset.served):
        dataset.remove_file(name)
    for file in range(number):
        dataset.add_file(f"large/{file}.json", os.urandom(16 * 1024 * 1024))
    await dataset.plan()
    return dataset


def at_rest(monkeypatch: pytest.MonkeyPatch, slots: int) -> None:
    """So many large files at once, however slowly they flow: the clock stands still."""
    monkeypatch.setattr(landing, "LargeFileSlots", lambda: LargeFileSlots(processors=slots, clock=lambda: 0.0))


class Metered(Passing):
    """A store that takes its time over streams.

    :param seconds_a_chunk: what each takes.
    :param until: in no hurry until so many streams have been under way at once.
    """

    def __init__(self, inner: Store, *, seconds_a_chunk: float, until: int | None = None) -> None:
        super().__init__(inner)
        self.most = 0
        self.finished = 0
        self._now = 0
        self._seconds = seconds_a_chunk
        self._until = until

    async def put_stream(self, path: str, chunks: Chunks, *how: Any, **named: Any) -> str | None:
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            return await super().put_stream(path, self._slowly(chunks), *how, **named)
        finally:
            self._now -= 1
            self.finished += 1

    async def _slowly(self, chunks: Chunks) -> Chunks:
        async for chunk in chunks:
            if self._until is None or self.most < self._until:
                await asyncio.sleep(self._seconds)
            yield chunk


class TestLargeFiles:
    """Files above `WHOLE_BYTES`: streamed, in parts or in one request, and continued where the connection dropped."""

    SIZE = 12 * 1024 * 1024 + 7

    @pytest.fixture(params=["in parts", "in one request"])
    async def large(self, scene: StartScene, s3_server: SeaweedFS, request: pytest.FixtureRequest) -> Scene:
        dataset = await scene()
        if request.param == "in one request":
            dataset.store = tls_store(s3_server)
        for name in list(dataset.served):
            dataset.remove_file(name)
        dataset.add_file("large.json", os.urandom(self.SIZE))
        await dataset.plan()
        return dataset

    async def test_lands_whole(self, large: Scene) -> None:
        await large.land()
        await large.publish()
        await large.check_whole()

    async def test_goes_in_one_request_where_tls_guards_it(self, scene: StartScene, s3_server: SeaweedFS) -> None:
        dataset = await many_large(scene, 3, store=tls_store(s3_server))
        await dataset.land()
        await dataset.publish()
        await dataset.check_whole()
        infos = [info async for batch in dataset.store.list(dataset.layout.data_prefix) for info in batch]
        # The tag of an object that was written in parts ends with their number, such as `…-3`. These tags have no such
        # end.
        assert [re.fullmatch(r'"?[0-9a-f]{32}"?', info.etag or "") is not None for info in infos] == [True] * 3

    @pytest.mark.parametrize("status", [403, 500, 503])
    async def test_goes_in_parts_once_one_request_has_failed(
        self, scene: StartScene, s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch, status: int
    ) -> None:
        at_rest(monkeypatch, 2)
        asked: list[str] = []

        async def refuse(request: web.Request) -> web.Response:
            asked.append(request.path)
            return web.Response(status=status)

        app = web.Application()
        app.router.add_put("/{path:.*}", refuse)
        async with TestServer(app) as refusing:
            store = tls_store(s3_server, single_puts_to=str(refusing.make_url("")))
            dataset = await many_large(scene, 3, store=store)
            await dataset.land()
            await dataset.publish()
        await dataset.check_whole()
        assert 1 <= len(asked) <= 2, "those that were under way when the first failed, and none later"

    async def test_one_that_changes_its_size_while_it_waits_for_its_turn_lands_as_it_is_then(
        self, scene: StartScene, s3_server: SeaweedFS
    ) -> None:
        dataset = await many_large(scene, 3, store=tls_store(s3_server), list_bytes=False)
        larger = os.urandom(17 * 1024 * 1024)

        class Changing(Passing):
            async def put_stream(self, path: str, chunks: Chunks, *how: Any, **named: Any) -> str | None:
                if dataset.served["large/2.json"].size < len(larger):
                    dataset.add_file("large/2.json", larger)
                return await super().put_stream(path, chunks, *how, **named)

        await dataset.land(store=Changing(dataset.store))
        await dataset.publish()
        await dataset.check_whole()

    async def test_the_rest_alone_is_fetched_after_a_cut(self, large: Scene) -> None:
        large.fault("truncate", fraction=0.75, times=1)
        await large.land()
        await large.publish()
        await large.check_whole()
        assert large.gets == {"large.json": 2}
        # `bytes_served` counts the first reply in full, though it was cut off. A second reply with the whole file would
        # make it 2 files. It is less, so the second reply was only the rest.
        assert self.SIZE < large.sim.stats.bytes_served < 1.6 * self.SIZE

    async def test_several_cuts_in_a_row_are_survived(self, large: Scene) -> None:
        large.fault("truncate", fraction=0.3, times=5)
        await large.land()
        await large.publish()
        await large.check_whole()

    async def test_a_way_that_breaks_before_every_part_is_full_still_gets_on(self, large: Scene) -> None:
        large.fault("truncate", fraction=0.3, times=10)
        await large.land()
        await large.publish()
        await large.check_whole()
        assert large.gets == {"large.json": 11}

    @pytest.mark.parametrize("slots", [3, MAX_LARGE_FILES])
    async def test_as_many_flow_at_once_as_there_are_slots_and_no_more(
        self, scene: StartScene, monkeypatch: pytest.MonkeyPatch, slots: int
    ) -> None:
        at_rest(monkeypatch, slots)
        dataset = await many_large(scene, 12)
        store = Metered(dataset.store, seconds_a_chunk=0.1, until=slots)
        await dataset.land(store=store)
        assert store.most == slots
        await dataset.publish()
        await dataset.check_whole()

    async def test_of_a_slow_source_eight_flow_at_once(
        self, scene: StartScene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(landing, "LargeFileSlots", lambda: LargeFileSlots(processors=2))
        dataset = await many_large(scene, 10)
        dataset.fault("slow_body", bytes_per_second=16 * 1024 * 1024)
        store = Metered(dataset.store, seconds_a_chunk=0.0)
        await dataset.land(store=store)
        assert store.most == MAX_LARGE_FILES
        await dataset.publish()
        await dataset.check_whole()

    @pytest.mark.promise("bounded memory")
    async def test_one_of_unknown_size_waits_for_its_turn_without_a_connection(
        self, scene: StartScene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at_rest(monkeypatch, 3)
        dataset = await many_large(scene, 12, list_bytes=False)
        store = Metered(dataset.store, seconds_a_chunk=0.1)
        get, is_open, seen = dataset.transfer.get, set[str](), list[int]()

        @asynccontextmanager
        async def watched(url: str, **more: Any) -> AsyncIterator[Download]:
            async with get(url, **more) as download:
                is_open.add(url)
                try:
                    yield download
                finally:
                    is_open.discard(url)
                    if store.finished:
                        seen.append(len(is_open))

        monkeypatch.setattr(dataset.transfer, "get", watched)
        await dataset.land(store=store)
        assert max(seen) <= 3
        assert max(dataset.gets.values()) == 2
        await dataset.publish()
        await dataset.check_whole()

    async def test_the_rest_of_another_file_is_never_joined_to_the_first_half(self, large: Scene) -> None:
        other = os.urandom(self.SIZE)
        get = large.transfer.get
        taken: list[int] = []

        def swapping(url: str, rest: Rest | None = None) -> Any:
            if rest is not None and not taken:
                taken.append(rest.start)
                large.add_file("large.json", other)
            return get(url, rest)

        large.transfer.get = swapping  # type: ignore[method-assign]
        large.fault("truncate", fraction=0.75, times=1)
        await large.land()
        assert taken
        assert await large.data("large.json") == other

    async def test_a_stream_that_ends_early_for_good_leaves_no_object(self, large: Scene) -> None:
        large.fault("truncate", fraction=0.0)
        with pytest.raises(TransferError, match="large.json"):
            await large.land()
        assert await large.data("large.json") is None
        assert not await large.paths(large.layout.data_prefix)

    async def test_url_that_runs_out_half_way_is_asked_for_again(self, large: Scene) -> None:
        large.fault("truncate", fraction=0.5, nth=1)
        large.fault("expired_url", nth=2)
        await large.land()
        await large.publish()
        await large.check_whole()
        assert large.sim.stats.bytes_served < 1.6 * self.SIZE, "it went on where it was cut off"


async def test_notes_are_kept_of_what_landed_before_a_failure(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    dataset.fault("status", status=400, name="groups/s3/*")
    with pytest.raises(PermanentApiError):
        await dataset.land(limit=AdaptiveLimit(start=1, most=1))
    noted = await read_ledger(dataset.store, dataset.work, 0)
    stored = await dataset.paths(dataset.layout.data_prefix)
    assert {dataset.layout.data(path) for path in noted} == stored
    assert noted


async def test_a_plan_that_is_gone_says_how_to_make_it_again(scene: StartScene) -> None:
    dataset = await scene()
    with pytest.raises(IncompleteDatasetError, match="Clear list_files"):
        await dataset.land()


async def test_a_server_that_asks_for_less_gets_less(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    limit = AdaptiveLimit(start=16)
    dataset.fault("rate_limited", times=1)
    await dataset.land(limit=limit)
    assert limit.limit < 16


@pytest.mark.promise("bounded memory")
async def test_memory_in_flight_waits_for_room(scene: StartScene, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    class Counting(Passing):
        def __init__(self, inner: Store) -> None:
            super().__init__(inner)
            self.bytes = 0

        async def put(self, path: str, content: bytes | memoryview, *how: Any, **named: Any) -> str | None:
            if "/data/" in path:
                self.bytes += len(content)
                held.append(self.bytes)
            try:
                return await super().put(path, content, *how, **named)
            finally:
                if "/data/" in path:
                    self.bytes -= len(content)

    dataset = await scene()
    for number in range(20):
        dataset.add_file(f"even/{number:02d}.json", os.urandom(50_000))
    monkeypatch.setattr(landing, "MEMORY_BYTES", 120_000)
    await dataset.plan()
    await dataset.land(store=Counting(dataset.store))
    await dataset.publish()
    await dataset.check_whole()
    assert max(held) <= 120_000


async def test_what_a_reader_of_the_stream_raises_is_not_taken_for_the_network(scene: StartScene) -> None:
    class Broken(Passing):
        async def put_stream(self, path: str, chunks: Chunks, *how: Any, **named: Any) -> str | None:
            async for _ in chunks:
                raise StorageError("the bucket is gone")
            return None

    dataset = await scene()
    dataset.add_file("large.json", os.urandom(9 * 1024 * 1024))
    await dataset.plan()
    with pytest.raises(StorageError, match="the bucket is gone"):
        await dataset.land(store=Broken(dataset.store))
