"""Listings of stores that only fsspec opens: each is whole, or an error. What is not listed is not taken for empty."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from learnosity.errors import LearnosityError, StorageError, TransientStorageError
from learnosity.fsspec_store import FsspecStore

FILES = ["a.csv", "x/b.csv", "y/c.csv", "y/z/d.csv", "y/z/w/e.csv", "[1]/f*.csv"]
Listing = list[dict[str, Any]]


class Odd(MemoryFileSystem):  # type: ignore[misc]
    """A driver whose listings differ.

    :param change: makes another listing of a folder, by its path below the root, and of its own one; or raises.
    """

    cachable = False

    def __init__(self, root: str, change: Callable[[str, Listing], Listing]) -> None:
        super().__init__()
        self.root = root
        self.change = change

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        folder = self._strip_protocol(path).removeprefix(self.root).strip("/")
        return self.change(folder, super().ls(path, detail=True, **options))


def opened(change: Callable[[str, Listing], Listing] = lambda _, found: found) -> FsspecStore:
    root = f"/{uuid4()}/datasets"
    fs = Odd(root, change)
    for path in FILES:
        fs.pipe_file(f"{root}/{path}", b"x")
    return FsspecStore(fs, root, "odd://host/datasets")


async def paths(store: FsspecStore, prefix: str = "") -> list[str]:
    return sorted([info.path async for batch in store.list(prefix) for info in batch])


CALLS: dict[str, Callable[[FsspecStore, str], Any]] = {
    "list": paths,
    "list_keys": lambda store, _: every_key(store),
    "discard_unfinished": lambda store, prefix: store.discard_unfinished(prefix),
}


async def every_key(store: FsspecStore) -> list[str]:
    return sorted([info.path async for batch in store.list_keys() for info in batch])


REFUSALS: list[tuple[OSError, type[LearnosityError]]] = [
    (PermissionError(errno.EACCES, "refused"), StorageError),
    (PermissionError("refused"), StorageError),
    (OSError(errno.EIO, "broken"), TransientStorageError),
    (OSError("broken"), TransientStorageError),
    (TimeoutError("late"), TransientStorageError),
    (ConnectionResetError("reset"), TransientStorageError),
    (NotADirectoryError("no folder"), TransientStorageError),
]


@pytest.mark.parametrize(("refusal", "kind"), REFUSALS, ids=repr)
@pytest.mark.parametrize("refused", ["", "x", "y", "y/z", "y/z/w", "[1]"])
@pytest.mark.parametrize("call", CALLS)
async def test_a_folder_that_cannot_be_listed_is_an_error_and_is_not_empty(
    call: str, refused: str, refusal: OSError, kind: type[LearnosityError]
) -> None:
    def change(folder: str, found: Listing) -> Listing:
        if folder == refused:
            raise refusal
        return found

    with pytest.raises(kind):
        await CALLS[call](opened(change), "")


@pytest.mark.parametrize("refused", ["x", "y", "y/z/w", "[1]"])
async def test_a_folder_that_is_there_and_is_not_found_is_an_error(refused: str) -> None:
    def change(folder: str, found: Listing) -> Listing:
        if folder == refused:
            raise FileNotFoundError(folder)
        return found

    with pytest.raises(TransientStorageError, match="it is there, and is not found"):
        await paths(opened(change))


async def test_a_folder_that_was_removed_during_the_listing_is_empty_and_so_is_a_root_that_does_not_exist() -> None:
    def change(folder: str, found: Listing) -> Listing:
        gone = {"name": f"{store._root}/gone", "size": 0, "type": "directory"}
        return [*found, gone] if folder == "" else found

    store = opened(change)
    assert await paths(store) == sorted(FILES)
    assert await paths(store, "no/folder") == []
    assert await store.folders("no/folder") == []


def _itself(kind: str, end: str) -> Callable[[str, Listing], Listing]:
    def change(folder: str, found: Listing) -> Listing:
        own = found[0]["name"].rpartition("/")[0]
        return [{"name": own + end, "size": 0, "type": kind}, *found]

    return change


STYLES: dict[str, Callable[[str, Listing], Listing]] = {
    "the folder itself": _itself("directory", ""),
    "the folder itself, with a slash": _itself("directory", "/"),
    "the folder's marker": _itself("file", "/"),
    "the folder's marker, without its slash": _itself("file", ""),
    "folders with a slash": lambda _, found: [
        {**info, "name": info["name"] + "/"} if info["type"] == "directory" else info for info in found
    ],
    "no slash at the beginning": lambda _, found: [{**info, "name": info["name"].lstrip("/")} for info in found],
    "links": lambda _, found: [{**info, "type": "link"} if info["type"] == "file" else info for info in found],
    "others": lambda _, found: [{**info, "type": "other"} if info["type"] == "file" else info for info in found],
    "markers beside the folders": lambda _, found: [
        *found,
        *({**info, "name": info["name"] + "/", "type": "file"} for info in found if info["type"] == "directory"),
    ],
}


@pytest.mark.parametrize("style", STYLES)
async def test_drivers_list_in_different_ways_and_each_file_comes_once(style: str) -> None:
    store = opened(STYLES[style])
    assert await paths(store) == await every_key(store) == sorted(FILES)
    assert await paths(store, "y") == ["y/c.csv", "y/z/d.csv", "y/z/w/e.csv"]
    assert await paths(store, "[1]") == ["[1]/f*.csv"]
    assert sorted(await store.folders("")) == ["[1]", "x", "y"]
    assert await store.folders("y") == ["z"]
    assert await store.folders("x") == []


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"name": "/elsewhere/f", "size": 1, "type": "file"}, "is not in it"),
        ({"name": "/elsewhere", "size": 0, "type": "directory"}, "is not in it"),
        ({"name": "", "size": 0, "type": "directory"}, "is not in it"),
        ({"name": "{root}/full/", "size": 1, "type": "file"}, "is no file"),
    ],
)
async def test_what_is_not_understood_in_a_listing_is_an_error(entry: dict[str, Any], says: str) -> None:
    def change(folder: str, found: Listing) -> Listing:
        added = {**entry, "name": entry["name"].replace("{root}", store._root)}
        return [*found, added] if folder == "" else found

    store = opened(change)
    with pytest.raises(StorageError, match=says):
        await paths(store)


async def test_a_file_in_the_place_of_a_folder_is_an_error() -> None:
    store = opened()
    await store.put("y", b"hides what is below it")
    with pytest.raises(StorageError, match="odd://host/datasets/y is a file"):
        await paths(store)
    with pytest.raises(StorageError, match="is a file"):
        await paths(store, "a.csv")


async def test_links_in_a_circle_end_the_listing(tmp_path: Path) -> None:
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "c.csv").write_bytes(b"x")
    (tmp_path / "y" / "up").symlink_to(tmp_path, target_is_directory=True)
    store = FsspecStore(LocalFileSystem(), str(tmp_path), f"shared://{tmp_path}")
    assert await paths(store) == ["y/c.csv", "y/up"]


async def test_a_store_at_the_root_of_its_file_system_lists_and_reads(tmp_path: Path) -> None:
    class Rooted(MemoryFileSystem):  # type: ignore[misc]
        store: dict[str, Any] = {}  # noqa: RUF012
        pseudo_dirs = [""]  # noqa: RUF012

    store = FsspecStore(Rooted(), "", "memory://")
    await store.put("a/b", b"x")
    assert await paths(store) == ["a/b"]
    assert await paths(store, "a") == ["a/b"]
    assert await store.folders("") == ["a"]
