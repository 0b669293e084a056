"""Finds the input files: a file, a folder or a glob on any object storage."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import PurePosixPath

from learnosity.errors import FolderNotFoundError, InputError, StorageError
from learnosity.inputs.formats import may_be_input
from learnosity.inputs.ignored_files import is_hidden, is_marker
from learnosity.inputs.lake_tables import first_table_with, table_folder
from learnosity.inputs.spool import InputFile
from learnosity.storage.object_names import NOWHERE, local_problem, unreadable
from learnosity.storage.store import ObjectInfo, Store
from learnosity.storage.uris import parse_uri, split_glob

log = logging.getLogger(__name__)
_WILDCARD = re.compile(r"[*?]")
# Paths that cannot be read, such as a broken link, may be passed over. The log names at most this many of them, and
# counts the others.
_MOST_TOLD = 10
_CHECK = "Check input_uri: it names a file, a folder or a glob."
_MEND = "Mend it, remove it, or begin its name with _, so that it is passed over"

OpenStore = Callable[[str], Store]


async def find_input(uri: str, open_store: OpenStore) -> list[InputFile]:
    """The files that `uri` names, sorted by path. Nothing is written.

    Files and folders that begin with `.` or `_` are passed over, unless the same part of the glob begins like that too.
    So are files that tools write beside their data (see `ignored_files`), unless the glob ends like them.

    :param open_store: opens the store at a URI for reading; called in a thread.
    :raises InputError: there is no file; or a file has a name that cannot be read, or belongs to a table with a log.
    :raises StorageError: the store refuses to list the files.
    """
    try:
        return await _find(uri, open_store)
    except FolderNotFoundError as error:
        raise InputError(f"No input found at {parse_uri(uri).text}. {error} {_CHECK}") from None


def input_identity(files: Sequence[InputFile]) -> str:
    """Digests of the files' names and versions, for `RequestIdentity.input`.

    Of local files there are two, with a dash between them. Earlier releases had only the first one, in which a copy of
    a file, or the same file on another machine, may be another one.
    """
    first = _digest(f"{file.name} {file.version}" for file in files)
    if not any(file.lasting for file in files):
        return first
    return f"{first}-{_digest(f'{file.name} {file.lasting or file.version}' for file in files)}"


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode(errors="surrogatepass")).hexdigest()[:32]


async def _find(uri: str, open_store: OpenStore) -> list[InputFile]:
    prefix, pattern = split_glob(uri)
    if pattern:
        return await _listed(prefix, pattern, open_store)
    try:
        if (file := await _file_of_this_name(prefix, uri, open_store)) is not None:
            return [file]
    except StorageError as error:
        if not error.denied:
            raise
        # For example, the credentials may have rights only for the folder `users/`. Then the store refuses to say
        # whether there is a file `users`. So after this refusal, the folder is listed all the same.
        try:
            return await _listed(prefix, pattern, open_store, error)
        except StorageError as listed:
            # `error` comes from a HEAD request, whose reply has no text. So wrong credentials or a wrong clock look
            # like missing rights there. The reply to the listing has a text. If `listed` has any other cause than
            # missing rights, it is raised, because it says more. Otherwise, the first error is raised.
            raise error if listed.denied else listed from None
    return await _listed(prefix, pattern, open_store)


async def _listed(
    prefix: str, pattern: str, open_store: OpenStore, refusal: StorageError | None = None
) -> list[InputFile]:
    """The files below a prefix that match a glob; see `find_input`.

    :param refusal: why it is not known whether there is a file of the prefix's own name; None = it is known.
    """
    store = await asyncio.to_thread(open_store, prefix)
    matching: dict[str, ObjectInfo] = {}
    tables: dict[str, str] = {}
    folder = ""  # a folder that the glob matches; if the glob matches no file, the error names this folder
    globs = _globs(pattern)
    # A pattern with brackets, but without `*` and `?`, may be a glob or the name of a file: for example `a[1].csv`. If
    # the listing has a file with this name, `named` is that file. A HEAD request could not find this out reliably: if
    # the credentials have few rights, a store may answer 403 for a missing file.
    name, named = pattern if pattern and not _WILDCARD.search(pattern) else None, None
    async for batch in store.list_keys():
        named = next((info for info in batch if info.path == name), named)
        # Matching many long paths takes long, so it runs in a thread and does not block the event loop.
        matching |= await asyncio.to_thread(_wanted, batch, globs, tables)
        if not matching and not folder:
            folder = await asyncio.to_thread(_folder_like, batch, globs)
    found = [info for _, info in sorted(matching.items())]
    endings = {PurePosixPath(info.path).suffix.lower() for info in found if not info.problem}
    odd = {
        info.path: info for info in found if info.problem and not _is_asked_for(info.path.split("/"), globs, endings)
    }
    # `odd` are paths that cannot be read and need not be input, such as a broken link beside CSV files. They are passed
    # over if any other file is found. Otherwise they stay in `found`, and the loop below raises an error.
    if len(odd) < len(found):
        found = [info for info in found if info.path not in odd]
        _tell_passed_over(list(odd.values()), store.uri)
    for info in [*found, named] if named else found:
        if reason := info.problem or unreadable(info.path, local=store.uri.startswith("file://")):
            raise _cannot_read(f"{store.uri}/{info.path}", reason, _MEND if info.problem else "Rename it")
    if table := first_table_with((info.path for info in found), tables):
        folder, kind = table
        raise InputError(
            f"{f'{store.uri}/{folder}'.rstrip('/')} is a table of {kind}. Its files also hold rows that were deleted "
            "or replaced, and only its log says which rows count; nothing was sent. Export the table's current rows to "
            "a folder of plain files, and name that folder."
        )
    where = f"{store.uri}/{pattern}".rstrip("/")
    if named is not None:
        if any(info.path != named.path for info in found):
            raise InputError(
                f"{where} names a file, and as a glob it names others, too; nothing was sent. Write [[] for a "
                "bracket of the file's name."
            )
        return [_input_file(store, named)]
    if not found:
        if refusal is not None:
            raise refusal
        bracket = " In a glob, [ begins a set of letters: write [[] for a bracket of a name." if "[" in pattern else ""
        if folder:
            bracket = f" It matches a folder, such as {folder!a}, and no file: add /** for all files below."
        raise InputError(f"No input found at {where}. {_CHECK}{bracket}")
    return [_input_file(store, info) for info in found]


async def _file_of_this_name(path: str, uri: str, open_store: OpenStore) -> InputFile | None:
    """The file at a URI that is read without wildcards; None = there is none."""
    parent, _, name = path.rstrip("/").rpartition("/")
    if name and "://" in parent + "/" and not parent.endswith(":/") and uri[-1:] != "/":
        store = await asyncio.to_thread(open_store, f"{parent}/")
        where = parse_uri(path)
        # For a pipe, `store.head` would never return: obstore opens it, and waits for somebody to write to it. So
        # `local_problem` comes first. It recognises a pipe without opening it.
        if where.scheme == "file" and (problem := await asyncio.to_thread(local_problem, where.key)):
            raise _cannot_read(where.text, problem, _MEND)
        if (info := await store.head(name)) is not None:
            return _input_file(store, info)
    return None


def _cannot_read(uri: str, reason: str, advice: str) -> InputError:
    return InputError(
        f"{uri!a} cannot be read: {reason}. {advice}, or name the other files with a glob; nothing was sent."
    )


def _input_file(store: Store, info: ObjectInfo) -> InputFile:
    version = f"{info.size} {info.etag or info.modified}"
    lasting = ""
    if info.etag and store.uri.startswith("file://"):
        # `lasting` has to stay the same if the file is copied with its time, or read on another machine. The tag of a
        # local file is `<inode number>-<time>-<size>`. A copy has another inode number, and so may the same file of a
        # mounted bucket on another machine. So the inode number is left out.
        lasting = f"{info.size} {info.etag.partition('-')[2]}"
    return InputFile(f"{store.uri}/{info.path}", partial(store.read, info.path), version, info.path, lasting)


def _globs(pattern: str) -> list[str]:
    """The parts of a glob, as in a shell: `*` matches within one folder, `**` matches any number of folders.

    The glob "" matches every file. Several `**` that follow each other match what one of them matches.
    """
    parts = pattern.split("/") if pattern else ["**"]
    return [part for part, before in zip(parts, ["", *parts], strict=False) if not part == before == "**"]


def _wanted(batch: Sequence[ObjectInfo], globs: Sequence[str], tables: dict[str, str]) -> dict[str, ObjectInfo]:
    """The objects of a listing that are input, by path.

    :param tables: the folders of tables with a log are added, each with its kind.
    """
    tables.update(filter(None, (table_folder(info.path) for info in batch)))
    return {info.path: info for info in batch if _is_wanted(info, globs)}


def _folder_like(batch: Sequence[ObjectInfo], globs: Sequence[str]) -> str:
    """The first folder of a listing that a glob matches; "" = there is none."""
    folders = (info.path.split("/")[: len(globs)] for info in batch if info.path.count("/") >= len(globs))
    return next(("/".join(parts) for parts in folders if _matches(parts, globs)), "")


def _is_wanted(info: ObjectInfo, globs: Sequence[str]) -> bool:
    # The web console of a cloud makes an empty object such as `users/` for an empty folder. This object is not an input
    # file.
    if not info.path or (info.size == 0 and info.path.endswith("/")):
        return False
    parts = info.path.split("/")
    if is_marker(parts[-1]) and not is_marker(globs[-1]):
        return False
    # A symbolic link may lead to nothing, for example because its target is a folder with input that is not mounted
    # now. So such a link is taken even if the glob does not match it, but could match a file in that folder. Then the
    # missing input does not go unnoticed: `_listed` refuses the link, or passes over it with a warning.
    return _matches(parts, globs) or (info.problem == NOWHERE and _matches(parts, globs, below=True))


def _is_asked_for(parts: Sequence[str], globs: Sequence[str], endings: Collection[str]) -> bool:
    """Whether a path that cannot be read has to be input: its name says so, or the glob does.

    `*` and `**` say nothing of the name. For a folder, only `**` says nothing: `*/users.csv` asks for each folder.

    :param endings: the endings of the files that can be read, such as `.csv`, or "" for `part-00000`.
    """
    named = (
        globs[-1] not in ("*", "**") or may_be_input(parts[-1]) or PurePosixPath(parts[-1]).suffix.lower() in endings
    )
    as_file = named and _matches(parts, globs)
    return as_file or any(globs[end - 1] != "**" and _matches(parts, globs[:end]) for end in range(1, len(globs)))


def _tell_passed_over(odd: Sequence[ObjectInfo], uri: str) -> None:
    for info in odd[:_MOST_TOLD]:
        log.warning(
            "%s is passed over: %s. Its name is not like those of the input. If it leads to a file or a folder with "
            "input, this input is not whole.",
            ascii(f"{uri}/{info.path}"),
            info.problem,
        )
    if len(odd) > _MOST_TOLD:
        log.warning("%s more such paths are passed over.", len(odd) - _MOST_TOLD)


def _matches(parts: Sequence[str], globs: Sequence[str], *, below: bool = False) -> bool:
    """Whether a glob matches a path.

    :param below: whether it may match something in a folder of this path.
    """
    # A position in `globs` is in `places` if the globs before it match the parts of the path so far. With `**`, there
    # may be several such positions. All are followed at once: to try one after the other would take exponential time
    # for a glob with several `**`.
    places = _with_nothing({0}, globs)
    for part in parts:
        after: set[int] = set()
        for place in places - {len(globs)}:
            glob = globs[place]
            if is_hidden(part) and not is_hidden(glob):
                continue
            if glob == "**":
                after.add(place)
            elif fnmatchcase(part, glob):
                after.add(place + 1)
        places = _with_nothing(after, globs)
    return bool(places - {len(globs)}) if below else len(globs) in places


def _with_nothing(places: set[int], globs: Sequence[str]) -> set[int]:
    """Add the place after each `**`, because `**` may also match no folder."""
    reached = set(places)
    for place in range(len(globs)):
        if place in reached and globs[place] == "**":
            reached.add(place + 1)
    return reached
