"""Stores for URI schemes that obstore does not support: any file system that Airflow's ObjectStoragePath can open.

They are much slower than obstore. Every call runs in a thread, because fsspec cannot run inside an event loop.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import uuid4

from airflow.sdk import ObjectStoragePath

from learnosity.errors import LearnosityError, StorageError, TransientStorageError, UnreadableNameError
from learnosity.fsspec_driver import NoDriverError, driver_of
from learnosity.redaction import redact
from learnosity.storage.errors import first_line
from learnosity.storage.fsspec_errors import driver_errors
from learnosity.storage.fsspec_rename import put_in_place
from learnosity.storage.store import IsOwn, ObjectInfo, Store, check_size, every_path

# Maximum number of bytes of one read. With smaller reads, a file takes longer; larger reads need more memory.
CHUNK = 1024 * 1024
# The end of the temporary name that a file has while it is written. `list` leaves such files out. If a task is killed
# during a write, the file keeps this name until `discard_unfinished` removes the file.
_STAGED = re.compile(r"\.[0-9a-f]{32}\.part$")


def open_fsspec_store(uri: str, text: str) -> Store:
    """The store at `uri` through fsspec. Some drivers connect to their server at once.

    :param text: the URI without the Airflow connection, for messages.
    :raises StorageError: no driver for the scheme is installed, or the server refuses.
    :raises ConnectionConfigError: a connection that the driver asks for does not exist, or does not fit the driver.
    :raises TransientStorageError: the server cannot be reached for now.
    """
    shown = redact(text)
    try:
        path = ObjectStoragePath(uri)
        with driver_errors(shown):
            return FsspecStore(driver_of(path, shown), path.path.rstrip("/"), text)
    except (NoDriverError, ImportError, ValueError) as error:
        raise StorageError(
            f"No storage driver for {shown}: {first_line(error)}. Install the Airflow provider of that scheme."
        ) from None
    except FileNotFoundError as error:
        raise StorageError(f"Could not open {shown}: {first_line(error)}. Check the URI and its connection.") from None


class FsspecStore:
    """A prefix in an fsspec file system. `storage.store.Store` says what each method does."""

    is_local = True  # it may be a file system, so result files with names that a local folder cannot keep are refused

    def __init__(self, fs: Any, root: str, uri: str) -> None:
        self._fs = fs
        self._root = root
        self.uri = uri.rstrip("/")

    async def put(
        self,
        path: str,
        content: bytes | memoryview,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> str | None:

        async def whole() -> AsyncIterator[bytes | memoryview]:
            yield content

        return await self.put_stream(path, whole(), len(content), content_type)

    def memory_for(self, size: int | None) -> int:
        return 2 * CHUNK  # one chunk, and the copy of it that `bytes(chunk)` makes

    async def put_stream(
        self,
        path: str,
        chunks: AsyncIterator[bytes | memoryview],
        size: int | None,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> str | None:
        """See `Store`. The file is written under a temporary name, and renamed when it is complete."""
        target = self._full(path)
        folder = target.rpartition("/")[0]
        # `staged` is the temporary name of the new file. `aside` is the temporary name of an existing file, if the
        # driver cannot replace it. Both names are random, and do not contain the real name: with it, they could be
        # longer than a file system allows.
        staged, aside = (f"{folder}/.{uuid4().hex}.part" for _ in range(2))
        written = 0
        try:
            await self._run(self._fs.makedirs, folder, exist_ok=True)
            handle = await self._run(self._fs.open, staged, "wb")
            try:
                async for chunk in chunks:
                    # `chunk` may be a memoryview, but some fsspec drivers accept only `bytes`.
                    await self._run(handle.write, bytes(chunk))
                    written += len(chunk)
            finally:
                await self._run(handle.close)
            await self._run(put_in_place, self._fs, staged, target, written, aside)
        except BaseException as error:
            # If the temporary file cannot be removed either, only the error of the write is raised, because it is more
            # useful.
            with suppress(FileNotFoundError, LearnosityError):
                await self._run(self._fs.rm_file, staged)
            # After a FileNotFoundError, the next try may succeed: probably another task has removed the folder or the
            # temporary file.
            if isinstance(error, FileNotFoundError):
                raise TransientStorageError(f"{self.uri}: {first_line(error)}") from None
            raise
        return None

    async def get(self, path: str, *, limit: int | None = None) -> bytes | None:
        full = self._full(path)
        try:
            if limit is None:
                return bytes(await self._run(self._fs.cat_file, full))
            info = await self._run(self._fs.info, full)
            if info["type"] == "directory":
                return None
            check_size(f"{self.uri}/{path}", self._size(info), limit)
            return bytes(await self._run(self._fs.cat_file, full))
        except FileNotFoundError:
            return None
        except (StorageError, TransientStorageError):
            if await self._is_folder(full):
                return None
            raise

    async def _is_folder(self, full: str) -> bool:
        with suppress(FileNotFoundError, LearnosityError):
            return bool((await self._run(self._fs.info, full))["type"] == "directory")
        return False

    async def head(self, path: str) -> ObjectInfo | None:
        try:
            info = await self._run(self._fs.info, self._full(path))
        except FileNotFoundError:
            return None
        # An object store has no folders. So if `path` is a folder here, `head` says that there is no object.
        return None if info["type"] == "directory" else ObjectInfo(path, self._size(info), None, _modified(info))

    async def replace(self, path: str, content: bytes, expected: ObjectInfo | None) -> bool:
        # fsspec has no conditional write. So the object is always written, and `expected` is not used.
        await self.put(path, content, "application/json")
        return True

    async def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        async for batch in self._find(prefix):
            yield [info for info in batch if not _STAGED.search(info.path)]

    async def folders(self, prefix: str) -> Sequence[str]:
        await self._run(self._fs.invalidate_cache)
        try:
            found = await self._run(self._entries, self._full(prefix))
        except FileNotFoundError:
            return []
        return [info["name"].rstrip("/").rpartition("/")[2] for info in found if info["type"] == "directory"]

    def list_keys(self) -> AsyncIterator[Sequence[ObjectInfo]]:
        return self.list("")

    async def _find(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        # Some fsspec drivers cache listings. Without this call, they would not list files that another worker has
        # written since the last listing.
        await self._run(self._fs.invalidate_cache)
        # `fs.find` is not used: if it cannot list a folder, it raises no error, as if the folder were empty.
        top = self._full(prefix)
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            try:
                found = await self._run(self._entries, folder)
            except FileNotFoundError:
                if folder != top:
                    await self._check_gone(folder)
                continue
            waiting += [info["name"].rstrip("/") for info in found if info["type"] == "directory"]
            yield [self._object(info) for info in found if info["type"] != "directory"]

    def _entries(self, folder: str) -> Sequence[Mapping[str, Any]]:
        """What is in a folder. The folder itself is left out, because some drivers list it, too.

        :raises StorageError: it is a file, or the driver lists something that is not in the folder.
        """
        below = folder.strip("/") + "/" if folder.strip("/") else ""
        listed = list(self._fs.ls(folder, detail=True))
        found = []
        for info in listed:
            name = str(info["name"]).lstrip("/")
            if name.rstrip("/") == below.rstrip("/"):
                if len(listed) == 1 and info["type"] != "directory" and not name.endswith("/"):
                    raise StorageError(f"{self._shown(folder)} is a file, so it cannot be listed as a folder.")
            elif not name.startswith(below):
                raise StorageError(f"Could not list {self._shown(folder)}: {name!a} is listed, and is not in it.")
            elif info["type"] == "directory" or not name.endswith("/"):
                found.append(info)
            elif self._size(info):
                # A file whose name ends with / cannot be opened. An empty file with such a name only marks a folder,
                # and is left out without an error.
                raise UnreadableNameError(f"Could not list {self._shown(folder)}: {name!a} is there, and is no file.")
        return found

    async def _check_gone(self, folder: str) -> None:
        """Check that a folder that was listed, and is not found now, has been removed in the meantime.

        :raises TransientStorageError: it is still there, so it is not known what is in it.
        """
        await self._run(self._fs.invalidate_cache)
        with suppress(FileNotFoundError):
            await self._run(self._fs.info, folder)
            raise TransientStorageError(f"Could not list {self._shown(folder)}: it is there, and is not found.")

    def _object(self, info: Mapping[str, Any]) -> ObjectInfo:
        path = self._relative(str(info["name"]))
        return ObjectInfo(path, self._size(info), None, _modified(info))

    def _size(self, info: Mapping[str, Any]) -> int:
        """The size of a file. It decides whether a file has landed, and whether input has changed.

        :raises StorageError: the driver does not tell it.
        """
        if (size := info.get("size")) is None:
            name = str(info.get("name", ""))
            raise StorageError(
                f"The storage driver does not tell the size of {self._shown(name)}. Such a store cannot be a "
                "destination, and input there cannot be read: name a store of another kind."
            )
        return int(size)

    def _relative(self, name: str) -> str:
        """The path of a name of the driver. Some drivers leave the first slash out."""
        root = self._root.strip("/")
        return name.lstrip("/").removeprefix(f"{root}/" if root else "")

    def _shown(self, name: str) -> str:
        """A name of the driver, for messages."""
        path = self._relative(f"{name}/").rstrip("/")
        return f"{self.uri}/{path}" if path else self.uri

    async def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            with suppress(FileNotFoundError):
                await self._run(self._fs.rm_file, self._full(path))

    def read(self, path: str) -> Iterator[bytes]:
        try:
            with driver_errors(self.uri), self._fs.open(self._full(path), "rb") as handle:
                while chunk := handle.read(CHUNK):
                    yield chunk
        except FileNotFoundError:
            raise StorageError(f"{self.uri}/{path} does not exist.") from None

    async def discard_unfinished(self, prefix: str, is_own: IsOwn = every_path) -> int:
        found = [info.path async for batch in self._find(prefix) for info in batch if _STAGED.search(info.path)]
        # The `is_own` of a dataset accepts all files in some folders below `prefix`, such as `data/`. But directly in
        # `prefix`, it only accepts a few names, such as `manifest.json`, so it would refuse a temporary name there,
        # which is random. So all temporary files directly in `prefix` are removed, without asking `is_own`.
        staged = [path for path in found if path.rpartition("/")[0] == prefix or is_own(path)]
        await self.delete(staged)
        return len(staged)

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    async def _run(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        with driver_errors(self.uri):
            return await asyncio.to_thread(call, *args, **kwargs)


def _modified(info: Mapping[str, Any]) -> float | None:
    """The time of the last write, which each driver calls differently; None = the driver does not tell it."""
    for name in ("mtime", "LastModified", "last_modified", "modified", "updated"):
        value = info.get(name)
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.timestamp()
    return None
