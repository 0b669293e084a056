"""Compares an object with what was written there: its size and entity tag, and if these differ, its bytes."""

from __future__ import annotations

import asyncio
import hashlib

from learnosity.errors import StorageError, TransientStorageError
from learnosity.landing.ledger import Landed, is_same
from learnosity.storage.store import Store


async def check_written(store: Store, written: Landed) -> None:
    """Check that an object that was just written is in the store: a proxy may say so, and have stored nothing.

    :raises TransientStorageError: it is not. Another run may have written or removed it since.
    """
    info = await store.head(written.path)
    if is_same(info, written):
        return
    try:
        is_other = info is None or info.size != written.bytes or await has_other_bytes(store, written.path, written)
    except StorageError:
        if await store.head(written.path) is not None:
            raise
        is_other = True  # another run has removed it in this moment
    if is_other:
        raise TransientStorageError(
            f"{store.uri}/{written.path} is not what was just written there, although the store's reply was a success. "
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
