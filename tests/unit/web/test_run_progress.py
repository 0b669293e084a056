"""How far a run is, and why it failed, as its page says it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.job_report import JobState
from learnosity.progress_log import duration, size
from learnosity.task_report import Failure, Landing
from learnosity.web.dag_order import places
from learnosity.web.run_datasets import steps
from learnosity.web.run_progress import DOING, LANDING, LISTING, Progress, progress
from learnosity.web.task_reports import TaskReports, read

START = datetime(2026, 11, 28, 12, tzinfo=UTC)
OPERATORS = dict(
    zip(("create_dataset", "wait_for_job", "land.list_files", "land.land_files", "land.publish"), DOING, strict=True)
)
PLACES = {task_id: place for place, task_id in enumerate(OPERATORS)}


@dataclass
class Row:
    task_id: str
    state: str | None = None
    map_index: int = -1
    start_date: datetime | None = None
    end_date: datetime | None = None
    try_number: int = 1
    operator: str | None = None

    def __post_init__(self) -> None:
        self.operator = self.operator or OPERATORS.get(self.task_id)


def look(
    rows: Sequence[Row],
    state: str = "running",
    told: TaskReports | None = None,
    usual: Mapping[str, Sequence[float]] | None = None,
) -> Progress:
    return progress("dag", "run 1", state, rows, steps(rows, PLACES), told or TaskReports(), usual or {})


def rows(*states: str | None) -> list[Row]:
    return [Row(task_id, state, start_date=START) for task_id, state in zip(OPERATORS, states, strict=True)]


def test_steps_stand_in_the_order_of_the_dag_also_where_start_times_say_otherwise() -> None:
    mixed = [Row("land.publish", "upstream_failed", start_date=START), Row("wait_for_job", "failed")]
    mixed.append(Row("create_dataset", "success", start_date=START + timedelta(hours=1)))
    mixed.append(Row("of_a_new_dag_version", "success", start_date=START))
    assert [step.task_id for step in steps(mixed, PLACES)] == [
        "create_dataset",
        "wait_for_job",
        "land.publish",
        "of_a_new_dag_version",
    ]


@pytest.mark.parametrize("failed", range(5))
def test_the_headline_names_the_task_that_failed_first_in_the_dag(failed: int) -> None:
    states = ["success"] * failed + ["failed"] + ["upstream_failed"] * (4 - failed)
    assert look(rows(*states), "failed").headline == f"Failed in {list(OPERATORS)[failed]}"


@pytest.mark.parametrize("running", range(5))
def test_a_running_run_says_what_it_does_since_when_and_how_long_that_usually_takes(running: int) -> None:
    states = ["success"] * running + ["deferred" if running == 1 else "running"] + [None] * (4 - running)
    task_id = list(OPERATORS)[running]
    found = look(rows(*states), usual={task_id: (10.0, 20.0, 90.0)})
    assert found.headline == DOING[OPERATORS[task_id]]
    assert found.clock(START + timedelta(seconds=5)) == 5.0
    assert found.usual == 20.0


def test_an_error_is_told_with_its_advice_and_its_log() -> None:
    told = TaskReports({("wait_for_job", -1): Failure("JobHaltedError", "halted: no sessions", "Clear it.", 2)})
    found = look(rows("success", "failed", *["upstream_failed"] * 3), "failed", told)
    (trouble,) = found.failed
    assert (trouble.message, trouble.advice, trouble.attempt) == ("halted: no sessions", "Clear it.", 2)
    assert trouble.log == "/dags/dag/runs/run%201/tasks/wait_for_job"
    assert not found.going


@pytest.mark.parametrize("state", ["failed", "up_for_retry"])
@pytest.mark.parametrize("attempt", range(1, 4))
@pytest.mark.parametrize("try_number", range(1, 4))
def test_the_reason_of_an_earlier_try_is_not_told_as_that_of_the_last_one(
    state: str, attempt: int, try_number: int
) -> None:
    told = TaskReports({("wait_for_job", -1): Failure("JobHaltedError", "halted.", "Clear it.", attempt)})
    found = look([Row("wait_for_job", state, try_number=try_number)], "running", told)
    (trouble,) = found.failed or found.again
    if attempt >= try_number:
        assert (trouble.message, trouble.advice, trouble.attempt) == ("halted.", "Clear it.", attempt)
    else:
        said = f"Try {try_number} left no report; its log says more. Try {attempt} failed with: halted."
        assert (trouble.message, trouble.advice, trouble.attempt) == (said, "", try_number)


def test_a_task_that_was_killed_has_no_message_and_still_a_log() -> None:
    (trouble,) = look(rows("failed", *["upstream_failed"] * 4), "failed").failed
    assert trouble.message == ""
    assert trouble.log.endswith("/tasks/create_dataset")


@pytest.mark.parametrize(
    ("state", "attempt", "shown"),
    [
        ("up_for_retry", 1, True),
        ("running", 2, True),
        ("running", 1, False),
        ("success", 2, False),
        ("queued", 2, True),
    ],
)
def test_what_is_tried_again_is_told_with_the_reason(state: str, attempt: int, shown: bool) -> None:
    row = Row("create_dataset", state, try_number=attempt)
    told = TaskReports({("create_dataset", -1): Failure("TransientApiError", "503 of data.example.com", "", 1)})
    assert [each.message for each in look([row], told=told).again] == ["503 of data.example.com"] * shown


@pytest.mark.parametrize("failed", range(5))
def test_a_task_that_waits_for_its_retry_does_not_look_as_if_it_worked(failed: int) -> None:
    several = rows(*["success"] * failed, "up_for_retry", *[None] * (4 - failed))
    several[failed].end_date = START + timedelta(minutes=2)
    task_id = several[failed].task_id
    found = look(several, usual={task_id: (10.0,)})
    assert found.headline == f"{task_id} failed and waits to be tried again"
    assert (found.clock(START + timedelta(minutes=3)), found.usual) == (60.0, None)
    (again,) = found.again
    assert again.log.endswith(f"/tasks/{task_id}")


def test_a_task_of_which_other_instances_work_goes_on() -> None:
    several = [Row("land.land_files", "up_for_retry", 0, START), Row("land.land_files", "running", 1, START)]
    assert look(several).headline == DOING[LANDING]


@pytest.mark.parametrize("begun", [None, START])
def test_a_queued_run_waits_until_a_task_begins(begun: datetime | None) -> None:
    several = [Row(task_id) for task_id in OPERATORS]
    assert look([], "queued").headline == look(several, "queued").headline == "Waiting to start"
    # A user has cleared the second task: it has no state, but may still have the time when its earlier try began.
    several[0].state, several[1].start_date = "success", begun
    assert look(several, "queued").headline == (
        "Waiting to start" if begun is None else DOING[OPERATORS["wait_for_job"]]
    )


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("states", "shown", "headline"),
    [
        (("skipped", "running"), "running", DOING[OPERATORS["create_dataset"]]),
        (("skipped", None), "none", DOING[OPERATORS["create_dataset"]]),
        (("skipped", "up_for_retry"), "up_for_retry", "create_dataset failed and waits to be tried again"),
        (("skipped", "success"), "skipped", DOING[OPERATORS["wait_for_job"]]),
        (("skipped", "failed", "running"), "failed", "Failed in create_dataset"),
        (("success", "upstream_failed", None), "upstream_failed", DOING[OPERATORS["wait_for_job"]]),
        (("success", "success"), "success", DOING[OPERATORS["wait_for_job"]]),
    ],
)
def test_a_mapped_task_goes_on_while_one_of_its_instances_does(
    states: tuple[str | None, ...], shown: str, headline: str, order: int
) -> None:
    several = [Row("create_dataset", state, index, START) for index, state in enumerate(states[::order])]
    several.append(Row("wait_for_job"))
    assert steps(several, PLACES)[0].state == shown
    assert look(several).headline == headline


def test_the_landing_of_all_shards_is_added_up() -> None:
    landing = [Row("land.land_files", "success", 0, START), Row("land.land_files", "running", 1, START)]
    told = TaskReports(
        {}, {("land.land_files", 0): Landing(90, 100, 900), ("land.land_files", 1): Landing(50, 200, 500, 10.0, 15.0)}
    )
    found = look([*rows("success", "success", "success", None, None)[:3], *landing], told=told).landing
    assert found is not None
    assert (found.shards_done, found.shards, found.files, found.total, found.bytes) == (1, 2, 150, 300, 1400)
    assert (found.rate, found.left) == (10.0, 15.0)


def test_no_time_is_left_and_no_total_before_every_shard_has_told() -> None:
    landing = [Row("land.land_files", "running", index, START) for index in (0, 1)]
    told = TaskReports({}, {("land.land_files", 0): Landing(50, 100, 500, 10.0, 15.0)})
    found = look(landing, told=told).landing
    assert found is not None
    assert (found.total, found.left) == (0, None)


def shards(*states: str | None) -> list[Row]:
    """A run that lands as many shards; one without a state waits for a slot."""
    landing = [Row("land.land_files", state, index, START if state else None) for index, state in enumerate(states)]
    return [*rows("success", "success", "success", None, None)[:3], *landing]


PLAN = {("land.list_files", -1): Landing(0, 1000, 0)}


def test_shards_that_wait_for_a_slot_count_and_lengthen_the_time_left() -> None:
    told = PLAN | {("land.land_files", index): Landing(100, 200, 900, 10.0, 10.0) for index in (0, 1)}
    found = look(shards("running", "running", None, None, None), told=TaskReports({}, told)).landing
    assert found is not None
    assert (found.shards_done, found.shards, found.files, found.total) == (0, 5, 200, 1000)
    assert found.left == 800 / 20  # two slots of 10 files a second each


def test_without_a_plan_nothing_is_guessed_about_shards_that_wait() -> None:
    told = TaskReports({}, {("land.land_files", 0): Landing(100, 200, 900, 10.0, 10.0)})
    found = look(shards("running", None, None), told=told).landing
    assert found is not None
    assert (found.shards, found.files, found.total, found.left) == (3, 100, 0, None)


@pytest.mark.parametrize("told", [{}, {("land.land_files", 0): Landing(200, 200, 900)}])
def test_shards_that_have_ended_have_landed_all_of_the_plan_whatever_they_told(told: dict[Any, Landing]) -> None:
    found = look(shards("success", "success"), told=TaskReports({}, PLAN | told)).landing
    assert found is not None
    assert (found.shards_done, found.files, found.total, found.left) == (2, 1000, 1000, None)


def test_a_second_dataset_whose_plan_is_not_made_leaves_the_total_open() -> None:
    second = [Row("b.land.list_files", "running", operator=LISTING), Row("b.land.land_files", operator=LANDING)]
    told = PLAN | {("land.land_files", 0): Landing(100, 1000, 900, 10.0, 10.0)}
    found = look([*shards("running"), *second], told=TaskReports({}, told)).landing
    assert found is not None
    assert (found.shards, found.total, found.left) == (1, 0, None)


@pytest.mark.parametrize("operator", ["PythonOperator", None])
def test_a_run_without_a_task_of_this_package_is_no_learnosity_run(operator: str | None) -> None:
    assert not look([Row("extract", "success", operator=operator)], "success").learnosity


@pytest.mark.parametrize(
    "value", ["", "[]", '{"kind": 1}', "not json", '{"kind": "a", "message": "b", "advice": 7}', None, 7, b"\xff"]
)
def test_a_report_that_somebody_else_wrote_is_left_out(value: Any) -> None:
    assert read(value, Failure) is None


ODD = [-1, -1e-300, 2**63, 10**400, 1e300, float("inf"), float("-inf"), float("nan")]


@pytest.mark.parametrize("number", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("kind", [Landing, JobState, Failure])
def test_a_report_with_a_number_that_no_task_writes_is_left_out(kind: type[Any], number: float) -> None:
    plain: dict[str, Any] = {Landing: {"files": 1, "total": 2, "bytes": 3, "rate": 4.0, "left": 5.0}}.get(
        kind, {"status": "running", "since": 1.0} if kind is JobState else {"kind": "a", "message": "b", "advice": "c"}
    )
    plain = {"attempt": 1, **plain} if kind is Failure else plain
    assert read(plain, kind) is not None
    assert read(msgspec.json.encode(plain).decode(), kind) is not None
    for name in (name for name, value in plain.items() if not isinstance(value, str)):
        assert read({**plain, name: number}, kind) is None, name
        assert read(json.dumps({**plain, name: number}), kind) is None, name


FIGURES = st.integers(0, 2**63 - 1) | st.just(0) | st.just(2**63 - 1)
TIMES = st.floats(0, 2**63, exclude_max=True) | st.just(0.0) | st.just(5e-324)


@given(st.lists(st.tuples(FIGURES, FIGURES, FIGURES, TIMES, st.none() | TIMES), min_size=1, max_size=3))
def test_every_report_that_is_read_can_be_shown(several: list[tuple[int, int, int, float, float | None]]) -> None:
    told = {("land.land_files", number): Landing(*each) for number, each in enumerate(several)}
    assert all(read(msgspec.to_builtins(each), Landing) == each for each in told.values())
    rows = [Row("land.land_files", "running", number, START) for number in range(len(several))]
    found = look(rows, told=TaskReports(landings=told)).landing
    assert found is not None
    assert duration(found.left or 0.0)
    assert size(found.rate)
    assert size(found.bytes)


@pytest.mark.parametrize(
    "data", [None, {}, {"dag": []}, {"dag": {"tasks": "x"}}, {"dag": {"tasks": [None, {"__var": 1}]}}]
)
def test_a_dag_that_cannot_be_read_has_no_order(data: Any) -> None:
    assert places(data) == {}


def test_the_order_is_that_of_the_arrows() -> None:
    tasks = [("c", []), ("a", ["b"]), ("b", ["c"])]
    data = {"dag": {"tasks": [{"__var": {"task_id": name, "downstream_task_ids": after}} for name, after in tasks]}}
    assert sorted(places(data), key=lambda name: places(data)[name]) == ["a", "b", "c"]


def test_the_state_of_a_job_that_is_waited_for_is_shown_with_its_time() -> None:
    jobs = {
        ("wait_for_job", -1): JobState("running", START.timestamp()),
        ("create_dataset", -1): JobState("completed", START.timestamp()),
        ("land.publish", -1): JobState("running", 1e300),
    }
    told = TaskReports(jobs=jobs)
    found = look(rows("success", "deferred", None, None, "running"), told=told).jobs
    assert [(each.label, each.status, each.since) for each in found] == [("wait_for_job", "running", START)]
    assert look(rows("success", "success", None, None, None), told=told).jobs == ()
    assert look(rows("success", "deferred", None, None, None), "failed", told=told).jobs == ()


def test_a_run_that_failed_without_a_failed_task_says_why() -> None:
    found = look(rows("success", *["skipped"] * 4), "failed")
    assert (found.headline, found.failed) == ("Failed", ())
    assert "dagrun_timeout" in found.why
    assert "Clear the first task that was skipped" in found.why


@pytest.mark.parametrize(
    ("states", "state"),
    [(("success", "failed", *["upstream_failed"] * 3), "failed")]
    + [((*["success"] * 5,), state) for state in ("success", "running", "queued")],
)
def test_no_other_run_says_that_no_task_failed(states: tuple[str, ...], state: str) -> None:
    assert look(rows(*states), state).why == ""


@pytest.mark.parametrize("state", ["running", "success"])
def test_a_shard_that_the_run_does_not_have_any_more_counts_nowhere(state: str) -> None:
    several = shards("success", "success", "removed")
    several.append(Row("land.publish", state, start_date=START))
    found = look(several, told=TaskReports({}, PLAN))
    assert found.headline == (DOING[OPERATORS["land.publish"]] if state == "running" else "Running")
    assert found.landing is not None
    assert (found.landing.shards_done, found.landing.shards, found.landing.files) == (2, 2, 1000)
    landing = next(step for step in steps(several, PLACES) if step.task_id == "land.land_files")
    assert (landing.state, landing.instances) == ("success", 2)


def test_a_task_of_which_nothing_is_left_is_called_removed() -> None:
    (step,) = steps([Row("create_dataset", "removed")], PLACES)
    assert step.state == "removed"
