"""How far a run is, and why it failed: what the page of a run without a dataset says. No routes, no HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any
from urllib.parse import quote

from learnosity.advice import NO_TASK_FAILED
from learnosity.task_report import Landing, of_last_try
from learnosity.web.run_datasets import FAILED, REMOVED, Step
from learnosity.web.run_rows import Instance
from learnosity.web.task_reports import TaskReports

# Unix seconds (the year 2096). A job report with a later time is wrong, so this job is not shown. Without this limit,
# `datetime` would fail for a year after 9999.
_LAST = 4e9
_MAX_STATUS = 60  # a longer status of a job is cut to this many characters
SHOWN = 20  # the page shows at most this many failed tasks, this many tasks in a further try, and this many jobs
GOING = ("queued", "running")
# Airflow's state of a task that has failed and waits for its next try.
RETRY = "up_for_retry"
# The states of a task that has failed and waits for its next try, or is in its next try. Only `RETRY` proves that a try
# has failed. The other states do not: a task in its first try is `running`, too. So with one of them, `progress` also
# checks that the task has reported a failure, and that the number of its try is above 1.
AGAIN = (RETRY, "queued", "scheduled", "running", "deferred", "restarting")
LANDING = "LearnosityLandFilesOperator"
LISTING = "LearnosityListFilesOperator"
# The headline of the page, by the operator of the task that the run has reached. This task may not have begun yet.
DOING = {
    "LearnosityCreateDatasetOperator": "Making the dataset and starting its job",
    "LearnosityJobSensor": "Waiting for Learnosity's job",
    LISTING: "Listing the result files",
    LANDING: "Landing the result files",
    "LearnosityPublishOperator": "Verifying and publishing",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """A task that failed, or whose last try failed.

    :param label: the task, with its map index.
    :param attempt: number of the try that failed; 0 = not known.
    :param message: what it failed with; "" = not known, so the log has to be read.
    :param advice: what to do.
    :param log: address of its log, below Airflow's.
    """

    label: str
    attempt: int
    message: str
    advice: str
    log: str


@dataclass(frozen=True, slots=True)
class Landed:
    """How far the landing is, over all shards.

    :param total: files in all; 0 = not known yet.
    :param left: seconds; None = not known yet.
    """

    shards_done: int
    shards: int
    files: int
    total: int
    bytes: int
    rate: float
    left: float | None


@dataclass(frozen=True, slots=True)
class WaitedFor:
    """A job of Learnosity that a task waits for.

    :param label: the task, with its map index.
    :param since: when the wait first saw this status.
    :param trouble: why polls fail, as the first of them said; "" = the last one did not fail.
    """

    label: str
    status: str
    since: datetime
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    :param headline: what it does now, or what it failed in.
    :param going: whether it goes on.
    :param since: when the task that runs now began; of a task that waits to be tried again: when its try ended.
    :param usual: seconds that this task usually takes in runs of this DAG and type; None = not known.
    :param learnosity: whether a task of the run makes or lands a dataset at all.
    :param jobs: the jobs that are waited for, as far as their state is known.
    :param why: why the run failed, where none of its tasks has; "" = a task has, or the run did not fail.
    """

    headline: str
    going: bool
    since: datetime | None
    usual: float | None
    failed: tuple[Trouble, ...]
    again: tuple[Trouble, ...]
    landing: Landed | None
    learnosity: bool
    jobs: tuple[WaitedFor, ...] = ()
    why: str = ""

    def clock(self, now: datetime) -> float | None:
        """Seconds since the task that runs now began."""
        return max(0.0, (now - self.since).total_seconds()) if self.going and self.since else None


def progress(
    dag_id: str,
    run_id: str,
    state: str,
    instances: Sequence[Instance],
    steps: Sequence[Step],
    reports: TaskReports,
    usual: Mapping[str, Sequence[float]],
) -> Progress:
    """How far a run is.

    :param steps: its tasks in the order of the DAG.
    :param usual: how many seconds each task took in earlier runs, by task id.
    """
    going = state in GOING
    now = next((step for step in steps if step.state not in ("success", "skipped", REMOVED, *FAILED)), None)
    operators = {each.task_id: each.operator or "" for each in instances}
    failed = [each for each in _in_order(instances, steps) if each.state == "failed"]
    again = [
        each
        for each in instances
        if each.state == RETRY
        or ((each.task_id, each.map_index) in reports.failures and each.state in AGAIN and each.try_number > 1)
    ]
    pauses = _waits_for_retry(instances, now)
    took = usual.get(now.task_id, ()) if now and not pauses else ()
    return Progress(
        _headline(state, failed, now, operators, pauses=bool(pauses)),
        going,
        _since(now, pauses),
        median(took) if took else None,
        tuple(_trouble(dag_id, run_id, each, reports) for each in failed[:SHOWN]),
        tuple(_trouble(dag_id, run_id, each, reports) for each in again[:SHOWN]) if going else (),
        _landed(instances, reports) if going else None,
        any(each.startswith("Learnosity") for each in operators.values()) or bool(reports.failures),
        tuple(_jobs(instances, reports))[:SHOWN] if going else (),
        NO_TASK_FAILED if state == "failed" and not failed else "",
    )


def _waits_for_retry(instances: Sequence[Instance], now: Step | None) -> Sequence[Instance]:
    """The instances of a task that failed and wait to be tried again; none if another one of the task still works."""
    ended = ("success", "skipped", REMOVED)
    mine = [each for each in instances if now and each.task_id == now.task_id and each.state not in ended]
    return mine if all(each.state == RETRY for each in mine) else ()


def _since(now: Step | None, pauses: Sequence[Instance]) -> datetime | None:
    if pauses:
        return max((each.end_date for each in pauses if each.end_date), default=None)
    return now.started if now else None


def _headline(
    state: str, failed: Sequence[Instance], now: Step | None, operators: Mapping[str, str], *, pauses: bool
) -> str:
    if failed:
        names = list(dict.fromkeys(each.task_id for each in failed))
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"Failed in {names[0]}{more}"
    if state == "failed":
        return "Failed"
    if state not in GOING:
        return "No dataset"
    if state == "queued" and (now is None or now.started is None):
        return "Waiting to start"
    if now is None:
        return "Running"
    if pauses:
        return f"{now.task_id} failed and waits to be tried again"
    return DOING.get(operators.get(now.task_id, ""), f"Running {now.task_id}")


def _in_order(instances: Sequence[Instance], steps: Sequence[Step]) -> list[Instance]:
    places = {step.task_id: place for place, step in enumerate(steps)}
    return sorted(instances, key=lambda each: (places.get(each.task_id, len(places)), each.map_index))


def _trouble(dag_id: str, run_id: str, instance: Instance, reports: TaskReports) -> Trouble:
    said = reports.failures.get((instance.task_id, instance.map_index))
    if said and instance.state in ("failed", RETRY):
        said = of_last_try(said, instance.try_number)
    mapped = instance.map_index >= 0
    address = f"/dags/{_part(dag_id)}/runs/{_part(run_id)}/tasks/{_part(instance.task_id)}"
    return Trouble(
        _label(instance),
        said.attempt if said else 0,
        said.message if said else "",
        said.advice if said else "",
        f"{address}/mapped/{instance.map_index}" if mapped else address,
    )


def _jobs(instances: Sequence[Instance], reports: TaskReports) -> Iterator[WaitedFor]:
    for each in instances:
        state = reports.jobs.get((each.task_id, each.map_index))
        if state and each.state in ("deferred", "running") and 0 < state.since < _LAST:
            since = datetime.fromtimestamp(state.since, UTC)
            yield WaitedFor(_label(each), state.status[:_MAX_STATUS], since, state.trouble)


def _label(instance: Instance) -> str:
    return f"{instance.task_id}[{instance.map_index}]" if instance.map_index >= 0 else instance.task_id


def _landed(instances: Sequence[Instance], reports: TaskReports) -> Landed | None:
    tasks = [each for each in instances if each.operator == LANDING and each.state != REMOVED]
    if not any(each.start_date for each in tasks):
        return None
    # A task without a map index and without a start is not counted. It may be a mapped task that Airflow has not
    # expanded yet, so nobody knows how many landing tasks it will become. All other landing tasks are counted, even if
    # they have not begun.
    shards = [each for each in tasks if each.map_index >= 0 or each.start_date]
    done = [each for each in shards if each.state == "success"]
    by_shard = [(each, reports.landings.get((each.task_id, each.map_index))) for each in shards]
    figures = [(each, landing) for each, landing in by_shard if landing]
    running = [landing for each, landing in figures if each.state == "running"]
    # A landing task reports every few seconds how many files it has landed (`landing.files`). The last report of a task
    # that has succeeded may be too old. All files of its shard have landed, so `landing.total` is used for such a task.
    files = sum(landing.total if each.state == "success" else landing.files for each, landing in figures)
    total = _planned(instances, reports)
    if total is None:
        known = len(figures) == len(tasks)
        total = sum(landing.total for _, landing in figures) if known else 0
    files = total if len(done) == len(tasks) and total else files
    return Landed(
        len(done),
        len(shards),
        files,
        max(total, files) if total else 0,
        sum(landing.bytes for _, landing in figures),
        sum(landing.rate for landing in running),
        _left(total - files, running) if total else None,
    )


def _planned(instances: Sequence[Instance], reports: TaskReports) -> int | None:
    """How many files the plans of the run have; None = a plan is not made or not told."""
    plans = [reports.landings.get((each.task_id, each.map_index)) for each in instances if each.operator == LISTING]
    told = [plan.total for plan in plans if plan]
    return sum(told) if told and len(told) == len(plans) else None


def _left(files: int, running: Sequence[Landing]) -> float | None:
    """Seconds until all shards have landed: those that run, and then those that wait for their slots.

    :param files: files that are left over all shards.
    """
    going = [landing for landing in running if landing.files < landing.total]
    lefts = [landing.left for landing in going if landing.left is not None]
    if not lefts or len(lefts) < len(going):
        return None
    a_second = sum((landing.total - landing.files) / landing.left for landing in going if landing.left)
    return max(*lefts, files / a_second if a_second > 0 else 0.0)


def _part(text: Any) -> str:
    return quote(str(text), safe="")
