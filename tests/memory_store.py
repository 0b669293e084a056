"""A store in memory that can be killed at any step, and whose calls of several tasks mix in any order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random

from learnosity.errors import StorageError
from learnosity.storage.store import IsOwn, ObjectInfo, every_path


class Killed(BaseException):
    """The worker dies here."""


@dataclass
class Stored:
    content: bytes
    modified: float
    etag: str


@dataclass
class MemoryStore:
    """Everything below one prefix, shown to everybody at once, as the object stores do.

    :param clock: the store's time.
    :param die_at: the number of the call in which the worker dies; None = it lives.
    :param mix: gives the number of turns that a call leaves to other tasks; None = none.
    :param meets_at: the number of the call that takes so long that another task, `other`, does all of its work in it.
    :param changed: is called after each change.
    """

    uri: str = "s3://bucket/datasets"
    is_local: bool = False
    clock: float = 1_000_000_000.0
    die_at: int | None = None
    mix: Random | None = None
    meets_at: int | None = None
    other: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)
    changed: Callable[[], None] = lambda: None
    objects: dict[str, Stored] = field(default_factory=dict)
    calls: int = 0
    writes: int = 0
    tags: Iterator[int] = field(default_factory=count)

    def place(self, path: str, content: bytes = b"x", age: float = 0.0) -> None:
        """An object that is there from the beginning. `age` in seconds."""
        self.objects[path] = Stored(content, self.clock - age, str(next(self.tags)))

    async def _call(self) -> bool:
        """Whether the worker dies in this call."""
        for _ in range(self.mix.choice((0, 1, 2, 3, 4, 5, 30)) if self.mix else 0):
            await asyncio.sleep(0)
        self.calls += 1
        dies = self.calls == self.die_at
        if self.calls == self.meets_at:
            self.meets_at = None
            await self.other()
        return dies

    async def put(
        self,
        path: str,
        content: bytes | memoryview,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> str | None:
        return self.keep(path, bytes(content), dies=await self._call())

    def keep(self, path: str, content: bytes, *, dies: bool) -> str | None:
        """Store one object, at one moment. A worker that dies in the call may have stored it or not."""
        if dies and self.calls % 2:
            raise Killed
        self.writes += 1
        self.place(path, content)
        self.changed()
        if dies:
            raise Killed
        return self.objects[path].etag

    def memory_for(self, size: int | None) -> int:
        return 0

    async def put_stream(
        self,
        path: str,
        chunks: AsyncIterator[bytes | memoryview],
        size: int | None,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> str | None:
        return await self.put(path, b"".join([bytes(chunk) async for chunk in chunks]))

    async def get(self, path: str, *, limit: int | None = None) -> bytes | None:
        if await self._call():
            raise Killed
        found = self.objects.get(path)
        return None if found is None else found.content

    async def head(self, path: str) -> ObjectInfo | None:
        if await self._call():
            raise Killed
        return self._info(path) if path in self.objects else None

    async def replace(self, path: str, content: bytes, expected: ObjectInfo | None) -> bool:
        dies = await self._call()
        there = self.objects.get(path)
        if (there.etag if there else None) != (expected.etag if expected else None):
            return False
        self.keep(path, content, dies=dies)
        return True

    async def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        if await self._call():
            raise Killed
        below = f"{prefix}/" if prefix else ""
        yield [self._info(path) for path in sorted(self.objects) if path.startswith(below)]

    def list_keys(self) -> AsyncIterator[Sequence[ObjectInfo]]:
        return self.list("")

    async def folders(self, prefix: str) -> Sequence[str]:
        if await self._call():
            raise Killed
        below = f"{prefix}/" if prefix else ""
        inside = (path.removeprefix(below) for path in self.objects if path.startswith(below))
        return sorted({path.partition("/")[0] for path in inside if "/" in path})

    async def delete(self, paths: Sequence[str]) -> None:
        """Some objects of the batch are gone when the worker dies, and any of them."""
        dies = await self._call()
        order = list(paths)
        Random(self.calls).shuffle(order)
        for path in order[: len(order) // 2 if dies else None]:
            self.writes += 1
            self.objects.pop(path, None)
            self.changed()
        if dies:
            raise Killed

    def read(self, path: str) -> Iterator[bytes]:
        if (found := self.objects.get(path)) is None:
            raise StorageError(f"{path} does not exist.")
        yield found.content

    async def discard_unfinished(self, prefix: str, is_own: IsOwn = every_path) -> int:
        if await self._call():
            raise Killed
        return 0

    def _info(self, path: str) -> ObjectInfo:
        stored = self.objects[path]
        return ObjectInfo(path, len(stored.content), stored.etag, stored.modified)
