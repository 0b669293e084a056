"""Search, filters and sorting of the list of datasets."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from learnosity.api.dataset_request import KNOWN_TYPES
from learnosity.web.list_filters import STATES, Wanted, chosen, zone_of
from learnosity.web.list_rows import Listed

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ROWS = [
    Listed("nightly", "r1", "published", NOW, "summary", "id-1", ("Reading", "Maths"), 400, 60, 9_000),
    Listed("nightly", "r2", "failed", NOW - timedelta(hours=1), "summary"),
    Listed("by_hand", "r3", "published", NOW - timedelta(hours=2), "analysis", "id-3", (), None, 1, 10_000),
    Listed("by_hand", "r4", "running", NOW - timedelta(hours=3), "", "", ("Maths",)),
]


def runs(**wanted: Any) -> list[str]:
    return [row.run_id for row in chosen(ROWS, Wanted(**wanted))]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["r1", "r2", "r3", "r4"]),
        ({"q": "maths"}, ["r1", "r4"]),
        ({"q": "MATHS summary"}, ["r1"]),
        ({"q": "maths nothing"}, []),
        ({"q": "id-3"}, ["r3"]),
        ({"q": "by_hand r4"}, ["r4"]),
        ({"type": "summary"}, ["r1", "r2"]),
        ({"type": "summ"}, []),
        ({"dag": "by_hand"}, ["r3", "r4"]),
        ({"state": "failed"}, ["r2"]),
        ({"dag": "by_hand", "state": "published", "q": "analysis"}, ["r3"]),
        ({"direction": "asc"}, ["r4", "r3", "r2", "r1"]),
        ({"sort": "size"}, ["r3", "r1", "r2", "r4"]),
        ({"sort": "size", "direction": "asc"}, ["r1", "r3", "r2", "r4"]),
        ({"sort": "records"}, ["r1", "r2", "r3", "r4"]),
        ({"sort": "files", "direction": "asc"}, ["r3", "r1", "r2", "r4"]),
        ({"sort": "dag", "direction": "asc"}, ["r3", "r4", "r1", "r2"]),
        ({"sort": "activities", "direction": "asc"}, ["r4", "r1", "r2", "r3"]),
        ({"sort": "no such column"}, ["r1", "r2", "r3", "r4"]),
    ],
)
def test_rows_are_filtered_and_sorted(wanted: dict[str, Any], found: list[str]) -> None:
    assert runs(**wanted) == found


@pytest.mark.parametrize("kind", sorted(KNOWN_TYPES))
def test_a_row_is_found_by_what_it_shows(kind: str) -> None:
    row = Listed("dag", "run", "published", NOW, kind, "id", mark="gaps")
    for words in (KNOWN_TYPES[kind].label, kind, "gaps"):
        assert chosen([row], Wanted(q=words)) == [row]
    assert chosen([row], Wanted(q="another")) == []


def test_every_state_that_a_filter_offers_is_one_of_the_rows() -> None:
    assert {row.state for row in ROWS} <= set(STATES)


def test_an_address_says_all_that_is_wanted_and_nothing_else() -> None:
    wanted = Wanted("a b&c", dag="x", since=date(2026, 11, 1), zone="Europe/Vienna", sort="size", direction="asc")
    assert dict(parse_qsl(wanted.query())) == {
        "q": "a b&c",
        "dag": "x",
        "since": "2026-11-01",
        "zone": "Europe/Vienna",
        "sort": "size",
        "direction": "asc",
    }
    assert Wanted().query() == ""


def test_a_second_click_on_a_heading_turns_the_order() -> None:
    first = dict(parse_qsl(Wanted(q="x").sorted_by("size")))
    assert (first["q"], first["sort"], first["direction"]) == ("x", "size", "desc")
    again = dict(parse_qsl(Wanted(sort="size").sorted_by("size")))
    assert again["direction"] == "asc"
    assert dict(parse_qsl(Wanted().sorted_by("dag")))["direction"] == "asc"
    assert (Wanted().order("at"), Wanted().order("dag"), Wanted(direction="asc").order("at")) == (
        "descending",
        "none",
        "ascending",
    )


def test_days_are_whole_days_of_the_zone_of_the_viewer() -> None:
    day = date(2026, 7, 1)
    since, until = Wanted(since=day, until=day, zone="Europe/Vienna").times
    assert (since, until) == (datetime(2026, 6, 30, 22, tzinfo=UTC), datetime(2026, 7, 1, 22, tzinfo=UTC))
    assert Wanted(since=day).times == (datetime(2026, 7, 1, tzinfo=UTC), None)
    assert Wanted(until=date.max).times == (None, None)
    assert Wanted(since=date.min, zone="Asia/Tokyo").times == (None, None)


@pytest.mark.parametrize("name", ["", "no/such", "../../etc/passwd", "/etc/passwd", "\0", "Europe", "x" * 1000, "…"])
def test_what_is_no_zone_is_utc(name: str) -> None:
    assert zone_of(name).key == "UTC"
