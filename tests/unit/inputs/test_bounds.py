"""One user may have any number of rows: time and memory stay within bounds, and so does what is said of them."""

from __future__ import annotations

import io
import time
import tracemalloc
from functools import partial
from pathlib import Path

import duckdb
import pytest

from learnosity.errors import InputError
from learnosity.inputs import duplicates
from learnosity.inputs.duplicates import Identities, SeenRecords
from learnosity.inputs.records import schema_for
from learnosity.inputs.sessions import SessionRows
from learnosity.inputs.spool import InputFile, spool_input


@pytest.mark.parametrize("other", ["d", "x" * 1000], ids=["short groups", "long groups"])
@pytest.mark.promise("bounded memory")
def test_the_sessions_of_one_user_are_not_read_into_memory_to_find_that_there_are_too_many(other: str) -> None:
    rows = SessionRows(most=50)
    count = 20_000
    for start in range(0, count, 1000):
        numbers = range(start, start + 1000)
        assert not list(rows.add(0, numbers, ["u"] * 1000, [(other,)] * 1000, [f"s{n}" for n in numbers]))
    assert not list(rows.add(0, [count], ["v"], [(other,)], ["s"]))
    tracemalloc.start()
    try:
        ((users, _, sessions, misfits),) = rows.gathered()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        rows.close()
    assert (users, [len(of_user) for of_user in sessions]) == (["u", "v"], [51, 1])
    assert [(misfit.row, misfit.what[:28]) for misfit in misfits] == [(50, "it is one session too many: ")]
    assert peak < 1_000_000


def test_the_groups_of_one_user_take_time_in_proportion() -> None:
    def seconds(count: int) -> float:
        seen = SeenRecords()
        assert seen.add(["u", "u"], [["a", "b"]]) == []
        began = time.perf_counter()
        for number in range(count):
            assert seen.add(["u"], [[f"g{number}"]]) == []
        taken = time.perf_counter() - began
        assert seen.add(["u", "v"], [["g7", "g7"]]) == [0]
        assert (seen.count, [len(paths) for paths in seen.in_several()]) == (2, [count + 2])
        return taken

    assert min(seconds(40_000) for _ in range(2)) < 25 * min(seconds(4_000) for _ in range(3))


@pytest.mark.parametrize("null", [True, False], ids=["null", "empty"])
def test_users_without_an_id_are_users_where_rows_are_not_checked(
    null: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where there are so many ids that they go to disk."""
    monkeypatch.setattr(duplicates, "Identities", partial(Identities, in_memory=100))
    schema = schema_for("sessions-summary-by-group", ["school"], any_object=True)
    nobody = "NULL" if null else "''"
    select = f"SELECT CASE n % 5 WHEN 0 THEN {nobody} ELSE 'u' || n END user_id, 's' school, n session_id"
    with duckdb.connect() as database:
        database.execute(f"COPY ({select} FROM range(5000) t(n)) TO '{tmp_path / 'u'}' (FORMAT parquet)")
    target = io.BytesIO()
    summary = spool_input([InputFile("u", lambda: iter([(tmp_path / "u").read_bytes()]))], schema, target)
    assert (summary.records, summary.users) == (4001, 4001)
    assert (b'{"user_id":null,' in target.getvalue()) == null


def test_too_many_sessions_of_many_users_are_named_once_for_each() -> None:
    schema = schema_for("sessions-summary-by-group", ["school"])
    content = "user_id,school,session_id\n" + "".join(f"u{n % 3},s,{n}\n" for n in range(300))
    with pytest.raises(InputError) as caught:
        spool_input([InputFile("u.csv", lambda: iter([content.encode()]))], schema, io.BytesIO())
    assert [problem.line for problem in caught.value.problems] == [152, 153, 154]
