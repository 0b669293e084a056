"""Finding the input: a file, a folder or a glob on any object storage, as sources for `inputs`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import partial

from learnosity.errors import InputError
from learnosity.inputs import MAX_FILES, InputFile
from learnosity.store_connections import open_store, split_glob
from learnosity.stores import Store


async def find_input(uri: str) -> list[InputFile]:
    """The files that `uri` names, sorted by path; names that begin with `.` or `_` are passed over in folders.

    :raises InputError: when there is none, or more than the 100 files that Learnosity takes.
    :raises StorageError: when the store refuses.
    """
    prefix, pattern = split_glob(uri)
    if not pattern:
        parent, _, name = prefix.rstrip("/").rpartition("/")
        if name and "://" in parent + "/" and not parent.endswith(":/") and uri[-1:] != "/":
            store = await asyncio.to_thread(open_store, f"{parent}/")
            if await store.head(name) is not None:
                return [_source(store, name)]
    store = await asyncio.to_thread(open_store, prefix)
    paths: list[str] = []
    async for batch in store.list(""):
        for info in batch:
            path = info.path
            hidden = any(part.startswith((".", "_")) for part in path.split("/"))
            if not hidden and _matches(path, pattern):
                paths.append(path)
    where = f"{store.uri}/{pattern}".rstrip("/")
    if not paths:
        raise InputError(f"No input found at {where}. Check input_uri: it names a file, a folder or a glob.")
    if len(paths) > MAX_FILES:
        raise InputError(
            f"{where} holds {len(paths):,} files; Learnosity takes at most {MAX_FILES} input files. Join them, or name "
            "fewer with a glob; nothing was sent."
        )
    return [_source(store, path) for path in sorted(paths)]


def _source(store: Store, path: str) -> InputFile:
    def chunks() -> Iterator[bytes]:
        return store.read(path)

    return InputFile(f"{store.uri}/{path}", partial(chunks))


def _matches(path: str, pattern: str) -> bool:
    """Whether a path below the fixed prefix fits the glob; a `*` stays within one folder, as in a shell."""
    if not pattern:
        return True
    parts, globs = path.split("/"), pattern.split("/")
    if "**" in globs:
        return fnmatchcase(path, pattern.replace("**/", "*"))
    return len(parts) == len(globs) and all(fnmatchcase(part, glob) for part, glob in zip(parts, globs, strict=True))
