"""The DAG as Airflow reads it: it imports, its form has valid defaults, and its tasks stand in order."""

from __future__ import annotations

import html
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import Param
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import ParamValidationError
from airflow.sdk.execution_time.context import set_current_context
from markdown_it import MarkdownIt

from learnosity.errors import LearnosityError
from learnosity.operators import LearnosityListFilesOperator
from learnosity.params import dataset_params
from learnosity.schedules.files import read_folder
from learnosity.schedules.keys import SHIPPED
from learnosity.sensors import LearnosityJobSensor
from learnosity.task_report import FAILURE_KEY

DAGS = Path(__file__).resolve().parents[2] / "dags"
PARAMS: dict[str, Any] = {
    "dataset_type": "activity-summary-by-group",
    "input_uri": None,
    "input_columns": {},
    "filters": {},
    "options": {},
    "groups": [],
    "organisation_id": None,
    "dataset_id": None,
    "create": True,
    "job_reference": None,
    "destination_uri": None,
    "include": ["*"],
    "overwrite": False,
    "require_complete": False,
    "landing_shards": 1,
    "poll_interval": 15,
    "job_timeout": 360,
    "learnosity_conn_id": "learnosity_default",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's DAGs, with its samples of schedules in use."""
    folder = tmp_path_factory.mktemp("dags")
    shutil.copytree(DAGS, folder, dirs_exist_ok=True)
    for example in (folder / "datasets").glob("*.yaml.example"):
        example.rename(example.with_suffix(""))
    return folder


@pytest.fixture(scope="module")
def dag_bag(folder: Path) -> DagBag:
    return DagBag(dag_folder=str(folder))


@pytest.fixture(scope="module")
def dag(dag_bag: DagBag) -> Any:
    return dag_bag.dags["learnosity_dataset"]


def test_every_dag_file_imports(dag_bag: DagBag) -> None:
    assert dag_bag.import_errors == {}


def test_no_schedule_may_take_the_id_of_a_dag_of_this_repository(folder: Path, dag_bag: DagBag) -> None:
    scheduled = {f"learnosity_{each.name}" for each in read_folder(folder / "datasets").schedules}
    assert len(scheduled) == 2
    assert set(dag_bag.dags) - scheduled <= {f"learnosity_{name}" for name in SHIPPED}


def test_the_tasks_stand_in_the_order_of_the_design(dag: Any) -> None:
    assert [task.task_id for task in dag.topological_sort()] == [
        "create_dataset",
        "wait_for_job",
        "land.list_files",
        "land.land_files",
        "land.publish",
    ]


def test_the_sample_of_a_consumer_is_marked_and_runs_only_when_somebody_lets_it(dag_bag: DagBag) -> None:
    sample = dag_bag.dags["learnosity_to_parquet"]
    assert "sample" in sample.tags
    assert sample.is_paused_upon_creation is True
    assert {name: sample.params[name] for name in sample.params} == {"destination_uri": None, "parquet_uri": None}


@pytest.mark.parametrize(
    ("conn_id", "bucket", "allowed"),
    [
        ("landing", "learnosity", True),
        ("landing", "somebody-elses", False),
        ("other", "learnosity", False),
        ("landing\n", "learnosity", False),
        ("landing", "learnosity\n", False),
    ],
)
async def test_the_sample_from_a_warehouse_writes_pupils_ids_only_where_runs_may_write(
    dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch, conn_id: str, bucket: str, allowed: bool
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_LEARNOSITY_DESTINATION_URI", "s3://landing@learnosity/datasets")
    sample = dag_bag.dags["learnosity_from_warehouse"]
    check: Any = sample.get_task("check_place")
    assert check.downstream_task_ids == {"write_roster"}
    assert sample.get_task("write_roster").upstream_task_ids == {"check_place"}
    with nullcontext() if allowed else pytest.raises(LearnosityError, match="runs may not|line end"):
        await check.python_callable(params={"aws_conn_id": conn_id, "bucket": bucket})


@pytest.mark.parametrize(
    "apart", [timedelta(0), timedelta(microseconds=1), timedelta(milliseconds=500), timedelta(days=1)]
)
def test_no_two_runs_of_the_sample_from_a_warehouse_share_a_roster(dag_bag: DagBag, apart: timedelta) -> None:
    sample: Any = dag_bag.dags["learnosity_from_warehouse"]
    write, create = sample.get_task("write_roster"), sample.get_task("dataset.create_dataset")
    moment = datetime(2026, 11, 29, 12, tzinfo=UTC)
    runs = [("manual__one", moment), ("manual__two", moment + apart)]

    def rendered(text: str, run_id: str, run_after: datetime) -> str:
        run = SimpleNamespace(run_id=run_id, run_after=run_after)
        params = {"aws_conn_id": "landing", "bucket": "learnosity"}
        return str(write.render_template(text, {"dag_run": run, "run_id": run_id, "params": params}))

    keys = [rendered(write.s3_key, *run) for run in runs]
    assert len(set(keys)) == 2
    assert [rendered(create.input_uri, *run) for run in runs] == [f"s3://landing@learnosity/{key}" for key in keys]


@pytest.mark.parametrize("first", [0, 99, 100, 500, 1000])
def test_the_sample_from_a_warehouse_takes_any_number_of_rows_without_a_class_first(
    dag_bag: DagBag, first: int
) -> None:
    """As its operator reads: Polars takes the types from the rows, because drivers of databases do not tell them."""
    write: Any = dag_bag.dags["learnosity_from_warehouse"].get_task("write_roster")
    assert write.df_type == "polars"
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE roster (user_id TEXT, class TEXT)")
        rows = [(f"u{number:04}", None if number < first else "5a") for number in range(1000)]
        database.executemany("INSERT INTO roster VALUES (?, ?)", rows)
        query = "SELECT * FROM roster ORDER BY 1"
        assert polars.read_database(query, connection=database, **write.read_kwargs).rows() == rows


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # With such values, the URI that `check_place` makes of connection and bucket would name another place than the
        # one that the operator writes to: it takes each of the two as it is.
        ("aws_conn_id", "aws_landing@learnosity/x"),
        ("aws_conn_id", ""),
        ("bucket", "learnosity/../other"),
        ("bucket", "x@learnosity"),
        ("bucket", "learnosity?x"),
        ("bucket", ""),
    ],
)
def test_the_sample_from_a_warehouse_takes_no_name_with_two_meanings(dag_bag: DagBag, name: str, value: str) -> None:
    param = dag_bag.dags["learnosity_from_warehouse"].params.get_param(name)
    with pytest.raises(ParamValidationError):
        param.resolve(value)


def test_the_form_has_the_params_and_defaults_of_the_design(dag: Any) -> None:
    assert {name: dag.params[name] for name in dag.params} == PARAMS


def test_every_param_is_explained_and_in_a_section() -> None:
    for name, param in dataset_params().items():
        assert param.schema.get("description_md"), name
        assert param.schema["title"].endswith(f" ({name})")
        assert param.schema.get("section"), name


OWN_VALUES: dict[str, Any] = {
    "dataset_type": "users-analysis",
    "input_uri": "s3://aws@bucket/roster_v2/*.csv",
    "input_columns": {"user_id": "student_no"},
    "filters": {"activity_id": ["reading_2026"]},
    "options": {"fields": ["population"]},
    "groups": [{"key": "district", "label": "Bezirk <Süd>"}],
    "organisation_id": 5,
    "dataset_id": "33285a4b-0e6e-47e4-bade-78999ada14db",
    "create": False,
    "job_reference": "job_1",
    "destination_uri": "s3://aws@bucket/pilot",
    "include": ["groups/*"],
    "overwrite": True,
    "require_complete": True,
    "landing_shards": 4,
    "poll_interval": 7.5,
    "job_timeout": 30,
    "learnosity_conn_id": "learnosity_pilot",
}


@pytest.mark.parametrize("scheduled", [False, True])
def test_the_form_says_what_an_empty_field_means_in_a_dag_with_values_of_its_own(scheduled: bool) -> None:
    assert set(OWN_VALUES) == set(PARAMS)
    usual, own = dataset_params(scheduled=scheduled), dataset_params(OWN_VALUES, scheduled=scheduled)
    for name, param in own.items():
        value = OWN_VALUES[name]
        before, _, said = param.schema["description_md"].partition(" In this DAG, empty = ")
        assert before == usual[name].schema["description_md"], name
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        assert MarkdownIt().renderInline(said) == html.escape(shown), name


@pytest.mark.parametrize("value", ["a" * 100_000, "one\ntwo"])
def test_the_form_does_not_repeat_a_value_that_no_line_can_hold(value: str) -> None:
    for name, given in (("job_reference", value), ("filters", {"activity_id": ["a"] * 10_000})):
        said = dataset_params({name: given})[name].schema["description_md"]
        assert said.endswith(" In this DAG, empty = the value that stands here at first."), name


@pytest.mark.parametrize("values", [{}, PARAMS, dict.fromkeys(PARAMS), {"input_uri": " ", "groups": []}])
def test_the_form_says_nothing_more_of_what_is_as_usual(values: dict[str, Any]) -> None:
    for name, param in dataset_params(values).items():
        assert "In this DAG" not in param.schema["description_md"], name


def test_what_a_first_run_needs_is_in_the_section_that_airflow_opens() -> None:
    opened = [name for name, param in dataset_params().items() if param.schema["section"] == "Run Parameters"]
    assert opened == ["dataset_type", "input_uri", "input_columns", "groups", "filters", "options"]


@pytest.mark.parametrize("name", PARAMS)
def test_null_and_empty_are_taken_for_every_param(name: str) -> None:
    param: Param = dataset_params()[name]
    kinds: dict[str, Any] = {"string": "", "array": [], "object": {}}
    for value in [None, *(kinds[kind] for kind in param.schema["type"] if kind in kinds)]:
        assert Param(value, **param.schema).resolve() == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dataset_type", "../../etc"),
        ("input_uri", "users.ndjson"),
        ("dataset_id", "1234"),
        ("groups", [{"label": "District"}]),
        ("landing_shards", 0),
        ("landing_shards", 1025),
        ("poll_interval", 61),
        ("job_timeout", 0),
        ("job_timeout", 10**10),
        ("organisation_id", "one"),
        ("filters", []),
    ],
)
def test_the_form_refuses_what_cannot_be_meant(name: str, value: Any) -> None:
    param: Param = dataset_params()[name]
    with pytest.raises(ValueError, match="Failed validating"):
        Param(value, **param.schema).resolve()


def test_no_task_renders_a_secret(dag: Any) -> None:
    for task in dag.tasks:
        assert not {"password", "secret", "credentials", "url"} & set(task.template_fields)


def bound_of(task: Any) -> timedelta | None:
    """After how long a task ends at the latest."""
    if isinstance(task, MappedOperator):
        return task.partial_kwargs.get("execution_timeout") or getattr(task.operator_class, "longest", None)
    if isinstance(task, LearnosityJobSensor):
        # In a DAG, the sensor's `job_timeout` may be a template. So the default of the run config stands for it. Any
        # other value is checked when the template is rendered: it has to be above 0.
        return timedelta(minutes=float(dataset_params()["job_timeout"].value))
    bound: timedelta | None = task.execution_timeout
    return bound


def test_no_task_of_any_dag_can_run_for_ever(dag_bag: DagBag) -> None:
    unbounded = [task.task_id for dag in dag_bag.dags.values() for task in dag.tasks if not bound_of(task)]
    assert not unbounded
    assert len(dag_bag.dags) > 4


@pytest.mark.parametrize("given", [None, timedelta(minutes=7)])
def test_an_operator_has_a_bound_where_its_author_gives_none(given: timedelta | None) -> None:
    operator = LearnosityListFilesOperator(
        task_id="list", dataset={}, destination_uri="file:///tmp/x", execution_timeout=given
    )
    assert operator.execution_timeout == (given or LearnosityListFilesOperator.longest)


VAULT = """
calls = []

class Vault:
    def _set_connection_class(self, kind): ...
    def get_connection(self, conn_id, team_name=None): calls.append(conn_id)
    def get_variable(self, key, team_name=None): calls.append(key)
    def get_config(self, key): ...
"""
PARSE = """
import socket, sys
import vault
from airflow.dag_processing.dagbag import DagBag

def refuse(*_, **__):
    vault.calls.append("network")
    raise OSError("no network while a DAG is parsed")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse

bag = DagBag(dag_folder=sys.argv[1])
assert not bag.import_errors, bag.import_errors
assert len(bag.dags) > 4, bag.dags
assert not vault.calls, vault.calls
"""


def test_parsing_touches_no_variable_no_connection_and_no_network(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "vault.py").write_text(VAULT)
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://nobody@127.0.0.1:1/refuses",
        "AIRFLOW__SECRETS__BACKEND": "vault.Vault",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": f"{DAGS.parent / 'plugins'}{os.pathsep}{tmp_path}",
    }
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(folder)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("dag_id", "values", "says"),
    [
        (
            "learnosity_to_parquet",
            {"params": {}, "triggering_asset_events": {}, "dag_run": SimpleNamespace(run_type="asset_triggered")},
            "names no event",
        ),
        (
            "learnosity_probe",
            {"params": {"learnosity_conn_id": "missing", "dataset_type": None, "dataset_id": None}},
            "The connection 'missing' does not exist.",
        ),
    ],
)
async def test_the_other_dags_tell_the_tab_of_their_run_why_they_failed(
    dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch, dag_id: str, values: dict[str, Any], says: str
) -> None:
    async def find(conn_id: str) -> None:
        return None

    monkeypatch.setattr("learnosity.hooks.afind_connection", find)
    task: Any = dag_bag.dags[dag_id].tasks[0]
    told: dict[str, Any] = {}
    context: Any = {
        "ti": SimpleNamespace(task_id=task.task_id),
        "task_state_store": SimpleNamespace(set=told.__setitem__),
    }
    with set_current_context(context), pytest.raises(LearnosityError):
        await task.python_callable(**values)
    assert says in told[FAILURE_KEY]["message"]
