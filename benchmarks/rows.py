"""The rows of the table: each measures ours and a peer in turns, and says whether its goal is reached.

A ratio above 1 always means that ours is better. Medians of interleaved runs, because machines have moods.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Literal

import msgspec

from benchmarks.line import line
from benchmarks.rosters import write_tables
from benchmarks.source import Files
from benchmarks.stack import Stack
from benchmarks.worker import Bucket, Order, Outcome
from simulator.population import write_population

LANDING = ("plan", "land", "publish")
MB = 1024 * 1024
TRANSFERS = (16, 32, 64)
RUNS = 5
# An upload gets this many URLs and needs one for each part. These are enough: the input is sent in three parts.
UPLOAD_URLS = 8
_DISTANCES: tuple[tuple[Literal["slow", "far"], str, tuple[float, float]], ...] = (
    ("far", "answers after 1 s", (1.6, 2.4)),
    ("slow", "answers after 50 ms", (1.0, 1.0)),
)


class Row(msgspec.Struct, frozen=True):
    """One line of the table.

    :param ratio: how many times better ours is than the peer, or than the bound where there is no peer
    :param goal: the least ratio that is acceptable
    """

    name: str
    ours: float
    peer: float | None
    peer_name: str
    unit: str
    ratio: float
    goal: float
    ok: bool


def faster(name: str, ours: float, peer: float, peer_name: str, goal: float, *, unit: str = "s") -> Row:
    """A row of two durations."""
    return _row(name, ours, peer, peer_name, unit, peer / ours, goal)


def more(name: str, ours: float, peer: float, peer_name: str, goal: float, *, unit: str = "files/s") -> Row:
    """A row of two rates."""
    return _row(name, ours, peer, peer_name, unit, ours / peer, goal)


def within(name: str, ours: float, bound: float, *, unit: str = "MB") -> Row:
    """A row of one figure that has to stay below a bound."""
    return _row(name, ours, None, f"bound {bound:g} {unit}", unit, bound / ours, 1.0)


def _row(name: str, ours: float, peer: float | None, peer_name: str, unit: str, ratio: float, goal: float) -> Row:
    return Row(name, round(ours, 2), None if peer is None else round(peer, 2), peer_name, unit, round(ratio, 3), goal,
               ratio >= goal)  # fmt: skip


def small_files(stack: Stack, runs: int = 0, count: int = 3000) -> list[Row]:
    """3,000 x 20 KB against rclone at the best of several `--transfers`."""
    runs = runs or RUNS
    files = Files("small", count, 20_000)
    stack.source.serve(files)
    stack.fresh_bucket()
    best = min(TRANSFERS, key=lambda number: stack.rclone(files, stack.prefix(), number).total)
    ours, peer = interleaved(runs, lambda: land(stack, files), lambda: stack.rclone(files, stack.prefix(), best))
    rate = count / _total(ours)
    rows = [more(f"{count:,} x 20 KB", rate, count / _total(peer), f"rclone --transfers {best}", 1.25)]
    if runs > 2:
        others: dict[str, Callable[[], Outcome]] = {
            "rclone without its check (--s3-no-head)": lambda: stack.rclone(
                files, stack.prefix(), best, "--s3-no-head"
            ),
            "urllib3 + boto3, 16 threads": lambda: stack.boto3(files, stack.prefix(), 16),
            "s5cmd, from local disk": lambda: stack.s5cmd(files, stack.prefix()),
        }
        for name, run in others.items():
            theirs = count / _total([run() for _ in range(3)])
            rows.append(more(f"{count:,} x 20 KB against {name}", rate, theirs, name, 1.0))
    return rows


def late_answers(stack: Stack, runs: int = 0, count: int = 3000) -> list[Row]:
    """The same from a source that answers after 50 ms, against rclone at 32 transfers."""
    runs = runs or RUNS
    files = Files("late", count, 20_000, answers="slow")
    stack.source.serve(files)
    stack.fresh_bucket()
    ours, peer = interleaved(runs, lambda: land(stack, files), lambda: stack.rclone(files, stack.prefix(), 32))
    rate = more(f"{count:,} x 20 KB, answers after 50 ms", count / _total(ours), count / _total(peer), "rclone 32", 2.0)
    return [rate]


def large_files(stack: Stack, runs: int = 0) -> list[Row]:
    """8 x 128 MB from source to store over TLS, as Learnosity and S3 have it; also with less of it, and from far away.

    Over plain http the store's signature covers every byte of ours. rclone's does so too where it writes in parts.
    """
    tls = Files("large", 8, 128 * MB, tls=True)
    files, thin = Files("large", 8, 128 * MB), Files("large", 8, 128 * MB, "thin")
    stack.source.serve(tls)
    stack.source.serve(files)
    runs = runs or RUNS
    in_parts = ("--s3-upload-cutoff", "5M", "--s3-chunk-size", "8M")
    rows = _large("8 x 128 MB over TLS", stack, tls, runs, ALL_AT_ONCE, RCLONE_DEFAULT, ONE_BY_ONE, tls=True)
    rows += _large("8 x 128 MB, TLS to the store only", stack, files, runs, Peer(8, 0.95), tls=True)
    rows += _large("8 x 128 MB over plain http", stack, files, runs, ALL_AT_ONCE)
    rows += _large("8 x 128 MB over plain http, both in parts", stack, files, 3, Peer(8, 1.0, in_parts))[:1]
    stack.source.serve(thin)
    return rows + _large("8 x 128 MB, 10 MB/s a connection", stack, thin, 3, Peer(8, 0.95))[:1]


class Peer(msgspec.Struct, frozen=True):
    """rclone as it is to be beaten.

    :param transfers: files at once
    :param goal: the least ratio; below 1 it is a goal of our own
    """

    transfers: int
    goal: float
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The command, as far as it differs."""
        return " ".join((f"rclone --transfers {self.transfers}", *self.options))


ALL_AT_ONCE = Peer(8, 1.0)
RCLONE_DEFAULT = Peer(4, 1.0)
# Here all programs run on one machine, whose processors are the limit. So rclone is fastest if it sends one file at a
# time. With a server far away, this setting would be the slowest.
ONE_BY_ONE = Peer(1, 0.95)


def _large(
    name: str, stack: Stack, files: Files, runs: int, *peers: Peer, tls: bool = False, bound: float = 256
) -> list[Row]:
    # Every run begins with an empty S3 server, because earlier objects would slow it down.
    def run() -> Outcome:
        return land(stack, files, stack.fresh_bucket(tls=tls))

    def peer_run(peer: Peer) -> Outcome:
        return stack.rclone(files, stack.fresh_bucket(tls=tls), peer.transfers, *peer.options)

    # These two runs do not count: the first runs also wait until programs and files are read into memory.
    run()
    peer_run(peers[0])
    ours, *theirs = interleaved(runs, run, *(partial(peer_run, peer) for peer in peers))
    return [
        *(
            faster(
                name if peer is peers[0] else f"{name}, {peer.name}", _total(ours), _total(its), peer.name, peer.goal
            )
            for peer, its in zip(peers, theirs, strict=True)
        ),
        within(f"{name}, peak memory", max(outcome.peak_mb for outcome in ours), bound),
    ]


def one_huge_file(stack: Stack) -> list[Row]:
    """One file of 2 GB: memory only; resuming is a test (`tests/component/landing`)."""
    files = Files("huge", 1, 2048 * MB)
    stack.source.serve(files)
    stack.fresh_bucket()
    outcome = land(stack, files)
    return [within("2 GB in one file, peak memory", outcome.peak_mb, 256)]


def medium_files(stack: Stack, runs: int = 0) -> list[Row]:
    """Files that are held whole though they are not small: many at once must not fill the memory."""
    rows: list[Row] = []
    for count, size, text in ((1500, MB, "1 MB"), (200, 8 * MB, "8 MB")):
        files = Files(f"medium-{count}", count, size)
        stack.source.serve(files)
        rows += _large(f"{count:,} x {text} over TLS", stack, files, runs or 3, Peer(32, 1.0), tls=True, bound=300)
    return rows


def many_files(stack: Stack, count: int = 100_000) -> list[Row]:
    """100,000 files: memory of each step, and whether the time is linear."""
    rows: list[Row] = []
    per_file: dict[int, float] = {}
    for number in (count // 4, count):
        files = Files(f"many-{number}", number, 200)
        stack.source.serve(files)
        bucket = stack.fresh_bucket()
        took = 0.0
        for step in LANDING:
            outcome = stack.ours(Order(steps=(step,), api=stack.source.api(files), bucket=bucket))
            took += outcome.total
            if number == count:
                rows.append(within(f"{count:,} files, {step}: peak memory", outcome.peak_mb, 300))
        per_file[number] = took / number * 1e6
    few, many = per_file[count // 4], per_file[count]
    rows.append(faster(f"µs a file, {count:,} files against a quarter of them", many, few, "ours", 0.8, unit="µs"))
    return rows


def shards(stack: Stack) -> list[Row]:
    """1, 2 and 4 shards in as many processes: they help while the source is the bound, not once the cores are."""
    stack.fresh_bucket()
    rows: list[Row] = []
    for answers, text, goals in _DISTANCES:
        files = Files(f"shards-{answers}", 3000, 20_000, answers)
        stack.source.serve(files)
        walls = {number: median(_sharded(stack, files, number) for _ in range(3)) for number in (1, 2, 4)}
        rows += [
            faster(f"landing_shards {number}, {text}", walls[number], walls[1], "1 shard", goal)
            for number, goal in zip((2, 4), goals, strict=True)
        ]
    return rows


def upload(stack: Stack, runs: int = 0, users: int = 200_000) -> list[Row]:
    """200,000 users: validated, split and PUT, against `curl -T` of the same bytes, which checks nothing.

    To an S3 server with signed URLs, as Learnosity has it; the same over a line of 100 Mbit/s; and to a server that
    throws away what it gets, which leaves little but the validation.
    """
    path = stack.folder / "users.ndjson"
    write_population(path, users)
    stack.fresh_bucket()
    name, runs = f"upload of {users:,} users", runs or RUNS
    with line(stack.s3_port, 100) as port:
        ours, peer = _uploads(stack, path, runs, lambda: stack.s3_urls(UPLOAD_URLS))
        slow, slow_peer = _uploads(stack, path, runs, lambda: stack.s3_urls(UPLOAD_URLS, port))
        sink, sink_peer = _uploads(stack, path, runs, lambda: stack.sink_urls(UPLOAD_URLS))
    return [
        faster(f"{name} to S3", _total(ours), _total(peer), "curl -T", 0.5),
        within(f"{name}, peak memory", max(outcome.peak_mb for outcome in ours), 200),
        faster(f"{name} to S3 over 100 Mbit/s", _total(slow), _total(slow_peer), "curl -T", 0.5),
        faster(f"{name} to a sink on loopback", _total(sink), _total(sink_peer), "curl -T", 0.5),
    ]


def tables(stack: Stack, runs: int = 0, users: int = 200_000) -> list[Row]:
    """Users in CSV and Parquet against the same users in NDJSON, from one and from 500 files, to S3."""
    stack.fresh_bucket()
    rows = []
    for files in (1, 500):
        folders = write_tables(stack.folder, users, files)
        ours = interleaved(
            runs or RUNS, *(partial(_upload, stack, folder, stack.s3_urls(UPLOAD_URLS)) for folder in folders.values())
        )
        took = dict(zip(folders, ours, strict=True))
        for kind in ("csv", "parquet"):
            name = f"input of {users:,} users, {kind}, {files} file{'s' if files > 1 else ''}"
            rows.append(faster(name, _total(took[kind]), _total(took["ndjson"]), "NDJSON", 1 / 1.5))
            rows.append(within(f"{name}, peak memory", max(outcome.peak_mb for outcome in took[kind]), 200))
    return rows


def _uploads(stack: Stack, path: Path, runs: int, urls: Callable[[], list[str]]) -> list[list[Outcome]]:
    return interleaved(runs, lambda: _upload(stack, path, urls()), lambda: stack.curl_upload(path, urls()[0]))


def _upload(stack: Stack, path: Path, urls: Sequence[str]) -> Outcome:
    return stack.ours(Order(steps=("upload",), api=stack.source.url, input=str(path), urls=tuple(urls)))


def land(stack: Stack, files: Files, bucket: Bucket | None = None) -> Outcome:
    return stack.ours(Order(steps=LANDING, api=stack.source.api(files), bucket=bucket or stack.prefix()))


def _sharded(stack: Stack, files: Files, number: int) -> float:
    """Seconds of the landing step alone, from its start to the last process's end; processes start beforehand."""
    bucket, api = stack.prefix(), stack.source.api(files)
    stack.ours(Order(steps=("plan",), api=api, bucket=bucket, shards=number))
    start_at = time.time() + 2.0
    orders = [
        Order(steps=("land",), api=api, bucket=bucket, shards=number, shard=shard, start_at=start_at)
        for shard in range(number)
    ]
    took = max(outcome.total for outcome in stack.all_ours(orders))
    stack.ours(Order(steps=("publish",), api=api, bucket=bucket, shards=number))
    return took


def interleaved(runs: int, *measured: Callable[[], Outcome]) -> list[list[Outcome]]:
    """All in turns; who begins changes."""
    outcomes: list[list[Outcome]] = [[] for _ in measured]
    for number in range(runs):
        first = number % len(measured)
        for which in (*range(first, len(measured)), *range(first)):
            outcomes[which].append(measured[which]())
    return outcomes


def _total(outcomes: Sequence[Outcome]) -> float:
    return median(outcome.total for outcome in outcomes)
