"""Object stores behind one interface: S3 and local files behave the same, and errors say which prefix to look at."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import obstore
import pytest
from obstore.store import LocalStore

from devstack.seaweedfs import SeaweedFS
from devstack.secrets import KeyPair
from learnosity.errors import StorageError, TransientStorageError
from learnosity.storage.errors import first_line
from learnosity.storage.multipart import MIN_PART_BYTES
from learnosity.storage.obstore_store import ObstoreStore
from tests.component.landing_scene import s3_store


@pytest.fixture(params=["s3", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObstoreStore:
    if request.param == "s3":
        return s3_store(request.getfixturevalue("s3_server"))
    return ObstoreStore(LocalStore(tmp_path, automatic_cleanup=True), tmp_path.as_uri(), is_local=True)


async def chunks_of(*pieces: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    if error is not None:
        raise error


async def names(store: ObstoreStore, prefix: str = "") -> list[str]:
    return sorted([info.path async for batch in store.list(prefix) for info in batch])


async def test_what_was_written_is_read_back_with_size_and_tag(store: ObstoreStore) -> None:
    tag = await store.put("a/b.json", b"content", "application/json")
    assert await store.get("a/b.json") == b"content"
    assert b"".join(store.read("a/b.json")) == b"content"
    info = await store.head("a/b.json")
    assert info is not None
    assert (info.path, info.size, info.etag) == ("a/b.json", 7, tag)


async def test_an_empty_object_is_an_object(store: ObstoreStore) -> None:
    await store.put("empty", b"")
    assert await store.get("empty") == b""


async def test_what_is_not_there_is_none_and_deleting_it_is_fine(store: ObstoreStore) -> None:
    assert await store.get("nothing") is None
    assert await store.head("nothing") is None
    assert await names(store, "no/folder") == []
    await store.delete(["nothing"])
    with pytest.raises(StorageError, match=r"nothing does not exist"):
        list(store.read("nothing"))


async def test_a_listing_is_of_the_folder_and_not_of_its_namesakes(store: ObstoreStore) -> None:
    for path in ("data/1", "data/sub/2", "data-other/3", "4"):
        await store.put(path, b"x")
    assert await names(store, "data") == ["data/1", "data/sub/2"]
    assert await names(store) == ["4", "data-other/3", "data/1", "data/sub/2"]


async def test_deleting_takes_more_than_one_batch(store: ObstoreStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learnosity.storage.obstore_store.DELETE_BATCH", 3)
    for number in range(8):
        await store.put(f"f{number}", b"x")
    await store.delete([f"f{number}" for number in range(8)])
    assert await names(store) == []


@pytest.mark.parametrize("size", [0, 1, MIN_PART_BYTES, 2 * MIN_PART_BYTES + 1])
async def test_a_stream_of_any_length_becomes_one_object(store: ObstoreStore, size: int) -> None:
    content = os.urandom(size)
    pieces = [content[start : start + 1_000_003] for start in range(0, size, 1_000_003)]
    for told in (size, None):
        await store.put_stream("streamed", chunks_of(*pieces), told, "application/json")
        assert await store.get("streamed") == content
        await store.delete(["streamed"])


async def test_a_stream_that_breaks_leaves_what_was_there_before(store: ObstoreStore) -> None:
    def breaking() -> AsyncIterator[bytes]:
        return chunks_of(b"x" * (MIN_PART_BYTES + 1), error=StorageError("the source broke"))

    await store.put("object", b"before")
    with pytest.raises(Exception, match="the source broke"):
        await store.put_stream("object", breaking(), 2 * MIN_PART_BYTES)
    assert await store.get("object") == b"before"
    with pytest.raises(Exception, match="the source broke"):
        await store.put_stream("new", breaking(), None)
    assert await names(store) == ["object"]


async def test_an_object_is_replaced_only_where_nobody_has_changed_it_since(store: ObstoreStore) -> None:
    assert await store.replace("object", b"first", None)
    assert not await store.replace("object", b"of somebody who saw nothing", None)
    assert await store.get("object") == b"first"
    seen = await store.head("object")
    assert await store.replace("object", b"second", seen)
    assert await store.get("object") == b"second"
    if not store.is_local:  # a local store cannot tell whether a file has changed since `seen`, so it overwrites it
        assert not await store.replace("object", b"of somebody who saw the first", seen)
        assert await store.get("object") == b"second"


@pytest.mark.promise("bounded memory")
async def test_an_object_that_is_larger_than_expected_is_not_read(store: ObstoreStore) -> None:
    await store.put("object", b"x" * 1000)
    assert await store.get("object", limit=1000) == b"x" * 1000
    with pytest.raises(StorageError, match="object"):
        await store.get("object", limit=999)
    assert await store.get("nothing", limit=1) is None


async def test_how_content_is_packed_is_kept_with_it(s3_server: SeaweedFS) -> None:
    store = s3_store(s3_server)
    await store.put("whole", b"packed", "text/csv", "gzip")
    await store.put_stream("streamed", chunks_of(b"packed"), None, "text/csv", "gzip")
    for path in ("whole", "streamed"):
        attributes = (await obstore.get_async(store._store, path)).attributes
        assert (attributes["Content-Type"], attributes["Content-Encoding"]) == ("text/csv", "gzip")
        # GCS decompresses an object for some readers unless it says this.
        assert attributes["Cache-Control"] == "no-transform"
        assert await store.get(path) == b"packed"


async def test_a_bucket_that_is_not_there_is_named(s3_server: SeaweedFS) -> None:
    store = ObstoreStore(s3_server.store("no-such-bucket", keys=s3_server.admin), "s3://no-such-bucket")
    with pytest.raises(StorageError, match=r"s3://no-such-bucket/file"):
        await store.put("file", b"x")


async def test_missing_rights_name_the_prefix_and_the_connection(s3_server: SeaweedFS, s3_reader: KeyPair) -> None:
    prefix = uuid.uuid4().hex
    store = ObstoreStore(s3_server.store(prefix=prefix, keys=s3_reader), f"s3://landing/{prefix}")
    with pytest.raises(StorageError, match=rf"s3://landing/{prefix}/file: no permission.*connection"):
        await store.put("file", b"x")


async def test_a_server_that_is_down_is_a_passing_error(closed_port: int) -> None:
    from datetime import timedelta

    from obstore.store import S3Store

    down = S3Store(
        "bucket",
        endpoint=f"http://127.0.0.1:{closed_port}",
        region="us-east-1",
        access_key_id="a",
        secret_access_key="b",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
    )
    with pytest.raises(TransientStorageError, match="s3://bucket/file"):
        await ObstoreStore(down, "s3://bucket").put("file", b"x")


def test_the_first_line_of_an_error_has_no_query_and_an_end() -> None:
    assert "secret" not in first_line(ValueError("GET https://host/key?X-Amz-Signature=secret failed\nmore"))
    assert len(first_line(ValueError("x" * 5000))) <= 300
    assert first_line(ValueError()) == "ValueError"
