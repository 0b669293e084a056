"""Landing from a bucket that lies about what it sends: each file lands whole, as it was served, or not at all."""

from __future__ import annotations

import gzip
import os
import zlib
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest

from devstack.seaweedfs import REGION, SeaweedFS
from learnosity.dataset.limits import WHOLE
from learnosity.dataset.parquet import to_parquet
from learnosity.dataset.published import PublishedDataset, verify
from learnosity.errors import IncompleteDatasetError, LearnosityError, PermanentApiError, TransferError
from learnosity.landing import land as landing
from simulator.faults import Lie
from tests.component.landing_scene import Scene, StartScene, s3_store, scene, tls_store

__all__ = ["scene"]

LARGE_BYTES = 12 * 1024 * 1024 + 7
# With these lies, the reply is not the whole file with the listed size. So it must not land.
BROKEN: list[Lie] = ["part", "no_content", "longer", "endless"]
# With these lies, the reply to a request for a whole file still has the right bytes. So it lands.
HARMLESS: list[Lie] = ["whole", "no_length", "other_tag", "weak_tag", "no_tag", "range_start", "multipart"]
# With these lies, a reply cannot be the rest of a file whose download was cut off. So the download begins again.
NO_REST: list[Lie] = [
    "range_start",
    "range_end",
    "range_total",
    "range_unknown",
    "no_range",
    "multipart",
    "whole",
    "no_content",
    "longer",
    "endless",
    "other_tag",
    "weak_tag",
    "no_tag",
]


@pytest.mark.parametrize("lie", BROKEN)
@pytest.mark.promise("whole or nothing")
async def test_small_files_land_whole_although_some_replies_lie(scene: StartScene, lie: Lie) -> None:
    dataset = await scene()
    dataset.fault("lie", lie=lie, every=3, times=7)
    await dataset.landed()
    await dataset.check_whole()
    assert dataset.sim.stats.faults == {"lie file": 7}


@pytest.mark.parametrize(
    ("lie", "list_bytes"),
    # Without a listed length, nobody can know that a body is too long.
    [*[(lie, True) for lie in BROKEN], ("part", False), ("no_content", False)],
)
@pytest.mark.promise("whole or nothing")
async def test_a_small_file_of_which_every_reply_lies_leaves_nothing(
    scene: StartScene, lie: Lie, list_bytes: bool
) -> None:
    dataset = await scene(list_bytes=list_bytes)
    await dataset.plan()
    dataset.fault("lie", lie=lie, name="groups/s1/group.json")
    with pytest.raises(TransferError, match=r"groups/s1/group\.json"):
        await dataset.land()
    assert await dataset.data("groups/s1/group.json") is None
    assert len(await dataset.paths(dataset.layout.data_prefix)) == len(dataset.served) - 1


@pytest.mark.parametrize("lie", HARMLESS)
async def test_small_files_land_whatever_else_is_said_of_them(scene: StartScene, lie: Lie) -> None:
    dataset = await scene()
    dataset.fault("lie", lie=lie)
    await dataset.landed()
    await dataset.check_whole()
    assert set(dataset.gets.values()) == {1}


async def a_large_file(scene: StartScene, s3_server: SeaweedFS, *, tls: bool, **switches: Any) -> Scene:
    """A planned dataset of one large file."""
    dataset = await scene(**switches)
    dataset.store = tls_store(s3_server) if tls else s3_store(s3_server)
    for name in list(dataset.served):
        dataset.remove_file(name)
    dataset.add_file("large.csv", os.urandom(LARGE_BYTES // 2).hex().encode() + b"a")
    await dataset.plan()
    return dataset


@pytest.mark.parametrize("tls", [False, True], ids=["in parts", "in one request"])
@pytest.mark.parametrize("lie", NO_REST)
@pytest.mark.promise("whole or nothing")
async def test_a_large_file_begins_again_where_its_rest_is_a_lie(
    scene: StartScene, s3_server: SeaweedFS, lie: Lie, tls: bool
) -> None:
    dataset = await a_large_file(scene, s3_server, tls=tls)
    dataset.fault("truncate", fraction=0.5, nth=1)
    dataset.fault("lie", lie=lie, nth=2)
    await dataset.land()
    await dataset.publish()
    await dataset.check_whole()
    assert dataset.gets == {"large.csv": 3}


@pytest.mark.parametrize("tls", [False, True], ids=["in parts", "in one request"])
@pytest.mark.parametrize("lie", [*BROKEN, "no_length"])
async def test_a_large_file_lands_whole_although_its_first_reply_lies(
    scene: StartScene, s3_server: SeaweedFS, lie: Lie, tls: bool
) -> None:
    dataset = await a_large_file(scene, s3_server, tls=tls)
    dataset.fault("lie", lie=lie, nth=1)
    await dataset.land()
    await dataset.publish()
    await dataset.check_whole()


@pytest.mark.parametrize("tls", [False, True], ids=["in parts", "in one request"])
@pytest.mark.parametrize("lie", BROKEN)
@pytest.mark.promise("whole or nothing")
async def test_a_large_file_of_which_every_reply_lies_leaves_nothing(
    scene: StartScene, s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch, lie: Lie, tls: bool
) -> None:
    monkeypatch.setattr(landing, "FILE_ATTEMPTS", 2)
    dataset = await a_large_file(scene, s3_server, tls=tls)
    dataset.fault("lie", lie=lie)
    with pytest.raises(TransferError, match=r"large\.csv"):
        await dataset.land()
    assert not await dataset.paths(dataset.layout.data_prefix)


@pytest.mark.parametrize("honour_if_range", [True, False])
@pytest.mark.parametrize("tls", [False, True], ids=["in parts", "in one request"])
@pytest.mark.promise("whole or nothing")
async def test_a_large_file_that_is_replaced_in_mid_stream_lands_as_it_is_now(
    scene: StartScene, s3_server: SeaweedFS, honour_if_range: bool, tls: bool
) -> None:
    dataset = await a_large_file(scene, s3_server, tls=tls, honour_if_range=honour_if_range)
    before = dataset.served["large.csv"].sha256
    dataset.fault("truncate", fraction=0.5, nth=1)
    dataset.fault("replaced", nth=2)
    await dataset.land()
    await dataset.publish()
    await dataset.check_whole()
    assert dataset.served["large.csv"].sha256 != before


@pytest.mark.parametrize("code", ["ExpiredToken", "AccessDenied"])
@pytest.mark.parametrize("tls", [False, True], ids=["in parts", "in one request"])
async def test_a_large_file_whose_url_runs_out_in_mid_stream_goes_on_at_its_byte(
    scene: StartScene, s3_server: SeaweedFS, code: str, tls: bool
) -> None:
    dataset = await a_large_file(scene, s3_server, tls=tls)
    dataset.sim.stats.reset()
    dataset.fault("truncate", fraction=0.75, nth=1)
    dataset.fault("status", status=400 if code == "ExpiredToken" else 403, s3_code=code, nth=2)
    await dataset.land()
    assert dataset.sim.stats.calls["get reports/datasets"] == 2, "once at first, once for the new URL"
    # `bytes_served` counts the first reply in full, though it was cut off. One more reply with the whole file would
    # make it 2 files. It is less, so the reply after the cut was only the rest.
    assert dataset.sim.stats.bytes_served < 1.6 * LARGE_BYTES
    await dataset.publish()
    await dataset.check_whole()


@pytest.mark.parametrize(
    ("status", "code"), [(400, "RequestTimeout"), (400, "ExpiredToken"), (409, "OperationAborted")]
)
@pytest.mark.promise("transient with backoff")
async def test_lands_whole_through_refusals_that_pass(scene: StartScene, status: int, code: str) -> None:
    dataset = await scene()
    dataset.fault("status", status=status, s3_code=code, every=3, times=7)
    await dataset.landed()
    await dataset.check_whole()
    assert dataset.sim.stats.faults == {"status file": 7}


@pytest.mark.parametrize("code", ["KMS.DisabledException", "InvalidRequest", "NoSuchThing"])
@pytest.mark.promise("permanent at once")
async def test_a_refusal_that_cannot_pass_ends_the_landing_at_once(scene: StartScene, code: str) -> None:
    dataset = await scene()
    await dataset.plan()
    dataset.fault("status", status=400, s3_code=code)
    with pytest.raises(PermanentApiError, match=code):
        await dataset.land()


class TestPackedFiles:
    """Files that the bucket serves with a `Content-Encoding`: they stay as served, and every reader unpacks them."""

    @pytest.fixture(params=["gzip", "deflate"])
    def encoding(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    async def test_they_land_as_served_and_the_list_says_how_they_are_packed(
        self, scene: StartScene, encoding: str
    ) -> None:
        dataset = await scene(content_encoding=encoding)
        await dataset.landed()
        await dataset.check_whole()
        listed = await dataset.listed()
        assert len(listed) > 10
        for entry in listed:
            assert entry.content_encoding == encoding
            assert entry.content_type in ("application/json", "text/csv")
            content = await dataset.data(entry.path)
            assert content is not None
            unpacked = gzip.decompress(content) if encoding == "gzip" else zlib.decompress(content)
            assert unpacked.startswith(b"{") == entry.path.endswith(".json")

    async def test_their_list_can_be_verified(self, scene: StartScene, encoding: str) -> None:
        dataset = await scene(content_encoding=encoding)
        manifest = await dataset.landed()
        await verify(dataset.store, dataset.layout, manifest)

    @pytest.mark.parametrize("tls", [False, True], ids=["in parts", "in one request"])
    async def test_their_objects_tell_type_and_encoding(
        self, scene: StartScene, s3_server: SeaweedFS, encoding: str, tls: bool
    ) -> None:
        dataset = await a_large_file(scene, s3_server, tls=tls, content_encoding=encoding)
        dataset.add_file("small.json", b'{"group": {}}')
        await dataset.plan()
        await dataset.land()
        await dataset.publish()
        client = boto3.client(
            "s3",
            endpoint_url=s3_server.endpoint,
            region_name=REGION,
            aws_access_key_id=s3_server.landing.access_key,
            aws_secret_access_key=s3_server.landing.secret_key,
        )
        prefix = dataset.store.uri.removeprefix("s3://landing/")
        for path in ("large.csv", "small.json"):
            head = client.head_object(Bucket="landing", Key=f"{prefix}/{dataset.layout.data(path)}")
            assert (head["ContentEncoding"], head["ContentType"]) == (encoding, "application/json")
            assert head["ContentLength"] == dataset.served[path].size
        manifest = client.head_object(Bucket="landing", Key=f"{prefix}/{dataset.layout.manifest}")
        assert "ContentEncoding" not in manifest

    async def test_a_large_one_goes_on_in_the_middle_of_its_packed_bytes(
        self, scene: StartScene, s3_server: SeaweedFS, encoding: str
    ) -> None:
        dataset = await a_large_file(scene, s3_server, tls=False, content_encoding=encoding)
        for name in list(dataset.served):
            dataset.remove_file(name)
        dataset.add_file("large.csv", os.urandom(LARGE_BYTES))
        await dataset.plan(overwrite=True)
        dataset.fault("truncate", fraction=0.75, nth=1)
        await dataset.land()
        await dataset.publish()
        await dataset.check_whole()
        assert dataset.gets == {"large.csv": 2}
        (entry,) = await dataset.listed()
        assert entry.content_encoding == encoding

    async def test_a_reader_of_the_dataset_gets_their_content(self, scene: StartScene, encoding: str) -> None:
        plain, packed = await scene(), await scene(content_encoding=encoding)
        for dataset in (plain, packed):
            await dataset.landed()
        first, second = await opened(plain), await opened(packed)
        assert list(first.files) == list(second.files)
        assert first.groups == second.groups
        for path, entry in second.files.items():
            document = await second.document(entry)
            assert document is not None
            other = await first.document(first.files[path])
            assert other is not None
            assert document.text == other.text
            assert [table.rows for table in document.tables] == [table.rows for table in other.tables]

    async def test_their_rows_become_parquet(self, scene: StartScene, s3_server: SeaweedFS, encoding: str) -> None:
        counts = []
        for switches in ({}, {"content_encoding": encoding}):
            dataset = await scene(**switches)
            await dataset.landed()
            written = await to_parquet(await opened(dataset), s3_store(s3_server))
            counts.append(sorted((file.uri.rpartition("/")[2], file.rows) for file in written))
        assert counts[0] == counts[1]
        assert {name for name, _ in counts[0]} == {"groups.parquet", "users.parquet"}

    async def test_one_that_is_damaged_is_not_shown(self, scene: StartScene) -> None:
        dataset = await scene(content_encoding="gzip")
        await dataset.landed()
        published = await opened(dataset)
        entry = published.files["groups/group.json"]
        content = await dataset.data(entry.path)
        assert content is not None
        await dataset.store.put(dataset.layout.data(entry.path), content[:-1] + b"x")
        with pytest.raises(IncompleteDatasetError, match="changed since"):
            await published.document(entry)

    @pytest.mark.promise("bounded memory")
    async def test_one_that_unpacks_to_more_than_a_page_can_show_is_not_shown(self, scene: StartScene) -> None:
        dataset = await scene(content_encoding="gzip")
        dataset.add_file("bomb.json", bytes(WHOLE.shown_bytes + 1))
        await dataset.landed()
        published = await opened(dataset)
        entry = published.files["bomb.json"]
        assert entry.bytes < WHOLE.shown_bytes // 100
        assert await published.document(entry) is None

    async def test_plain_files_are_listed_without_an_encoding(self, scene: StartScene) -> None:
        dataset = await scene()
        await dataset.landed()
        assert {entry.content_encoding for entry in await dataset.listed()} == {None}
        listing = await dataset.store.get(dataset.layout.files)
        assert listing is not None
        assert b"content_encoding" not in listing


async def opened(dataset: Scene) -> PublishedDataset:
    """The dataset as its readers see it."""
    uri = f"{dataset.store.uri}/{dataset.layout.manifest}"
    return await PublishedDataset.open(dataset.store, uri, dataset.layout)


@pytest.mark.parametrize(
    "shape", ["deep", "self_link", "groups_in_lists", "urls", "paged", "inline", "files", "groups", "s3", "empty"]
)
async def test_every_shape_of_listing_lands_whole_or_is_refused_as_a_whole(scene: StartScene, shape: str) -> None:
    dataset = await scene(results_shape=shape, page_size=5)
    if shape == "s3":
        with pytest.raises(LearnosityError, match="s3 address"):
            await dataset.landed()
        assert not await dataset.paths(dataset.layout.data_prefix)
        return
    manifest = await dataset.landed()
    assert manifest.file_count == {"empty": 0, "groups": 17, "groups_in_lists": 17}.get(shape, 34)


async def test_a_listing_that_is_not_ready_is_asked_for_again(scene: StartScene) -> None:
    dataset = await scene(not_ready_calls=3)
    await dataset.landed()
    await dataset.check_whole()
