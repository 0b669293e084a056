"""``python -m devstack.screenshots``: the pictures of the README, taken from a real run on a stack of its own.

It lands a small dataset first, so that the pictures show what users see after their first run.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from devstack.browser import SECONDS, Ui, browser, follow
from devstack.environment import REPOSITORY
from devstack.errors import DevstackError
from devstack.output import say
from devstack.rest import AirflowApi
from devstack.samples import DAG_ID, analysis_conf, group_conf, land, upload_users
from devstack.secrets import ADMIN
from devstack.stack import Stack, StackOptions

IMAGES = REPOSITORY / "docs" / "images"
USERS = 2_000


def take(folder: Path) -> None:
    """Take all pictures into `folder`.

    :raises DevstackError: when the stack or the run fails
    """
    folder.mkdir(parents=True, exist_ok=True)
    root = REPOSITORY / ".devstack" / f"screenshots-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        # The browser starts before the stack. If no browser is installed, the stack is not started in vain.
        with browser() as running, Stack(root, StackOptions()) as stack:
            run, analysis = land(stack, group_conf(upload_users(stack, USERS))), land(stack, analysis_conf())
            ui = Ui.open(running, stack.airflow.url, width=1280, height=800)
            ui.log_in(ADMIN, stack.airflow.passwords[ADMIN])
            page(ui, run.dag_run_id, "Results", folder / "page.png")
            again = land(stack, group_conf(upload_users(stack, USERS + 200)))
            compared(ui, again.dag_run_id, folder / "compare.png")
            use(ui, run.dag_run_id, folder / "use.png")
            failed(ui, stack.airflow.api, folder / "failed.png")
            halted(ui, stack, folder / "halted.png")
            landing(ui, stack, folder / "running.png")
            empty(ui, stack, folder / "empty.png")
            the_list(ui, folder / "list.png")
            page(ui, run.dag_run_id, "Report", folder / "report.png")
            items(ui, analysis.dag_run_id, folder / "items.png")
            form(ui, folder / "form.png")
            # The graph is the last picture. Once it was shown, Airflow shows it on the other pages, too.
            graph(ui, run.dag_run_id, folder / "graph.png")
            if ui.problems:
                raise DevstackError("\n  ".join(["the browser complains:", *ui.problems]))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def graph(ui: Ui, run_id: str, file: Path) -> None:
    """The run as a graph, its groups unfolded."""
    ui.page.set_viewport_size({"width": 1280, "height": 620})
    ui.goto(f"/dags/{DAG_ID}/runs/{run_id}")
    ui.page.get_by_label("Show Graph").click()
    expect(ui.page.get_by_text("create_dataset").first).to_be_visible()
    unfold = ui.page.get_by_label("Expand all task groups")
    if unfold.is_enabled():
        unfold.click()
    expect(ui.page.get_by_text("publish").first).to_be_visible()
    ui.settle()
    ui.page.screenshot(path=file)


def page(ui: Ui, run_id: str, tab: str, file: Path) -> None:
    """A tab of the dataset's page, one group down."""
    ui.page.set_viewport_size({"width": 1280, "height": 1280 if tab == "Results" else 800})
    dataset = ui.dataset(DAG_ID, run_id)
    follow(dataset.get_by_role("link", name=tab, exact=True))
    # The report of the Reports API is in a frame inside the page, where its groups are buttons and not links.
    shown = dataset.frame_locator("iframe[title=Report]") if tab == "Report" else dataset
    shown.get_by_role("button" if tab == "Report" else "link", name="district_1", exact=True).click()
    expect(shown.get_by_text("school_10")).to_be_visible()
    ui.settle()
    ui.page.screenshot(path=file)


def items(ui: Ui, run_id: str, file: Path) -> None:
    """The page of an item analysis, from its summary on."""
    ui.page.set_viewport_size({"width": 1280, "height": 900})
    ui.goto(f"/learnosity/run/{DAG_ID}/{run_id.replace('+', '%2B')}?only=flagged")
    expect(ui.page.locator("#scatter")).to_be_visible()
    ui.page.evaluate("document.querySelector('.tiles').scrollIntoView()")
    ui.settle()
    ui.page.screenshot(path=file)


def compared(ui: Ui, run_id: str, file: Path) -> None:
    """The page that compares the schools of a district with those of the dataset before."""
    ui.page.set_viewport_size({"width": 1280, "height": 900})
    ui.goto(f"/learnosity/run/{DAG_ID}/{run_id.replace('+', '%2B')}/compare?group=district_1")
    expect(ui.page.get_by_role("region", name="Key figures")).to_be_visible()
    ui.settle()
    ui.page.screenshot(path=file)


def failed(ui: Ui, api: AirflowApi, file: Path) -> None:
    """The page of a run that failed, because nothing was filled in."""
    ui.page.set_viewport_size({"width": 1280, "height": 800})
    run = api.wait_for_run(DAG_ID, api.trigger(DAG_ID, {}).dag_run_id)
    dataset = ui.dataset(DAG_ID, run.dag_run_id)
    expect(dataset.get_by_role("heading", name="Failed in create_dataset")).to_be_visible()
    ui.settle()
    ui.page.screenshot(path=file)


def use(ui: Ui, run_id: str, file: Path) -> None:
    """The tab that says how other tools read the dataset."""
    ui.page.set_viewport_size({"width": 1280, "height": 1280})
    dataset = ui.dataset(DAG_ID, run_id)
    follow(dataset.get_by_role("link", name="Use this data"))
    expect(dataset.get_by_role("heading", name="Where it is")).to_be_visible()
    ui.settle()
    ui.page.screenshot(path=file)


def halted(ui: Ui, stack: Stack, file: Path) -> None:
    """The page of a run whose job Learnosity has halted."""
    why = "No session was found for this activity in the given period."
    faults(stack, {"match": "job", "kind": "job_halt", "message": why, "times": 1})
    api = stack.airflow.api
    run = api.wait_for_run(DAG_ID, api.trigger(DAG_ID, analysis_conf()).dag_run_id)
    dataset = ui.dataset(DAG_ID, run.dag_run_id)
    expect(dataset.get_by_role("heading", name="Failed in wait_for_job")).to_be_visible()
    ui.settle()
    ui.page.screenshot(path=file)


def landing(ui: Ui, stack: Stack, file: Path) -> None:
    """The page of a run that lands its files, slowly, when it knows how much is left."""
    faults(stack, {"match": "file", "kind": "latency", "seconds": 12.0})
    api = stack.airflow.api
    run = api.trigger(DAG_ID, group_conf(upload_users(stack, USERS)))
    dataset = ui.dataset(DAG_ID, run.dag_run_id)
    expect(dataset.get_by_text(re.compile(r"^about \d"))).to_be_visible(timeout=180 * SECONDS)
    ui.settle()
    ui.page.screenshot(path=file)
    stack.simulator.control("faults", method="DELETE")
    api.wait_for_run(DAG_ID, run.dag_run_id)


def empty(ui: Ui, stack: Stack, file: Path) -> None:
    """The page of a green run whose dataset is empty, because no session was in the time that was asked for."""
    long_ago = {"activity_id": ["reading-2026"], "mintime": "2001-01-01", "maxtime": "2001-12-31"}
    run = land(stack, analysis_conf(dataset_type="activity-analysis-by-question", filters=long_ago))
    dataset = ui.dataset(DAG_ID, run.dag_run_id)
    expect(dataset.get_by_role("note")).to_contain_text("This dataset is empty.")
    ui.settle()
    ui.page.screenshot(path=file)


def the_list(ui: Ui, file: Path) -> None:
    """The list of all datasets and open runs."""
    ui.goto("/plugin/learnosity")
    expect(ui.page.frame_locator("iframe").get_by_text("published").last).to_be_visible()
    ui.settle()
    ui.page.screenshot(path=file)


def faults(stack: Stack, rule: dict[str, Any]) -> None:
    """Let the simulator make a mistake."""
    stack.simulator.control("faults", method="POST", body=[rule])


def form(ui: Ui, file: Path) -> None:
    """The trigger form, which opens its first section."""
    ui.page.set_viewport_size({"width": 1280, "height": 1240})
    ui.goto(f"/dags/{DAG_ID}")
    ui.page.get_by_test_id("trigger-dag-button").click()
    dialog = ui.page.get_by_role("dialog")
    expect(dialog.get_by_text("Input files (input_uri)", exact=True)).to_be_visible(timeout=10 * SECONDS)
    ui.settle()
    dialog.screenshot(path=file)


def main(arguments: list[str] | None = None) -> int:
    """Take the pictures; 1 when it does not work."""
    argparse.ArgumentParser(prog="python -m devstack.screenshots", description=__doc__).parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that SIGTERM also stops the stack, as Ctrl-C does
    try:
        take(IMAGES)
    except (DevstackError, RuntimeError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    for file in sorted(IMAGES.glob("*.png")):
        say(f"{file.relative_to(REPOSITORY)}  {file.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
