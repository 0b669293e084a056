"""The operators as a DAG author uses them: what each returns, what it refuses, and that a second try takes over."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import DAG, Asset, BaseOperator, Context, XComArg, task_group
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors

from learnosity import landing_tasks, metrics
from learnosity.api.client import LearnosityClient
from learnosity.creation import decide
from learnosity.errors import (
    ConnectionConfigError,
    GapError,
    IncompleteDatasetError,
    InputError,
    PermanentApiError,
    PermanentError,
    RequestError,
    StorageError,
    TransientError,
)
from learnosity.landing import listing
from learnosity.landing.land import ShardResult
from learnosity.operators import (
    LearnosityCreateDatasetOperator,
    LearnosityLandFilesOperator,
    LearnosityListFilesOperator,
    LearnosityPublishOperator,
)
from learnosity.run_config import FIELDS
from learnosity.task_report import PROGRESS_KEY
from learnosity.task_state import KEY, how_to_start_over
from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, FaultRule, Simulator, SimulatorConfig, running
from tests.figures import Figures
from tests.waiting import no_waiting

SUMMARY, ANALYSIS = "activity-summary-by-group", "ibk-analysis-by-question"
WANTED = "a951cc14-0316-4c12-bb13-1f386338a094"
SET, COMMENCE, FILE = "set reports/datasets", "set jobs/reports/datasets", "file"
OPERATORS = (
    LearnosityCreateDatasetOperator,
    LearnosityListFilesOperator,
    LearnosityLandFilesOperator,
    LearnosityPublishOperator,
)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """In a thread of its own: an operator runs its own event loop."""
    with running(SimulatorConfig(job_seconds=0.0, analysis_users=20, linked_organisations=(7,))) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def connection(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The connection that the operators use by default."""
    no_waiting(monkeypatch)
    monkeypatch.setattr(decide, "POLL_WAITS_SECONDS", (0.0,) * len(decide.POLL_WAITS_SECONDS))
    parts: dict[str, Any] = {
        "conn_type": "learnosity",
        "host": simulator.url,
        "login": DEMO_CONSUMER_KEY,
        "password": DEMO_CONSUMER_SECRET,
    }
    monkeypatch.setenv("AIRFLOW_CONN_LEARNOSITY_DEFAULT", json.dumps(parts))
    return parts


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Figures:
    """What the operators count."""
    figures = Figures()
    for module in (metrics, landing_tasks):  # the create operator takes METRICS from `metrics` when it runs
        monkeypatch.setattr(module, "METRICS", figures)
    return figures


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """A sound input file."""
    path = tmp_path / "users.ndjson"
    path.write_text(
        "".join(json.dumps({"user_id": f"u{n}", "groups": {"school": f"s{n % 2}"}}) + "\n" for n in range(9))
    )
    return path


@pytest.fixture(autouse=True)
def destination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where datasets land by default."""
    monkeypatch.setenv("AIRFLOW_VAR_LEARNOSITY_DESTINATION_URI", (tmp_path / "datasets").as_uri())
    return tmp_path / "datasets"


@dataclass
class StateStore:
    """Airflow's task state store: keeps JSON from one try of a task to the next."""

    values: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = json.loads(json.dumps(value))


@dataclass
class Run:
    """A DAG run, as far as an operator sees of it; each task runs in it as often as it is told to.

    :param params: its params.
    :param conf: its run config.
    :param returned: what every other task has returned.
    :param states: tells the states of other tasks.
    """

    run_id: str = "manual__2026-11-28T10:00:00+00:00"
    params: Mapping[str, Any] = field(default_factory=dict)
    conf: Mapping[str, Any] | None = None
    logical_date: datetime | None = datetime(2026, 11, 28, 10, tzinfo=UTC)
    map_index: int = -1
    returned: Any = None
    states: Any = None
    state: StateStore = field(default_factory=StateStore)
    outlet_events: OutletEventAccessors = field(default_factory=OutletEventAccessors)

    def events(self, task: BaseOperator) -> dict[str, Any]:
        """The extra of each event that Airflow registers for a task that has run, by the name of its asset."""
        return {asset.name: self.outlet_events[asset].extra for asset in task.outlets}

    def execute(self, task: BaseOperator, **variables: Any) -> Any:
        """One try of a task: its templates are rendered, and it is executed.

        :param variables: what else templates may refer to.
        """
        context = {
            "ti": SimpleNamespace(
                dag_id="a_dag",
                run_id=self.run_id,
                task_id=task.task_id,
                map_index=self.map_index,
                try_number=1,
                xcom_pull=lambda **_: self.returned,
                get_task_states=self.states,
            ),
            "dag_run": SimpleNamespace(
                dag_id="a_dag", run_id=self.run_id, logical_date=self.logical_date, conf=self.conf
            ),
            "params": self.params,
            "task_state_store": self.state,
            "outlet_events": self.outlet_events,
            **variables,
        }
        task.render_template_fields(cast(Context, context))
        return task.execute(cast(Context, context))


def request(dataset_type: str = SUMMARY, **more: Any) -> dict[str, Any]:
    options = {"fields": ["population", "mean_score"]} if dataset_type == SUMMARY else {"fields": ["p_value"]}
    groups = [{"key": "school", "label": "School"}] if dataset_type == SUMMARY else []
    filters = {"activity_id": ["maths"]} if dataset_type == SUMMARY else {}
    return {"dataset_type": dataset_type, "filters": filters, "options": options, "groups": groups} | more


def create(dataset_type: str = ANALYSIS, **arguments: Any) -> LearnosityCreateDatasetOperator:
    given: dict[str, Any] = {"task_id": "create_dataset", "request": request(dataset_type)}
    return LearnosityCreateDatasetOperator(**(given | arguments))


def finished(simulator: Simulator, run: Run | None = None, **arguments: Any) -> dict[str, Any]:
    """What the create task of a dataset returned whose job is done."""
    created: dict[str, Any] = (run or Run()).execute(create(**arguments))
    deadline = time.monotonic() + 60
    while simulator._running.jobs[created["job_reference"]].status != "completed":
        assert time.monotonic() < deadline, "the job did not end"
        time.sleep(0.01)
    return created


def landing(kind: type[BaseOperator], dataset: Mapping[str, Any], destination: Path, **arguments: Any) -> Any:
    """One of the three operators that land a dataset."""
    names = {
        LearnosityListFilesOperator: "list_files",
        LearnosityLandFilesOperator: "land_files",
        LearnosityPublishOperator: "publish",
    }
    given: dict[str, Any] = {"task_id": names[kind], "dataset": dataset, "destination_uri": destination.as_uri()}
    if kind is LearnosityPublishOperator:
        given["request"] = request(str(dataset["dataset_type"]))
    return kind(**(given | arguments))


def use_item_bank(monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any], organisation_id: int | None) -> None:
    """Change the extra of the connection."""
    extra = {"organisation_id": organisation_id}
    monkeypatch.setenv("AIRFLOW_CONN_LEARNOSITY_DEFAULT", json.dumps({**connection, "extra": extra}))


def listed(run: Run, dataset: Mapping[str, Any], destination: Path, **arguments: Any) -> list[dict[str, Any]]:
    """What the list task returned."""
    shards: list[dict[str, Any]] = run.execute(landing(LearnosityListFilesOperator, dataset, destination, **arguments))
    return shards


def landed(run: Run, dataset: Mapping[str, Any], destination: Path, shards: list[dict[str, Any]]) -> list[Any]:
    """What each mapped land task returned."""
    return [run.execute(landing(LearnosityLandFilesOperator, dataset, destination, shard=shard)) for shard in shards]


def publish(run: Run, dataset: Mapping[str, Any], destination: Path, shards: Any, **arguments: Any) -> dict[str, Any]:
    """What the publish task returned."""
    operator = landing(LearnosityPublishOperator, dataset, destination, shards=shards, **arguments)
    published: dict[str, Any] = run.execute(operator)
    return published


def published(simulator: Simulator, run: Run, destination: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dataset that has landed: what the create task returned, and what the publish task did."""
    dataset = finished(simulator)
    shards = listed(run, dataset, destination)
    landed(run, dataset, destination, shards)
    return dataset, publish(run, dataset, destination, shards)


def folder_of(destination: Path, dataset: Mapping[str, Any]) -> Path:
    """Where a dataset lies."""
    return destination / str(dataset["dataset_type"]) / str(dataset["dataset_id"])


def data_of(destination: Path, dataset: Mapping[str, Any]) -> dict[str, bytes]:
    """Its result files, by path."""
    data = folder_of(destination, dataset) / "data"
    return {path.relative_to(data).as_posix(): path.read_bytes() for path in data.rglob("*") if path.is_file()}


def served(simulator: Simulator, dataset: Mapping[str, Any]) -> dict[str, int]:
    """The files that the simulator holds, with their sizes."""
    results = simulator._running.datasets[str(dataset["dataset_id"])].results
    assert results is not None
    return {name: file.size for name, file in results.files.items()}


def documented(kind: type[BaseOperator]) -> dict[str, str]:
    """What the docstrings of a class and of its bases here say of each parameter."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("learnosity"):
            for block in re.split(r"\n(?=:)", inspect.cleandoc(base.__doc__ or "")):
                if told := re.match(r":param (\w+): (.*)", block, re.DOTALL):
                    found[told[1]] = told[2]
    return found


def returned(kind: type[BaseOperator]) -> set[str]:
    """The keys that the docstring of a class says its XCom has."""
    (told,) = [
        block for block in re.split(r"\n(?=:)", inspect.cleandoc(kind.__doc__ or "")) if block.startswith(":returns:")
    ]
    return set(re.findall(r"`(\w+)`", told))


@pytest.mark.parametrize("kind", OPERATORS)
class TestEveryOperator:
    def test_explains_each_of_its_parameters_and_none_that_there_is_not(self, kind: type[BaseOperator]) -> None:
        own = {
            name
            for base in kind.__mro__
            if base.__module__.startswith("learnosity") and "__init__" in vars(base)
            for name, parameter in inspect.signature(vars(base)["__init__"]).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }
        inherited = set(inspect.signature(BaseOperator.__init__).parameters)
        assert own <= set(documented(kind)) <= own | inherited

    def test_says_of_its_template_fields_and_of_no_other_parameter_that_they_are_templated(
        self, kind: type[BaseOperator]
    ) -> None:
        said = {name for name, text in documented(kind).items() if text.rstrip().endswith("Templated.")}
        assert said == set(kind.template_fields)

    @pytest.mark.promise("no secret")
    def test_has_no_template_field_that_could_hold_a_secret(self, kind: type[BaseOperator]) -> None:
        assert not {"consumer_secret", "password", "url", "urls"} & set(kind.template_fields)

    def test_is_told_what_it_does_in_its_docstring(self, kind: type[BaseOperator]) -> None:
        first = inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]
        assert first.endswith(".")


class TestCreate:
    def test_returns_what_is_documented_and_nothing_large_or_secret(
        self, simulator: Simulator, users: Path, destination: Path
    ) -> None:
        task = create(SUMMARY, input_uri=users.as_uri(), destination_uri=destination.as_uri())
        created = Run().execute(task)
        assert set(created) == returned(LearnosityCreateDatasetOperator) - {"existing"}
        assert (created["dataset_type"], created["file_count"], created["records"], created["bytes"]) == (
            SUMMARY, 1, 9, users.stat().st_size,
        )  # fmt: skip
        assert created["request"] == {
            "dataset_id": created["dataset_id"],
            "dataset_type": SUMMARY,
            "file_count": 1,
            "filters": {"activity_id": ["maths"]},
            "options": {"fields": ["population", "mean_score"]},
            "groups": [{"key": "school", "label": "School"}],
        }
        assert dict(simulator.stats.jobs_started) == {created["dataset_id"]: 1}
        assert created["job_reference"] in simulator._running.jobs
        text = json.dumps(created)
        assert DEMO_CONSUMER_SECRET not in text
        assert "Signature" not in text
        assert "http" not in text

    def test_reads_a_table_by_the_columns_that_were_named(self, simulator: Simulator, users: Path) -> None:
        table = users.with_name("users.csv")
        table.write_text("student_no,school,former\nu1,s1,s2\nu2,s1,s1\n")
        arguments = dict[str, Any](request=request(SUMMARY), input_uri=table.as_uri())
        columns = {"user_id": "student_no"}
        run = Run()
        first = run.execute(create(**arguments, input_columns=columns))
        assert first["records"] == 2
        again = run.execute(create(**arguments, input_columns=dict(columns)))
        assert again["dataset_id"] == first["dataset_id"]
        second = run.execute(create(**arguments, input_columns=columns | {"groups.school": "former"}))
        assert second["dataset_id"] != first["dataset_id"], "other columns make another dataset"

    @pytest.mark.parametrize("columns", [{"user": "student_no"}, {"user_id": 7}, "student_no"], ids=repr)
    def test_columns_that_cannot_be_used_are_refused_before_anything_is_sent(
        self, simulator: Simulator, users: Path, columns: Any
    ) -> None:
        with pytest.raises(RequestError, match="input_columns"):
            Run().execute(create(SUMMARY, input_uri=users.as_uri(), input_columns=columns))
        assert not simulator.stats.calls

    @pytest.mark.parametrize(
        "second", [{"key": "school"}, {"kee": "class"}, {"key": 'a"'}, "class"], ids=["twice", "none", "quote", "text"]
    )
    @pytest.mark.parametrize("exists", [False, True], ids=["new", "exists"])
    def test_groups_that_are_refused_are_no_second_fault_of_the_columns(
        self, simulator: Simulator, users: Path, second: Any, exists: bool
    ) -> None:
        wanted = request(SUMMARY) | {"groups": [{"key": "school", "label": "School"}, second]}
        columns = {"groups.school": "sch", "groups.class": "cls"}
        existing = {"create": False, "dataset_id": "a951cc14-0316-4c12-bb13-1f386338a094"}
        more: dict[str, Any] = existing if exists else {"input_uri": users.as_uri()}
        with pytest.raises(RequestError, match="groups: ") as caught:
            Run().execute(create(request=wanted, input_columns=columns, **more))
        assert "no key of a record" not in str(caught.value)
        with pytest.raises(RequestError, match="'usr' is no key of a record"):
            Run().execute(create(request=wanted, input_columns=columns | {"usr": "u"}, **more))
        assert not simulator.stats.calls

    def test_the_check_of_lines_can_be_turned_off(
        self, simulator: Simulator, users: Path, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        users.write_text('{"student": "u1", "unit": {"school": "s1"}}\n')
        with pytest.raises(InputError, match="user_id"):
            Run().execute(create(SUMMARY, input_uri=users.as_uri()))
        assert not simulator.stats.calls
        parts = connection | {"extra": {"input_check": "json"}}
        monkeypatch.setenv("AIRFLOW_CONN_LEARNOSITY_DEFAULT", json.dumps(parts))
        assert Run().execute(create(SUMMARY, input_uri=users.as_uri()))["records"] == 1

    @pytest.mark.parametrize("nothing", [None, ""], ids=repr)
    def test_makes_a_dataset_without_input(self, simulator: Simulator, nothing: str | None) -> None:
        created = Run().execute(create(input_uri=nothing))
        assert (created["file_count"], created["records"], created["bytes"]) == (0, 0, 0)
        assert dict(simulator.stats.jobs_started) == {created["dataset_id"]: 1}
        assert not simulator.stats.calls[COMMENCE]

    def test_sends_the_item_bank_of_the_connection_or_the_one_of_the_request(
        self, simulator: Simulator, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parts = connection | {"extra": {"organisation_id": 7}}
        monkeypatch.setenv("AIRFLOW_CONN_LEARNOSITY_DEFAULT", json.dumps(parts))
        assert Run().execute(create())["request"]["organisation_id"] == 7
        own = Run().execute(create(request=request(ANALYSIS, organisation_id=1)))
        assert own["request"]["organisation_id"] == 1
        assert simulator._running.datasets[own["dataset_id"]].spec.organisation_id == 1

    def test_makes_a_dataset_of_its_own_for_each_run_that_names_none(self, simulator: Simulator) -> None:
        made = {Run().execute(create())["dataset_id"] for _ in range(3)}
        assert dict(simulator.stats.jobs_started) == dict.fromkeys(made, 1)
        assert len(made) == 3

    def test_uses_the_id_that_it_is_given(self) -> None:
        assert Run().execute(create(dataset_id=WANTED.upper()))["dataset_id"] == WANTED

    def test_uses_the_connection_that_it_is_given(
        self, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AIRFLOW_CONN_LEARNOSITY_DEFAULT")
        monkeypatch.setenv("AIRFLOW_CONN_ANOTHER", json.dumps(connection))
        assert Run().execute(create(learnosity_conn_id="{{ conn_id }}"), conn_id="another")["job_reference"]

    @pytest.mark.parametrize(
        "more",
        [{}, {"create": False, "dataset_id": "a951cc14-0316-4c12-bb13-1f386338a094"}],
        ids=["new", "exists already"],
    )
    def test_says_once_where_learnosity_is_and_which_connection_says_so(
        self, simulator: Simulator, caplog: pytest.LogCaptureFixture, more: dict[str, Any]
    ) -> None:
        with caplog.at_level("INFO"):
            Run().execute(create(**more))
        said = [record for record in caplog.records if record.getMessage().startswith("Learnosity: ")]
        expected = f"Learnosity: connection learnosity_default, {simulator.url}. "
        assert [record.levelname for record in said] == ["INFO"]
        assert said[0].getMessage().startswith(expected)
        assert DEMO_CONSUMER_KEY not in caplog.text
        assert DEMO_CONSUMER_SECRET not in caplog.text

    def test_renders_its_templates(self, simulator: Simulator, users: Path) -> None:
        run = Run(params={"type": SUMMARY, "what": "reading"})
        task = create(
            request=request()
            | {"dataset_type": "{{ params.type }}", "filters": {"activity_id": ["{{ params.what }}"]}},
            input_uri=users.parent.as_uri() + "/{{ 'users' }}.ndjson",
            dataset_id="{{ '' }}",
        )
        created = run.execute(task)
        assert (created["dataset_type"], created["records"]) == (SUMMARY, 9)
        assert created["request"]["filters"] == {"activity_id": ["reading"]}

    @pytest.mark.parametrize(
        ("arguments", "error", "says"),
        [
            pytest.param({"dataset_id": "42"}, RequestError, "is not a UUID; leave it empty", id="bad id"),
            pytest.param(
                {"request": request("")}, RequestError, "dataset_type is empty; the known ones are", id="no type"
            ),
            pytest.param(
                {"request": request(SUMMARY)}, RequestError, "needs input files: set input_uri", id="input missing"
            ),
            pytest.param(
                {"request": request(ANALYSIS, filters=["a"])},
                RequestError,
                "filters must be a JSON object",
                id="bad filters",
            ),
            pytest.param(
                {"request": request(ANALYSIS, organisation_id="seven")},
                RequestError,
                "organisation_id must be a whole number",
                id="bad item bank",
            ),
            pytest.param(
                {"request": request("a/../b")}, RequestError, "cannot be part of a path", id="type that is no folder"
            ),
            pytest.param({"input_uri": "users.ndjson"}, StorageError, "is not an object-storage URI", id="no uri"),
            pytest.param(
                {"input_uri": "file:///not/there/users.ndjson"}, InputError, "No input found at", id="no file"
            ),
            pytest.param({"destination_uri": "datasets"}, StorageError, "is not an object-storage URI", id="nowhere"),
            pytest.param(
                {"destination_uri": "s3://nobody@bucket/x"}, ConnectionConfigError, "'nobody' does not exist", id="s3"
            ),
            pytest.param(
                {"learnosity_conn_id": "nobody"}, ConnectionConfigError, "'nobody' does not exist", id="connection"
            ),
            pytest.param({"create": "perhaps"}, RequestError, "create is 'perhaps'", id="neither true nor false"),
        ],
    )
    @pytest.mark.promise("permanent at once")
    def test_refuses_what_has_to_change_before_anything_is_sent(
        self, simulator: Simulator, arguments: dict[str, Any], error: type[PermanentError], says: str
    ) -> None:
        run = Run()
        with pytest.raises(error, match=re.escape(says)):
            run.execute(create(**arguments))
        assert not simulator.stats.calls[SET]
        assert KEY not in run.state.values

    @pytest.mark.parametrize("run_config", [None, [each.name for each in FIELDS]], ids=["no run config", "run config"])
    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            pytest.param(request(filter={"activity_id": ["maths"]}), "did you mean 'filters'", id="misspelt"),
            pytest.param(request(input_uri="file:///users"), "'input_uri' is not a field", id="of another argument"),
            pytest.param("{{ params }}", "The request is str", id="a text"),
            pytest.param(None, "The request is NoneType", id="nothing"),
        ],
    )
    def test_refuses_a_request_that_would_leave_something_out(
        self, simulator: Simulator, asked: Any, says: str, run_config: Any
    ) -> None:
        with pytest.raises(RequestError, match=re.escape(says)):
            Run().execute(create(request=asked, run_config=run_config))
        assert not simulator.stats.calls[SET]

    def test_takes_numbers_and_names_as_templates_write_them(self, simulator: Simulator) -> None:
        params = {"bank": 7, "id": WANTED, "conn": "learnosity_default"}
        asked = request(ANALYSIS, organisation_id="{{ params.bank }}")
        task = create(
            request=asked,
            dataset_id="{{ params.id }}\n\n",
            learnosity_conn_id=" {{ params.conn }} ",
            create="{{ true }}",
        )
        created = Run(params=params).execute(task)
        assert (created["request"]["organisation_id"], created["organisation_id"]) == (7, 7)
        assert (created["dataset_id"], created["learnosity_conn_id"]) == (WANTED, "learnosity_default")

    def test_refuses_input_with_a_bad_line_and_names_the_line(self, simulator: Simulator, users: Path) -> None:
        users.write_text(users.read_text() + "no json\n")
        with pytest.raises(InputError, match=r"users\.ndjson:10: ") as caught:
            Run().execute(create(SUMMARY, input_uri=users.as_uri()))
        assert "no json" not in str(caught.value), "what is wrong is told, and not the content"
        assert not simulator.stats.calls[SET]

    def test_refuses_a_destination_that_cannot_be_written_before_a_job_is_started_for_it(
        self, simulator: Simulator, tmp_path: Path
    ) -> None:
        (tmp_path / "a file").write_text("no folder")
        with pytest.raises(StorageError, match=r"a file/datasets"):
            Run().execute(create(destination_uri=f"{tmp_path.as_uri()}/a%20file/datasets".replace("%20", " ")))
        assert simulator.stats.calls == {}

    def test_leaves_nothing_at_the_destination_that_it_has_tried_out(self, destination: Path) -> None:
        Run().execute(create(destination_uri=destination.as_uri()))
        assert list(destination.rglob("*")) == []

    def test_refuses_a_wrong_secret_with_what_to_correct(
        self, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_LEARNOSITY_DEFAULT", json.dumps(connection | {"password": "x" * 40}))
        with pytest.raises(PermanentApiError, match=r"consumer secret \(password\)"):
            Run().execute(create())

    def test_ends_with_a_passing_error_where_a_later_try_may_succeed_and_that_try_goes_on(
        self, simulator: Simulator, users: Path
    ) -> None:
        simulator.faults.add(FaultRule(match=COMMENCE, kind="status", status=503, times=2))
        run = Run()
        with pytest.raises(TransientError):
            run.execute(create(SUMMARY, input_uri=users.as_uri()))
        created = run.execute(create(SUMMARY, input_uri=users.as_uri()))
        assert dict(simulator.stats.jobs_started) == {created["dataset_id"]: 1}
        assert simulator.stats.calls[SET] == 1

    @pytest.mark.parametrize("map_index", [-1, 3])
    @pytest.mark.promise("re-attach")
    def test_takes_over_the_job_at_the_second_try_and_says_how_to_start_over(
        self, simulator: Simulator, figures: Figures, caplog: pytest.LogCaptureFixture, map_index: int
    ) -> None:
        run = Run(map_index=map_index)
        first = run.execute(create())
        assert how_to_start_over("a_dag", run.run_id, "create_dataset", map_index) not in caplog.text
        with caplog.at_level("INFO"):
            assert run.execute(create()) == first
        assert how_to_start_over("a_dag", run.run_id, "create_dataset", map_index) in caplog.text
        assert dict(simulator.stats.jobs_started) == {first["dataset_id"]: 1}
        assert figures.counts[("jobs_started", ANALYSIS)] == 1
        assert figures.counts[("jobs_reattached", ANALYSIS)] == 1

    @pytest.mark.promise("re-attach")
    def test_takes_over_the_job_though_its_templates_render_differently(
        self, simulator: Simulator, users: Path
    ) -> None:
        def task() -> LearnosityCreateDatasetOperator:
            filters = {"activity_id": ["maths"], "maxtime": "{{ moment }}"}
            return create(request=request(filters=filters), input_uri=users.as_uri())

        run = Run()
        first = run.execute(task(), moment="2026-11-28T10:00:00Z")
        again = run.execute(task(), moment="2026-11-28T10:05:00Z")
        assert again == first
        assert again["request"]["filters"]["maxtime"] == "2026-11-28T10:00:00Z"
        assert dict(simulator.stats.jobs_started) == {first["dataset_id"]: 1}

    @pytest.mark.promise("re-attach")
    def test_takes_over_the_job_though_a_param_changed_that_it_does_not_use(
        self, simulator: Simulator, users: Path
    ) -> None:
        arguments = dict[str, Any](request=request(), input_uri=users.as_uri())
        run = Run(params={"day": 1})
        first = run.execute(create(**arguments))
        run.params = {"day": 2}
        assert run.execute(create(**arguments)) == first
        assert dict(simulator.stats.jobs_started) == {first["dataset_id"]: 1}

    @pytest.mark.parametrize("change", ["request", "input_uri", "dataset_id", "params", "account", "input"])
    def test_makes_another_dataset_once_a_person_has_changed_something(
        self,
        simulator: Simulator,
        users: Path,
        connection: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
        change: str,
    ) -> None:
        copy = users.with_name("copy.ndjson")
        copy.write_bytes(users.read_bytes())
        filters = {"activity_id": ["{{ params.subject }}"]}
        arguments = dict[str, Any](request=request(filters=filters), input_uri=users.as_uri())
        run = Run(params={"subject": "maths", "day": 1})
        first = run.execute(create(**arguments))
        if change == "request":
            arguments["request"] = request(filters={"activity_id": ["reading"]})
        elif change == "input_uri":
            arguments["input_uri"] = copy.as_uri()
        elif change == "dataset_id":
            arguments["dataset_id"] = WANTED
        elif change == "params":
            run.params = {"subject": "reading", "day": 1}
        elif change == "account":
            key, secret = "EEEEFFFFGGGGHHHH", "f" * 40
            simulator.configure(consumers={DEMO_CONSUMER_KEY: DEMO_CONSUMER_SECRET, key: secret})
            parts = connection | {"login": key, "password": secret}
            monkeypatch.setenv("AIRFLOW_CONN_LEARNOSITY_DEFAULT", json.dumps(parts))
        else:
            users.write_text(users.read_text().replace('"u8"', '"u8888"'))
        second = run.execute(create(**arguments))
        assert second["dataset_id"] != first["dataset_id"]
        assert dict(simulator.stats.jobs_started) == {first["dataset_id"]: 1, second["dataset_id"]: 1}

    @pytest.mark.parametrize("from_a_task", ["input_uri", "request"])
    @pytest.mark.promise("re-attach")
    def test_takes_what_another_task_returned_and_takes_over_its_job(
        self, simulator: Simulator, users: Path, from_a_task: str
    ) -> None:
        def task() -> LearnosityCreateDatasetOperator:
            with DAG("a_dag", schedule=None):
                output = XComArg(BaseOperator(task_id="find_input"))
                given: dict[str, Any] = {"input_uri": users.as_uri(), "request": request()}
                if from_a_task == "input_uri":
                    given["input_uri"] = output
                else:
                    given["request"]["filters"] = {"activity_id": output}
                return create(**given)

        run = Run(returned=users.as_uri() if from_a_task == "input_uri" else ["maths"])
        first = run.execute(task())
        assert first["request"]["filters"] == {"activity_id": ["maths"]}
        assert first["records"] == 9
        assert run.execute(task()) == first
        assert dict(simulator.stats.jobs_started) == {first["dataset_id"]: 1}

    @pytest.mark.parametrize("place", ["filters", "below filters", "options", "input_uri"])
    @pytest.mark.promise("re-attach")
    def test_in_a_mapped_group_takes_over_the_job_of_its_own_values_and_of_no_others(
        self, simulator: Simulator, users: Path, place: str
    ) -> None:
        copy = users.with_name("copy.ndjson")
        copy.write_bytes(users.read_bytes())
        one, other = {
            "filters": ({"activity_id": ["maths"]}, {"activity_id": ["reading"]}),
            "below filters": ("maths", "reading"),
            "options": ({"fields": ["population"]}, {"fields": ["mean_score"]}),
            "input_uri": (users.as_uri(), copy.as_uri()),
        }[place]

        def task() -> BaseOperator:
            with DAG("a_dag", schedule=None) as dag:
                requests = XComArg(BaseOperator(task_id="requests"))

                @task_group
                def dataset(value: Any) -> None:
                    given: dict[str, Any] = {"input_uri": users.as_uri(), "request": request()}
                    filters = {"activity_id": [value], "maxtime": "{{ moment }}"}
                    if place == "input_uri":
                        given["input_uri"] = value
                    elif place == "below filters":
                        given["request"]["filters"] = filters
                    else:
                        given["request"][place] = value
                    create(**given)

                dataset.expand_kwargs(requests)
            return cast(BaseOperator, dag.get_task("dataset.create_dataset"))

        run = Run(map_index=1, returned=[{"value": other}, {"value": one}])
        first = run.execute(task(), moment="2026-11-28T10:00:00Z")
        assert run.execute(task(), moment="2026-11-28T10:05:00Z") == first
        run.returned = [{"value": one}, {"value": other}]
        second = run.execute(task(), moment="2026-11-28T10:05:00Z")
        assert second["dataset_id"] != first["dataset_id"]
        assert dict(simulator.stats.jobs_started) == {first["dataset_id"]: 1, second["dataset_id"]: 1}

    def test_takes_over_the_job_though_its_input_is_gone(self, simulator: Simulator, users: Path) -> None:
        run = Run()
        first = run.execute(create(SUMMARY, input_uri=users.as_uri()))
        users.unlink()
        assert run.execute(create(SUMMARY, input_uri=users.as_uri())) == first
        assert dict(simulator.stats.jobs_started) == {first["dataset_id"]: 1}

    @pytest.mark.promise("advice")
    def test_does_not_start_a_job_where_its_notes_cannot_be_read(self, simulator: Simulator) -> None:
        run = Run()
        run.state.values[KEY] = {"step": "of next year"}
        with pytest.raises(PermanentError, match="not started a second time") as caught:
            run.execute(create())
        assert how_to_start_over("a_dag", run.run_id, "create_dataset") in str(caught.value)
        assert not simulator.stats.calls[SET]

    @pytest.mark.parametrize("false", [False, "false", "{{ False }}"], ids=str)
    def test_of_a_dataset_that_exists_makes_nothing(
        self, simulator: Simulator, destination: Path, false: bool | str
    ) -> None:
        arguments = {"create": false, "dataset_id": WANTED, "destination_uri": destination.as_uri()}
        found = Run().execute(create(SUMMARY, job_reference="{{ 'a-job' }}", **arguments))
        assert set(found) == returned(LearnosityCreateDatasetOperator)
        assert (found["dataset_id"], found["dataset_type"], found["job_reference"]) == (WANTED, SUMMARY, "a-job")
        assert Run().execute(create(SUMMARY, **arguments))["job_reference"] == "", "there is nothing to wait for"
        assert simulator.stats.calls == {}

    @pytest.mark.parametrize("text", ["a-job ", "\ta-job", " a-job\n", "{{ 'a-job ' }}"], ids=repr)
    def test_of_a_dataset_that_exists_takes_a_pasted_job_without_the_blanks_around_it(
        self, simulator: Simulator, text: str
    ) -> None:
        found = Run().execute(create(create=False, dataset_id=WANTED, job_reference=text))
        assert found["job_reference"] == "a-job"

    @pytest.mark.parametrize("make", [True, None, "", "true"], ids=repr)
    @pytest.mark.parametrize("dataset_id", [None, WANTED])
    @pytest.mark.parametrize("conf", [True, False], ids=["run config", "argument"])
    @pytest.mark.promise("permanent at once")
    def test_refuses_a_job_to_wait_for_beside_a_dataset_that_would_be_made(
        self, simulator: Simulator, make: Any, dataset_id: str | None, conf: bool
    ) -> None:
        given = {"create": make, "dataset_id": dataset_id, "job_reference": "a-job"}
        with pytest.raises(RequestError, match="set create to false"):
            Run(conf=given if conf else {}).execute(create(run_config=NAMES) if conf else create(**given))
        assert simulator.stats.calls == {}

    def test_that_has_begun_a_dataset_in_an_earlier_release_goes_on_beside_a_job_to_wait_for(
        self, simulator: Simulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        run = Run()
        begun = run.execute(create())
        found = run.execute(create(job_reference="a-job"))
        assert found["dataset_id"] == begun["dataset_id"]
        assert simulator.stats.calls[SET] == 1
        assert "job_reference is ignored" in caplog.text

    @pytest.mark.parametrize("writable", [True, False])
    @pytest.mark.parametrize("makes", [True, "{{ True }}", False, "{{ False }}"], ids=str)
    def test_reports_its_input_as_read_only_where_a_dataset_is_made_of_it(
        self, users: Path, tmp_path: Path, makes: bool | str, writable: bool
    ) -> None:
        (tmp_path / "file").write_text("no folder")
        where = {} if writable else {"destination_uri": f"{tmp_path.as_uri()}/file/datasets"}
        task = create(SUMMARY, input_uri=users.as_uri(), create=makes, dataset_id=WANTED, **where)
        with nullcontext() if writable else pytest.raises(StorageError):
            Run().execute(task)
        found = task.get_openlineage_facets_on_complete(None)
        assert [each.name for each in found.inputs] == ([str(users)] if "True" in str(makes) else [])
        assert len(found.outputs) == writable

    def test_of_a_dataset_that_exists_needs_its_id(self, simulator: Simulator) -> None:
        with pytest.raises(RequestError, match="create is false: set dataset_id"):
            Run().execute(create(create=False))

    @pytest.mark.parametrize(
        "more",
        [{}, {"create": False, "dataset_id": "a951cc14-0316-4c12-bb13-1f386338a094"}],
        ids=["new", "exists already"],
    )
    @pytest.mark.parametrize("place", ["filters", "options", "groups"])
    @pytest.mark.parametrize(
        "value",
        ['{"a":1}', '[{"key":"school"}]', 7, True, [7], ["school"], [{"label": "School"}], [{"key": ""}], [None]],
        ids=str,
    )
    def test_names_a_field_of_another_type_before_anything_reads_it(
        self, simulator: Simulator, place: str, value: object, more: dict[str, Any]
    ) -> None:
        with pytest.raises(RequestError, match=place) as caught:
            Run().execute(create(request=request() | {place: value}, **more))
        assert "nothing was sent to Learnosity" in str(caught.value)
        assert simulator.stats.calls == {}

    def test_of_a_dataset_that_exists_refuses_a_destination_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("no folder")
        with pytest.raises(StorageError):
            Run().execute(create(create=False, dataset_id=WANTED, destination_uri=f"{tmp_path.as_uri()}/file/datasets"))


class TestListFiles:
    def test_returns_one_small_value_for_each_shard(self, simulator: Simulator, destination: Path) -> None:
        dataset = finished(simulator)
        run = Run()
        shards = listed(run, dataset, destination, landing_shards=3)
        assert [shard["shard"] for shard in shards] == [0, 1, 2]
        assert sum(shard["files"] for shard in shards) == len(served(simulator, dataset))
        assert {frozenset(shard) for shard in shards} == {frozenset({"shard", "files", "plan", "host"})}
        assert len({shard["plan"] for shard in shards}) == 1
        assert len(json.dumps(shards)) < 1000

    @pytest.mark.promise("no secret")
    def test_writes_the_plan_where_all_workers_can_read_it_and_no_signed_url_into_it(
        self, simulator: Simulator, destination: Path
    ) -> None:
        dataset = finished(simulator)
        listed(Run(), dataset, destination, landing_shards=2)
        written = [path for path in destination.rglob("*") if path.is_file()]
        assert len(written) == 2
        assert all("_landing" in path.parts for path in written)
        assert not any(b"http" in path.read_bytes() or b"Signature" in path.read_bytes() for path in written)

    @pytest.mark.parametrize("include", ["*.json", ["*.json"], ("*.json",), "{{ '*.json' }}"], ids=repr)
    def test_includes_what_a_glob_or_several_name(self, simulator: Simulator, destination: Path, include: Any) -> None:
        dataset = finished(simulator)
        wanted = [name for name in served(simulator, dataset) if name.endswith(".json")]
        (shard,) = listed(Run(), dataset, destination, include=include)
        assert 0 < shard["files"] == len(wanted)

    @pytest.mark.parametrize("shards", [2, "2", "{{ params.shards }}", " 2\n"], ids=repr)
    def test_makes_as_many_shards_as_a_number_or_its_template_says(
        self, simulator: Simulator, destination: Path, shards: Any
    ) -> None:
        run = Run(params={"shards": 2})
        assert len(listed(run, finished(simulator), destination, landing_shards=shards)) == 2

    @pytest.mark.parametrize("include", [None, [], ()], ids=repr)
    def test_includes_everything_where_nothing_is_named(
        self, simulator: Simulator, destination: Path, include: Any
    ) -> None:
        dataset = finished(simulator)
        (shard,) = listed(Run(), dataset, destination, include=include)
        assert shard["files"] == len(served(simulator, dataset))

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            pytest.param({"include": "*.parquet"}, "matches none of the", id="include"),
            pytest.param({"landing_shards": 0}, "landing_shards is 0; it must be a whole number", id="no shard"),
            pytest.param({"landing_shards": 1025}, "from 1 to 1024", id="too many shards"),
            pytest.param({"landing_shards": "two"}, "landing_shards is 'two'", id="shards as a word"),
            pytest.param({"overwrite": "perhaps"}, "overwrite is 'perhaps'", id="neither true nor false"),
            pytest.param({"include": 7}, "include is '7'; it must be a list of globs", id="a number as include"),
            pytest.param({"include": ["*.csv", None]}, "it must be a list of globs", id="nothing among the globs"),
            pytest.param({"include": {"*.csv": 1}}, "it must be a list of globs", id="an object as include"),
        ],
    )
    def test_refuses_what_has_to_change_and_writes_nothing(
        self, simulator: Simulator, destination: Path, arguments: dict[str, Any], says: str
    ) -> None:
        dataset = finished(simulator)
        with pytest.raises(RequestError, match=re.escape(says)):
            listed(Run(), dataset, destination, **arguments)
        assert not [path for path in destination.rglob("*") if path.is_file()]

    @pytest.mark.promise("untrusted names")
    def test_refuses_names_that_must_not_become_paths(self, simulator: Simulator, destination: Path) -> None:
        simulator.configure(hostile_names=("../../etc/passwd",))
        dataset = finished(simulator)
        with pytest.raises(PermanentError, match="Nothing was written"):
            listed(Run(), dataset, destination)
        assert not [path for path in destination.rglob("*") if path.is_file()]

    def test_refuses_a_dataset_that_is_not_finished(
        self, simulator: Simulator, destination: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listing, "READY_SECONDS", 0.0)
        simulator.faults.add(FaultRule(match="job", kind="job_hang"))
        dataset = Run().execute(create())
        with pytest.raises(PermanentApiError, match="not completed"):
            listed(Run(), dataset, destination)

    def test_refuses_a_dataset_whose_id_is_no_folder(self, destination: Path) -> None:
        with pytest.raises(RequestError, match="cannot be part of a path"):
            listed(
                Run(),
                {"dataset_type": ANALYSIS, "dataset_id": "../x", "learnosity_conn_id": "learnosity_default"},
                destination,
            )

    def test_refuses_a_destination_that_is_none(self, simulator: Simulator, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("no folder")
        with pytest.raises(StorageError):
            listed(Run(), finished(simulator), tmp_path / "file" / "datasets")

    @pytest.mark.parametrize("overwrite", [False, "false", "False", "", None], ids=repr)
    def test_returns_nothing_for_a_dataset_that_is_published_and_stays(
        self, simulator: Simulator, destination: Path, overwrite: Any
    ) -> None:
        dataset, _ = published(simulator, Run(), destination)
        before = dict(simulator.stats.calls)
        assert listed(Run("another"), dataset, destination, overwrite=overwrite) == []
        assert dict(simulator.stats.calls) == before

    @pytest.mark.parametrize("overwrite", [True, "true", "True", "{{ True }}"], ids=repr)
    def test_lists_a_published_dataset_again_where_it_is_to_be_overwritten(
        self, simulator: Simulator, destination: Path, overwrite: Any
    ) -> None:
        dataset, _ = published(simulator, Run(), destination)
        (shard,) = listed(Run("another"), dataset, destination, overwrite=overwrite)
        assert shard["files"] == len(served(simulator, dataset))
        assert not (folder_of(destination, dataset) / "manifest.json").exists()

    def test_makes_a_plan_of_its_own_each_time(self, simulator: Simulator, destination: Path) -> None:
        dataset, run = finished(simulator), Run()
        (first,) = listed(run, dataset, destination)
        (second,) = listed(run, dataset, destination)
        assert first["plan"] != second["plan"]

    def test_tells_its_page_how_many_files_all_shards_land_and_a_short_shard_tells_its_own(
        self, simulator: Simulator, destination: Path
    ) -> None:
        dataset, run = finished(simulator), Run()
        shards = listed(run, dataset, destination, landing_shards=2)
        files = len(served(simulator, dataset))
        assert (run.state.values[PROGRESS_KEY]["files"], run.state.values[PROGRESS_KEY]["total"]) == (0, files)
        landed(run, dataset, destination, shards[:1])
        told = run.state.values[PROGRESS_KEY]
        assert told["files"] == told["total"] == shards[0]["files"]

    def test_asks_for_the_item_bank_that_it_is_given(
        self, simulator: Simulator, destination: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listing, "READY_SECONDS", 0.0)
        dataset = finished(simulator)
        with pytest.raises(PermanentApiError, match="not linked to this organisation_id"):
            listed(Run(), dataset, destination, organisation_id=404)
        assert listed(Run(), dataset, destination, organisation_id=7)

    @pytest.mark.parametrize("code", [20004, 20012, 50000])
    def test_a_dataset_that_is_not_there_right_after_its_job_is_asked_for_again(
        self, simulator: Simulator, code: int
    ) -> None:
        dataset = finished(simulator)
        rule = FaultRule(match="get reports/datasets", kind="status", status=400, code=code, times=2)
        simulator.faults.add(rule)
        assert Run().execute(LearnosityListFilesOperator(task_id="list_files", dataset=dataset))
        simulator.faults.add(rule)
        existing = Run().execute(create(create=False, dataset_id=dataset["dataset_id"]))
        with pytest.raises(PermanentApiError):
            Run().execute(LearnosityListFilesOperator(task_id="list_files", dataset=existing))


class TestLandFiles:
    def test_lands_its_shard_and_returns_what_is_documented(
        self, simulator: Simulator, destination: Path, figures: Figures
    ) -> None:
        dataset, run = finished(simulator), Run()
        shards = listed(run, dataset, destination, landing_shards=2)
        (first,) = landed(run, dataset, destination, shards[:1])
        assert set(first) == returned(LearnosityLandFilesOperator)
        assert first == {
            "shard": 0,
            "files": shards[0]["files"],
            "total_bytes": sum(map(len, data_of(destination, dataset).values())),
            "skipped": 0,
        }
        landed(run, dataset, destination, shards[1:])
        assert {name: len(body) for name, body in data_of(destination, dataset).items()} == served(simulator, dataset)
        assert figures.counts[("landed_files", ANALYSIS)] == len(served(simulator, dataset))

    def test_fetches_nothing_again_at_the_second_try(
        self, simulator: Simulator, destination: Path, figures: Figures
    ) -> None:
        dataset, run = finished(simulator), Run()
        shards = listed(run, dataset, destination)
        (first,) = landed(run, dataset, destination, shards)
        fetched = simulator.stats.calls[FILE]
        (again,) = landed(run, dataset, destination, shards)
        assert again == first | {"skipped": first["files"]}
        assert simulator.stats.calls[FILE] == fetched
        assert figures.counts[("landed_files", ANALYSIS)] == first["files"]

    def test_fetches_everything_again_for_another_plan(self, simulator: Simulator, destination: Path) -> None:
        dataset, run = finished(simulator), Run()
        landed(run, dataset, destination, listed(run, dataset, destination))
        (again,) = landed(run, dataset, destination, listed(run, dataset, destination))
        assert again["skipped"] == 0

    def test_leaves_what_did_not_arrive_to_the_next_try(self, simulator: Simulator, destination: Path) -> None:
        dataset, run = finished(simulator), Run()
        shards = listed(run, dataset, destination)
        unlucky = min(served(simulator, dataset))
        simulator.faults.add(FaultRule(match=FILE, name=unlucky, kind="reset", times=6))
        with pytest.raises(TransientError, match="the next try"):
            landed(run, dataset, destination, shards)
        (again,) = landed(run, dataset, destination, shards)
        assert again["skipped"] == again["files"] - 1

    def test_says_what_to_do_where_its_plan_is_gone(self, simulator: Simulator, destination: Path) -> None:
        dataset = finished(simulator)
        with pytest.raises(IncompleteDatasetError, match="Clear list_files"):
            landed(Run(), dataset, destination, [{"shard": 0, "files": 1, "plan": "gone"}])

    def test_on_a_worker_that_does_not_share_the_folder_says_so_at_once(
        self, simulator: Simulator, destination: Path
    ) -> None:
        dataset, run = finished(simulator), Run()
        shards = [shard | {"host": "worker-a"} for shard in listed(run, dataset, destination)]
        landed(run, dataset, destination, shards)  # as long as the plan is seen, the name of the worker does not matter
        shutil.rmtree(destination)
        destination.mkdir()
        says = rf"Worker {socket.gethostname()} does not see the plan .* worker worker-a .* not shared .*such as s3://"
        with pytest.raises(PermanentError, match=says):
            landed(run, dataset, destination, shards)
        with pytest.raises(PermanentError, match=says):
            publish(run, dataset, destination, shards)

    def test_of_another_run_does_not_use_the_plan_of_this_one(self, simulator: Simulator, destination: Path) -> None:
        dataset = finished(simulator)
        shards = listed(Run("one"), dataset, destination)
        with pytest.raises(IncompleteDatasetError):
            landed(Run("two"), dataset, destination, shards)

    def test_refuses_a_missing_connection(self, simulator: Simulator, destination: Path) -> None:
        dataset, run = finished(simulator), Run()
        (shard,) = listed(run, dataset, destination)
        task = landing(LearnosityLandFilesOperator, dataset, destination, shard=shard, learnosity_conn_id="nobody")
        with pytest.raises(ConnectionConfigError, match="'nobody' does not exist"):
            run.execute(task)


class TestPublish:
    def test_returns_what_is_documented_and_writes_the_manifest(
        self, simulator: Simulator, destination: Path, figures: Figures
    ) -> None:
        run = Run()
        dataset, result = published(simulator, run, destination)
        assert set(result) == returned(LearnosityPublishOperator) - {"left_out", "include"}
        files = served(simulator, dataset)
        manifest = json.loads((folder_of(destination, dataset) / "manifest.json").read_text())
        assert result == {
            "dataset_id": dataset["dataset_id"],
            "dataset_type": ANALYSIS,
            "manifest_uri": (folder_of(destination, dataset) / "manifest.json").as_uri(),
            "file_count": len(files),
            "total_bytes": sum(files.values()),
            "gaps": [],
            "figures": manifest["returned"]["figures"],
            "records": None,
            "activities": [],
            "destination_uri": destination.as_uri(),
            "learnosity_conn_id": "learnosity_default",
        }
        assert result["figures"]["questions"] > 0
        assert manifest["request"] == dataset["request"]
        assert manifest["job_reference"] == dataset["job_reference"]
        assert manifest["run"] == {
            "dag_id": "a_dag", "run_id": run.run_id, "logical_date": "2026-11-28T10:00:00+00:00",
        }  # fmt: skip
        assert not (folder_of(destination, dataset) / "_landing").exists(), "notes are gone"
        assert figures.counts[("datasets_published", ANALYSIS)] == 1
        assert figures.counts[("published_files", ANALYSIS)] == len(files)
        assert figures.counts[("published_bytes", ANALYSIS)] == sum(files.values())

    def test_says_what_include_left_out(self, simulator: Simulator, destination: Path) -> None:
        run, dataset = Run(), finished(simulator)
        shards = listed(run, dataset, destination, include=["*.json"])
        landed(run, dataset, destination, shards)
        task = landing(LearnosityPublishOperator, dataset, destination, shards=shards)
        result = run.execute(task)
        assert result["left_out"] == len(served(simulator, dataset)) - result["file_count"] > 0
        assert result["include"] == ["*.json"]
        assert run.events(task)[f"learnosity_{ANALYSIS}"]["left_out"] == result["left_out"]

    @pytest.mark.parametrize("named", [ANALYSIS, "{{ params.dataset_type }}"])
    def test_emits_the_event_of_the_asset_with_what_a_consumer_needs_and_no_connection(
        self, simulator: Simulator, destination: Path, named: str
    ) -> None:
        dataset, result = published(simulator, Run(), destination)
        run = Run(params={"dataset_type": ANALYSIS})
        task = landing(
            LearnosityPublishOperator,
            dataset,
            destination,
            shards=[],
            request=request(ANALYSIS) | {"dataset_type": named},
        )
        run.execute(task)
        extra = {name: value for name, value in result.items() if name not in ("destination_uri", "learnosity_conn_id")}
        assert run.events(task) == {f"learnosity_{ANALYSIS}": extra}

    def test_of_a_type_that_is_not_known_has_an_event_that_no_consumer_has_to_wait_for(
        self, simulator: Simulator, destination: Path
    ) -> None:
        dataset, _ = published(simulator, Run(), destination)
        folder = folder_of(destination, dataset)
        folder.parent.rename(destination / "new-type")
        manifest = destination / "new-type" / folder.name / "manifest.json"
        manifest.write_text(manifest.read_text().replace(ANALYSIS, "new-type"))
        task = landing(
            LearnosityPublishOperator,
            dataset | {"dataset_type": "new-type"},
            destination,
            shards=[],
            request={"dataset_type": "{{ params.dataset_type }}"},
        )
        run = Run(params={"dataset_type": "new-type"})
        run.execute(task)
        events = run.events(task)
        assert set(events) == {"learnosity_new-type", "learnosity-other-datasets"}
        assert {extra["dataset_type"] for extra in events.values()} == {"new-type"}

    def test_of_another_type_than_its_request_is_refused(self, simulator: Simulator, destination: Path) -> None:
        dataset, _ = published(simulator, Run(), destination)
        with pytest.raises(RequestError, match="the same request"):
            publish(Run(), dataset, destination, [], request=request(SUMMARY))

    def test_of_a_run_without_a_logical_date_tells_none(self, simulator: Simulator, destination: Path) -> None:
        dataset, _ = published(simulator, Run(logical_date=None), destination)
        manifest = json.loads((folder_of(destination, dataset) / "manifest.json").read_text())
        assert manifest["run"]["logical_date"] is None

    def test_checks_a_dataset_that_was_published_before_and_announces_it_again(
        self, simulator: Simulator, destination: Path
    ) -> None:
        dataset, first = published(simulator, Run(), destination)
        run = Run("another")
        assert listed(run, dataset, destination) == []
        assert publish(run, dataset, destination, []) == first
        assert len(run.outlet_events) == 1

    def test_publishes_nothing_and_announces_nothing_before_all_has_landed(
        self, simulator: Simulator, destination: Path
    ) -> None:
        dataset, run = finished(simulator), Run()
        shards = listed(run, dataset, destination, landing_shards=2)
        landed(run, dataset, destination, shards[:1])
        with pytest.raises(IncompleteDatasetError, match="have not landed"):
            publish(run, dataset, destination, shards)
        assert not (folder_of(destination, dataset) / "manifest.json").exists()
        assert len(run.outlet_events) == 0

    def test_says_what_to_do_where_the_manifest_of_a_published_dataset_is_gone(
        self, simulator: Simulator, destination: Path
    ) -> None:
        dataset, _ = published(simulator, Run(), destination)
        (folder_of(destination, dataset) / "manifest.json").unlink()
        run = Run("another")
        with pytest.raises(IncompleteDatasetError, match="Clear list_files"):
            publish(run, dataset, destination, [])
        assert len(run.outlet_events) == 0

    def test_of_a_dataset_of_release_1_writes_the_request_that_it_is_given(
        self, simulator: Simulator, destination: Path
    ) -> None:
        dataset, run = finished(simulator), Run()
        del dataset["request"]
        shards = listed(run, dataset, destination)
        landed(run, dataset, destination, shards)
        publish(run, dataset, destination, shards, request=request(ANALYSIS, filters={"a": ["b"]}))
        manifest = json.loads((folder_of(destination, dataset) / "manifest.json").read_text())
        assert manifest["request"]["filters"] == {"a": ["b"]}
        assert manifest["request"]["dataset_id"] == dataset["dataset_id"]

    def test_refuses_shards_that_were_not_rendered(self, destination: Path) -> None:
        class Unrendered(LearnosityPublishOperator):
            template_fields = tuple(name for name in LearnosityPublishOperator.template_fields if name != "shards")

        shards = XComArg(BaseOperator(task_id="list_files"))
        dataset = {
            "dataset_type": ANALYSIS,
            "dataset_id": WANTED,
            "job_reference": "j",
            "file_count": 0,
            "learnosity_conn_id": "x",
        }
        task = Unrendered(
            task_id="publish",
            dataset=dataset,
            destination_uri=destination.as_uri(),
            request=request(ANALYSIS),
            shards=shards,
        )
        with pytest.raises(RequestError, match="list_files returned PlainXComArg instead of the list of shards"):
            Run().execute(task)

    def test_may_have_outlets_of_its_own(self, simulator: Simulator, destination: Path) -> None:
        dataset, _ = published(simulator, Run(), destination)
        own = Asset("mine")
        task = landing(LearnosityPublishOperator, dataset, destination, shards=[], outlets=[own])
        Run().execute(task)
        assert task.outlets == [own]


NAMES = tuple(each.name for each in FIELDS)


class TestRunConfig:
    @pytest.fixture(autouse=True)
    def allowed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Runs may use local folders here."""
        monkeypatch.setenv("AIRFLOW_VAR_LEARNOSITY_ALLOWED_URIS", json.dumps([tmp_path.as_uri()]))

    @pytest.mark.parametrize(
        ("name", "uri"),
        [
            ("destination_uri", "s3://theirs@bucket/minors"),
            ("destination_uri", "file:///opt/airflow/dags"),
            ("destination_uri", "az://internal_api@container/x"),
            ("input_uri", "file:///etc/passwd"),
            ("input_uri", "s3://bucket/with-the-rights-of-the-worker"),
        ],
    )
    @pytest.mark.promise("permanent at once")
    def test_may_not_name_a_place_that_is_not_allowed(self, simulator: Simulator, name: str, uri: str) -> None:
        with pytest.raises(RequestError, match=f"{name}: runs may not .* learnosity_allowed_uris"):
            Run(conf={name: uri}).execute(create(SUMMARY if name == "input_uri" else ANALYSIS, run_config=NAMES))
        assert not simulator.stats.calls

    @pytest.mark.parametrize("uri", ["{}", "{}/*.json*", "{}/**"])
    @pytest.mark.promise("permanent at once")
    def test_may_not_read_through_a_link_in_an_allowed_folder(
        self, simulator: Simulator, users: Path, tmp_path: Path, uri: str
    ) -> None:
        outside = tmp_path.parent / f"{tmp_path.name}-outside.jsonl"
        outside.write_bytes(users.read_bytes())
        folder = tmp_path / "rosters"
        folder.mkdir()
        (folder / "users.jsonl").symlink_to(outside)
        conf = {"input_uri": uri.format(folder.as_uri())}
        with pytest.raises(RequestError, match="follow the link"):
            Run(conf=conf).execute(create(SUMMARY, run_config=NAMES))
        assert not simulator.stats.jobs_started

    def test_of_a_dag_author_may_name_any_place(self, simulator: Simulator, tmp_path: Path) -> None:
        elsewhere = (tmp_path.parent / f"{tmp_path.name}-elsewhere").as_uri()
        assert Run().execute(create(destination_uri=elsewhere))["destination_uri"] == elsewhere

    def test_replaces_every_argument_of_the_create_task(
        self, simulator: Simulator, users: Path, tmp_path: Path, connection: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setenv("AIRFLOW_CONN_20261", json.dumps(connection))
        conf = {
            **request(SUMMARY, organisation_id=7),
            "input_uri": users.as_uri(),
            "dataset_id": WANTED,
            "destination_uri": (tmp_path / "elsewhere").as_uri(),
            "learnosity_conn_id": "20261",
        }
        created = Run(conf=conf).execute(create(run_config=NAMES))
        assert created["request"] == request(SUMMARY, organisation_id=7) | {"dataset_id": WANTED, "file_count": 1}
        assert created["destination_uri"] == (tmp_path / "elsewhere").as_uri()
        assert (created["learnosity_conn_id"], created["organisation_id"]) == ("20261", 7)
        assert (tmp_path / "elsewhere").is_dir()

    @pytest.mark.parametrize("dataset_type", ["1e5", "20261", "None", "0x10"])
    def test_leaves_a_text_that_looks_like_something_else_a_text(self, simulator: Simulator, dataset_type: str) -> None:
        task = create(run_config=NAMES)
        with pytest.raises(PermanentApiError):  # the simulator does not know the type, and quotes it
            Run(conf={"dataset_type": dataset_type}).execute(task)
        assert task.request["dataset_type"] == dataset_type

    def test_that_is_empty_leaves_the_arguments(self, simulator: Simulator, destination: Path) -> None:
        created = Run(conf=dict.fromkeys(NAMES)).execute(create(run_config=NAMES))
        assert created["dataset_type"] == ANALYSIS
        assert created["destination_uri"] == destination.as_uri()
        assert created["learnosity_conn_id"] == "learnosity_default"

    @pytest.mark.parametrize("wrong", ["filter", "grups", "destination"])
    @pytest.mark.promise("permanent at once")
    def test_with_an_unknown_key_is_refused_before_anything_is_sent(self, simulator: Simulator, wrong: str) -> None:
        with pytest.raises(RequestError, match=f"'{wrong}' is not a field; did you mean"):
            Run(conf={wrong: "x"}).execute(create(run_config=NAMES))
        assert not simulator.stats.calls

    @pytest.mark.parametrize("names", [("options",), NAMES], ids=["some fields", "all fields"])
    def test_may_give_further_params_of_the_dag(
        self, simulator: Simulator, tmp_path: Path, users: Path, names: tuple[str, ...]
    ) -> None:
        with DAG("a_dag", params={"school": "none", "options": {}}):
            uri = f"file://{users.parent}/{{{{ params.school }}}}.ndjson"
            task = create(SUMMARY, input_uri=uri, run_config=names, destination_uri=tmp_path.as_uri())
        conf = {"school": users.stem, "options": {"fields": ["population"]}}
        assert Run(conf=conf, params=conf).execute(task)["request"]["options"] == conf["options"]
        with pytest.raises(RequestError, match="'schol' is not a field"):
            Run(conf={"schol": users.stem}, params={"school": users.stem}).execute(task)

    def test_is_not_read_by_an_operator_that_is_not_told_to(self, simulator: Simulator) -> None:
        created = Run(conf={"filter": 1, "dataset_type": SUMMARY}).execute(create())
        assert created["dataset_type"] == ANALYSIS

    def test_that_changes_before_a_clear_makes_another_dataset(self, simulator: Simulator) -> None:
        run = Run(conf={"filters": {"activity_id": ["a"]}})
        first = run.execute(create(run_config=NAMES))
        assert run.execute(create(run_config=NAMES)) == first
        run.conf = {"filters": {"activity_id": ["b"]}}
        assert run.execute(create(run_config=NAMES))["dataset_id"] != first["dataset_id"]

    def test_replaces_the_arguments_of_the_list_task(self, simulator: Simulator, destination: Path) -> None:
        run = Run(conf={"landing_shards": 3, "include": ["*.json"], "overwrite": True, "filter": 1})
        dataset = finished(simulator)
        names = ("include", "overwrite", "landing_shards")
        assert len(listed(run, dataset, destination, run_config=names, landing_shards=1)) == 3
        assert len(listed(run, dataset, destination, run_config=None)) == 1


@pytest.mark.parametrize("try_number", [1, 2, 3])
def test_the_landing_knows_whether_a_try_has_failed_before(
    simulator: Simulator, destination: Path, monkeypatch: pytest.MonkeyPatch, try_number: int
) -> None:
    run, dataset, seen = Run(), finished(simulator), []

    async def landed(*_: Any, is_retry: bool, **__: Any) -> ShardResult:
        seen.append(is_retry)
        return ShardResult(0, 0, 0, 0)

    monkeypatch.setattr("learnosity.landing_tasks.land_shard", landed)
    shards = run.execute(LearnosityListFilesOperator(task_id="list_files", dataset=dataset))
    ti = SimpleNamespace(dag_id="a_dag", run_id="r", task_id="land_files", map_index=-1, try_number=try_number)
    run.execute(LearnosityLandFilesOperator(task_id="land_files", dataset=dataset, shard=shards[0]), ti=ti)
    assert seen == [try_number > 1]


class TestHandedOn:
    def test_the_landing_tasks_use_what_the_create_task_decided(
        self, simulator: Simulator, destination: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = Run()
        dataset = finished(simulator)
        monkeypatch.setenv("AIRFLOW_VAR_LEARNOSITY_DESTINATION_URI", "s3://changed_meanwhile@bucket/x")
        shards = run.execute(LearnosityListFilesOperator(task_id="list_files", dataset=dataset))
        for shard in shards:
            run.execute(LearnosityLandFilesOperator(task_id="land_files", dataset=dataset, shard=shard))
        task = LearnosityPublishOperator(task_id="publish", dataset=dataset, request={}, shards=shards)
        result = run.execute(task)
        assert (result["destination_uri"], result["learnosity_conn_id"]) == (
            destination.as_uri(), "learnosity_default",
        )  # fmt: skip
        assert data_of(destination, dataset)

    @pytest.mark.parametrize("exists", [False, True])
    @pytest.mark.parametrize(("before", "after"), [(None, 7), (7, None), (7, 8)], ids=repr)
    def test_the_item_bank_is_decided_once(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any], exists: bool,
        before: int | None, after: int | None,
    ) -> None:  # fmt: skip
        """The extra of the connection is changed after the create task."""
        simulator.configure(linked_organisations=(7, 8))
        use_item_bank(monkeypatch, connection, before)
        dataset = finished(simulator)
        if exists:
            dataset = Run().execute(create(create=False, dataset_id=dataset["dataset_id"]))
        assert dataset["organisation_id"] == before
        use_item_bank(monkeypatch, connection, after)
        asked, send = list[Any](), LearnosityClient._once

        async def once(self: LearnosityClient, action: str, endpoint: str, request: Any, *args: Any) -> Any:
            asked.append((f"{action} {endpoint}", request.get("organisation_id"), "organisation_id" in request))
            return await send(self, action, endpoint, request, *args)

        monkeypatch.setattr(LearnosityClient, "_once", once)
        Run().execute(LearnosityListFilesOperator(task_id="list_files", dataset=dataset))
        assert {each for each in asked if each[0] == "get reports/datasets"} == {
            ("get reports/datasets", before, before is not None)
        }

    def test_one_task_lands_all_shards_where_it_is_given_the_list(
        self, simulator: Simulator, destination: Path
    ) -> None:
        run = Run()
        dataset = finished(simulator)
        shards = listed(run, dataset, destination, landing_shards=3)
        landed = run.execute(landing(LearnosityLandFilesOperator, dataset, destination, shard=shards))
        assert [each["shard"] for each in landed] == [0, 1, 2]
        assert {name: len(data) for name, data in data_of(destination, dataset).items()} == served(simulator, dataset)
        assert publish(run, dataset, destination, shards)["file_count"] == len(served(simulator, dataset))

    @pytest.mark.parametrize("nothing", [None, "", {}, "None"], ids=repr)
    @pytest.mark.parametrize(
        "kind", [LearnosityListFilesOperator, LearnosityLandFilesOperator, LearnosityPublishOperator]
    )
    @pytest.mark.promise("permanent at once")
    def test_after_a_create_task_that_was_marked_as_success(self, kind: type[BaseOperator], nothing: Any) -> None:
        given: dict[str, Any] = {"task_id": "a_task", "dataset": nothing}
        if kind is LearnosityLandFilesOperator:
            given["shard"] = {"shard": 0}
        if kind is LearnosityPublishOperator:
            given |= {"request": request(), "shards": []}
        with pytest.raises(RequestError, match="create_dataset returned no dataset: was it marked as success by hand"):
            Run().execute(kind(**given))

    @pytest.mark.parametrize("nothing", [None, "", 0, {}], ids=repr)
    def test_after_a_list_task_that_was_marked_as_success(
        self, simulator: Simulator, destination: Path, nothing: Any
    ) -> None:
        dataset = finished(simulator)
        with pytest.raises(RequestError, match="was it marked as success by hand"):
            publish(Run(), dataset, destination, nothing)

    @pytest.mark.parametrize("map_index", [-1, 3])
    @pytest.mark.parametrize("skipped", ["create_dataset", "list_files", None])
    def test_publish_after_a_task_that_was_skipped_or_marked_as_success(
        self, simulator: Simulator, skipped: str | None, map_index: int
    ) -> None:
        """It runs after skipped tasks, because of its trigger rule."""
        dataset = None if skipped == "create_dataset" else finished(simulator)
        with DAG("a_dag"):
            made = create()
            files = LearnosityListFilesOperator(task_id="list_files", dataset=made.output)
            task: Any = LearnosityPublishOperator(
                task_id="publish", dataset=made.output, request=request(ANALYSIS), shards=files.output
            )
        asked: list[dict[str, Any]] = []

        def states(**arguments: Any) -> dict[str, dict[str, str]]:
            asked.append(arguments)
            suffix = f"_{map_index}" if map_index >= 0 else ""
            found = {each: "skipped" if each == skipped else "success" for each in arguments["task_ids"]}
            return {run.run_id: {f"{each}{suffix}": state for each, state in found.items()}}

        run = Run(map_index=map_index, states=states)
        task.dataset, task.shards = dataset, None
        with pytest.raises(AirflowSkipException if skipped else RequestError, match=skipped or "marked as success"):
            run.execute(task)
        assert asked == [
            {
                "dag_id": "a_dag",
                "map_index": map_index,
                "task_ids": ["create_dataset", "list_files"],
                "run_ids": [run.run_id],
            }
        ]

    @pytest.mark.parametrize("name", ["destination_uri", "learnosity_conn_id"])
    def test_after_a_create_task_of_an_earlier_release(self, simulator: Simulator, name: str) -> None:
        dataset = finished(simulator)
        del dataset[name]
        with pytest.raises(RequestError, match=f"did not hand on its {name}. Clear create_dataset"):
            Run().execute(LearnosityListFilesOperator(task_id="list_files", dataset=dataset))
        assert Run().execute(create())["dataset_id"]


class TestRequireComplete:
    """`require_complete`, from the task's author or from the run config."""

    FIELDS = ("require_complete",)

    def test_a_request_whose_result_cannot_be_compared_is_refused_before_anything_is_sent(
        self, simulator: Simulator, users: Path
    ) -> None:
        wanted = {**request(SUMMARY), "options": {"fields": ["mean_score"]}}
        task = create(request=wanted, input_uri=users.as_uri(), run_config=self.FIELDS)
        with pytest.raises(RequestError, match='add "population" to options.fields'):
            Run(conf={"require_complete": True}).execute(task)
        assert not simulator._running.datasets

    @pytest.mark.parametrize("how", ["argument", "run config"])
    def test_a_gap_is_an_error_before_publication_and_else_it_is_said_in_the_event(
        self, simulator: Simulator, users: Path, destination: Path, how: str
    ) -> None:
        dataset = finished(simulator, request=request(SUMMARY), input_uri=users.as_uri())
        assert dataset["input"]["users"] == 9
        assert dataset["input"]["levels"][0]["groups"] == 2
        dataset["input"]["users"] += 1
        run = Run(conf={"require_complete": True} if how == "run config" else {})
        shards = listed(run, dataset, destination)
        landed(run, dataset, destination, shards)
        arguments: dict[str, Any] = {"require_complete": True} if how == "argument" else {"run_config": self.FIELDS}
        with pytest.raises(GapError, match="10 users were uploaded, and 9 came back"):
            publish(run, dataset, destination, shards, **arguments)
        assert not (folder_of(destination, dataset) / "manifest.json").exists()

        task = landing(LearnosityPublishOperator, dataset, destination, shards=shards)
        again = Run(run.run_id)
        assert again.execute(task)["gaps"] == ["10 users were uploaded, and 9 came back."]
        assert again.events(task)[f"learnosity_{SUMMARY}"]["gaps"] == ["10 users were uploaded, and 9 came back."]
