"""Checks that a destination can be written to, before a job is started for it."""

from __future__ import annotations

from uuid import uuid4

from learnosity.storage.store import Store


async def check_writable(store: Store) -> None:
    """Write an empty marker object and remove it.

    :raises StorageError: the store refuses.
    :raises TransientStorageError: the store cannot be reached for now.
    """
    marker = f".learnosity-probe-{uuid4().hex[:12]}"
    await store.put(marker, b"")
    await store.delete([marker])
