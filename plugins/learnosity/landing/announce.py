"""Announces a dataset to its consumers in latest.json, and withdraws it: latest.json first, then the manifest."""

from __future__ import annotations

import logging

from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import Manifest, decode_manifest
from learnosity.errors import IncompleteDatasetError, StorageError, TransientStorageError
from learnosity.landing.written import NotKeptError
from learnosity.storage.store import Store

log = logging.getLogger(__name__)

# Maximum number of attempts to write latest.json. An attempt fails if another run writes latest.json at the same time.
ATTEMPTS = 5


async def withdraw(store: Store, layout: DatasetLayout) -> None:
    """Remove latest.json and the manifest of a published dataset, before any of its files is replaced or removed.

    latest.json is removed first, and only if it names this dataset. Then the manifest is removed. So no reader treats a
    mixture of old and new files as a complete dataset.
    """
    if (latest := await _latest(store, layout)) is not None and latest.dataset_id == layout.dataset_id:
        await store.delete([layout.latest])
    if await store.head(layout.manifest) is not None:
        log.info("The manifest is removed: readers see no dataset until it is published again.")
        await store.delete([layout.manifest])


async def write_latest(store: Store, layout: DatasetLayout) -> None:
    """Copy the manifest to latest.json, unless latest.json names a newer dataset of the same type.

    The newer dataset has the later manifest by the store's clock, because the clocks of workers may be wrong. At each
    attempt the manifest is read anew, and once more after it: another run may publish the same dataset in this moment.

    :raises TransientStorageError: other runs write it all the time, the store has not kept it, or the manifest is gone.
    :raises StorageError: a folder is in its place.
    :raises IncompleteDatasetError: the manifest cannot be read.
    """
    for _ in range(ATTEMPTS):
        there = await store.head(layout.latest)
        before = await store.get(layout.latest)
        content = await store.get(layout.manifest)
        if content is None:
            raise await _is_gone(store, layout)
        manifest = decode_manifest(content, where=f"{store.uri}/{layout.manifest}")
        latest = _readable(store, layout, before)
        if latest is not None and await _is_newer(store, latest, manifest, layout):
            log.info("latest.json names the newer dataset %s. It is not changed.", latest.dataset_id)
            return
        if await store.replace(layout.latest, content, there):
            await _check_kept(store, layout, content, before)
            if (now := await store.get(layout.manifest)) == content:
                return
            if now is None:
                raise await _is_gone(store, layout, content)
    if store.is_local and layout.latest.rpartition("/")[2] in await store.folders(layout.dataset_type):
        raise StorageError(f"{store.uri}/{layout.latest} is a folder, so it cannot be written. Remove the folder.")
    raise TransientStorageError(f"{store.uri}/{layout.latest} was changed by other runs at every attempt to write it.")


async def _is_gone(store: Store, layout: DatasetLayout, written: bytes | None = None) -> TransientStorageError:
    """The error about a manifest that is gone again: another run may land the dataset anew.

    :param written: what this run has written to latest.json. It is removed: it names a dataset without a manifest.
    """
    if written is not None and await store.get(layout.latest) == written:
        await store.delete([layout.latest])
    return TransientStorageError(
        f"{store.uri}/{layout.manifest} is gone again, so latest.json does not name it. Another run may land this "
        "dataset anew."
    )


async def _check_kept(store: Store, layout: DatasetLayout, written: bytes, before: bytes | None) -> None:
    """Check that latest.json is what was written, or what another run has written since.

    :param before: latest.json before it was written.
    :raises NotKeptError: it is neither.
    """
    content = await store.get(layout.latest)
    if content == written:
        return
    found = _readable(store, layout, content)
    if content == before or found is None or found == _readable(store, layout, written):
        raise NotKeptError(store, layout.latest)


async def _latest(store: Store, layout: DatasetLayout) -> Manifest | None:
    """The manifest in latest.json; None when latest.json does not exist or cannot be read."""
    return _readable(store, layout, await store.get(layout.latest))


def _readable(store: Store, layout: DatasetLayout, content: bytes | None) -> Manifest | None:
    if content is None:
        return None
    try:
        return decode_manifest(content, where=f"{store.uri}/{layout.latest}")
    except IncompleteDatasetError:
        log.warning("%s/%s is no readable manifest, and is replaced.", store.uri, layout.latest)
        return None


async def _is_newer(store: Store, latest: Manifest, manifest: Manifest, layout: DatasetLayout) -> bool:
    if latest.dataset_id == manifest.dataset_id:
        return False
    theirs = await store.head(DatasetLayout(layout.dataset_type, latest.dataset_id).manifest)
    ours = await store.head(layout.manifest)
    if theirs is None:
        return False
    if theirs.modified is None or ours is None or ours.modified is None or theirs.modified == ours.modified:
        return latest.published_at > manifest.published_at
    return theirs.modified > ours.modified
