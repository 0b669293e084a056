"""A real Airflow, S3 server and simulator for the whole session, and the runs that the tests look at.

All runs are triggered before the first test looks at one, so that Airflow works on them side by side; each test
then waits for its own.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import obstore
import pytest
from airflow_client.client import ConnectionApi
from obstore.store import S3Store

from devstack.environment import REPOSITORY
from devstack.samples import DAG_ID, analysis_conf, group_conf, upload_records
from devstack.stack import Stack, StackOptions
from learnosity.run_config import FIELDS
from tests.integration.scenarios import USERS, Control, Runs, simulator_connection
from tests.integration.statsd import Statsd
from tests.integration.vault.failing_vault import Outage
from tests.integration.webhook import CONN_ID, Webhook

ALLOWED = [f"s3://{place}/" for place in ("aws_landing@learnosity", "aws_landing@elsewhere", "nowhere@learnosity")]
LATE = f"""
name: late
schedule: "* * * * *"
deadline_minutes: 0.05
notify: {{http_conn_id: {CONN_ID}}}
params: {{dataset_type: ibk-analysis-by-question}}
"""

# Schedules that nobody starts but a test, and two files that cannot be used.
SCHEDULES = {
    "by_hand": """
name: by_hand
schedule: "@yearly"
start_date: 2199-01-01
params:
  dataset_type: activity-analysis-by-question
  filters: {mintime: "{{ dag_run | interval_start | iso }}", maxtime: "{{ dag_run | interval_end | iso }}"}
""",
    "on_asset": """
name: on_asset
schedule: {assets: {any: [learnosity_activity-analysis-by-question, "s3://lake/roster"]}}
params:
  dataset_type: ibk-analysis-by-question
  filters: {mintime: "{{ dag_run.run_after | days_before(1) | iso }}"}
""",
    "undated": """
name: undated
schedule: ["@yearly", "0 0 1 7 *"]
start_date: 2199-01-01
params: {dataset_type: ibk-analysis-by-question, filters: {mintime: "{{ dag_run.logical_date | iso }}"}}
""",
    "broken": "name: one\n---\nname: two\n",
}

# A DAG whose waits are always deferred, because `poke` never says that the job is done. Its tasks have retries: on a
# busy machine, Airflow's scheduler may see late that the process which deferred a task has ended. If the task is queued
# again by then, the scheduler believes that this second process has died, and fails the try.
WAITS = "waits"
WAITS_FILE = f"""
import logging
from datetime import timedelta
from airflow.sdk import DAG, Asset, task
from learnosity.operators import LearnosityCreateDatasetOperator
from learnosity.sensors import LearnosityJobSensor

class Wait(LearnosityJobSensor):
    def poke(self, context):
        return False

@task
def read(job):
    return [job]

def callback(context):
    logging.getLogger("airflow.task").info("the callback was called")

KINDS = {{
    "nothing_else": {{}},
    "with_callback": {{"on_success_callback": callback}},
    "with_outlet": {{"outlets": [Asset("a_wait_has_ended")]}},
    "as_asked_for": {{"end_in_triggerer": False}},
}}
with DAG("{WAITS}", schedule=None, default_args={{"retries": 2, "retry_delay": timedelta(seconds=1)}}):
    create = LearnosityCreateDatasetOperator(
        task_id="create_dataset",
        request={{"dataset_type": "ibk-analysis-by-question"}},
        destination_uri="s3://aws_landing@learnosity/datasets",
    )
    for name, more in KINDS.items():
        wait = Wait(task_id=name, job_reference=create.output, deferrable=True, poll_interval=1, **more)
        read.override(task_id="after_" + name)(wait.output)
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
    """The repository's DAGs, a schedule that is always late, more schedules, and a DAG of waits."""
    folder = tmp_path_factory.mktemp("dags")
    shutil.copytree(REPOSITORY / "dags", folder, dirs_exist_ok=True)
    for name, text in {"late": LATE, **SCHEDULES}.items():
        (folder / "datasets" / f"{name}.yaml").write_text(text)
    (folder / f"{WAITS}.py").write_text(WAITS_FILE)
    os.mkfifo(folder / "datasets" / "pipe.yaml")
    return folder


@pytest.fixture(scope="session")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Outage:
    """Outages of the secrets backend that Airflow uses."""
    return Outage(tmp_path_factory.mktemp("vault") / "outage")


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, metrics: Statsd, webhook: Webhook, outage: Outage, dags: Path
) -> Iterator[Stack]:
    """The stack, with connections and buckets for what is to go wrong."""
    environment = metrics.airflow_env | webhook.airflow_env | outage.airflow_env
    environment["AIRFLOW_VAR_LEARNOSITY_ALLOWED_URIS"] = json.dumps(ALLOWED)
    options = StackOptions(job_seconds=1.0, dags=dags, test_button=True, airflow_env=environment)
    with Stack(tmp_path_factory.mktemp("stack"), options) as stack:
        stack.airflow.api.wait_for_dag(DAG_ID)
        wrong = simulator_connection(
            stack, "learnosity_wrong_secret", conn_type="http", password="0123456789abcdefabcd" * 2
        )
        ConnectionApi(stack.airflow.api.client).post_connection(wrong)
        stack.seaweedfs.make_bucket("elsewhere")
        _write_input(stack)
        yield stack


def _write_input(stack: Stack) -> None:
    store = stack.seaweedfs.store("learnosity")

    def packed(key: str, content: bytes) -> None:
        obstore.put(store, key, gzip.compress(content))

    def stored(key: str) -> bytes:
        return bytes(obstore.get(store, key).bytes())

    upload_records(stack, "input/users.ndjson", USERS)
    upload_records(stack, "input/sessions.ndjson", USERS, "sessions-summary-by-group")
    upload_records(stack, "input/analysis.ndjson", USERS, "ibk-analysis-by-question")
    lines = stored("input/users.ndjson")
    packed("input/sessions.ndjson.gz", stored("input/sessions.ndjson"))
    half = lines.index(b"\n", len(lines) // 2) + 1
    obstore.put(store, "input/folder/a.ndjson", lines[:half])
    packed("input/folder/b.ndjson.gz", lines[half:])
    obstore.put(store, "input/malformed.ndjson", lines + b'{"user_id": "u1", "groups"\n{"user_id": 7}\n')
    _write_tables(store, [json.loads(line) for line in lines.splitlines()])
    obstore.put(store, "input/mixed/a.ndjson", lines)
    obstore.put(store, "input/mixed/b.csv", b"user_id,district,school,class\nu,d,s,c\n")


def _write_tables(store: S3Store, users: list[dict[str, Any]]) -> None:
    """The same users as a folder of CSV files, as TSV, and as Parquet with names of its own."""
    levels = ("district", "school", "class")
    rows = [[user["user_id"], *(user["groups"][level] for level in levels)] for user in users]

    def text(header: Sequence[str], rows: Sequence[Sequence[str]], delimiter: str) -> str:
        target = io.StringIO()
        csv.writer(target, delimiter=delimiter).writerows([header, *rows])
        return target.getvalue()

    for number in range(0, len(rows), 2):
        content = text(("user_id", *levels), rows[number : number + 2], ",").encode()
        obstore.put(store, f"input/csv/part-{number:05d}.csv.gz", gzip.compress(content))
    obstore.put(store, "input/csv/_SUCCESS", b"")
    obstore.put(store, "input/users.tsv", text(("user_id", *levels), rows, "\t").encode("utf-16"))
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        (Path(folder) / "users.csv").write_text(text(("student_no", "lea", *levels[1:]), rows, ","))
        database.execute(
            f"COPY (FROM read_csv('{folder}/users.csv', all_varchar = true)) TO '{folder}/x' (FORMAT parquet)"
        )
        obstore.put(store, "input/users.parquet", (Path(folder) / "x").read_bytes())


@pytest.fixture(scope="session")
def runs(stack: Stack) -> Runs:
    """Every run that a test of this folder looks at, already triggered."""
    runs = Runs(stack)
    users, sessions = stack.uri("input/users.ndjson"), stack.uri("input/analysis.ndjson")

    def groups(input_uri: str | None = users, **more: Any) -> dict[str, Any]:
        return group_conf(input_uri, **{"poll_interval": 1} | more)

    def analysis(dataset_type: str, **more: Any) -> dict[str, Any]:
        return analysis_conf(dataset_type=dataset_type, poll_interval=1, **more)

    good = {
        "activity-summary": groups(),
        "sessions-summary": groups(
            stack.uri("input/sessions.ndjson.gz"),
            dataset_type="sessions-summary-by-group",
            filters={},
            landing_shards=3,
        ),
        "item-bank": analysis("ibk-analysis-by-question"),
        "item-bank-files": analysis("ibk-analysis-by-question", input_uri=sessions),
        "activity-analysis": analysis("activity-analysis-by-question", filters={"activity_id": ["reading-2026"]}),
        "activity-analysis-files": analysis("activity-analysis-by-question", input_uri=sessions),
        "folder-csv": groups(stack.uri("input/folder"), include=["*.csv"]),
        "csv": groups(stack.uri("input/csv/")),
        "tsv": groups(stack.uri("input/users.tsv")),
        "parquet": groups(
            stack.uri("input/users.parquet"),
            input_columns={"user_id": "student_no", "groups.district": "lea"},
        ),
        "nulls": {each.name: None for each in FIELDS} | groups(),
    }
    bad = {
        "malformed": groups(stack.uri("input/malformed.ndjson")),
        "missing-input": groups(stack.uri("input/nothing-here.ndjson")),
        "mixed-formats": groups(stack.uri("input/mixed/")),
        "no-input": groups(None),
        "unknown-type": groups(dataset_type="no-such-type", filters={}),
        "unknown-key": groups(filter={"activity_id": ["reading-2026"]}),
        "text-type": groups(dataset_type="1e5", filters={}),
        "unknown-connection": groups(learnosity_conn_id="learnosity_nowhere"),
        "unknown-storage-connection": groups("s3://nowhere@learnosity/input/users.ndjson"),
        "wrong-secret": groups(learnosity_conn_id="learnosity_wrong_secret"),
        "no-permission": groups(destination_uri="s3://aws_landing@elsewhere/datasets"),
        # Its wait is deferred however slow the machine is: the job never ends.
        "unknown-job": analysis(
            "ibk-analysis-by-question",
            create=False,
            dataset_id="a951cc14-0316-4c12-bb13-1f386338a094",
            job_reference="no-such-job",
            job_timeout=0.3,
        ),
        "foreign-bucket": groups(destination_uri="s3://aws_landing@foreign/datasets"),
        "local-input": groups("file:///etc/passwd"),
    }
    refused = {
        "refused-uuid": groups(dataset_id="not-a-uuid"),
        "refused-type": groups(dataset_type=5),
        "refused-groups": groups(groups=[{"label": "no key"}]),
        "refused-shards": groups(landing_shards=0),
        "refused-map-limit": groups(landing_shards=1025),
        "refused-poll": groups(poll_interval=3600),
        "refused-uri": groups("no scheme"),
    }
    notes = {"folder-csv": "for the board meeting"}
    # Tasks that start write to SQLite. The API server could wait for it too long, and then fail to trigger a run. So no
    # task starts before all runs are triggered.
    stack.airflow.api.pause(DAG_ID)
    for name, conf in {**refused, **good, **bad}.items():
        runs.start(name, conf, note=notes.get(name))
    stack.airflow.api.unpause(DAG_ID)
    return runs


@pytest.fixture
def simulator_control(stack: Stack) -> Control:
    """The simulator's own counts and truth."""
    return Control(stack.simulator)
