"""The landing plan: which files belong to which shard. It is stored at the destination, for all workers.

A plan has names and sizes, but no signed URLs: each shard requests new URLs itself. Because the plan is stored, the
tasks pass only one small value per shard to each other.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from learnosity.dataset.file_names import check_names
from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import IncompleteDatasetError, RequestError, StorageError
from learnosity.results.outcomes import ResultFile
from learnosity.storage.store import Store

if TYPE_CHECKING:
    from learnosity.landing.listing import ResultSet

log = logging.getLogger(__name__)

# Most shards. Each shard is one mapped task. By default, Airflow allows this many ([core] max_map_length).
MAX_SHARDS = 1024


class Shard(msgspec.Struct, frozen=True):
    """What one mapped task gets: the number of its shard, and how many files are in it."""

    shard: int
    files: int
    left_out: int = 0
    """Result files of the dataset that are in no shard, because `include` leaves them out."""


def check_shards(shards: object) -> int:
    """The number of shards. A template may have made it a text.

    :raises RequestError: it is not a whole number from 1 to `MAX_SHARDS`.
    """
    if isinstance(shards, str) and shards.strip().isdecimal():
        shards = int(shards)
    if isinstance(shards, bool) or not isinstance(shards, int) or not 1 <= shards <= MAX_SHARDS:
        raise RequestError(
            f"landing_shards is {shards!r}; it must be a whole number from 1 to {MAX_SHARDS}, because Airflow maps at "
            f"most {MAX_SHARDS} tasks. A few shards per worker are enough: each copies many files at once."
        )
    return shards


async def make_plan(
    store: Store,
    layout: DatasetLayout,
    results: ResultSet,
    *,
    work: str,
    include: Sequence[str] = ("*",),
    shards: int = 1,
) -> tuple[Shard, ...]:
    """List the result files, refuse bad names, and write the plan of every shard.

    :param work: folder of the notes of this landing (`DatasetLayout.work_prefix`).
    :param include: globs for the paths of the files to land; `*` also matches `/`.
    :param shards: how many shards to make; there are never more shards than files.
    :returns: one entry per shard.
    :raises UnsafeNameError: a file name cannot be used as a path. Nothing is written.
    :raises RequestError: `include` matches nothing.
    """
    listing = await results.list()
    check_names(listing.names(), local=store.is_local)
    wanted = sorted(
        (file for file in listing.files.values() if any(fnmatchcase(file.path, glob) for glob in include)),
        key=lambda file: file.path,
    )
    if listing.files and not wanted:
        raise RequestError(
            f"include {list(include)!r} matches none of the {len(listing.files):,} result files, such as "
            f"{min(listing.files)!r}. Nothing was landed."
        )
    parts = split_into_shards(wanted, check_shards(shards))
    if not wanted:
        log.warning("The dataset has no result files: it is landed as an empty one.")
    encoder = msgspec.json.Encoder()
    for number, part in enumerate(parts):
        await store.put(plan_path(work, number), encoder.encode_lines(part), "application/x-ndjson")
    log.info("%s result files in %d shard(s).", f"{len(wanted):,}", len(parts))
    left_out = len(listing.files) - len(wanted)
    return tuple(Shard(number, len(part), left_out) for number, part in enumerate(parts))


def split_into_shards(files: Sequence[ResultFile], shards: int) -> list[list[ResultFile]]:
    """Split sorted files into at most `shards` lists with about the same number of bytes. Each list is sorted again.

    The files are assigned one by one, the largest first: to lists 1, 2, 3, then 3, 2, 1, and so on.
    """
    count = max(1, min(shards, len(files)))
    by_weight = sorted(range(len(files)), key=lambda index: (-(files[index].bytes or 0), index))
    parts: list[list[int]] = [[] for _ in range(count)]
    for turn, index in enumerate(by_weight):
        position = turn % count
        parts[position if turn // count % 2 == 0 else count - 1 - position].append(index)
    return [[files[index] for index in sorted(part)] for part in parts]


async def read_plan(store: Store, work: str, shard: int, *, planned_on: str | None = None) -> list[ResultFile]:
    """The files of one shard.

    :param planned_on: host name of the worker that made the plan; None = unknown.
    :raises StorageError: the plan is on the disk of another worker.
    :raises IncompleteDatasetError: the plan does not exist any more. To make it again, clear the task `list_files`.
    """
    content = await store.get(plan_path(work, shard))
    if content is not None:
        return msgspec.json.Decoder(ResultFile).decode_lines(content)
    here = host_name()
    if store.uri.startswith("file://") and planned_on not in (None, here):
        raise StorageError(
            f"Worker {here} does not see the plan of shard {shard} that worker {planned_on} wrote to {store.uri}: the "
            "folder is not shared between the two workers. Use a destination_uri on storage that all workers share, "
            "such as s3://connection@bucket/prefix, or mount the same volume there on each of them."
        )
    raise IncompleteDatasetError(
        f"The plan of shard {shard} does not exist. Clear list_files with its downstream tasks: the job is not started "
        "again."
    )


def host_name() -> str:
    """The name of this machine or container."""
    return socket.gethostname()


def plan_path(work: str, shard: int) -> str:
    """Path of the plan of a shard."""
    return f"{work}/plan-{shard:04d}.ndjson"
