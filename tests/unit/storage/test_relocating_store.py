"""A store that finds its bucket: after a refusal that may pass as after one that does not, whatever was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from itertools import chain

import pytest

from learnosity.errors import BrokenWriteError, LearnosityError, StorageError, TransientStorageError
from learnosity.storage.relocating_store import RelocatingStore
from learnosity.storage.store import ObjectInfo, Store
from tests.memory_store import MemoryStore

Refusal = type[StorageError] | type[TransientStorageError]


class Refusing(MemoryStore):
    """Refuses each call, a listing and a reading after some batches."""

    refusal: Refusal = StorageError
    wrong_region = True
    after = 0

    def _refuse(self) -> LearnosityError:
        error = self.refusal("it is refused")
        error.wrong_region = self.wrong_region
        return error

    async def _call(self) -> bool:
        raise self._refuse()

    async def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        for number in range(self.after):
            yield [ObjectInfo(f"first {number}", 1, None)]
        raise self._refuse()

    def read(self, path: str) -> Iterator[bytes]:
        yield from [b"first"] * self.after
        raise self._refuse()


async def _chunks() -> AsyncIterator[bytes]:
    yield b"x"


async def _paths(listing: AsyncIterator[Sequence[ObjectInfo]]) -> list[str]:
    return list(chain.from_iterable([[info.path for info in batch] async for batch in listing]))


async def _read(store: Store) -> bytes:
    return await asyncio.to_thread(lambda: b"".join(store.read("a")))


BATCHES: dict[str, Callable[[Store], Awaitable[object]]] = {
    "list": lambda store: _paths(store.list("")),
    "list_keys": lambda store: _paths(store.list_keys()),
    "read": _read,
}
CALLS: dict[str, Callable[[Store], Awaitable[object]]] = {
    **BATCHES,
    "put": lambda store: store.put("b", b"x"),
    "get": lambda store: store.get("a"),
    "head": lambda store: store.head("a"),
    "replace": lambda store: store.replace("b", b"x", None),
    "folders": lambda store: store.folders(""),
    "delete": lambda store: store.delete(["a"]),
    "discard_unfinished": lambda store: store.discard_unfinished(""),
}
REFUSALS: list[Refusal] = [StorageError, TransientStorageError]


def refusing(refusal: Refusal, *, wrong_region: bool = True, after: int = 0) -> Refusing:
    store = Refusing()
    store.refusal, store.wrong_region, store.after = refusal, wrong_region, after
    return store


def there() -> MemoryStore:
    store = MemoryStore()
    store.place("a", b"content")
    return store


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("call", CALLS)
async def test_a_refusal_for_the_region_is_followed_by_the_same_call_elsewhere(call: str, refusal: Refusal) -> None:
    found = await CALLS[call](RelocatingStore(refusing(refusal), there))
    assert found == await CALLS[call](there())


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_stream_is_written_there_by_the_next_try(refusal: Refusal) -> None:
    other = there()
    store = RelocatingStore(refusing(refusal), lambda: other)
    with pytest.raises(BrokenWriteError, match="the next try writes there"):
        await store.put_stream("b", _chunks(), 1)
    await store.put_stream("b", _chunks(), 1)
    assert other.objects["b"].content == b"x"


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("call", CALLS)
async def test_where_the_bucket_is_not_found_elsewhere_the_refusal_stays(call: str, refusal: Refusal) -> None:
    with pytest.raises(refusal, match="it is refused"):
        await CALLS[call](RelocatingStore(refusing(refusal), lambda: None))


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("call", CALLS)
async def test_after_another_refusal_nobody_looks_elsewhere(call: str, refusal: Refusal) -> None:
    with pytest.raises(refusal, match="it is refused"):
        await CALLS[call](RelocatingStore(refusing(refusal, wrong_region=False), there))


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("call", BATCHES)
async def test_what_has_begun_is_not_begun_again_elsewhere(call: str, refusal: Refusal) -> None:
    with pytest.raises(refusal, match="it is refused"):
        await BATCHES[call](RelocatingStore(refusing(refusal, after=2), there))
