"""What is wrong with a run is said at once, with what to do, before Learnosity is bothered and nothing landed."""

from __future__ import annotations

import obstore
import pytest

from devstack.stack import Stack
from tests.integration.scenarios import Control, Runs

# What the form's schema refuses, and a word of its message.
REFUSED = {
    "refused-uuid": "dataset_id",
    "refused-type": "dataset_type",
    "refused-groups": "groups",
    "refused-shards": "landing_shards",
    "refused-map-limit": "landing_shards",
    "refused-poll": "poll_interval",
    "refused-uri": "input_uri",
}
# What the first task refuses: what is wrong, and what to do about it.
FAILED = {
    "malformed": ("malformed.ndjson:201", "Correct the input and run again"),
    "missing-input": ("No input found at s3://learnosity/input/nothing-here.ndjson", "Check input_uri"),
    "mixed-formats": ("mixes formats", "Name files of one format with a glob"),
    "no-input": ("needs input files", "set input_uri"),
    "unknown-connection": ("'learnosity_nowhere' does not exist", "Add it in Airflow"),
    "unknown-storage-connection": ("'nowhere' does not exist", "Add it in Airflow"),
    "no-permission": ("no permission", "Check the connection named in the URI"),
    "foreign-bucket": ("runs may not write to s3://aws_landing@foreign/datasets", "learnosity_allowed_uris"),
    "local-input": ("runs may not read from file:///etc/passwd", "learnosity_allowed_uris"),
    "wrong-secret": ("code 41003", "Check the consumer secret"),
    "unknown-type": ("code 44000", "Check `dataset_type`"),
    "unknown-key": ("'filter' is not a field; did you mean 'filters'", "Trigger a new run"),
}
# These are sent to Learnosity, because only Learnosity can know that they are wrong.
SENT = {"wrong-secret", "unknown-type"}


@pytest.mark.parametrize("name", REFUSED)
def test_the_form_refuses_a_bad_value_before_a_run_exists(runs: Runs, name: str) -> None:
    assert name not in runs.started
    assert runs.refused[name].status in (400, 422)
    assert REFUSED[name] in str(runs.refused[name])


@pytest.mark.parametrize("name", FAILED)
@pytest.mark.promise("permanent at once")
def test_a_bad_run_config_fails_at_once_and_says_what_to_do(runs: Runs, name: str) -> None:
    assert runs.finish(name).state == "failed"
    task = runs.tasks(name)["create_dataset"]
    assert (task.state, task.try_number) == ("failed", 1), "a retry cannot help here"
    log = runs.log(name, task)
    for expected in FAILED[name]:
        assert expected in log
        assert log[log.rindex(expected) :].strip().count("\n") > 0, "Airflow writes more lines after the advice"


@pytest.mark.parametrize("name", sorted(set(FAILED) - SENT))
def test_nothing_is_sent_when_it_could_be_known_before(runs: Runs, name: str) -> None:
    runs.finish(name)
    log = runs.log(name, runs.tasks(name)["create_dataset"])
    assert "Initialising dataset" not in log


def test_nothing_lands_from_a_bad_run(runs: Runs, stack: Stack, simulator_control: Control) -> None:
    for name in FAILED:
        runs.finish(name)
    started = set(simulator_control.get("stats")["jobs_started"])
    stored = {
        entry["path"].split("/")[1]
        for batch in obstore.list(stack.seaweedfs.store("learnosity", prefix="datasets"))
        for entry in batch
        if not entry["path"].endswith("latest.json")
    }
    assert stored <= started
    assert not list(obstore.list(stack.seaweedfs.store("elsewhere", keys=stack.seaweedfs.admin)))


@pytest.mark.promise("advice")
def test_problems_of_the_input_name_file_and_line_and_keep_the_content_to_themselves(runs: Runs) -> None:
    runs.finish("malformed")
    log = runs.log("malformed", runs.tasks("malformed")["create_dataset"])
    assert "malformed.ndjson:201" in log
    assert "malformed.ndjson:202" in log
    assert '"groups"' not in log
