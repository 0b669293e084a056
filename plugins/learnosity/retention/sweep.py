"""Applies rules, or a list of dataset ids, to destinations. A dry run only reports what would be removed.

If one dataset cannot be removed, the others still are. A transient error is raised at the end, after all was tried.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import LearnosityError, StorageError, TransientStorageError
from learnosity.retention.decide import Found, Latest, Verdict, by_id, by_rule
from learnosity.retention.inventory import datasets, latest, read_dataset, types
from learnosity.retention.remove import Judge, Removal, drop_stale_marks, may_be_cut_off, remove
from learnosity.retention.report import Entry, Report, shown
from learnosity.retention.rules import Rule
from learnosity.storage.store import Store

log = logging.getLogger(__name__)

# A run removes at most this many datasets, in all its tries together. The task state and the extra of the asset event
# list the removed datasets, and both must stay small. If the rules would remove more, a later run removes the rest. If
# a person has named more ids, those that are left are reported as problems.
MOST_DATASETS = 150
ALLOW = "Allow it (docs/security.md), or let the bucket's lifecycle rule remove them."


@dataclass(frozen=True, slots=True)
class Sweep:
    """One run.

    :param run: name of the run.
    :param dry_run: nothing is written or removed.
    :param begins: is called before a dataset is removed, so that it is known even if the worker is killed. It returns
        the entry for the report.
    :param done: is called after that; with False, if the removal was given up, because the dataset has to stay.
    """

    run: str
    dry_run: bool
    begins: Callable[[Entry], Awaitable[Entry]]
    done: Callable[[Entry, bool], Awaitable[None]]
    report: Report = field(default_factory=Report)
    earlier: Sequence[Entry] = ()
    """What earlier tries of this run have removed."""
    is_last: bool = False
    """Whether the run has no more tries."""
    connection: Callable[[Store], str] = lambda store: ""
    """The Airflow connection of a store; "" = none. Two stores with one URI can be two servers."""
    refusing: dict[tuple[str, str], StorageError | TransientStorageError] = field(default_factory=dict)
    """Stores (URI and connection) that could not remove unfinished uploads in this try, and why."""

    async def apply(self, store: Store, rule: Rule) -> None:
        """Apply one rule to one destination."""
        try:
            if rule.dataset_type not in await types(store):
                log.info("There is no dataset of the type %s at %s.", rule.dataset_type, store.uri)
                return
            now = time.time() if self.dry_run else await _time(store, rule.dataset_type)
            newest, found = await latest(store, rule.dataset_type), await datasets(store, rule.dataset_type)
        except LearnosityError as error:
            self._failed(store, rule.dataset_type, "", error)
            return
        if newest.problem:
            self._problem(store, rule.dataset_type, "", newest.problem)
        # A run removes at most `MOST_DATASETS` datasets. So the loop begins with the oldest published dataset, because
        # the oldest ones should go first. Datasets without a manifest, such as abandoned landings, come last.
        for verdict in reversed(by_rule(found, newest, rule, now)):
            layout = DatasetLayout(rule.dataset_type, verdict.found.dataset_id)
            if verdict.goes:
                await self._remove(store, layout, verdict, partial(_again, rule, found))
            else:
                self.report.kept += 1
                if verdict.is_problem and not newest.problem:
                    self._problem(store, layout.dataset_type, layout.dataset_id, verdict.why)
                await self._tidy(store, layout, verdict, now)

    async def named(self, stores: Sequence[Store], dataset_ids: Sequence[str]) -> None:
        """Remove the datasets with these ids, whatever their type, wherever they are.

        No later run knows the ids. So if they are too many for one run, those that are left are problems.

        :param dataset_ids: in lower case.
        """
        wanted = set(dataset_ids)
        missing = wanted - {each.dataset_id.lower() for each in self.earlier}
        where = ", ".join(shown(*self._place(store)) for store in stores)
        for store in stores:
            try:
                known = await types(store)
            except LearnosityError as error:
                self._failed(store, "", "", error)
                continue
            for dataset_type in known:
                try:
                    names = [name for name in await store.folders(dataset_type) if name.lower() in wanted]
                    for name in names:
                        if await self._named(store, DatasetLayout(dataset_type, name)):
                            missing.discard(name.lower())
                except LearnosityError as error:
                    self._failed(store, dataset_type, "", error)
        # After an error, a dataset that was not found may still exist. So missing ids are reported only if there was no
        # error.
        for dataset_id in sorted(missing) if not self.report.failed else ():
            why = "there is no dataset with this id; check the id and the destination"
            self.report.problems.append(Entry(where, "", dataset_id, why))

    async def _named(self, store: Store, layout: DatasetLayout) -> bool:
        """Remove one dataset that a person has named. False = it is not there."""
        found = await read_dataset(store, layout)
        if found.is_empty:
            return False
        verdict = by_id(found, await latest(store, layout.dataset_type), time.time())
        if not verdict.goes:
            self._problem(store, layout.dataset_type, layout.dataset_id, verdict.why)
            if found.is_marked and not self.dry_run and not may_be_cut_off(verdict):
                await drop_stale_marks(store, layout, await _time(store, layout.dataset_type))
        elif not (found.is_published or found.has_notes or found.is_marked):
            # The folder has no manifest, nothing that a landing saves for its next attempt, and no mark of an earlier
            # removal. So its files may belong to somebody else.
            why = "kept: it has neither a manifest nor notes of a landing; remove it by a rule for its type"
            self._problem(store, layout.dataset_type, layout.dataset_id, why)
        elif self._is_full():
            why = f"not removed: at most {MOST_DATASETS} datasets go in a run. Trigger another one with this id"
            self._problem(store, layout.dataset_type, layout.dataset_id, why)
        else:
            await self._remove(store, layout, verdict, by_id)
        return True

    async def _remove(self, store: Store, layout: DatasetLayout, verdict: Verdict, judge: Judge) -> None:
        if self._is_full():
            self.report.later += 1
            return
        entry = now = _entry(self._place(store), layout, verdict)
        if self.dry_run:
            self.report.goes.append(entry)
            return
        try:
            entry = await self.begins(now)
            removal = await remove(store, layout, self.run, judge, partial(self._left, store, layout))
        except LearnosityError as error:
            self._failed(store, layout.dataset_type, layout.dataset_id, error)
            return
        if removal.verdict.goes:
            for what in filter(None, (removal.unfinished, removal.partly)):
                self._problem(store, layout.dataset_type, layout.dataset_id, what)
            entry = _done(entry, removal)
            self.report.goes.append(entry)
            await self.done(entry, True)
            return
        self._problem(store, layout.dataset_type, layout.dataset_id, removal.verdict.why)
        # The dataset stays. So `done(…, False)` deletes the note that its removal has begun. In one case, the note is
        # needed: an earlier try has begun the removal (`entry` is from that try, so it differs from `now`), and the
        # dataset stays only because it cannot be judged (`may_be_cut_off`). Then a later try may go on with the
        # removal, and its report uses the note.
        if entry == now or not may_be_cut_off(removal.verdict):
            await self.done(entry, False)

    def _is_full(self) -> bool:
        return len(self.earlier) + len(self.report.goes) >= MOST_DATASETS

    async def _tidy(self, store: Store, layout: DatasetLayout, verdict: Verdict, now: float) -> None:
        """Remove unfinished uploads and stale marks, which killed tasks have left, from a dataset that stays."""
        found = verdict.found
        if self.dry_run:
            return
        try:
            if found.is_marked and not may_be_cut_off(verdict):
                await drop_stale_marks(store, layout, now)
            if found.is_published and not found.has_notes and self._place(store) not in self.refusing:
                await self._discard(store, layout)
        except LearnosityError as error:
            self._failed(store, layout.dataset_type, layout.dataset_id, error)

    async def _left(self, store: Store, layout: DatasetLayout) -> str:
        """Remove the unfinished uploads of a dataset that goes, and say why some may be left; "" = none are.

        A store that fails for now is not asked again in this try: each request would fail only after half a minute.
        The last try does not wait for it any more, because it may be a store that never answers this request.

        :raises TransientStorageError: the store fails for now. The next try goes on.
        """
        error: LearnosityError | None = self.refusing.get(self._place(store))
        try:
            if error is None or not error.transient:
                await store.discard_unfinished(layout.prefix, layout.is_own)
                return ""
        except TransientStorageError as failed:
            error = self.refusing[self._place(store)] = failed
        except StorageError as refused:
            error = refused
        if error.transient and not self.is_last:
            raise error
        return f"removed, but parts of its files may be left in unfinished uploads: {error} {ALLOW}"

    async def _discard(self, store: Store, layout: DatasetLayout) -> None:
        """Remove unfinished uploads.

        :raises TransientStorageError: the store fails for now. The next try goes on.
        """
        try:
            self.report.uploads += await store.discard_unfinished(layout.prefix, layout.is_own)
        except (StorageError, TransientStorageError) as error:
            # `_tidy` skips the stores in `refusing` for the rest of this try of the task: each request would fail in
            # the same way, and some only after half a minute.
            self.refusing[self._place(store)] = error
            if error.transient:
                raise
            log.warning("%s %s", error, ALLOW)

    def _failed(self, store: Store, dataset_type: str, dataset_id: str, error: LearnosityError) -> None:
        log.warning("%s", error)
        self.report.failed.append(error)
        self._problem(store, dataset_type, dataset_id, str(error))

    def _problem(self, store: Store, dataset_type: str, dataset_id: str, why: str) -> None:
        uri, connection = self._place(store)
        self.report.problems.append(Entry(uri, dataset_type, dataset_id, why, connection=connection))

    def _place(self, store: Store) -> tuple[str, str]:
        return store.uri, self.connection(store)


def _done(entry: Entry, removal: Removal) -> Entry:
    """The entry of a removed dataset with what was really removed, where that is not what its manifest says."""
    named, why = removal.named, entry.why
    if named is None:
        return entry
    if named.unlisted:
        why += f"; {named.unlisted:,} of its files were not listed, and were deleted by name"
    if named.files >= entry.files:
        return msgspec.structs.replace(entry, why=why)
    why += f"; its manifest counts {entry.files:,} files"
    return msgspec.structs.replace(entry, why=why, files=named.files, total_bytes=named.total_bytes)


def _again(rule: Rule, others: Sequence[Found], found: Found, newest: Latest, now: float) -> Verdict:
    """The verdict of a rule for one dataset, from what the store has of it now; the others as they were found."""
    datasets = [found, *(each for each in others if each.dataset_id != found.dataset_id)]
    verdicts = by_rule(datasets, newest, rule, now)
    own = [each for each in verdicts if each.found.dataset_id == found.dataset_id]
    return own[0] if own else Verdict(found, True, "gone already")


async def _time(store: Store, dataset_type: str) -> float:
    """The time by the store's clock: that of a small object, which is written and deleted again."""
    path = f"{dataset_type}/.learnosity-retention"
    await store.put(path, b"This object can be deleted.")
    info = await store.head(path)
    await store.delete([path])
    return time.time() if info is None or info.modified is None else info.modified


def _entry(place: tuple[str, str], layout: DatasetLayout, verdict: Verdict) -> Entry:
    found, (uri, connection) = verdict.found, place
    return Entry(
        uri,
        layout.dataset_type,
        layout.dataset_id,
        verdict.why,
        found.files,
        found.total_bytes,
        found.published_at,
        connection,
    )
