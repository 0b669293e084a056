"""Names that look like the reply of a store: an error is judged by what was said, and never by the name of a file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from obstore.store import LocalStore

from learnosity.connections import open_store
from learnosity.errors import LearnosityError, StorageError, TransientStorageError
from learnosity.storage import errors
from learnosity.storage.object_names import local_keys
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.store import Store
from tests.component.api.hand_made import Exchange, hand_made, reply, xml
from tests.component.storage.test_odd_success import CLOUDS, define

NAMES = [
    "503 Busy Schools",
    "404 Not Found",
    "501 Not Implemented",
    "200 OK",
    "403 Forbidden - x",
    "(code: SlowDown)",
    "(code: NotImplemented)",
    "(code: NoSuchUpload)",
    "NoSuchBucket",
    "no such bucket",
    "StorageError: x",
    "TransientStorageError: x",
    "connection refused",
    "dns error",
    "Generic",
    "x: <html>",
]


async def _list(store: Store) -> None:
    _ = [batch async for batch in store.list("f/g")]


async def _list_keys(store: Store) -> None:
    _ = [batch async for batch in store.list_keys()]


CALLS: dict[str, Callable[[Store, str], Awaitable[object]]] = {
    "put": lambda store, path: store.put(path, b"x"),
    "replace": lambda store, path: store.replace(path, b"x", None),
    "get": lambda store, path: store.get(path),
    "head": lambda store, path: store.head(path),
    "read": lambda store, path: asyncio.to_thread(lambda: list(store.read(path))),
    "delete": lambda store, path: store.delete([path]),
}


def local(folder: Path) -> ObstoreStore:
    return ObstoreStore(LocalStore(folder), folder.as_uri(), is_local=True, keys=local_keys(str(folder)))


async def outcome(call: Awaitable[object]) -> tuple[type[BaseException] | None, str]:
    try:
        await call
    except (LearnosityError, FileNotFoundError) as error:
        return type(error), str(error)
    return None, ""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", ["a file in the place of a folder", "a name that is too long", "nothing there"])
async def test_a_file_system_is_not_judged_by_the_names_of_its_files(
    fault: str, call: str, name: str, tmp_path: Path
) -> None:
    found = []
    for folder in (tmp_path / "plain", tmp_path / name):
        folder.mkdir()
        (folder / "f").write_bytes(b"x")
        path = {"a file in the place of a folder": "f/g", "a name that is too long": "x" * 250}.get(fault, "none/g")
        path = path.replace("g", name.replace("<", "")) if folder.name == name else path
        kind, text = await outcome(CALLS[call](local(folder), path))
        found.append((kind, text.replace("/plain", "").replace(f"/{name}", "").partition(": ")[2][:20]))
    assert found[0][0] == found[1][0]
    assert fault == "nothing there" or found[0][0] is None or issubclass(found[0][0], StorageError)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("call", ["list", "list_keys"])
async def test_a_listing_of_a_file_system_neither(call: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "f").write_bytes(b"x")
    file = local(tmp_path / name / "f" if call == "list_keys" else tmp_path / name)
    with pytest.raises(StorageError, match="a file in the place of a folder"):
        await (_list_keys(file) if call == "list_keys" else _list(file))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", [13, 28, 30, 36])
def test_an_error_of_the_system_is_the_same_for_every_name(name: str, number: int) -> None:
    def judged(folder: str) -> Any:
        where = f"/data/{folder}/f"
        ours = OSError(number, os.strerror(number), where)
        theirs = Exception(f"Generic LocalFileSystem error: Unable to open {where}: {os.strerror(number)} (os error 1)")
        return [type(errors.storage_error("write", f"file://{where}", each, local=True)) for each in (ours, theirs)]

    assert judged(name) == judged("plain")


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(403, "", StorageError), (409, "ServerBusy", TransientStorageError)],
)
@pytest.mark.parametrize("call", ["put", "get", "replace"])
async def test_a_store_is_not_judged_by_the_names_of_its_objects(
    call: str,
    status: int,
    code: str,
    kind: type[LearnosityError],
    name: str,
    cloud: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuses(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(status, xml(code) if code else b"", {"Content-Type": "application/xml"}))

    if call == "replace" and status == 409:
        pytest.skip("it says that the object has changed")
    async with hand_made(refuses) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        with pytest.raises(LearnosityError) as caught:
            await CALLS[call](store, f"{name}/f")
    assert type(caught.value) is kind
    assert f"(HTTP {status}" in str(caught.value) or f": HTTP {status}" in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
async def test_a_missing_object_is_missing_whatever_its_name_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def has_nothing(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(404, xml("NoSuchKey"), {"Content-Type": "application/xml"}))

    async with hand_made(has_nothing) as served:
        define(monkeypatch, "s3", served.url)
        store = await asyncio.to_thread(open_store, "s3://odd@bucket/p")
        assert await store.get(f"{name}/f") is None
        assert await store.head(f"{name}/f") is None


@pytest.mark.parametrize(
    "words",
    ["Permission denied (os error 13)", "Operation not permitted (os error 1)", "Read-only file system (os error 30)"],
)
@pytest.mark.parametrize("name", ["data", *NAMES])
def test_a_folder_without_rights_is_an_error_at_once(words: str, name: str) -> None:
    text = f"Generic LocalFileSystem error: Unable to create dir /mnt/{name}: {words}"
    told = errors.storage_error("write", f"file:///mnt/{name}/x", Exception(text), local=True)
    assert isinstance(told, StorageError)
    assert "Give the user of Airflow's workers the rights" in str(told)


@pytest.mark.parametrize("name", ["Permission denied", "Read-only file system"])
def test_the_name_of_a_folder_says_nothing_about_rights(name: str) -> None:
    text = f"Generic LocalFileSystem error: Unable to create dir /mnt/{name}: Input/output error (os error 5)"
    assert isinstance(errors.storage_error("write", "file:///x", Exception(text), local=True), TransientStorageError)
