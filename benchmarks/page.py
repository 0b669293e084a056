"""How fast the page of a large dataset opens, landed by the DAG into S3, read by Airflow, and seen in Chromium.

`python -m benchmarks.page`. A figure is the time from asking for the page until its table is visible, and the processor
time of the API server for it, which says more on a busy machine. The first opening has a figure of its own: for it, the
API server reads the dataset's list of files and its index of names. At the end, the list of files and the manifest are
replaced by those of a million files, of which the pages show what the manifest says.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec
import obstore
import psutil
from airflow_client.client import DAGRunResponse
from playwright.sync_api import expect

from devstack.airflow import API_SERVER
from devstack.browser import SECONDS, Ui, browser
from devstack.samples import DAG_ID, group_conf, land
from devstack.secrets import ADMIN
from devstack.stack import Stack, StackOptions
from learnosity.dataset.layout import FILES
from learnosity.dataset.manifest import FileEntry, decode_manifest, encode_files, encode_manifest, sha256_hex
from learnosity.storage.uris import parse_uri
from simulator.population import records

GOAL_SECONDS = 1.0
USERS = 200_000  # the dataset then has 12,202 files: two for each group, and a class has 40 users
RUNS = 5
MANY = 1_000_000  # number of files of the dataset that is opened at the end
GOAL_MANY_SECONDS = 2.0


def main() -> int:
    """Measure and print; 1 when an opening took longer than the goal."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--users", type=int, default=USERS, help=f"of the dataset; default: {USERS:,}")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="learnosity-page-") as folder,
        Stack(Path(folder), StackOptions()) as stack,
        browser() as running,
    ):
        run = land(stack, group_conf(_upload(stack, options.users)), timeout=1800)
        files = stack.airflow.api.xcom(DAG_ID, run.dag_run_id, "land.publish")["file_count"]
        load = os.getloadavg()[0]
        print(f"{files:,} files of {options.users:,} users; load {load:.1f}; seconds until the table is visible")
        server = psutil.Process(stack.airflow.processes[API_SERVER].pid)
        ui = Ui.open(running, stack.airflow.url)
        ui.page.set_default_timeout(240 * SECONDS)  # a slow page must be measured and not end in a time-out
        ui.log_in(ADMIN, stack.airflow.passwords[ADMIN])
        reached = [_measure(opening, server) for opening in _openings(ui, run, options.users)]
        _list_many(stack, stack.airflow.api.xcom(DAG_ID, run.dag_run_id, "land.publish")["manifest_uri"])
        reached += [_measure(opening, server) for opening in _openings_of_many(ui, run)]
        ui.close()
    return int(not all(reached))


@dataclass(frozen=True, slots=True)
class Opening:
    """One way to open something.

    :param prepare: leads to where the user stands before; not measured.
    :param goal: seconds, for the first time and for the median; None = it is Airflow's own, to compare with.
    """

    name: str
    open: Callable[[], None]
    prepare: Callable[[], None] = lambda: None
    goal: float | None = GOAL_SECONDS


def _upload(stack: Stack, users: int) -> str:
    """The usual users, but each two classes are one."""

    def lines() -> Iterator[bytes]:
        for record in records(users):
            number = int(record["groups"]["class"].rpartition("_")[2])
            record["groups"]["class"] = f"class_{(number + 1) // 2}"
            yield msgspec.json.encode(record) + b"\n"

    obstore.put(stack.seaweedfs.store(), "input/bench.ndjson", b"".join(lines()))
    return stack.uri("input/bench.ndjson")


def _openings(ui: Ui, run: DAGRunResponse, users: int) -> list[Opening]:
    page = f"/learnosity/run/{DAG_ID}/{run.dag_run_id.replace('+', '%2B')}"
    in_airflow = f"/dags/{DAG_ID}/runs/{run.dag_run_id}"
    tab = ui.page.locator("a[href$='/plugin/dataset']").first
    framed = ui.page.frame_locator("iframe[title=Learnosity]").get_by_role("link", name="district_1", exact=True)

    def results() -> None:
        ui.goto(page)
        expect(ui.page.get_by_role("link", name="district_1", exact=True)).to_be_visible()

    def files() -> None:
        ui.goto(f"{page}/files")
        expect(ui.page.get_by_role("link", name="Download").first).to_be_visible()

    def search() -> None:
        ui.goto(f"{page}/files?q=school_77+group.json")
        expect(ui.page.get_by_role("link", name="Download").first).to_be_visible()

    def class_page() -> None:
        ui.goto(f"{page}?group=district_1&group=school_1&group=class_1")
        expect(ui.page.get_by_role("columnheader", name="User").first).to_be_visible()

    last = [record["user_id"] for record in records(users)][-1]

    def asked() -> None:
        ui.goto(f"{page}/find")
        ui.page.get_by_label("Find a user").fill(last)

    def find() -> None:
        ui.page.get_by_role("button", name="Find").click()
        expect(ui.page.get_by_role("link", name=last)).to_be_visible()

    def airflow() -> None:
        ui.goto(in_airflow)
        expect(tab).to_be_visible()

    def stand_on_the_run() -> None:
        airflow()
        ui.page.wait_for_load_state("networkidle")  # so that loading Airflow's own page is not measured

    def click() -> None:
        tab.click()
        expect(framed).to_be_visible()

    def reload() -> None:
        ui.goto(f"{in_airflow}/plugin/dataset")
        expect(framed).to_be_visible()

    return [
        Opening("dataset page", results),
        Opening("list of files", files),
        Opening("search in files", search),
        Opening("a class", class_page),
        Opening("find a user", find, prepare=asked),
        Opening("tab of the run, clicked", click, prepare=stand_on_the_run),
        Opening("tab, with all of Airflow's UI loaded anew", reload, goal=None),
        Opening("the run in Airflow's UI, loaded anew", airflow, goal=None),
    ]


def _list_many(stack: Stack, manifest_uri: str) -> None:
    """Replace files.ndjson and the manifest of the dataset by those of `MANY` files."""
    store, manifest_path = stack.seaweedfs.store(), parse_uri(manifest_uri).key
    manifest = decode_manifest(bytes(obstore.get(store, manifest_path).bytes()), where=manifest_uri)
    entry = FileEntry("", 200, sha256_hex(b""), "application/json")
    listing = b"".join(
        encode_files(msgspec.structs.replace(entry, path=f"users/{number:07}.json") for number in range(MANY))
    )
    changed = msgspec.structs.replace(
        manifest, file_count=MANY, total_bytes=MANY * entry.bytes, files_sha256=sha256_hex(listing), names=None
    )
    obstore.put(store, f"{manifest_path.rpartition('/')[0]}/{FILES}", listing)
    obstore.put(store, manifest_path, encode_manifest(changed))
    print(f"now with {MANY:,} files, {len(listing) / 1e6:.0f} MB of list")


def _openings_of_many(ui: Ui, run: DAGRunResponse) -> list[Opening]:
    page = f"/learnosity/run/{DAG_ID}/{run.dag_run_id.replace('+', '%2B')}"

    def main_page() -> None:
        ui.goto(page)
        expect(ui.page.get_by_text(f"{MANY:,} files")).to_be_visible()

    def use() -> None:
        ui.goto(f"{page}/use")
        expect(ui.page.get_by_role("heading", name="Where it is")).to_be_visible()

    return [
        Opening("dataset page", main_page, goal=GOAL_MANY_SECONDS),
        Opening("use this data", use, goal=GOAL_MANY_SECONDS),
    ]


def _measure(opening: Opening, server: psutil.Process) -> bool:
    """Open, print, and say whether the goal is reached."""
    took, used = [], []
    for _ in range(RUNS + 1):
        opening.prepare()
        started, before = time.perf_counter(), server.cpu_times()
        opening.open()
        took.append(time.perf_counter() - started)
        after = server.cpu_times()
        used.append(after.user + after.system - before.user - before.system)
    first, *others = took
    worse = max(first, median(others))
    reached = opening.goal is None or worse <= opening.goal
    goal = "" if opening.goal is None else f"goal {opening.goal:.0f}: {'reached' if reached else 'NOT reached'}"
    print(
        f"{opening.name:44} first {first:5.2f}  median of {RUNS} {median(others):5.2f}  {goal}  "
        f"(processor time of the API server {used[0]:.2f}, {median(used[1:]):.2f})",
        flush=True,
    )
    return reached


if __name__ == "__main__":
    sys.exit(main())
