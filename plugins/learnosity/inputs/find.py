"""Finding the input: a file, a folder or a glob on any object storage, as sources for `inputs`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial

from learnosity.connections import FolderNotFoundError, open_store
from learnosity.errors import InputError
from learnosity.inputs.spool import MAX_FILES, InputFile
from learnosity.storage.store import Store
from learnosity.storage.uris import parse_uri, split_glob

_CHECK = "Check input_uri: it names a file, a folder or a glob."


async def find_input(uri: str) -> list[InputFile]:
    """The files that `uri` names, sorted by path. Nothing is made or written.

    Names that begin with `.` or `_` are passed over, unless the glob itself begins so at that place.

    :raises InputError: when there is none, or more than the 100 files that Learnosity takes.
    :raises StorageError: when the store refuses.
    """
    try:
        return await _find(uri)
    except FolderNotFoundError as error:
        raise InputError(f"No input found at {parse_uri(uri).text}: {error} {_CHECK}") from None


async def _find(uri: str) -> list[InputFile]:
    prefix, pattern = split_glob(uri)
    if not pattern:
        parent, _, name = prefix.rstrip("/").rpartition("/")
        if name and "://" in parent + "/" and not parent.endswith(":/") and uri[-1:] != "/":
            store = await asyncio.to_thread(open_store, f"{parent}/", must_exist=True)
            if await store.head(name) is not None:
                return [_source(store, name)]
    store = await asyncio.to_thread(open_store, prefix, must_exist=True)
    paths: list[str] = []
    async for batch in store.list(""):
        for info in batch:
            # An empty object is how consoles keep an empty "folder".
            if info.path and not (info.size == 0 and info.path.endswith("/")) and _wanted(info.path, pattern):
                paths.append(info.path)
    where = f"{store.uri}/{pattern}".rstrip("/")
    if not paths:
        raise InputError(f"No input found at {where}. {_CHECK}")
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


def _wanted(path: str, pattern: str) -> bool:
    """Whether a path below the fixed prefix fits the glob ("" = all of the folder), as in a shell.

    A `*` stays within one folder, `**` stands for any number of them.
    """
    return _matches(path.split("/"), pattern.split("/") if pattern else ["**"])


def _matches(parts: Sequence[str], globs: Sequence[str]) -> bool:
    if not globs:
        return not parts
    if globs[0] == "**":
        here = _matches(parts, globs[1:])
        return here or (bool(parts) and not _is_hidden(parts[0]) and _matches(parts[1:], globs))
    if not parts or not fnmatchcase(parts[0], globs[0]):
        return False
    return (_is_hidden(globs[0]) or not _is_hidden(parts[0])) and _matches(parts[1:], globs[1:])


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))
