"""Finds out whether files are a part of a Delta, Hudi or Iceberg table.

Such a table has a log of the files that count. Its folder also holds files with rows that were deleted or replaced, so
the files cannot be read without the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_LOG: Final = re.compile(
    r"(?:(?P<folder>.+?)/)??"
    r"(?:(?P<Delta>_delta_log)"
    r"|(?P<Hudi>\.hoodie(?:_partition_metadata[^/]*)?)"
    # A metadata file of Iceberg: `v3.metadata.json` or `00003-<uuid>.metadata.json`, also compressed with gzip
    r"|(?P<Iceberg>metadata/v?[0-9][0-9a-f-]*(?:\.gz)?\.metadata\.json(?:\.gz)?))(?:/.*)?"
)
# Every path that `_LOG` matches contains one of these texts. So a path with none of them need not be compared with
# `_LOG`, which is slower than looking for a text.
_MARKS: Final = ("_delta_log", ".hoodie", "metadata/")
_DATA: Final = re.compile(r".*\.(parquet|parq|pq)", re.IGNORECASE)


def table_folder(path: str) -> tuple[str, str] | None:
    """The folder of a table and its kind, if a path belongs to the log of one; None = it does not.

    The folder is "" if the log is at the top of the listing.
    """
    if not any(mark in path for mark in _MARKS) or (log := _LOG.fullmatch(path)) is None:
        return None
    return log["folder"] or "", str(log.lastgroup)


def first_table_with(paths: Iterable[str], tables: dict[str, str]) -> tuple[str, str] | None:
    """The folder and the kind of the first table that has one of these files as its data; None = there is none.

    :param tables: the kind of each table, by its folder.
    """
    for path in filter(_DATA.fullmatch, paths) if tables else ():
        above = ["", *(path[: slash.start()] for slash in re.finditer("/", path))]
        for folder in above:
            if folder in tables:
                return folder, tables[folder]
    return None
