"""Publishing: nothing partial is ever visible as complete, and what is published can be proven."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import decode_files, decode_manifest, encode_manifest
from learnosity.errors import IncompleteDatasetError, RequestError
from learnosity.storage.store import ObjectInfo, Store
from tests.component.landing_scene import Chunks, Passing, Scene, StartScene, scene

__all__ = ["scene"]

# An error must name all of these params. A new run with `overwrite` alone would create another dataset, with a job of
# its own, and not land this one again.
HOW_TO_LAND_AGAIN = "new run with its dataset_type, its dataset_id, create false, overwrite true"


class Watched(Passing):
    """Looks at the dataset before and after every change, as a consumer would at any moment."""

    def __init__(self, inner: Store, layout: DatasetLayout) -> None:
        super().__init__(inner)
        self._layout = layout
        self.looks = self.complete = 0

    async def put(self, path: str, content: bytes | memoryview, *how: Any, **named: Any) -> str | None:
        await self._look()
        tag = await super().put(path, content, *how, **named)
        await self._look()
        return tag

    async def put_stream(self, path: str, chunks: Chunks, *how: Any, **named: Any) -> str | None:
        await self._look()
        tag = await super().put_stream(path, chunks, *how, **named)
        await self._look()
        return tag

    async def replace(self, path: str, content: bytes, expected: ObjectInfo | None) -> bool:
        await self._look()
        replaced = await super().replace(path, content, expected)
        await self._look()
        return replaced

    async def delete(self, paths: Sequence[str]) -> None:
        await self._look()
        await super().delete(paths)
        await self._look()

    async def _look(self) -> None:
        self.looks += 1
        content = await self.inner.get(self._layout.manifest)
        if content is None:
            return
        self.complete += 1
        manifest = decode_manifest(content, where="manifest")
        files = await self.inner.get(self._layout.files) or b""
        assert hashlib.sha256(files).hexdigest() == manifest.files_sha256
        entries = decode_files(files)
        assert len(entries) == manifest.file_count
        for entry in entries:
            data = await self.inner.get(self._layout.data(entry.path))
            assert data is not None
            assert hashlib.sha256(data).hexdigest() == entry.sha256


async def test_at_no_moment_does_a_reader_see_a_partial_dataset(scene: StartScene) -> None:
    dataset = await scene()
    for name in list(dataset.served)[4:]:
        dataset.remove_file(name)
    plain = dataset.store
    watched = Watched(plain, dataset.layout)
    dataset.store = watched
    await dataset.landed()
    first = watched.complete
    dataset.add_file(min(dataset.served), b'{"changed": true}')
    await dataset.plan(overwrite=True)
    await dataset.land()
    await dataset.publish()
    await dataset.check_whole()
    assert 0 < first < watched.complete < watched.looks


async def test_latest_is_a_copy_of_the_newest_manifest(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.landed()
    content = await dataset.store.get(dataset.layout.latest)
    assert content == await dataset.store.get(dataset.layout.manifest)


@pytest.mark.parametrize("clock", ["2999-01-01T00:00:00+00:00", "1999-01-01T00:00:00+00:00"], ids=["ahead", "behind"])
@pytest.mark.parametrize("theirs_is_newer", [True, False])
async def test_the_stores_clock_decides_which_dataset_is_the_newest(
    scene: StartScene, clock: str, theirs_is_newer: bool
) -> None:
    dataset = await scene()
    other = DatasetLayout(dataset.layout.dataset_type, "another")
    manifest = await dataset.landed()
    theirs = encode_manifest(msgspec.structs.replace(manifest, published_at=clock, dataset_id="another"))

    class Dated(Passing):
        """The other manifest is a minute newer, or older, by the store's clock."""

        async def head(self, path: str) -> ObjectInfo | None:
            info = await self.inner.head(path)
            if info is None or info.modified is None or path != other.manifest:
                return info
            return dataclasses.replace(info, modified=info.modified + (60 if theirs_is_newer else -60))

    await dataset.store.put(other.manifest, theirs)
    await dataset.store.put(other.latest, theirs)
    await dataset.publish(store=Dated(dataset.store))
    assert (await dataset.store.get(other.latest) == theirs) is theirs_is_newer


async def test_of_two_that_publish_at_once_the_newer_one_is_the_latest(scene: StartScene) -> None:
    dataset = await scene()
    other = DatasetLayout(dataset.layout.dataset_type, "another")
    await dataset.plan()
    await dataset.land()
    store = dataset.store

    class Overtaken(Passing):
        """Just before latest.json is written, a newer dataset is published beside this one."""

        done = False

        async def replace(self, path: str, content: bytes, expected: ObjectInfo | None) -> bool:
            if not self.done:
                self.done = True
                manifest = decode_manifest(content, where="manifest")
                theirs = encode_manifest(msgspec.structs.replace(manifest, dataset_id="another"))
                await store.put(other.manifest, theirs)
                await store.put(other.latest, theirs)
            return await self.inner.replace(path, content, expected)

        async def head(self, path: str) -> ObjectInfo | None:
            info = await self.inner.head(path)
            if info is None or info.modified is None or path != other.manifest:
                return info
            return dataclasses.replace(info, modified=info.modified + 1)

    await dataset.publish(store=Overtaken(store))
    latest = await store.get(other.latest)
    assert latest is not None
    assert decode_manifest(latest, where="latest").dataset_id == "another"


async def test_while_a_dataset_is_landed_again_no_latest_names_it(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.landed()
    await dataset.plan(overwrite=True)
    assert await dataset.store.get(dataset.layout.latest) is None
    await dataset.land()
    await dataset.publish()
    assert await dataset.store.get(dataset.layout.latest) == await dataset.store.get(dataset.layout.manifest)


async def test_a_latest_that_nobody_can_read_is_replaced(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.store.put(dataset.layout.latest, b"not a manifest")
    await dataset.landed()
    assert await dataset.store.get(dataset.layout.latest) == await dataset.store.get(dataset.layout.manifest)


async def test_a_file_that_is_not_listed_any_more_is_removed_once_the_dataset_has_landed_again(
    scene: StartScene,
) -> None:
    dataset = await scene()
    await dataset.landed()
    dataset.remove_file("groups/group.csv")
    await dataset.plan(overwrite=True)
    await dataset.land()
    assert await dataset.data("groups/group.csv") is not None, "not before all the others are there"
    await dataset.publish()
    assert await dataset.data("groups/group.csv") is None
    await dataset.check_whole()


async def test_folder_markers_are_no_files_of_an_earlier_landing_and_no_notes_of_another_run(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.landed()
    deleted: list[str] = []
    layout = dataset.layout
    markers = [f"{layout.data_prefix}/sub/", f"{layout.data_prefix}/groups/group.csv/", f"{layout.landing_prefix}/x/"]

    class WithMarkers(Passing):
        def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
            async def marked() -> AsyncIterator[Sequence[ObjectInfo]]:
                async for batch in self.inner.list(prefix):
                    yield batch
                yield [ObjectInfo(path, 0, None) for path in markers if path.startswith(f"{prefix}/")]

            return marked()

        async def delete(self, paths: Sequence[str]) -> None:
            deleted.extend(paths)
            await self.inner.delete(paths)

    dataset.remove_file("groups/group.csv")
    await dataset.plan(overwrite=True)
    await dataset.land()
    await dataset.publish(store=WithMarkers(dataset.store))
    assert [path for path in deleted if path.startswith(layout.data_prefix)] == [layout.data("groups/group.csv")]
    await dataset.check_whole()


async def test_no_file_is_removed_while_another_run_lands_the_dataset_too(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.landed()
    dataset.remove_file("groups/group.csv")
    await dataset.plan(overwrite=True)
    other = Scene(dataset.sim, dataset.client, dataset.transfer, dataset.layout, dataset.store)
    other.work = dataset.layout.work_prefix("run-2", "plan-1")
    await other.plan()
    await dataset.land()
    await dataset.publish()
    assert await dataset.data("groups/group.csv") is not None, "the other run may just have written it"
    await dataset.check_whole()


async def test_the_notes_of_the_run_are_gone_after_publishing(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.landed()
    inside = {path.removeprefix(f"{dataset.layout.prefix}/") for path in await dataset.paths(dataset.layout.prefix)}
    assert {path for path in inside if not path.startswith("data/")} == {"manifest.json", "files.ndjson", "names.tsv"}


async def test_publishing_twice_changes_nothing(scene: StartScene) -> None:
    dataset = await scene()
    first = await dataset.landed()
    assert await dataset.publish() == first
    assert await dataset.publish(shards=0) == first


async def test_a_shard_that_has_not_landed_keeps_the_dataset_unpublished(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan(shards=2)
    await dataset.land(0)
    with pytest.raises(IncompleteDatasetError, match=r"have not landed, such as .*Clear land_files"):
        await dataset.publish(2)
    assert await dataset.manifest() is None
    assert await dataset.store.get(dataset.layout.latest) is None


@pytest.mark.parametrize("change", ["gone", "other size", "other bytes"])
async def test_a_file_changed_between_landing_and_publishing_keeps_it_unpublished(
    scene: StartScene, change: str
) -> None:
    dataset = await scene()
    await dataset.plan()
    await dataset.land()
    path, size = "groups/group.csv", dataset.served["groups/group.csv"].size
    if change == "gone":
        await dataset.store.delete([dataset.layout.data(path)])
    else:
        await dataset.store.put(dataset.layout.data(path), b"x" * (size + (change == "other size")))
    with pytest.raises(IncompleteDatasetError, match=r"groups/group.csv.*nothing was published"):
        await dataset.publish()
    assert await dataset.manifest() is None


async def test_the_same_bytes_written_by_another_run_are_no_reason_to_fail(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.plan()
    await dataset.land()

    class OtherTags(Passing):
        def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
            async def retagged() -> AsyncIterator[Sequence[ObjectInfo]]:
                async for batch in self.inner.list(prefix):
                    yield [type(info)(info.path, info.size, '"another"') for info in batch]

            return retagged()

    await dataset.publish(store=OtherTags(dataset.store))
    await dataset.check_whole()


@pytest.mark.parametrize("harm", ["a file is gone", "a file has another size", "files.ndjson was changed"])
async def test_a_published_dataset_that_was_harmed_says_how_to_land_it_again(scene: StartScene, harm: str) -> None:
    dataset = await scene()
    await dataset.landed()
    if harm == "a file is gone":
        await dataset.store.delete([dataset.layout.data("groups/group.csv")])
    elif harm == "a file has another size":
        await dataset.store.put(dataset.layout.data("groups/group.csv"), b"short")
    else:
        await dataset.store.put(dataset.layout.files, b"")
    with pytest.raises(IncompleteDatasetError, match=HOW_TO_LAND_AGAIN):
        await dataset.publish(shards=0)


async def test_a_manifest_that_vanished_since_planning_is_told(scene: StartScene) -> None:
    dataset = await scene()
    await dataset.landed()
    await dataset.plan()
    await dataset.store.delete([dataset.layout.manifest])
    with pytest.raises(IncompleteDatasetError, match="its manifest is gone"):
        await dataset.publish(shards=0)


CSV = ("*.csv",)


async def a_part(dataset: Scene, include: Sequence[str] = CSV) -> int:
    """Plan and land a part of the dataset. Returns how many files are left out."""
    (shard,) = await dataset.plan(include=include)
    await dataset.land()
    assert shard.left_out
    return shard.left_out


def other_run(dataset: Scene) -> Scene:
    """Another run that lands the same dataset."""
    other = Scene(dataset.sim, dataset.client, dataset.transfer, dataset.layout, dataset.store)
    other.work = dataset.layout.work_prefix("run-2", "plan-1")
    return other


async def test_a_part_of_a_dataset_is_never_taken_for_more(scene: StartScene) -> None:
    dataset = await scene()
    left_out = await a_part(dataset, ["groups/*.csv", "*.csv"])
    part = await dataset.publish(left_out=left_out, include=["groups/*.csv", "*.csv"])
    assert (part.left_out, part.include) == (left_out, ("groups/*.csv", "*.csv"))
    assert await dataset.plan(include=["*.csv", "groups/*.csv"]) == (), "the same globs, so there is nothing to do"
    for include in (["*"], ["*.csv"], ["*.json"], ["*", "*.csv", "groups/*.csv"]):
        with pytest.raises(RequestError, match=rf"left out {left_out} result file.*{HOW_TO_LAND_AGAIN}"):
            await dataset.plan(include=include)
    assert await dataset.manifest() == part
    await dataset.plan(overwrite=True)
    await dataset.land()
    whole = await dataset.publish()
    assert (whole.left_out, whole.include) == (None, None)
    await dataset.check_whole()
    assert await dataset.plan(include=CSV) == (), "a whole dataset has all files of each part"


async def test_globs_that_leave_nothing_out_make_a_whole_dataset(scene: StartScene) -> None:
    dataset = await scene()
    (shard,) = await dataset.plan(include=["*.csv", "*.json"])
    assert not shard.left_out
    await dataset.land()
    assert (await dataset.publish(include=["*.csv", "*.json"])).include is None


@pytest.mark.parametrize("part_first", [True, False])
async def test_of_two_runs_at_once_the_whole_dataset_stays(scene: StartScene, part_first: bool) -> None:
    dataset = await scene()
    other = other_run(dataset)
    left_out = await a_part(dataset)
    await other.plan()
    await other.land()
    part: dict[str, Any] = {"left_out": left_out, "include": CSV}
    if part_first:
        await dataset.publish(**part)
        whole = await other.publish()
    else:
        whole = await other.publish()
        assert await dataset.publish(**part) == whole, "it has all files of this run"
    assert whole.file_count == len(dataset.served)
    await dataset.check_whole()


async def test_a_run_that_landed_other_content_meanwhile_is_published_instead(scene: StartScene) -> None:
    """The first run has checked its files, and then another one lands the dataset anew."""
    dataset = await scene()
    other, store = other_run(dataset), dataset.store
    name = "groups/group.csv"
    changed = bytes(dataset.served[name].size)

    class Overtaken(Passing):
        async def put(self, path: str, content: bytes | memoryview, *how: Any, **named: Any) -> str | None:
            if path == dataset.layout.manifest:
                dataset.add_file(name, changed)
                await other.plan(overwrite=True)
                await other.land()
            return await self.inner.put(path, content, *how, **named)

    await dataset.plan()
    await dataset.land()
    first = await dataset.publish(store=Overtaken(store))
    second = await other.publish()
    assert second.files_sha256 != first.files_sha256
    assert await dataset.data(name) == changed
    await dataset.check_whole()


async def test_a_part_with_other_content_than_the_published_dataset_is_an_error(scene: StartScene) -> None:
    dataset = await scene()
    other, name = other_run(dataset), "groups/group.csv"
    left_out = await a_part(dataset)
    dataset.add_file(name, bytes(dataset.served[name].size))
    await other.plan()
    await other.land()
    whole = await other.publish()
    with pytest.raises(IncompleteDatasetError, match=f"has published other files.*{HOW_TO_LAND_AGAIN}"):
        await dataset.publish(left_out=left_out, include=CSV)
    assert await dataset.manifest() == whole
    await dataset.check_whole()
