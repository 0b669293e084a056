"""What a new user finds after ``make up``: two landed datasets, and a run that can be triggered again as it is.

The runs have ids of their own, so that a later start finds them and lands nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from devstack.errors import ApiError, DevstackError
from devstack.rest import ENDED
from devstack.samples import DAG_ID, analysis_conf, group_conf, upload_records

if TYPE_CHECKING:
    from devstack.stack import Stack

INPUT_KEY = "input/sample-users.ndjson"
USERS = 1_000
GROUPS_RUN = "sample_groups"
ITEMS_RUN = "sample_items"
LAND_SECONDS = 240.0


def prepare(stack: Stack) -> None:
    """Land both samples, unless an earlier start has done so.

    :raises DevstackError: a run fails or takes too long; the stack works all the same
    """
    begin(stack)
    finish(stack)


def begin(stack: Stack) -> bool:
    """Put the sample's input into the bucket, and trigger the runs that are not there. Their pages can be opened then.

    :returns: whether at least one of the runs has not ended yet
    :raises DevstackError: it does not work; the stack does all the same
    """
    api = stack.airflow.api
    api.wait_for_dag(DAG_ID)
    confs: dict[str, Callable[[], dict[str, Any]]] = {
        GROUPS_RUN: lambda: group_conf(upload_records(stack, INPUT_KEY, USERS)),
        ITEMS_RUN: analysis_conf,
    }
    going = False
    for run_id, conf in confs.items():
        try:
            going |= api.dag_run(DAG_ID, run_id).state not in ENDED
        except ApiError as error:
            if error.status != 404:
                raise
            api.trigger(DAG_ID, conf(), run_id=run_id)
            going = True
    return going


def finish(stack: Stack) -> None:
    """Wait until both samples have landed.

    :raises DevstackError: a run fails or takes too long; the stack works all the same
    """
    api = stack.airflow.api
    for run_id in (GROUPS_RUN, ITEMS_RUN):
        run = api.wait_for_run(DAG_ID, run_id, timeout=LAND_SECONDS)
        if run.state != "success":
            raise DevstackError(f"The sample {run_id} ended as {run.state.value}; {stack.logs} says why.")


def instructions(airflow_url: str) -> str:
    """How to come to a first result with four clicks, for a terminal."""
    run = f"{airflow_url}/dags/{DAG_ID}/runs/{GROUPS_RUN}"
    return "\n".join(
        [
            "Samples    the tab Learnosity shows the results:",
            f"  groups   {run}",
            f"  items    {airflow_url}/dags/{DAG_ID}/runs/{ITEMS_RUN}",
            "Try it     open the run of the groups → Trigger → Trigger again with this config → Trigger",
        ]
    )
