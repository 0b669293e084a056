"""Folder markers, as consoles and drivers write them: each is listed and deleted by its exact key, and is no file."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import unquote, urlsplit

import pytest

from learnosity.connections import open_store
from tests.component.api.hand_made import Exchange, hand_made, reply
from tests.component.storage.test_odd_success import CLOUDS, define, listed, listed_keys, page


class Bucket:
    """A bucket that holds empty objects below `p/`."""

    def __init__(self, cloud: str, *paths: str) -> None:
        self.cloud = cloud
        self.paths = set(paths)

    async def serve(self, asked: Exchange) -> None:
        body = await asked.take()
        if asked.method == "GET":
            whole = page(self.cloud, *sorted(self.paths))
            whole = whole.replace(b"<Size>1<", b"<Size>0<").replace(b"-Length>1<", b"-Length>0<")
            await asked.give(reply(200, whole))
            return
        if asked.method == "POST":
            keys = re.findall("<Key>(.*?)</Key>", body.decode())
        else:
            keys = [unquote(urlsplit(asked.target).path).partition("/bucket/")[2]]
        self.paths -= {key.removeprefix("p/") for key in keys}
        gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        status = {"s3": 200 if asked.method == "POST" else 204, "gs": 204, "abfs": 202}[self.cloud]
        await asked.give(reply(status, f"<DeleteResult>{gone}</DeleteResult>".encode() if status == 200 else b""))


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("marker", ["sub/", "a/sub/", "sub ü+/", "sub//"])
async def test_a_marker_is_listed_and_deleted_by_its_key_and_the_object_beside_it_stays(
    cloud: str, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(cloud, marker, marker.rstrip("/"), f"{marker.rstrip('/')}/f")
    async with hand_made(bucket.serve) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        assert sorted(await listed(store)) == sorted(await listed_keys(store)) == sorted(bucket.paths)
        await store.delete([marker])
        assert sorted(bucket.paths) == sorted({marker.rstrip("/"), f"{marker.rstrip('/')}/f"})


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_the_marker_of_the_listed_folder_itself_is_not_in_it(cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket(cloud, "set/", "set/data/", "set/data/f")
    async with hand_made(bucket.serve) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        found = [info async for batch in store.list("set") for info in batch]
        assert {info.path: info.marks_folder for info in found} == {"set/data/": True, "set/data/f": False}
