"""When a schedule runs, what time a run covers, and what its templates say for every kind of run."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG
from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, DagRunType
from airflow.sdk.definitions._internal.templater import FILTERS
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction
from croniter import croniter  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import StrictUndefined

from learnosity.dataset_tasks import LEARNOSITY_RETRIES
from learnosity.errors import PermanentError
from learnosity.schedules import crons
from learnosity.schedules.crons import PRESETS, cron_problem, expanded, longest_gap, skipped_time
from learnosity.schedules.dags import build_dag, scheduled_dags, template_filters
from learnosity.schedules.files import Schedule, parse
from learnosity.schedules.templates import AIRFLOW_FILTERS

SAMPLES = sorted(
    path
    for path in (Path(__file__).resolve().parents[3] / "dags" / "datasets").glob("*.yaml.example")
    if not path.name.startswith("retention")
)
TWICE = '["0 6 * * *", "30 18 * * *"]'


def dag_of(schedule: str, *more: str) -> DAG:
    text = f"name: some\nschedule: {schedule}\n" + "".join(f"{line}\n" for line in more)
    found = parse("some.yaml", text + "params: {dataset_type: ibk-analysis-by-question}\n")
    assert isinstance(found, Schedule), found
    return build_dag(found)


def stored(dag: DAG) -> Any:
    """The DAG as Airflow's scheduler reads it from its database."""
    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def run(after: str, start: str | None = None, end: str | None = None) -> DagRun:
    """A run as a task sees it. Without an interval it has no logical date either."""
    moments = [datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None for text in (after, start, end)]
    return DagRun(
        dag_id="learnosity_some",
        run_id="some",
        logical_date=moments[1],
        data_interval_start=moments[1],
        data_interval_end=moments[2],
        run_after=moments[0] or datetime.now(UTC),
        start_date=None,
        end_date=None,
        run_type=DagRunType.MANUAL,
        state=DagRunState.RUNNING,
        consumed_asset_events=[],
        partition_key=None,
    )


def rendered(dag: DAG, template: str, dag_run: DagRun) -> str:
    """A template as Airflow renders it in a task of the DAG."""
    dated = {name: getattr(dag_run, name) for name in ("logical_date", "data_interval_start", "data_interval_end")}
    context = {"dag_run": dag_run, **{name: value for name, value in dated.items() if value}}
    return str(dag.get_template_env().from_string(template).render(context))


def interval(dag: DAG, dag_run: DagRun) -> tuple[str, str]:
    template = "{{ dag_run | interval_start | iso }} {{ dag_run | interval_end | iso }}"
    start, _, end = rendered(dag, template, dag_run).partition(" ")
    return start.removesuffix(":00Z"), end.removesuffix(":00Z")


class TestSchedule:
    @pytest.mark.parametrize("preset", PRESETS)
    def test_a_preset_is_a_cron(self, preset: str) -> None:
        assert stored(dag_of(f'"{preset}"')).timetable.summary == PRESETS[preset]

    def test_several_crons(self) -> None:
        timetable = stored(dag_of(TWICE, "timezone: Europe/Dublin", "catchup: true")).timetable
        earliest = pendulum.datetime(2026, 6, 1, tz="Europe/Dublin")
        last: DataInterval | None = None
        found = []
        for _ in range(3):
            info = timetable.next_dagrun_info(
                last_automated_data_interval=last, restriction=TimeRestriction(earliest, None, True)
            )
            last = info.data_interval
            found.append(info.data_interval.end.in_timezone("Europe/Dublin").format("DD HH:mm"))
            assert info.data_interval.end - info.data_interval.start == timedelta(hours=12, minutes=30)
        assert found == ["01 06:00", "01 18:30", "02 06:00"]

    def test_one_cron_in_a_list_is_one_cron(self) -> None:
        assert stored(dag_of('["@daily", "0 0 * * *"]')).timetable == stored(dag_of('"@daily"')).timetable

    @pytest.mark.parametrize(
        ("schedule", "kind", "names"),
        [
            ("{assets: [roster]}", "AssetTriggeredTimetable", "all"),
            ("{assets: {all: [roster, 's3://lake/roster']}}", "AssetTriggeredTimetable", "all"),
            ("{assets: {any: [roster, 's3://lake/roster']}}", "AssetTriggeredTimetable", "any"),
            ("{assets: [roster], cron: '@daily'}", "AssetOrTimeSchedule", "all"),
            (f"{{assets: [roster], cron: {TWICE}}}", "AssetOrTimeSchedule", "all"),
        ],
    )
    def test_assets(self, schedule: str, kind: str, names: str) -> None:
        timetable = stored(dag_of(schedule)).timetable
        assert type(timetable).__name__ == kind
        condition = timetable.asset_condition
        assert type(condition).__name__ == {"all": "SerializedAssetAll", "any": "SerializedAssetAny"}[names]
        refs = [getattr(ref, "name", None) or ref.uri for ref in condition.objects]
        assert refs == ["roster", "s3://lake/roster"][: len(refs)]

    def test_the_last_day_is_a_day_of_the_zone(self) -> None:
        dag = dag_of('"0 4 * * *"', "timezone: Australia/Sydney", "start_date: 2026-06-01", "end_date: 2026-06-02")
        timetable, restriction = stored(dag).timetable, stored(dag)._time_restriction
        last: DataInterval | None = None
        starts = []
        while info := timetable.next_dagrun_info(
            last_automated_data_interval=last,
            restriction=TimeRestriction(restriction.earliest, restriction.latest, True),
        ):
            last = info.data_interval
            starts.append(last.start.in_timezone("Australia/Sydney").format("DD HH:mm"))
        assert starts == ["01 04:00", "02 04:00"]

    def test_what_airflow_takes_reaches_every_task(self) -> None:
        dag = dag_of(
            '"@daily"', "pool: learnosity", "queue: reports", "priority_weight: 7", "dagrun_timeout: 90", "owner: me"
        )
        assert dag.dagrun_timeout == timedelta(minutes=90)
        for task in dag.tasks:
            assert (task.pool, task.queue, task.priority_weight, task.owner) == ("learnosity", "reports", 7, "me")

    def test_overwrite_reaches_the_landing(self) -> None:
        found = parse("f.yaml", "name: a\nschedule: '@daily'\nparams: {dataset_type: x, overwrite: true}")
        assert isinstance(found, Schedule)
        listing: Any = build_dag(found).get_task("land.list_files")
        assert listing.overwrite is True

    def test_a_run_may_be_given_other_values_but_no_other_type(self) -> None:
        dag = dag_of('"@daily"')
        create: Any = dag.get_task("create_dataset")
        assert create.fixed == {"dataset_type": "ibk-analysis-by-question"}
        assert set(create.run_config) == set(dag.params)
        assert {"filters", "overwrite", "destination_uri"} <= set(dag.params)
        assert "dataset_type" not in dag.params

    def test_null_means_the_default(self) -> None:
        plain, empty = dag_of('"@daily"'), dag_of('"@daily"', "tags:", "timezone: ~", "notify: null", "pool:")
        assert DagSerialization.to_dict(plain) == DagSerialization.to_dict(empty)


class TestCrons:
    @pytest.mark.parametrize(
        ("crons", "hours"),
        [
            (("0 6 * * *", "0 18 * * *"), 12),
            (("0 6 * * 1-5", "0 10 * * 6"), 44),
            (("*/5 * * * 1-5", "0 0 * * 6"), 48),
            (("0 0 1 * *", "0 0 15 * *"), 17 * 24),
            (("0 0 L * *", "0 0 * * 1"), 7 * 24),
            (("0 0 29 2 *", "0 0 1 3 *"), 365 * 24),
            (("0 0 29 2 *",), 4 * 365 * 24 + 24),
            (("0 0 29 2 *", "0 12 29 2 *"), 1460 * 24 + 12),
            (("0 0 1 1 *", "0 12 1 1 *"), 365 * 24 + 12),
            (("0 4 * 9 1#1", "0 18 * 9 1#1"), 370 * 24 + 10),
            (("0 4 * * 1",), 7 * 24),
            (("0 4 * * sun", "0 4 * * mon"), 6 * 24),
            (("0 0 29 2 5#5",), 28 * 365.25 * 24),
        ],
    )
    def test_the_longest_gap_covers_the_time_since_the_run_before(self, crons: tuple[str, ...], hours: float) -> None:
        assert longest_gap(crons) == timedelta(hours=hours)

    @settings(max_examples=8, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["*", "1", "29", "31", "1-25", "L", "15,L", "15W", "*/7"]),
                st.sampled_from(["*", "*", "1", "2,3", "9", "9-12,1-6"]),
                st.sampled_from(["*", "*", "1", "1-5", "1#1", "5#5", "L5", "0"]),
                st.sampled_from(["0 4", "30 18", "*/20 *", "0 0,23"]),
            ).map(lambda parts: f"{parts[3]} {parts[0]} {parts[1]} {parts[2]}"),
            min_size=1,
            max_size=3,
        ).filter(lambda crons: all(cron_problem(cron) is None for cron in crons))
    )
    def test_the_longest_gap_is_that_of_all_runs_of_28_years(self, crons: list[str]) -> None:
        begin = datetime(2027, 1, 1)
        runs: set[datetime] = set()
        for cron in crons:
            # All gaps within a day are those of its first run, its last run and the times between.
            days = croniter(f"0 0 {' '.join(cron.split()[2:])}", begin - timedelta(seconds=1), ret_type=datetime)
            times = croniter(f"{' '.join(cron.split()[:2])} * * *", begin - timedelta(seconds=1), ret_type=datetime)
            of_day = []
            while (moment := times.get_next()) < begin + timedelta(days=1):
                of_day.append(moment - begin)
            while (day := days.get_next()) < begin.replace(year=2027 + 36):
                runs.update(day + moment for moment in of_day)
        longest = max(later - earlier for earlier, later in pairwise(sorted(runs)))
        assert longest_gap(tuple(crons)) == longest

    @settings(max_examples=25, deadline=None)
    @given(
        st.tuples(
            st.sampled_from(["*", "1", "29", "31", "1-31", "1-25,5", "L", "15,L", "15W", "*/7", "28-2", "*,5", "?"]),
            st.sampled_from(["*", "2", "9", "nov-feb", "*/5", "1-12"]),
            st.sampled_from(["*", "1", "1-5", "1#1", "L5", "0", "7", "fri-mon", "0-6", "*/2", "1,*", "?"]),
        )
        .map(" ".join)
        .filter(lambda fields: cron_problem(f"0 0 {fields}") is None),
        st.integers(2027, 2054),
    )
    def test_the_days_of_a_year_are_those_that_croniter_gives(self, fields: str, year: int) -> None:
        begin, end = datetime(year, 1, 1), datetime(year + 1, 1, 1)
        times = croniter(f"0 0 {fields}", begin - timedelta(seconds=1), ret_type=datetime)
        expected = []
        while (moment := times.get_next()) < end:
            expected.append(moment)
        if crons._is_weekly(fields):
            return
        days = [datetime(2027, 1, 1) + timedelta(day) for day in crons._days(fields, 28 * 365 + 7)]
        assert [day for day in days if begin <= day < end] == expected

    @pytest.mark.parametrize("fields", ["1-31 * 1-5", "L * 1-5", "* 1-6 *", "*/2 * fri-mon", "29 2 *", "15,L 3 1"])
    def test_croniter_is_not_asked_for_days_that_can_be_counted(
        self, fields: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def asked(*_: Any) -> list[int]:
            raise AssertionError(fields)

        monkeypatch.setattr(crons, "_days_from", asked)
        crons._days.cache_clear()
        longest_gap.cache_clear()
        assert longest_gap((f"0 4 {fields}", f"0 5 {fields}")) > timedelta(0)

    @pytest.mark.parametrize("cron", ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "H 4 * * *", "0 0 R * *", "0 R(1-3) * * *"])
    def test_what_never_comes_or_is_drawn_at_random_is_refused(self, cron: str) -> None:
        assert cron_problem(cron)

    @pytest.mark.parametrize("cron", ["0 0 29 2 *", "0 0 * mar fri", "0 0 L * *", "0 0 * * 5#3", "  0   4 * * * "])
    def test_what_comes_is_taken(self, cron: str) -> None:
        assert cron_problem(cron) is None
        dag_of(f'"{cron}"')

    @given(st.text(max_size=20) | st.lists(st.text("0123456789*/,-LRH#?@", max_size=4), max_size=7).map(" ".join))
    def test_no_text_breaks_the_check_and_airflow_takes_what_it_takes(self, cron: str) -> None:
        if cron_problem(cron) is None:
            stored(dag_of(repr(cron)))
            longest_gap((expanded(cron), "0 0 * * *"))

    @pytest.mark.parametrize(
        ("cron", "zone", "skipped"),
        [
            ("30 2 * * *", "Australia/Sydney", "02:30 does not exist on 2026-10-04 in Australia/Sydney"),
            ("0 2 * * 0", "America/New_York", "02:00 does not exist on 2026-03-08 in America/New_York"),
            ("30 1 * * *", "Europe/Dublin", "01:30 does not exist on 2026-03-29 in Europe/Dublin"),
            ("15 2 * * *", "Australia/Lord_Howe", "02:15 does not exist on 2026-10-04 in Australia/Lord_Howe"),
            ("0 3 * * *", "Australia/Sydney", None),
            ("30 2 * * 1", "Australia/Sydney", None),
            ("30 2 * * *", "UTC", None),
            ("30 2 * * *", "Asia/Kolkata", None),
            ("*/30 * * * *", "Australia/Sydney", None),
            ("30 */1 * * *", "Australia/Sydney", None),
            ("30 0-23 * * *", "Australia/Sydney", None),
            ("30 */2 * * *", "Australia/Sydney", "02:30 does not exist on 2026-10-04 in Australia/Sydney"),
            ("*/30 */2 * * *", "Australia/Sydney", "02:00 does not exist on 2026-10-04 in Australia/Sydney"),
            ("30 */3 * * *", "Australia/Sydney", None),
            ("30 1-3 * * *", "Australia/Sydney", "02:30 does not exist on 2026-10-04 in Australia/Sydney"),
        ],
    )
    def test_a_time_that_a_clock_change_skips(self, cron: str, zone: str, skipped: str | None) -> None:
        assert skipped_time([cron], zone, 2026) == skipped

    def test_it_is_only_logged(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        text = "name: a\nschedule: '30 2 * * *'\ntimezone: Australia/Sydney\nparams: {dataset_type: x}"
        (tmp_path / "a.yaml").write_text(text)
        with caplog.at_level(logging.WARNING):
            assert set(scheduled_dags(tmp_path)) == {"learnosity_a"}
        assert "a.yaml: 02:30 does not exist on" in caplog.text


class TestTemplates:
    def test_the_filters_of_airflow_are_known(self) -> None:
        assert set(AIRFLOW_FILTERS) == set(FILTERS)

    @pytest.mark.parametrize("schedule", ['"0 4 * * 1"', TWICE, "{assets: [roster], cron: '@daily'}"])
    @pytest.mark.parametrize("dated", [True, False])
    def test_the_templates_of_the_samples_fit_every_schedule_with_a_cron(self, schedule: str, dated: bool) -> None:
        moments = ("2026-06-08T04:00", *(("2026-06-01T04:00", "2026-06-08T04:00") if dated else ()))
        for file in SAMPLES:
            text = re.sub("(?m)^schedule: .*$", f"schedule: {schedule}", file.read_text())
            found = parse(file.name, text)
            assert isinstance(found, Schedule), found
            first, last = (
                rendered(build_dag(found), found.params["filters"][name], run(*moments))
                for name in ("mintime", "maxtime")
            )
            assert "2026-05-01" < first < last < "2026-06-09"

    def test_a_scheduled_run_of_one_cron(self) -> None:
        dag = dag_of('"0 4 * * *"')
        scheduled = run("2026-06-02T04:00", "2026-06-01T04:00", "2026-06-02T04:00")
        assert interval(dag, scheduled) == ("2026-06-01T04:00", "2026-06-02T04:00")

    def test_a_manual_run_without_a_logical_date_covers_the_last_whole_interval(self) -> None:
        assert interval(dag_of('"0 4 * * *"'), run("2026-06-02T13:30")) == ("2026-06-01T04:00", "2026-06-02T04:00")
        assert interval(dag_of('"0 4 * * *"'), run("2026-06-02T03:30")) == ("2026-05-31T04:00", "2026-06-01T04:00")

    @pytest.mark.parametrize(
        ("after", "start", "end"),
        [
            ("2026-06-02T06:00", "2026-06-01T18:30", "2026-06-02T06:00"),
            ("2026-06-02T18:30", "2026-06-02T06:00", "2026-06-02T18:30"),
            ("2026-06-02T12:00", "2026-06-01T18:30", "2026-06-02T06:00"),
        ],
    )
    def test_a_run_of_several_crons_covers_the_time_since_the_one_before(
        self, after: str, start: str, end: str
    ) -> None:
        dag = dag_of(TWICE)
        assert interval(dag, run(after)) == (start, end)
        found = stored(dag).timetable.infer_manual_data_interval(run_after=pendulum.parse(after))
        dated = run(after, found.start.naive().isoformat(), found.end.naive().isoformat())
        assert interval(dag, dated) == (start, end)
        assert rendered(dag, "{{ data_interval_start | iso }}", dated) < rendered(
            dag, "{{ data_interval_end | iso }}", dated
        )

    def test_successive_runs_of_several_crons_meet_over_a_clock_change(self) -> None:
        dag = dag_of(TWICE, "timezone: Europe/Dublin")
        moments = ["2026-03-28T18:30", "2026-03-29T05:00", "2026-03-29T17:30", "2026-03-30T05:00"]
        found = [interval(dag, run(each)) for each in moments]
        assert [end for _, end in found] == moments
        assert [start for start, _ in found][1:] == moments[:-1]

    def test_a_run_that_an_asset_starts(self) -> None:
        both, only = dag_of("{assets: [roster], cron: '0 4 * * *'}"), dag_of("{assets: [roster]}")
        updated = run("2026-06-02T13:30")
        assert interval(both, updated) == ("2026-06-01T04:00", "2026-06-02T04:00")
        assert rendered(only, "{{ dag_run.run_after | days_before(1) | iso }}", updated) == "2026-06-01T13:30:00Z"
        with pytest.raises(PermanentError, match=r"Only schedules with a cron have intervals.*run_after"):
            interval(only, updated)

    @pytest.mark.parametrize("name", ["iso", "local", "day_start", "days_before(1) | iso"])
    @pytest.mark.parametrize("what", ["logical_date", "data_interval_start", "dag_run.logical_date", "none"])
    def test_a_time_that_a_run_does_not_have_is_a_permanent_error_with_the_way_out(self, name: str, what: str) -> None:
        with pytest.raises(PermanentError, match=r"dag_run\.run_after \| days_before\(1\) \| iso") as error:
            rendered(dag_of('"@daily"'), f"{{{{ {what} | {name} }}}}", run("2026-06-02T13:30"))
        decision = LEARNOSITY_RETRIES.evaluate(error.value, try_number=1, max_tries=8)
        assert decision.action.value == "fail"

    @pytest.mark.parametrize("value", [None, StrictUndefined(name="ds"), "2026-01-01", 3])
    def test_a_filter_says_what_it_was_given(self, value: Any) -> None:
        for name in ("iso", "local", "day_start"):
            with pytest.raises(PermanentError, match=r"is not there|is not a time"):
                template_filters("UTC")[name](value)

    @pytest.mark.parametrize(
        ("schedule", "words"),
        [
            ('"0 4 * * *"', ["A scheduled run", "`0 4 * * *` (UTC)", "A manual run", "same times"]),
            (TWICE, ["`0 6 * * *` and `30 18 * * *`", "12:30:00 before `data_interval_end`", "A manual run"]),
            ("{assets: {any: [roster, lake]}}", ["Updates of one of `roster`, `lake`", "no logical date"]),
            ("{assets: [roster], cron: '@daily'}", ["A scheduled run", "Updates of all of `roster`"]),
        ],
    )
    def test_the_page_of_the_dag_says_what_a_run_covers(self, schedule: str, words: list[str]) -> None:
        text = str(dag_of(schedule).doc_md)
        assert [word for word in words if word not in text] == []

    def test_a_name_that_runs_of_assets_do_not_have_is_logged(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        text = "name: a\nschedule: {assets: [roster]}\nparams: {dataset_type: x, filters: {a: '{{ ds }}'}}"
        (tmp_path / "a.yaml").write_text(text)
        with caplog.at_level(logging.WARNING):
            assert set(scheduled_dags(tmp_path)) == {"learnosity_a"}
        assert "a.yaml: runs that assets start have no ds: use dag_run.run_after." in caplog.text


def test_an_unchanged_file_is_parsed_once_per_process() -> None:
    text = "name: a\nschedule: '@daily'\nparams: {dataset_type: x}"
    assert parse("a.yaml", text) is parse("a.yaml", text)
