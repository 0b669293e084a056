"""The fallback for schemes that obstore does not know: any file system that Airflow's ObjectStoragePath reaches.

Slower than obstore by far; every call runs in a thread, because fsspec and a running event loop do not mix.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from airflow.sdk import ObjectStoragePath

from learnosity.api.url_policy import redact
from learnosity.errors import StorageError, TransientStorageError
from learnosity.storage.parts import ALONE, Parts
from learnosity.storage.store import ObjectInfo, Store, first_line

CHUNK = 1024 * 1024
# A file that is being written; when its writer dies it stays.
_STAGED = re.compile(r"\.[0-9a-f]{32}\.part$")


def open_fsspec_store(uri: str, text: str) -> Store:
    """The store at `uri` through fsspec.

    :param text: the URI without the connection.
    :raises StorageError: when no driver for the scheme is installed.
    """
    try:
        path = ObjectStoragePath(uri)
        return FsspecStore(path.fs, path.path.rstrip("/"), text)
    except (ImportError, ValueError) as error:
        raise StorageError(
            f"No storage driver for {redact(text)}: {first_line(error)}. Install the Airflow provider of that scheme."
        ) from None


class FsspecStore:
    """A prefix in an fsspec file system; see `stores.Store` for what each method does."""

    is_local = True  # such systems are file-like: the stricter rules for names hold

    def __init__(self, fs: Any, root: str, uri: str) -> None:
        self._fs = fs
        self._root = root
        self.uri = uri.rstrip("/")

    async def put(self, path: str, content: bytes | memoryview, content_type: str | None = None) -> str | None:
        """See `Store`."""

        async def whole() -> AsyncIterator[bytes | memoryview]:
            yield content

        return await self.put_stream(path, whole(), content_type)

    def takes_whole(self, size: int) -> bool:
        """See `Store`. There are no requests."""
        return False

    async def put_stream(
        self,
        path: str,
        chunks: AsyncIterator[bytes | memoryview],
        content_type: str | None = None,
        parts: Parts = ALONE,
    ) -> str | None:
        """See `Store`. Written beside its name and moved there when whole."""
        target, staged = self._full(path), f"{self._full(path)}.{uuid4().hex}.part"
        try:
            await self._run(self._fs.makedirs, target.rpartition("/")[0], exist_ok=True)
            handle = await self._run(self._fs.open, staged, "wb")
            try:
                async for chunk in chunks:
                    await self._run(handle.write, bytes(chunk))  # not every driver takes a view
            finally:
                await self._run(handle.close)
            await self._run(self._fs.mv, staged, target)
        except BaseException:
            with suppress(FileNotFoundError):
                await self._run(self._fs.rm_file, staged)
            raise
        return None

    async def get(self, path: str) -> bytes | None:
        """See `Store`."""
        try:
            content: bytes = await self._run(self._fs.cat_file, self._full(path))
        except FileNotFoundError:
            return None
        return content

    async def head(self, path: str) -> ObjectInfo | None:
        """See `Store`."""
        try:
            info = await self._run(self._fs.info, self._full(path))
        except FileNotFoundError:
            return None
        return ObjectInfo(path, int(info["size"]), None)

    async def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        """See `Store`."""
        async for batch in self._find(prefix):
            yield [info for info in batch if not _STAGED.search(info.path)]

    async def _find(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        try:
            found = await self._run(self._fs.find, self._full(prefix), detail=True)
        except FileNotFoundError:
            return
        root = self._root.lstrip("/") + "/"
        yield [ObjectInfo(name.lstrip("/").removeprefix(root), int(info["size"]), None) for name, info in found.items()]

    async def delete(self, paths: Sequence[str]) -> None:
        """See `Store`."""
        for path in paths:
            with suppress(FileNotFoundError):
                await self._run(self._fs.rm_file, self._full(path))

    def read(self, path: str) -> Iterator[bytes]:
        """See `Store`."""
        try:
            with self._fs.open(self._full(path), "rb") as handle:
                while chunk := handle.read(CHUNK):
                    yield chunk
        except FileNotFoundError:
            raise StorageError(f"{self.uri}/{path} does not exist.") from None

    async def discard_unfinished(self, prefix: str) -> int:
        """See `Store`."""
        staged = [info.path async for batch in self._find(prefix) for info in batch if _STAGED.search(info.path)]
        await self.delete(staged)
        return len(staged)

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
