"""The demonstration: a whole night's work in two minutes, on this machine alone, checked at the end.

It makes a district of users, has their dataset generated and landed by the DAG, and reads the result as its consumers
do. It succeeds only if every landed byte is the one that the manifest promises, and leaves nothing running.
"""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore

from devstack.errors import DevstackError
from devstack.landed import LandedDataset
from devstack.output import say, size, table
from devstack.progress import Progress
from devstack.samples import DAG_ID, GROUP_TYPE, group_conf, upload_records
from devstack.stack import Stack, StackOptions
from devstack.tasks import in_order, label

if TYPE_CHECKING:
    from airflow_client.client import DAGRunResponse

    from devstack.rest import AirflowApi

INPUT_KEY = "input/users.ndjson"
JOB_SECONDS = 8.0  # long enough for the task to be seen waiting in the triggerer


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """How big the demonstration is.

    :param users: how many users the district has
    :param seed: which district; the same number gives the same one
    :param shards: how many tasks share the landing
    :param timeout: seconds that the run may take
    """

    users: int = 20_000
    seed: int = 1
    shards: int = 2
    timeout: float = 600.0


def run_demo(root: Path, options: DemoOptions) -> None:
    """Tell the story on standard output.

    :param root: folder for everything; removed at the end, and kept for its logs when something fails
    :raises DevstackError: when something fails, or when what landed does not verify
    """
    say(f"A Learnosity dataset of {options.users:,} users, generated and landed by Airflow on this machine.\n")
    say("Services, all on free ports of 127.0.0.1")
    keep_logs = True
    try:
        with Stack(
            root, StackOptions(job_seconds=JOB_SECONDS), report=lambda text, seconds: say(f"  {seconds:6.1f} s  {text}")
        ) as stack:
            conf = group_conf(_input(stack, options), landing_shards=options.shards)
            run = _run(stack.airflow.api, conf, options.timeout)
            _results(stack, run)
        keep_logs = False
    except (KeyboardInterrupt, SystemExit):  # the user has stopped the demo, so nobody needs the logs
        keep_logs = False
        raise
    finally:
        _tidy(root, keep_logs)
    say("\nAll services are stopped and their data is removed. `make up` starts a stack that stays, with Airflow's UI.")


def _tidy(root: Path, keep_logs: bool) -> None:
    if not keep_logs:
        shutil.rmtree(root)
        return
    for each in root.iterdir():
        if each.name == "logs":
            say(f"\nThe logs are kept in {each}")
        elif each.is_dir():
            shutil.rmtree(each)
        else:
            each.unlink()


def _input(stack: Stack, options: DemoOptions) -> str:
    started = time.monotonic()
    uri = upload_records(stack, INPUT_KEY, options.users, seed=options.seed)
    length = obstore.head(stack.seaweedfs.store(), INPUT_KEY)["size"]
    say(f"\nInput\n  {uri}")
    say(f"  {options.users:,} users, {size(length)}, {time.monotonic() - started:.1f} s")
    return uri


def _run(api: AirflowApi, conf: dict[str, Any], timeout: float) -> DAGRunResponse:
    api.wait_for_dag(DAG_ID)
    run = api.trigger(DAG_ID, conf)
    say(f"\nRun {run.dag_run_id} of the DAG {DAG_ID}")
    with closing(Progress(lambda task: api.why_failed(DAG_ID, run.dag_run_id, task))) as progress:
        run = api.wait_for_run(DAG_ID, run.dag_run_id, timeout=timeout, on_poll=progress)
    if run.state != "success":
        for task in api.task_instances(DAG_ID, run.dag_run_id):
            if task.state == "failed":
                lines = api.log(DAG_ID, run.dag_run_id, task).splitlines()[-30:]
                say("\n".join([f"\nThe end of the log of {label(task)}:", *(f"  {line}" for line in lines)]))
        raise DevstackError(f"the run ended as {run.state.value}")
    return run


def _results(stack: Stack, run: DAGRunResponse) -> None:
    tasks = stack.airflow.api.task_instances(DAG_ID, run.dag_run_id)
    store = stack.seaweedfs.store(prefix=stack.options.prefix)
    dataset = LandedDataset.latest(store, GROUP_TYPE)
    manifest = dataset.manifest
    say(f"\nLanded\n  {stack.destination_uri}/{dataset.folder}/manifest.json")
    say(f"  {manifest.file_count:,} files, {size(manifest.total_bytes)}, published {manifest.published_at}")
    say("\nSeconds by task")
    say(table([(label(task), f"{task.duration or 0:.1f}") for task in in_order(tasks)]))
    root = dataset.json("groups/group.json")
    rows = [root["group"] | {"group_name": "(all)"}, *root["groups"]]
    say("\nResults, read through the manifest")
    say(table([("District", "users", "groups in it", "mean %", "median %"), *(_row(row) for row in rows)]))
    started = time.monotonic()
    problems = dataset.problems()
    if problems:
        raise DevstackError("\n  ".join(["what landed is not what the manifest says:", *problems[:20]]))
    say("\nVerified: size and SHA-256 of every file against files.ndjson, and that against the manifest")
    say(f"  {manifest.file_count:,} of {manifest.file_count:,} files are right, {time.monotonic() - started:.1f} s")


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(row["group_name"]),
        f"{row['population']:,}",
        f"{row['group_count']:,}",
        f"{row['mean_percent']:.2f}",
        f"{row['median_percent']:.2f}",
    )
