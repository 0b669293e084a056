"""Users who are in no group or in several ones: sent as they are, counted, and said; never silently."""

from __future__ import annotations

import io
import json
import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.dataset.input_info import LevelInfo
from learnosity.errors import InputError
from learnosity.inputs.records import MAX_USERS, schema_for
from learnosity.inputs.spool import InputFile, InputSummary, spool_input

LEVELS = ("district", "school")
Row = tuple[str | None, ...]
ROWS: list[Row] = [
    ("u1", "North", "West"),
    ("u2", "North", None),
    ("u3", None, None),
    ("u4", "North", "East"),
    ("u4", "South", "East"),
    ("u4", "South", "High"),
]
MAKERS = ["csv", "parquet", "ndjson"]
SESSION = "11111111-1111-4111-8111-11111111111"


def written(rows: list[Row], kind: str, folder: Path) -> bytes:
    names = ("user_id", *LEVELS, "session_id")[: len(rows[0])]
    if kind == "csv":
        return "".join(",".join(cell or "" for cell in row) + "\n" for row in (names, *rows)).encode()
    if kind == "ndjson":
        return b"".join(json.dumps(record).encode() + b"\n" for record in records(rows))
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE t ({', '.join(f'{name} VARCHAR' for name in names)})")
        database.executemany(f"INSERT INTO t VALUES ({', '.join('?' for _ in names)})", [list(row) for row in rows])
        database.execute(f"COPY t TO '{folder / 'users.parquet'}' (FORMAT parquet)")
    return (folder / "users.parquet").read_bytes()


def records(rows: list[Row]) -> list[dict[str, Any]]:
    """One for each user and group, with all its sessions."""
    found: dict[Row, dict[str, Any]] = {}
    for row in rows:
        groups = {key: name for key, name in zip(LEVELS, row[1:], strict=False) if name}
        record = found.setdefault(row[:3], {"user_id": row[0], "groups": groups})
        if len(row) > 3:
            record.setdefault("session_id", []).append(row[3])
    return list(found.values())


def spooled(content: bytes, dataset_type: str = "activity-summary-by-group") -> tuple[InputSummary, list[Any]]:
    target = io.BytesIO()
    summary = spool_input([InputFile("f", lambda: iter([content]))], schema_for(dataset_type, LEVELS), target)
    return summary, [json.loads(line) for line in target.getvalue().splitlines()]


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("sessions", [False, True], ids=["users", "sessions"])
def test_they_are_sent_counted_and_said(
    kind: str, sessions: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rows = [(*row, f"{SESSION}{number}") for number, row in enumerate(ROWS)] if sessions else ROWS
    if sessions and kind != "ndjson":
        rows += [(*row, f"{SESSION}a") for row in ROWS]
    summary, sent = spooled(written(rows, kind, tmp_path), f"{'sessions' if sessions else 'activity'}-summary-by-group")
    assert sent == records(rows)
    assert (summary.records, summary.users) == (6, 4)
    assert summary.levels == (
        LevelInfo("district", 2, 3, 1, users_without_group=1, users_in_several_groups=1),
        LevelInfo("school", 4, 2, 4, users_without_group=2, users_in_several_groups=1),
    )
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [warning.partition(". ")[0] for warning in warnings] == [
        '1 user(s) are in no group of the level "district"',
        '1 user(s) are in several groups of the level "district"',
        '2 user(s) are in no group of the level "school"',
        '1 user(s) are in several groups of the level "school"',
    ]
    assert "u3" not in caplog.text


@pytest.mark.parametrize("kind", MAKERS)
def test_the_same_user_in_the_same_group_is_a_repetition(kind: str, tmp_path: Path) -> None:
    content = written([*ROWS, ROWS[3]], kind, tmp_path)
    if kind == "ndjson":
        content = written(ROWS, kind, tmp_path) + written([ROWS[3]], kind, tmp_path)
    with pytest.raises(InputError, match="SELECT DISTINCT") as caught:
        spooled(content)
    (problem,) = caught.value.problems
    assert problem.line == 8 if kind == "csv" else 7
    assert problem.what.endswith("with the same groups")


@pytest.mark.parametrize("kind", MAKERS)
def test_a_level_in_which_nobody_has_a_group_is_a_wrong_column(kind: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No user of the input has a group of the level 'school'; nothing was sent"):
        spooled(written([("u1", "North", None), ("u2", "South", None)], kind, tmp_path))


@pytest.mark.parametrize("kind", MAKERS)
def test_a_group_below_none_is_a_problem_with_its_row(kind: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="district") as caught:
        spooled(written([*ROWS, ("u5", None, "West")], kind, tmp_path))
    (problem,) = caught.value.problems
    assert problem.line == 8 if kind == "csv" else 7


@given(
    st.lists(
        st.tuples(st.sampled_from("uvwxyz"), st.sampled_from([(), ("d",), ("e",), ("d", "s"), ("d", "t"), ("e", "s")])),
        min_size=1,
        unique=True,
    )
)
def test_the_figures_are_those_of_a_plain_count(rows: list[tuple[str, tuple[str, ...]]]) -> None:
    rows = [*rows, ("all", ("d", "s"))]
    content = b"".join(
        json.dumps({"user_id": user, "groups": dict(zip(LEVELS, path, strict=False))}).encode() + b"\n"
        for user, path in rows
    )
    summary, _ = spooled(content)
    users = {user for user, _ in rows}
    for depth, level in enumerate(summary.levels, 1):
        groups_of, users_of = defaultdict(set), defaultdict(set)
        for user, path in rows:
            if len(path) >= depth:
                groups_of[user].add(path[:depth])
                users_of[path[:depth]].add(user)
        assert level == LevelInfo(
            LEVELS[depth - 1],
            len(users_of),
            len(groups_of),
            sum(len(of_group) == 1 for of_group in users_of.values()),
            users_without_group=len(users - groups_of.keys()),
            users_in_several_groups=sum(len(of_user) > 1 for of_user in groups_of.values()),
        )
    assert (summary.records, summary.users) == (len(rows), len(users))


def test_blocks_make_no_difference_to_what_is_a_repetition() -> None:
    """Of many users, one is in two groups, first in an early block and then in a late one, and one is there twice."""
    lines = [
        json.dumps({"user_id": f"u{number}", "groups": {"district": "d", "school": f"s{number % 7}"}}).encode() + b"\n"
        for number in range(20_000)
    ]
    other = b'{"user_id":"u3","groups":{"district":"d","school":"s4"}}\n'
    summary, sent = spooled(b"".join([*lines, other]))
    assert (summary.records, summary.users, len(sent)) == (20_001, 20_000, 20_001)
    assert [level.users_in_several_groups for level in summary.levels] == [0, 1]
    with pytest.raises(InputError) as caught:
        spooled(b"".join([*lines, other, lines[3], lines[19_999], other]))
    assert [problem.line for problem in caught.value.problems] == [20_002, 20_003, 20_004]


def test_the_limit_is_one_of_users_and_not_of_records() -> None:
    def lines(users: int, school: str) -> bytes:
        text = '{{"user_id":"u{}","groups":{{"district":"d","school":"' + school + '"}}}}\n'
        return "".join(text.format(number) for number in range(users)).encode()

    summary, _ = spooled(lines(MAX_USERS, "s") + lines(1_000, "t"))
    assert (summary.records, summary.users) == (MAX_USERS + 1_000, MAX_USERS)
    with pytest.raises(InputError, match="more than 200,000 users"):
        spooled(lines(MAX_USERS + 1, "s"))
