"""What stands around the `data` of a reply is read: other keys at the top level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from learnosity.results.reading import (
    Empty,
    Failed,
    Files,
    Group,
    Inline,
    NotReady,
    NotUnderstood,
    Reading,
    classify,
    parse_declaration,
)
from tests.unit.results.replies import AB, GROUP, ID, OTHER, ROW, A, B, at, cases, names, why

NEXT = "https://data.example/v1/reports/datasets?page=2"
AT_THE_TOP = {"files": "files[]", "url": "url", "name": "name"}
DATA: dict[str, Any] = {"a list": [A], "an object": {"files": [A]}, "a list of one object": [{"files": [A]}]}


def around(
    data: Any,
    beside: Mapping[str, Any],
    results: Any = None,
    *,
    first_page: bool = True,
    **meta: Any,
) -> Reading:
    return classify(
        {"status": True, **meta},
        data,
        dataset_id=ID,
        declaration=parse_declaration({"results": results}),
        first_page=first_page,
        beside=beside,
    )


@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
@pytest.mark.parametrize(
    "beside",
    [
        {"has_more": True},
        {"hasMore": 1},
        {"truncated": True},
        {"is_truncated": "true"},
        {"total": 2},
        {"total_files": 2},
        {"count": 2},
        {"records": 2},
        {"file_count": 2},
        {"pagination": {"page": 1, "total_pages": 2}},
        {"pagination": {"has_more": True}},
        {"page": 1, "pages": 2},
        {"page": 2},
        {"offset": 1},
        {"part": 1, "of": 2},
        {"links": {"next": NEXT}},
        {"links": [{"rel": "next", "href": NEXT}]},
        {"_links": {"next": {"href": NEXT}}},
        {"next": NEXT},
        {"next_page": {"offset": 1}},
        {"errors": ["b.csv failed"]},
        {"errors": [{"file": "b.csv", "message": "timeout"}]},
        {"warnings": ["only the first file"]},
        {"missing_files": ["b.csv"]},
        {"partial": True},
        {"success": False},
        {"message": "Only the first 1 files are listed"},
        {"files_extra": [at("b.csv")]},
        {"included": [B]},
        {"included": [{"name": "b.csv"}]},
        {"more": {"file": "b.csv"}},
        {"files": ["b.csv"]},
        {"files": ["b", "c"]},
        {"files": [{"name": "b", "id": 7}]},
        {"url": at("b.csv")},
        {"download": "https://results.example.com/b.csv"},
        {"rows": [ROW]},
        {"included": [ROW]},
        {"included": {"question": ROW}},
        {"users": [{"user_id": "u", "score": 1}]},
        {"groups": [{"group_name": "north"}]},
        {"files": [{"name": "b.csv", "content": "user_id,score\nu,1\n"}]},
        {"b.csv": "user_id,score\nu,1\n"},
        {"dataset_id": OTHER},
        {"dataset": {"id": OTHER}},
    ],
    ids=str,
)
def test_what_says_beside_the_data_that_they_are_a_part_is_not_passed_over(data: Any, beside: dict[str, Any]) -> None:
    reading = around(data, beside)
    assert isinstance(reading, NotUnderstood), reading
    for key in beside:
        assert f'"{key}"' in reading.sketch or key == "b.csv"


@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_a_state_beside_the_data_is_that_of_the_dataset(data: Any) -> None:
    for beside in ({"status": "running"}, {"state": "QUEUED"}, {"ready": False}, {"job": {"status": "processing"}}):
        assert isinstance(around(data, beside), NotReady)
    assert isinstance(around(data, {"status": "failed"}), Failed)


LEGAL: list[dict[str, Any]] = [
    {"request_id": "5f2b", "requestId": "r-1", "request_uuid": "11111111-2222-4333-8444-000000000000"},
    {"timestamp": 1795852800, "time": "2026-11-28T07:00:00Z", "generated_at": "2026-11-28 07:00:00"},
    {"version": "v2026.2.LTS", "apiVersion": "2.0", "took": 12, "elapsed_ms": 3.5},
    {"links": {"self": NEXT}},
    {"links": {"self": NEXT, "next": None, "prev": None}},
    {"_links": {"self": {"href": NEXT}}},
    {"links": [{"rel": "self", "href": NEXT}], "documentation_url": "https://help.example"},
    {"success": True, "ok": True},
    {"status": 200},
    {"status": "ok"},
    {"status": "success"},
    {"status": True},
    {"code": 200, "message": "OK"},
    {"code": 0, "message": None},
    {"errors": [], "error": None, "warnings": None},
    {"errors": None, "error": False, "warnings": []},
    {"jsonapi": {"version": "1.0"}},
    {"included": [], "files": [], "extra": {}},
    {"next": None, "has_more": False, "cursor": ""},
    {"pagination": {"page": 1, "total_pages": 1, "per_page": 100, "total": 2}},
    {"total": 2, "count": 2, "records": 2},
    {"records": 1},
    {"page": 1, "pages": 1, "limit": 100},
    {"dataset_id": ID.upper(), "dataset_type": "t", "organisation_id": 6},
    {"groups": [{"key": "school", "label": "School"}, {"key": "class", "label": "Class"}]},
    {"request": {"limit": 1, "next": "x", "status": "queued", "fields": ["score"]}},
    {"ratelimit": {"limit": 10, "remaining": 9}, "versions": {"requested": "v1", "concrete": "v1"}},
    {"debug": {"server": "api-3", "tags": ["blue"], "timings": [1, 2]}},
    {"server": {"name": "api-3", "region": "eu"}, "user": {"id": 7, "role": "consumer"}},
]


@pytest.mark.parametrize("beside", LEGAL, ids=str)
def test_what_usually_stands_beside_the_data_and_says_nothing_about_them_is_accepted(beside: dict[str, Any]) -> None:
    for data in ({"files": [A, B]}, [{"files": [A, B]}]):
        assert names(around(data, beside)) == AB
    counts_the_list = beside.get("records") == 1  # of a list of files, it would be 2
    assert counts_the_list or names(around([A, B], beside)) == AB
    assert counts_the_list or names(around([A, B], beside, {"files": "data[]", "url": "url", "name": "name"})) == AB


@pytest.mark.parametrize(
    "beside", [each for each in LEGAL if not {"total", "pagination", "records"} & set(each)], ids=str
)
def test_it_is_accepted_beside_content_and_groups_and_on_every_page(beside: dict[str, Any]) -> None:
    assert isinstance(around([ROW], beside), Inline)
    assert isinstance(around(GROUP, beside), Group)
    empty: tuple[Any, ...] = (None, [], {"files": []})
    for data in empty:
        if not beside.get("message"):  # beside an empty list, a text may say why it is empty
            assert isinstance(around(data, beside, first_page=False), Empty)


@cases(
    ("beside", "meta", "cursor"),
    {
        "beside alone": ({"next": "abc"}, {}, "abc"),
        "a number": ({"next_page": 2}, {}, "2"),
        "in an object about pages": ({"pagination": {"next_cursor": "abc", "has_more": True}}, {}, "abc"),
        "empty in meta": ({"next": "abc"}, {"next": None}, "abc"),
        "in meta, and empty beside": ({"next": None, "has_more": True}, {"next": "abc"}, "abc"),
        "the same in both": ({"next": "abc"}, {"next": "abc"}, "abc"),
    },
)
def test_a_cursor_may_stand_beside_the_data(beside: dict[str, Any], meta: dict[str, Any], cursor: str) -> None:
    reading = around([A], beside, **meta)
    assert isinstance(reading, Files)
    assert reading.next_cursor == cursor


def test_a_key_in_meta_and_beside_is_judged_in_both() -> None:
    assert why(around([A], {"next": "x"}, next="y")) == "it names two different next pages"
    table: dict[str, tuple[Any, Any]] = {"total": (1, 2), "records": (1, 2), "has_more": (0, 1), "errors": ([], ["b"])}
    for key, (right, wrong) in table.items():
        assert names(around([A], {key: right}, **{key: right})) == ["a.json"]
        for beside, meta in ((right, wrong), (wrong, right)):
            assert key in why(around([A], {key: beside}, **{key: meta}))
    assert "its `records` differs" in why(around([A], {"records": 2}, records=1))
    assert "its `meta.records` differs" in why(around([A], {"records": 1}, records=2))


@cases(
    "beside",
    {
        "files": {"files": [A, B]},
        "addresses": {"files": [at("a.json"), at("b.csv")]},
        "with other keys": {"request_id": "x", "took": 3, "files": [A, B], "count": 2, "links": {"self": NEXT}},
        "under a format": {"json": [A], "csv": [B]},
        "one level down": {"dataset": {"id": ID, "outputs": [A, B]}},
    },
)
def test_a_reply_without_data_may_list_its_files_at_the_top_level(beside: dict[str, Any]) -> None:
    for first_page in (True, False):
        assert names(around(None, beside, first_page=first_page)) == AB
        reading = around(None, beside | {"next": "abc"}, first_page=first_page)
        assert isinstance(reading, Files)
        assert reading.next_cursor == "abc"


@cases(
    "beside",
    {
        "more": {"files": [A, B], "has_more": True},
        "a wrong count": {"files": [A, B], "total": 3},
        "an entry without an address": {"files": [A, {"name": "b.csv"}]},
        "rows": {"rows": [ROW]},
        "groups": dict(GROUP),
        "content": {"files": [{"name": "b.csv", "content": "user_id,score\nu,1\n"}]},
        "an empty list": {"files": []},
        "nothing of these": {"request_id": "x"},
    },
)
def test_a_reply_without_data_that_is_not_surely_a_list_of_files_is_not_understood(beside: dict[str, Any]) -> None:
    reading = around(None, beside)
    assert isinstance(reading, NotUnderstood)
    assert all(f'"{key}"' in reading.sketch for key in beside)
    assert isinstance(around(None, {"files": [A], "status": "running"}), NotReady)


def test_a_later_page_without_data_is_still_the_end() -> None:
    ends: list[dict[str, Any]] = [{}, {"request_id": "x"}, {"files": []}, {"files": [], "next": None, "total": None}]
    for beside in ends:
        assert isinstance(around(None, beside, first_page=False), Empty)
    others: list[dict[str, Any]] = [{"rows": [ROW]}, {"files": ["b.csv"]}, {"x": at("b.csv"), "y": [{"a": 1}]}]
    for beside in others:
        assert not isinstance(around(None, beside, first_page=False), Empty)


class TestDeclared:
    @pytest.mark.parametrize("data", [None, [], {}, {"id": 7}], ids=str)
    def test_a_list_at_the_top_level_can_be_declared(self, data: Any) -> None:
        assert names(around(data, {"files": [A, B], "total": 2}, AT_THE_TOP)) == AB
        deeper = AT_THE_TOP | {"files": "results.list[].file"}
        assert names(around(data, {"results": {"list": [{"file": A}, {"file": B}]}}, deeper)) == AB

    def test_next_and_count_at_the_top_level_can_be_declared(self) -> None:
        declared = {"files": "data[]", "url": "url", "name": "name", "next": "position", "count": "number_of_all"}
        reading = around([A], {"position": "abc", "number_of_all": 1}, declared)
        assert isinstance(reading, Files)
        assert reading.next_cursor == "abc"
        assert "declared count" in why(around([A], {"position": None, "number_of_all": 2}, declared))
        assert "the declared `next` finds nothing" in why(around([A], {"next": "x", "number_of_all": 1}, declared))

    def test_content_at_the_top_level_can_be_declared(self) -> None:
        reading = around(None, {"table": [[1, 2]], "took": 3}, {"inline": "table"})
        assert isinstance(reading, Inline)
        assert reading.files[0][1] == b"[[1,2]]"

    @pytest.mark.parametrize(
        "beside", [{"has_more": True}, {"total": 3}, {"extra": at("c.csv")}, {"errors": ["c.csv"]}], ids=str
    )
    def test_it_does_not_switch_off_the_proof(self, beside: dict[str, Any]) -> None:
        assert isinstance(around(None, {"files": [A, B], **beside}, AT_THE_TOP), NotUnderstood)
