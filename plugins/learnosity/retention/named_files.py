"""Removes the files that `files.ndjson` names and the listing leaves out: the index of a store may lag behind."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from learnosity.dataset.file_names import safe_path
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import FileEntry, decode_files
from learnosity.errors import IncompleteDatasetError, StorageError, UnsafeNameError
from learnosity.retention.inventory import local_path
from learnosity.storage.store import Store

log = logging.getLogger(__name__)

# Each line that landing writes into files.ndjson is shorter. A longer line is not from landing, so reading ends there.
MAX_LINE_BYTES = 1024 * 1024


@dataclass(slots=True)
class Named:
    """What became of the files that files.ndjson names.

    :param named: how many there are, as far as files.ndjson can be read.
    :param files: how many of them were removed, with those that the listing had.
    :param total_bytes: their size.
    :param unlisted: how many of them the listing did not have. Of these, nobody knows whether they were there.
    :param stay: how many are in a folder, local or of a driver, that does not list them, for example behind a link.
    """

    named: int = 0
    files: int = 0
    total_bytes: int = 0
    unlisted: int = 0
    stay: int = 0


async def remove_named(
    store: Store, layout: DatasetLayout, listed: Mapping[str, int], delete: Callable[[Sequence[str]], Awaitable[None]]
) -> Named:
    """Remove what files.ndjson names and the listing did not have. It may name very many files: it is read in pieces.

    :param listed: paths of what the listing had, which is removed already.
    :param delete: removes one batch.
    :raises TransientStorageError: the store fails for now.
    """
    done, before = Named(), ""
    async for entries in _pieces(store, layout):
        missing: list[str] = []
        for entry in entries:
            if entry.path == before:
                continue  # the line before has the same path: the file is counted once
            before = entry.path
            try:
                path = layout.data(safe_path(entry.path))
            except UnsafeNameError:
                continue  # landing has not written it, and its path may lead to an object of somebody else
            done.named += 1
            if path not in listed:
                if (local := local_path(store, path)) is not None:
                    # `listed` has each file that may be removed from a local folder. A file that exists and is not in
                    # `listed` is behind a link or cannot be listed. So it is not removed, only counted in `stay`.
                    done.stay += await asyncio.to_thread(os.path.lexists, local)
                    continue
                if store.is_local:
                    # The store is a file server that fsspec reads. Its listing leaves out no file of the destination. A
                    # file that exists and is not listed may be behind a link, and so outside. So it is not removed.
                    done.stay += await store.head(path) is not None
                    continue
                missing.append(path)
            done.files += 1
            done.total_bytes += entry.bytes
        if missing:
            await delete(missing)
            done.unlisted += len(missing)
    return done


async def _pieces(store: Store, layout: DatasetLayout) -> AsyncIterator[Sequence[FileEntry]]:
    """The entries of files.ndjson in pieces. It ends where files.ndjson cannot be read any further."""
    rest = b""
    try:
        if await store.head(layout.files) is None:
            return
        chunks = store.read(layout.files)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            whole, _, rest = (rest + chunk).rpartition(b"\n")
            yield decode_files(whole)
            if len(rest) > MAX_LINE_BYTES:
                raise IncompleteDatasetError(f"{store.uri}/{layout.files} has a line that no landing writes.")
    except (StorageError, IncompleteDatasetError) as error:
        log.warning("%s What it names and the store does not list cannot be removed.", error)
