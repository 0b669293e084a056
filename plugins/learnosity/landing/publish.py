"""Publishes a dataset: checks that every planned file has landed, then writes the manifest as the last file.

A consumer looks for the manifest first. Without it the dataset does not exist; with it the dataset is complete.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

from msgspec.structs import replace

from learnosity.dataset.input_info import InputInfo
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import Manifest, RunInfo, encode_manifest, read_manifest, sha256_hex
from learnosity.dataset.published import some, stored, verify
from learnosity.dataset.removal_marks import claim_landing
from learnosity.errors import IncompleteDatasetError, StorageError, TransientStorageError
from learnosity.landing.announce import withdraw, write_latest
from learnosity.landing.files_ndjson import FilesList, file_entry
from learnosity.landing.landed_files import Finding, LandedFiles
from learnosity.landing.ledger import Landed
from learnosity.landing.names_tsv import make_names, put_names
from learnosity.landing.other_runs import check_is_still, is_enough, is_landed_by_others, published_instead
from learnosity.landing.plan import plan_blocks
from learnosity.landing.reconcile import COMPARED_FILES, check_published, reconciled
from learnosity.landing.written import NotKeptError, check_written, has_other_bytes, is_whole
from learnosity.storage.store import Store

log = logging.getLogger(__name__)

VERIFY_CONCURRENCY = 16  # maximum number of files that are read and hashed at the same time
DELETE_AT_ONCE = 10_000  # maximum number of paths in memory while files of an earlier landing are removed


async def publish(
    store: Store,
    layout: DatasetLayout,
    *,
    work: str,
    shards: int,
    job_reference: str,
    request: dict[str, Any],
    run: RunInfo,
    planned_on: str | None = None,
    sent: InputInfo | None = None,
    left_out: int = 0,
    include: Sequence[str] | None = None,
    require_complete: bool = False,
) -> Manifest:
    """Compare every planned file with its note and with the store, then publish.

    This call can be repeated safely: a whole dataset that this run has published is checked and not changed. If another
    run has published the dataset since this run made its plan, that is enough where it has all files of this run.
    Otherwise this run publishes what it landed, if it landed all files of the dataset.

    :param work: folder of the notes of this landing; removed at the end.
    :param shards: number of plans; 0 = the dataset was published before, so no plan was made.
    :param request: the SET request, without its security part.
    :param planned_on: host name of the worker that made the plans; None = unknown.
    :param sent: what was uploaded; None = not known, or nothing.
    :param left_out: how many result files were not landed, because `include` leaves them out.
    :param include: the globs that left them out; None = no file was left out.
    :param require_complete: publish only if all that was uploaded came back; default False.
    :raises IncompleteDatasetError: a file is missing, or it is not the file that was landed. Nothing is published. Or
        another run has published other files, and this run landed only a part of the dataset.
    :raises GapError: see `require_complete`. Nothing is published.
    """
    is_enough_here = partial(is_enough, store, layout, work=work, run=run, left_out=left_out)
    await claim_landing(store, layout, work, "publish")
    found = await read_manifest(store, layout)
    landed = None
    if shards and not (found is not None and found.run == run and await is_whole(store, layout, found)):
        try:
            landed = await _collect(store, work, shards, planned_on)
        except IncompleteDatasetError:
            # `_collect` also fails if an earlier attempt of this run, which was still running, has just published the
            # dataset and removed the notes. Then the manifest is of this run, and the missing notes are no error.
            found = await read_manifest(store, layout)
            if found is None or found.run != run:
                raise
    if found is not None and (landed is None or await is_enough_here(found, landed)):
        return await _keep(store, layout, work, found, require_complete)
    if landed is None:
        raise IncompleteDatasetError(
            "The dataset was published when this run planned its landing, but its manifest is gone. Clear list_files "
            "with its downstream tasks to land it again."
        )
    async for batch in stored(store, layout):
        landed.compare(batch)
    await _check_stored(store, layout, landed)
    with FilesList(landed.planned()) as listed:
        manifest = Manifest(
            dataset_id=layout.dataset_id,
            dataset_type=layout.dataset_type,
            job_reference=job_reference,
            request=request,
            file_count=listed.files,
            total_bytes=listed.total_bytes,
            files_sha256=listed.sha256,
            published_at=datetime.now(UTC).isoformat(timespec="seconds"),
            run=run,
            include=tuple(include) if include and left_out else None,
            left_out=left_out or None,
        )
        files = [file_entry(entry) for entry in landed.planned()] if listed.files <= COMPARED_FILES else None
        manifest = await reconciled(
            store, layout, manifest, files, sent=sent, left_out=left_out, require_complete=require_complete
        )
        names = await make_names(store, layout, files)
        manifest = replace(manifest, names=names[1] if names else None)
        # Another run may have published the dataset already. The lines above change nothing in it, so if one of them
        # fails, the dataset stays published. Only now, `_make_room` removes its manifest, because from here on, files
        # of the dataset are removed and replaced.
        while not await _make_room(store, layout, work, landed, found):
            found = await read_manifest(store, layout)
            if found is not None and await is_enough_here(found, landed):
                return await _keep(store, layout, work, found, require_complete)
        # Another run may write its names.tsv and files.ndjson at the same time. Each run writes names.tsv first. So if
        # the files.ndjson of this run is the last one, the other run has written its names.tsv even earlier. Then the
        # check below (`check_written`) comes late enough to see whether it has replaced the names.tsv of this run.
        index = await put_names(store, layout, names)
        written = [await listed.put(store, layout), *([index] if index else [])]
    await check_written(store, written)
    written.append(await _put_manifest(store, layout, manifest))
    try:
        # The written files are compared again: after the check above, and before this manifest was written, another run
        # may have replaced files.ndjson by its own. Then this manifest does not fit the files.ndjson in the store.
        await check_written(store, written)
    except NotKeptError:
        found = await published_instead(store, layout, manifest, written[-1])
        if found is None:
            raise
        return await _keep(store, layout, work, found, require_complete)
    await write_latest(store, layout)
    await _tidy(store, layout, work)
    return manifest


async def _put_manifest(store: Store, layout: DatasetLayout, manifest: Manifest) -> Landed:
    """Write the manifest. Returns what was written, with the entity tag of the store's reply."""
    content = encode_manifest(manifest)
    tag = await store.put(layout.manifest, content, "application/json")
    return Landed(layout.manifest, len(content), sha256_hex(content), "application/json", etag=tag)


async def _keep(
    store: Store, layout: DatasetLayout, work: str, published: Manifest, require_complete: bool
) -> Manifest:
    """Check what is published, and leave it as it is."""
    try:
        await verify(store, layout, published)
    except IncompleteDatasetError as error:
        await check_is_still(store, layout, published, error, work=work)
        raise
    if require_complete:
        check_published(published)
    log.info("Published already at %s, and complete: nothing to do.", published.published_at)
    await write_latest(store, layout)
    await _tidy(store, layout, work)
    return published


async def _tidy(store: Store, layout: DatasetLayout, work: str) -> None:
    """Remove the notes of all plans of the run, and unfinished writes of workers that were killed."""
    async for batch in store.list(work.rpartition("/")[0]):
        await store.delete([info.path for info in batch])
    try:
        found = await store.discard_unfinished(layout.prefix, layout.is_own)
    except (StorageError, TransientStorageError) as error:
        # The task does not fail, because the dataset is complete. The unfinished uploads that remain only cost money.
        allow = "Let" if error.transient else "Allow it (docs/security.md), or let"
        log.warning("%s %s the bucket's lifecycle rule remove them.", error, allow)
    else:
        if found:
            log.info("Removed %d unfinished write(s) of workers that were killed.", found)


async def _collect(store: Store, work: str, shards: int, planned_on: str | None) -> LandedFiles:
    """The notes of all planned files."""
    landed = LandedFiles()
    missing, shown = 0, list[str]()
    for shard in range(shards):
        await landed.read(store, work, shard)
        async for block in plan_blocks(store, work, shard, planned_on=planned_on):
            not_noted = landed.plan(block.files)
            missing += len(not_noted)
            shown = shown or not_noted
    if missing:
        raise IncompleteDatasetError(
            f"{missing} planned file(s) have not landed, such as {some(shown)}. Clear land_files to land the rest; "
            "nothing was published."
        )
    return landed


async def _make_room(
    store: Store, layout: DatasetLayout, work: str, landed: LandedFiles, found: Manifest | None
) -> bool:
    """Withdraw what another run has published, then remove files of an earlier landing that are not in this one.

    No file is removed while another run lands the same dataset, because that run may have written these files.

    :param found: the manifest that this run has decided to replace; None = there was none.
    :returns: False, and nothing is changed, if another run has published meanwhile.
    """
    others = landed.others()
    paths = list(islice(others, DELETE_AT_ONCE))
    if paths and await is_landed_by_others(store, layout, work):
        log.warning("Another run lands this dataset too. Files that are not listed are kept, such as %s.", some(paths))
        paths = []
    # The manifest is read only after `is_landed_by_others` has looked for the notes of other runs. This order is
    # important: each run writes its manifest before it removes its notes. So if another run ends in between, its notes
    # were found above, or its manifest is found here.
    if await read_manifest(store, layout) != found:
        return False
    if found is not None:
        await withdraw(store, layout)
    while paths:
        log.info("Removing %d file(s) of an earlier landing that are not listed any more.", len(paths))
        await store.delete([layout.data(path) for path in paths])
        paths = list(islice(others, DELETE_AT_ONCE))
    return True


async def _check_stored(store: Store, layout: DatasetLayout, landed: LandedFiles) -> None:
    """Check the objects in the store. One with the right size but another entity tag is read and hashed."""

    async def is_other(entry: Landed) -> bool:
        return await has_other_bytes(store, layout.data(entry.path), entry)

    wrong, shown = 0, list[str]()
    for finding in (Finding.MISSING, Finding.OTHER_SIZE, Finding.OTHER_TAG):
        entries = landed.planned(finding)
        while batch := list(islice(entries, VERIFY_CONCURRENCY)):
            if finding is Finding.OTHER_TAG:
                verdicts = await asyncio.gather(*map(is_other, batch))
                batch = [entry for entry, is_wrong in zip(batch, verdicts, strict=True) if is_wrong]
            wrong += len(batch)
            shown += [entry.path for entry in batch if len(shown) < VERIFY_CONCURRENCY]
    if wrong:
        raise IncompleteDatasetError(
            f"{wrong} file(s) in the store are not what was landed, such as {some(shown)}. Clear land_files to land "
            "them again; nothing was published."
        )
