"""Compares objects with what was written there: size and entity tag, and where these prove nothing, the bytes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable

from learnosity.errors import StorageError, TransientStorageError
from learnosity.landing.ledger import Landed, is_same
from learnosity.storage.store import Store


async def check_written(store: Store, written: Iterable[Landed]) -> None:
    """Check that objects that were written are in the store: a proxy may say so, and have stored nothing.

    :raises TransientStorageError: one is not. Another run may have written or removed it since.
    """
    for entry in written:
        info = await store.head(entry.path)
        # Without an entity tag, an older object of the same size would count as the new one. So it is read.
        if info and info.etag and entry.etag and is_same(info, entry):
            continue
        try:
            is_other = info is None or info.size != entry.bytes or await has_other_bytes(store, entry.path, entry)
        except StorageError:
            if await store.head(entry.path) is not None:
                raise
            is_other = True  # another run has removed it in this moment
        if is_other:
            raise not_kept(store, entry.path)


def not_kept(store: Store, path: str) -> TransientStorageError:
    """The error about an object that is not what was written."""
    return TransientStorageError(
        f"{store.uri}/{path} is not what was just written there, although the store's reply was a success. "
        "If no other run has changed it since, the store, or a proxy before it, does not keep what it accepts."
    )


async def has_other_bytes(store: Store, path: str, entry: Landed) -> bool:
    """Whether an object has other bytes than were written.

    On a file system, writing the same bytes again changes the entity tag. So a different tag proves nothing, and the
    object is read and hashed.
    """
    return await asyncio.to_thread(_digest, store, path) != entry.sha256


def _digest(store: Store, path: str) -> str:
    digest = hashlib.sha256()
    for chunk in store.read(path):
        digest.update(chunk)
    return digest.hexdigest()
