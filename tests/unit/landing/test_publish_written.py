"""What publishing writes last is compared with the store, too: a reply of success does not prove that it is there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest

from learnosity.dataset.manifest import decode_manifest
from learnosity.errors import StorageError, TransientStorageError
from learnosity.landing import files_ndjson
from learnosity.storage.store import ObjectInfo
from tests.memory_store import MemoryStore
from tests.unit.landing.test_publish_replaces import LAYOUT, ROOT, check, land, publish_run

FILES = {"group.json": ROOT, "items.csv": b"a,b\n"}
LOST: dict[str, Callable[[bytes], bytes | None]] = {
    "nothing": lambda content: None,
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "more": lambda content: content + b"\n",
    "other bytes": lambda content: content.swapcase(),
}


class Odd(MemoryStore):
    """Says of each write that it has succeeded, and keeps something else at one path."""

    odd_path: str = ""
    kept: Callable[[bytes], bytes | None] = staticmethod(lambda content: content)
    tag: str | None = None
    shown: bool = True

    async def put(self, path: str, content: bytes | memoryview, *how: object, **named: object) -> str | None:
        tag = await super().put(path, content)
        if path != self.odd_path:
            return tag
        if (kept := self.kept(bytes(content))) is None:
            del self.objects[path]
        elif kept != content:
            self.place(path, kept)
        return self.tag or tag

    async def head(self, path: str) -> ObjectInfo | None:
        info = await super().head(path)
        return info if info is None or self.shown else dataclasses.replace(info, etag=None)


async def landed(path: str) -> Odd:
    store = Odd()
    await land(store, "first", FILES)
    store.odd_path = path
    return store


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", [LAYOUT.files, LAYOUT.manifest], ids=["files.ndjson", "manifest.json"])
@pytest.mark.parametrize("lost", LOST)
async def test_what_the_store_did_not_keep_is_not_announced(
    path: str, lost: str, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if streamed:
        monkeypatch.setattr(files_ndjson, "WHOLE_BYTES", 1)
    store = await landed(path)
    store.kept = LOST[lost]
    with pytest.raises(TransientStorageError, match="is not what was just written there"):
        await publish_run(store, "first")
    assert LAYOUT.latest not in store.objects
    if path == LAYOUT.files:
        assert LAYOUT.manifest not in store.objects
    if lost == "nothing":
        store.odd_path = ""
        await publish_run(store, "first")
        assert LAYOUT.latest in store.objects
        check(store)


@pytest.mark.parametrize("path", [LAYOUT.files, LAYOUT.manifest], ids=["files.ndjson", "manifest.json"])
@pytest.mark.parametrize("tag", [None, '"another"', "another"])
@pytest.mark.parametrize("shown", [True, False])
async def test_the_right_bytes_are_enough_whatever_their_entity_tag_is(path: str, tag: str | None, shown: bool) -> None:
    store = await landed(path)
    store.tag, store.shown = tag, shown
    await publish_run(store, "first")
    assert LAYOUT.latest in store.objects
    check(store)


async def test_an_announcement_that_the_store_did_not_keep_is_written_again() -> None:
    store = Odd()
    await land(store, "first", FILES)

    async def lose(path: str, content: bytes, there: ObjectInfo | None) -> bool:
        return True

    store.replace = lose  # type: ignore[method-assign, assignment]
    with pytest.raises(TransientStorageError, match=r"latest\.json is not there"):
        await publish_run(store, "first")
    del store.replace
    await publish_run(store, "first")
    check(store)


async def test_a_manifest_that_another_run_removes_meanwhile_is_no_final_error(monkeypatch: pytest.MonkeyPatch) -> None:
    store = await landed(LAYOUT.manifest)
    store.tag = '"another"'  # so the object is read
    read_all = store.read

    def read(path: str) -> Iterator[bytes]:
        if path != LAYOUT.manifest:
            return read_all(path)
        del store.objects[path]
        raise StorageError(f"{path} does not exist.")

    monkeypatch.setattr(store, "read", read)
    with pytest.raises(TransientStorageError, match="is not what was just written there"):
        await publish_run(store, "first")


@pytest.mark.parametrize(
    "others", [FILES, {"group.json": ROOT, "items.csv": b"a,c\n"}], ids=["the same", "other files"]
)
async def test_a_run_that_publishes_in_the_same_moment_is_no_error_if_it_has_the_same_files(
    others: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = MemoryStore()
    await land(other, "second", others)
    await publish_run(other, "second")
    store = await landed(LAYOUT.manifest)
    theirs = other.objects[LAYOUT.manifest]

    def replaced(content: bytes) -> bytes:
        store.objects[LAYOUT.files] = other.objects[LAYOUT.files]
        return theirs.content

    store.kept = replaced
    if others == FILES:
        await publish_run(store, "first")
        assert decode_manifest(store.objects[LAYOUT.latest].content, where="").run.run_id == "second"
        check(store)
    else:
        with pytest.raises(TransientStorageError, match="is not what was just written there"):
            await publish_run(store, "first")
        assert LAYOUT.latest not in store.objects
