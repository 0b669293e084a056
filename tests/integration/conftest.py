"""A real Airflow, S3 server and simulator for the whole session, and the runs that the tests look at.

All runs are triggered before the first test looks at one, so that Airflow works on them side by side; each test
then waits for its own.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import obstore
import pytest
from airflow_client.client import ConnectionApi

from devstack.environment import REPOSITORY
from devstack.stack import Stack, StackOptions
from simulator.population import records
from tests.integration.scenarios import (
    ANALYSIS_OPTIONS,
    DAG_ID,
    LEVELS,
    USERS,
    Control,
    Runs,
    group_conf,
    simulator_connection,
)
from tests.integration.statsd import Statsd
from tests.integration.webhook import CONN_ID, Webhook

LATE = f"""
name: late
schedule: "* * * * *"
deadline_minutes: 0.05
notify: {{http_conn_id: {CONN_ID}}}
params: {{dataset_type: ibk-analysis-by-question}}
"""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Everything in this folder needs the stack."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def metrics() -> Iterator[Statsd]:
    """Where Airflow sends its metrics."""
    with Statsd() as statsd:
        yield statsd


@pytest.fixture(scope="session")
def webhook() -> Iterator[Webhook]:
    """Where notifiers tell of trouble."""
    with Webhook() as webhook:
        yield webhook


@pytest.fixture(scope="session")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's DAGs, and a schedule that is always late."""
    folder = tmp_path_factory.mktemp("dags")
    shutil.copytree(REPOSITORY / "dags", folder, dirs_exist_ok=True)
    (folder / "datasets" / "late.yaml").write_text(LATE)
    return folder


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, metrics: Statsd, webhook: Webhook, dags: Path) -> Iterator[Stack]:
    """The stack, with connections and buckets for what is to go wrong."""
    environment = metrics.airflow_env | webhook.airflow_env
    options = StackOptions(job_seconds=1.0, dags=dags, airflow_env=environment)
    with Stack(tmp_path_factory.mktemp("stack"), options) as stack:
        stack.airflow.api.wait_for_dag(DAG_ID)
        wrong = simulator_connection(
            stack, "learnosity_wrong_secret", conn_type="http", password="not-the-secret-of-this-consumer"
        )
        ConnectionApi(stack.airflow.api.client).post_connection(wrong)
        stack.seaweedfs.make_bucket("elsewhere")
        _write_input(stack)
        yield stack


def _write_input(stack: Stack) -> None:
    store = stack.seaweedfs.store("learnosity")

    def lines(dataset_type: str, seed: int = 1) -> bytes:
        encoder = msgspec.json.Encoder()
        return b"".join(encoder.encode(line) + b"\n" for line in records(USERS, dataset_type, LEVELS, seed))

    group_lines = lines("activity-summary-by-group")
    obstore.put(store, "input/users.ndjson", group_lines)
    obstore.put(store, "input/sessions.ndjson.gz", gzip.compress(lines("sessions-summary-by-group")))
    half = group_lines.index(b"\n", len(group_lines) // 2) + 1
    obstore.put(store, "input/folder/a.ndjson", group_lines[:half])
    obstore.put(store, "input/folder/b.ndjson.gz", gzip.compress(group_lines[half:]))
    obstore.put(store, "input/analysis.ndjson", lines("ibk-analysis-by-question"))
    obstore.put(store, "input/malformed.ndjson", group_lines + b'{"user_id": "u1", "groups"\n{"user_id": 7}\n')
    for number in range(101):
        obstore.put(store, f"input/many/{number:03d}.ndjson", group_lines[: group_lines.index(b"\n") + 1])


@pytest.fixture(scope="session")
def runs(stack: Stack) -> Runs:
    """Every run that a test of this folder looks at, already triggered."""
    runs = Runs(stack)
    analysis = {"options": ANALYSIS_OPTIONS}
    sessions = stack.uri("input/analysis.ndjson")
    good = {
        "activity-summary": group_conf(stack),
        "sessions-summary": group_conf(
            stack, "sessions-summary-by-group", input_uri=stack.uri("input/sessions.ndjson.gz"), landing_shards=3
        ),
        "item-bank": {"dataset_type": "ibk-analysis-by-question", **analysis},
        "item-bank-files": {"dataset_type": "ibk-analysis-by-question", "input_uri": sessions, **analysis},
        "activity-analysis": {
            "dataset_type": "activity-analysis-by-question",
            "filters": {"activity_id": ["maths_2026"]},
            **analysis,
        },
        "activity-analysis-files": {
            "dataset_type": "activity-analysis-by-question",
            "input_uri": sessions,
            **analysis,
        },
        "folder-csv": group_conf(stack, input_uri=stack.uri("input/folder"), include=["*.csv"]),
    }
    bad = {
        "malformed": group_conf(stack, input_uri=stack.uri("input/malformed.ndjson")),
        "missing-input": group_conf(stack, input_uri=stack.uri("input/nothing-here.ndjson")),
        "many-files": group_conf(stack, input_uri=stack.uri("input/many/")),
        "no-input": group_conf(stack, input_uri=None),
        "unknown-type": group_conf(stack, "no-such-type"),
        "unknown-connection": group_conf(stack, learnosity_conn_id="learnosity_nowhere"),
        "unknown-storage-connection": group_conf(stack, input_uri="s3://nowhere@learnosity/input/users.ndjson"),
        "wrong-secret": group_conf(stack, learnosity_conn_id="learnosity_wrong_secret"),
        "no-permission": group_conf(stack, destination_uri="s3://aws_landing@elsewhere/datasets"),
    }
    refused = {
        "refused-uuid": group_conf(stack, dataset_id="not-a-uuid"),
        "refused-type": {**group_conf(stack), "dataset_type": 5},
        "refused-groups": group_conf(stack, groups=[{"label": "no key"}]),
        "refused-shards": group_conf(stack, landing_shards=0),
        "refused-map-limit": group_conf(stack, landing_shards=1025),
        "refused-poll": group_conf(stack, poll_interval=3600),
        "refused-uri": group_conf(stack, input_uri="no scheme"),
    }
    notes = {"folder-csv": "for the board meeting"}
    # Tasks that start while others are triggered can hold SQLite for as long as the API server waits for it.
    stack.airflow.api.pause(DAG_ID)
    for name, conf in {**refused, **good, **bad}.items():
        runs.start(name, conf, note=notes.get(name))
    stack.airflow.api.unpause(DAG_ID)
    return runs


@pytest.fixture
def simulator_control(stack: Stack) -> Control:
    """The simulator's own counts and truth."""
    return Control(stack.simulator.url)
