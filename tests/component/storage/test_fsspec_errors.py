"""Drivers of fsspec that rename in their own way, and errors of file systems behind them."""

from __future__ import annotations

import asyncio
import errno
import functools
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from learnosity.errors import StorageError, TransientStorageError
from learnosity.fsspec_store import FsspecStore


class Silent(LocalFileSystem):  # type: ignore[misc]
    """As WebHDFS: a rename onto a file that is there does nothing and says nothing."""

    cachable = False

    def mv(self, old: str, new: str, **_: Any) -> None:
        if not Path(new).exists():
            Path(old).rename(new)


class Refusing(Silent):
    """As SMB: the same is an error."""

    def mv(self, old: str, new: str, **_: Any) -> None:
        if Path(new).exists():
            raise OSError(errno.EEXIST, "exists", new)
        Path(old).rename(new)


class SmbError(OSError):
    """As that of smbprotocol: what is not there has its number, and not its class."""


def _as_smb(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except FileNotFoundError as error:
            raise SmbError(errno.ENOENT, "STATUS_OBJECT_NAME_NOT_FOUND", error.filename) from None

    return wrapped


class Smb(Refusing):
    """As SMB, with its errors."""

    open, info, ls, cat_file, rm_file, makedirs = (
        _as_smb(getattr(Silent, name)) for name in ("open", "info", "ls", "cat_file", "rm_file", "makedirs")
    )


class Dead(Silent):
    """Does not rename a file with this content, and says nothing."""

    def mv(self, old: str, new: str, **_: Any) -> None:
        if Path(old).read_bytes() != b"unlucky":
            super().mv(old, new)


class Short(Silent):
    """Loses the end of a file."""

    def mv(self, old: str, new: str, **_: Any) -> None:
        super().mv(old, new)
        os.truncate(new, 1)


def store_of(kind: type[LocalFileSystem], folder: Path) -> FsspecStore:
    return FsspecStore(kind(), str(folder), f"shared://{folder}")


@pytest.mark.parametrize("kind", [LocalFileSystem, Silent, Refusing, Smb])
async def test_a_file_that_is_there_is_replaced_whatever_the_driver_does_by_itself(
    kind: type[LocalFileSystem], tmp_path: Path
) -> None:
    store = store_of(kind, tmp_path)
    for content in (b"first", b"other", b"a longer one"):
        await store.put("in/latest.json", content)
        assert await store.get("in/latest.json") == content
        assert [info.path async for batch in store.list("") for info in batch] == ["in/latest.json"]
        assert await store.discard_unfinished("") == 0


@pytest.mark.parametrize("before", [None, b"first"])
async def test_a_rename_that_is_not_done_is_an_error_and_what_was_there_stays(
    before: bytes | None, tmp_path: Path
) -> None:
    store = store_of(Dead, tmp_path)
    if before is not None:
        await store.put("latest.json", before)
    with pytest.raises(TransientStorageError, match="has not done it"):
        await store.put("latest.json", b"unlucky")
    assert await store.get("latest.json") == before
    assert await store.discard_unfinished("") == 0


async def test_a_file_that_is_cut_off_by_the_rename_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TransientStorageError, match="has not done it"):
        await store_of(Short, tmp_path).put("latest.json", b"content")


def failing(error: Exception) -> type[LocalFileSystem]:
    class Failing(LocalFileSystem):  # type: ignore[misc]
        cachable = False

        def _fail(self, *_: Any, **__: Any) -> Any:
            raise error

        open = info = ls = cat_file = rm_file = makedirs = _fail

    return Failing


async def _list(store: FsspecStore) -> None:
    async for _ in store.list(""):
        pass


OPERATIONS: dict[str, Callable[[FsspecStore], Awaitable[object]]] = {
    "put": lambda store: store.put("file", b"x"),
    "get": lambda store: store.get("file"),
    "head": lambda store: store.head("file"),
    "read": lambda store: asyncio.to_thread(lambda: list(store.read("file"))),
    "list": _list,
    "folders": lambda store: store.folders(""),
    "delete": lambda store: store.delete(["file"]),
}
FINAL = (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS, errno.EACCES, errno.EPERM)
PASSES = (errno.EIO, errno.ETIMEDOUT, errno.ECONNRESET, errno.ENOSPC, None)


@pytest.mark.parametrize("number", [*FINAL, *PASSES])
@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_error_of_a_file_system_is_the_same_for_each_operation(
    name: str, number: int | None, tmp_path: Path
) -> None:
    error = OSError("it is so") if number is None else OSError(number, os.strerror(number), "/the/file")
    with pytest.raises((StorageError, TransientStorageError)) as caught:
        await OPERATIONS[name](store_of(failing(error), tmp_path))
    assert type(caught.value) is (StorageError if number in FINAL else TransientStorageError)
    assert f"shared://{tmp_path}" in str(caught.value)


async def test_a_folder_in_the_place_of_a_file_is_for_a_person_to_mend(tmp_path: Path) -> None:
    (tmp_path / "latest.json").mkdir()
    with pytest.raises(StorageError, match="a file in the place of a folder, or the reverse"):
        await store_of(LocalFileSystem, tmp_path).put("latest.json", b"x")


@pytest.mark.parametrize("kind", [LocalFileSystem, Smb])
async def test_what_is_not_there_is_no_error_however_the_driver_says_so(
    kind: type[LocalFileSystem], tmp_path: Path
) -> None:
    store = store_of(kind, tmp_path / "new")
    assert await store.get("a/file") is None
    assert await store.get("a/file", limit=9) is None
    assert await store.head("a/file") is None
    assert await store.folders("a") == []
    assert [batch async for batch in store.list("a")] == []
    assert await store.discard_unfinished("a") == 0
    await store.delete(["a/file", "a/other"])
    with pytest.raises(StorageError, match="does not exist"):
        list(store.read("a/file"))
    await store.put("a/file", b"x")
    assert await store.get("a/file") == b"x"


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), SmbError(errno.ENOENT, "gone")], ids=["usual", "smb"])
async def test_a_folder_that_is_gone_while_a_file_is_written_is_tried_again(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(TransientStorageError, match="gone"):
        await store_of(failing(error), tmp_path).put("file", b"x")
