"""How landing grows with the number of files: `python -m benchmarks.million`, from 10,000 to 1,000,000 files.

A listing in pages of 1,000, files of 200 bytes, 8 shards of which two run at once, each step in a process of its own,
as Airflow's tasks are. It prints seconds, processor time, memory and API calls of each step, and whether its goals are
reached. It writes them to `growth.json`, and draws `docs/growth.svg` of that file.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.chart import Growth, draw_growth
from benchmarks.pages import PAGE_FILES, calls_of, paged_api
from benchmarks.stack import Stack
from benchmarks.worker import Order, Outcome

GOAL_MB = 300
GOAL_GROWTH = 1.15
ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "growth.json"
PLOT = ROOT / "docs" / "growth.svg"


def measure(stack: Stack, files: int, shards: int, at_once: int) -> tuple[Growth, bool]:
    """Land one dataset. Returns what it took, and whether memory and calls are within their goals."""
    bucket = stack.fresh_bucket()
    with paged_api(stack.source, files, "users") as api:

        def step(*orders: Order) -> list[Outcome]:
            return stack.all_ours(list(orders))

        def order(name: str, shard: int = 0) -> Order:
            return Order(steps=(name,), api=api, bucket=bucket, shards=shards, shard=shard)

        planned = step(order("plan"))
        after_plan = calls_of(api)
        landed: list[list[Outcome]] = []
        for first in range(0, shards, at_once):
            landed.append(step(*(order("land", shard) for shard in range(first, min(first + at_once, shards)))))
        published = step(order("publish"))
        calls = calls_of(api)
    pages = -(-files // PAGE_FILES)
    seconds = {
        "plan": planned[0].total,
        "land": sum(max(outcome.total for outcome in together) for together in landed),
        "publish": published[0].total,
    }
    peaks = {
        "plan": planned[0].peak_mb,
        "land": max(outcome.peak_mb for together in landed for outcome in together),
        "publish": published[0].peak_mb,
    }
    work = planned[0].cpu_seconds + published[0].cpu_seconds + sum(each.cpu_seconds for pair in landed for each in pair)
    per_file = work / files * 1e6
    said = ", ".join(f"{name} {seconds[name]:.1f} s {peaks[name]:.0f} MB" for name in seconds)
    print(
        f"{files:>9,} files: {said}; processor time {per_file:,.0f} µs a file; "
        f"calls: plan {after_plan}, shards {calls - after_plan} (goal: {pages} + {shards})",
        flush=True,
    )
    grown = Growth(files, seconds, per_file, peaks, calls)
    return grown, max(peaks.values()) <= GOAL_MB and calls <= pages + shards


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Its exit code says whether all goals are reached."""
    # SIGTERM ends this program as Ctrl-C does, so that it stops its servers first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million", description=__doc__)
    parser.add_argument("--files", default="10000,100000,1000000", help="numbers of files, with commas between")
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--at-once", type=int, default=2, help="shards that run at the same time, default 2")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="learnosity-bench-") as folder, Stack(Path(folder)) as stack:
        found = [measure(stack, int(files), options.shards, options.at_once) for files in options.files.split(",")]
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode([grown for grown, _ in found]), indent=2) + b"\n")
    draw_growth(RESULTS, PLOT)
    growth = found[-1][0].processor_us / found[0][0].processor_us
    print(f"processor time a file, last against first: {growth:.2f} (goal: at most {GOAL_GROWTH})")
    ok = growth <= GOAL_GROWTH and all(within for _, within in found)
    print("goals reached" if ok else "goals NOT reached")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
