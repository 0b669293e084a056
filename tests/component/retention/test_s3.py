"""Retention on a real S3 server, and on local files: listing, deleting, unfinished uploads, refused rights."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3  # type: ignore[import-untyped]
import fsspec  # type: ignore[import-untyped]
import pytest
from obstore.store import LocalStore

from devstack.seaweedfs import REGION, SeaweedFS
from devstack.secrets import KeyPair
from learnosity.connections import open_store
from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import StorageError
from learnosity.fsspec_store import FsspecStore
from learnosity.retention.rules import Rule
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.store import IsOwn, Store
from tests.component.landing_scene import s3_store
from tests.memory_store import MemoryStore
from tests.unit.retention.scenes import TYPE, begin, layout_of, publish, sweep


async def copied(scene: MemoryStore, store: Store) -> None:
    for path, stored in scene.objects.items():
        await store.put(path, stored.content)


def client_for(server: SeaweedFS) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.landing.access_key,
        aws_secret_access_key=server.landing.secret_key,
        region_name=REGION,
    )


async def paths(store: Store) -> set[str]:
    return {info.path async for batch in store.list("") for info in batch}


@pytest.fixture(params=["s3", "file", "fsspec"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return s3_store(request.getfixturevalue("s3_server"))
    if request.param == "fsspec":
        return FsspecStore(fsspec.filesystem("file"), str(tmp_path), "any://place")
    return ObstoreStore(LocalStore(tmp_path, automatic_cleanup=True), tmp_path.as_uri(), is_local=True)


async def test_the_newest_stay_the_rest_goes_and_what_is_not_ours_stays(store: Store) -> None:
    scene = MemoryStore()
    for number in (1, 2):
        publish(scene, layout_of(number), 0)
    scene.place(f"{layout_of(1).prefix}/readme.txt")
    scene.place(f"{TYPE}/notes/data/x.csv")
    await copied(scene, store)
    await asyncio.sleep(1.1)  # S3 tells whole seconds: the third has to be younger
    newest = MemoryStore()
    publish(newest, layout_of(3), 0)
    newest.objects[layout_of(3).latest] = newest.objects[layout_of(3).manifest]
    await copied(newest, store)
    before = await paths(store)

    dry = sweep(dry_run=True)
    await dry.apply(store, Rule(TYPE, keep_newest=1))
    assert {entry.dataset_id for entry in dry.report.goes} == {layout_of(1).dataset_id, layout_of(2).dataset_id}
    assert await paths(store) == before

    wet = sweep()
    await wet.apply(store, Rule(TYPE, keep_newest=1))
    assert wet.report.problems == []
    assert await paths(store) == {*newest.objects, f"{layout_of(1).prefix}/readme.txt", f"{TYPE}/notes/data/x.csv"}


async def test_a_landing_of_this_moment_is_left_alone(store: Store) -> None:
    scene = MemoryStore()
    begin(scene, layout_of(1), 0)
    await copied(scene, store)
    one = sweep()
    await one.apply(store, Rule(TYPE, keep_newest=1))
    await one.named([store], [layout_of(1).dataset_id])
    assert await paths(store) == set(scene.objects)
    assert [entry.why for entry in one.report.problems] == ["kept: a landing may be in flight"]


async def test_more_objects_than_one_call_takes_go_too(s3_server: SeaweedFS) -> None:
    store, scene = s3_store(s3_server), MemoryStore()
    publish(scene, layout_of(1), 0, files=1100)
    await asyncio.gather(*(store.put(path, stored.content) for path, stored in scene.objects.items()))
    one = sweep()
    await one.named([store], [layout_of(1).dataset_id])
    assert [entry.files for entry in one.report.goes] == [1100]
    assert await paths(store) == set()


async def test_unfinished_uploads_of_a_dataset_go_with_it_and_those_beside_it_stay(
    s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_for(s3_server)
    keys, prefix = s3_server.landing, f"unfinished-{uuid4().hex[:8]}"
    extra = {"endpoint_url": s3_server.endpoint, "region_name": REGION}
    connection = {"conn_type": "aws", "login": keys.access_key, "password": keys.secret_key, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    store = await asyncio.to_thread(open_store, f"s3://warehouse@landing/{prefix}")
    scene = MemoryStore()
    publish(scene, layout_of(1), 0)
    await copied(scene, store)
    for name in (layout_of(1).data("large.json"), f"{TYPE}/notes/large.json"):
        client.create_multipart_upload(Bucket="landing", Key=f"{prefix}/{name}")
    one = sweep()
    await one.named([store], [layout_of(1).dataset_id])
    left = client.list_multipart_uploads(Bucket="landing", Prefix=f"{prefix}/").get("Uploads", [])
    assert [upload["Key"] for upload in left] == [f"{prefix}/{TYPE}/notes/large.json"]


async def test_folder_markers_on_a_real_server_go_with_the_dataset(
    s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_for(s3_server)
    keys, prefix = s3_server.landing, f"markers-{uuid4().hex[:8]}"
    extra = {"endpoint_url": s3_server.endpoint, "region_name": REGION}
    connection = {"conn_type": "aws", "login": keys.access_key, "password": keys.secret_key, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    store = await asyncio.to_thread(open_store, f"s3://warehouse@landing/{prefix}")
    scene, layout = MemoryStore(), layout_of(1)
    publish(scene, layout, 0)
    for folder in ("data", "data/groups", "data/sub", "data/sub/empty", "_landing/run"):
        key = f"{prefix}/{layout.prefix}/{folder}/"
        await asyncio.to_thread(client.put_object, Bucket="landing", Key=key, Body=b"")
    await copied(scene, store)
    one = sweep()
    await one.named([store], [layout.dataset_id])
    assert one.report.problems == []
    assert [entry.files for entry in one.report.goes] == [3]
    assert await paths(store) == set()


async def test_without_the_right_to_write_nothing_goes_and_the_report_says_so(
    s3_server: SeaweedFS, s3_reader: KeyPair
) -> None:
    store, scene = s3_store(s3_server), MemoryStore()
    publish(scene, layout_of(1), 0)
    await copied(scene, store)
    prefix = store.uri.removeprefix("s3://landing/")
    reader = ObstoreStore(s3_server.store(prefix=prefix, keys=s3_reader), store.uri)
    one = sweep()
    await one.apply(reader, Rule(TYPE, keep_newest=1))
    await one.named([reader], [layout_of(1).dataset_id])
    assert len(one.report.problems) == len(one.report.failed) == 2
    assert one.report.goes == []
    assert await paths(store) == set(scene.objects)


@pytest.mark.parametrize("linked", ["type", "dataset", "data", "file"])
async def test_nothing_behind_a_link_is_removed(tmp_path: Path, linked: str) -> None:
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    place.mkdir()
    elsewhere.mkdir()
    scene, layout = MemoryStore(), layout_of(1)
    publish(scene, layout, 0)
    for path, stored in scene.objects.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(stored.content)
    below = {"type": TYPE, "dataset": layout.prefix, "data": layout.data_prefix, "file": layout.data("groups/0.json")}
    moved = elsewhere / "moved"
    (place / below[linked]).rename(moved)
    (place / below[linked]).symlink_to(moved)
    before = {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()}
    store = ObstoreStore(LocalStore(place, automatic_cleanup=True), place.as_uri(), is_local=True)
    one = sweep()
    await one.named([store], [layout.dataset_id])
    await one.apply(store, Rule(TYPE, keep_newest=1))
    assert {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()} == before
    if linked in ("type", "dataset"):
        assert one.report.goes == []
        assert "is a link" in one.report.problems[0].why


async def test_an_id_is_found_in_whatever_case_its_folder_is_written(tmp_path: Path) -> None:
    store = ObstoreStore(LocalStore(tmp_path, automatic_cleanup=True), tmp_path.as_uri(), is_local=True)
    layout = DatasetLayout(TYPE, "A951CC14-0316-4C12-BB13-1F386338A094")
    scene = MemoryStore()
    publish(scene, layout, 0)
    await copied(scene, store)
    one = sweep()
    await one.named([store], [layout.dataset_id.lower()])
    assert await paths(store) == set()
    assert one.report.problems == []


async def test_a_store_that_refuses_to_list_uploads_is_asked_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    async def refuse(prefix: str, _: IsOwn) -> int:
        asked.append(prefix)
        raise StorageError("403 for uploads.")

    local = LocalStore(tmp_path, automatic_cleanup=True)
    store = ObstoreStore(local, tmp_path.as_uri(), is_local=True, discard=refuse)
    scene = MemoryStore()
    for number in (1, 2, 3):
        publish(scene, layout_of(number), 0)
    await copied(scene, store)
    one = sweep()
    await one.apply(store, Rule(TYPE, keep_newest=5))
    assert len(asked) == 1
    assert (one.report.kept, one.report.problems) == (3, [])
