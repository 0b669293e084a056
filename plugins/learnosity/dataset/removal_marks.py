"""Keeps landing and removing of the same dataset apart, in whichever order their requests arrive.

Each side writes first, and looks for the other one after that: a landing task writes a note and then looks for marks,
a removal writes a mark and then looks for notes. Object stores show a write to everybody as soon as it is done. So of
two that meet, at least one sees the other and gives way, before it has changed anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import TransientStorageError
from learnosity.storage.store import Store

_CLAIM = "claim-"


def is_claim(path: str, task: str) -> bool:
    """Whether a path below the notes of any landing is the claim of this task."""
    return path.rpartition("/")[2] == f"{_CLAIM}{task}"


async def claim_landing(store: Store, layout: DatasetLayout, work: str, task: str) -> None:
    """Note that a task lands or publishes the dataset now, before it relies on anything that is stored.

    :param work: folder of the notes of this landing. The claim is beside it, and is removed with the notes of the run.
    :param task: name of the task: no two tasks that run at the same time have the same claim.
    :raises TransientStorageError: the dataset is being removed. The next try of the task may find that it is gone.
    """
    claim = f"{work.rpartition('/')[0]}/{_CLAIM}{task}"
    await store.put(claim, b"")
    await give_way(store, layout, [claim])


async def give_way(store: Store, layout: DatasetLayout, notes: Sequence[str]) -> None:
    """Stop if the dataset is being removed.

    :param notes: what this task has written to be seen. It is removed then, or else the removal could not go on.
    :raises TransientStorageError: the dataset is being removed.
    """
    async for batch in store.list(layout.removal_prefix):
        for info in batch:
            if info.marks_folder:
                continue
            await store.delete(notes)
            raise TransientStorageError(
                f"{store.uri}/{layout.prefix} is being removed, so it cannot be landed now. If this goes on, let the "
                f"DAG learnosity_retention run once with this dataset id, so that the removal ends ({info.path})."
            )
