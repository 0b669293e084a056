"""Tables on the local disk."""

from __future__ import annotations

import pytest

from learnosity.dataset.local_table import LocalTable
from learnosity.errors import TransientError


def test_a_full_disk_is_reported_with_what_to_do_and_worth_another_try() -> None:
    full = "PRAGMA max_page_count = 4; CREATE TABLE texts (text TEXT)"
    table = LocalTable(full)
    with pytest.raises(TransientError, match="make room there, or let TMPDIR"):
        table.change_many("INSERT INTO texts VALUES (?)", (("x" * 1000,) for _ in range(1000)))
    table = LocalTable(full)
    with pytest.raises(TransientError, match="TMPDIR"):
        table.change("INSERT INTO texts VALUES (?)", ("x" * 100_000,))


def test_rows_come_in_the_order_of_the_query_however_many_there_are() -> None:
    table = LocalTable("CREATE TABLE numbers (number INTEGER)")
    table.change_many("INSERT INTO numbers VALUES (?)", ((number,) for number in reversed(range(2000))))
    assert [number for (number,) in table.rows("SELECT number FROM numbers ORDER BY number")] == list(range(2000))
    assert table.row("SELECT number FROM numbers WHERE number = ?", (7,)) == (7,)
    assert table.row("SELECT number FROM numbers WHERE number = ?", (-7,)) is None
