"""Folder markers in a dataset: they go with it, and they are no files, no notes and no marks."""

from __future__ import annotations

import pytest

from learnosity.dataset.manifest import read_manifest
from learnosity.dataset.published import stored, verify
from learnosity.dataset.removal_marks import claim_landing
from learnosity.landing.ledger import read_ledger
from learnosity.retention.inventory import read_dataset
from learnosity.retention.rules import Rule
from learnosity.retention.sweep import Sweep
from tests.memory_store import MemoryStore
from tests.unit.retention.scenes import TYPE, begin, layout_of, publish, sweep

ONE = layout_of(1)
# Folders in a dataset, each of which may have a marker: an empty object whose name ends with `/`. The folder of the
# dataset itself is not among them, because a listing of it does not return its own marker.
FOLDERS = ["data", "data/groups", "data/sub", "data/groups/0.json", "_landing", "_landing/run", "_landing/run/plan"]
FOLDERS += ["_landing/other", "_removal", "_removal/x"]


def scene(*folders: str, published: bool = True) -> MemoryStore:
    store = MemoryStore()
    (publish if published else begin)(store, ONE, 100)
    for folder in folders:
        store.place(f"{ONE.prefix}/{folder}/", b"", 100 * 86_400.0)
    return store


async def removed(store: MemoryStore) -> Sweep:
    one = sweep()
    await one.named([store], [ONE.dataset_id])
    return one


@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize("folders", [*([folder] for folder in FOLDERS), FOLDERS], ids=lambda folders: folders[0])
async def test_a_dataset_with_markers_is_removed(folders: list[str], published: bool) -> None:
    store = scene(*folders, published=published)
    one = await removed(store)
    assert one.report.problems == []
    assert [entry.dataset_id for entry in one.report.goes] == [ONE.dataset_id]
    kept = {path for path in store.objects if not path.startswith(f"{ONE.removal_prefix}/")}
    assert kept == set()
    assert all(path.endswith("/") for path in store.objects)


@pytest.mark.parametrize("folder", FOLDERS)
async def test_a_marker_changes_nothing_of_what_is_found(folder: str) -> None:
    for published in (True, False):
        expected = await read_dataset(scene(published=published), ONE)
        assert await read_dataset(scene(folder, published=published), ONE) == expected


@pytest.mark.parametrize("folder", FOLDERS)
async def test_a_marker_is_no_file_of_a_published_dataset(folder: str) -> None:
    store = scene(folder)
    assert {path for batch in [batch async for batch in stored(store, ONE)] for path in batch} == {
        "groups/0.json",
        "groups/1.json",
        "groups/2.json",
    }
    manifest = await read_manifest(store, ONE)
    assert manifest is not None
    await verify(store, ONE, manifest)


@pytest.mark.parametrize("folder", ["_removal", "_removal/x"])
async def test_a_marker_is_no_mark_of_a_removal(folder: str) -> None:
    await claim_landing(scene(folder), ONE, ONE.work_prefix("run", "plan"), "task")


async def test_a_marker_is_no_note_of_a_landing() -> None:
    store = MemoryStore()
    work = ONE.work_prefix("run", "plan")
    store.place(f"{work}/landed-0000-1/", b"")
    assert await read_ledger(store, work, 0) == {}


async def test_a_rule_removes_a_dataset_with_markers_once() -> None:
    store = scene(*FOLDERS)
    publish(store, layout_of(2), 1)
    for _ in range(2):
        one = sweep()
        await one.apply(store, Rule(TYPE, keep_newest=1))
        assert one.report.problems == []
    assert one.report.goes == []
