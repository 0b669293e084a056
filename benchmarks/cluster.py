"""A million files through the whole DAG: `python -m benchmarks.cluster`, with PostgreSQL, Redis and two Celery workers.

The dataset exists already and is listed in pages of 1,000, so that no input has to be made. Eight tasks land it, each
worker runs one of them at a time. Printed are the seconds of each task, the most memory of one task process, the calls
of the API, the S3 requests, how much the database grows, and how long the dataset's pages take to open. Of a dataset of
a million files, the pages do not show the files.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psutil
from airflow_client.client import DAGRunResponse
from playwright.sync_api import expect

from benchmarks.pages import PAGE_FILES, calls_of, paged_api
from benchmarks.source import DATASET_TYPE, Source
from devstack.browser import SECONDS, Ui, browser
from devstack.celery import CeleryStack
from devstack.samples import DAG_ID
from devstack.secrets import ADMIN
from devstack.stack import LEARNOSITY_CONN_ID, StackOptions
from learnosity.dataset.limits import PAGE

FILES = 1_000_000
SHARDS = 8
WORKERS = 2
GOAL_PAGE_SECONDS = 2.0
GOAL_GROWTH = 1.15
RUN_SECONDS = 6 * 3600.0
OPENINGS = 5


class PagedStack(CeleryStack):
    """A Celery stack whose Learnosity is the paged API."""

    def __init__(self, root: Path, api: str) -> None:
        super().__init__(root, StackOptions(), workers=WORKERS, concurrency=1)
        self._api = api

    def connections(self) -> dict[str, dict[str, Any]]:
        """Those of every stack, but for the address of Learnosity."""
        found = super().connections()
        address = urlsplit(self._api)
        found[LEARNOSITY_CONN_ID] |= {"schema": address.scheme, "host": address.hostname, "port": address.port}
        return found


def measure(files: int) -> tuple[float, bool]:
    """Land one dataset on a stack of its own, and open its pages.

    :returns: seconds of a run, and whether its goals are reached
    """
    with (
        tempfile.TemporaryDirectory(prefix="learnosity-cluster-") as folder,
        _source(Path(folder) / "source") as source,
        paged_api(source, files, "groups") as api,
        PagedStack(Path(folder) / "stack", api) as stack,
    ):
        stack.airflow.api.wait_for_dag(DAG_ID)
        before, requests = stack.database_bytes(), stack.seaweedfs.requests()
        with _peak(stack) as peak:
            run = _land(stack)
        seconds = (run.end_date - run.start_date).total_seconds() if run.end_date and run.start_date else 0.0
        calls, grown = calls_of(api), stack.database_bytes() - before
        asked = {kind: count - requests.get(kind, 0) for kind, count in stack.seaweedfs.requests().items()}
        print(f"{files:>9,} files: {run.state.value} after {seconds:,.0f} s; {_tasks(stack, run)}")
        print(f"{'':>9}  most memory of a task process {peak():.0f} MB, Airflow's own included")
        print(f"{'':>9}  {calls} calls of the API (goal {-(-files // PAGE_FILES)} + {SHARDS})")
        print(
            f"{'':>9}  S3 requests: {', '.join(f'{count:,} {kind}' for kind, count in sorted(asked.items()) if count)}"
        )
        print(f"{'':>9}  the database grew by {grown / 1e6:.1f} MB", flush=True)
        ok = run.state == "success" and calls <= -(-files // PAGE_FILES) + SHARDS
        return seconds, _pages(stack, run, listed=files <= PAGE.files) and ok


@contextmanager
def _source(root: Path) -> Iterator[Source]:
    source = Source(root)
    try:
        yield source
    finally:
        source.stop()


def _land(stack: CeleryStack) -> DAGRunResponse:
    conf = {
        "dataset_type": DATASET_TYPE,
        "dataset_id": str(uuid.uuid4()),
        "create": False,
        "landing_shards": SHARDS,
    }
    api = stack.airflow.api
    return api.wait_for_run(DAG_ID, api.trigger(DAG_ID, conf).dag_run_id, timeout=RUN_SECONDS)


def _tasks(stack: CeleryStack, run: DAGRunResponse) -> str:
    seconds: dict[str, list[float]] = {}
    for task in stack.airflow.api.task_instances(DAG_ID, run.dag_run_id):
        seconds.setdefault(task.task_id.removeprefix("land."), []).append(task.duration or 0.0)
    return ", ".join(
        f"{name} {took[0]:.0f} s" if len(took) == 1 else f"{len(took)} x {name} {median(took):.0f} s"
        for name, took in seconds.items()
    )


@contextmanager
def _peak(stack: CeleryStack) -> Iterator[Callable[[], float]]:
    """Watch all processes below the workers, once a second; yields what tells the most memory of one so far, in MB."""
    ended, most = threading.Event(), 0

    def watch() -> None:
        nonlocal most
        while not ended.wait(1.0):
            for worker in list(stack.workers.values()):
                for process in _below(worker.pid):
                    most = max(most, _resident(process))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield lambda: most / 1e6
    finally:
        ended.set()
        watching.join()


def _below(pid: int) -> Sequence[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _pages(stack: CeleryStack, run: DAGRunResponse, *, listed: bool) -> bool:
    page = f"/learnosity/run/{DAG_ID}/{run.dag_run_id.replace('+', '%2B')}"
    shown: Mapping[str, tuple[str, Callable[[Ui], Any]]] = {
        "dataset page": (page, lambda ui: ui.page.get_by_text("About this dataset").first),
        "use this data": (f"{page}/use", lambda ui: ui.page.get_by_text("Where it is").first),
    }
    of_files: Mapping[str, tuple[str, Callable[[Ui], Any]]] = {
        "results": (page, lambda ui: ui.page.get_by_text("district_1", exact=True).first),
        "list of files": (f"{page}/files", lambda ui: ui.page.get_by_role("link", name="Download").first),
        "search in files": (
            f"{page}/files?q=school_7+class_499",
            lambda ui: ui.page.get_by_role("link", name="Download").first,
        ),
        "a school": (
            f"{page}?group=district_0&group=school_1",
            lambda ui: ui.page.get_by_text("district_1", exact=True).first,
        ),
    }
    if listed:
        shown = {**shown, **of_files}
    slowest = 0.0
    with browser() as running:
        ui = Ui.open(running, stack.airflow.url)
        ui.page.set_default_timeout(60 * SECONDS)
        ui.log_in(ADMIN, stack.airflow.passwords[ADMIN])
        for name, (address, seen) in shown.items():
            first, *others = [_opened(ui, address, seen) for _ in range(OPENINGS + 1)]
            slowest = max(slowest, first, median(others))
            print(f"{'':>9}  {name}: first {first:.2f} s, median of {OPENINGS} {median(others):.2f} s", flush=True)
        ui.close()
    print(f"{'':>9}  pages: goal {GOAL_PAGE_SECONDS:.0f} s {_verdict(slowest <= GOAL_PAGE_SECONDS)}")
    return slowest <= GOAL_PAGE_SECONDS


def _opened(ui: Ui, address: str, seen: Callable[[Ui], Any]) -> float:
    started = time.perf_counter()
    ui.goto(address)
    expect(seen(ui)).to_be_visible(timeout=60 * SECONDS)
    return time.perf_counter() - started


def _verdict(reached: bool) -> str:
    return "reached" if reached else "NOT reached"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Its exit code says whether all goals are reached."""
    # SIGTERM ends this program as Ctrl-C does, so that it stops its servers first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--files", default=f"50000,{FILES}", help="numbers of files, with commas between")
    options = parser.parse_args(arguments)
    sizes = [int(files) for files in options.files.split(",")]
    found = [measure(files) for files in sizes]
    growth = found[-1][0] / sizes[-1] / (found[0][0] / sizes[0])
    print(f"seconds a file, last against first: {growth:.2f} (goal: at most {GOAL_GROWTH})")
    ok = growth <= GOAL_GROWTH and all(reached for _, reached in found)
    print(f"goals {_verdict(ok)}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
