"""Names that a store cannot open, and the listing of a local folder that has them.

obstore can open no object whose name has an empty part (`a//b`) or a control character, and in a local folder it passes
over files such as `users#1`. People put such objects into folders with input. So input is listed under its own names,
and the caller decides what a name means.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from learnosity.errors import UnreadableNameError
from learnosity.storage.store import ObjectInfo

Keys = Callable[[], Iterator[Sequence[ObjectInfo]]]
"""Makes a blocking listing, in batches and in any order."""

# obstore cannot open a local file or folder whose name ends with `#` and a number, such as `a#1`, or with a letter and
# `:` or `|`, such as `C:`. obstore uses names like `a#1` for its temporary files, and takes `C:` and `C|` for drives of
# Windows.
LOCAL_RESERVED = re.compile(r"#[0-9]+$|[A-Za-z][:|]$")
# The `problem` of a symbolic link whose target does not exist, or that leads back to itself. `inputs.find` recognises
# such a link by this text. It refuses the input or logs a warning, because the target may be a folder with input that
# is not mounted now.
NOWHERE = "it is a link that leads nowhere"
_LEADS_NOWHERE = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG)  # errors of such a link's target
_NO_FILE = "it is a pipe, a socket or a device, and no file"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def unreadable(path: str, *, local: bool = False) -> str | None:
    """Why obstore cannot open an object of this name; None = it can.

    :param local: whether it is a file.
    """
    if not path.isprintable() and _CONTROL.search(path):
        return "its name holds a control character"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not valid Unicode"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return "its name holds an empty, '.' or '..' part"
        if local and LOCAL_RESERVED.search(part):
            return "a name that ends as '#1' or 'C:' do cannot be read from a local folder"
    return None


def openable(info: ObjectInfo, uri: str) -> ObjectInfo:
    """An object that can be opened by its path, or a folder marker, which nobody opens.

    :param uri: what is listed, for the message.
    :raises UnreadableNameError: the store cannot open it.
    """
    # Only this check ignores the slash at the end of a folder marker. The returned path has the slash: without it, the
    # path would name another object, and a delete would remove the wrong one.
    path = info.path.rstrip("/") if info.marks_folder and not info.size else info.path
    if reason := unreadable(path):
        raise UnreadableNameError(f"Could not list {uri}: {info.path!a} is there, and {reason}.")
    return info


def local_keys(root: str) -> Keys:
    """The listing of a local folder. Links are followed, as obstore does. What is no file comes with its `problem`."""

    def listed() -> Iterator[Sequence[ObjectInfo]]:
        waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
        while waiting:
            folder, above = waiting.pop()
            batch: list[ObjectInfo] = []
            with suppress(FileNotFoundError):  # somebody has removed the folder in the meantime
                where = Path(root, folder)
                status = where.stat()
                if (own := (status.st_dev, status.st_ino)) in above:
                    continue  # a symbolic link to a parent folder is skipped: with it, the listing would never end
                with os.scandir(where) as entries:
                    for entry in entries:
                        path = f"{folder}/{entry.name}" if folder else entry.name
                        if _is_folder(entry):
                            waiting.append((path, above | {own}))
                        else:
                            with suppress(FileNotFoundError):
                                batch.append(_entry(path, entry))
            yield batch

    return listed


def local_problem(path: str) -> str | None:
    """Why a path is neither a file nor a folder, as the listing says it; None = it is one, or nothing is there."""
    try:
        kind = stat.S_IFMT(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return None
    return None if kind in (stat.S_IFREG, stat.S_IFDIR) else _NO_FILE


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno in _LEADS_NOWHERE:
            return False
        raise


def _entry(path: str, entry: os.DirEntry[str]) -> ObjectInfo:
    """What is in a folder and is no folder.

    :raises FileNotFoundError: somebody has removed it in the meantime.
    """
    try:
        status = entry.stat()
    except OSError as error:
        if error.errno not in _LEADS_NOWHERE or not entry.is_symlink():
            raise
        return ObjectInfo(path, 0, None, problem=NOWHERE)
    if stat.S_ISREG(status.st_mode):
        return _file(path, status)
    return ObjectInfo(path, 0, None, problem=_NO_FILE)


def _file(path: str, status: os.stat_result) -> ObjectInfo:
    # `inputs.find` uses this entity tag to see whether an input file has changed. For `InputFile.lasting`, it cuts off
    # the inode number of a local file, which differs for a copy of the file. It gets the tag from here or, if the input
    # URI names one file, from obstore. So this tag has the form of obstore's: inode number, time, size.
    tag = f'"{status.st_ino:x}-{status.st_mtime_ns // 1000:x}-{status.st_size:x}"'
    return ObjectInfo(path, status.st_size, tag, status.st_mtime)
