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
WRITTEN = {
    "files.ndjson": LAYOUT.files,
    "names.tsv": LAYOUT.names,
    "manifest.json": LAYOUT.manifest,
    "latest.json": LAYOUT.latest,
}


class Odd(MemoryStore):
    """Says of each write that it has succeeded, and keeps something else at one path."""

    odd_path: str = ""
    kept: Callable[[bytes], bytes | None] = staticmethod(lambda content: content)
    tag: str | None = None
    shown: bool = True

    def keep(self, path: str, content: bytes, *, dies: bool) -> str | None:
        before = self.objects.get(path)
        tag = super().keep(path, content, dies=dies)
        if path == self.odd_path:
            kept = self.kept(content)
            if kept is not None and kept != content:
                self.place(path, kept)
            elif kept is None and before is None:
                del self.objects[path]
            elif kept is None and before is not None:
                self.objects[path] = before
            tag = self.tag or tag
        return tag if self.shown else None

    async def replace(self, path: str, content: bytes, expected: ObjectInfo | None) -> bool:
        if self.shown:
            return await super().replace(path, content, expected)
        await self.put(path, content)
        return True

    async def head(self, path: str) -> ObjectInfo | None:
        info = await super().head(path)
        return info if info is None or self.shown else dataclasses.replace(info, etag=None)


async def landed(path: str) -> Odd:
    store = Odd()
    await land(store, "first", FILES)
    store.odd_path = path
    return store


@pytest.mark.parametrize("shown", [True, False], ids=["tags", "no tags"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", WRITTEN)
@pytest.mark.parametrize("lost", LOST)
async def test_what_the_store_did_not_keep_is_not_announced(
    path: str, lost: str, streamed: bool, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try, with a store that keeps everything, publishes."""
    if streamed:
        monkeypatch.setattr(files_ndjson, "WHOLE_BYTES", 1)
    store = await landed(WRITTEN[path])
    store.kept, store.shown = LOST[lost], shown
    with pytest.raises(TransientStorageError, match="is not what was just written there"):
        await publish_run(store, "first")
    if path != "latest.json":
        assert LAYOUT.manifest not in store.objects
        assert LAYOUT.latest not in store.objects
    store.odd_path = ""
    await publish_run(store, "first")
    assert LAYOUT.latest in store.objects
    check(store)


@pytest.mark.parametrize("shown", [True, False], ids=["tags", "no tags"])
@pytest.mark.parametrize("path", WRITTEN)
async def test_an_older_object_that_the_store_keeps_instead_is_not_taken_for_the_new_one(
    path: str, shown: bool
) -> None:
    """Both have the same size: only a digit in one file differs."""
    store = Odd()
    store.shown = shown
    await land(store, "first", FILES)
    await publish_run(store, "first")
    await land(store, "later", {**FILES, "group.json": ROOT.replace(b"u1", b"u2")})
    store.odd_path, store.kept = WRITTEN[path], LOST["nothing"]
    with pytest.raises(TransientStorageError, match="is not what was just written there"):
        await publish_run(store, "later")
    store.odd_path = ""
    await publish_run(store, "later")
    assert decode_manifest(store.objects[LAYOUT.latest].content, where="").run.run_id == "later"
    check(store)


@pytest.mark.parametrize("path", WRITTEN)
@pytest.mark.parametrize("tag", [None, '"another"', "another"])
@pytest.mark.parametrize("shown", [True, False])
async def test_the_right_bytes_are_enough_whatever_their_entity_tag_is(path: str, tag: str | None, shown: bool) -> None:
    store = await landed(WRITTEN[path])
    store.tag, store.shown = tag, shown
    await publish_run(store, "first")
    assert LAYOUT.latest in store.objects
    check(store)


async def test_a_manifest_that_another_run_removes_meanwhile_is_no_final_error(monkeypatch: pytest.MonkeyPatch) -> None:
    store = await landed(LAYOUT.manifest)
    store.tag = '"another"'  # another tag proves nothing, so the manifest is read and compared
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
