"""What stands around the `data` of a reply is read: other keys at the top level, and the HTTP headers about pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from learnosity.results.around import said_by_http
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
COUNTS = ["records", "hits", "found", "returned", "page", "pages", "total", "count"]
DATA: dict[str, Any] = {"a list": [A], "an object": {"files": [A]}, "a list of one object": [{"files": [A]}]}


def around(
    data: Any,
    beside: Mapping[str, Any],
    results: Any = None,
    *,
    first_page: bool = True,
    headers: Mapping[str, str] | None = None,
    status: int = 200,
    **meta: Any,
) -> Reading:
    return classify(
        {"status": True, **meta},
        data,
        dataset_id=ID,
        declaration=parse_declaration({"results": results}),
        first_page=first_page,
        beside=beside,
        headers=said_by_http(status, (headers or {}).items()),
    )


def said(headers: Mapping[str, str], data: Any = None, *, status: int = 200, **more: Any) -> Reading:
    return around([A] if data is None else data, {}, headers=headers, status=status, **more)


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
        {"groups": {"north": {"group_name": "north"}}},
        {"files": [{"name": "b.csv", "content": "user_id,score\nu,1\n"}]},
        {"b.csv": "user_id,score\nu,1\n"},
        {"dataset_id": OTHER},
        {"dataset": {"id": OTHER}},
        {"b.csv": "id;text\n1;hello\n"},
        {"b.csv": 7},
        {"b.json": {"a": 1}},
        {"b.json": [{"id": 1}]},
        {"extra": {"b.csv": "id;text\n1;hello\n"}},
        {"extra": {"deeper": {"b.json": [[1, 2]]}}},
        {"other_files": ["b.csv"]},
        {"extra": {"other_files": ["b.csv"]}},
        {"extra": [["a.json", "b.csv"]]},
        {"file": "b.csv"},
        {"filename": "north/b.csv"},
        {"files": "b.csv"},
        {"files": {"csv": {"b.csv": {"id": 7}}}},
        {"result": {"files": [A, {"name": "b", "id": 7}]}},
        {"files": [A, A, {"name": "b"}]},
        {"population": 20, "mean_score": 3.2},
        {"user_id": "u", "population": 20},
        {"summary": {"population": 20, "mean_score": 3.2}},
        {"summary": {"population": 20}},
        {"session": {"user_id": "u", "score": 1}},
        {"session": {"user_id": "u", "max_score": 1}},
        {"records": [1, 2]},
        {"hits": [[1]]},
        {"users": {"u1": {"user_id": "u1", "grade": 5}, "u2": {"user_id": "u2", "grade": 6}}},
        {"by_item": {"i1": {"item_reference": "i1", "stem": "x"}, "i2": {"item_reference": "i2", "stem": "y"}}},
        {"activities": {"a1": {"max_score": 5}, "a2": {"max_score": 6}}},
        {"summary": {"mean_score": 3.2, "population": 20, "by": ["grade"]}},
        {"extra": {"table": "user_id,score\nu,1\n"}},
    ],
    ids=str,
)
def test_what_says_beside_the_data_that_they_are_a_part_is_not_passed_over(data: Any, beside: dict[str, Any]) -> None:
    reading = around(data, beside)
    assert isinstance(reading, NotUnderstood), reading
    for key in beside:
        assert f'"{key}"' in reading.sketch or key in ("b.csv", "b.json")  # the sketch masks the name of a file


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
    {"auth": {"user_id": "svc-7", "scope": "read"}, "session": {"user_id": "u"}},
    {"context": {"group_name": "north"}},
    {"activity": {"reference": "a", "max_score": 10}},
    {"user_id": "svc-7", "group_name": "north"},
    {"records": []},
    {"records": {}},
    {"endpoint": {"url": "https://data.example/v1/reports/datasets"}},
    {"path": "/v1/reports/datasets.json", "request": {"files": ["in.csv"]}, "input_files": ["in.csv"]},
    {"message": None, "b.csv": None},
    {"session": {"user_id": "u", "roles": ["r"]}, "activity": {"reference": "a", "max_score": 10, "tags": ["x"]}},
    {"group_path": ["north"]},
    {"groups": [], "children": {}, "has_children": False, "child_groups": []},
]


@pytest.mark.parametrize("beside", LEGAL, ids=str)
def test_what_usually_stands_beside_the_data_and_says_nothing_about_them_is_accepted(beside: dict[str, Any]) -> None:
    for data in ({"files": [A, B]}, [{"files": [A, B]}]):
        assert names(around(data, beside)) == AB
    # `"records": 1` fits the data above, where one object has both files. For the list `[A, B]` it would be wrong.
    counts_the_list = beside.get("records") == 1
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


def test_files_that_land_may_stand_beside_the_data_again() -> None:
    again: list[dict[str, Any]] = [
        {"files": [A]},
        {"files": [B, A]},
        {"files": [at("a.json")]},
        {"results": [A, B]},
        {"result": {"files": [A, B]}},
        {"extra": [A]},
        {"first": A},
        {"a.json": at("a.json")},
        {"a.json": A},
        {"file": "a.json", "names": ["a.json", "b.csv"]},
    ]
    for beside in again:
        assert names(around({"files": [A, B]}, beside)) == AB, beside
        assert isinstance(around({"files": []}, beside), NotUnderstood), beside


@pytest.mark.parametrize(
    "beside",
    [
        {"b.csv": "id;text\n1;hello\n"},
        {"b.json": {"a": 1}},
        {"extra": {"b.csv": "id;text\n1;hello\n"}},
        {"other_files": ["b.csv"]},
        {"file": "b.csv"},
        {"files": "b.csv"},
        {"population": 20},
        {"group_name": "north", "population": 0},
        {"mean_score": 3.2},
        {"files": ["b.csv"]},
    ],
    ids=str,
)
def test_a_list_is_not_empty_where_something_else_beside_the_data_may_be_content(beside: dict[str, Any]) -> None:
    assert isinstance(around({"files": []}, {}), Empty)
    assert isinstance(around({"files": []}, beside), NotUnderstood)


def test_counts_of_the_whole_dataset_may_stand_beside_all_but_an_empty_list() -> None:
    counts = {"population": 20, "group_count": 2, "count_sessions": 7}
    assert names(around([A], counts)) == ["a.json"]
    assert isinstance(around([ROW], counts), Inline)
    assert isinstance(around(GROUP, counts), Group)
    assert isinstance(around([], counts, first_page=False), Empty)
    assert isinstance(around({"files": []}, {"population": 0, "mean_score": None}), Empty)
    kinds: list[Any] = [[A], [ROW], GROUP]
    for data in kinds:
        assert "beside its `data`" in why(around(data, counts | {"mean_score": 3.2}))


ROOT = {"group_path": [], "group_name": "all", "mean_score": 3}


@pytest.mark.parametrize("data", [ROOT, [ROOT], {"group_path": [], "users": [ROW]}, {"group_path": []}], ids=str)
@pytest.mark.parametrize(
    "beside",
    [
        {"groups": ["north", "south"]},
        {"groups": [["north"], ["south"]]},
        {"groups": [{"name": "north"}]},
        {"groups": [{"group_name": "north"}]},
        {"groups": {"north": {"id": 1}}},
        {"groups": 2},
        {"subgroups": ["north"]},
        {"children": ["north"]},
        {"children": [{"name": "north"}]},
        {"hierarchy": {"groups": ["north"]}},
        {"has_children": True},
        {"child_groups": 2},
        {"child_group_count": 2},
        {"north": {"group_name": "north", "id": 1}},
    ],
    ids=str,
)
def test_a_group_below_the_root_that_stands_beside_the_data_is_not_passed_over(
    data: Any, beside: dict[str, Any]
) -> None:
    assert isinstance(around(data, beside), NotUnderstood)


def test_what_says_beside_a_group_that_none_is_below_it_is_right() -> None:
    levels = [{"key": "school", "label": "School"}]
    none: list[dict[str, Any]] = [{"groups": levels}, {"groups": None}, {"has_children": False}, {"child_groups": 0}]
    none.append({"children": []})
    for beside in none:
        reading = around(ROOT, beside)
        assert isinstance(reading, Group)
        assert reading.children == ()
    group = {"group_path": [], "groups": ["north", "south"]}
    right: list[dict[str, Any]] = [{"has_children": True}, {"child_groups": 2}, {"groups": ["south", "north"]}]
    right.append({"groups": levels})
    for beside in right:
        reading = around(group, beside)
        assert isinstance(reading, Group)
        assert reading.children == (("north",), ("south",))
    assert isinstance(around(group, {"groups": ["north", "west"]}), NotUnderstood)


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


@pytest.mark.parametrize(
    "beside",
    [
        {"context": {"group_name": "north", "roles": ["teacher"]}},
        {"session": {"group_name": "north", "user": {"id": 7}}},
        {"context": {"group_path": "north/a"}},
    ],
    ids=str,
)
def test_an_object_beside_files_or_rows_may_name_a_group(beside: dict[str, Any]) -> None:
    assert names(around([A], beside)) == ["a.json"]
    assert isinstance(around([ROW], beside), Inline)


@pytest.mark.parametrize("data", [ROOT, GROUP, {"group_path": ["north"], "group_name": "north"}], ids=str)
def test_the_levels_of_the_hierarchy_may_stand_beside_a_group(data: Any) -> None:
    levels = [{"key": "school", "label": "School"}, {"key": "class", "label": "Class"}]
    for beside in ({"hierarchy": {"reference": "h", "groups": levels}}, {"report": {"hierarchy": {"groups": levels}}}):
        assert isinstance(around(data, beside), Group)


@pytest.mark.parametrize("key", ["records", "hits", "found", "page", "box"])
@pytest.mark.parametrize(
    "more", [{"has_more": True}, {"total": 99}, {"status": "running"}, {"errors": ["c.csv"]}], ids=str
)
def test_what_stands_beside_a_declared_list_is_judged(key: str, more: dict[str, Any]) -> None:
    declared = {"files": f"{key}.list[]", "url": "url", "name": "name"}
    assert not isinstance(around(None, {key: {"list": [A, B], **more}}, declared), Files)
    in_meta: dict[str, Any] = {key: {"list": [A, B], **more}}
    assert not isinstance(around(None, {}, declared | {"files": f"meta.{key}.list[]"}, **in_meta), Files)
    assert names(around(None, {key: {"list": [A, B]}}, declared)) == AB
    # `hits`, `found` and `page` usually have a number. An object there that has an unknown key is not understood.
    if key in ("records", "box"):
        assert names(around(None, {key: {"list": [A, B], "took": 3}}, declared)) == AB


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
    ends += [{key: []} for key in COUNTS]
    for beside in ends:
        assert isinstance(around(None, beside, first_page=False), Empty)
    others: list[dict[str, Any]] = [{"rows": [ROW]}, {"files": ["b.csv"]}, {"x": at("b.csv"), "y": [{"a": 1}]}]
    for beside in others:
        assert not isinstance(around(None, beside, first_page=False), Empty)


class TestDeclared:
    @pytest.mark.parametrize("key", COUNTS)
    def test_a_list_under_a_key_that_may_be_a_count_can_be_declared(self, key: str) -> None:
        listed = AT_THE_TOP | {"files": f"{key}[]"}
        assert names(around(None, {key: [A, B], "took": 3}, listed)) == AB
        assert names(around(None, {key: [A, B]}, listed | {"files": key})) == AB
        assert names(around(None, {key: {"list": [A, B]}}, listed | {"files": f"{key}.list[]"})) == AB
        plain = {"files": f"{key}[]", "url": "@"}
        assert names(around(None, {key: [at("a.json"), at("b.csv")]}, plain)) == AB
        for value in ([[1, 2]], [ROW, ROW], {"cells": [[1, 2]]}):
            reading = around(None, {key: value}, {"inline": key})
            assert isinstance(reading, Inline), value
        assert isinstance(around(None, {key: {"cells": [[1, 2]]}}, {"inline": f"{key}.cells"}), Inline)
        # What is not declared is still judged.
        assert isinstance(around([A], {key: [[1]]}, AT_THE_TOP | {"files": "data[]"}), NotUnderstood)
        assert isinstance(around(None, {key: [A, B], "has_more": True}, listed), NotUnderstood)

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


@pytest.mark.parametrize(
    "link",
    [
        f'<{NEXT}>; rel="next"',
        f"<{NEXT}>; rel=next",
        f"<{NEXT}>;rel='next'",
        f'<{NEXT}>; REL = "Next"',
        f'<{NEXT}>; title="b, c"; rel="next"',
        f'<{NEXT}>; rel="last next"',
        f'<https://h/1>; rel="self", <{NEXT}>; rel="next", <https://h/9>; rel="last"',
        f'<https://h/a,b>; rel=preload,<{NEXT}>; rel="next"',
    ],
)
def test_a_link_to_the_next_page_in_a_header_says_that_there_is_more(link: str) -> None:
    for data in ([A], {"files": [A]}, [ROW], GROUP):
        assert "by `Link` that there is more" in why(said({"link": link}, data))
    assert isinstance(said({"Link": link}, next="abc"), Files)  # this page can be asked for
    reading = said({"Link": link}, [], next="abc", first_page=False)
    assert isinstance(reading, Empty)
    assert reading.more


@pytest.mark.parametrize(
    "link",
    [
        *(
            f'<https://h/x>; rel="{each}"'
            for each in ("self", "prev", "first", "last", "preload", "canonical", "x-next")
        ),
        "<https://h/x.js>; rel=preload; as=script, <https://h/x.css>; rel=preload",
        '<https://h/1>; rel="first", <https://h/1>; rel="last"',
        '<https://h/next>; rel="alternate"; title="next"',
        '<>; rel="next"',
        '; rel="next"',
        "<https://h/next>",
        "next",
        "",
        "," * 5000,
        "<" * 5000 + "; rel" * 1000,
    ],
    ids=lambda link: link[:60],
)
def test_another_link_in_a_header_says_nothing(link: str) -> None:
    for data, kind in (([A], Files), ([ROW], Inline), (GROUP, Group)):
        assert isinstance(said({"Link": link}, data), kind)


@pytest.mark.parametrize(
    ("text", "status", "is_whole"),
    [
        ("files 0-1/2", 200, True),
        ("items 0-1/2", 206, True),
        ("items=0-1/2", 200, True),
        ("bytes 0-99/100", 200, True),
        ("dataset_files 0-1/2", 200, True),
        ("v1.files 0-1/2", 200, True),
        ("files2=0-1/2", 200, True),
        ("!#$%&'*+-.^_`|~ 0-1/2", 200, True),
        ("dataset_files 0-1/3", 200, False),
        ("reports/datasets 0-1/2", 200, False),
        ("a" * 9000, 200, False),
        ("files 1-2/2", 200, True),
        ("0-1/2", 200, True),
        ("0-1/*", 200, True),
        ("*/*", 200, True),
        (" files 0-1/2 ", 200, True),
        ("0-1/*", 206, False),
        ("*/*", 206, False),
        ("*/2", 200, False),
        ("files 0-0/2", 200, False),
        ("files 0-0/2", 206, False),
        ("files 1-1/2", 200, False),
        ("files 1-2/3", 200, False),
        ("bytes 0-99/151560", 200, False),
        ("files 0-1/2, files 0-1/9", 200, False),
        ("files", 200, False),
        ("", 200, False),
    ],
)
def test_a_range_in_a_header_is_the_whole_or_the_listing_is_a_part(text: str, status: int, is_whole: bool) -> None:
    reading = said({"content-range": text}, [A, B], status=status)
    assert isinstance(reading, Files if is_whole else NotUnderstood)
    assert is_whole or "`Content-Range`" in why(reading)


def test_a_range_of_one_page_of_several_is_right_where_the_next_can_be_asked_for() -> None:
    assert isinstance(said({"Content-Range": "files 0-0/2"}, status=206, next="abc"), Files)
    last = said({"Content-Range": "files 1-1/2"}, status=206, first_page=False)
    assert isinstance(last, Files)
    assert last.next_cursor is None
    assert "that there is more" in why(said({"Content-Range": "files 1-1/3"}, first_page=False))


def test_a_status_of_206_without_a_range_is_a_part() -> None:
    for data in ([A], [ROW], GROUP):
        assert why(said({}, data, status=206)) == "its HTTP status 206 says that it is a part"
        for status in (200, 201, 203):
            assert not isinstance(said({}, data, status=status), NotUnderstood)


@pytest.mark.parametrize(
    ("total", "is_right"),
    [("2", True), (" 2 ", True), ("1", True), ("", True), ("unknown", True), ("-1", True), ("3", False), ("0", False)],
)
def test_a_total_in_a_header_must_agree(total: str, is_right: bool) -> None:
    for data in ([A, B], {"files": [A, B]}, [ROW, ROW]):
        reading = said({"x-total-count": total}, data)
        assert isinstance(reading, Files | Inline) == is_right
        assert is_right or "its `X-Total-Count` is" in why(reading)
    assert isinstance(said({"X-Total-Count": total}, GROUP), Group)  # it may count what is in the groups below


def test_a_total_in_a_header_is_that_of_all_pages_and_a_declared_count_goes_first() -> None:
    reading = said({"X-Total-Count": "3"}, next="abc")
    assert isinstance(reading, Files)
    assert reading.total == 3
    assert names(said({"X-Total-Count": "2"}, [A, B], limit=2)) == AB  # the total says that these are all
    several = [{"files": [A]}, {"files": [B, at("c.json")]}]
    for data in (several, several[::-1]):
        for total in ("1", "2", "3"):
            assert isinstance(said({"X-Total-Count": total}, data), Files)
        assert isinstance(said({"X-Total-Count": "4"}, data), NotUnderstood)
    assert "`X-Total-Count` is 1, and 0" in why(said({"X-Total-Count": "1"}, {"files": []}))
    declared = {"files": "data[]", "url": "url", "name": "name", "count": "length(data)"}
    assert names(said({"X-Total-Count": "9"}, results=declared)) == ["a.json"]


@cases(
    ("headers", "data", "is_whole"),
    {
        "more pages": ({"X-Page": "1", "X-Total-Pages": "3", "X-Per-Page": "100"}, [A], False),
        "the only page": ({"X-Page": "1", "X-Total-Pages": "1", "X-Per-Page": "100"}, [A], True),
        "a total": ({"X-Total": "50"}, [A, B], False),
        "the right total": ({"x-total": "2"}, [A, B], True),
        "a total of files": ({"X-File-Count": "3"}, [A, B], False),
        "a flag": ({"X-Has-More": "true"}, [A], False),
        "a flag that there is no more": (
            {"X-Has-More": "false", "X-Next-Page": "", "X-Next-Cursor": "null"},
            [A],
            True,
        ),
        "truncated": ({"X-Truncated": "1"}, [A], False),
        "not the last page": ({"X-Is-Last-Page": "false"}, [A], False),
        "a later page": ({"X-Offset": "100"}, [A], False),
        "as many as allowed": ({"X-Per-Page": "2"}, [A, B], False),
        "as many as allowed, and all": ({"X-Per-Page": "2", "X-Total": "2"}, [A, B], True),
        "the calls": ({"X-RateLimit-Limit": "1", "X-RateLimit-Remaining": "1", "X-Remaining": "9"}, [A], True),
        "the calls again": ({"X-Limit": "1", "X-Rate-Limit-Limit": "1", "X-Cache-Hits": "7", "X-Hits": "7"}, [A], True),
        "the calls once more": ({"X-Hit-Count": "7", "X-Limit-Exceeded": "false", "X-Limit-Reached": "0"}, [A], True),
        "a token of this page": ({"X-Sync-Token": "t", "X-Cursor": "c", "X-Page-Token": "t"}, [A], True),
        **{
            f"no next page: {text}": ({"X-Next-Page": text}, [A], True)
            for text in ("-1", "0", "nil", "-", "n/a", "None")
        },
        "no limit that ends the listing": ({"X-Limit-Exceeded": "false", "X-Per-Page": "2"}, [A, B], False),
        "anything else": (
            {"X-Request-Id": "1", "X-Powered-By": "x", "X-Frame-Options": "DENY", "Count": "9"},
            [A],
            True,
        ),
    },
)
def test_a_header_about_pages_says_what_its_key_would_say(
    headers: dict[str, str], data: list[Any], is_whole: bool
) -> None:
    reading = said(headers, data)
    assert isinstance(reading, Files if is_whole else NotUnderstood), reading
    if is_whole:
        assert isinstance(reading, Files)
        assert reading.next_cursor is None


@pytest.mark.parametrize("header", ["X-Next-Page", "x-next-cursor", "X-Continuation-Token", "X-Next-Page-Token"])
def test_a_cursor_in_a_header_is_handed_on_unless_the_reply_has_one(header: str) -> None:
    reading = said({header: " 2 ", "X-Total-Pages": "3"})
    assert isinstance(reading, Files)
    assert reading.next_cursor == "2"
    reading = said({header: "2", "X-Total-Pages": "3"}, next="abc")
    assert isinstance(reading, Files)
    assert reading.next_cursor == "abc"
    last = said({"X-Page": "3", "X-Total-Pages": "3", header: ""}, first_page=False)
    assert isinstance(last, Files)
    assert last.next_cursor is None
    declared = {"files": "data", "url": "url", "next": "meta.nxt"}
    assert "the declared `next` finds nothing" in why(said({header: "2"}, results=declared))


def test_a_status_of_202_is_not_ready_and_another_of_success_is_not_surely_the_whole() -> None:
    replies: list[Any] = [[A], [ROW], GROUP, {"files": []}, [], None]
    for data in replies:
        assert isinstance(around(data, {}, status=202), NotReady)
    for status in (204, 207, 208, 226):
        assert why(said({}, status=status)) == f"its HTTP status {status} does not say that it is the whole"


def test_the_error_proposes_a_declaration_only_where_one_may_help() -> None:
    paged = {"files": "data", "url": "url", "count": "length(data)", "next": "meta.nxt || ''"}
    refused: list[tuple[Reading, bool]] = [
        (said({}, errors=["b.csv"]), False),
        (said({}, dataset_id=OTHER), False),
        (said({}, status=206), False),
        (said({}, status=207), False),
        (said({}, message="Failed"), False),
        (said({}, remaining=5), True),
        (said({}, remaining=5, results=paged), False),
        (said({"Link": f'<{NEXT}>; rel="next"'}), True),
        (said({"Link": f'<{NEXT}>; rel="next"'}, results=paged), False),
        (said({}, total=3), True),
        (said({}, {"files": [A, {"name": "b"}]}), True),
        (said({}, {"files": [A, {"name": "b"}]}, errors=["b.csv"]), True),
    ]
    for reading, may_help in refused:
        assert isinstance(reading, NotUnderstood)
        assert ("declare that in the extra `results`" in str(reading.error())) == may_help, reading


def test_a_header_that_a_proxy_repeats_is_read_once() -> None:
    headers = [("X-Page", "1"), ("X-Page", "1"), ("X-Total-Pages", "1"), ("x-total-pages", "1"), ("X-Total", "1")]
    assert said_by_http(200, headers) == {":status": "200", "X-Page": "1", "X-Total-Pages": "1", "X-Total": "1"}
    assert said_by_http(200, [("X-Total-Pages", "1"), ("X-Total-Pages", "3")])["X-Total-Pages"] == "1, 3"
