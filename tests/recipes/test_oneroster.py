"""The documented query from OneRoster files to a roster: one class per student, by the rule that the query states."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb
import pytest

from devstack.environment import REPOSITORY
from devstack.oneroster import COLUMNS, DAY, write_oneroster

QUERY = (REPOSITORY / "dags" / "rosters" / "oneroster.sql").read_text()
WORDS = ("status", "type", "classType", "role", "enabledUser", "primary")
LEVELS = ("district", "school", "class")


def rosters(folder: Path, on_day: date = DAY) -> list[dict[str, str]]:
    """What the query makes of the files in a folder."""
    with duckdb.connect() as connection:
        connection.execute("SET VARIABLE folder = ?", [str(folder)])
        connection.execute("SET VARIABLE on_day = ?", [on_day])
        found = connection.execute(QUERY)
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def written(folder: Path, **files: list[dict[str, str]]) -> Path:
    """Four files with a few rows. Of a school: s1 below d1."""
    base: Mapping[str, list[dict[str, str]]] = {
        "orgs": [
            {"sourcedId": "d1", "name": "North", "type": "district"},
            {"sourcedId": "s1", "name": "West", "type": "school", "parentSourcedId": "d1"},
        ],
        "classes": [{"sourcedId": "c1", "title": "5A", "classType": "homeroom", "schoolSourcedId": "s1"}],
        "users": [{"sourcedId": "u1", "enabledUser": "true"}],
        "enrollments": [enrolled("u1", "c1")],
    }
    for name, columns in COLUMNS.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows([*base[name], *files.get(name, [])])
    return folder


def enrolled(user: str, name: str, **more: str) -> dict[str, str]:
    return {"sourcedId": f"{user}-{name}", "classSourcedId": name, "userSourcedId": user, "role": "student"} | more


def a_class(name: str, title: str = "5A", **more: str) -> dict[str, str]:
    return {"sourcedId": name, "title": title, "classType": "homeroom", "schoolSourcedId": "s1"} | more


def test_a_whole_export_becomes_one_row_per_student_with_the_homeroom_of_the_day(tmp_path: Path) -> None:
    expected = write_oneroster(tmp_path, 3_000)
    found = rosters(tmp_path)
    assert len(found) == 3_000
    assert found == expected
    assert set(Counter(row["user_id"] for row in found).values()) == {1}


@pytest.mark.parametrize(
    ("more", "chosen"),
    [
        pytest.param(
            {"begins": "2026-10-01", "kind": "scheduled"}, "5A", id="a homeroom before a later scheduled class"
        ),
        pytest.param({"begins": "2026-10-01"}, "5B", id="of two homerooms the later one"),
        pytest.param({"begins": ""}, "5A", id="one with a begin before one without"),
        pytest.param({"begins": "2026-9-2"}, "5B", id="a later day of one digit"),
        pytest.param({"begins": "2026-10-1"}, "5B", id="a later month, and a day of one digit"),
        pytest.param({"begins": "2026-8-31"}, "5A", id="an earlier month of one digit"),
        pytest.param({"begins": "2026/09/02"}, "5B", id="a later day with slashes"),
        pytest.param({"begins": "2026-08-31T00:00:00Z"}, "5A", id="an earlier day with a time"),
        pytest.param({"begins": "2026-09-01"}, "5A", id="of two of one day the lower sourcedId"),
        pytest.param({"begins": "2026-10-01", "ends": "2026-11-01"}, "5A", id="not one that ended yesterday"),
        pytest.param({"begins": "2026-10-01", "ends": "2026-11-02"}, "5A", id="not one with today as the end"),
        pytest.param({"begins": "2026-10-01", "ends": "2026-11-03"}, "5B", id="one with tomorrow as the end"),
        pytest.param({"begins": "2026-11-03"}, "5A", id="not one that begins tomorrow"),
        pytest.param({"begins": "2026-11-02"}, "5B", id="one that begins today"),
        pytest.param({"begins": "2026-10-01", "role": "teacher"}, "5A", id="not one as a teacher"),
        pytest.param({"begins": "2026-10-01", "status": "tobedeleted"}, "5A", id="not one to be deleted"),
        pytest.param({"begins": "2026-10-01", "class": "tobedeleted"}, "5A", id="not a class to be deleted"),
    ],
)
def test_of_several_enrollments_one_is_chosen_by_the_rule(tmp_path: Path, more: dict[str, str], chosen: str) -> None:
    second = enrolled(
        "u2", "c2", beginDate=more["begins"], endDate=more.get("ends", ""),
        role=more.get("role", "student"), status=more.get("status", ""),
    )  # fmt: skip
    folder = written(
        tmp_path,
        classes=[a_class("c2", "5B", classType=more.get("kind", "homeroom"), status=more.get("class", ""))],
        users=[{"sourcedId": "u2", "enabledUser": "true"}],
        enrollments=[enrolled("u2", "c1", beginDate="2026-09-01"), second],
    )
    assert {row["user_id"]: row["class"] for row in rosters(folder)} == {"u1": "5A", "u2": chosen}


@pytest.mark.parametrize("column", ["beginDate", "endDate"])
@pytest.mark.parametrize("day", ["06/30/2026", "30.06.2026", "20260630", "2026-06-31", "soon"])
def test_a_date_that_cannot_be_read_is_an_error_and_not_an_enrollment_without_end(
    tmp_path: Path, day: str, column: str
) -> None:
    folder = written(tmp_path, enrollments=[enrolled("u1", "c1", **{column: day})])
    with pytest.raises(duckdb.ConversionException, match=day):
        rosters(folder)


@pytest.mark.parametrize("day", ["2026-06-30", "2026-06-30T00:00:00.000Z", " 2026-06-30 "])
def test_a_date_with_a_time_is_that_day(tmp_path: Path, day: str) -> None:
    folder = written(
        tmp_path, users=[{"sourcedId": "u2"}], enrollments=[enrolled("u2", "c1", beginDate="2025-09-01", endDate=day)]
    )
    assert {row["user_id"] for row in rosters(folder, date(2026, 6, 29))} == {"u1", "u2"}
    assert {row["user_id"] for row in rosters(folder, date(2026, 6, 30))} == {"u1"}


@pytest.mark.parametrize(
    "user",
    [{"enabledUser": "false"}, {"enabledUser": "FALSE"}, {"enabledUser": "true", "status": "ToBeDeleted"}],
)
def test_users_who_are_gone_are_left_out(tmp_path: Path, user: dict[str, str]) -> None:
    folder = written(tmp_path, users=[{"sourcedId": "u2"} | user], enrollments=[enrolled("u2", "c1")])
    assert [row["user_id"] for row in rosters(folder)] == ["u1"]


def test_the_words_of_the_standard_count_in_any_case(tmp_path: Path) -> None:
    """Each column that holds a word of a fixed list: the roster is the same in lower, upper and title case."""
    found = []
    for number, case in enumerate((str.lower, str.upper, str.title)):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_oneroster(folder, 300)
        for name in COLUMNS:
            path = folder / f"{name}.csv"
            with path.open(newline="") as file:
                rows = list(csv.DictReader(file))
            for row in rows:
                row |= {word: case(row[word]) for word in WORDS if word in row}
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS[name])
                writer.writeheader()
                writer.writerows(rows)
        found.append(rosters(folder))
    assert len(found[0]) == 300
    assert found[1] == found[0]
    assert found[2] == found[0]


def test_a_user_of_whom_it_is_not_said_whether_the_account_is_enabled_counts(tmp_path: Path) -> None:
    folder = written(tmp_path, users=[{"sourcedId": "u2", "enabledUser": ""}], enrollments=[enrolled("u2", "c1")])
    assert [row["user_id"] for row in rosters(folder)] == ["u1", "u2"]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL], ids=["where needed", "all"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_files_are_read_as_the_standard_has_them_wherever_the_first_quote_is(
    tmp_path: Path, quoting: Literal[0, 1], encoding: str, end: str
) -> None:
    """A reader that finds out the dialect by the first rows would not know of quotes."""
    folder = written(
        tmp_path,
        classes=[*(a_class(f"c{n}", f"Klasse; {n}") for n in range(2, 30_000)), a_class("x", 'Größe "5", A')],
        users=[{"sourcedId": "u2", "enabledUser": "true"}],
        enrollments=[enrolled("u2", "x")],
    )
    for path in folder.glob("*.csv"):
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
        with path.open("w", newline="", encoding=encoding) as file:
            csv.writer(file, quoting=quoting, lineterminator=end).writerows(rows)
    assert [row["class"] for row in rosters(folder)] == ["5A", 'Größe "5", A']


def test_groups_of_one_name_below_one_parent_get_their_id_and_others_do_not(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        orgs=[
            {"sourcedId": "s2", "name": "West ", "type": "school", "parentSourcedId": "d1"},
            {"sourcedId": "d2", "name": "South", "type": "district"},
            {"sourcedId": "s3", "name": "West", "type": "school", "parentSourcedId": "d2"},
        ],
        classes=[
            a_class("c2", "5A"), a_class("c3", "5A", schoolSourcedId="s2"), a_class("c4", "5A", schoolSourcedId="s3"),
        ],
        users=[{"sourcedId": f"u{n}", "enabledUser": "true"} for n in (2, 3, 4)],
        enrollments=[enrolled(f"u{n}", f"c{n}") for n in (2, 3, 4)],
    )  # fmt: skip
    assert [tuple(row[level] for level in LEVELS) for row in rosters(folder)] == [
        ("North", "West (s1)", "5A (c1)"),
        ("North", "West (s1)", "5A (c2)"),
        ("North", "West (s2)", "5A"),
        ("South", "West", "5A"),
    ]


@pytest.mark.parametrize(
    ("above", "district"),
    [
        ([{"sourcedId": "x", "name": "State", "type": "state"}], "State"),
        ([{"sourcedId": "x", "name": "Local", "type": "local", "parentSourcedId": "y"},
          {"sourcedId": "y", "name": "District", "type": "district", "parentSourcedId": "z"},
          {"sourcedId": "z", "name": "State", "type": "state"}], "District"),
        ([{"sourcedId": "x", "name": "A", "type": "local", "parentSourcedId": "x"}], "A"),
        ([], "East"),
    ],
)  # fmt: skip
def test_the_district_is_the_nearest_one_above_the_school_or_the_top(
    tmp_path: Path, above: list[dict[str, Any]], district: str
) -> None:
    folder = written(
        tmp_path,
        orgs=[{"sourcedId": "s2", "name": "East", "type": "school", "parentSourcedId": "x"}, *above],
        classes=[a_class("c2", schoolSourcedId="s2")],
        users=[{"sourcedId": "u2", "enabledUser": "true"}],
        enrollments=[enrolled("u2", "c2")],
    )
    assert [row["district"] for row in rosters(folder)] == ["North", district]
