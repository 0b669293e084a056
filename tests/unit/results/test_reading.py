"""One reply of GET reports/datasets is read whole, or it is an error. Each case names its right value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from learnosity.errors import (
    UnexpectedReplyError,
    UnsafeNameError,
)
from learnosity.results.content import MEASURES, ROW_FIELDS
from learnosity.results.known_keys import FILE_LISTS, FORMAT_KEYS, LISTING_KEYS, SIZE_KEYS
from learnosity.results.reading import (
    Empty,
    Failed,
    Files,
    Group,
    Inline,
    NotReady,
    NotUnderstood,
    classify,
    expect_group,
    understood,
)
from tests.unit.results.replies import (
    AB,
    CDN,
    FOLDER,
    GROUP,
    ID,
    LINK,
    OTHER,
    ROW,
    SIGNATURE,
    A,
    B,
    at,
    cases,
    deep,
    entry,
    names,
    read,
    types,
    urls,
    why,
)


class TestFiles:
    @cases(
        ("data", "expected"),
        {
            "a list of entries": ({"files": [A, B]}, AB),
            "a bare list": ([A, B], AB),
            "addresses alone": ([at("a.json"), at("b.csv")], AB),
            "a map from names to addresses": ({"files": {"a.json": at("a"), "b.csv": at("b")}}, AB),
            "a map from names to entries": ({"files": {"a.json": {"url": at("x"), "size": 1}}}, ["a.json"]),
            "a map from ids to entries": ({"files": {"17": A, "18": B}}, AB),
            "a map from labels to addresses": ({"files": {"sum": at("a.json"), "rest": at("b.csv")}}, AB),
            "one file": ({"dataset_id": ID, "url": at("a.json")}, ["a.json"]),
            "one address and nothing else": (at("a.json"), ["a.json"]),
            "four levels down": ({"report": {"set": {"parts": {"entries": [A, B]}}}}, AB),
            "forty levels down": (deep({"files": [A, B]}, 40), AB),
            "lists of one around it": ([[[{"files": [A, B]}]]], AB),
            "a list of lists": ([[A], [B]], AB),
            "two lists by format": ({"json": [A], "csv": [B]}, AB),
            "two lists with any names": ({"first_part": [A], "second_part": [B]}, AB),
            "an address per format": ({"json": at("a.json"), "csv": at("b.csv")}, AB),
            "a list in a list's neighbour": ({"files": [A], "more": {"files": [B]}}, AB),
            "a nested link": ({"files": [{"name": "a.json", "download": {"href": at("q")}}]}, ["a.json"]),
            "a wrapper around each entry": ({"files": [{"file": A}]}, ["a.json"]),
            "one address twice": (
                {"files": [entry("a.json"), entry("b.json", url=at("a.json"))]},
                ["a.json", "b.json"],
            ),
            "a duplicate is reported as such": ({"files": [A, A]}, ["a.json", "a.json"]),
            "the same address under two keys": ({"files": [entry("a.json", link=at("a.json"))]}, ["a.json"]),
            "an entry with a link to itself": ({"files": [A | {"links": {"self": at("x.json")}}]}, ["a.json"]),
            "links with a relation": (
                {"links": [{"rel": "file", "href": at("a.json")}, {"rel": "self", "href": at("x.json")}]},
                ["a.json"],
            ),
            "a name that says so where the address does not": (
                {"items": [{"name": "a.json", "url": "https://h/17", "level": 3}]},
                ["a.json"],
            ),
            "an empty list beside it": ({"files": [A, B], "json": [], "folders": {}}, AB),
        },
    )
    def test_every_file_is_found_wherever_it_stands(self, data: Any, expected: list[str]) -> None:
        assert names(read(data)) == expected

    @pytest.mark.parametrize(
        "beside",
        [
            {"link": at("index.json")},
            {"link": f"https://data.learnosity.com/v2026.2.LTS/reports/datasets/{ID}"},
            {"href": at("self")},
            {"self": at("part-1.json")},
            {"self_url": at("x.json"), "prevPage": None, "previous": at("0.json")},
            {"self": {"href": at("x.json")}, "canonical": at("x.json")},
            {
                "_links": {
                    "self": {"href": at("x.json")},
                    "next": None,
                    "first": {"href": at("1")},
                    "last": {"href": at("1")},
                }
            },
            {"links": [{"rel": "self", "href": at("x.json")}, {"rel": "docs", "href": "https://help.example"}]},
            {"documentation": "https://help.example/x", "help_url": "https://help.example"},
            {"dataset_id": ID.upper(), "dataset_type": "t", "organisation_id": 6, "expires": 3600, "note": None},
            {"status": "completed", "ready": True, "progress": 100, "message": "done"},
            {"groups": [{"key": "district", "label": "District"}], "filters": {"activity_id": ["a1"]}},
            {"request": {"file_count": 9, "limit": 1, "next": "x", "status": "queued"}},
            {"file_count": 2, "total": "2", "has_more": False, "truncated": False, "next": None, "errors": []},
            {"limit": 2, "total": 2},
            {"input_files": []},
        ],
        ids=str,
    )
    def test_what_stands_beside_the_list_and_is_no_data_changes_nothing(self, beside: dict[str, Any]) -> None:
        assert names(read({**beside, "files": [A, B]})) == AB
        assert names(read({"files": [A, B], **beside})) == AB

    @pytest.mark.parametrize(
        "url", [at("a.json").replace("https", "HTTPS"), f"  {at('a.json')}\n", f"{FOLDER}/a.json", "http://h/q/a.json"]
    )
    def test_an_address_is_taken_as_it_is_without_the_blanks_around_it(self, url: str) -> None:
        assert urls(read({"files": [{"url": url}]})) == [url.strip()]

    def test_no_address_is_in_the_repr(self) -> None:
        assert "http" not in repr(read({"files": [A, B]}, next="a-secret-cursor"))
        assert "a-secret-cursor" not in repr(read({"files": [A, B]}, next="a-secret-cursor"))


class TestNames:
    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            ({"district_1": {"school_1": {"class.json": at("z")}}}, ["district_1/school_1/class.json"]),
            ({"files": {"d": {"s": {"x.json": at("z")}}}}, ["d/s/x.json"]),
            (
                {"name": "d", "children": [entry("x.json"), {"name": "s", "children": [entry("y.json")]}]},
                ["d/x.json", "d/s/y.json"],
            ),
            ({"folder": "a", "files": [entry("x.json")]}, ["a/x.json"]),
            (
                [{"name": "d1", "files": [entry("x.json")]}, {"name": "d2", "files": [entry("x.json")]}],
                ["d1/x.json", "d2/x.json"],
            ),
            ({"folder": "a", "files": [entry("a/x.json")]}, ["a/x.json"]),
            ({"files": [{"folder": "a", "name": "x.json", "url": at("z")}]}, ["a/x.json"]),
            ({"files": [{"name": "x.json", "path": "d/s/x.json", "url": at("z")}]}, ["d/s/x.json"]),
            ({"files": [{"name": "x.json", "path": "d/s", "url": at("z")}]}, ["d/s/x.json"]),
            ({"files": [{"name": "A report", "path": "d/x.json", "url": at("z")}]}, ["d/x.json"]),
            ({"files": [{"key": f"r/0099/t/{ID}/d/x.json", "url": at("z")}]}, ["d/x.json"]),
            ({"files": [{"name": "x.json", "key": "00ff", "url": at("z")}]}, ["x.json"]),
            ({"files": [{"file": "x.json", "name": "A report", "url": at("z")}]}, ["x.json"]),
            ({"d1": [entry("x.json")], "d2": [entry("x.json")]}, ["d1/x.json", "d2/x.json"]),
            ({"d1": {"files": {"x.json": at("1")}}, "d2": {"files": {"x.json": at("2")}}}, ["d1/x.json", "d2/x.json"]),
            ({"d1": [at("x.json", CDN)]}, ["d1/x.json"]),
            ({"d1": [at("s1/x.json")]}, ["s1/x.json"]),
            ({"files": [at("d/x%20y.json")]}, ["d/x y.json"]),
            ({"Name": "a-bucket", "Contents": [{"Key": "d/x.json", "Url": at("z")}]}, ["d/x.json"]),
            ({"files": [{"name": "x.json", "_links": {"content": {"href": at("x.json")}}}]}, ["x.json"]),
            ({"name": "The dataset of May", "files": [entry("x.json")]}, ["x.json"]),
        ],
        ids=str,
    )
    def test_a_file_is_called_what_the_reply_calls_it_with_its_folders(self, data: Any, expected: list[str]) -> None:
        assert names(read(data)) == expected

    def test_the_id_in_an_address_may_be_in_upper_case(self) -> None:
        own, other = "abcdef12-2222-4333-8444-abcdef555555", "abcdef12-2222-4333-8444-abcdef555556"
        for written in (own, own.upper(), own.title()):
            for each in (
                {"url": f"https://h/r/{written}/d/x.json"},
                {"url": "https://h/q/1", "key": f"r/{other}/{written}/d/x.json"},
            ):
                assert names(classify({"status": True}, {"files": [each]}, dataset_id=own)) == ["d/x.json"]
        twice = {"url": "https://h/q/1", "key": f"r/{own}/{own}/d/x.json"}
        assert names(classify({"status": True}, {"files": [twice]}, dataset_id=own)) == ["d/x.json"]
        listing = {"link": f"https://h/r/{own.upper()}/", "files": [A]}
        assert names(classify({"status": True}, listing, dataset_id=own)) == ["a.json"]

    @pytest.mark.parametrize("name", ["../x.json", "/etc/passwd", "a//b.json", "x\x00.json", "a\\b.json"])
    def test_a_name_that_must_not_become_a_path_refuses_the_reply(self, name: str) -> None:
        with pytest.raises(UnsafeNameError, match="Nothing was written"):
            read({"files": [{"name": name, "url": at("x")}]})
        with pytest.raises(UnsafeNameError, match="Nothing was written"):
            read({"folder": name, "files": [A]}) if name != "/etc/passwd" else read(
                {"files": {name + ".json": at("x")}}
            )

    @pytest.mark.parametrize("hidden", ["a/%2e%2e/%2e%2e/b", "%2Fetc/passwd", "", "a%00b"])
    def test_a_name_in_an_address_is_as_untrusted_as_any(self, hidden: str) -> None:
        with pytest.raises(UnsafeNameError):
            read([at(hidden)])

    def test_a_name_that_is_no_text_is_not_understood(self) -> None:
        assert "not a text" in why(read({"files": [{"name": 7, "url": at("a.json")}]}))

    @pytest.mark.parametrize(
        ("stated", "size"),
        [
            ({"bytes": 7}, 7),
            ({"size": "12"}, 12),
            ({"content_length": 0}, 0),
            ({"bytes": -1}, None),
            ({"bytes": True}, None),
            ({"bytes": 1.5}, None),
            ({"size": "12 KB"}, None),
            ({"size": "12 KB", "bytes": 12288}, 12288),
            ({}, None),
        ],
    )
    def test_a_size_is_taken_where_it_is_a_number_of_bytes_and_promises_nothing_otherwise(
        self, stated: Any, size: int | None
    ) -> None:
        reading = read([entry("a.json", **stated, content_type="text/csv", type="summary")])
        assert isinstance(reading, Files)
        assert (reading.files[0][0].bytes, reading.files[0][0].content_type) == (size, "text/csv")


class TestNotUnderstood:
    @cases(
        "data",
        {
            "a null among the entries": {"files": [A, None]},
            "an entry without an address": {"files": [A, {"name": "c.json"}]},
            "an entry with a null address": {"files": [A, {"name": "c", "url": None}]},
            "a name among the entries": {"files": [A, "c.json"]},
            "a number among the entries": {"files": [A, 7]},
            "an empty entry": {"files": [A, {}]},
            "an entry with a link to itself alone": {"files": [A, {"name": "c.json", "self": at("c.json")}]},
            "a null in a map": {"files": {"a.json": at("a"), "b.json": None}},
            "a null in a map of entries": {"0": A, "1": None},
            "a null in a map of lists": {"north": [A], "south": None},
            "a word in a map": {"files": {"a.json": at("a"), "b.json": "pending"}},
            "an entry without an address in a map": {"files": {"17": A, "18": {"name": "b.csv"}}},
            "a folder without files beside one with": {"north": {"files": [A]}, "south": {"note": 1}},
            "names alone": {"files": ["a.json", "b.json"]},
            "entries without addresses": {"files": [{"name": "a.json"}]},
            "entries without addresses that have an owner": {"files": [{"name": "a.json", "user_id": 7}]},
            "entries with a key and a label": {"files": [{"key": "a.json", "label": "A"}]},
            "a list that is missing": {"files": [A], "results": None},
            "a list of texts that is not known": {"files": [A], "others": ["c"]},
            "a list of objects that is not known": {"files": [A], "others": [{"id": 7}]},
            "a name that is not listed": {"files": [A], "index": "c.json"},
            "content beside the list": {"files": [A], "csv": "group_name,population\nnorth,3\n"},
            "rows beside the list": {"files": [A], "rows": [ROW]},
            "a row beside the list": {"files": [A], "summary": {"population": 9}},
            "a row in the list": {"files": [A, ROW]},
            "groups beside the list": {"files": [A], **GROUP},
            "plain addresses beside groups": {"files": [{"name": "a.json", "url": "https://h/a.json"}], **GROUP},
            "two groups without groups below": [{"group_path": ["n"], "users": []}, {"group_path": ["s"], "users": []}],
            "the list of one group": {"files": [A], "group_path": []},
            "an address as well as content": {"files": [entry("a.json", content={"p_value": 1})]},
            "two addresses": {"files": [entry("a.json", download_url=at("c.json"))]},
            "a second address further down": {"files": [entry("a.json", preview={"url": at("c.png")})]},
            "a file in several parts": {"files": [{"name": "a.json", "urls": [at("1"), at("2")]}]},
            "a size twice": {"files": [A | {"size": 1, "Size": 2}]},
            "a link to itself that holds more": {"files": [A], "self": {"href": at("x.json"), "more": [7]}},
            "a link to itself that holds something else": {"files": [A], "self": {"x": 1}},
            "a link with a name that leads to a listing": {"files": [A], "link": {"href": at("index.json"), "x": 1}},
            "an empty list with an object": {"files": [], "table": {"x": 1}},
            "a key twice": {"files": [{"name": "a.json", "url": at("a"), "URL": at("b")}]},
            "an address under a key that is not known": {"files": [A], "archive": at("all.zip")},
            "a link under a key that is not known": {"files": [A], "template": {"href": at("c.json")}},
            "the same, further down": {"files": [A], "x": {"y": {"href": at("c.json")}}},
            "a plain link under such a key": {"files": [A], "homepage": "https://console.example"},
            "a link that leads to data": {"files": [A], "link": at("summary.csv")},
            "documentation that is signed": {"files": [A], "docs": at("docs.json")},
            "addresses of the input": {"files": [A], "input_files": [at("0.ndjson")]},
            "an address as a key": {"files": [A], at("c.json"): 1},
            "an address inside a text": {"files": [A], "hint": f"fetch {at('c.json')} too"},
            "an encoded address": {"files": [A], "hint": at("c").replace("://", "%3A%2F%2F")},
            "an address in a JSON text": {"files": [A], "hint": '{"url":"https:\\/\\/h\\/c"}'},
            "a signature without a scheme": {"files": [A], "hint": f"b.example/c{SIGNATURE}"},
            "two addresses in one text": {"files": [f"{at('a.json')} {at('b.json')}"]},
            "two addresses with a comma": {"files": [f"{at('a.json')},{at('b.json')}"]},
            "a link to a listing and nothing else": {"url": at("index.json")},
            "the address of a listing and nothing else": at("manifest.json"),
            "a text of several lines": {"files": [A], "text": "i1,0.4\ni2,0.5"},
            "a long text": {"files": [A], "text": "x" * 300},
            "named entries without addresses that have an owner": {"items": [{"name": "a.json", "user_id": 7}]},
            "users with addresses of pages": [{"user_id": "u", "url": "https://h/q/u.json"}],
            "rows of unknown fields with links": {"rows": [{"question": "q", "level": 0.4, "link": LINK}]},
            "rows or files, it cannot be told": {"rows": [{"item_reference": "i", "link": LINK}]},
            "addresses of pages": {"hosts": ["https://a.example", "https://b.example"]},
            "an error and no files": {"error": "no such dataset", "files": []},
            "an error and files": {"error": {"code": 7}, "files": [A]},
            "files that are missing": {"missing": ["c.json"], "files": [A]},
            "an entry with an error": {"files": [A, {"name": "b", "url": at("b"), "error": "x"}]},
            "another dataset": {"dataset_id": OTHER, "files": [A]},
            "two datasets": [{"dataset_id": ID, "files": [A]}, {"dataset_id": OTHER, "files": [B]}],
            "an empty list with a remark": {"files": [], "message": "no students in this time"},
            "no success": {"success": False, "files": []},
            "a status that is not known": {"status": "sealed", "files": [A]},
            "nothing": None,
            "an empty list": [],
            "an empty object": {},
            "an empty object in a list": [{}],
            "a text": "a text",
            "a number": 7,
            "numbers": {"rows": [1, 2]},
            "objects that are not known": {"items": [{"label": "x"}]},
            "one field alone": {"dataset_id": ID, "state": None, "max_score": 5},
            "nested too deep": deep({"files": [A]}, 70),
            "no JSON": {"files": [A], 7: 1},
        },
    )
    def test_a_reply_of_which_something_would_be_lost_is_not_understood(self, data: Any) -> None:
        assert why(read(data))

    @pytest.mark.parametrize(
        "address",
        [
            "s3://results/a.json",
            "gs://results/a.json",
            "abfs://c@h/a.json",
            "abfss://c@h/a.json",
            "az://c/a.json",
            "wasbs://c@h/a.json",
            "ftp://h/a.json",
            "file:///a.json",
            "//h.example/a.json",
            "  S3://results/a.json",
            "https:/h.example/a.json",
        ],
    )
    def test_an_address_of_another_kind_is_neither_a_file_nor_content(self, address: str) -> None:
        for data in (
            {"files": [{"name": "a.json", "url": address}]},
            {"files": [A, {"name": "c.json", "url": address}]},
            {"files": [A], "x": address},
            {"files": [A], "x": {address: 1}},
            {"files": {"a.json": address}},
            {"rows": [ROW | {"file": address}]},
            {"rows": [ROW], "x": [address]},
            {**GROUP, "x": address},
            [address],
            address,
        ):
            assert isinstance(read(data), NotUnderstood), data

    @pytest.mark.parametrize("address", ["\ufeffhttps://h/a.json", "https://h/a b.json", "https:\\\\h\\a.json"])
    def test_an_address_that_is_not_clean_is_no_file(self, address: str) -> None:
        assert isinstance(read({"files": [{"name": "a.json", "url": address}]}), NotUnderstood)
        assert isinstance(read({"files": [A], "x": address}), NotUnderstood)

    def test_an_address_in_meta_has_to_be_a_link(self) -> None:
        assert why(read({"files": [A]}, download=at("c.json")))
        for meta in (
            {"self": at("x.json")},
            {"self": {"href": at("x.json")}},
            {"links": {"first": at("x.json"), "last": at("x.json")}},
            {"docs": "https://help.example"},
            {"request": {"status": "queued", "file_count": 9}, "versions": {"requested": "v1"}},
        ):
            assert names(classify({"status": True, **meta}, {"files": [A]}, dataset_id=ID)) == ["a.json"]


class TestEmpty:
    @pytest.mark.parametrize(
        "data",
        [
            {"files": []},
            {"dataset_id": ID, "files": []},
            {"status": "completed", "files": [], "file_count": 0},
            {"data": {"outputs": {"items": []}}},
            [{"files": []}],
            {"files": {}},
            {"json": [], "csv": []},
        ],
        ids=str,
    )
    def test_a_list_of_files_with_nothing_in_it_is_an_empty_dataset(self, data: Any) -> None:
        assert read(data) == Empty()

    def test_an_empty_first_page_may_have_a_next_one(self) -> None:
        assert read({"files": []}, next="c") == Empty("c")

    def test_an_empty_list_that_should_have_files_is_not_understood(self) -> None:
        assert why(read({"files": [], "file_count": 3}))

    @pytest.mark.parametrize("field", sorted(ROW_FIELDS))
    def test_a_row_with_an_empty_list_in_it_is_no_empty_dataset(self, field: str) -> None:
        # Beside an empty list of files, a field such as `user_id` may only say whose files are listed. So these lists
        # are left out for it. A measure is a result beside any list.
        for key in (LISTING_KEYS | FORMAT_KEYS) - (frozenset() if field in MEASURES else FILE_LISTS):
            row = {field: 3, key: []}
            for data in (row, [row], {"report": row}, {"data": row}, {"files": [], "x": row}, {field: 3, key: {}}):
                assert not isinstance(read(data), Empty | Files), data

    def test_an_empty_list_of_files_may_say_whose_files_it_lists(self) -> None:
        for data in ({"user_id": "u1", "files": []}, {"report": {"group_name": "n", "downloads": []}}):
            assert read(data) == Empty()

    @pytest.mark.parametrize("field", sorted(MEASURES))
    def test_a_row_with_a_list_of_files_in_it_is_not_passed_over(self, field: str) -> None:
        for row in ({"group_name": "n", field: 3, "files": [A, B]}, {"files": {"a.json": at("a"), field: 3}}):
            for data in (row, {"report": row}, {"files": [A], "north": row}):
                assert isinstance(read(data), NotUnderstood), data

    def test_a_list_of_files_may_say_whose_files_it_lists(self) -> None:
        for beside in ({"user_id": "u1"}, {"group_name": "n"}, {"item_reference": "i"}):
            assert names(read({**beside, "files": [A, B]})) == AB


class TestGroups:
    @cases(
        ("data", "path", "children"),
        {
            "as an object": (GROUP, (), [("north",), ("south",)]),
            "as a list of one": ([GROUP], (), [("north",), ("south",)]),
            "as a list of a list of one": ([[GROUP]], (), [("north",), ("south",)]),
            "further down": ({"data": {"dataset": GROUP}}, (), [("north",), ("south",)]),
            "in dataset_group": ({"dataset_group": GROUP}, (), [("north",), ("south",)]),
            "without its path": ({"dataset_group": {"groups": [{"group_name": "n"}]}}, None, [("n",)]),
            "users alone": ({"dataset_group": {"users": [{"user_id": "u", "score": 1}]}}, None, []),
            "groups alone": ({"groups": [{"group_name": "n", "population": 3}]}, None, [("n",)]),
            "rows of groups": ([{"group_name": "n"}, {"group_name": "s"}], None, [("n",), ("s",)]),
            "one row of a group": ([{"group_name": "n", "population": 3}], None, [("n",)]),
            "rows of groups under a key": ({"rows": [{"group_name": "n", "population": 3}]}, None, [("n",)]),
            "names alone": ({"group_path": [], "groups": ["n", "s"]}, (), [("n",), ("s",)]),
            "under another key": ({"group_path": [], "children": [{"group_name": "n"}]}, (), [("n",)]),
            "under any key": ({"group_path": [], "districts": [{"group_name": "n"}]}, (), [("n",)]),
            "groups in groups": (
                {"groups": [{"group_name": "n", "groups": [{"group_name": "s1"}, {"group_name": "s2"}]}]},
                None,
                [("n",), ("n", "s1"), ("n", "s2")],
            ),
            "the groups above by their levels": (
                {
                    "group_path": ["n", "s"],
                    "ancestors": {
                        "ancestor_1": {"group_name": "n", "population": 3, "group_path": ["n"]},
                        "ancestor_2": {"group_name": "all", "group_path": []},
                    },
                    "groups": [{"group_name": "c"}],
                },
                ("n", "s"),
                [("c",)],
            ),
            "a group above under a key of its own": (
                {"group_path": ["n"], "ancestor_1": {"group_name": "all"}, "users": [{"user_id": "u1", "score": 3}]},
                ("n",),
                [],
            ),
            "the way to the group": (
                {
                    "group_path": ["n"],
                    "breadcrumbs": [{"group_name": "all"}],
                    "users": [{"user_id": "u1", "score": 3}],
                },
                ("n",),
                [],
            ),
            "a leaf with its ancestors": (
                {
                    "group_path": ["n"],
                    "group": {"group_name": "n", "population": 3},
                    "groups": [],
                    "ancestors": [{"group_name": "all", "population": 9}],
                    "users": [{"user_id": "u1", "score": 3}],
                },
                ("n",),
                [],
            ),
        },
    )
    def test_every_group_that_is_named_is_handed_on(
        self, data: Any, path: tuple[str, ...] | None, children: list[tuple[str, ...]]
    ) -> None:
        reading = read(data)
        assert isinstance(reading, Group)
        assert reading.path == path
        assert list(reading.children) == children
        assert json.loads(reading.content) == data

    @pytest.mark.parametrize("key", ["parent", "ancestor_1", "parent_group", "breadcrumbs"])
    def test_groups_alone_that_may_be_above_or_the_datasets_own_are_not_understood(self, key: str) -> None:
        named = [{"group_name": "n"}, {"group_name": "s"}]
        shapes: list[Any] = [{"group_path": [], "groups": named}, {"dataset_group": {"group_path": []}}, named]
        for value in shapes:
            assert isinstance(read({key: value}), NotUnderstood), value

    @pytest.mark.parametrize("key", ["parent", "parent_group", "ancestor_1"])
    def test_what_has_a_group_above_it_is_no_whole_dataset(self, key: str) -> None:
        above, rows = {"group_name": "n", "group_path": ["n"]}, [{"user_id": "u1", "score": 3}]
        data: Any
        for data in (
            {key: {**above, "users": rows}},
            {key: above, "users": rows},
            {key: {"group_path": ["n"], "groups": [{"group_name": "s", "population": 3}]}},
            {key: above, "files": [{"url": "https://files.example.com/a.json"}]},
        ):
            assert isinstance(read(data), NotUnderstood), data
        below_root = {key: {"group_path": []}, "users": rows}
        assert isinstance(read(below_root), NotUnderstood)
        assert isinstance(read({key: {"group_path": None}, "users": rows}), Inline)

    @pytest.mark.parametrize(
        "data",
        [
            {"group_path": [], "groups": [{"group_name": None}]},
            {"group_path": [], "groups": [{"group_name": ""}]},
            {"group_path": [], "groups": [{"group_name": 7}]},
            {"group_path": [], "groups": [{"population": 3}]},
            {"group_path": [], "groups": [{"name": "north"}]},
            {"group_path": [], "groups": ["north", None]},
            {"group_path": [], "groups": [{"key": "district", "label": "District"}]},
            {"group_path": [], "groups": {"north": {"population": 3}}},
            {"group_path": [], "groups": 3},
            {"group_path": [], "districts": [{"name": "north", "population": 3}]},
            {"group_path": [], "districts": ["north"]},
            {"group_path": "north", "groups": []},
            {"group_path": [7], "groups": []},
            [GROUP, {"group_path": ["north"], "groups": []}],
            [{"group_path": ["north"], "population": 3}, {"group_path": ["south"], "population": 3}],
            {"groups": [{"group_name": "n", "more": {"deep": [{"group_name": "s"}]}}]},
            {**GROUP, "report": at("x.json")},
            {"group_path": [], "groups": [{"group_name": "n", "url": at("n.json")}]},
            {**GROUP, "has_more": True},
            {**GROUP, "count": 3},
            {"groups": {"north": {"group_name": "north", "url": at("x.json"), "population": 1}}},
            {"dataset_group": None},
            {"group_path": [], "groups": {"north": {"x": 1}}},
            {"group_path": "north", "groups": [{"group_name": "n"}]},
            {"groups": [{"preview": {"group_name": "n"}}]},
            {"groups": [{"group_name": "n", "groups": [{"key": "s"}]}]},
            {"groups": [{"group_name": "n", "groups": {"s": 1}}]},
            {"groups": [{"group_name": "n", "groups": [{"group_name": "s", "groups": ["t"]}]}]},
            {"north": {"group_name": "north", "groups": [{"group_name": "s"}]}},
            {"dataset_group": {"groups": [{"population": 3}]}},
        ],
        ids=str,
    )
    def test_a_group_that_may_name_others_is_not_understood(self, data: Any) -> None:
        assert isinstance(read(data), NotUnderstood)

    def test_a_count_may_be_that_of_the_groups_or_that_of_the_users(self) -> None:
        users = [{"user_id": f"u{number}", "score": 1} for number in range(3)]
        assert isinstance(read({**GROUP, "users": users, "count": 2}), Group)
        assert isinstance(read({**GROUP, "users": users, "count": 3}), Group)
        assert isinstance(read({**GROUP, "users": users, "count": 4}), NotUnderstood)

    def test_a_group_that_was_asked_for_is_told_from_another_one(self) -> None:
        root, north = read(GROUP), read({"group_path": ["north"], "groups": []})
        assert isinstance(root, Group)
        assert expect_group(north, ("north",), root.digest()) is north
        with pytest.raises(UnexpectedReplyError, match="another group"):
            expect_group(north, ("south",), root.digest())
        with pytest.raises(UnexpectedReplyError, match="another group"):
            expect_group(root, ("north",), root.digest())
        with pytest.raises(UnexpectedReplyError, match="a group that it does not hold"):
            expect_group(read({"files": [A]}), ("north",), root.digest())
        with pytest.raises(UnexpectedReplyError, match="not understood"):
            expect_group(read({}), ("north",), root.digest())

    def test_an_answer_without_a_path_that_equals_its_parent_is_another_group(self) -> None:
        root, leaf = read([{"group_name": "n"}]), read({"dataset_group": {"users": [{"user_id": "u"}]}})
        assert isinstance(root, Group)
        assert expect_group(leaf, ("n",), root.digest()) is leaf
        with pytest.raises(UnexpectedReplyError, match="another group"):
            expect_group(read([{"group_name": "n"}]), ("n",), root.digest())

    def test_a_listing_by_group_is_a_listing(self) -> None:
        assert names(read([{"group_name": "n", "url": at("n.json")}])) == ["n.json"]


class TestInline:
    @cases(
        "data",
        {
            "rows": {"rows": [ROW, ROW]},
            "one row in a list": [ROW],
            "one row": ROW,
            "rows of which each has a web link": {"rows": [ROW | {"link": LINK}, ROW | {"link": LINK}]},
            "rows of which one has a web link": {"rows": [ROW, ROW | {"link": LINK}]},
            "users with pictures": [{"user_id": "u1", "score": 3, "avatar": "https://x.example/u1.png"}],
            "a link in a text": [{"user_id": "u1", "score": 3, "note": f"see {LINK}"}],
            "a link to the row itself": [{"user_id": "u1", "p05_score": 3, "links": {"self": LINK}}],
            "a field that is not known": {"items": [{"question_reference": "q", "unknown": {"a": [1]}}]},
            "what else is with the rows": {"count": 1, "rows": [ROW], "columns": [{"name": "p_value"}]},
            "a link to the reply": {"self": "https://api.example/x", "rows": [ROW]},
        },
    )
    def test_rows_of_documented_fields_land_as_one_document_with_everything_in_it(self, data: Any) -> None:
        reading = read(data)
        assert names(reading) == ["dataset.json"]
        assert isinstance(reading, Inline)
        assert json.loads(reading.files[0][1]) == data

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            ({"a.json": {"rows": [ROW]}, "d/b.csv": "item_reference,p_value\n"}, ["a.json", "d/b.csv"]),
            ({"files": {"a.json": [ROW], "b.json": '[{"user_id":"u","score":1}]'}}, ["a.json", "b.json"]),
            ({"files": [{"name": "a.json", "content": {"p_value": 1}}]}, ["a.json"]),
            ([{"a.json": GROUP}], ["a.json"]),
            ({"groups": {"s0": {"group.json": GROUP}}}, ["groups/s0/group.json"]),
            ({"a.ndjson": '{"p_value":1}\n{"p_value":2}\n'}, ["a.ndjson"]),
            ({"a.csv": f"item_reference;link\ni1;{LINK}\n"}, ["a.csv"]),
        ],
        ids=str,
    )
    def test_content_by_file_name_lands_under_these_names(self, data: Any, expected: list[str]) -> None:
        assert names(read(data)) == expected

    @pytest.mark.parametrize(
        "data",
        [
            {"rows": [ROW | {"link": at("x.json")}]},
            {"rows": [ROW | {"note": f"see {at('x.json')}"}]},
            {"rows": [ROW | {"more": {"link": LINK}}]},
            {"rows": [ROW], "link": at("index.json")},
            {"rows": [ROW], "console": LINK},
            {"files": [ROW | {"url": LINK}]},
            {"rows": [ROW, {"x": 1}]},
            {"rows": [ROW], "truncated": True},
            {"rows": [ROW, ROW], "limit": 2},
            ROW | {"next": "c"},
            ROW | {"has_more": True},
            {"a.json": {"x": 1}},
            {"a.json": "pending", "b.json": "pending"},
            {"a.json": "00ff", "b.csv": "r/0099/b.csv"},
            {"a.json": {"size": 3, "status": "ready"}},
            {"a.json": [ROW], "b": {"x": 1}},
            {"a.json": [ROW], "b.json": at("b.json")},
            {"a.json": {"rows": [ROW | {"link": at("x.json")}]}},
            {"a.csv": f"item_reference,link\ni1,{at('x')}\n"},
            {"a.csv": "item_reference,link\ni1,s3://b/x\n"},
            {"a.json": [ROW | {"note": "\ud800"}]},
        ],
        ids=ascii,
    )
    def test_content_that_is_not_proven_or_holds_a_secret_is_not_understood(self, data: Any) -> None:
        assert isinstance(read(data), NotUnderstood)

    @pytest.mark.parametrize(
        "content",
        ["user_id,score\nu1,1\n", [{"user_id": "u1"}], {"rows": [ROW]}],
        ids=["text", "list", "object"],
    )
    @pytest.mark.parametrize(
        "beside",
        [
            {"truncated": True},
            {"has_more": "true"},
            {"status": "pending"},
            {"status": "sealed"},
            {"state": "failed"},
            {"ready": False},
            {"errors": ["x"]},
            {"total": 500},
            {"total": "1 of 3"},
            {"row_pages": 3, "total_pages": 3},
            {"page": "1/3"},
            {"offset": 100},
            {"limit": 1},
            {"next": "c2"},
            {"next_id": 7},
            {"dataset_id": OTHER},
            {"rows": [ROW]},
            {"records": {"a": 1}},
            {"items": [ROW]},
            {"data": [ROW]},
            {"body": "user_id,score\nu2,1\n"},
            {"csv": "user_id,score\nu2,1\n"},
            {"second": [7]},
            {"second": {"x": 1}},
            {"second": "b.csv"},
            {"preview": at("b.csv")},
            {"Name": "a.csv"},
        ],
        ids=str,
    )
    def test_an_entry_with_its_content_that_says_or_holds_more_is_not_landed(
        self, content: Any, beside: dict[str, Any]
    ) -> None:
        name = "a.csv" if isinstance(content, str) else "a.json"
        for data in ({"name": name, "content": content, **beside}, {**beside, "name": name, "content": content}):
            for reply in ({"files": [data]}, {"files": {"17": data}}, [data, {"name": "c.json", "content": [ROW]}]):
                assert isinstance(read(reply), NotUnderstood | NotReady | Failed), reply

    @pytest.mark.parametrize(
        "beside",
        [
            {"id": 7, "etag": "00ff", "bytes": 19, "content_type": "text/csv", "created": "2026-11-28", "count": 900},
            {"status": "ready", "truncated": False, "next": None, "errors": [], "total": 1, "page": 1, "pages": 1},
            {"data": None, "rows": 1, "tags": [], "links": {"self": at("x.json")}, "fields": ["user_id", "score"]},
            {"limit": 50, "note": "", "level": 3, "dataset_id": ID},
        ],
        ids=str,
    )
    def test_an_entry_with_its_content_may_say_what_agrees_with_it(self, beside: dict[str, Any]) -> None:
        text, rows = "user_id,score\nu1,1\n", [{"user_id": "u1", "score": 1}]
        entries = [{"name": "a.csv", "content": text, **beside}, {"name": "b.json", "content": rows, **beside}]
        assert names(read({"files": entries})) == ["a.csv", "b.json"]

    def test_a_count_beside_content_is_that_of_its_rows(self) -> None:
        table = "user_id,score\n" + "u,1\n" * 3
        for content in ([ROW] * 3, {"rows": [ROW] * 3}, json.dumps([ROW] * 3), json.dumps({"rows": [ROW] * 3}), table):
            name = "a.csv" if content is table else "a.json"
            for beside in ({"total": 3}, {"total": "3", "limit": 3}, {"limit": 3, "has_more": False}):
                assert names(read({"files": [{"name": name, "content": content, **beside}]})) == [name]
            for beside in ({"total": 5}, {"limit": 3}):
                assert why(read({"files": [{"name": name, "content": content, **beside}]}))

    @pytest.mark.parametrize("key", SIZE_KEYS)
    @pytest.mark.parametrize("number", [str, int])
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("a.csv", "user_id,score\nü1,1\n"),
            ("a.json", '[{"user_id":"ü","score":1}]'),
            ("a.ndjson", '{"score":1}\n' * 2),
        ],
    )
    def test_a_text_that_is_shorter_than_its_entry_says_is_not_landed(
        self, key: str, number: type[Any], name: str, text: str
    ) -> None:
        size = len(text.encode())
        # A smaller difference could come from line ends: there is none at the end, or each has two bytes (`\r\n`).
        more = size + (5 if text.endswith("\n") else 3)
        for spelling in (key, key.upper()):
            assert "shorter than" in why(read([{"name": name, "content": text, spelling: number(more)}]))
            # The number may be that of the characters, of the rows, or of a packed file, and the whole text is there.
            for stated in (size, len(text), 1, 0):
                assert names(read([{"name": name, "content": text, spelling: number(stated)}])) == [name]
        assert "shorter than" in why(read([{"name": name, "content": text, "size": 1, "bytes": 1, key: more}]))
        # Rows are written anew, so their length cannot be compared.
        assert names(read([{"name": name, "content": [ROW], key: 5000}])) == [name]

    @pytest.mark.parametrize(
        ("name", "suffix_type"),
        [
            ("a.csv", "text/csv"),
            ("d/a.CSV", "text/csv"),
            ("a.tsv", "text/tab-separated-values"),
            ("a.txt", "text/plain"),
            ("a.ndjson", "application/x-ndjson"),
            ("a.jsonl", "application/x-ndjson"),
            ("a.json", "application/json"),
        ],
    )
    def test_a_text_has_the_type_of_its_entry_or_else_that_of_its_name(self, name: str, suffix_type: str) -> None:
        text = '{"score":1}\n' if name.endswith(("json", "jsonl")) else "user_id\tscore\nu1\t1\n"
        for beside, expected in (
            ({}, suffix_type),
            ({"type": "summary", "content_type": None}, suffix_type),
            ({"type": "summary", "Content-Type": "text/x-table; charset=utf-8"}, "text/x-table; charset=utf-8"),
        ):
            assert types(read({"files": [{"name": name, "content": text, **beside}]})) == [expected]
        assert types(read({"files": {name: text}})) == [suffix_type]
        # Rows are written as JSON, whatever their entry says.
        assert types(read([{"name": name, "content": [ROW], "content_type": "text/x-table"}])) == ["application/json"]

    @pytest.mark.parametrize("row", [ROW, {"user_id": "u1", "score": 3}, {"group_name": "n", "population": 3}], ids=str)
    @cases(
        ("key", "address"),
        {
            "a URL into the dataset's folder": ("url", f"{FOLDER}/q1.json"),
            "a name without a suffix": ("report", f"https://h.example/{ID}/q1"),
            "any key": ("details", f"https://h.example/{ID.upper()}/d/q1.json?v=1"),
            "an encoded path": ("note", f"https://h.example/r%2F{ID}%2Fq1.json"),
            "inside a text": ("note", f"see {FOLDER}/q1.json"),
            "a data file under a URL key": ("link", "https://h.example/q/q1.json"),
            "a data file under a file key": ("report_file", "https://h.example/q/q1.csv?v=1"),
            "a data file under a key that ends so": ("dataUrl", " https://h.example/q1.ndjson.gz"),
        },
    )
    def test_rows_with_addresses_that_may_be_files_of_the_dataset_are_not_understood(
        self, row: dict[str, Any], key: str, address: str
    ) -> None:
        rows = [row | {key: address}, row]
        for data in (rows, {"items": rows}, {"groups": rows}, {"a.json": rows}, {"report": {"rows": rows[:1]}}):
            assert isinstance(read(data), NotUnderstood), data
        assert isinstance(read({"a.json": json.dumps(rows), "b.csv": f"score,x\n1,{FOLDER}/q.json\n"}), NotUnderstood)

    @pytest.mark.parametrize(
        ("key", "address"),
        [
            ("url", f"https://console.example/reports/{ID}"),
            ("avatar_url", "https://h.example/u1.png"),
            ("comment", "https://h.example/about.json"),
            ("url", "https://h.example/items/q1.html"),
            ("report_url", "https://h.example/q1.PDF"),
            ("link", f"https://h.example/{OTHER}/items/1"),
        ],
    )
    def test_rows_with_links_to_something_else_are_content(self, key: str, address: str) -> None:
        assert names(read([ROW | {key: address}])) == ["dataset.json"]

    @pytest.mark.parametrize(
        "query",
        [
            "Signature=x",
            "X-Amz-Signature=x",
            "X-Goog-Signature=x",
            "sv=1&sig=x",
            "se=2026",
            "token=x",
            "Expires=1",
            "AWSAccessKeyId=A",
            "k=" + "0f" * 20,
            "a=1&amp;Signature=x",
        ],
    )
    def test_a_link_with_such_a_query_is_a_secret(self, query: str) -> None:
        for link in (f"https://h.example/x?{query}", f"https://u:p@h.example/x?{query}", f"h.example/x?{query}"):
            assert isinstance(read({"rows": [ROW | {"link": link}]}), NotUnderstood)
            assert isinstance(read([GROUP | {"note": link}]), NotUnderstood)


def test_a_reading_that_is_understood_is_given_back() -> None:
    reading = read({"files": [A]})
    assert understood(reading) is reading
