"""A store that finds its bucket when the first request says that the bucket lies in another region.

boto3 does the same for Airflow's hook. The region is looked up only after such a refusal.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from learnosity.errors import BrokenWriteError, StorageError, TransientStorageError
from learnosity.storage.store import IsOwn, ObjectInfo, Store, every_path

T = TypeVar("T")

# If the bucket is in another region, a request fails with one of these errors, and `wrong_region` of the error is true.
_REFUSED = (StorageError, TransientStorageError)


class RelocatingStore:
    """The same as `store`. See `Store` for each method.

    :param store: the store at the address that the connection gives.
    :param find: blocks, and returns the store at the bucket's own address; None when it is not another one.
    """

    def __init__(self, store: Store, find: Callable[[], Store | None]) -> None:
        self._store = store
        self._find = find
        self._lock = threading.Lock()

    @property
    def uri(self) -> str:
        return self._store.uri

    @property
    def is_local(self) -> bool:
        return self._store.is_local

    async def put(
        self,
        path: str,
        content: bytes | memoryview,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> str | None:
        return await self._there(lambda store: store.put(path, content, content_type, content_encoding))

    def memory_for(self, size: int | None) -> int:
        return self._store.memory_for(size)

    async def put_stream(
        self,
        path: str,
        chunks: AsyncIterator[bytes | memoryview],
        size: int | None,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> str | None:
        used = self._store
        try:
            return await used.put_stream(path, chunks, size, content_type, content_encoding)
        except _REFUSED as error:
            if not error.wrong_region or not await asyncio.to_thread(self._moved, used):
                raise
            raise BrokenWriteError(f"{error} The region is found: the next try writes there.") from None

    async def get(self, path: str, *, limit: int | None = None) -> bytes | None:
        return await self._there(lambda store: store.get(path, limit=limit))

    async def head(self, path: str) -> ObjectInfo | None:
        return await self._there(lambda store: store.head(path))

    async def replace(self, path: str, content: bytes, expected: ObjectInfo | None) -> bool:
        return await self._there(lambda store: store.replace(path, content, expected))

    async def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        async for batch in self._batches(lambda store: store.list(prefix)):
            yield batch

    async def folders(self, prefix: str) -> Sequence[str]:
        return await self._there(lambda store: store.folders(prefix))

    async def list_keys(self) -> AsyncIterator[Sequence[ObjectInfo]]:
        async for batch in self._batches(lambda store: store.list_keys()):
            yield batch

    async def delete(self, paths: Sequence[str]) -> None:
        await self._there(lambda store: store.delete(paths))

    def read(self, path: str) -> Iterator[bytes]:
        used, begun = self._store, False
        try:
            for chunk in used.read(path):
                begun = True
                yield chunk
            return
        except _REFUSED as error:
            # If the caller already has a chunk, the file is not read again: the caller would get this chunk twice.
            if begun or not error.wrong_region or not self._moved(used):
                raise
        yield from self._store.read(path)

    async def discard_unfinished(self, prefix: str, is_own: IsOwn = every_path) -> int:
        return await self._there(lambda store: store.discard_unfinished(prefix, is_own))

    async def _there(self, call: Callable[[Store], Awaitable[T]]) -> T:
        used = self._store
        try:
            return await call(used)
        except _REFUSED as error:
            if not error.wrong_region or not await asyncio.to_thread(self._moved, used):
                raise
            return await call(self._store)

    async def _batches(
        self, call: Callable[[Store], AsyncIterator[Sequence[ObjectInfo]]]
    ) -> AsyncIterator[Sequence[ObjectInfo]]:
        used, begun = self._store, False
        try:
            async for batch in call(used):
                begun = True
                yield batch
            return
        except _REFUSED as error:
            if begun or not error.wrong_region or not await asyncio.to_thread(self._moved, used):
                raise
        async for batch in call(self._store):
            yield batch

    def _moved(self, used: Store) -> bool:
        """Whether there is a store at another address than `used`, which refused the request."""
        with self._lock:
            if self._store is used and (found := self._find()) is not None:
                self._store = found
            return self._store is not used
