"""Scheduled datasets: YAML files that become DAGs, messages for those that cannot, and time over daylight saving."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.models.connection import sanitize_conn_id
from airflow.timetables.interval import CronDataIntervalTimetable
from hypothesis import given
from hypothesis import strategies as st

from learnosity.schedules.crons import skipped_time
from learnosity.schedules.dags import InvalidScheduleError, build_dag, invalid_dag, iso, template_filters
from learnosity.schedules.files import SCHEMA, Schedule, ScheduleProblem, parse, read_folder

REPOSITORY = Path(__file__).resolve().parents[3]
GOOD = """\
name: item_bank
schedule: "0 4 * * 1"
timezone: Europe/Dublin
params:
  dataset_type: ibk-analysis-by-question
  filters:
    mintime: "{{ data_interval_start | iso }}"
"""


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """A folder with the samples of this repository, renamed as a user does it."""
    folder = tmp_path / "datasets"
    folder.mkdir()
    for example in (REPOSITORY / "dags" / "datasets").glob("*.yaml.example"):
        shutil.copy(example, folder / example.stem)
    return folder


def problems(text: str) -> list[str]:
    found = parse("file.yaml", text)
    assert not isinstance(found, Schedule)
    return [str(problem) for problem in found]


def good() -> Schedule:
    found = parse("item_bank.yaml", GOOD)
    assert isinstance(found, Schedule)
    return found


class TestFiles:
    def test_a_fresh_deployment_has_no_schedules(self) -> None:
        reading = read_folder(REPOSITORY / "dags" / "datasets")
        assert (list(reading.schedules), reading.problems) == ([], {})

    def test_the_samples_of_this_repository_are_sound(self, samples: Path) -> None:
        reading = read_folder(samples)
        assert reading.problems == {}
        assert [each.dag_id for each in reading.schedules] == [
            "learnosity_nightly_group_report",
            "learnosity_weekly_item_bank",
        ]

    @pytest.mark.parametrize("year", range(2026, 2036))
    def test_the_samples_run_at_hours_that_no_clock_change_skips(self, samples: Path, year: int) -> None:
        for schedule in read_folder(samples).schedules:
            assert skipped_time(schedule.crons, schedule.timezone, year) is None

    def test_a_whole_number_may_be_written_as_a_decimal_wherever_the_schema_wants_one(self) -> None:
        asked = {
            place: 2
            for place, each in (
                *SCHEMA["properties"].items(),
                *((f"params.{name}", each) for name, each in SCHEMA["properties"]["params"]["properties"].items()),
            )
            if "integer" in ([each["type"]] if isinstance(each["type"], str) else each["type"])
        }
        assert len(asked) >= 4

        def text(end: str) -> str:
            return "".join(f"{'  ' * place.count('.')}{place.rpartition('.')[2]}: 2{end}\n" for place in asked)

        def read(end: str) -> Schedule:
            written = text(end).splitlines(keepends=True)
            own = "".join(line for line in written if not line.startswith(" "))
            found = parse("item_bank.yaml", own + GOOD + "".join(line for line in written if line.startswith(" ")))
            assert isinstance(found, Schedule), found
            return found

        decimal = read(".0")
        assert repr(decimal) == repr(read(""))
        assert build_dag(decimal).max_active_runs == 2

    @pytest.mark.parametrize("conn_id", ["chat", "team/chat", "chat:ops", "chat#1!", "a(b)", "a" * 250])
    def test_a_webhook_may_have_any_id_that_airflow_allows(self, conn_id: str) -> None:
        assert sanitize_conn_id(conn_id) == conn_id
        found = parse("item_bank.yaml", f"notify: {{http_conn_id: '{conn_id}'}}\n" + GOOD)
        assert isinstance(found, Schedule), found

    def test_a_whole_number_is_a_text_wherever_the_schema_wants_one(self) -> None:
        text = "owner: 2026\npool: 5\nqueue: -1\ntags: [a, 2026]\npriority_weight: 7\n"
        params = "learnosity_conn_id: 20261, organisation_id: 5, include: [7], filters: {any: 7}"
        found = parse("a.yaml", f"name: a\nschedule: '@daily'\n{text}params: {{dataset_type: 20261, {params}}}")
        assert isinstance(found, Schedule), found
        assert (found.owner, found.pool, found.queue, found.tags) == ("2026", "5", "-1", ["a", "2026"])
        assert found.priority_weight == 7
        assert found.params["learnosity_conn_id"] == found.params["dataset_type"] == "20261"
        assert (found.params["organisation_id"], found.params["include"]) == (5, ["7"])
        assert found.params["filters"] == {"any": 7}, "sent as they are"

    def test_the_published_schema_is_the_one_that_is_checked(self) -> None:
        assert json.loads((REPOSITORY / "dags" / "datasets" / "dataset.schema.json").read_text()) == SCHEMA

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            pytest.param(("item_bank", "Item Bank"), "file.yaml:1: name: 'Item Bank' does not match", id="name"),
            pytest.param(('"0 4 * * 1"', "often"), "file.yaml:2: schedule: 'often' is not a cron", id="cron"),
            pytest.param(("Europe/Dublin", "Mars/Base"), "file.yaml:3: timezone: 'Mars/Base' is not", id="zone"),
            pytest.param(("timezone", "timezon"), "file.yaml:3: timezon: is not known here", id="unknown key"),
            pytest.param(
                ("  filters", "  filter"), "file.yaml:6: params.filter: is not known here", id="unknown param"
            ),
            pytest.param(
                ("  filters:\n", "  dataset_id: 33285a4b-0e6e-47e4-bade-78999ada14db\n  filters:\n"),
                "file.yaml:6: params.dataset_id: is not known here",
                id="one dataset for all runs",
            ),
            pytest.param(("iso }}", "iso"), "file.yaml:7: params.filters.mintime: the template", id="template"),
            pytest.param(("  filters:\n", "  filters: [\n"), "file.yaml:8: ", id="syntax"),
            pytest.param(
                ("ibk-analysis-by-question", "activity-summary-by-group"),
                "file.yaml:4: params: activity-summary-by-group needs input files",
                id="what Learnosity would refuse",
            ),
            pytest.param(("timezone:", "name:"), "file.yaml:3: name: is there twice", id="twice"),
        ],
    )
    def test_a_problem_is_named_by_file_line_and_key(self, change: tuple[str, str], message: str) -> None:
        assert any(each.startswith(message) for each in problems(GOOD.replace(*change))), problems(
            GOOD.replace(*change)
        )

    def test_dates_need_no_quotes(self) -> None:
        found = parse("file.yaml", GOOD + "start_date: 2026-03-01\n")
        assert isinstance(found, Schedule)
        assert found.start_date == "2026-03-01"

    def test_one_bad_file_does_not_hide_the_others(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("name: [")
        (tmp_path / "b.yaml").write_text(GOOD)
        (tmp_path / "c.yml").write_text(GOOD)
        (tmp_path / "notes.txt").write_text("not a schedule")
        reading = read_folder(tmp_path)
        assert [each.file for each in reading.schedules] == ["b.yaml"]
        assert sorted(reading.problems) == ["a.yaml", "c.yml"]
        assert "name of b.yaml already" in str(reading.problems["c.yml"][0])

    @given(st.text(max_size=300) | st.text(alphabet="a:-[]{}&*!|>'\"%@` \n\t0", max_size=120))
    def test_no_text_breaks_the_reader(self, text: str) -> None:
        found = parse("file.yaml", text)
        assert isinstance(found, Schedule) or found


class TestDags:
    def test_a_schedule_becomes_a_dag_with_its_own_tasks(self) -> None:
        dag = build_dag(good())
        assert dag.dag_id == "learnosity_item_bank"
        assert [task.task_id for task in dag.topological_sort()] == [
            "create_dataset",
            "wait_for_job",
            "land.list_files",
            "land.land_files",
            "land.publish",
        ]
        create: Any = dag.get_task("create_dataset")
        assert create.request["filters"] == {"mintime": "{{ data_interval_start | iso }}"}

    def test_a_file_that_cannot_be_used_shows_why(self) -> None:
        dag = invalid_dag("my file.yaml", [ScheduleProblem("my file.yaml", 3, "timezone", "is not a time zone.")])
        assert dag.dag_id == "learnosity_invalid_my_file"
        assert "my file.yaml:3: timezone: is not a time zone." in str(dag.doc_md)
        task: Any = dag.get_task("correct_the_file")
        with pytest.raises(InvalidScheduleError, match="is not a time zone"):
            task.execute({})

    def test_airflow_finds_the_dags_of_the_samples_and_of_a_bad_file(self, samples: Path) -> None:
        dag_file = REPOSITORY / "dags" / "learnosity_schedules.py"
        shutil.copy(dag_file, samples.parent)
        (samples / "bad.yaml").write_text("name: {{ x }}")
        bag = DagBag(dag_folder=str(samples.parent), safe_mode=True)
        assert bag.import_errors == {}
        assert set(bag.dags) == {
            "learnosity_nightly_group_report",
            "learnosity_weekly_item_bank",
            "learnosity_invalid_bad",
        }


class TestTime:
    @pytest.mark.parametrize(
        ("zone", "day"),
        [
            pytest.param("Australia/Sydney", "2026-10-04", id="spring in the south"),
            pytest.param("Australia/Sydney", "2026-04-05", id="autumn in the south"),
            pytest.param("Europe/Dublin", "2026-03-29", id="spring in the north"),
            pytest.param("America/New_York", "2026-11-01", id="autumn in the north"),
        ],
    )
    def test_intervals_meet_at_the_same_wall_clock_time_over_a_clock_change(self, zone: str, day: str) -> None:
        timetable = CronDataIntervalTimetable("30 4 * * *", zone)
        after = pendulum.parse(day, tz=zone)
        assert isinstance(after, pendulum.DateTime)
        before = timetable.infer_manual_data_interval(run_after=after)
        over = timetable.infer_manual_data_interval(run_after=after.add(hours=12))
        assert before.end == over.start
        assert {each.in_timezone(zone).format("HH:mm") for each in (over.start, over.end)} == {"04:30"}
        assert (over.end - over.start).total_hours() in (23, 25)

    def test_days_are_days_of_the_calendar(self) -> None:
        filters = template_filters("Australia/Sydney")
        end = pendulum.datetime(2026, 10, 5, 2, 30, tz="Australia/Sydney")
        earlier = filters["days_before"](end.in_timezone("UTC"), 2)
        assert earlier.format("YYYY-MM-DD HH:mm") == "2026-10-03 02:30"
        assert iso(earlier) == "2026-10-02T16:30:00Z"
        assert iso(end) == "2026-10-04T15:30:00Z"
        assert iso(filters["day_start"](end)) == "2026-10-04T13:00:00Z"

    @given(
        st.datetimes(min_value=pendulum.datetime(2020, 1, 1).naive(), max_value=pendulum.datetime(2035, 1, 1).naive()),
        st.sampled_from(["UTC", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kolkata"]),
    )
    def test_the_start_of_a_day_is_midnight_or_the_first_moment_after_it(self, naive: Any, zone: str) -> None:
        moment = pendulum.instance(naive, tz="UTC")
        start = template_filters(zone)["day_start"](moment)
        assert start <= moment
        assert start.in_timezone(zone).date() == moment.in_timezone(zone).date()
