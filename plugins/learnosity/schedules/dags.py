"""Makes a DAG from each schedule file. It has the tasks of the DAG `learnosity_dataset`, with the values of the file.

Nothing here reads an Airflow Variable or connection, or uses the network: it runs at every parse of the DAG file.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pendulum

# The type stub of `airflow.sdk` lacks some of these names, such as `DeadlineAlert`, so type checkers do not find them.
from airflow.sdk import (  # type: ignore[attr-defined]
    DAG,
    Asset,
    AssetAll,
    AssetAny,
    AssetOrTimeSchedule,
    AsyncCallback,
    BaseOperator,
    CronDataIntervalTimetable,
    DeadlineAlert,
    DeadlineReference,
    get_parsing_context,
)
from airflow.sdk.definitions.param import ParamsDict

from learnosity.dataset_tasks import RETRY_ARGS, dataset_tasks
from learnosity.errors import PermanentError
from learnosity.params import dataset_params
from learnosity.schedules.checks import column_problem, texts
from learnosity.schedules.crons import skipped_time
from learnosity.schedules.files import Schedule, ScheduleProblem, read_folder
from learnosity.schedules.templates import Interval, dated_names, iso, template_filters
from learnosity.task_report import report_failures
from learnosity.timetable import MAX_DESCRIPTION, CronsTimetable

# Here, `HttpNotifier` is imported for type checkers only. At run time, the functions below import it if a schedule has
# a webhook: the import loads HTTP clients, which would slow down each process that reads DAG files.
if TYPE_CHECKING:
    from airflow.providers.http.notifications.http import HttpNotifier

__all__ = ["InvalidScheduleError", "build_dag", "invalid_dag", "iso", "scheduled_dags", "template_filters"]

log = logging.getLogger(__name__)

PREFIX = "learnosity_"  # the id of each DAG that is made from a schedule file begins with this
TAGS = ("learnosity", "dataset", "scheduled")


class InvalidScheduleError(PermanentError):
    """A schedule file cannot be used."""


class InvalidScheduleOperator(BaseOperator):
    """The only task of a schedule that cannot be used. It fails, and the message lists the problems.

    :param problems: one text per problem.
    """

    def __init__(self, *, problems: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.problems = problems

    def execute(self, context: Any) -> None:
        """Report the problems.

        :raises InvalidScheduleError: always.
        """
        with report_failures(context):
            what_to_do = "Correct the schedule file. Then its own DAG takes the place of this one."
            raise InvalidScheduleError("\n  ".join([what_to_do, *self.problems]))


def scheduled_dags(folder: Path | str) -> dict[str, DAG]:
    """The DAGs of all schedule files in a folder, by DAG id. Put them into the globals of a DAG file.

    A file that cannot be used becomes the DAG `learnosity_invalid_<file>`, which says why. The log has it, too. A task
    process gets the DAG of its task alone, and reads its file alone.
    """
    dag_id = get_parsing_context().dag_id or ""
    if dag_id.startswith(PREFIX):
        mine = read_folder(Path(folder), only=dag_id.removeprefix(PREFIX)).schedules
        if found := [schedule for schedule in mine if schedule.dag_id == dag_id]:
            return {dag_id: build_dag(found[0])}
    reading = read_folder(Path(folder))
    dags: dict[str, DAG] = {}
    problems = dict(reading.problems)
    for schedule in reading.schedules:
        try:
            dags[schedule.dag_id] = build_dag(schedule)
        except Exception as error:  # an error in one file must not keep the other files from becoming DAGs
            log.exception("No DAG can be made of %s.", schedule.file)
            what = f"no DAG can be made of this file: {type(error).__name__}: {error}."
            problems[schedule.file] = [ScheduleProblem(schedule.file, 1, "", what)]
        else:
            for text in _warnings(schedule):
                log.warning("%s: %s", schedule.file, text)
    for file in sorted(problems):
        for problem in problems[file]:
            log.error("%s", problem)
        dag = invalid_dag(file, problems[file], taken=dags)
        dags[dag.dag_id] = dag
    return dags


def build_dag(schedule: Schedule) -> DAG:
    """The DAG of a schedule."""
    form = dataset_params(schedule.params, scheduled=True)
    interval = _interval(schedule)
    dag = DAG(
        dag_id=schedule.dag_id,
        description=schedule.description or f"Scheduled dataset of {schedule.file}",
        doc_md=_doc(schedule),
        schedule=_timetable(schedule),
        start_date=_day(schedule.start_date, schedule),
        end_date=_day(schedule.end_date, schedule).end_of("day") if schedule.end_date else None,
        catchup=schedule.catchup,
        max_active_runs=schedule.max_active_runs,
        dagrun_timeout=timedelta(minutes=schedule.dagrun_timeout) if schedule.dagrun_timeout else None,
        tags=[*TAGS, *schedule.tags],
        user_defined_filters=template_filters(schedule.timezone, interval),
        default_args={
            "owner": schedule.owner,
            "priority_weight": schedule.priority_weight,
            **RETRY_ARGS,
            **({"pool": schedule.pool} if schedule.pool else {}),
            **({"queue": schedule.queue} if schedule.queue else {}),
        },
        on_failure_callback=_notifier(schedule, "failure", "failed"),
        on_success_callback=_notifier(schedule, "success", "succeeded"),
        deadline=_deadline(schedule),
        # With automatic registration, Airflow would take this DAG even if making its tasks fails. Without it, Airflow
        # takes only the DAGs in the globals of the DAG file. The DAG file puts there what `scheduled_dags` returns.
        auto_register=False,
    )
    with dag:
        dataset_tasks(schedule.params, run_config=tuple(form), fixed={"dataset_type": schedule.params["dataset_type"]})
    # The params are set after the tasks are made. Otherwise, Airflow would copy them for each task, which takes as long
    # as the rest of this function. `dag.params = …` would validate all params, which is slow, too. This validation is
    # not needed: `schedules.checks` has checked the values, and Airflow checks them again when a run starts.
    object.__setattr__(dag, "params", ParamsDict(form))
    return dag


def invalid_dag(file: str, problems: Sequence[ScheduleProblem], taken: Collection[str] = ()) -> DAG:
    """A DAG for a file that cannot be used, so that people see the problems in the list of DAGs.

    :param taken: DAG ids that exist already. If the id is among them, a hash of the file's name is added to it.
    """
    texts = [str(problem) for problem in problems]
    stem = "".join(char if char.isalnum() and char.isascii() else "_" for char in Path(file).stem.lower())
    dag_id = f"learnosity_invalid_{stem[:100]}"
    if dag_id in taken:
        dag_id += "_" + hashlib.sha256(file.encode()).hexdigest()[:12]
    dag = DAG(
        dag_id=dag_id,
        description=f"{file} cannot be used: {texts[0]}"[:300],
        doc_md="The schedule file cannot be used:\n\n" + "\n".join(f"    {text}" for text in texts) + "\n",
        schedule=None,
        tags=["learnosity", "invalid schedule"],
        auto_register=False,
    )
    with dag:
        InvalidScheduleOperator(task_id="correct_the_file", problems=texts, execution_timeout=timedelta(minutes=5))
    return dag


async def log_missed_deadline(text: str, context: Any = None) -> None:
    """Log a missed deadline. Airflow calls it in the triggerer, for schedules that name no webhook."""
    log.warning("%s", text)


def _timetable(schedule: Schedule) -> Any:
    refs = [_asset_ref(each) for each in schedule.assets]
    assets = (AssetAny if schedule.any_asset else AssetAll)(*refs) if refs else None
    crons = schedule.crons
    if not crons:
        return assets
    times: Any = CronsTimetable(*crons, timezone=schedule.timezone)
    if len(crons) == 1 and len(times.description) < MAX_DESCRIPTION:
        times = CronDataIntervalTimetable(crons[0], schedule.timezone)
    return AssetOrTimeSchedule(timetable=times, assets=assets) if assets else times


def _asset_ref(text: str) -> Any:
    """A reference to an asset by its name or its URI. Airflow changes some URIs of assets, such as `s3://lake/roster/`,
    and compares the changed ones, but does not change the URI of a reference.

    A task process does not need the schedule, so there the URI stays as it is: Airflow would look for all of its
    providers, which takes more than half a second.
    """
    if "://" not in text:
        return Asset.ref(name=text)
    return Asset.ref(uri=text if get_parsing_context().task_id else Asset(uri=text).uri)


def _interval(schedule: Schedule) -> Callable[[Any], Interval] | None:
    """The interval that a run covers: its own. A run without one covers the last whole interval before it may run.

    None = the schedule has no cron.
    """
    if not schedule.crons:
        return None
    timetable = CronsTimetable(*schedule.crons, timezone=schedule.timezone)

    def interval(run: Any) -> Interval:
        start, end = run.data_interval_start, run.data_interval_end
        if start and end:
            return pendulum.instance(start), pendulum.instance(end)
        found = timetable.infer_manual_data_interval(run_after=pendulum.instance(end or run.run_after))
        return found.start, found.end

    return interval


def _day(text: str, schedule: Schedule) -> pendulum.DateTime:
    return pendulum.from_format(text, "YYYY-MM-DD", tz=schedule.timezone)


def _doc(schedule: Schedule) -> str:
    """The text for the DAG's page: above all, which time a run covers."""
    crons, assets = " and ".join(f"`{cron}`" for cron in schedule.crons), ", ".join(f"`{a}`" for a in schedule.assets)
    covered = []
    if crons:
        covered.append(
            f"**A scheduled run** covers the time from one time of {crons} ({schedule.timezone}) to the next: "
            "`dag_run | interval_start` to `dag_run | interval_end`, in templates."
        )
        covered.append("`data_interval_start` and `data_interval_end` are the same times.")
        covered.append(
            "**A manual run** covers the last whole interval before its logical date. Without a logical date it has "
            "no `data_interval_start`, and `interval_start` counts from the time at which it may run."
        )
    if assets:
        covered.append(
            f"**Updates of {'one' if schedule.any_asset else 'all'} of {assets}** start a run. It has no logical date "
            "and no data interval. `dag_run.run_after` is the time of the update."
        )
    return "\n\n".join([f"Made from the schedule file `{schedule.file}`.", schedule.description, *covered]) + "\n"


def _warnings(schedule: Schedule) -> list[str]:
    """Warnings about settings that are allowed, but may not do what their author expects."""
    found = []
    if what := skipped_time(schedule.crons, schedule.timezone, datetime.now(UTC).year):
        found.append(f"{what}, because clocks change: choose another hour.")
    if what := column_problem(schedule):
        found.append(what)
    if schedule.assets:
        dated = sorted(set().union(*(dated_names(text) for _, text in texts(schedule.params, ("params",)))))
        if dated:
            found.append(f"runs that assets start have no {', '.join(dated)}: use dag_run.run_after.")
    return found


def _notifier(schedule: Schedule, event: str, what: str) -> HttpNotifier | None:
    """The notifier for the end of a run; None when the schedule does not ask for it."""
    if not schedule.notify or not schedule.notifies(event):
        return None
    from airflow.providers.http.notifications.http import HttpNotifier

    text = f"Run {{{{ run_id }}}} of {{{{ dag.dag_id }}}} {what}."
    return HttpNotifier(http_conn_id=schedule.notify["http_conn_id"], json={"text": text})


def _deadline(schedule: Schedule) -> DeadlineAlert | None:
    if schedule.deadline_minutes is None:
        return None
    text = f"{schedule.dag_id} is not done {schedule.deadline_minutes:g} minutes after it was queued."
    if schedule.notify and schedule.notifies("deadline"):
        from airflow.providers.http.notifications.http import HttpNotifier

        kwargs = {"http_conn_id": schedule.notify["http_conn_id"], "json": {"text": text}}
        callback = AsyncCallback(HttpNotifier, kwargs=kwargs)
    else:
        callback = AsyncCallback(log_missed_deadline, kwargs={"text": text})
    return DeadlineAlert(
        name=f"{schedule.deadline_minutes:g} minutes",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=schedule.deadline_minutes),
        callback=callback,
    )
