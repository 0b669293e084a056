"""The types of the Parquet columns: ids are texts, numbers are what they are, and nothing is dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnosity.connections import open_store
from learnosity.dataset.parquet import to_parquet
from learnosity.errors import IncompleteDatasetError
from tests.unit.dataset.test_parquet import published

# DuckDB guesses types from this many rows.
GUESSED_ROWS = 20_480


async def rows_of(folder: Path, users: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The users of a dataset after the way through Parquet."""
    dataset = await published(folder / "landed", {"users.json": {"users": users}})
    (written,) = await to_parquet(dataset, open_store((folder / "parquet").as_uri()))
    relation = duckdb.read_parquet(str(folder / "parquet" / dataset.layout.prefix / "users.parquet"))
    names = relation.columns
    found = [dict(zip(names, row, strict=True)) for row in relation.fetchall()]
    assert written.rows == len(found)
    return found


async def test_a_fraction_after_thousands_of_whole_numbers_stays_a_fraction(tmp_path: Path) -> None:
    users = [{"user_id": f"u{number}", "score": number} for number in range(GUESSED_ROWS + 100)]
    users.append({"user_id": "last", "score": 12.5})
    found = {row["user_id"]: row["score"] for row in await rows_of(tmp_path, users)}
    assert found["last"] == 12.5
    assert found["u7"] == 7


async def test_a_field_that_comes_late_is_kept(tmp_path: Path) -> None:
    users: list[dict[str, Any]] = [{"user_id": f"u{number}"} for number in range(GUESSED_ROWS + 100)]
    users.append({"user_id": "last", "note": "new"})
    found = {row["user_id"]: row["note"] for row in await rows_of(tmp_path, users)}
    assert found["last"] == "new"
    assert found["u7"] is None


IDS = ["F47AC10B-58CC-4372-A567-0E02B2C3D479", "guest", "007", "1e5", "2026-11-28", "12", "true"]


async def test_ids_are_texts_however_they_look(tmp_path: Path) -> None:
    users = [{"user_id": each, "class_id": each} for each in IDS]
    found = await rows_of(tmp_path, users)
    assert sorted(row["user_id"] for row in found) == sorted(IDS)
    assert all(row["class_id"] == row["user_id"] for row in found)


async def test_names_that_differ_in_case_alone_are_both_kept(tmp_path: Path) -> None:
    (row,) = await rows_of(tmp_path, [{"user_id": "u", "Score": 1, "score": 2}])
    assert (row["Score"], row["score_2"]) == (1, 2)


@pytest.mark.parametrize("number", [2**53 + 1, 2**62, 10**400, -(2**63)])
async def test_a_number_that_a_double_cannot_hold_keeps_every_digit(tmp_path: Path, number: int) -> None:
    (row,) = await rows_of(tmp_path, [{"user_id": "u", "score": number}])
    assert int(row["score"]) == number


CSV_NUMBERS: dict[str, str | float] = {
    "12345678901234567.89": "12345678901234567.89",
    "-12345678901234567.89": "-12345678901234567.89",
    "9007199254740993.0": "9007199254740993.0",
    "12345678901234567e3": 12345678901234567e3,
    "12345678901234567891e3": "12345678901234567891e3",
    f"0.{'0' * 400}1": f"0.{'0' * 400}1",
    "9007199254740993": 9007199254740993,
    "1234567890123456789": "1234567890123456789",
    "1e23": 1e23,
    "9007199254740994.0": 9007199254740994.0,
    "66.6666666666666667": 66.66666666666667,
    "0.10": 0.1,
    "0.00000000000000000000": 0.0,
    "-0.5": -0.5,
    "-0": -0.0,
    "-0.0": -0.0,
    "0": 0,
}


@pytest.mark.parametrize("written", CSV_NUMBERS)
@pytest.mark.parametrize("other", ["", "7", "0.5", "1234567890123456.25"])
async def test_a_number_of_csv_keeps_its_sign_and_every_whole_digit(tmp_path: Path, written: str, other: str) -> None:
    content = f"user_id,score\nu,{written}\nv,{other}\n".encode()
    dataset = await published(tmp_path / "landed", {"users.csv": content})
    await to_parquet(dataset, open_store((tmp_path / "parquet").as_uri()))
    relation = duckdb.read_parquet(str(tmp_path / "parquet" / dataset.layout.prefix / "users.parquet"))
    found = dict(relation.project("user_id, score").fetchall())
    expected = CSV_NUMBERS[written]
    assert type(expected)(found["u"]) == expected
    assert str(found["u"]).startswith("-") is written.startswith("-")
    assert not other or float(found["v"]) == float(other)


VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=5)


@given(rows=st.lists(st.dictionaries(st.sampled_from(["a", "b", "c d", "e'f"]), VALUES, min_size=1), min_size=1))
@settings(max_examples=60)
async def test_no_value_is_lost_or_changed_beyond_its_text(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    users = [{"user_id": str(number), **row} for number, row in enumerate(rows)]
    found = {row["user_id"]: row for row in await rows_of(tmp_path_factory.mktemp("rows"), users)}
    assert len(found) == len(users)
    for user in users:
        for name, value in user.items():
            there = found[str(user["user_id"])][name]
            if isinstance(value, bool) and isinstance(there, str):
                assert there == str(value).lower()
            elif isinstance(value, int | float) and isinstance(there, str):
                assert float(there) == value
            else:
                assert there == value


async def test_a_file_that_was_changed_since_is_not_read(tmp_path: Path) -> None:
    dataset = await published(tmp_path / "landed", {"users.json": {"users": [{"user_id": "u", "score": 1}]}})
    path = tmp_path / "landed" / dataset.layout.data("users.json")
    path.write_bytes(path.read_bytes().replace(b"1", b"2"))
    with pytest.raises(IncompleteDatasetError, match="is not what was published"):
        await to_parquet(dataset, open_store((tmp_path / "parquet").as_uri()))
