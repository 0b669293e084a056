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
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from learnosity.errors import StorageError, TransientStorageError
from learnosity.redaction import redact
from learnosity.storage.errors import first_line
from learnosity.storage.store import ObjectInfo, Store, check_size

# Bytes per read; each read is a call in a thread, so smaller reads are slower, and larger reads need more memory.
CHUNK = 1024 * 1024
# The end of the temporary name of a file that is being written. If the task is killed, this file remains until
# `discard_unfinished` removes it.
_STAGED = re.compile(r"\.[0-9a-f]{32}\.part$")


def open_fsspec_store(uri: str, text: str) -> Store:
    """The store at `uri` through fsspec.

    :param text: the URI without the Airflow connection, for messages.
    :raises StorageError: no driver for the scheme is installed.
    """
    try:
        path = ObjectStoragePath(uri)
        return FsspecStore(path.fs, path.path.rstrip("/"), text)
    except (ImportError, ValueError) as error:
        raise StorageError(
            f"No storage driver for {redact(text)}: {first_line(error)}. Install the Airflow provider of that scheme."
        ) from None


class FsspecStore:
    """A prefix in an fsspec file system. `storage.store.Store` says what each method does."""

    is_local = True  # an fsspec store may be a file system, so the stricter rules for names of local files apply

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
        return 2 * CHUNK  # one chunk, and its copy as `bytes`

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
        # The temporary name does not contain the real name, because the two together could be longer than a file system
        # allows.
        staged = f"{folder}/.{uuid4().hex}.part"
        try:
            await self._run(self._fs.makedirs, folder, exist_ok=True)
            handle = await self._run(self._fs.open, staged, "wb")
            try:
                async for chunk in chunks:
                    # Some fsspec drivers accept only `bytes`, and no memoryview.
                    await self._run(handle.write, bytes(chunk))
            finally:
                await self._run(handle.close)
            await self._run(self._rename, staged, target)
        except BaseException:
            with suppress(FileNotFoundError):
                await self._run(self._fs.rm_file, staged)
            raise
        return None

    async def get(self, path: str, *, limit: int | None = None) -> bytes | None:
        try:
            if limit is not None:
                info = await self._run(self._fs.info, self._full(path))
                check_size(f"{self.uri}/{path}", int(info["size"]), limit)
            content: bytes = await self._run(self._fs.cat_file, self._full(path))
        except FileNotFoundError:
            return None
        return content

    async def head(self, path: str) -> ObjectInfo | None:
        try:
            info = await self._run(self._fs.info, self._full(path))
        except FileNotFoundError:
            return None
        return ObjectInfo(path, int(info["size"]), None, _modified(info))

    async def replace(self, path: str, content: bytes, expected: ObjectInfo | None) -> bool:
        # This is an unconditional write, because fsspec has no conditional one.
        await self.put(path, content, "application/json")
        return True

    async def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        async for batch in self._find(prefix):
            yield [info for info in batch if not _STAGED.search(info.path)]

    async def folders(self, prefix: str) -> Sequence[str]:
        await self._run(self._fs.invalidate_cache)
        try:
            found = await self._run(self._fs.ls, self._full(prefix), detail=True)
        except FileNotFoundError:
            return []
        return [info["name"].rstrip("/").rpartition("/")[2] for info in found if info["type"] == "directory"]

    def list_keys(self) -> AsyncIterator[Sequence[ObjectInfo]]:
        return self.list("")

    async def _find(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        # Some fsspec drivers cache listings. Without this call, they would not list files that another worker has
        # written since the last listing.
        await self._run(self._fs.invalidate_cache)
        try:
            found = await self._run(self._fs.find, self._full(prefix), detail=True)
        except FileNotFoundError:
            return
        root = self._root.lstrip("/") + "/"
        yield [
            ObjectInfo(name.lstrip("/").removeprefix(root), int(info["size"]), None, _modified(info))
            for name, info in found.items()
        ]

    async def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            with suppress(FileNotFoundError):
                await self._run(self._fs.rm_file, self._full(path))

    def read(self, path: str) -> Iterator[bytes]:
        try:
            with self._fs.open(self._full(path), "rb") as handle:
                while chunk := handle.read(CHUNK):
                    yield chunk
        except FileNotFoundError:
            raise StorageError(f"{self.uri}/{path} does not exist.") from None

    async def discard_unfinished(self, prefix: str) -> int:
        staged = [info.path async for batch in self._find(prefix) for info in batch if _STAGED.search(info.path)]
        await self.delete(staged)
        return len(staged)

    def _rename(self, staged: str, target: str) -> None:
        if type(self._fs).mv is not AbstractFileSystem.mv:
            self._fs.mv(staged, target)
            return
        # `AbstractFileSystem.mv` is not used, because it reads a path as a glob: it would not find a file with `[1]` in
        # its path.
        self._fs.cp_file(staged, target)
        self._fs.rm_file(staged)

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    async def _run(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await asyncio.to_thread(call, *args, **kwargs)
        except FileNotFoundError:
            raise
        except PermissionError:
            raise StorageError(f"No permission on {self.uri}. Check the connection named in the URI.") from None
        except OSError as error:
            raise TransientStorageError(f"{self.uri}: {first_line(error)}") from None


def _modified(info: Mapping[str, Any]) -> float | None:
    """The time of the last write, which each driver calls differently; None = the driver does not tell it."""
    for name in ("mtime", "LastModified", "last_modified", "modified", "updated"):
        value = info.get(name)
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.timestamp()
    return None
