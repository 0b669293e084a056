"""A run publishes where another one has published: what is announced is whole, whenever it dies or fails."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import msgspec
import pytest

from learnosity.dataset.input_info import InputInfo
from learnosity.dataset.manifest import RunInfo, decode_files, decode_manifest, sha256_hex
from learnosity.dataset.published import verify
from learnosity.errors import GapError, IncompleteDatasetError, LearnosityError, StorageError, TransientStorageError
from learnosity.landing.ledger import Landed, Ledger
from learnosity.landing.plan import plan_path
from learnosity.landing.publish import publish
from learnosity.results.outcomes import ResultFile
from learnosity.storage.store import ObjectInfo
from tests.memory_store import Killed, MemoryStore
from tests.unit.retention.scenes import check_promises, layout_of

LAYOUT = layout_of(1)
TRIES = 4
ROOT = b'{"group_path": [], "group": {"group_name": "all", "population": 1}, "users": [{"user_id": "u1", "score": 1}]}'
MORE = ROOT.replace(b'"score": 1', b'"score": 2')
GAP = InputInfo(uris=(), files=1, records=9, bytes=1, sha256="", users=9)
"""What was uploaded: more users than the root counts."""

# What each of two runs has landed. Where both have a file, the second one has written it last.
SCENES: dict[str, tuple[dict[str, bytes], dict[str, bytes]]] = {
    "another file each": ({"group.json": ROOT, "old.json": b"{}"}, {"group.json": ROOT, "new.json": b"[]"}),
    "a file less": ({"group.json": ROOT, "old.json": b"{}"}, {"group.json": ROOT}),
    "a file more": ({"group.json": ROOT}, {"group.json": ROOT, "new.json": b"[]"}),
    "no file in common": ({"old.json": b"{}", "old/x.csv": b"x"}, {"group.json": MORE}),
    "nothing now": ({"group.json": ROOT, "old.json": b"{}"}, {}),
    "something now": ({}, {"group.json": ROOT}),
    "the same": ({"group.json": ROOT}, {"group.json": ROOT}),
    "nothing twice": ({}, {}),
}


def work_of(run: str) -> str:
    return LAYOUT.work_prefix(run, "plan")


async def land(store: MemoryStore, run: str, files: Mapping[str, bytes]) -> None:
    """Plan and land: the notes and the files of a run that has not published."""
    work, ledger = work_of(run), Ledger(store, work_of(run), 0)
    plan = b"".join(msgspec.json.encode(ResultFile(path, bytes=len(body))) + b"\n" for path, body in files.items())
    await store.put(plan_path(work, 0), plan)
    for path, body in files.items():
        etag = await store.put(LAYOUT.data(path), body)
        await ledger.add(Landed(path, len(body), sha256_hex(body), "application/json", etag=etag))
    await ledger.flush()


async def publish_run(store: MemoryStore, run: str, **more: Any) -> None:
    how = {"work": work_of(run), "shards": 1, "job_reference": "", "request": {}, "run": RunInfo("d", run, None)}
    await publish(store, LAYOUT, **how | more)  # type: ignore[arg-type]


async def published_and_landed(scene: str) -> MemoryStore:
    """The first run has published after the second one made its plan. Then the second one has landed."""
    store = MemoryStore()
    first, second = SCENES[scene]
    await land(store, "first", first)
    await publish_run(store, "first")
    await land(store, "second", second)
    check(store)
    store.calls = 0
    store.changed = lambda: check(store)
    return store


def check(store: MemoryStore) -> None:
    """The manifest finds its files and its index of names, and latest.json is a copy of it."""
    check_promises(store)
    announced, latest = store.objects.get(LAYOUT.manifest), store.objects.get(LAYOUT.latest)
    if announced is None:
        assert latest is None
        return
    manifest = decode_manifest(announced.content, where="manifest")
    listing = store.objects[LAYOUT.files].content
    assert sha256_hex(listing) == manifest.files_sha256
    assert len(decode_files(listing)) == manifest.file_count
    if manifest.names is not None:
        assert sha256_hex(store.objects[LAYOUT.names].content) == manifest.names.sha256
    assert latest is None or latest.content == announced.content


async def check_published(store: MemoryStore, run: str, files: Mapping[str, bytes]) -> None:
    check(store)
    manifest = decode_manifest(store.objects[LAYOUT.manifest].content, where="manifest")
    assert manifest.run.run_id == run
    await verify(store, LAYOUT, manifest)
    listed = {entry.path: entry.sha256 for entry in decode_files(store.objects[LAYOUT.files].content)}
    assert listed == {path: hashlib.sha256(body).hexdigest() for path, body in files.items()}
    assert store.objects[LAYOUT.latest].content == store.objects[LAYOUT.manifest].content


async def calls_of(scene: str, **more: Any) -> int:
    """How many calls of the store the second run makes."""
    store = await published_and_landed(scene)
    try:
        await publish_run(store, "second", **more)
    except LearnosityError:
        assert more
    return store.calls


REPLACED = [name for name, (first, second) in SCENES.items() if not second.items() <= first.items()]


@pytest.mark.parametrize("scene", SCENES)
async def test_wherever_it_dies_what_is_announced_is_whole(scene: str) -> None:
    first, second = SCENES[scene]
    for death in range(1, await calls_of(scene) + 1):
        store = await published_and_landed(scene)
        store.die_at = death
        with pytest.raises(Killed):
            await publish_run(store, "second")
        check(store)
        store.die_at = None
        if scene in REPLACED:
            await publish_run(store, "second")
            await check_published(store, "second", second)
        else:
            await check_published(store, "first", first)


@pytest.mark.parametrize("scene", REPLACED)
async def test_a_dataset_that_is_refused_leaves_the_published_one_as_it_is(scene: str) -> None:
    refused = {"sent": GAP, "require_complete": True}
    for death in [None, *range(1, await calls_of(scene, **refused) + 1)]:
        store = await published_and_landed(scene)
        store.die_at = death
        for _ in range(2):
            with pytest.raises((Killed, GapError)):
                await publish_run(store, "second", **refused)
            await check_published(store, "first", SCENES[scene][0])
            store.die_at = None


async def both_landed(scene: str) -> MemoryStore:
    """Two runs have landed and have not published."""
    store = MemoryStore()
    for run, files in zip(("first", "second"), SCENES[scene], strict=True):
        await land(store, run, files)
    store.calls = 0
    return store


async def published(store: MemoryStore, run: str, **more: Any) -> None:
    """A task with its tries. Each error on the way is one that another try may end."""
    for _ in range(TRIES):
        try:
            return await publish_run(store, run, **more)
        except TransientStorageError:
            continue
    raise AssertionError(f"{run} has not published in {TRIES} tries")


async def check_one_of_both(store: MemoryStore, scene: str) -> None:
    manifest = decode_manifest(store.objects[LAYOUT.manifest].content, where="manifest")
    await check_published(
        store, manifest.run.run_id, dict(zip(("first", "second"), SCENES[scene], strict=True))[manifest.run.run_id]
    )


@pytest.mark.parametrize("scene", SCENES)
async def test_a_run_that_publishes_while_this_one_compares_is_seen_before_anything_is_changed(scene: str) -> None:
    """The other run does all of its work within one call of this one, whichever it is before the first change."""
    first, second = SCENES[scene]
    store, changes = await both_landed(scene), list[int]()
    store.changed = lambda: changes.append(store.calls)
    await publish_run(store, "second")
    # `changes[0]` is the call that writes the claim of this run, an empty note. `changes[1]` is the first call that
    # changes more than that.
    for call in range(2, changes[1]):
        store = await both_landed(scene)
        store.meets_at, store.changed = call, partial(check, store)
        store.other = partial(publish_run, store, "first")
        await publish_run(store, "second")
        assert store.calls > call
        await check_published(store, *(("second", second) if scene in REPLACED else ("first", first)))


@pytest.mark.parametrize("scene", SCENES)
async def test_a_run_that_publishes_within_any_call_of_this_one_leaves_a_whole_dataset(scene: str) -> None:
    """This run may have written a part of what belongs to its manifest."""
    store = await both_landed(scene)
    await publish_run(store, "second")
    for call in range(2, store.calls + 1):
        store = await both_landed(scene)
        store.meets_at, store.other = call, partial(published, store, "first")
        await published(store, "second")
        await check_one_of_both(store, scene)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("scene", SCENES)
async def test_two_runs_that_publish_at_the_same_time_leave_a_whole_dataset(scene: str, seed: int) -> None:
    store = await both_landed(scene)
    store.mix = Random(seed)
    await asyncio.gather(published(store, "first"), published(store, "second"))
    store.mix = None
    await check_one_of_both(store, scene)


def notes_of(store: MemoryStore, run: str) -> int:
    return sum(path.startswith(work_of(run)) for path in store.objects)


async def dies_after_the_other(scene: str, call: int, death: int) -> MemoryStore | None:
    """The first run publishes within one call of the second, which dies `death` calls later. None = it ends before."""
    store = await both_landed(scene)

    async def other() -> None:
        await published(store, "first")
        store.die_at = store.calls + death

    store.meets_at, store.other = call, other
    try:
        await published(store, "second")
    except Killed:
        store.die_at = None
        return store
    return None


@pytest.mark.parametrize("scene", ["another file each", "a file less"])
async def test_a_run_that_dies_after_another_one_has_published_has_a_whole_dataset_after_its_next_try(
    scene: str,
) -> None:
    store = await both_landed(scene)
    notes = notes_of(store, "second")
    await publish_run(store, "second")
    deaths = 0
    for call in range(2, store.calls + 1):
        for death in range(1 + call % 3, 60, 3):
            left = await dies_after_the_other(scene, call, death)
            if left is None or notes_of(left, "second") < notes:  # the run has published, and removes its notes
                break
            await published(left, "second")
            await check_one_of_both(left, scene)
            deaths += 1
    assert deaths > store.calls


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("parts", [("second",), ("first", "second")], ids=["one part", "two parts"])
async def test_a_part_that_is_published_at_the_same_time_leaves_a_whole_dataset(
    scene: str, seed: int, parts: tuple[str, ...]
) -> None:
    """A part may be refused, because it never replaces what another run has published."""
    store = await both_landed(scene)
    store.mix = Random(seed)

    async def ends(run: str) -> None:
        with suppress(IncompleteDatasetError) if run in parts else nullcontext():
            await published(store, run, **({"left_out": 1, "include": ["*"]} if run in parts else {}))

    await asyncio.gather(ends("first"), ends("second"))
    store.mix = None
    await check_one_of_both(store, scene)


@pytest.mark.parametrize("path", [LAYOUT.files, LAYOUT.names, LAYOUT.manifest], ids=["list", "names", "manifest"])
async def test_a_store_that_fails_while_it_is_compared_loses_nothing(path: str) -> None:
    """The manifest stays, and the next try ends well."""

    class Busy(MemoryStore):
        async def head(self, asked: str) -> ObjectInfo | None:
            if asked == path and self.objects.get(LAYOUT.manifest) and not self.objects.get(LAYOUT.latest):
                raise TransientStorageError("503 SlowDown")
            return await super().head(asked)

    store = Busy()
    files = {"group.json": ROOT, "new.json": b"[]"}
    await land(store, "first", files)
    with pytest.raises(TransientStorageError, match="SlowDown"):
        await publish_run(store, "first")
    assert LAYOUT.manifest in store.objects
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Busy, "head", MemoryStore.head)
        await publish_run(store, "first")
    await check_published(store, "first", files)


async def harmed(path: str) -> MemoryStore:
    """The first run has published after the second one made its plan. Then somebody has removed an object."""
    store = MemoryStore()
    await land(store, "second", {"group.json": ROOT})
    await land(store, "first", {"group.json": ROOT, "old.json": b"{}"})
    await publish_run(store, "first")
    del store.objects[path]
    return store


async def test_a_part_does_not_replace_a_dataset_that_only_lacks_its_index_of_names() -> None:
    store = await harmed(LAYOUT.names)
    await publish_run(store, "second", left_out=1, include=["group*"])
    assert decode_manifest(store.objects[LAYOUT.manifest].content, where="").run.run_id == "first"
    assert LAYOUT.data("old.json") in store.objects


@pytest.mark.parametrize("path", [LAYOUT.files, LAYOUT.data("old.json")], ids=["list", "file"])
async def test_a_dataset_that_somebody_has_harmed_is_told_in_the_same_words_each_time(path: str) -> None:
    """Runs that planned nothing, because the dataset was published, leave nothing that looks like a landing."""
    store = await harmed(path)
    for path in [each for each in store.objects if each.startswith(work_of("second"))]:
        del store.objects[path]
    for run in ("third", "third", "fourth", "first"):
        with pytest.raises(IncompleteDatasetError, match="To land it again, trigger a new run"):
            await publish_run(store, run, shards=0)


async def test_where_notes_of_a_landing_are_left_the_error_says_both() -> None:
    store = await harmed(LAYOUT.files)
    with pytest.raises(TransientStorageError, match=r"To land it again, .*notes are below .*_landing"):
        await publish_run(store, "third", shards=0)


@pytest.mark.parametrize("shown", [True, False], ids=["tags", "no tags"])
async def test_a_list_that_cannot_be_read_is_not_taken_for_one_that_is_not_there(shown: bool) -> None:
    class Archived(MemoryStore):
        def read(self, path: str) -> Iterator[bytes]:
            if path == LAYOUT.files:
                raise StorageError("InvalidObjectState: the object is archived")
            return super().read(path)

        async def head(self, path: str) -> ObjectInfo | None:
            info = await super().head(path)
            return info if info is None or shown else replace(info, etag=None)

    store = Archived()
    store.objects = (await published_and_landed("a file less")).objects
    before = store.objects[LAYOUT.manifest].content
    with pytest.raises(StorageError, match="archived"):
        await publish_run(store, "second")
    assert store.objects[LAYOUT.manifest].content == before
    assert LAYOUT.data("old.json") in store.objects


@pytest.mark.parametrize("looks", [1, 2])
async def test_a_manifest_that_another_run_withdraws_before_it_is_announced_is_published_again(looks: int) -> None:
    """`looks`: at which look at the manifest for latest.json it is gone."""

    class Withdrawn(MemoryStore):
        seen = 0

        async def get(self, path: str, *, limit: int | None = None) -> bytes | None:
            if path == LAYOUT.manifest and path in self.objects:
                self.seen += 1
                if self.seen == looks:
                    del self.objects[path]
            return await super().get(path, limit=limit)

    store = Withdrawn()
    await land(store, "first", {"group.json": ROOT})
    with pytest.raises(TransientStorageError, match="is gone again"):
        await publish_run(store, "first")
    assert LAYOUT.latest not in store.objects
    await publish_run(store, "first")
    await check_published(store, "first", {"group.json": ROOT})
