"""Limits of a dataset: into how many shards it is split, and how much of it a task or a page reads.

A task uses a file whole or not at all. A page may use only the start of a file.
"""

from __future__ import annotations

from dataclasses import dataclass

# Largest value of `landing_shards` in the run config. Each shard is one mapped task. By default, Airflow maps a task at
# most 1,024 times ([core] max_map_length).
MAX_SHARDS = 1024
MAX_COLUMNS = 60  # a table on a dataset's page shows at most this many columns, and says how many it leaves out
_MIB = 1024 * 1024
_NO_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a dataset a task or a page reads.

    :param file_bytes: largest file that is read, as stored. It is read whole, because its digest is compared.
    :param shown_bytes: how much of a file is used, decompressed.
    :param begin: whether the start is used of a file that has more than `shown_bytes`. If not, nothing of it is used.
    :param rows: of one table; the others are dropped.
    :param csv_columns: of one CSV file.
    :param tables: of one file.
    :param containers: objects and lists of one JSON file. Many of them keep Python's garbage collector busy.
    :param listing_bytes: largest list of files.
    :param files: largest number of files.
    """

    file_bytes: int = 32 * _MIB
    shown_bytes: int = 32 * _MIB
    begin: bool = False
    rows: int = _NO_LIMIT
    csv_columns: int = _NO_LIMIT
    tables: int = _NO_LIMIT
    containers: int = _NO_LIMIT
    listing_bytes: int = _NO_LIMIT
    files: int = _NO_LIMIT


# Limits for tasks. A task needs whole files. So if a file is larger than `file_bytes`, or larger than `shown_bytes`
# when it is decompressed, the task uses nothing of it.
WHOLE = Limits()
# Limits for pages: a page must not take much memory or time, even if the files are huge, because the API server also
# serves other users.
PAGE = Limits(
    shown_bytes=4 * _MIB,
    begin=True,
    rows=20_000,
    csv_columns=MAX_COLUMNS,
    tables=20,
    containers=150_000,
    listing_bytes=16 * _MIB,
    files=60_000,
)
