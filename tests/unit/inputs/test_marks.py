"""Byte order marks: one before a row of a joined file is none of its text, and one in a cell is."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.errors import InputError
from learnosity.inputs.records import schema_for
from learnosity.inputs.spool import InputFile, spool_input

SCHEMA = schema_for("activity-summary-by-group", ["school"])
HEADER = "user_id,note,school"
MARK = "\ufeff"
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")

QUOTED = st.text('\ufeff\n\r",a', max_size=12)
STRAY = st.text('\ufeff"a;', max_size=6).map("n{}".format)
"""The text of a cell without quotes around it, with quotes inside."""
ROWS = st.lists(st.tuples(QUOTED, STRAY, QUOTED.filter(bool)), min_size=1, max_size=8)


def read(text: str, *, encoding: str = "utf-8", chunk: int = 1 << 16) -> list[tuple[str, str]]:
    content = text.encode(encoding)
    target = io.BytesIO()
    file = InputFile("u.csv", lambda: (content[at : at + chunk] for at in range(0, len(content), chunk)))
    spool_input([file], SCHEMA, target)
    records = [json.loads(line) for line in target.getvalue().splitlines()]
    return [(record["user_id"], record["groups"]["school"]) for record in records]


def written(rows: Sequence[tuple[str, str, str]], end: str) -> str:
    """Rows with quotes around the first and the last cell."""
    lines = [
        '"{}",{},"{}"'.format(user.replace('"', '""'), note, school.replace('"', '""')) for user, note, school in rows
    ]
    return "".join(f"{line}{end}" for line in lines)


def numbered(rows: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return [(f"{user}{number}", note, school) for number, (user, note, school) in enumerate(rows)]


@given(
    st.lists(st.tuples(ROWS, st.booleans()), min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from(("\n", "\r\n", "\r")),
    st.sampled_from(ENCODINGS),
    st.sampled_from((1, 3, 7, 1 << 16)),
)
def test_files_that_are_joined_give_their_rows_and_cells_keep_their_marks(
    parts: list[tuple[list[tuple[str, str, str]], bool]], marked: bool, end: str, encoding: str, chunk: int
) -> None:
    """Of the files behind the first one, each has its own mark and its own header, or a mark alone."""
    rows = numbered([row for part, _ in parts for row in part])
    # A cell with commas and line ends may look like rows. With quotes in the header, it is certain that it is a cell.
    like_rows = any("," in cell and re.search(r"[\r\n]", cell) for row in rows for cell in row)
    header = HEADER.replace("user_id", '"user_id"') if like_rows else HEADER
    left, text = iter(rows), MARK if marked or encoding != "utf-8" else ""
    for place, (part, has_header) in enumerate(parts):
        text += MARK if place else ""
        text += f"{header}{end}" if place == 0 or has_header or not text.startswith(MARK) else ""
        text += written([next(left) for _ in part], end)
    assert read(text, encoding=encoding, chunk=chunk) == [(user, school) for user, _, school in rows]


@pytest.mark.parametrize("before", ["", "u1,n,s1\n", '"u\n1",n,s1\n\n'])
def test_a_mark_that_may_be_part_of_a_cell_is_named_by_its_row(before: str) -> None:
    with pytest.raises(InputError) as caught:
        read(f"{HEADER}\n{before}{MARK}u2,n,s2\n")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("u.csv", 2 + len(before.splitlines()) - before.count("u\n"))
    assert "byte order mark" in problem.what


def test_a_mark_on_a_blank_line_is_passed_over() -> None:
    assert read(f"{HEADER}\nu1,n,s1\n{MARK}\n{MARK}{HEADER}\nu2,n,s2\n{MARK}") == [("u1", "s1"), ("u2", "s2")]


def test_a_mark_without_quotes_inside_of_a_row_is_text() -> None:
    assert read(f"{HEADER}\nu1{MARK},{MARK}n,{MARK}s1\n") == [(f"u1{MARK}", f"{MARK}s1")]
