"""Marks of removals that were cut off: they stay until the dataset can be judged, so that the removal goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from learnosity.errors import StorageError, TransientStorageError
from learnosity.retention import inventory
from learnosity.retention import remove as removing
from learnosity.retention.decide import Found, Latest
from learnosity.retention.rules import Rule
from learnosity.retention.sweep import Sweep
from tests.memory_store import MemoryStore
from tests.unit.retention.scenes import TYPE, layout_of, publish, sweep

ONE = layout_of(1)
HOUR = 3600.0


def cut_off(run: str, age: float, *, whole: bool) -> MemoryStore:
    """A dataset whose removal has begun. Its manifest is gone, unless it is still whole."""
    store = MemoryStore()
    publish(store, ONE, 50)
    publish(store, layout_of(2), 1)
    store.objects[ONE.latest] = store.objects[layout_of(2).manifest]
    if not whole:
        del store.objects[ONE.manifest]
    store.place(f"{ONE.removal_prefix}/{run}", b"", age)
    return store


async def once(store: MemoryStore, run: str, by_ids: bool) -> Sweep:
    one = sweep(run)
    await (one.named([store], [ONE.dataset_id]) if by_ids else one.apply(store, Rule(TYPE, keep_newest=1)))
    return one


def bad_latest(store: MemoryStore, patch: pytest.MonkeyPatch) -> None:
    store.objects[ONE.latest].content = b"{"


def refusing(kind: type[Exception], second_look: bool) -> Callable[[MemoryStore, pytest.MonkeyPatch], None]:
    """Reading the dataset, or reading it again after the mark is written, fails."""

    def breaks(store: MemoryStore, patch: pytest.MonkeyPatch) -> None:
        async def fails(where: MemoryStore, layout: object) -> Found:
            if kind is TransientStorageError:
                raise TransientStorageError("503")
            return Found(ONE.dataset_id, problem="403")

        patch.setattr(removing if second_look else inventory, "read_dataset", fails)
        if not second_look:
            patch.setattr("learnosity.retention.sweep.read_dataset", fails)

    return breaks


def unread_latest(store: MemoryStore, patch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> Latest:
        return Latest(problem="403")

    patch.setattr(removing, "latest", fails)


BREAKS = {
    "latest.json is damaged": bad_latest,
    "latest.json is refused at the second look": unread_latest,
    "the dataset is refused": refusing(StorageError, False),
    "the dataset is refused at the second look": refusing(StorageError, True),
    "the dataset fails for now": refusing(TransientStorageError, False),
    "the dataset fails for now at the second look": refusing(TransientStorageError, True),
}


@pytest.mark.parametrize("breaks", BREAKS.values(), ids=BREAKS)
@pytest.mark.parametrize(("run", "age"), [("run", 0.0), ("run", 3 * HOUR), ("killed", 3 * HOUR)])
@pytest.mark.parametrize("by_ids", [True, False])
async def test_what_cannot_be_judged_keeps_its_mark_and_the_removal_goes_on_later(
    breaks: Callable[[MemoryStore, pytest.MonkeyPatch], None], run: str, age: float, by_ids: bool
) -> None:
    store = cut_off(run, age, whole=False)
    latest = store.objects[ONE.latest].content
    with pytest.MonkeyPatch.context() as patch:
        breaks(store, patch)
        one = await once(store, "run", by_ids)
    assert one.report.problems
    assert f"{ONE.removal_prefix}/{run}" in store.objects
    store.objects[ONE.latest].content = latest
    one = await once(store, "run", by_ids)
    assert one.report.problems == []
    assert [entry.dataset_id for entry in one.report.goes] == [ONE.dataset_id]
    assert not [path for path in store.objects if path.startswith(f"{ONE.prefix}/")]


@pytest.mark.parametrize("by_ids", [True, False])
async def test_a_whole_dataset_that_stays_loses_its_stale_mark_so_that_it_can_be_landed(by_ids: bool) -> None:
    store = cut_off("killed", 3 * HOUR, whole=True)
    store.objects[ONE.latest].content = store.objects[ONE.manifest].content
    store.place(f"{layout_of(2).removal_prefix}/killed", b"", 3 * HOUR)
    await once(store, "run", by_ids)
    assert not [path for path in store.objects if path.startswith(f"{ONE.removal_prefix}/")]


async def test_a_fresh_mark_of_another_run_keeps_a_dataset_and_only_that_mark_stays() -> None:
    store = cut_off("run", 0.0, whole=False)
    store.place(f"{ONE.removal_prefix}/other", b"", 0.0)
    one = await once(store, "run", by_ids=True)
    assert [entry.why for entry in one.report.problems] == ["kept: another run removes it"]
    assert [path for path in store.objects if "/_removal/" in path] == [f"{ONE.removal_prefix}/other"]
