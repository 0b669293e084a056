"""Removes one dataset: its manifest first, so that no manifest ever names files that are gone.

A mark is written before anything is removed, and is removed last. So the next run sees that a removal was interrupted,
and goes on with it. While there is a mark, no task lands the dataset (`dataset.removal_marks`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import TransientStorageError
from learnosity.retention.decide import HOUR, Found, Latest, Verdict
from learnosity.retention.inventory import AT_ONCE, latest, leads_elsewhere, read_dataset
from learnosity.retention.named_files import Named, remove_named
from learnosity.storage.store import ObjectInfo, Store

log = logging.getLogger(__name__)

# Maximum number of objects in one call of `Store.delete`. Before each call, the mark is checked. So if another try has
# taken over this removal, at most one more batch is deleted here.
BATCH = 1000
# The folder is listed and emptied at most this many times, because another task may still write to it. If each of these
# listings finds objects to remove, `remove` raises a `TransientStorageError`, and a later try goes on with the dataset.
ROUNDS = 5
# A mark is an object that says that a removal has begun. Before each batch of deletions, the removal writes its mark
# again if more than `RENEW_SECONDS` have passed since it wrote the mark last. So if a mark is older than
# `STALE_SECONDS`, its removal does not run any more.
RENEW_SECONDS = 300.0
STALE_SECONDS = 2 * HOUR

Judge = Callable[[Found, Latest, float], Verdict]
"""Says whether a dataset goes, from what the store has now and the time by the store's clock."""


@dataclass(frozen=True, slots=True)
class Removal:
    """The result for one dataset.

    :param objects: how many objects were removed.
    :param others: how many objects in its folder were not written by this package, and stay.
    :param unfinished: why unfinished uploads in its folder could not be looked for; "" = they were removed.
    :param named: what became of the files that it names, if it was published until now; None = it was not.
    :param partly: why some of its files may be left; "" = none are.
    """

    verdict: Verdict
    objects: int = 0
    total_bytes: int = 0
    others: int = 0
    unfinished: str = ""
    named: Named | None = None
    partly: str = ""


async def remove(
    store: Store, layout: DatasetLayout, run: str, judge: Judge, uploads: Callable[[], Awaitable[str]]
) -> Removal:
    """Remove one dataset, if it may go.

    :param run: name of the run: a later try of a run takes over the mark of the earlier one.
    :param judge: decides again, after the mark is written: only then nothing can come in between.
    :param uploads: removes its unfinished uploads, and says why some may be left; "" = none are.
    :raises TransientStorageError: the store fails for now, or another try has taken over. The next try goes on.
    """
    mark = await _Mark.make(store, layout, run)
    now = await mark.time()
    others_marks = await mark.others()
    # `is_marked` means that an earlier removal of this dataset was interrupted. `read_dataset` also counts the mark
    # that was written just now. So the value is set again here: only marks of earlier tries and of other runs count.
    found = replace(await read_dataset(store, layout), is_marked=mark.existed or bool(others_marks))
    if not all(_is_stale(info, now) for info in others_marks):
        await mark.drop()
        return Removal(Verdict(found, False, "kept: another run removes it", True))
    verdict = judge(found, await latest(store, layout.dataset_type), now)
    if not verdict.goes:
        if not (mark.existed and may_be_cut_off(verdict)):
            await mark.drop()
        return Removal(verdict)
    removed, size, others, named = 0, 0, 0, Named()

    async def delete(paths: Sequence[str]) -> None:
        for start in range(0, len(paths), BATCH):
            await mark.check()
            await store.delete(paths[start : start + BATCH])

    listings = (layout.files, layout.names)
    for turn in range(ROUNDS):
        own, others = await _content(store, layout)
        if turn and not (own := await _there(store, own)):
            break
        # In each round, the manifest is deleted first and alone, so that it never names deleted files. In the first
        # round, this is done also if it is not listed: a listing may leave objects out. A later round may find a
        # manifest again: a landing task of an older release of this package ignores removal marks, and may write it.
        if not turn or any(info.path == layout.manifest for info in own):
            await delete([layout.manifest])
        await delete([info.path for info in own if info.path not in (layout.manifest, *listings)])
        if not turn:
            listed = {info.path: info.size for info in own}
            named = _counted(await remove_named(store, layout, listed, delete), verdict.found, layout, listed)
        # files.ndjson goes last: if this removal is cut off, the next one reads there which files are left.
        await delete(listings)
        removed += len(own)
        size += sum(info.size for info in own)
    else:
        raise TransientStorageError(f"{store.uri}/{layout.prefix} is not empty yet. The next try goes on.")
    partly, found = _partly(named, verdict), verdict.found
    try:
        left = await uploads()
    except TransientStorageError as error:
        # The store cannot remove the unfinished uploads for now. Usually, the error is raised. Then the mark stays, and
        # the next try removes the uploads. But if files of the dataset may be left, only this try can report them: it
        # has read the manifest, which is deleted now. So it raises no error, and the removal ends with a report.
        if not found.is_published or (not partly and named.files >= found.files):
            raise
        left = f"removed, but parts of its files may be left in unfinished uploads: {error}"
    await mark.drop(stale_too=True)
    log.info(
        "Removed %s (%s): %s objects, %s bytes.%s",
        f"{store.uri}/{layout.prefix}",
        verdict.why,
        f"{removed:,}",
        f"{size:,}",
        f" {others} object(s) in its folder are not ours, and stay." if others else "",
    )
    return Removal(verdict, removed, size, others, left, named if found.is_published else None, partly)


def _counted(named: Named, found: Found, layout: DatasetLayout, listed: Mapping[str, int]) -> Named:
    """The same, but where not all files are named, with those that were listed, if they are more."""
    sizes = [size for path, size in listed.items() if path.startswith(f"{layout.data_prefix}/") and path[-1] != "/"]
    if named.named < found.files and named.files < len(sizes):
        return replace(named, files=min(len(sizes), found.files), total_bytes=sum(sizes))
    return named


def _partly(named: Named, verdict: Verdict) -> str:
    """Why some of the files of a removed dataset may be left; "" = none are."""
    found = verdict.found
    if named.stay:
        return f"removed but for {named.stay:,} of its files: they are behind a link, or cannot be listed, and stay"
    if found.is_published and named.named < found.files and named.files < found.files:
        return (
            f"removed in part: its manifest counts {found.files:,} files, and {named.files:,} were found and removed; "
            "files.ndjson does not name all of them, so others may be left"
        )
    return ""


def may_be_cut_off(verdict: Verdict) -> bool:
    """Whether a marked dataset is kept only because it could not be judged: an earlier removal may have begun it.

    Then the mark stays. Without it, nobody would go on with that removal.
    """
    return verdict.is_problem and not verdict.found.is_published


async def drop_stale_marks(store: Store, layout: DatasetLayout, now: float) -> None:
    """Remove marks that killed runs have left at a dataset that is not removed."""
    marks = [info async for batch in store.list(layout.removal_prefix) for info in batch]
    await store.delete([info.path for info in marks if _is_stale(info, now)])


async def _content(store: Store, layout: DatasetLayout) -> tuple[Sequence[ObjectInfo], int]:
    """The objects that this package has written, without marks, and how many other objects there are."""
    own: list[ObjectInfo] = []
    others = 0
    async for batch in store.list(layout.prefix):
        for info in batch:
            if not layout.is_own(info.path) or leads_elsewhere(store, info.path):
                others += 1
            elif not info.path.startswith(f"{layout.removal_prefix}/"):
                own.append(info)
    return own, others


async def _there(store: Store, listed: Sequence[ObjectInfo]) -> list[ObjectInfo]:
    """Those of the listed objects that are there: a listing may still have what was deleted a moment ago.

    A folder marker counts as there, because `head` takes no path of a marker.
    """
    there: list[ObjectInfo] = []
    for start in range(0, len(listed), AT_ONCE):
        some = listed[start : start + AT_ONCE]
        heads = await asyncio.gather(*(store.head(info.path) for info in some if not info.marks_folder))
        found = {info.path for info in heads if info is not None}
        there += [info for info in some if info.marks_folder or info.path in found]
    return there


class _Mark:
    """The mark of one try of a run at a dataset."""

    def __init__(self, store: Store, layout: DatasetLayout, run: str) -> None:
        self.existed = False  # whether an earlier try of the same run has left this mark
        self._store = store
        self._layout = layout
        self._path = f"{layout.removal_prefix}/{run}"
        self._content = uuid4().hex.encode()
        self._renewed = time.monotonic()

    @classmethod
    async def make(cls, store: Store, layout: DatasetLayout, run: str) -> _Mark:
        mark = cls(store, layout, run)
        mark.existed = await store.head(mark._path) is not None
        await store.put(mark._path, mark._content)
        return mark

    async def time(self) -> float:
        """The time by the store's clock; by this machine's clock, if the store tells none."""
        info = await self._store.head(self._path)
        return time.time() if info is None or info.modified is None else info.modified

    async def others(self) -> list[ObjectInfo]:
        """The marks of other runs."""
        marks = [info async for batch in self._store.list(self._layout.removal_prefix) for info in batch]
        return [info for info in marks if info.path != self._path and not info.marks_folder]

    async def check(self) -> None:
        """Make sure that no later try has taken over, and keep the mark fresh.

        :raises TransientStorageError: a later try has taken over.
        """
        if await self._store.get(self._path) != self._content:
            raise TransientStorageError(
                f"Another try removes {self._store.uri}/{self._layout.prefix}, so this one has stopped."
            )
        if time.monotonic() - self._renewed > RENEW_SECONDS:
            self._renewed = time.monotonic()
            await self._store.put(self._path, self._content)

    async def drop(self, *, stale_too: bool = False) -> None:
        """Remove the mark; with `stale_too`, those of killed runs, too."""
        if stale_too:
            await drop_stale_marks(self._store, self._layout, await self.time())
        if await self._store.get(self._path) == self._content:
            await self._store.delete([self._path])


def _is_stale(info: ObjectInfo, now: float) -> bool:
    """Whether the run of a mark was killed. It counts as alive if the store does not tell the time of the mark."""
    return info.modified is not None and now - info.modified > STALE_SECONDS
