"""How long a new user's first visit takes, from ``make up`` to a result, by phase: `python -m benchmarks.visit`.

The virtual environment is there already. A phase has its wall time, and the processor time of all processes of the
stack and of the browser, which says more on a machine that others use too. The login is what is pasted from the
terminal; everything else is clicks. Nothing is left running.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import FrameLocator, expect

from devstack import background, first_visit
from devstack.browser import INSTALL_HINT, SECONDS, Ui, browser, find_browser
from devstack.samples import DAG_ID

GOAL_SECONDS = 60.0
READY = "Both samples land now"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when a result was read later than the goal."""
    argparse.ArgumentParser(prog="python -m benchmarks.visit", description=__doc__).parse_args(arguments)
    if find_browser() is None:
        raise SystemExit(INSTALL_HINT)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="learnosity-visit-") as folder:
        root = Path(folder)
        try:
            took = _visit(root)
        finally:
            background.stop(root)
    print(f"{took:.1f} s from `make up` to the result of a sample, goal {GOAL_SECONDS:.0f} s")
    return int(took > GOAL_SECONDS)


def _visit(root: Path) -> float:
    """Start, look at a sample, make a result of one's own. Seconds until the sample's result was read."""
    phases = Phases(root)
    began = time.monotonic()
    print(f"load of the machine {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "devstack", "up", f"--root={root}"], stdout=subprocess.PIPE, text=True
    ) as up:
        assert up.stdout
        with phases.of("the stack starts"):
            while (line := up.stdout.readline()) and not line.startswith(READY):
                pass
        return _looked(root, phases, began, up)


def _looked(root: Path, phases: Phases, began: float, up: subprocess.Popen[str]) -> float:
    """Log in while the samples land, and go on as above."""
    running = background.find(root)
    if running is None:
        raise SystemExit("make up failed")
    (address,) = re.findall(r"^  groups +(\S+)", first_visit.instructions(running.airflow_url), re.MULTILINE)
    with browser() as chromium:
        ui = Ui.open(chromium, running.airflow_url)
        ui.page.set_default_timeout(240 * SECONDS)  # a slow page must be measured and not end in a time-out
        dataset = ui.page.frame_locator("iframe[title=Learnosity]")
        with phases.of("log in"):
            ui.log_in(*background.login(root))
        with phases.of("a sample's result"):
            ui.page.goto(address)
            ui.page.get_by_role("link", name="Learnosity", exact=True).click()
            _read(dataset)
        took = time.monotonic() - began
        with phases.of("both samples have landed"):
            up.wait()
        with phases.of("trigger it again, and read"):
            ui.page.get_by_test_id("trigger-dag-button").click()
            ui.page.get_by_role("menuitem", name="Trigger again with this config").click()
            ui.page.get_by_role("dialog").get_by_test_id("trigger-dag-submit").click()
            ui.page.wait_for_url(lambda url: f"/dags/{DAG_ID}/runs/" in url and first_visit.GROUPS_RUN not in url)
            ui.page.get_by_role("link", name="Learnosity", exact=True).click()
            _read(dataset)
    return took


def _read(dataset: FrameLocator) -> None:
    district = dataset.get_by_role("link", name="district_1", exact=True)
    expect(district).to_be_visible(timeout=240 * SECONDS)
    district.click()
    expect(dataset.get_by_role("columnheader", name="School")).to_be_visible()


class Phases:
    """Prints wall and processor time of each phase.

    :param root: folder of the stack, by which its detached processes are found.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """The block is one phase."""
        began, before = time.monotonic(), self._processor()
        yield
        wall, used = time.monotonic() - began, self._processor() - before
        print(f"  {name:28} {wall:6.1f} s   {used:6.1f} s of processor time", flush=True)

    def _processor(self) -> float:
        """Seconds that this process, its children and the services of the stack have used, with children that ended."""
        running = background.find(self._root)
        services = [each.leader.process() for each in running.services] if running else []
        leaders = [psutil.Process(), *filter(None, services)]
        found = {each.pid: each for leader in leaders for each in (leader, *leader.children(recursive=True))}
        return sum(_used(each) for each in found.values())


def _used(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


if __name__ == "__main__":
    sys.exit(main())
