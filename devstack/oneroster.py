"""Writes CSV files as OneRoster 1.2 has them, for a seeded population: ``python -m devstack.oneroster FOLDER``.

Among them is what a real export has and a roster must not have: teachers, enrollments that ended, that have not begun
or are to be deleted, scheduled classes beside homerooms, users who are disabled, and names with blanks at their ends.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from simulator.population import records

COLUMNS: Final = {
    "orgs": ("sourcedId", "status", "dateLastModified", "name", "type", "identifier", "parentSourcedId"),
    "classes": (
        *("sourcedId", "status", "dateLastModified", "title", "grades", "courseSourcedId", "classCode", "classType"),
        *("location", "schoolSourcedId", "termSourcedIds", "subjects", "subjectCodes", "periods"),
    ),
    "enrollments": (
        *("sourcedId", "status", "dateLastModified", "classSourcedId", "schoolSourcedId", "userSourcedId", "role"),
        *("primary", "beginDate", "endDate"),
    ),
    "users": (
        *("sourcedId", "status", "dateLastModified", "enabledUser", "username", "userIds", "givenName", "familyName"),
        *("middleName", "identifier", "email", "sms", "phone", "agentSourcedIds", "grades", "password"),
        *("userMasterIdentifier", "resourceSourcedIds", "preferredGivenName", "preferredMiddleName"),
        *("preferredFamilyName", "primaryOrgSourcedId", "pronouns"),
    ),
}
DAY: Final = date(2026, 11, 2)
"""The day of the export: a Monday in a school year that began in September."""
_BEGIN, _END = date(2026, 9, 1), date(2027, 6, 30)

Rows = list[Mapping[str, str]]


def write_oneroster(folder: Path, users: int, *, seed: int = 1) -> list[dict[str, str]]:
    """Write the four files.

    :param users: how many students have a class.
    :returns: what a roster of them has to be: `user_id`, `district`, `school` and `class`, sorted by user.
    """
    roster = [
        {"user_id": record["user_id"], **record["groups"]} for record in records(users, seed=seed, levels=_LEVELS)
    ]
    files = {"orgs": _orgs(roster), "classes": _classes(roster), "users": _users(roster)}
    files["enrollments"] = _enrollments(roster)
    for name, rows in files.items():
        _write(folder / f"{name}.csv", COLUMNS[name], rows)
    return sorted(roster, key=lambda row: row["user_id"])


_LEVELS: Final = ("district", "school", "class")


def _orgs(roster: list[dict[str, str]]) -> Rows:
    rows: Rows = [{"sourcedId": "org-state", "name": "State", "type": "state"}]
    rows += [
        {"sourcedId": f"org-{name}", "name": name, "type": "district", "parentSourcedId": "org-state"}
        for name in _names(roster, "district")
    ]
    above = {row["school"]: row["district"] for row in roster}
    rows += [
        {"sourcedId": f"org-{name}", "name": f"{name} ", "type": "school", "parentSourcedId": f"org-{above[name]}"}
        for name in _names(roster, "school")
    ]
    return rows


def _classes(roster: list[dict[str, str]]) -> Rows:
    school = {row["class"]: row["school"] for row in roster}
    homerooms = [
        {"sourcedId": f"class-{name}", "title": name, "classType": "homeroom", "schoolSourcedId": f"org-{school[name]}"}
        for name in _names(roster, "class")
    ]
    scheduled = [
        {
            "sourcedId": f"class-{name}-maths",
            "title": "Maths",
            "classType": "scheduled",
            "schoolSourcedId": f"org-{name}",
        }
        for name in _names(roster, "school")
    ]
    return [*homerooms, *scheduled, {**homerooms[0], "sourcedId": "class-gone", "status": "tobedeleted"}]


def _users(roster: list[dict[str, str]]) -> Rows:
    students = [{"sourcedId": row["user_id"], "enabledUser": "true", "username": row["user_id"]} for row in roster]
    school = f"org-{roster[0]['school']}"
    others = [
        {"sourcedId": "teacher-1", "enabledUser": "true", "username": "t1", "primaryOrgSourcedId": school},
        {"sourcedId": "student-disabled", "enabledUser": "false", "username": "s1"},
        {"sourcedId": "student-gone", "enabledUser": "true", "username": "s2", "status": "tobedeleted"},
        {"sourcedId": "student-of-last-year", "enabledUser": "true", "username": "s3"},
        {"sourcedId": "student-without-class", "enabledUser": "true", "username": "s4"},
    ]
    return [*others, *students]


def _enrollments(roster: list[dict[str, str]]) -> Rows:
    rows: Rows = []

    def enroll(user: str, name: str, row: Mapping[str, str], **more: str) -> None:
        rows.append(
            {
                "sourcedId": f"enrollment-{len(rows)}",
                "classSourcedId": name,
                "schoolSourcedId": f"org-{row['school']}",
                "userSourcedId": user,
                "role": "student",
                "beginDate": _BEGIN.isoformat(),
                "endDate": _END.isoformat(),
            }
            | more
        )

    gone = (DAY - timedelta(days=1)).isoformat()
    other = roster[-1]
    for number, row in enumerate(roster):
        user, homeroom = row["user_id"], f"class-{row['class']}"
        # The enrollments that a reader has to ignore come first in the file, and many of them begin later than the one
        # that counts. So a reader that takes the first or the newest enrollment of a student gets a wrong class.
        enroll(user, f"class-{row['school']}-maths", row, beginDate=DAY.isoformat())
        if number % 3 == 0:
            enroll(user, f"class-{other['class']}", other, endDate=gone)
        if number % 5 == 0:
            enroll(user, f"class-{other['class']}", other, beginDate=(DAY + timedelta(days=1)).isoformat())
        if number % 7 == 0:
            enroll(user, f"class-{other['class']}", other, status="tobedeleted", beginDate=DAY.isoformat())
        if number % 11 == 0:
            enroll(user, "class-gone", row, beginDate=DAY.isoformat())
        if number % 13 == 0 and row["class"] != roster[0]["class"]:  # an earlier homeroom; its enrollment has not ended
            enroll(user, f"class-{roster[0]['class']}", roster[0], beginDate=(_BEGIN - timedelta(days=30)).isoformat())
        enroll(user, homeroom, row, **({"beginDate": "", "endDate": ""} if number % 13 else {}))
    first = roster[0]
    enroll("teacher-1", f"class-{first['class']}", first, role="teacher", primary="true")
    enroll("student-disabled", f"class-{first['class']}", first)
    enroll("student-gone", f"class-{first['class']}", first)
    enroll("student-of-last-year", f"class-{first['class']}", first, endDate=gone)
    return rows


def _names(roster: list[dict[str, str]], level: str) -> list[str]:
    return list(dict.fromkeys(row[level] for row in roster))


def _write(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), restval="", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(prog="python -m devstack.oneroster", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--users", type=int, default=1_000, help="number of students (default 1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    print(f"{len(write_oneroster(given.folder, given.users, seed=given.seed)):,} students written to {given.folder}")


if __name__ == "__main__":
    main()
