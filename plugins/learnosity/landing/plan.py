"""The landing plan: which files, in which shard, written down where every worker can read it.

A plan holds names and sizes, never a signed URL: each shard asks for fresh URLs itself. It lies in the
dataset's work folder, so that between tasks travels one small value a shard.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import msgspec

from learnosity.dataset.layout import DatasetLayout, check_names
from learnosity.dataset.manifest import Manifest, decode_manifest
from learnosity.errors import IncompleteDatasetError, RequestError
from learnosity.landing.listing import ResultFile, ResultSet
from learnosity.storage.store import Store

log = logging.getLogger(__name__)

# Airflow's own limit on mapped tasks ([core] max_map_length).
MAX_SHARDS = 1024


class Shard(msgspec.Struct, frozen=True):
    """What one mapped task needs to know: its number, and how much work lies there."""

    shard: int
    files: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of planning.

    :param shards: one entry a task, none when the dataset is published already.
    :param files: how many files are to be landed.
    :param published: the manifest that is there already.
    """

    shards: tuple[Shard, ...]
    files: int
    published: Manifest | None = None


def check_shards(shards: object) -> int:
    """`shards` itself, or `RequestError` when it is not between 1 and Airflow's map limit."""
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
    overwrite: bool = False,
    shards: int = 1,
) -> Plan:
    """List the result files, refuse bad names, and write the plan of every shard.

    :param work: folder of this run's notes (`DatasetLayout.work_prefix`).
    :param include: globs over the files' paths; `*` also matches `/`.
    :param overwrite: land again what is published; its manifest is removed first, so that no reader takes the
        mixture of old and new for a complete dataset.
    :param shards: how many tasks share the work; fewer are made when there are fewer files.
    :raises UnsafeNameError: when a name must not become a path, before anything is written.
    :raises RequestError: when `include` matches nothing.
    """
    check_shards(shards)
    published = await read_manifest(store, layout)
    if published is not None and not overwrite:
        log.info("Published already at %s; nothing is landed again (overwrite is false).", published.published_at)
        return Plan((), published.file_count, published)
    listing = await results.list()
    check_names(listing.names(), local=store.is_local)
    wanted = sorted(
        (file for file in listing.files.values() if any(fnmatchcase(file.path, glob) for glob in include)),
        key=lambda file: file.path,
    )
    if not wanted:
        raise RequestError(
            f"include {list(include)!r} matches none of the {len(listing.files):,} result files, such as "
            f"{min(listing.files)!r}. Nothing was landed."
        )
    if published is not None:
        log.info("Overwriting: the manifest of %s is removed first.", published.published_at)
        await store.delete([layout.manifest])
    parts = deal(wanted, shards)
    encoder = msgspec.json.Encoder()
    for number, part in enumerate(parts):
        await store.put(plan_path(work, number), encoder.encode_lines(part), "application/x-ndjson")
    log.info("%s result files in %d shard(s).", f"{len(wanted):,}", len(parts))
    return Plan(tuple(Shard(number, len(part)) for number, part in enumerate(parts)), len(wanted))


def deal(files: Sequence[ResultFile], shards: int) -> list[list[ResultFile]]:
    """Share sorted files out over at most `shards` lists of about equal weight, each sorted again.

    The largest files are dealt first, in turns that reverse, so that no shard gets all the big ones.
    """
    count = min(shards, len(files))
    by_weight = sorted(range(len(files)), key=lambda index: (-(files[index].bytes or 0), index))
    dealt: list[list[int]] = [[] for _ in range(count)]
    for turn, index in enumerate(by_weight):
        position = turn % count
        dealt[position if turn // count % 2 == 0 else count - 1 - position].append(index)
    return [[files[index] for index in sorted(part)] for part in dealt]


async def read_plan(store: Store, work: str, shard: int) -> list[ResultFile]:
    """The files of one shard.

    :raises IncompleteDatasetError: when the plan is gone (clear `list_files` to make it again).
    """
    content = await store.get(plan_path(work, shard))
    if content is None:
        raise IncompleteDatasetError(
            f"The plan of shard {shard} is not there any more. Clear list_files with its downstream tasks: the job is "
            "not started again."
        )
    decoder: msgspec.json.Decoder[ResultFile] = msgspec.json.Decoder(ResultFile)
    return decoder.decode_lines(content)


async def read_manifest(store: Store, layout: DatasetLayout) -> Manifest | None:
    """The published manifest, None when there is none."""
    content = await store.get(layout.manifest)
    return None if content is None else decode_manifest(content, where=f"{store.uri}/{layout.manifest}")


def plan_path(work: str, shard: int) -> str:
    """Where the plan of a shard lies."""
    return f"{work}/plan-{shard:04d}.ndjson"
