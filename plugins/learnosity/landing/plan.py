"""The landing plan: which files belong to which shard. It is stored at the destination, for all workers.

A plan has names and sizes, but no signed URLs: a shard requests them itself, or gets them encrypted (`stored_urls`).
Because the plan is stored, the tasks pass only one small value per shard to each other. The plan of a shard is stored
in blocks of limited size, so that a shard needs little memory, however many files it has.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from learnosity.dataset.file_names import check_names
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.limits import MAX_SHARDS
from learnosity.errors import IncompleteDatasetError, RequestError, StorageError
from learnosity.landing.planned import NamesDigest, Planned, included
from learnosity.results.outcomes import ResultFile
from learnosity.storage.store import Store

if TYPE_CHECKING:
    from learnosity.landing.listed_files import Listing
    from learnosity.landing.listing import ResultSet
    from learnosity.landing.stored_urls import Source

log = logging.getLogger(__name__)

# The plan of a shard is stored in blocks, so that landing needs little memory. A block has at most `BLOCK_FILES` files.
# If a file has no URL, because the API's reply held its content, this content is stored with the block. The contents of
# a block have at most `BLOCK_BYTES` together. A larger content has a block of its own.
BLOCK_FILES = 5_000
BLOCK_BYTES = 4 * 1024 * 1024
# If more files than this are landed, their signed URLs are stored beside the plan, encrypted. Then shards need not
# request the listing again. For fewer files, URLs are stored only if the listing took several API calls, because one
# call is cheap to repeat. Contents are always stored, because a second reply may have other content, for example a
# later timestamp.
HAND_OVER_FILES = 10_000
# No file has more bytes than this, so a larger size in a listing is wrong. When files are split into shards, this
# number is used in its place: a list of sizes (`array("q")`) cannot hold numbers from 2**63 on.
_LARGEST = 2**53


class _More(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last line of a block of a plan: how many files are in the blocks after it. Block 0 has `planned`, too."""

    more: int
    planned: Planned | None = None


_MORE = b'{"more":'


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
    elif isinstance(shards, float) and shards.is_integer():
        shards = int(shards)  # the JSON schema of the run config accepts 2.0 as a whole number
    if isinstance(shards, bool) or not isinstance(shards, int) or not 1 <= shards <= MAX_SHARDS:
        raise RequestError(
            f"landing_shards is {shards!r}; it must be a whole number from 1 to {MAX_SHARDS}, because Airflow maps at "
            f"most {MAX_SHARDS} tasks. A few shards per worker are enough: each copies many files at once."
        )
    return shards


def check_include(include: object) -> Sequence[str]:
    """The globs of the files to land; a single one may be a text.

    :raises RequestError: it is not a list of globs.
    """
    globs = [include] if isinstance(include, str) else include
    if isinstance(globs, Sequence) and all(isinstance(glob, str) and glob for glob in globs):
        return globs
    raise RequestError(f"include is {str(include)[:60]!r}; it must be a list of globs such as *.json.")


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
    check_names(listing.each_name(), local=store.is_local)
    if store.is_local and await _ignores_case(store, work):
        check_names(listing.each_name(), ignores_case=True)
    wanted, sizes, names = array("q"), array("q"), NamesDigest()
    for number, file in included(listing, include):
        wanted.append(number)
        sizes.append(min(file.bytes or 0, _LARGEST))
        names.add(file.path)
    if listing.files and not wanted:
        raise RequestError(
            f"include {list(include)!r} matches none of the {len(listing.files):,} result files, such as "
            f"{min(listing.files)!r}. Nothing was landed."
        )
    number_of_shards = max(1, min(check_shards(shards), len(wanted)))
    owners = _owners(sizes, number_of_shards)
    listing.assign((owner, place, number) for place, (owner, number) in enumerate(zip(owners, wanted, strict=True)))
    if not wanted:
        log.warning("The dataset has no result files: it is landed as an empty one.")
    # Whether signed URLs are stored. If the listing took one API call, and at most `HAND_OVER_FILES` files are landed,
    # they are not stored: each shard requests the listing again.
    hand_over = listing.replies > 1 or len(wanted) > HAND_OVER_FILES
    files_of = Counter(owners)
    left_out = len(listing.files) - len(wanted)
    plan = [Shard(shard, files_of[shard], left_out) for shard in range(number_of_shards)]
    planned = Planned(tuple(include), len(wanted), names.digest())
    for shard in plan:
        await _write_shard(store, work, shard, listing, results, planned, urls=hand_over)
    log.info("%s result files in %d shard(s).", f"{len(wanted):,}", number_of_shards)
    return tuple(plan)


async def _ignores_case(store: Store, work: str) -> bool:
    """Whether the file system takes two names that differ by case alone for one. Only a file shows that."""
    await store.put(f"{work}/Case", b"")
    try:
        return await store.head(f"{work}/case") is not None
    finally:
        await store.delete([f"{work}/Case"])


async def _write_shard(
    store: Store, work: str, shard: Shard, listing: Listing, results: ResultSet, planned: Planned, *, urls: bool
) -> None:
    """Write the plan of one shard, block by block.

    :param results: encrypts the contents and URLs that are stored beside the plan.
    :param urls: whether URLs are stored, too.
    """
    left = shard.files
    for block, (lines, sources) in enumerate(_blocks(listing.assigned(shard.shard))):
        left -= len(lines)
        if left or not block:
            lines.append(msgspec.json.encode(_More(left, None if block else planned)))
        content = b"".join(line + b"\n" for line in lines)
        if not urls:
            sources = [source if isinstance(source, bytes) else None for source in sources]
        if any(source is not None for source in sources):
            sealed = await asyncio.to_thread(results.seal, sources)
            await store.put(sources_path(work, shard.shard, block), sealed, "application/octet-stream")
        await store.put(plan_path(work, shard.shard, block), content, "application/x-ndjson")


def _blocks(files: Iterator[tuple[bytes, Source]]) -> Iterator[tuple[list[bytes], list[Source]]]:
    """Files in blocks of limited size. There is at least one block, even if it is empty."""
    lines: list[bytes] = []
    sources: list[Source] = []
    room = BLOCK_BYTES
    for line, source in files:
        needed = len(source) if isinstance(source, bytes) else 0
        if len(lines) >= BLOCK_FILES or (needed > room and lines):
            yield lines, sources
            lines, sources, room = [], [], BLOCK_BYTES
        lines.append(line)
        sources.append(source)
        room -= needed
    yield lines, sources


def split_into_shards(files: Sequence[ResultFile], shards: int) -> list[list[ResultFile]]:
    """Split sorted files into at most `shards` lists with about the same number of bytes. Each list is sorted again."""
    parts: list[list[ResultFile]] = [[] for _ in range(max(1, min(shards, len(files))))]
    owners = _owners([file.bytes or 0 for file in files], len(parts))
    for owner, file in zip(owners, files, strict=True):
        parts[owner].append(file)
    return parts


def _owners(sizes: Sequence[int], shards: int) -> array[int]:
    """The shard of each file.

    The files are assigned one by one, the largest first: to shards 1, 2, 3, then 3, 2, 1, and so on.
    """
    # For each file, one number is made of its size and its `place`, its position in `sizes`. A larger file has a lower
    # number, so it comes first. The number modulo `files` is the `place`. This saves memory: a million numbers need 50
    # MB, and a million pairs of size and `place` 150 MB.
    largest, files = max(sizes, default=0), len(sizes)
    order = sorted((largest - size) * files + place for place, size in enumerate(sizes))
    owners = array("H", bytes(2 * files))
    for turn, key in enumerate(order):
        position = turn % shards
        owners[key % files] = position if turn // shards % 2 == 0 else shards - 1 - position
    return owners


@dataclass(frozen=True, slots=True)
class PlanBlock:
    """One block of the plan of a shard.

    :param files: the files, in the order of the plan.
    :param more: how many files are in the blocks after this one.
    :param planned: the files of all shards. Only block 0 has it; None = an earlier release has made the plan.
    """

    files: list[ResultFile]
    more: int
    planned: Planned | None = None


async def read_plan(store: Store, work: str, shard: int, *, planned_on: str | None = None) -> list[ResultFile]:
    """All files of one shard. See `read_block`."""
    return [file async for block in plan_blocks(store, work, shard, planned_on=planned_on) for file in block.files]


async def plan_blocks(
    store: Store, work: str, shard: int, *, planned_on: str | None = None
) -> AsyncIterator[PlanBlock]:
    """The plan of a shard, block by block. See `read_block`."""
    for number in count():
        block = await read_block(store, work, shard, number, planned_on=planned_on)
        yield block
        if not block.more:
            return


async def read_block(
    store: Store, work: str, shard: int, block: int = 0, *, planned_on: str | None = None
) -> PlanBlock:
    """The files of one block of a shard's plan.

    :param block: its number; a plan begins with block 0.
    :param planned_on: host name of the worker that made the plan; None = unknown.
    :raises StorageError: the plan is on the disk of another worker.
    :raises IncompleteDatasetError: the plan does not exist any more. To make it again, clear the task `list_files`.
    """
    content = await store.get(plan_path(work, shard, block))
    if content is not None:
        before, _, last = content.rstrip(b"\n").rpartition(b"\n")
        end = _More(0)
        if last.startswith(_MORE):
            content, end = before, msgspec.json.decode(last, type=_More)
        return PlanBlock(msgspec.json.Decoder(ResultFile).decode_lines(content), end.more, end.planned)
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


def plan_path(work: str, shard: int, block: int = 0) -> str:
    """Path of one block of the plan of a shard."""
    return f"{work}/plan-{shard:04d}{_suffix(block)}.ndjson"


def sources_path(work: str, shard: int, block: int) -> str:
    """Path of the encrypted URLs and contents for the files of one block."""
    return f"{work}/sources-{shard:04d}{_suffix(block)}.sealed"


def _suffix(block: int) -> str:
    return f"-{block:05d}" if block else ""
