"""Reads what a store has of each dataset, for the rules of retention. Nothing is written here."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence

from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import Manifest, decode_manifest
from learnosity.errors import IncompleteDatasetError, RequestError, StorageError
from learnosity.retention.decide import Found, Latest
from learnosity.storage.store import ObjectInfo, Store

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
_FILE = "file://"
AT_ONCE = 16  # maximum number of datasets that are read at the same time
# In the folder of a dataset type, only a folder whose name is a UUID is a dataset. This package has not made the other
# folders, so it does not remove them.
_ID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


async def datasets(store: Store, dataset_type: str) -> list[Found]:
    """All datasets of one type, published or not.

    :raises TransientStorageError: the store fails for now, so it is not known what is there.
    """
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(dataset_id: str) -> Found:
        async with gate:
            return await read_dataset(store, DatasetLayout(dataset_type, dataset_id))

    ids = [name for name in await store.folders(dataset_type) if _ID.fullmatch(name)]
    return list(await asyncio.gather(*map(one, ids)))


async def types(store: Store) -> Sequence[str]:
    """Names of the dataset types that have a folder."""
    found = []
    for name in await store.folders(""):
        try:
            found.append(DatasetLayout(name, "any").dataset_type)
        except RequestError:
            continue  # the name of this folder cannot be a dataset type
    return sorted(found)


async def read_dataset(store: Store, layout: DatasetLayout) -> Found:
    """Read what the store has of one dataset: manifest, notes, marks and files.

    :raises TransientStorageError: the store fails for now.
    """
    try:
        if leads_elsewhere(store, layout.manifest):
            raise StorageError(f"{store.uri}/{layout.prefix} is a link, or is below one, so nothing is removed there.")
        head = await store.head(layout.manifest)
        manifest = None if head is None else await _manifest(store, layout)
        notes = await _objects(store, layout.landing_prefix)
        marks = await _objects(store, layout.removal_prefix)
        if manifest is not None and head is not None:
            return Found(
                layout.dataset_id,
                is_published=True,
                published=head.modified,
                has_notes=bool(notes),
                noted=_newest(notes),
                touched=head.modified,
                is_marked=bool(marks),
                files=manifest.file_count,
                total_bytes=manifest.total_bytes,
                published_at=manifest.published_at,
            )
        everything = [
            info
            for info in await _objects(store, layout.prefix)
            if layout.is_own(info.path)
            and not info.path.startswith(f"{layout.removal_prefix}/")
            # Retention never removes a file behind a symbolic link. If the file counted here, the dataset would never
            # be empty, and each run of retention would report again that it has removed the dataset.
            and not leads_elsewhere(store, info.path)
        ]
        if any(info.path == layout.manifest for info in everything):
            if await store.head(layout.manifest) is not None:
                return Found(layout.dataset_id, problem="it has been published in this moment")
            # The listing still has a manifest that is deleted. So its other entries may be deleted, too, and nothing
            # can be decided from them now.
            begun = "its removal has begun, and " if marks else ""
            return Found(layout.dataset_id, problem=f"{begun}the store lists its manifest, but does not have it")
        if not (everything or marks) and await store.head(layout.files) is not None:
            return Found(layout.dataset_id, problem="the store lists nothing of it, but has its files.ndjson")
    except (StorageError, IncompleteDatasetError) as error:
        return Found(layout.dataset_id, problem=str(error))
    return Found(
        layout.dataset_id,
        has_notes=bool(notes),
        noted=_newest(notes),
        touched=_newest(everything),
        is_marked=bool(marks),
        files=len(everything),
        total_bytes=sum(info.size for info in everything),
    )


async def latest(store: Store, dataset_type: str) -> Latest:
    """Read `latest.json` of a dataset type."""
    path = DatasetLayout(dataset_type, "any").latest
    try:
        content = await store.get(path, limit=MAX_MANIFEST_BYTES)
        return Latest() if content is None else Latest(decode_manifest(content, where=f"{store.uri}/{path}").dataset_id)
    except (StorageError, IncompleteDatasetError) as error:
        return Latest(problem=str(error))


def leads_elsewhere(store: Store, path: str) -> bool:
    """Whether the folder of a local file is reached by a symbolic link below the destination.

    Such a file is outside of the destination, so it must stay. A link itself may be removed.
    """
    folder = local_path(store, path.rpartition("/")[0])
    return folder is not None and os.path.realpath(folder) != folder


def local_path(store: Store, path: str) -> str | None:
    """The absolute path of a file or folder of a local folder; None = the store is none."""
    if not store.uri.startswith(_FILE):
        return None
    root = os.path.realpath(store.uri.removeprefix(_FILE))
    return os.path.normpath(f"{root}/{path}")


async def _manifest(store: Store, layout: DatasetLayout) -> Manifest | None:
    content = await store.get(layout.manifest, limit=MAX_MANIFEST_BYTES)
    if content is None:
        return None
    where = f"{store.uri}/{layout.manifest}"
    manifest = decode_manifest(content, where=where)
    if (manifest.dataset_type, manifest.dataset_id.lower()) != (layout.dataset_type, layout.dataset_id.lower()):
        raise IncompleteDatasetError(f"{where} is the manifest of another dataset.")
    return manifest


async def _objects(store: Store, prefix: str) -> list[ObjectInfo]:
    """The objects in a folder. A folder marker is no note, no mark and no file."""
    return [info async for batch in store.list(prefix) for info in batch if not info.marks_folder]


def _newest(objects: Sequence[ObjectInfo]) -> float | None:
    """The time of the newest object; None when the time of one of them is not known."""
    times = [info.modified for info in objects]
    known = [each for each in times if each is not None]
    return max(known) if known and len(known) == len(times) else None
