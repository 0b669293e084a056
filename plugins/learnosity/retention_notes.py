"""The notes of a run of `learnosity_retention`, in Airflow's task state store: which datasets it has removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

import msgspec

from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import LearnosityError, RequestError, StorageError
from learnosity.retention.inventory import read_dataset
from learnosity.retention.report import Entry
from learnosity.storage.store import Store
from learnosity.storage.uris import parse_uri
from learnosity.task_state import StateStore, patiently

KEY = "learnosity_retention"
# Maximum number of removals in the list `begun`, because the task state must stay small. A removal is taken out of the
# list when its dataset is gone, or when the removal is given up, because the dataset has to stay after all. So the list
# keeps removals that failed or were killed. If there are more than this, the oldest are dropped from the list.
MOST_BEGUN = 150


class Notes:
    """The datasets that this run has removed. They are kept in the task's state, so that no killed try loses them.

    :param store: `context["task_state_store"]`.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self.removed: list[Entry] = []
        self.begun: list[Entry] = []

    async def load(self) -> None:
        """Read what earlier tries have noted."""
        found = await patiently(self._store.get, KEY) or {}
        self.removed = msgspec.convert(found.get("removed", []), list[Entry])
        # Early versions of this module stored a single removal as `begun`, and no list. Such a value can still be read.
        begun = msgspec.convert(found.get("begun"), Entry | list[Entry] | None)
        self.begun = [begun] if isinstance(begun, Entry) else begun or []

    async def settle(self, entry: Entry, stores: Sequence[Store]) -> None:
        """Count as removed what an earlier try has begun to remove, if nothing of it is there.

        :param stores: where it may be; none = it is not known. They are several only if its connection is not known.
        :raises TransientStorageError: a store fails for now.
        """
        layout = DatasetLayout(entry.dataset_type, entry.dataset_id)
        for store in stores:
            if not (await read_dataset(store, layout)).is_empty:
                return
        if stores:
            await self.done(entry)

    async def begin(self, entry: Entry) -> Entry:
        """Note that a removal begins, and return the entry that counts: it tells of the dataset when it was whole."""
        earlier = [each for each in self.begun if _is_same(each, entry)]
        # A removal deletes the manifest first. If `entry.published_at` is set, the manifest is still there, so `entry`
        # describes the whole dataset. Else an earlier try may have removed a part of the dataset, and `entry` describes
        # only the rest. Then the entry that the earlier try noted counts.
        counts = entry
        if earlier and not entry.published_at:
            counts = msgspec.structs.replace(earlier[0], connection=entry.connection)
        self.begun = [*(each for each in self.begun if not _is_same(each, entry)), counts][-MOST_BEGUN:]
        await self._save()
        return counts

    async def done(self, entry: Entry, is_removed: bool = True) -> None:
        """Note that a dataset is removed, or that its removal is given up.

        A removal that is given up must not stay in the list: somebody else may remove the dataset before the next try,
        and `settle` would then count it as removed by this run.
        """
        self.begun = [each for each in self.begun if not _is_same(each, entry)]
        if is_removed:
            self.removed.append(entry)
        await self._save()

    def add_figures(self, problems: list[Entry]) -> None:
        """Add to the problem of each dataset whose removal is not known to have ended what was begun to be removed.

        The run that ends such a removal finds only the rest, and does not know how large the dataset was.
        """
        for place, problem in enumerate(problems):
            for entry in self.begun:
                if _is_same(entry, problem):
                    figures = f"this run has begun to remove its {entry.files:,} files, {entry.total_bytes:,} bytes"
                    problems[place] = msgspec.structs.replace(problem, why=f"{problem.why} ({figures})")

    async def _save(self) -> None:
        await patiently(self._store.set, KEY, msgspec.to_builtins({"begun": self.begun, "removed": self.removed}))


def is_at(entry: Entry, uri: str, connection: str | None) -> bool:
    """Whether an entry may be about a dataset at a place. Early versions did not note the connection."""
    return entry.destination_uri == uri and (connection is None or entry.connection in (None, connection))


def may_be_at(entry: Entry, closed: Iterable[str | LearnosityError]) -> bool:
    """Whether an entry that does not tell its connection may be about one of the destinations that are not open.

    :param closed: their URIs, or why a URI is not known. `RequestError` = there is no such destination.
    """
    if entry.connection is not None:
        return False
    for uri in closed:
        if not isinstance(uri, str):
            if not isinstance(uri, RequestError):
                return True
            continue
        # A URI that is not valid is skipped: no earlier try can have removed anything there.
        with suppress(StorageError):
            if parse_uri(uri).text == entry.destination_uri:
                return True
    return False


def _is_same(one: Entry, other: Entry) -> bool:
    """Whether two entries may be about the same dataset at the same place."""
    same_id = (one.dataset_type, one.dataset_id) == (other.dataset_type, other.dataset_id)
    return same_id and is_at(one, other.destination_uri, other.connection)
