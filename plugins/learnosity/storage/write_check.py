"""Checks that a destination takes everything that landing does there, before a job is started for it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from learnosity.errors import LearnosityError, StorageError, TransientStorageError
from learnosity.storage.store import Store

log = logging.getLogger(__name__)
T = TypeVar("T")
_FILE = "file://"
CONTENT = b"Learnosity datasets land here. This object can be deleted."


async def check_writable(store: Store, owner: str, attempt: int = 1, *, below: str = "") -> None:
    """Write, list, read and delete small objects below a folder of their own, in at most ten requests.

    What an earlier check of the same owner has left there is deleted, too: a worker may have been killed during it, or
    the reply to a write may have been lost. The objects of a later attempt stay: a worker that Airflow has given up may
    still be at work beside it.

    :param owner: what the check is for, such as the ids of a task. All attempts of one task give the same text.
    :param attempt: number of the attempt, from 1.
    :param below: folder in which the datasets are to land; "" = not known.
    :raises StorageError: the store refuses something that landing needs, and the message names the missing right. Or
        `below` leads out of the destination.
    :raises TransientStorageError: the store cannot be reached for now.
    """
    await asyncio.to_thread(check_inside, store, below)
    folder = check_folder(owner)
    own = f"{folder}/{attempt:06}-{uuid4().hex[:12]}"
    after = f"{folder}/{attempt + 1:06}"
    whole, parts, conditional = (f"{own}/{name}" for name in ("object", "in-parts", "conditional"))
    written: list[str] = []
    found: set[str] = set()
    try:
        await _need("write objects", "no file can land", store.put(whole, CONTENT))
        written.append(whole)
        await _need("write objects in parts", "no large file can land", store.put_stream(parts, _once(), None))
        written.append(parts)
        is_written = await _need(
            "write objects on a condition", "latest.json cannot be written", store.replace(conditional, CONTENT, None)
        )
        written.append(conditional)
        found = await _need("list objects", "a landing cannot tell what has landed", _names(store, folder))
        # The conditional write above is allowed only if the object is not there yet. If the reply to it is lost, the
        # HTTP client sends it again, and the store refuses this second write: the first one has made the object. So a
        # refusal is a fault of the store only if the listing does not have the object.
        if not is_written and conditional not in found:
            raise StorageError(
                f"{store.uri} refuses to write an object that is not there, as if it were. So latest.json cannot be "
                "written on a condition. Check the bucket's policies, and that it is a store of the connection's kind."
            )
        content = await _need("read objects", "files cannot be compared with their plan", store.get(whole))
        if content != CONTENT or not found >= set(written):
            raise StorageError(
                f"{store.uri} does not give back at once what was written there. Landing needs a store that does."
            )
    except BaseException:
        # An error of this delete is suppressed, because the error of the check is more useful to the user.
        with suppress(LearnosityError):
            await store.delete(sorted({*written, *(path for path in found if path < after)}))
        raise
    await _need(
        f"delete objects, so that {store.uri}/{folder} remains",
        "a landing cannot remove its notes or replace a dataset",
        store.delete(sorted(path for path in found if path < after)),
    )
    try:
        await store.discard_unfinished(folder)
    except (StorageError, TransientStorageError) as error:
        # Landing also works without the right to remove unfinished uploads. But then the uploads of killed workers
        # stay, and their storage costs money.
        log.warning("%s Landing works without this right. Let a lifecycle rule remove unfinished uploads.", error)


def check_inside(store: Store, folder: str) -> None:
    """Check that a folder of a file system lies in the destination, before anything is written into it.

    :raises StorageError: a link leads out of the destination. Each reader of this package refuses such a dataset.
    """
    if not store.uri.startswith(_FILE):
        return
    root = os.path.realpath(store.uri.removeprefix(_FILE))
    if not Path(os.path.realpath(f"{root}/{folder}")).is_relative_to(root):
        raise StorageError(
            f"{store.uri}/{folder} is a link that leads out of the destination, or is below one, so nothing is written "
            "there. Name the folder that it leads to as the destination, or put a folder in its place."
        )


def check_folder(owner: str) -> str:
    """The folder for all checks of an owner. Its name tells nothing about the owner."""
    return f".learnosity-probe-{sha256(owner.encode()).hexdigest()[:12]}"


async def _need(what: str, otherwise: str, work: Awaitable[T]) -> T:
    """The result of `work`. A refusal says what the store's user may not do, and why that matters."""
    try:
        return await work
    except StorageError as error:
        raise StorageError(f"{error} It was not possible to {what}: {otherwise}.") from None


async def _names(store: Store, folder: str) -> set[str]:
    return {info.path async for batch in store.list(folder) for info in batch}


async def _once() -> AsyncIterator[bytes]:
    yield CONTENT
