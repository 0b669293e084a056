"""Publishing: prove that everything planned has landed, then write the manifest, last of all.

Until the manifest stands there, the dataset does not exist for a consumer; from then on it is complete.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import (
    FileEntry,
    Manifest,
    RunInfo,
    decode_files,
    decode_manifest,
    encode_files,
    encode_manifest,
    sha256_hex,
)
from learnosity.errors import IncompleteDatasetError, StorageError
from learnosity.landing.land import is_same
from learnosity.landing.ledger import Landed, read_ledger
from learnosity.landing.plan import read_manifest, read_plan
from learnosity.storage.store import ObjectInfo, Store

log = logging.getLogger(__name__)

_SHOWN = 5
VERIFY_CONCURRENCY = 16


async def publish(
    store: Store,
    layout: DatasetLayout,
    *,
    work: str,
    shards: int,
    job_reference: str,
    request: dict[str, Any],
    run: RunInfo,
) -> Manifest:
    """Check every planned file against its note and against the store, then publish.

    Safe to repeat: a dataset that is published already is checked and left as it is.

    :param work: folder of this run's notes; removed at the end.
    :param shards: how many plans there are; 0 when the dataset was published before.
    :param request: the SET request, without security.
    :raises IncompleteDatasetError: when a file is missing or not what was landed; nothing is published.
    """
    published = await read_manifest(store, layout)
    if published is not None:
        await verify_published(store, layout, published)
        log.info("Published since %s, and whole: nothing to do.", published.published_at)
        await _write_latest(store, layout, published)
        await _tidy(store, layout, work)
        return published
    if not shards:
        raise IncompleteDatasetError(
            "The dataset was published when this run planned its landing, but its manifest is gone. Clear list_files "
            "with its downstream tasks to land it again."
        )
    entries = await _collect(store, work, shards)
    await _check_stored(store, layout, entries)
    files = [FileEntry(entry.path, entry.bytes, entry.sha256, entry.content_type) for entry in entries]
    listing = b"".join(encode_files(files))
    await store.put(layout.files, listing, "application/x-ndjson")
    manifest = Manifest(
        dataset_id=layout.dataset_id,
        dataset_type=layout.dataset_type,
        job_reference=job_reference,
        request=request,
        file_count=len(files),
        total_bytes=sum(file.bytes for file in files),
        files_sha256=sha256_hex(listing),
        published_at=datetime.now(UTC).isoformat(timespec="seconds"),
        run=run,
    )
    await store.put(layout.manifest, encode_manifest(manifest), "application/json")
    await _write_latest(store, layout, manifest)
    await _tidy(store, layout, work)
    return manifest


async def verify_published(store: Store, layout: DatasetLayout, manifest: Manifest) -> None:
    """Check a published dataset: files.ndjson against the manifest, every object's size against files.ndjson.

    :raises IncompleteDatasetError: naming what is missing.
    """
    content = await store.get(layout.files)
    if content is None or sha256_hex(content) != manifest.files_sha256:
        raise IncompleteDatasetError(
            f"{store.uri}/{layout.files} is missing or was changed after publishing. Run again with overwrite = true."
        )
    there = await _stored(store, layout)
    wrong = [
        file.path for file in decode_files(content) if (info := there.get(file.path)) is None or info.size != file.bytes
    ]
    if wrong:
        raise IncompleteDatasetError(
            f"{len(wrong)} published file(s) are missing or changed, such as {_some(wrong)}. Run again with "
            "overwrite = true."
        )


async def _tidy(store: Store, layout: DatasetLayout, work: str) -> None:
    """Remove the run's notes, and what killed workers left of files that have landed since."""
    await remove_work(store, work)
    try:
        found = await store.discard_unfinished(layout.prefix)
    except StorageError as error:
        # The dataset is published and whole: what is left costs room, and the bucket's lifecycle rule removes it.
        log.warning("%s Allow it (docs/security.md), or let the bucket's lifecycle rule remove them.", error)
    else:
        if found:
            log.info("Removed %d unfinished write(s) of workers that were killed.", found)


async def remove_work(store: Store, work: str) -> None:
    """Remove a run's notes."""
    async for batch in store.list(work):
        await store.delete([info.path for info in batch])


async def _collect(store: Store, work: str, shards: int) -> list[Landed]:
    """Notes of every planned file, sorted by path."""
    entries: list[Landed] = []
    missing: list[str] = []
    for shard in range(shards):
        planned = await read_plan(store, work, shard)
        noted = await read_ledger(store, work, shard)
        for file in planned:
            if (entry := noted.get(file.path)) is None:
                missing.append(file.path)
            else:
                entries.append(entry)
    if missing:
        raise IncompleteDatasetError(
            f"{len(missing)} planned file(s) have not landed, such as {_some(missing)}. Clear land_files to land the "
            "rest; nothing was published."
        )
    return sorted(entries, key=lambda entry: entry.path)


async def _check_stored(store: Store, layout: DatasetLayout, entries: Sequence[Landed]) -> None:
    """Hold the notes against what the store says now; where size fits but the tag does not, read and hash."""
    there = await _stored(store, layout)
    doubtful = [entry for entry in entries if not is_same(there.get(entry.path), entry)]
    gate = asyncio.Semaphore(VERIFY_CONCURRENCY)

    async def is_wrong(entry: Landed) -> bool:
        info = there.get(entry.path)
        if info is None or info.size != entry.bytes:
            return True
        # Another run may have landed the same bytes since: on file systems that changes the tag.
        async with gate:
            return await asyncio.to_thread(_digest, store, layout.data(entry.path)) != entry.sha256

    verdicts = await asyncio.gather(*(is_wrong(entry) for entry in doubtful))
    wrong = [entry.path for entry, bad in zip(doubtful, verdicts, strict=True) if bad]
    if wrong:
        raise IncompleteDatasetError(
            f"{len(wrong)} file(s) in the store are not what was landed, such as {_some(wrong)}. Clear land_files to "
            "land them again; nothing was published."
        )


async def _stored(store: Store, layout: DatasetLayout) -> dict[str, ObjectInfo]:
    prefix = f"{layout.data_prefix}/"
    found: dict[str, ObjectInfo] = {}
    async for batch in store.list(layout.data_prefix):
        found.update((info.path.removeprefix(prefix), info) for info in batch)
    return found


async def _write_latest(store: Store, layout: DatasetLayout, manifest: Manifest) -> None:
    """Copy the manifest to latest.json, unless a newer dataset of the type is there."""
    content = await store.get(layout.latest)
    if content is not None:
        try:
            latest = decode_manifest(content, where=layout.latest)
        except IncompleteDatasetError as error:
            log.warning("%s It is replaced.", error)
        else:
            if latest.published_at > manifest.published_at:
                return
    await store.put(layout.latest, encode_manifest(manifest), "application/json")


def _digest(store: Store, path: str) -> str:
    digest = hashlib.sha256()
    for chunk in store.read(path):
        digest.update(chunk)
    return digest.hexdigest()


def _some(paths: Sequence[str]) -> str:
    return ", ".join(ascii(path) for path in paths[:_SHOWN])
