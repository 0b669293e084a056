"""Compares objects with what was written there: size and entity tag, and where these prove nothing, the bytes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable

from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import Manifest
from learnosity.errors import StorageError, TransientStorageError
from learnosity.landing.ledger import Landed, is_same
from learnosity.storage.store import Store


class NotKeptError(TransientStorageError):
    """An object is not what was just written there. Another run may have written or removed it since."""

    def __init__(self, store: Store, path: str) -> None:
        super().__init__(
            f"{store.uri}/{path} is not what was just written there, although the store's reply was a success. "
            "If no other run has changed it since, the store, or a proxy before it, does not keep what it accepts."
        )


async def check_written(store: Store, written: Iterable[Landed]) -> None:
    """Check that objects that were written are in the store: a proxy may say so, and have stored nothing.

    :raises NotKeptError: one is not.
    """
    for entry in written:
        info = await store.head(entry.path)
        # If an entity tag is missing, `is_same` compares only the sizes, so an older object of the same size would
        # count as the new one. In this case, the next lines read the whole object and compare its digest.
        if info and info.etag and entry.etag and is_same(info, entry):
            continue
        if info is None or info.size != entry.bytes or await digest_of(store, entry.path) != entry.sha256:
            raise NotKeptError(store, entry.path)


async def is_whole(store: Store, layout: DatasetLayout, manifest: Manifest) -> bool:
    """Whether files.ndjson and names.tsv belong to a manifest. If runs publish at once, they may be of another one."""
    if await digest_of(store, layout.files) != manifest.files_sha256:
        return False
    return manifest.names is None or await digest_of(store, layout.names) == manifest.names.sha256


async def has_other_bytes(store: Store, path: str, entry: Landed) -> bool:
    """Whether an object has other bytes than were written.

    On a file system, writing the same bytes again changes the entity tag. So a different tag proves nothing, and the
    object is read and hashed.
    """
    return await asyncio.to_thread(_digest, store, path) != entry.sha256


async def digest_of(store: Store, path: str) -> str | None:
    """The SHA-256 of an object; None = there is none.

    :raises StorageError: it cannot be read.
    """
    if await store.head(path) is None:
        return None
    try:
        return await asyncio.to_thread(_digest, store, path)
    except StorageError:
        if await store.head(path) is None:
            return None
    # Another run may have removed it, and have written it again, between these calls. Then it can be read now.
    return await asyncio.to_thread(_digest, store, path)


def _digest(store: Store, path: str) -> str:
    digest = hashlib.sha256()
    for chunk in store.read(path):
        digest.update(chunk)
    return digest.hexdigest()
