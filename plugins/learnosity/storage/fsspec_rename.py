"""Gives a complete file its name in an fsspec file system, and checks that it has it.

Drivers differ here. Some replace a file that is there (local, SFTP), some raise an error (SMB), and some do nothing and
say nothing (WebHDFS).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]


def put_in_place(fs: Any, staged: str, target: str, size: int, aside: str) -> None:
    """Rename `staged` to `target`, also where there is a file of that name.

    Where the driver does not replace that file, it is moved to `aside` first, and for a moment there is no `target`.

    :param size: bytes of the file.
    :param aside: a name that nothing has.
    :raises OSError: the driver did not do it. A file that was moved to `aside` is moved back, if the driver can.
    """
    try:
        _move(fs, staged, target)
    except OSError as error:
        if error.errno != errno.EEXIST and not isinstance(error, FileExistsError):
            raise
    if _is_in_place(fs, staged, target, size):
        return
    if _info(fs, staged) is None or _info(fs, target) is None:
        raise OSError(f"the storage driver was to rename a file to {target}, and has not done it")
    _move(fs, target, aside)
    try:
        _move(fs, staged, target)
        if not _is_in_place(fs, staged, target, size):
            raise OSError(f"the storage driver was to rename a file to {target}, and has not done it")
    except BaseException:
        with suppress(Exception):  # an error here is not raised, because the error of the rename is more useful
            _move(fs, aside, target)
        raise
    fs.rm_file(aside)


def _move(fs: Any, old: str, new: str) -> None:
    if type(fs).mv is not AbstractFileSystem.mv:
        fs.mv(old, new)
        return
    # This driver has no `mv` of its own, and inherits `AbstractFileSystem.mv`. The inherited method reads a path as a
    # glob, and would not find a file with `[1]` in its path. So the file is copied, and then the old file is removed.
    fs.cp_file(old, new)
    fs.rm_file(old)


def _is_in_place(fs: Any, staged: str, target: str, size: int) -> bool:
    """Whether a file of this size is there, and no longer under its temporary name."""
    found = _info(fs, target)
    if found is None or _info(fs, staged) is not None:
        return False
    if found["type"] != "directory":
        return found.get("size") in (size, None)
    # The driver says that `target` is a folder. If the file is now in this folder, the driver has moved it there and
    # not renamed it: this is an error. If not, this is an object store, where a folder and an object can have the same
    # name. Then the rename has succeeded.
    if _info(fs, f"{target}/{staged.rpartition('/')[2]}") is not None:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    return True


def _info(fs: Any, path: str) -> Mapping[str, Any] | None:
    """What the driver says of a path now; None = nothing is there."""
    fs.invalidate_cache()  # some drivers keep listings in a cache, and would not show the rename
    try:
        found: Mapping[str, Any] = fs.info(path)
    except OSError as error:
        if is_missing(error):
            return None
        raise
    return found


def is_missing(error: OSError) -> bool:
    """Whether an error of a driver says that there is no such file. That of SMB has only the number."""
    return isinstance(error, FileNotFoundError) or error.errno == errno.ENOENT
