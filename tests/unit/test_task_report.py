"""What a task tells its pages: the error and what to do, never a value of data, and never at the cost of the task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import DAG, Context
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTerminated,
    AirflowTaskTimeout,
    DagRunTriggerException,
    DownstreamTasksSkipped,
    TaskDeferred,
    XComNotFound,
)

from learnosity.advice import what_to_do
from learnosity.dataset.manifest import LAND_AGAIN
from learnosity.errors import (
    ApiError,
    AuthenticationError,
    ConnectionConfigError,
    IncompleteDatasetError,
    InputError,
    JobHaltedError,
    LearnosityError,
    MissingExtraError,
    PermanentApiError,
    RequestError,
    StorageError,
    TransientApiError,
    UnexpectedReplyError,
    UnsafeNameError,
)
from learnosity.job_end import halted, timed_out
from learnosity.operators import (
    LearnosityCreateDatasetOperator,
    LearnosityLandFilesOperator,
    LearnosityListFilesOperator,
    LearnosityPublishOperator,
)
from learnosity.schedules.checks import ScheduleProblem
from learnosity.schedules.dags import InvalidScheduleError, invalid_dag
from learnosity.schedules.templates import MissingTimeError, template_filters
from learnosity.sensors import LearnosityJobSensor
from learnosity.task_report import FAILURE_KEY, PROGRESS_KEY, Landing, report_failures, report_plan, report_progress
from learnosity.task_state import how_to_start_over

PUPIL = "pupil-4711"


class Stores:
    """The task state store of a task, which may fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.values: dict[str, Any] = {}
        self.stored = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    def set(self, key: str, value: Any) -> None:
        if self.error:
            raise self.error
        self.values[key] = value
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.stored.set)

    def context(self, attempt: int = 1) -> Context:
        ti = SimpleNamespace(task_id="wait_for_job", try_number=attempt)
        return cast(Context, {"ti": ti, "task_state_store": self})


def told(error: BaseException, attempt: int = 1) -> dict[str, Any] | None:
    stores = Stores()
    with pytest.raises(type(error)), report_failures(stores.context(attempt)):
        raise error
    value: dict[str, Any] | None = stores.values.get(FAILURE_KEY)
    return value


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (RequestError("groups is empty."), "Trigger a new run"),
        (InputError("2 lines are wrong."), "Correct the input files, then clear wait_for_job"),
        (InputError("No input found at s3://b/typo."), "Or trigger a new run with another run config"),
        (UnsafeNameError("'a' is both a file and a folder"), "Correct these names in the input"),
        (ConnectionConfigError("no password."), "Correct the connection, then clear wait_for_job"),
        (AuthenticationError("refused.", code=41000), "Correct the Learnosity connection"),
        (StorageError("no such bucket."), "Correct the bucket"),
        (StorageError("no such bucket."), "downstream tasks. Or trigger a new run"),
        (StorageError("Could not delete s3://b/x: the user may not delete objects."), "Correct the bucket"),
        (MissingExtraError("gcsfs is missing."), "Install the package"),
        (TransientApiError("503"), "clear wait_for_job: it goes on where it ended"),
        (LearnosityError("other."), "clear wait_for_job"),
        (AirflowSensorTimeout("too late"), "clear wait_for_job"),
        (AirflowNotFoundException("The conn_id `lake` isn't defined"), "clear wait_for_job"),
        (XComNotFound("dag", "a", "key"), "clear wait_for_job"),
        (AirflowTaskTimeout("land_files did not end within its execution_timeout of 1:00."), "clear wait_for_job"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, BaseException) else "",
)
def test_every_kind_of_error_is_told_with_advice_that_can_be_followed(error: BaseException, advice: str) -> None:
    found = told(error, attempt=3)
    assert found is not None
    assert found["message"] == str(error)
    assert advice in found["advice"]
    assert found["attempt"] == 3
    assert "run config, then clear" not in found["advice"]


@pytest.mark.parametrize(
    "error", [AirflowFailException("u1 is wrong"), AirflowException("u1"), KeyError("u1")], ids=str
)
def test_an_error_whose_message_may_quote_data_is_told_by_its_type(error: Exception) -> None:
    found = told(error)
    assert found is not None
    assert found["message"] == f"{type(error).__name__}. The log of the task says more."
    assert "u1" not in str(found)


@pytest.mark.parametrize(
    "kind", [AirflowSkipException, AirflowRescheduleException, DagRunTriggerException, DownstreamTasksSkipped]
)
def test_what_a_task_raises_to_tell_airflow_what_to_do_is_no_failure(kind: type[Exception]) -> None:
    assert told(kind.__new__(kind)) is None


@pytest.mark.parametrize("text", ["Timeout, PID: 4711", ""])
def test_a_time_out_of_airflow_says_which_limit_it_was(text: str) -> None:
    found = told(AirflowTaskTimeout(text))
    assert found is not None
    assert found["message"] == "The task did not end within its execution_timeout."


@pytest.mark.parametrize(
    "error", [AuthenticationError("refused.", code=41000), TransientApiError("GET jobs timed out.")]
)
@pytest.mark.parametrize("host", ["", "data.learnosity.com"])
def test_an_error_of_the_api_names_the_connection_and_the_host(error: ApiError, host: str) -> None:
    error.host = host
    stores = Stores()
    context = stores.context()
    cast(Any, context["ti"]).task = SimpleNamespace(learnosity_conn_id="learnosity_europe")
    with pytest.raises(type(error)), report_failures(context):
        raise error
    assert stores.values[FAILURE_KEY]["message"] == (
        f"{error} The Learnosity connection was 'learnosity_europe'{', the host ' if host else ''}{host}."
    )


@pytest.mark.parametrize(
    "error",
    [
        JobHaltedError("Halted: no sessions. Correct it, then clear create_dataset."),
        halted("a-job", "line 3 of 's3://b/x' is no record"),
        timed_out("a-job", 7, ""),
        timed_out("a-job", 7, "The last poll failed: https://data.learnosity.com: 502."),
        AirflowSensorTimeout(
            "The job may still run at Learnosity, or have ended: clear this task to continue the wait."
        ),
        RequestError("create_dataset returned no dataset: was it marked as success by hand? Clear it."),
        RequestError("'a' and \"b\" are no fields. Trigger a new run: the config of this run cannot be changed."),
        RequestError(f"In doubt. DELETE {how_to_start_over('dag', 'run', 'group.create')}."),
        IncompleteDatasetError("The user's file 'a/b' has changed. Clear list_files with its downstream tasks."),
        IncompleteDatasetError("Users' files have changed. Clear land_files to land the rest; 'c' is one of them."),
        IncompleteDatasetError("s3://b/manifest.json. Clear list_files with its downstream tasks."),
        IncompleteDatasetError("It is no manifest (s3://b/x/): clear list_files."),
        IncompleteDatasetError(f"s3://b/x cannot be read. {LAND_AGAIN}"),
        UnexpectedReplyError("It is not understood. Check the pinned `version`, then clear the task."),
        UnsafeNameError("'a' is no name (correct the extra, such as join('.', [name, format]), then clear list_files)"),
        InvalidScheduleError("Correct the schedule file. Then its own DAG takes the place of this one."),
    ],
    ids=lambda error: str(error)[:60],
)
def test_a_message_that_says_what_to_do_gets_no_second_advice(error: BaseException) -> None:
    found = told(error)
    assert found is not None
    assert found["advice"] == ""


NAMES = (
    "unclear rows.csv",
    "clear rows.csv",
    "my clear rows.csv",
    "clear list_files.csv",
    "nuclear data",
    "a. Clear b.csv",
    "trigger a new run.csv",
    "retrigger a new runner.csv",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("message", ["'{}' is empty.", '"a/{}" is empty.', "`{}` is empty.", "A user's '{}' is empty."])
def test_a_quoted_name_is_no_advice(name: str, message: str) -> None:
    assert what_to_do(InputError(message.format(name)), "a").startswith("Correct the input files")


@pytest.mark.parametrize("name", ["unclear rows.csv", "clear rows.csv", "my clear rows.csv", "a-clear b", "x/clear y"])
@pytest.mark.parametrize("message", ["{} is empty.", "No input found at {}.", "{}: it is empty.", "{}"])
def test_the_name_of_a_place_is_no_advice(name: str, message: str) -> None:
    assert what_to_do(InputError(message.format(f"s3://b/{name}")), "a").startswith("Correct the input files")


@pytest.mark.parametrize("said", ["it makes it clear that no job runs", "it is sent in the clear. Use https", "clear"])
def test_the_word_for_something_else_is_no_advice(said: str) -> None:
    assert what_to_do(PermanentApiError(f"Refused: {said}."), "a").startswith("When the cause is gone")


@pytest.mark.parametrize("error", [AirflowSensorTimeout("It has timed out"), KeyError(": clear this task")], ids=str)
def test_an_error_from_elsewhere_that_does_not_say_it_gets_advice(error: Exception) -> None:
    assert "clear a " in what_to_do(error, "a")


@pytest.mark.parametrize("error", [KeyError(PUPIL), ValueError(f"bad value {PUPIL}"), OSError(PUPIL)])
def test_what_an_error_from_elsewhere_quotes_is_not_kept(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    found = told(error)
    assert found is not None
    assert PUPIL not in str(found) + caplog.text
    assert type(error).__name__ in found["message"]


@pytest.mark.parametrize(
    "end",
    [
        AirflowSkipException("nothing to do"),
        TaskDeferred(trigger=cast(Any, None), method_name="x"),
        KeyboardInterrupt(),
        AirflowTaskTerminated("SIGTERM"),
    ],
    ids=lambda end: type(end).__name__,
)
def test_an_end_that_is_no_failure_is_not_told(end: BaseException) -> None:
    assert told(end) is None


def test_the_log_has_the_error_in_one_plain_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        told(RequestError("groups is empty."))
    (record,) = caplog.records
    assert record.getMessage().startswith("groups is empty. Trigger a new run")
    assert record.exc_info is None


@pytest.mark.parametrize("context", [{}, Stores(RuntimeError("API server away")).context()])
def test_a_report_that_cannot_be_stored_does_not_change_the_error(context: Any) -> None:
    with pytest.raises(RequestError, match="groups"), report_failures(context):
        raise RequestError("groups is empty.")


def test_progress_is_told_while_the_work_goes_on_and_ends_with_it() -> None:
    stores, figures = Stores(), [Landing(1, 10, 100), None]

    async def work() -> None:
        stores.loop = asyncio.get_running_loop()
        async with report_progress(stores.context(), lambda: figures[0]):
            await stores.stored.wait()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(work())
    assert stores.values[PROGRESS_KEY] == {"files": 1, "total": 10, "bytes": 100, "rate": 0.0, "left": None}


@pytest.mark.parametrize("error", [None, RequestError("no")])
def test_the_last_figures_are_told_when_the_work_ends_however_short_it_was(error: Exception | None) -> None:
    stores, figures = Stores(), list[Landing]()

    async def work() -> None:
        async with report_progress(stores.context(), lambda: figures[-1] if figures else None):
            figures.append(Landing(10, 10, 1000))
            if error:
                raise error

    with pytest.raises(RequestError) if error else nullcontext():
        asyncio.run(work())
    assert stores.values[PROGRESS_KEY]["files"] == 10


def test_the_plan_is_told_before_the_first_shard_begins() -> None:
    stores = Stores()
    asyncio.run(report_plan(stores.context(), 500))
    assert (stores.values[PROGRESS_KEY]["files"], stores.values[PROGRESS_KEY]["total"]) == (0, 500)


def test_an_error_of_the_work_passes_through_the_telling() -> None:
    async def work() -> None:
        async with report_progress(Stores(RuntimeError("away")).context(), lambda: Landing(0, 1, 0)):
            raise RequestError("no")

    with pytest.raises(RequestError):
        asyncio.run(work())


@pytest.mark.parametrize("error", [ZeroDivisionError(PUPIL), KeyError(PUPIL), OSError(PUPIL)], ids=repr)
@pytest.mark.parametrize("from_look", [1, 2])
@pytest.mark.parametrize("of_the_work", [None, RequestError("no")], ids=repr)
def test_figures_that_cannot_be_made_do_not_end_the_task(
    error: Exception, from_look: int, of_the_work: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    stores, looks = Stores(), 0

    def look() -> Landing:
        nonlocal looks
        looks += 1
        if looks >= from_look:
            raise error
        return Landing(1, 10, 100)

    async def work() -> str:
        async with report_progress(stores.context(), look):
            await asyncio.sleep(0)
            if of_the_work:
                raise of_the_work
        return "done"

    with pytest.raises(RequestError) if of_the_work else nullcontext():
        assert asyncio.run(work()) == "done"
    assert type(error).__name__ in caplog.text
    assert PUPIL not in caplog.text


NO_TIME = "{{ dag_run | interval_start | iso }}"
# A task of each kind with a template that asks for a time which its run does not have.
TEMPLATED: dict[str, Callable[[], Any]] = {
    "create": lambda: LearnosityCreateDatasetOperator.partial(task_id="a").expand(
        request=[{"dataset_type": "x", "filters": {"mintime": NO_TIME}}]
    ),
    "wait": lambda: LearnosityJobSensor(task_id="a", job_reference=NO_TIME),
    "wait, mapped": lambda: LearnosityJobSensor.partial(task_id="a").expand(job_reference=[NO_TIME]),
    "list": lambda: LearnosityListFilesOperator(task_id="a", dataset={}, include=[NO_TIME]),
    "land": lambda: LearnosityLandFilesOperator(task_id="a", dataset={}, shard={}, destination_uri=NO_TIME),
    "publish": lambda: LearnosityPublishOperator(task_id="a", dataset={"x": [NO_TIME]}, request={}, shards=[]),
}


@pytest.mark.parametrize("task", TEMPLATED)
def test_a_template_that_cannot_be_rendered_is_told_once_as_every_other_error(
    task: str, caplog: pytest.LogCaptureFixture
) -> None:
    with DAG("dag", user_defined_filters=template_filters("UTC")) as dag:
        made = TEMPLATED[task]()
    stores = Stores()
    context: Any = stores.context(attempt=2)
    context["ti"].map_index = 0
    context |= {"dag": dag, "dag_run": SimpleNamespace(conf={}), "params": {}, "run_id": "run"}
    with caplog.at_level(logging.ERROR, "learnosity"), pytest.raises(MissingTimeError):
        made.render_template_fields(context, dag.get_template_env())
    told = stores.values[FAILURE_KEY]
    assert "Only schedules with a cron have intervals" in told["message"]
    assert (told["kind"], told["attempt"]) == ("MissingTimeError", 2)
    assert [each.getMessage() for each in caplog.records if each.name.startswith("learnosity")] == [
        f"{told['message']} {told['advice']}"
    ]


def test_a_template_that_can_be_rendered_tells_nothing() -> None:
    with DAG("dag") as dag:
        made = LearnosityJobSensor(task_id="a", job_reference="job of {{ run_id }}")
    stores = Stores()
    context: Any = {**stores.context(), "run_id": "run"}
    made.render_template_fields(context, dag.get_template_env())
    assert (made.job_reference, stores.values) == ("job of run", {})


def test_a_schedule_that_cannot_be_used_tells_its_problems() -> None:
    dag = invalid_dag("a.yaml", [ScheduleProblem("a.yaml", 3, "params", "x is no field")])
    task: Any = dag.tasks[0]
    stores = Stores()
    with pytest.raises(InvalidScheduleError):
        task.execute(stores.context())
    told = stores.values[FAILURE_KEY]
    assert "a.yaml" in told["message"]
    assert "x is no field" in told["message"]
    assert told["advice"] == ""
