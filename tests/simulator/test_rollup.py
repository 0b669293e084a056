"""Results of summary and analysis datasets, computed from input files without any HTTP."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import SimulatorConfig
from simulator.records import InputError
from simulator.results import ResultSet, build, safe_segment
from simulator.validation import validate

REQUEST: dict[str, Any] = {
    "dataset_type": "activity-summary-by-group",
    "file_count": 1,
    "filters": {"activity_id": ["maths", "reading"]},
    "options": {
        "fields": [
            "population",
            "group_count",
            "lowest_score",
            "highest_score",
            "mean_score",
            "median_score",
            "stddev_score",
            "p25_percent",
            "mean_seen_activities",
            "mean_attempted_percent",
        ],
        "user_fields": ["score", "percent", "max_score", "attempted_max_score", "seen_score", "seen_activities"],
        "default_users_sort_field": "score",
    },
    "groups": [{"key": "school", "label": "School"}, {"key": "class", "label": "Class"}],
}
Build = Callable[..., ResultSet]


@pytest.fixture
def results_of(tmp_path: Path) -> Iterator[Build]:
    with ExitStack() as open_results:
        made: list[ResultSet] = []

        def make(
            records: list[dict[str, Any]] | bytes, request: dict[str, Any] = REQUEST, **switches: Any
        ) -> ResultSet:
            lines = records if isinstance(records, bytes) else "".join(json.dumps(r) + "\n" for r in records).encode()
            source = tmp_path / "0.ndjson"
            source.write_bytes(lines)
            config = SimulatorConfig(**switches)
            inputs = [source] if request["file_count"] else []
            spool = tmp_path / f"spool-{len(made)}"
            results = build(validate(request, config), config, inputs, spool, lambda: None)
            made.append(results)
            open_results.callback(results.close)
            return results

        yield make


def user(number: int, school: str = "s", group: str = "c", **extra: Any) -> dict[str, Any]:
    return {"user_id": f"u{number}", "groups": {"school": school, "class": group}} | extra


def view(results: ResultSet, *path: str) -> dict[str, Any]:
    found = results.group_view(path)
    assert found is not None
    return found


def test_every_group_has_a_json_and_a_csv_file(results_of: Build) -> None:
    results = results_of([user(1, "s1", "a"), user(2, "s1", "b"), user(3, "s2", "c")])
    folders = ["", "/s1", "/s1/a", "/s1/b", "/s2", "/s2/c"]
    assert sorted(results.files) == sorted(f"groups{f}/group.{kind}" for f in folders for kind in ("json", "csv"))


def test_the_files_hold_what_the_view_of_the_group_shows(results_of: Build) -> None:
    results = results_of([user(n, f"s{n % 2}") for n in range(10)])
    assert json.loads(results.read("groups/s1/c/group.json")) == view(results, "s1", "c")
    rows = list(csv.DictReader(io.StringIO(results.read("groups/s1/c/group.csv").decode())))
    assert [row["user_id"] for row in rows] == [row["user_id"] for row in view(results, "s1", "c")["users"]]
    assert [row["group_name"] for row in view(results)["groups"]] == ["s0", "s1"]
    assert [row["group_name"] for row in view(results, "s1", "c")["ancestors"]] == ["", "s1"]
    assert results.group_view(["s1", "nowhere"]) is None


def test_statistics_of_a_group_are_those_of_the_users_listed_in_it(results_of: Build) -> None:
    shown = view(results_of([user(n) for n in range(60)]), "s", "c")
    seen = [row for row in shown["users"] if row["seen_activities"]]
    scores = [row["score"] for row in seen]
    expected = {
        "population": 60,
        "group_count": 0,
        "lowest_score": min(scores),
        "highest_score": max(scores),
        "mean_score": statistics.fmean(scores),
        "median_score": statistics.median(scores),
        "stddev_score": statistics.pstdev(scores),
        "p25_percent": statistics.quantiles([row["percent"] for row in seen], n=4, method="inclusive")[0],
        "mean_seen_activities": statistics.fmean(row["seen_activities"] for row in shown["users"]),
        "mean_attempted_percent": statistics.fmean(
            100 * row["attempted_max_score"] / row["seen_score"] for row in seen
        ),
    }
    assert {field: shown["group"][field] for field in expected} == pytest.approx(expected, abs=1e-3)
    assert all(0 <= row["score"] <= row["attempted_max_score"] <= row["max_score"] for row in seen)
    assert scores == sorted(scores, reverse=True)


def test_a_user_of_two_classes_counts_once_for_the_school(results_of: Build) -> None:
    results = results_of([user(1, "s", "a"), user(1, "s", "b"), user(2, "s", "b"), user(2, "s", "b")])
    assert [row["population"] for row in view(results, "s")["groups"]] == [1, 2]
    assert view(results, "s")["group"]["population"] == 2
    assert view(results)["group"]["population"] == 2


def test_users_without_a_session_in_the_window_count_but_have_no_score(results_of: Build) -> None:
    request = REQUEST | {"filters": {"activity_id": ["maths"], "maxtime": "2001-01-01T00:00:00Z"}}
    shown = view(results_of([user(1), user(2)], request), "s", "c")
    assert (shown["group"]["population"], shown["group"]["mean_score"]) == (2, None)
    assert [row["score"] for row in shown["users"]] == [None, None]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(results_of: Build) -> None:
    records = [user(n, f"s{n % 3}") for n in range(30)]

    def bytes_of(seed: int) -> dict[str, bytes]:
        results = results_of(records, seed=seed)
        return {name: results.read(name) for name in results.files}

    assert bytes_of(1) == bytes_of(1)
    assert bytes_of(1) != bytes_of(2)


def test_sizes_and_hashes_are_those_of_the_bytes(results_of: Build) -> None:
    results = results_of([user(n, f"s{n % 3}") for n in range(30)])
    for name, file in results.files.items():
        body = results.read(name)
        assert (len(body), hashlib.sha256(body).hexdigest()) == (file.size, file.sha256)
        assert results.read(name, 3, 9) == body[3:9]


def test_group_rows_come_in_the_order_asked_for(results_of: Build) -> None:
    records = [user(n, f"s{n % 7}") for n in range(200)]
    for order, descending in (("asc", False), ("desc", True)):
        options = REQUEST["options"] | {"default_sort_field": "mean_score", "default_sort_order": order}
        rows = view(results_of(records, REQUEST | {"options": options}))["groups"]
        means = [row["mean_score"] for row in rows]
        assert means == sorted(means, reverse=descending)


def test_a_session_summary_counts_exactly_the_sessions_listed(results_of: Build) -> None:
    request = REQUEST | {"dataset_type": "sessions-summary-by-group", "filters": {}}
    one, two = results_of([user(1, session_id=["x"])], request), results_of([user(1, session_id=["x", "y"])], request)
    assert view(two, "s", "c")["users"][0]["max_score"] > view(one, "s", "c")["users"][0]["max_score"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"not json\n", "0.ndjson line 2"),
        (b"[]\n", "0.ndjson line 2"),
        (b'{"user_id": "u"}\n', "groups"),
        (b'{"user_id": "u", "groups": {"school": "s", "class": "c", "planet": "p"}}\n', "planet"),
        (b'{"user_id": "u", "groups": {"class": "c"}}\n', "above it"),
        (b'{"user_id": "u", "groups": {"school": "s", "class": ""}}\n', "empty"),
        (b'{"user_id": "%s", "groups": {"school": "s", "class": "c"}}\n' % (b"u" * 51), "user_id"),
        (b"\xff\xfe\n", "0.ndjson line 2"),
    ],
)
def test_a_wrong_line_is_told_with_its_place_or_skipped_by_switch(results_of: Build, line: bytes, told: str) -> None:
    lines = json.dumps(user(1)).encode() + b"\n" + line
    with pytest.raises(InputError, match=told):
        results_of(lines)
    assert view(results_of(lines, malformed_input="skip"))["group"]["population"] == 1


def test_users_without_a_group_count_above_and_those_in_several_count_once_where_they_meet(results_of: Build) -> None:
    bare = [{"user_id": "u8", "groups": {"school": "s1"}}, {"user_id": "u9", "groups": {}}]
    results = results_of([user(1, "s1", "a"), user(1, "s1", "b"), user(1, "s2", "c"), user(2, "s1", "a"), *bare])
    populations = {
        path: view(results, *path)["group"]["population"] for path in ((), ("s1",), ("s1", "a"), ("s1", "b"), ("s2",))
    }
    assert populations == {(): 4, ("s1",): 3, ("s1", "a"): 2, ("s1", "b"): 1, ("s2",): 1}


def test_unknown_keys_of_a_line_matter_only_when_strict(results_of: Build) -> None:
    assert view(results_of([user(1, nickname="x")]))["group"]["population"] == 1
    with pytest.raises(InputError, match="nickname"):
        results_of([user(1, nickname="x")], strict_records=True)


def test_more_than_fifty_sessions_of_a_user_are_refused(results_of: Build) -> None:
    request = REQUEST | {"dataset_type": "sessions-summary-by-group", "filters": {}}
    with pytest.raises(InputError, match="50"):
        results_of([user(1, session_id=[str(n) for n in range(51)])], request)


@given(st.lists(st.text(min_size=1), min_size=2, max_size=2, unique=True))
def test_any_group_name_is_one_harmless_path_segment_of_its_own(names: list[str]) -> None:
    segments = [safe_segment(name) for name in names]
    assert segments[0] != segments[1]
    for segment in segments:
        assert segment.isascii()
        assert segment.isprintable()
        assert "/" not in segment
        assert segment not in (".", "..")


def analysis(results: ResultSet) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(results.read("items.json"))
    return rows


def test_an_analysis_has_a_row_and_a_file_for_each_question(results_of: Build) -> None:
    request = {"dataset_type": "ibk-analysis-by-question", "file_count": 0}
    results = results_of(b"", request, analysis_users=200)
    rows = analysis(results)
    assert len(results.files) == len(rows) + 2
    for row in rows:
        assert json.loads(results.read(f"items/{row['item_reference']}.json")) == row
        assert 0 <= row["p_value"] <= row["p_value_if_attempted"] <= 1
        assert row["count_attempted"] <= row["count_sessions"]
        assert row["item_position"] is None
    assert len(list(csv.DictReader(io.StringIO(results.read("items.csv").decode())))) == len(rows)


def test_most_questions_of_the_bank_tell_strong_users_from_weak_ones(results_of: Build) -> None:
    request = {"dataset_type": "ibk-analysis-by-question", "file_count": 0}
    values = [row["discrimination_index"] for row in analysis(results_of(b"", request))]
    assert statistics.median(values) > 0.2
    assert min(values) < 0.2


def test_a_position_is_told_when_it_is_the_same_in_all_sessions(results_of: Build) -> None:
    request = {"dataset_type": "activity-analysis-by-question", "file_count": 0, "filters": {"activity_id": ["maths"]}}
    positions = sorted(row["item_position"] for row in analysis(results_of(b"", request, analysis_users=50)))
    assert positions == list(range(1, len(positions) + 1))


def test_listed_sessions_are_the_ones_analysed(results_of: Build) -> None:
    request = {"dataset_type": "activity-analysis-by-question", "file_count": 1}
    rows = analysis(results_of([{"session_id": f"x{n}"} for n in range(300)], request))
    assert max(row["count_sessions"] for row in rows) <= 300
    assert len(rows) > 50
