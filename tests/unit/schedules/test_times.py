"""When a schedule runs, what time a run covers, and what its templates say for every kind of run."""

from __future__ import annotations

import logging
import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import airflow.timetables.interval
import pendulum
import pytest
from airflow.models.dag import DagModel
from airflow.sdk import DAG, Asset
from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, DagRunType
from airflow.sdk.definitions._internal.templater import FILTERS
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.trigger import MultipleCronTriggerTimetable
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import StrictUndefined

from learnosity.dataset_tasks import LEARNOSITY_RETRIES
from learnosity.errors import PermanentError
from learnosity.schedules.crons import PRESETS, cron_problem, skipped_time
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


def intervals(dag: Any) -> list[DataInterval]:
    """The intervals of all scheduled runs of a stored DAG, from its first day to its last."""
    earliest, latest, _ = dag._time_restriction
    found: list[DataInterval] = []
    while info := dag.timetable.next_dagrun_info(
        last_automated_data_interval=found[-1] if found else None, restriction=TimeRestriction(earliest, latest, True)
    ):
        found.append(info.data_interval)
    return found


def covered(dag: DAG, zone: str) -> list[tuple[str, str]]:
    """Day and time in a zone at which the scheduled intervals of a DAG begin and end."""
    found = [[moment.in_timezone(zone).format("DD HH:mm") for moment in each] for each in intervals(stored(dag))]
    return [(start, end) for start, end in found]


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
        dag = dag_of(
            TWICE, "timezone: Europe/Dublin", "start_date: 2026-06-01", "end_date: 2026-06-02", "catchup: true"
        )
        assert covered(dag, "Europe/Dublin") == [
            ("01 06:00", "01 18:30"),
            ("01 18:30", "02 06:00"),
            ("02 06:00", "02 18:30"),
            ("02 18:30", "03 06:00"),
        ]

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

    @pytest.mark.parametrize(
        "uri",
        [
            *("s3://lake/roster", "s3://lake/roster/", "S3://lake/roster", "s3://lake", "s3://lake/a?b=1&a=2"),
            *("gs://lake/roster/", "file:///data/roster/", "https://example.org/roster#top", "x-mine://Roster/"),
        ],
    )
    def test_an_asset_is_found_by_the_uri_that_its_dag_gives_it(self, uri: str) -> None:
        (found,) = stored(dag_of(f"{{assets: ['{uri}']}}")).timetable.asset_condition.objects
        assert found.uri == Asset(uri=uri).uri

    def test_a_uri_that_no_asset_can_have_is_a_problem_of_its_file_alone(self, tmp_path: Path) -> None:
        for name, uri in (("bad", "airflow://roster"), ("good", "s3://lake/roster")):
            text = f"name: {name}\nschedule: {{assets: ['{uri}']}}\nparams: {{dataset_type: x}}"
            (tmp_path / f"{name}.yaml").write_text(text)
        dags = scheduled_dags(tmp_path)
        assert set(dags) == {"learnosity_good", "learnosity_invalid_bad"}
        assert "Asset scheme 'airflow' is reserved" in str(dags["learnosity_invalid_bad"].doc_md)

    @pytest.mark.parametrize("form", ["{crons}", "{{assets: [roster], cron: {crons}}}"])
    @pytest.mark.parametrize(
        "crons",
        [
            [f"{minute} {hour} * * 1-5" for hour in range(6, 18) for minute in (0, 15, 30, 45)],
            [",".join(map(str, range(60))) + " 0,1,2,3,4,5,6,7,8,9,10,11 1,2,3,4,5,6,7,8,9 * 1,2,3,4,5,6"] * 2,
            [f"{','.join(['5'] * 2000)} 4 * * *"],
        ],
        ids=["many", "two", "one"],
    )
    def test_airflows_database_can_hold_the_description(self, form: str, crons: list[str]) -> None:
        """PostgreSQL refuses a longer one, and with it all DAGs of the DAG file."""
        table = stored(dag_of(form.format(crons=crons))).timetable
        assert 100 < len(table.description) <= DagModel.__table__.c.timetable_description.type.length
        assert crons[-1] in table.summary

    def test_the_last_day_is_a_day_of_the_zone(self) -> None:
        dag = dag_of('"0 4 * * *"', "timezone: Australia/Sydney", "start_date: 2026-06-01", "end_date: 2026-06-02")
        assert [start for start, _ in covered(dag, "Australia/Sydney")] == ["01 04:00", "02 04:00"]

    @pytest.mark.parametrize("last", [None, pendulum.datetime(2026, 1, 6, 18)])
    @pytest.mark.parametrize("after", range(3, 120, 9))
    @pytest.mark.parametrize("crons", [["0 6 * * *", "0 18 * * *"], ["0 6,18 * * *"]])
    def test_without_catchup_the_last_whole_interval_of_those_between_first_and_last_day_is_next(
        self, crons: list[str], after: int, last: pendulum.DateTime | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = pendulum.datetime(2026, 1, 4) + timedelta(hours=after)
        dag = stored(dag_of(str(crons), "start_date: 2026-01-05", "end_date: 2026-01-07"))
        monkeypatch.setattr(airflow.timetables.interval, "utcnow", lambda: now)
        monkeypatch.setattr(pendulum, "now", lambda _: now)
        found = dag.timetable.next_dagrun_info(
            last_automated_data_interval=last and DataInterval(last - timedelta(hours=12), last),
            restriction=dag._time_restriction,
        )
        starts = [pendulum.datetime(2026, 1, 5, 6) + timedelta(hours=12 * number) for number in range(6)]
        whole = [start for start in starts if start + timedelta(hours=12) <= now][-1:] or starts[:1]
        begin = max(whole[0], last) if last else whole[0]
        too_late = now >= starts[-1] + timedelta(hours=24)
        assert (found and found.data_interval) == (None if too_late else (begin, begin + timedelta(hours=12)))

    @pytest.mark.parametrize("asked_at", range(0, 72, 1))
    def test_without_catchup_no_time_is_lost_in_the_night_of_a_clock_change(
        self, asked_at: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both crons have times within the hour that the clocks of Berlin leave out on 29 March."""
        crons = ["0 2 * * *", "30 2 * * *"]
        table = stored(dag_of(str(crons), "timezone: Europe/Berlin", "start_date: 2026-03-27")).timetable
        now = pendulum.datetime(2026, 3, 28, 12) + timedelta(hours=asked_at)
        monkeypatch.setattr(pendulum, "now", lambda _: now)
        restriction = TimeRestriction(pendulum.datetime(2026, 3, 27), None, catchup=False)
        last = pendulum.datetime(2026, 3, 29, 1)
        found = table.next_dagrun_info(
            last_automated_data_interval=DataInterval(last - timedelta(minutes=30), last), restriction=restriction
        )
        assert found is not None
        skipped = found.data_interval.start
        while last < skipped:  # only whole intervals may be left out
            last = table.next_dagrun_info(
                last_automated_data_interval=DataInterval(last, last),
                restriction=TimeRestriction(None, None, catchup=True),
            ).data_interval.end
        assert last == skipped

    @pytest.mark.parametrize("form", ["{crons}", "{{assets: [roster], cron: {crons}}}"])
    @settings(max_examples=20)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["0 6", "30 18", "*/20 *", "0 0,23", "30 1"]),
                st.sampled_from(["* * *", "* * 1-5", "1,15 * *", "L * 1", "* * 1#1", "29 2 *"]),
            ).map(" ".join),
            min_size=1,
            max_size=4,
        ),
        st.sampled_from(["UTC", "Europe/Dublin", "Asia/Kolkata"]),
        st.dates(date(2026, 1, 1), date(2026, 12, 1)),
        st.integers(0, 3),
    )
    def test_intervals_begin_from_the_first_day_to_the_last_and_meet_and_all_runs_have_tasks(
        self, form: str, crons: list[str], zone: str, first: date, days: int
    ) -> None:
        last = first + timedelta(days)
        dag = stored(
            dag_of(
                form.format(crons=crons),
                *(f"timezone: {zone}", f"start_date: {first}", f"end_date: {last}", "catchup: true"),
            )
        )
        begin = pendulum.datetime(first.year, first.month, first.day, tz=zone)
        moments: set[datetime] = set()
        for cron in crons:
            each = CronDataIntervalTimetable(cron, zone)
            moment = each._get_prev(begin)
            while moment < begin.add(days=days + 1):
                moment = each._get_next(moment)
                moments |= {moment} if moment >= begin else set()
        expected = [pair for pair in pairwise(sorted(moments)) if pair[0].astimezone(begin.tzinfo).date() <= last]
        found = intervals(dag)
        assert [tuple(each) for each in found] == expected
        # Airflow makes no task for a run whose logical date is before the task's `start_date` or after its `end_date`.
        for task in dag.tasks:
            assert all(task.start_date <= each.start <= task.end_date for each in found)

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

    @pytest.mark.parametrize("cron", ["'0 6 * * *'", TWICE, '["0 6 * * *", "0 12 * * *", "0 18 * * *"]'])
    @pytest.mark.parametrize("form", ["{cron}", "{{assets: [roster], cron: {cron}}}"])
    @pytest.mark.parametrize("start", ["2026-06-01T00:00", "2026-06-01T18:30", "2026-06-08T05:59"])
    def test_a_run_with_an_interval_of_its_own_covers_that(self, form: str, cron: str, start: str) -> None:
        """A person may give a run any interval over REST, and a run that is cleared may be older than the crons."""
        made = run("2026-06-09T12:00", start, "2026-06-08T06:00")
        assert interval(dag_of(form.format(cron=cron)), made) == (start, "2026-06-08T06:00")

    @pytest.mark.parametrize("crons", [("30 1", "0 2"), ("30 2", "0 18"), ("0 2", "30 2", "0 3"), ("*/30 *", "15 2")])
    @pytest.mark.parametrize(
        ("zone", "days"),
        [
            ("Europe/Dublin", ("2026-03-28", "2026-10-24")),
            ("Australia/Sydney", ("2026-04-04", "2026-10-03")),
            ("Australia/Lord_Howe", ("2026-04-04", "2026-10-03")),
        ],
    )
    def test_intervals_meet_where_a_clock_change_skips_or_repeats_a_time_of_a_cron(
        self, crons: tuple[str, ...], zone: str, days: tuple[str, str]
    ) -> None:
        several = [f"{cron} * * *" for cron in crons]
        for day in days:
            last_day = date.fromisoformat(day) + timedelta(days=2)
            dates = f"start_date: {day}", f"end_date: {last_day}"
            dag = dag_of(str(several), f"timezone: {zone}", "catchup: true", *dates)
            found = intervals(stored(dag))
            assert all(before.end == after.start for before, after in pairwise(found))
            assert all(each.start < each.end for each in found)
            assert found[-1].start.in_timezone(zone).date() == last_day
            # A run begins at the times of Airflow's own timetable for several crons.
            airflows = MultipleCronTriggerTimetable(*several, timezone=zone)
            last = found[0]
            for each in found[1:]:
                info = airflows.next_dagrun_info(
                    last_automated_data_interval=last, restriction=TimeRestriction(None, None, True)
                )
                assert info is not None
                assert info.run_after == each.end
                assert info.data_interval is not None
                last = info.data_interval
            for each in found:
                covers = interval(dag, run(*(text.naive().isoformat() for text in (each.end, *each))))
                assert covers == tuple(moment.format("YYYY-MM-DDTHH:mm") for moment in each)

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
            (TWICE, ["`0 6 * * *` and `30 18 * * *`", "same times", "A manual run"]),
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
