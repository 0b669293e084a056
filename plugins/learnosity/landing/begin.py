"""Begins a landing: makes the plan, unless the dataset is already published."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import LAND_AGAIN, read_manifest
from learnosity.dataset.removal_marks import give_way
from learnosity.errors import RequestError
from learnosity.landing.announce import withdraw
from learnosity.landing.listing import ResultSet
from learnosity.landing.plan import Shard, make_plan
from learnosity.storage.store import Store
from learnosity.storage.write_check import check_inside

log = logging.getLogger(__name__)


async def begin_landing(
    store: Store,
    layout: DatasetLayout,
    results: ResultSet,
    *,
    work: str,
    include: Sequence[str] = ("*",),
    shards: int = 1,
    overwrite: bool = False,
) -> tuple[Shard, ...]:
    """Plan the landing of a dataset.

    :param work: folder for the plan and for the notes of landed files.
    :param include: globs over the files' paths; `*` also matches `/`.
    :param shards: how many tasks share the work.
    :param overwrite: land a published dataset again. Its manifest is removed only after the new plan is made.
    :returns: one entry per shard; no entry if a published dataset is not landed again.
    :raises RequestError: the dataset is published with the files of another `include`.
    :raises StorageError: a link leads out of the destination (`check_inside`). Nothing is written.
    """
    published = None if overwrite else await read_manifest(store, layout)
    if published is not None:
        if published.include is not None and set(published.include) != set(include):
            raise RequestError(
                f"Dataset {layout.dataset_id} is published with include {list(published.include)!r}, which left out "
                f"{published.left_out or 0:,} result file(s). This run has include {list(include)!r}. "
                f"Use the same include. {LAND_AGAIN}"
            )
        log.info("Published already at %s; nothing is landed again (overwrite is false).", published.published_at)
        return ()
    await asyncio.to_thread(check_inside, store, layout.data_prefix)
    plan = await make_plan(store, layout, results, work=work, include=include, shards=shards)
    # If another task is removing this dataset at this moment, `give_way` deletes the new plan and raises an error. A
    # removal that begins later sees the plan and stops.
    await give_way(store, layout, [info.path async for batch in store.list(work) for info in batch])
    if overwrite:
        await withdraw(store, layout)
    return plan
