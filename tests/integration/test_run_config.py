"""In a real Airflow: each key of a run config has an effect or is refused, and the destination is never guessed."""

from __future__ import annotations

import pytest
from airflow_client.client import (
    ConnectionApi,
    PatchTaskInstanceBody,
    TaskInstanceApi,
    TaskInstanceResponse,
    TaskInstanceState,
)

from devstack.samples import DAG_ID, group_conf
from devstack.stack import Stack
from devstack.tasks import state
from devstack.waiting import wait_until
from learnosity.run_config import DESTINATION_VARIABLE
from tests.integration.scenarios import Runs, published, simulator_connection
from tests.integration.vault.failing_vault import Outage

BY_VAULT = "learnosity_by_vault"


def test_null_means_the_default_for_every_param(runs: Runs, stack: Stack) -> None:
    result = published(runs, "nulls")
    assert result["destination_uri"] == stack.destination_uri
    assert result["learnosity_conn_id"] == "learnosity_default"


def test_a_text_that_looks_like_a_number_is_sent_as_it_is(runs: Runs) -> None:
    assert runs.finish("text-type").state == "failed"
    log = runs.log("text-type", runs.tasks("text-type")["create_dataset"])
    assert "1e5" in log
    assert "100000" not in log


@pytest.mark.promise("permanent at once")
def test_after_a_create_task_that_was_marked_as_success_the_next_one_says_so(runs: Runs, stack: Stack) -> None:
    name, api = "missing-input", stack.airflow.api
    runs.finish(name)
    by_hand = PatchTaskInstanceBody(new_state=TaskInstanceState.SUCCESS)
    run_id = runs.started[name]
    TaskInstanceApi(api.client).patch_task_instance(
        DAG_ID, run_id, "create_dataset", by_hand, update_mask=["new_state"]
    )
    # Airflow itself goes on with the tasks that follow a marked one: nothing has to be cleared for that.
    wait_until(
        lambda: state(runs.tasks(name)["wait_for_job"]) == "failed", timeout=240, late=lambda: runs.explain(name)
    )
    task = runs.tasks(name)["wait_for_job"]
    assert task.try_number == 1
    assert "was it marked as success by hand? Clear it" in runs.log(name, task)


@pytest.mark.promise("decided once")
def test_a_look_up_that_fails_is_tried_again_and_sends_no_data_elsewhere(
    runs: Runs, stack: Stack, outage: Outage
) -> None:
    for name in runs.started:
        runs.finish(name)
    ConnectionApi(stack.airflow.api.client).post_connection(simulator_connection(stack, BY_VAULT))
    outage.of(BY_VAULT, DESTINATION_VARIABLE)
    runs.start("vault", group_conf(stack.uri("input/users.ndjson"), poll_interval=1, learnosity_conn_id=BY_VAULT))

    def create() -> TaskInstanceResponse:
        return runs.tasks("vault")["create_dataset"]

    for missing, left in ((f"connection '{BY_VAULT}'", [DESTINATION_VARIABLE]), (f"'{DESTINATION_VARIABLE}'", [])):
        wait_until(lambda: state(create()) == "up_for_retry", timeout=120, late=lambda: runs.explain("vault"))
        log = runs.log("vault", create())
        assert f"{missing} could not be read: FailingVault failed with ConnectionError" in log
        outage.of(*left)
        stack.airflow.api.clear(DAG_ID, runs.started["vault"], ["create_dataset"])
        wait_until(lambda: state(create()) != "up_for_retry", timeout=60, late=lambda: runs.explain("vault"))
    result = published(runs, "vault")
    assert (result["destination_uri"], result["learnosity_conn_id"]) == (stack.destination_uri, BY_VAULT)
