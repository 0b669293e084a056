"""Writes seeded input files for the four dataset types: a population of users in a hierarchy of groups.

`python -m simulator.population --users 20000 OUT.ndjson.gz` from a shell, `write_population` from code. The same
parameters give the same bytes; the file appears only when it is whole, and memory does not grow with its size.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import msgspec

from .validation import DATASET_TYPES, SUMMARY_TYPES

DEFAULT_LEVELS: Final = ("district", "school", "class")
_USERS_PER_GROUP: Final = 20
_GROUPS_PER_PARENT: Final = 10


def records(
    users: int,
    dataset_type: str = "activity-summary-by-group",
    levels: Sequence[str] = DEFAULT_LEVELS,
    seed: int = 1,
    sessions_per_user: int = 3,
) -> Iterator[dict[str, Any]]:
    """The records of an input file, one after another.

    About 20 users share a group of the lowest level, and about 10 groups share a parent: 20,000 users in three
    levels make 1,000 classes of 100 schools in 10 districts.

    :param dataset_type: one of the four known types.
    :param levels: keys of the group hierarchy, top level first; analysis types have none.
    :param sessions_per_user: 1 to 50; not used by `activity-summary-by-group`.
    :raises ValueError: a parameter is out of range.
    """
    if users < 1 or not levels or not 1 <= sessions_per_user <= 50 or dataset_type not in DATASET_TYPES:
        raise ValueError("needs a known type, at least one user and one level, and 1 to 50 sessions per user")
    counts = group_counts(users, len(levels))
    for number in range(users):
        user_id = "u" + hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=8).hexdigest()
        sessions = [_session_id(seed, number, nth) for nth in range(sessions_per_user)]
        if dataset_type not in SUMMARY_TYPES:
            yield from ({"session_id": session} for session in sessions)
            continue
        groups = {level: f"{level}_{number * count // users + 1}" for level, count in zip(levels, counts, strict=True)}
        record: dict[str, Any] = {"user_id": user_id, "groups": groups}
        if dataset_type == "sessions-summary-by-group":
            record["session_id"] = sessions
        yield record


def group_counts(users: int, depth: int) -> list[int]:
    """How many groups each level has, top level first.

    No group has two parents. Few users in many levels make groups of one user.
    """
    top = max(1, round(users / _USERS_PER_GROUP / _GROUPS_PER_PARENT ** (depth - 1)))
    return [min(top * _GROUPS_PER_PARENT**level, max(users, 1)) for level in range(depth)]


def write_population(
    path: Path,
    users: int,
    dataset_type: str = "activity-summary-by-group",
    levels: Sequence[str] = DEFAULT_LEVELS,
    seed: int = 1,
    sessions_per_user: int = 3,
) -> int:
    """Write an input file; a name that ends in `.gz` is compressed.

    Parameters and errors as for `records`.

    :returns: the number of lines.
    """
    partial = path.with_name(path.name + ".partial")
    lines = 0
    try:
        with partial.open("wb") as raw, _opened(raw, path.suffix == ".gz") as out:
            for record in records(users, dataset_type, levels, seed, sessions_per_user):
                out.write(msgspec.json.encode(record) + b"\n")
                lines += 1
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return lines


def _opened(raw: BinaryIO, compressed: bool) -> BinaryIO:
    if not compressed:
        return raw
    # Without a name and a time in the gzip header, the same content always gives the same bytes.
    return cast(BinaryIO, gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0))


def _session_id(seed: int, number: int, nth: int) -> str:
    digest = hashlib.blake2b(f"{seed}/{number}/{nth}".encode(), digest_size=16).digest()
    return str(uuid.UUID(bytes=digest, version=4))


def main() -> None:
    """Parse the command line and write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator.population", description="Writes a seeded input file for a Learnosity dataset."
    )
    parser.add_argument("--users", type=int, default=20_000, help="number of users (default 20000)")
    parser.add_argument("--dataset-type", choices=DATASET_TYPES, default=DATASET_TYPES[0])
    parser.add_argument(
        "--levels", default=",".join(DEFAULT_LEVELS), help="group keys, top level first (default district,school,class)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sessions-per-user", type=int, default=3, help="1 to 50 (default 3)")
    parser.add_argument("out", type=Path, metavar="OUT.ndjson[.gz]")
    given = parser.parse_args()
    try:
        lines = write_population(
            given.out, given.users, given.dataset_type, given.levels.split(","), given.seed, given.sessions_per_user
        )
    except (ValueError, OSError) as error:
        raise SystemExit(f"population: {error}") from error
    print(f"{lines} lines written to {given.out}")


if __name__ == "__main__":
    main()
