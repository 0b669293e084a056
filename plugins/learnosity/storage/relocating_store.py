"""A store that finds its bucket when the first request says that the bucket lies in another region.

boto3 does the same for Airflow's hook. The region is looked up only after such a refusal.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from learnosity.errors import BrokenWriteError, StorageError, TransientStorageError
from learnosity.storage.store import ObjectInfo, Store

T = TypeVar("T")


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
        except StorageError as error:
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
        used = self._store
        try:
            async for batch in used.list(prefix):
                yield batch
        except StorageError as error:
            if not error.wrong_region or not await asyncio.to_thread(self._moved, used):
                raise
            async for batch in self._store.list(prefix):
                yield batch

    async def folders(self, prefix: str) -> Sequence[str]:
        return await self._there(lambda store: store.folders(prefix))

    async def list_keys(self) -> AsyncIterator[Sequence[ObjectInfo]]:
        used = self._store
        try:
            async for batch in used.list_keys():
                yield batch
        except StorageError as error:
            if not error.wrong_region or not await asyncio.to_thread(self._moved, used):
                raise
            async for batch in self._store.list_keys():
                yield batch

    async def delete(self, paths: Sequence[str]) -> None:
        await self._there(lambda store: store.delete(paths))

    def read(self, path: str) -> Iterator[bytes]:
        used = self._store
        try:
            yield from used.read(path)
        except StorageError as error:
            if not error.wrong_region or not self._moved(used):
                raise
            yield from self._store.read(path)

    async def discard_unfinished(self, prefix: str) -> int:
        return await self._there(lambda store: store.discard_unfinished(prefix))

    async def _there(self, call: Callable[[Store], Awaitable[T]]) -> T:
        used = self._store
        try:
            return await call(used)
        except (StorageError, TransientStorageError) as error:
            if not error.wrong_region or not await asyncio.to_thread(self._moved, used):
                raise
            return await call(self._store)

    def _moved(self, used: Store) -> bool:
        """Whether there is a store at another address than `used`, which refused the request."""
        with self._lock:
            if self._store is used and (found := self._find()) is not None:
                self._store = found
            return self._store is not used
