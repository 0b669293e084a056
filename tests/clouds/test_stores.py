"""One table for every kind of store: what landing does with a store has the same result everywhere."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from uuid import uuid4

import obstore
import pytest

from learnosity.connections import open_input_store, open_store
from learnosity.errors import InputError, StorageError, TransientStorageError
from learnosity.inputs.find import find_input
from learnosity.storage.multipart import MIN_PART_BYTES
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.store import Store
from tests.clouds.azurite import Azurite
from tests.clouds.gcs import Gcs

ODD = "groups/ü+% a&b#c?.csv"


async def pieces(content: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1_000_003):
        yield content[start : start + 1_000_003]
    if error is not None:
        raise error


async def listing(store: Store, prefix: str = "") -> dict[str, int]:
    return {info.path: info.size async for batch in store.list(prefix) for info in batch}


def is_cloud(store: Store) -> bool:
    return not store.is_local


async def test_what_is_put_is_read_looked_at_and_listed(store: Store) -> None:
    for path, content in ((ODD, b"{}"), ("empty", b""), ("groups-other/x", b"xyz")):
        await store.put(path, content, "application/json")
        assert await store.get(path) == content
        info = await store.head(path)
        assert info is not None
        assert (info.path, info.size) == (path, len(content))
    assert b"".join(await asyncio.to_thread(lambda: list(store.read(ODD)))) == b"{}"
    assert await listing(store) == {ODD: 2, "empty": 0, "groups-other/x": 3}
    assert await listing(store, "groups") == {ODD: 2}


@pytest.mark.parametrize("size", [0, 1, MIN_PART_BYTES, 2 * MIN_PART_BYTES + 1, 20 << 20])
async def test_a_stream_becomes_one_object(store: Store, size: int) -> None:
    content = os.urandom(size)
    for known in (size, None):
        await store.put_stream(ODD, pieces(content), known, "text/csv")
        assert await store.get(ODD) == content
        assert await listing(store) == {ODD: size}


async def test_a_stream_that_breaks_leaves_what_was_there(store: Store) -> None:
    await store.put("object", b"before")
    for path in ("object", "new"):
        with pytest.raises(Exception, match="the source broke"):
            await store.put_stream(path, pieces(b"x" * (12 << 20), StorageError("the source broke")), 13 << 20)
    assert await listing(store) == {"object": 6}
    assert await store.get("object") == b"before"


async def test_what_is_not_there_is_none_or_nothing(store: Store) -> None:
    assert await store.get("nothing") is None
    assert await store.head("nothing") is None
    assert await listing(store, "nothing") == {}
    with pytest.raises(StorageError, match="nothing does not exist"):
        await asyncio.to_thread(lambda: list(store.read("nothing")))


async def test_what_is_deleted_is_gone_and_the_rest_stays(store: Store) -> None:
    for number in range(30):
        await store.put(f"d/{number}", b"x")
    await store.delete([f"d/{number}" for number in range(29)] + ["not/there"])
    assert await listing(store) == {"d/29": 1}


async def test_objects_with_odd_names_are_deleted(store: Store) -> None:
    """Alone, and several in one request. A name that looks like an encoded one is another name."""
    kept = ["groups/%C3%BC+%25 a", "~a'(b)!*;=@$,", "a&amp;b", "x  y"]
    for names in ([ODD], ["a & <b>", "a'\"b", "c+d", "e%20f", "ü/é/日本", "~g'(h)!*;=@$"]):
        for name in names + kept:
            await store.put(name, b"x")
        await store.delete(names)
        assert sorted(await listing(store)) == sorted(kept)


async def test_of_two_writers_one_loses(store: Store) -> None:
    assert await store.replace("latest.json", b"first", None)
    seen = await store.head("latest.json")
    assert await store.replace("latest.json", b"second", seen)
    assert await store.get("latest.json") == b"second"
    if is_cloud(store):
        assert not await store.replace("latest.json", b"of somebody who saw nothing", None)
        assert not await store.replace("latest.json", b"of somebody who saw the first", seen)
        assert await store.get("latest.json") == b"second"


async def test_an_object_that_is_too_large_is_not_read(store: Store) -> None:
    await store.put("object", b"x" * 1000)
    assert await store.get("object", limit=1000) == b"x" * 1000
    with pytest.raises(StorageError, match="1,000 bytes, and at most 999"):
        await store.get("object", limit=999)


async def test_a_part_of_an_object_is_read(store: Store) -> None:
    """As DuckDB reads landed files."""
    if not isinstance(store, ObstoreStore):
        pytest.skip("fsspec reads ranges by itself")
    await store.put("object", b"0123456789")
    assert bytes(await obstore.get_range_async(store._store, "object", start=2, length=3)) == b"234"


async def test_how_content_is_packed_is_kept(store: Store) -> None:
    for path in ("whole", "streamed"):
        if path == "whole":
            await store.put(path, b"packed", "text/csv", "gzip")
        else:
            await store.put_stream(path, pieces(b"packed"), None, "text/csv", "gzip")
        assert await store.get(path) == b"packed"
        if is_cloud(store) and isinstance(store, ObstoreStore):
            told = (await obstore.get_async(store._store, path)).attributes
            assert (told["Content-Type"], told["Content-Encoding"]) == ("text/csv", "gzip")


async def test_unfinished_writes_are_not_seen_and_can_be_tidied(store: Store) -> None:
    await store.put("kept", b"x")
    writing = asyncio.create_task(store.put_stream("half", endless(), None))
    await asyncio.sleep(1)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await store.discard_unfinished("")
    assert await listing(store) == {"kept": 1}


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * MIN_PART_BYTES
        await asyncio.sleep(0.05)


async def test_a_bucket_that_is_not_there_is_told(place: str) -> None:
    if not place.startswith(("s3", "abfs", "gs")):
        pytest.skip("a folder is made where it is missing")
    store = await asyncio.to_thread(open_store, place.replace("@landing", "@mis-spelt"))
    for attempt in (store.put("x", b"x"), store.put_stream("x", pieces(b"x"), 1), listing(store)):
        # SeaweedFS refuses the landing identity before it looks for the bucket.
        with pytest.raises(StorageError, match="the bucket or folder does not exist|no permission"):
            await attempt


async def test_azure_refuses_a_wrong_key_with_what_to_do(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = azurite.connection.replace("Eby8vdM0", "AAAAAAAA")
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", wrong)
    store = await asyncio.to_thread(open_store, "abfs://wrong@landing/p")
    with pytest.raises(StorageError, match=r"(secret is wrong|no permission)\. Check the connection") as caught:
        await store.put("x", b"x")
    assert not isinstance(caught.value, TransientStorageError)
    assert "AAAAAAAA" not in str(caught.value)


async def test_azures_own_client_reads_what_was_landed(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CLOUD", azurite.connection)
    store = await asyncio.to_thread(open_store, "abfs://cloud@landing/of azure")
    content = os.urandom(12 << 20)
    await store.put_stream(ODD, pieces(content), len(content), "text/csv")
    blob = azurite.client().get_blob_client("landing", f"of azure/{ODD}")
    assert await asyncio.to_thread(lambda: blob.download_blob().readall()) == content
    assert blob.get_blob_properties().content_settings.content_type == "text/csv"


async def test_googles_own_client_reads_what_was_landed(gcs: Gcs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CLOUD", gcs.connection)
    store = await asyncio.to_thread(open_store, "gs://cloud@landing/of google")
    content = os.urandom(12 << 20)
    await store.put_stream(ODD, pieces(content), len(content), "text/csv")
    blob = gcs.client().bucket("landing").get_blob(f"of google/{ODD}")
    assert await asyncio.to_thread(blob.download_as_bytes) == content
    assert blob.content_type == "text/csv"
    assert [key for key in gcs.unfinished() if key.startswith("of google")] == []


@pytest.mark.parametrize(
    ("kind", "odd"),
    [("azure", "p/in/a//b.csv"), ("azure", "p/in//b.csv"), ("gcs", "p/in/a//b.csv"), ("gcs", "p/in//b.csv"),
     ("gcs", "p/in/./b.csv")],
)  # fmt: skip
async def test_a_key_that_obstore_cannot_open_matters_only_where_it_is_asked_for(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str, odd: str
) -> None:
    server = request.getfixturevalue("azurite" if kind == "azure" else "gcs")
    monkeypatch.setenv("AIRFLOW_CONN_CLOUD", server.connection)
    root = str(uuid4())
    for key in ("p/in/users.csv", "p/in/sub/more.csv", "p/in/archive/", odd):
        await asyncio.to_thread(write_by_its_own_client, server, f"{root}/{key}", b"" if key.endswith("/") else b"x")
    place = f"{'abfs' if kind == 'azure' else 'gs'}://cloud@landing/{root}/p/in"

    async def found(uri: str) -> list[str]:
        return [file.name.rpartition("/in/")[2] for file in await find_input(uri, open_input_store)]

    assert await found(f"{place}/users*") == ["users.csv"]
    assert await found(f"{place}/sub") == ["sub/more.csv"]
    with pytest.raises(InputError, match=r"/in/.*b\.csv' cannot be read: its name holds"):
        await found(place)


@pytest.mark.parametrize("kind", ["azure", "gcs"])
async def test_a_listing_tells_the_same_of_an_object_as_a_look_at_it(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Another entity tag would look like a changed input."""
    server = request.getfixturevalue("azurite" if kind == "azure" else "gcs")
    monkeypatch.setenv("AIRFLOW_CONN_CLOUD", server.connection)
    store = await asyncio.to_thread(open_store, f"{'abfs' if kind == 'azure' else 'gs'}://cloud@landing/{uuid4()}")
    await store.put(ODD, b"content")
    (listed,) = [info async for batch in store.list("") for info in batch]
    looked = await store.head(ODD)
    assert looked is not None
    assert (listed.path, listed.size) == (looked.path, looked.size)
    # Not compared for GCS: fake-gcs-server writes the tag (an MD5) of a listed object in another form than Google does.
    assert kind == "gcs" or (listed.etag or "").strip('"') == (looked.etag or "").strip('"')


async def test_the_folders_below_a_folder_are_named(store: Store) -> None:
    if is_cloud(store):
        assert await store.folders("") == []
    for path in ("top", "a/x", "a/y/z", "ü+% &/x", "a.b/c/d/e"):
        await store.put(path, b"x")
    assert sorted(await store.folders("")) == ["a", "a.b", "ü+% &"]
    assert await store.folders("a") == ["y"]
    assert await store.folders("a.b") == ["c"]
    assert await store.folders("a/y") == []
    assert await store.folders("to") == []
    assert await store.folders("nothing") == []


def write_by_its_own_client(server: Azurite | Gcs, key: str, content: bytes) -> None:
    """Write an object whose key obstore would not write."""
    if isinstance(server, Azurite):
        server.client().get_blob_client("landing", key).upload_blob(content)
    else:
        server.client().bucket("landing").blob(key).upload_from_string(content)
