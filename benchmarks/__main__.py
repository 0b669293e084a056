"""Runs the table, prints it with ratios, and writes `benchmarks/latest.json` and the charts of docs/performance.md."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import rows
from benchmarks.chart import draw, draw_peers
from benchmarks.distance import distant_sources
from benchmarks.lossy import lossy_source
from benchmarks.overhead import dag_overhead
from benchmarks.rows import Row
from benchmarks.stack import PEERS, ROOT, Stack

# If so much memory is free, all data are kept in memory, otherwise on disk. They never need more: the source keeps the
# files of all rows, and the S3 server holds at most 2 GB.
SPACE_BYTES = 10 * 1024**3
LATEST = ROOT / "benchmarks" / "latest.json"
CHART, PEERS_CHART = ROOT / "docs" / "performance.svg", ROOT / "docs" / "peers.svg"

ROWS: dict[str, Callable[[Stack], list[Row]]] = {
    "small": rows.small_files,
    "late": rows.late_answers,
    "large": rows.large_files,
    "huge": rows.one_huge_file,
    "medium": rows.medium_files,
    "many": rows.many_files,
    "shards": rows.shards,
    "distant": distant_sources,
    "lossy": lossy_source,
    "upload": rows.upload,
    "tables": rows.tables,
    "dag": lambda stack: dag_overhead(stack.folder / "airflow"),
}


def main() -> int:
    """The command."""
    # SIGTERM ends this program as Ctrl-C does, so that it stops its servers first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the first row alone, in under a minute")
    # `lossy` is not measured by default, because it needs root and takes eight minutes.
    usual = ",".join(name for name in ROWS if name != "lossy")
    parser.add_argument("--rows", default=usual, help=f"some of: {', '.join(ROWS)}; default: all but lossy")
    parser.add_argument("--runs", type=int, help="runs of each side; default: 5")
    parser.add_argument("--chart", action="store_true", help="measure and draw the chart too")
    options = parser.parse_args()
    if not (PEERS / "rclone").exists() or shutil.which("curl") is None:
        print("The peers are missing: run `make bench`, which installs them; curl comes from the system.")
        return 2
    chosen = {name: ROWS[name] for name in options.rows.split(",") if name in ROWS}
    if options.runs:
        rows.RUNS = options.runs
    if options.quick:
        chosen = {"small": partial(rows.small_files, runs=2)}
    measured: dict[str, Row] = {}
    if not options.quick and LATEST.exists() and set(chosen) != set(ROWS):
        # If only some rows are measured now, the other rows keep their last results.
        measured = {row.name: row for row in msgspec.json.decode(LATEST.read_bytes(), type=list[Row])}
    memory = _memory_folder()
    with (
        tempfile.TemporaryDirectory(prefix="learnosity-bench-", dir=memory) as folder,
        Stack(Path(folder)) as stack,
    ):
        print(
            f"{os.cpu_count()} cores shared by client, source and S3 server, whose data lie "
            f"{'in memory' if memory else 'on disk'}; load {os.getloadavg()[0]:.1f}"
        )
        print(f"{'':52} {'ours':>10} {'peer':>10} {'ratio':>7} {'goal':>6}")
        for measure in chosen.values():
            for row in measure(stack):
                measured[row.name] = row
                print(_line(row), flush=True)
            LATEST.write_bytes(msgspec.json.format(msgspec.json.encode(list(measured.values())), indent=2) + b"\n")
        if options.chart:
            draw_peers(list(measured.values()), PEERS_CHART)
            draw(stack, CHART)
            print(f"Charts: {PEERS_CHART.relative_to(ROOT)}, {CHART.relative_to(ROOT)}")
    return 0


def _memory_folder() -> Path | None:
    """A file system in memory with room for everything, so that no disk's write-back decides; None: there is none."""
    folder = Path("/dev/shm")
    if not folder.is_dir() or shutil.disk_usage(folder).free < SPACE_BYTES:
        return None
    figures = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return folder if int(figures["MemAvailable"].split()[0]) * 1024 > SPACE_BYTES else None


def _line(row: Row) -> str:
    peer = "" if row.peer is None else f"{row.peer:,.2f}"
    verdict = "reached" if row.ok else "NOT reached"
    return (
        f"{row.name:52} {row.ours:>10,.2f} {peer:>10} {row.ratio:>7.2f} {row.goal:>6.2f}  "
        f"{row.unit}, {row.peer_name}: {verdict}"
    )


if __name__ == "__main__":
    sys.exit(main())
