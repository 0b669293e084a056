"""Listings that leave objects out, or still have deleted ones: what is reported as removed is what was removed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from obstore.store import LocalStore

from learnosity.dataset.manifest import FileEntry, encode_files
from learnosity.errors import TransientStorageError
from learnosity.retention.report import Entry
from learnosity.retention.rules import Rule
from learnosity.retention.sweep import Sweep
from learnosity.retention_notes import Notes
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.store import ObjectInfo, Store
from tests.memory_store import MemoryStore
from tests.unit.retention.scenes import TYPE, check_promises, layout_of, publish, sweep

ONE = layout_of(1)


class State:
    """Airflow's task state store."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value


FILES = 5
BYTES = FILES * len(f"{ONE.dataset_id} 0")


@dataclass
class LaggingStore(MemoryStore):
    """Its listings leave out what `hides` says, and have the objects of `ghosts`, also when they are deleted."""

    hides: Callable[[str], bool] = lambda path: False
    ghosts: dict[str, ObjectInfo] = field(default_factory=dict)

    async def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        async for batch in super().list(prefix):
            found = {path: info for path, info in self.ghosts.items() if path.startswith(f"{prefix}/")}
            found |= {info.path: info for info in batch if not self.hides(info.path)}
            yield [found[path] for path in sorted(found)]


def scene() -> LaggingStore:
    store = LaggingStore()
    publish(store, ONE, 50, files=FILES)
    publish(store, layout_of(2), 1)
    store.objects[ONE.latest] = store.objects[layout_of(2).manifest]
    store.place(ONE.names, b"names", 50)
    store.changed = lambda: check_promises(store)
    return store


def left(store: MemoryStore) -> set[str]:
    return {path for path in store.objects if path.startswith(f"{ONE.prefix}/")}


async def once(store: Store, by_ids: bool, run: str = "run") -> Sweep:
    one = sweep(run)
    await (one.named([store], [ONE.dataset_id]) if by_ids else one.apply(store, Rule(TYPE, keep_newest=1)))
    return one


HIDDEN: dict[str, tuple[Callable[[str], bool], int]] = {
    "nothing": (lambda path: False, 0),
    "the manifest": (lambda path: path == ONE.manifest, 0),
    "files.ndjson": (lambda path: path == ONE.files, 0),
    "names.tsv": (lambda path: path == ONE.names, 0),
    "one file": (lambda path: path == ONE.data("groups/2.json"), 1),
    "all files": (lambda path: path.startswith(f"{ONE.data_prefix}/"), FILES),
    "everything": (lambda path: path.startswith(f"{ONE.prefix}/") and "/_removal/" not in path, FILES),
}


@pytest.mark.parametrize(("hides", "unlisted"), HIDDEN.values(), ids=HIDDEN)
@pytest.mark.parametrize("by_ids", [True, False])
async def test_what_a_listing_leaves_out_is_removed_by_its_name(
    hides: Callable[[str], bool], unlisted: int, by_ids: bool
) -> None:
    store = scene()
    store.hides = hides
    one = await once(store, by_ids)
    assert left(store) == set()
    assert one.report.problems == []
    (entry,) = one.report.goes
    assert (entry.files, entry.total_bytes) == (FILES, BYTES)
    assert (f"; {unlisted} of its files were not listed, and were deleted by name" in entry.why) == bool(unlisted)


LISTS: dict[str, bytes | None] = {
    "missing": None,
    "no list": b"<html>\n",
    "cut off": b'{"path":"groups/0.json","bytes":1',
    "one endless line": b"x" * 3_000_000,
    "that of a smaller dataset": b"".join(encode_files([FileEntry("groups/0.json", 38, "", "")])),
}


@pytest.mark.parametrize("content", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("hidden", [0, 2, FILES])
async def test_files_that_nothing_names_are_not_reported_as_removed(content: bytes | None, hidden: int) -> None:
    store = scene()
    store.changed = lambda: None
    if content is None:
        del store.objects[ONE.files]
    else:
        store.place(ONE.files, content, 50)
    names = [ONE.data(f"groups/{number}.json") for number in range(FILES - hidden, FILES)]
    store.hides = lambda path: path in names
    one = await once(store, by_ids=True)
    assert ONE.manifest not in store.objects
    (entry,) = one.report.goes
    assert left(store) <= set(names)
    assert entry.files == FILES - len(left(store))
    assert entry.total_bytes == BYTES // FILES * entry.files
    if left(store):
        assert "removed in part" in one.report.problems[0].why
        assert f"its manifest counts {FILES} files" in entry.why
    else:
        assert one.report.problems == []


async def test_a_path_that_leads_out_of_the_dataset_is_not_removed() -> None:
    store = scene()
    paths = ["../../../victim", "..", "/victim", "a//b", "../manifest.json/../../x", "groups/../../readme.txt"]
    store.place(ONE.files, b"".join(encode_files([FileEntry(path, 1, "", "") for path in paths])), 50)
    others = {"victim", f"{ONE.data_prefix}/../readme.txt", *(f"{ONE.data_prefix}/{path}" for path in paths)}
    for path in others:
        store.place(path)
    store.changed = lambda: None
    store.hides = lambda path: path in others
    await once(store, by_ids=True)
    assert others <= set(store.objects)


@dataclass
class BusyStore(LaggingStore):
    """It cannot tell its unfinished uploads for now."""

    async def discard_unfinished(self, prefix: str, is_own: Callable[[str], bool] | None = None) -> int:
        raise TransientStorageError("503 for now")


@pytest.mark.parametrize("is_damaged", [True, False])
async def test_files_that_may_be_left_are_told_also_if_unfinished_uploads_are_not(is_damaged: bool) -> None:
    store = BusyStore()
    publish(store, ONE, 50, files=FILES)
    if is_damaged:
        store.place(ONE.files, b"damaged", 50)
    store.hides = lambda path: path.startswith(f"{ONE.data_prefix}/")
    one = await once(store, by_ids=True)
    if is_damaged:
        assert [entry.files for entry in one.report.goes] == [0]
        told = " ".join(entry.why for entry in one.report.problems)
        assert "removed in part" in told
        assert "503 for now" in told
    else:
        # All files are removed, but the removal has not ended: its mark is left, so that the next try goes on.
        assert (one.report.goes, left(store) != set()) == ([], True)


async def test_a_dataset_of_which_a_store_lists_nothing_is_not_removed_while_its_files_ndjson_is_there() -> None:
    store = scene()
    store.changed = lambda: None
    del store.objects[ONE.manifest]
    store.hides = lambda path: path.startswith(f"{ONE.prefix}/")
    before = left(store)
    one = await once(store, by_ids=True)
    assert one.report.goes == []
    assert "lists nothing of it, but has its files.ndjson" in one.report.problems[0].why
    assert left(store) == before


async def test_names_are_not_followed_on_a_server_that_may_have_links() -> None:
    store = scene()
    store.changed = lambda: None
    store.is_local = True
    store.hides = lambda path: path.startswith(f"{ONE.data_prefix}/")
    one = await once(store, by_ids=True)
    assert {path for path in left(store) if path.startswith(f"{ONE.data_prefix}/")} == left(store) != set()
    assert [entry.files for entry in one.report.goes] == [0]
    assert f"removed but for {FILES} of its files" in one.report.problems[0].why


async def test_a_removal_that_was_cut_off_reads_the_names_again() -> None:
    store = scene()
    del store.objects[ONE.manifest], store.objects[ONE.data("groups/0.json")]
    store.place(f"{ONE.removal_prefix}/killed", b"", 3 * 3600)
    store.hides = lambda path: path.startswith(f"{ONE.data_prefix}/")
    one = await once(store, by_ids=False)
    assert left(store) == set()
    assert (one.report.problems, len(one.report.goes)) == ([], 1)


async def test_more_names_than_one_call_takes_are_removed_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    store, sizes = scene(), list[int]()
    publish(store, ONE, 50, files=2500)
    store.hides = lambda path: path.startswith(f"{ONE.data_prefix}/")
    real = store.delete

    async def delete(paths: Sequence[str]) -> None:
        sizes.append(len(paths))
        await real(paths)

    store.changed = lambda: None
    monkeypatch.setattr(store, "delete", delete)
    one = await once(store, by_ids=True)
    assert left(store) == set()
    assert max(sizes) == 1000
    assert [entry.files for entry in one.report.goes] == [2500]


@pytest.mark.parametrize(("linked", "files"), [("data", 0), ("data/groups", 0), ("data/groups/0.json", FILES)])
@pytest.mark.parametrize("by_ids", [True, False])
async def test_files_behind_a_link_are_not_reported_as_removed(
    tmp_path: Path, linked: str, files: int, by_ids: bool
) -> None:
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    for path, stored in scene().objects.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(stored.content)
    (place / ONE.prefix / linked).rename(elsewhere)
    (place / ONE.prefix / linked).symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    store = ObstoreStore(LocalStore(place, automatic_cleanup=True), place.as_uri(), is_local=True)
    one = await once(store, by_ids)
    (entry,) = one.report.goes
    assert (entry.files, entry.total_bytes) == (files, BYTES // FILES * files)
    assert [each.why for each in one.report.problems] == (
        []
        if files
        else [f"removed but for {FILES} of its files: they are behind a link, or cannot be listed, and stay"]
    )
    assert sorted(elsewhere.rglob("*")) == before
    again = sweep("later")
    await again.apply(store, Rule(TYPE, keep_newest=1))
    assert again.report.goes == []


async def test_a_local_file_that_was_gone_before_is_not_reported_as_removed(tmp_path: Path) -> None:
    for path, stored in scene().objects.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(stored.content)
    (tmp_path / ONE.data("groups/1.json")).unlink()
    store = ObstoreStore(LocalStore(tmp_path, automatic_cleanup=True), tmp_path.as_uri(), is_local=True)
    one = await once(store, by_ids=True)
    assert [(entry.files, entry.total_bytes) for entry in one.report.goes] == [(FILES - 1, BYTES // FILES * 4)]
    assert one.report.problems == []


GHOSTS: dict[str, Callable[[str], bool]] = {
    "everything": lambda path: True,
    "the manifest": lambda path: path == ONE.manifest,
    "the files": lambda path: path.startswith(f"{ONE.data_prefix}/"),
    "files.ndjson": lambda path: path == ONE.files,
}


async def haunted(is_ghost: Callable[[str], bool]) -> LaggingStore:
    """A store that goes on listing these objects of the dataset when they are deleted."""
    store = scene()
    async for batch in store.list(ONE.prefix):
        store.ghosts = {info.path: info for info in batch if is_ghost(info.path)}
    return store


@pytest.mark.parametrize("is_ghost", GHOSTS.values(), ids=GHOSTS)
@pytest.mark.parametrize("by_ids", [True, False])
async def test_a_removal_ends_although_deleted_objects_are_still_listed(
    is_ghost: Callable[[str], bool], by_ids: bool
) -> None:
    store = await haunted(is_ghost)
    one = await once(store, by_ids)
    assert left(store) == set()
    assert one.report.problems == []
    assert [(entry.files, entry.total_bytes) for entry in one.report.goes] == [(FILES, BYTES)]


@pytest.mark.parametrize("kept", [ONE.manifest, ONE.files, ONE.data("groups/3.json")])
async def test_what_the_store_keeps_although_it_says_that_it_is_deleted_is_not_reported_as_removed(
    kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = scene()
    store.changed = lambda: None
    real = store.delete

    async def delete(paths: Sequence[str]) -> None:
        await real([path for path in paths if path != kept])

    monkeypatch.setattr(store, "delete", delete)
    one = await once(store, by_ids=True)
    assert one.report.goes == []
    assert "is not empty yet" in one.report.problems[0].why


@pytest.mark.parametrize(
    ("published", "marked", "why"),
    [
        (True, False, "kept: it has been published in this moment"),
        (False, False, "kept: the store lists its manifest, but does not have it"),
        (False, True, "kept: its removal has begun, and the store lists its manifest, but does not have it"),
    ],
)
async def test_a_manifest_that_is_listed_and_not_there_is_not_called_published(
    published: bool, marked: bool, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await haunted(lambda path: True)
    manifest = store.objects.pop(ONE.manifest)
    if marked:
        store.place(f"{ONE.removal_prefix}/killed", b"", 3 * 3600)
    real, asked = store.head, list[str]()

    async def head(path: str) -> ObjectInfo | None:
        asked.append(path)
        if published and asked.count(ONE.manifest) == 2:
            store.objects[ONE.manifest] = manifest
        return await real(path)

    monkeypatch.setattr(store, "head", head)
    one = await once(store, by_ids=False)
    assert (one.report.goes, [each.why for each in one.report.problems]) == ([], [why])


async def test_a_problem_tells_the_figures_of_a_removal_that_has_begun() -> None:
    notes = Notes(State())
    one = Entry("s3://b/p", TYPE, ONE.dataset_id, "superseded", 1234, 56789, "2026-01-01", "prod")
    await notes.begin(one)
    others = [
        Entry("", "", "", "kept: x", connection="prod"),
        Entry("s3://b/p", TYPE, layout_of(2).dataset_id, "kept: x", connection="prod"),
        Entry("s3://b/p", TYPE, ONE.dataset_id, "kept: x", connection="eu"),
        Entry("s3://b/other", TYPE, ONE.dataset_id, "kept: x", connection="prod"),
    ]
    problems = [*others, Entry("s3://b/p", TYPE, ONE.dataset_id, "kept: x", connection="prod")]
    notes.add_figures(problems)
    assert problems[:-1] == others
    assert problems[-1].why == "kept: x (this run has begun to remove its 1,234 files, 56,789 bytes)"
    await notes.done(one)
    again = [Entry("s3://b/p", TYPE, ONE.dataset_id, "kept: x", connection="prod")]
    notes.add_figures(again)
    assert again[0].why == "kept: x"
