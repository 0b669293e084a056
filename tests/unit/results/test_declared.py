"""Where the files stand may be declared in the connection's extra `results`. The proof stays the same."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from learnosity.errors import (
    ConnectionConfigError,
)
from learnosity.results.known_keys import COUNTED_KEYS, LISTING_KEYS
from learnosity.results.reading import (
    Empty,
    Failed,
    Files,
    Inline,
    NotReady,
    NotUnderstood,
    parse_declaration,
)
from tests.unit.results.replies import (
    GROUP,
    OTHER,
    ROW,
    A,
    B,
    at,
    cases,
    entry,
    names,
    read,
    why,
)

RESULTS = {"files": "data.dataset.outputs.items[]", "url": "href", "name": "key", "bytes": "size", "next": "meta.next"}
ITEM = {"href": at("q"), "key": "d/a.json", "size": 7}

# Keys that a test below leaves out. A declaration only says where the files are. So it is not known how many folders
# there are, and a count of folders is not compared.
_OF_FOLDERS = {"folders", "subfolders", "children"}


def reply_of(items: Any, **more: Any) -> dict[str, Any]:
    return {"dataset": {"outputs": {"items": items}}, **more}


class TestDeclaration:
    def test_the_files_are_read_where_they_are_declared(self) -> None:
        reading = read(reply_of([ITEM]), RESULTS, next="c")
        assert isinstance(reading, Files)
        (file, url), *none = reading.files
        assert (file.path, file.bytes, url, none) == ("d/a.json", 7, at("q"), [])
        assert reading.next_cursor == "c"

    def test_a_declaration_may_be_written_as_a_text(self) -> None:
        assert names(read(reply_of([ITEM]), json.dumps(RESULTS))) == ["d/a.json"]

    def test_entries_may_be_addresses_and_names_come_from_them_then(self) -> None:
        assert names(read({"x": [at("d/a.json")]}, {"files": "data.x", "url": "@"})) == ["d/a.json"]

    def test_a_name_may_get_an_ending(self) -> None:
        declared = RESULTS | {"name": "join('', [key, '.html'])"}
        assert names(read(reply_of([ITEM]), declared, next="c")) == ["d/a.json.html"]

    def test_what_no_reader_would_guess_can_be_declared(self) -> None:
        data = {
            "x": [{"where": {"at": [at("q")]}, "c": "a.json"}],
            "console": "https://console.example",
            "bucket": "s3://b",
        }
        assert isinstance(read(data), NotUnderstood)
        assert names(read(data, {"files": "data.x", "url": "where.at[0]", "name": "c"})) == ["a.json"]

    @cases(
        ("data", "reason"),
        {
            "no list": ({"dataset": {}}, "finds no list"),
            "a text where a list is declared": (reply_of("x"), "finds no list"),
            "a null": (reply_of([ITEM, None]), "leaves entries"),
            "a number": (reply_of([ITEM, 7]), "`url` gives no"),
            "no address": (reply_of([ITEM, {"key": "b.json"}]), "`url` gives no"),
            "no http address": (reply_of([ITEM | {"href": "s3://b/x"}]), "`url` gives no"),
            "no name": (reply_of([ITEM, ITEM | {"key": None}]), "`name` gives no"),
            "no size": (reply_of([ITEM | {"size": "12 KB"}]), "`bytes` gives no"),
            "a second signed address": (reply_of([ITEM | {"other": at("c")}]), "no file's"),
            "a signed address elsewhere": (reply_of([ITEM], x=at("c")), "no file's"),
            "more to come": (reply_of([ITEM], has_more=True), "there is more"),
            "a count": (reply_of([ITEM], file_count=2), "`file_count` is 2"),
            "another dataset": (reply_of([ITEM], dataset_id=OTHER), "another dataset"),
            "trouble": (reply_of([ITEM], errors=["x"]), "`errors`"),
        },
    )
    def test_a_declared_list_is_proven_as_any_other(self, data: Any, reason: str) -> None:
        assert reason in why(read(data, RESULTS))

    @pytest.mark.parametrize(
        "files", ["data.x[].href", "data.x[*].href", "data.[x][].href", "data.x[].[href][]", "data.y.*.href"]
    )
    def test_an_expression_that_passes_entries_over_is_noticed(self, files: str) -> None:
        whole = {"x": [{"href": at("1")}, {"href": at("2")}], "y": {"a": {"href": at("1")}, "b": {"href": at("2")}}}
        assert len(names(read(whole, {"files": files, "url": "@"}))) == 2
        nested = {"x": [{"href": [at("1")]}, {"other": [at("2")]}]}
        assert "leaves entries" in why(read(nested, {"files": "data.x[].href[]", "url": "@"}))
        less = {"x": [{"href": at("1")}, {"name": "2"}], "y": {"a": {"href": at("1")}, "b": {"name": "2"}}}
        assert "leaves entries" in why(read(less, {"files": files, "url": "@"}))

    def test_a_filter_passes_entries_over_because_it_was_declared(self) -> None:
        data = {"x": [{"href": at("1"), "t": "file"}, {"t": "folder"}]}
        assert names(read(data, {"files": "data.x[?t=='file']", "url": "href"})) == ["1"]

    @pytest.mark.parametrize(
        "files",
        [
            "data.x[:1]", "data.x[1:]", "data.x[::2]", "data.x[-1:]", "data.x[:1][]", "data | x[1:]",
            "data.y[:1].f[]", "data.y[*].f[:1][]", "data.y[].f[:1] | []", "data.z.*.f[:1][]", "data.y[?f].f[1:][]",
            "reverse(data.x[:1])", "[data.x[:1], data.y[].f[]][]", "data.no || data.x[:1]", "data.x[:1] || data.no",
            "data.x && data.x[:1]", "data.x[:1][?@]", "data.y[*].f[*].href[]", "data.x[?@].href", "data.y[?f].g[]",
        ],
    )  # fmt: skip
    def test_an_expression_that_leaves_entries_out_by_their_place_is_noticed(self, files: str) -> None:
        pairs = [{"f": [f"https://h/{name}1.json", {"href": f"https://h/{name}2.json"}]} for name in "ab"]
        data = {"x": ["https://h/a.json", "https://h/b.json"], "y": pairs, "z": dict(zip("ab", pairs, strict=True))}
        assert "leaves entries" in why(read(data, {"files": files, "url": "href || @"}))
        assert "leaves entries" in why(read(data, {"inline": files}))

    @pytest.mark.parametrize(
        "files",
        [
            "data.x[:2]", "data.x[::-1]", "data.x[0:]", "data.x[:100][]", "data.x[-2:]", "data.y[:9].f[]",
            "data.y[*].f[:1][]", "data.no[:1] || data.x", "data.y[0].f", "[data.x[0], data.x[1]]", "data.y[?f].f[]",
            "reverse(data.x)", "data.x && data.x", "sort_by(data.y, &f[0])[].f[]", "data.no || data.x[:2]",
        ],
    )  # fmt: skip
    def test_an_expression_that_names_places_and_leaves_none_out_is_read(self, files: str) -> None:
        data = {"x": ["https://h/a.json", "https://h/b.json"], "y": [{"f": ["https://h/c.json"]}]}
        assert names(read(data, {"files": files, "url": "@"}))

    def test_the_status_counts_with_a_declaration_too(self) -> None:
        assert isinstance(read({"status": "running"}, RESULTS), NotReady)
        assert isinstance(read({"status": "running"}, {"inline": "data"}), NotReady)
        assert isinstance(read([{"status": "running"}], RESULTS), NotReady)
        assert isinstance(read(reply_of([ITEM, ITEM | {"status": "pending"}]), RESULTS), NotReady)
        assert isinstance(read(reply_of([ITEM], status="halted"), RESULTS), Failed)

    def test_a_cursor_that_is_not_declared_is_followed_too(self) -> None:
        results = {"files": "data.x", "url": "@"}
        reading = read({"x": [at("a.json")]}, results, next="c")
        assert isinstance(reading, Files)
        assert reading.next_cursor == "c"

    def test_a_declared_cursor_is_the_only_one(self) -> None:
        results = {"files": "data.x", "url": "@", "next": "data.position"}
        for position, cursor in ((None, None), ("p", "p"), (2, "2")):
            reading = read({"x": [at("a.json")], "position": position}, results, next="noise")
            assert isinstance(reading, Files)
            assert reading.next_cursor == cursor
        assert isinstance(read({"x": [at("a.json")], "position": "https://a/2"}, results), NotUnderstood)

    @pytest.mark.parametrize("key", sorted((LISTING_KEYS | COUNTED_KEYS) - _OF_FOLDERS))
    def test_a_number_under_the_key_of_a_list_is_a_count_with_a_declaration_too(self, key: str) -> None:
        listed = [entry("a.json"), entry("b.csv"), entry("c.json")]
        results = {"files": "data.x", "url": "url"}
        for number in (200, 0, 3):
            for data in ({"x": listed, key: number}, {key: number, "x": listed}, {"x": listed, "info": {key: number}}):
                as_guessed = read({("csv" if each == "x" else each): value for each, value in data.items()})
                assert type(read(data, results)) is type(as_guessed), data
                assert isinstance(read(data, results | {"count": "length(data.x)"}), Files)
            # In the entry of a file, the number is about this file. So it is not compared with the number of files.
            if key not in ("urls", "url"):
                assert isinstance(read({"x": [A | {key: number}]}, results), Files)
                assert isinstance(
                    read({"x": {"a": A | {key: number}}}, {"files": "values(data.x)", "url": "url"}), Files
                )
        for other in ({"files": [A, B], "parts": 4}, {"files": [A, B], "results": 500}):
            assert "were found" in why(read(other, {"files": "data.files", "url": "url"}))
        assert names(read([{"x": listed, "files": 3}], {"files": "data[0].x", "url": "url"}))
        assert "were found" in why(read([{"x": listed, "files": 4}], {"files": "data[0].x", "url": "url"}))

    @pytest.mark.parametrize("key", ["file_count", "total", "total_files", "parts", "records", "item_count", "files"])
    def test_a_declared_count_is_the_only_one(self, key: str) -> None:
        value: Any
        results = {"files": "data.x", "url": "@", "count": "data.number"}
        for value in (9, "9", "many", {"n": 9}, {"total": 9}):
            assert names(read({"x": [at("a.json")], "number": 1, key: value}, results)) == ["a.json"], value
            if key != "records":
                assert names(read({"x": [at("a.json")], "number": "1"}, results, **{key: value})) == ["a.json"], value
        for value in (2, "2", 0):
            assert "declared count of files" in why(read({"x": [at("a.json")], "number": value}, results))
        for value in (None, "many", [1], True):
            assert "`count` gives no whole number" in why(read({"x": [at("a.json")], "number": value}, results))
        counted = results | {"count": "length(data.x)"}
        assert names(read({"x": [at("a.json")], key: 9}, counted)) == ["a.json"]
        assert "cannot be applied" in why(read({"x": [at("a.json")]}, results | {"count": "length(data.no)"}))

    def test_a_declared_count_may_be_that_of_all_pages(self) -> None:
        results = {"files": "data.x", "url": "@", "count": "data.number"}
        reading = read({"x": [at("a.json")], "number": 3}, results, next="c")
        assert isinstance(reading, Files)
        assert reading.total == 3
        assert isinstance(read({"x": [], "number": 3}, results), NotUnderstood)

    @pytest.mark.parametrize("key", ["next", "cursor", "next_page", "after", "next_files", "scroll_id"])
    @pytest.mark.parametrize("path", ["meta.nxt", "data.paging.nxt", "nxt", "meta.nxt || data.nxt", "data | nxt.next"])
    def test_a_declared_cursor_that_is_misspelt_ends_no_listing(self, path: str, key: str) -> None:
        results = {"files": "data.x", "url": "@", "next": path}
        data: dict[str, Any] = {"x": [at("a.json")], "paging": {}}
        for reading in (read({**data, key: "c"}, results), read(data, results, **cast(dict[str, Any], {key: "c"}))):
            assert "the declared `next` finds nothing, and the reply has" in why(reading)
            assert key in why(reading)
        # No key in the reply has a cursor, so this may be the last page, which lacks the declared key.
        for nothing in (None, ""):
            assert names(read({**data, key: nothing}, results)) == ["a.json"]
        assert names(read(data, results)) == ["a.json"]
        # With `|| ''`, the declaration itself says that the listing ends where the declared key is missing.
        assert names(read({**data, key: "c"}, results | {"next": f"({path}) || ''"})) == ["a.json"]

    @pytest.mark.parametrize("after", ["b", "QVFIUjE1", "MTIz"])
    def test_cursors_beside_a_declared_next_that_is_left_out_end_the_listing(self, after: str) -> None:
        files, cursors = {"x": [at("a.json")]}, {"before": "a", "after": after}
        for path in ("data.paging.next", "data.paging.next || data.next", "data.next", "meta.paging.next"):
            results = {"files": "data.x", "url": "@", "next": path}
            if path.startswith("data.paging"):
                reading = read({**files, "paging": {"cursors": cursors}}, results)
            elif path.startswith("data"):
                reading = read({**files, "cursors": cursors}, results)
            else:
                reading = read(files, results, paging={"cursors": cursors})
            assert names(reading) == ["a.json"], path
        # Here the reply is refused: the declared path is misspelt, or the reply has one more cursor.
        for path in ("data.paging.nxt", "data.pagin.next", "meta.next", "data.paging.cursors.aftr", "next"):
            results = {"files": "data.x", "url": "@", "next": path}
            assert why(read({**files, "paging": {"cursors": cursors}}, results)), path
        results = {"files": "data.x", "url": "@", "next": "data.paging.next"}
        for more in ({"next_page": "c"}, {"next_token": "c"}, {"cursor": "c"}):
            assert "finds nothing" in why(read({**files, "paging": {"cursors": cursors, **more}}, results))
            assert "finds nothing" in why(read({**files, "paging": {"cursors": cursors}, **more}, results))

    @pytest.mark.parametrize(
        "key", ["next_token_expires", "nextTokenExpiresAt", "next_page_token_expiry", "next_token_ttl"]
    )
    def test_when_a_cursor_expires_is_no_cursor(self, key: str) -> None:
        results = {"files": "data.x", "url": "@", "next": "data.next_token"}
        assert names(read({"x": [at("a.json")], key: "2026-11-30T00:00:00Z"}, results)) == ["a.json"]
        assert names(read({"files": [A, B], key: "2026-11-30T00:00:00Z"})) == ["a.json", "b.csv"]

    @pytest.mark.parametrize("key", sorted((LISTING_KEYS | COUNTED_KEYS) - _OF_FOLDERS))
    def test_beside_declared_content_a_number_under_the_key_of_a_list_counts_anything(self, key: str) -> None:
        for data in ({"x": [ROW, ROW], key: 4}, {"x": {"rows": [ROW]}, key: 400}, {"x": [ROW], "info": {key: 5}}):
            assert isinstance(read(data, {"inline": "data.x"}), Inline), data
        assert "declare `count`" not in why(read({"x": [ROW], "total": 5}, {"inline": "data.x"}))

    @pytest.mark.parametrize("key", sorted((LISTING_KEYS | COUNTED_KEYS) - _OF_FOLDERS))
    def test_a_number_inside_an_entry_is_about_the_file(self, key: str) -> None:
        results = {"files": "data.x", "url": "url"}
        one = A | {"summary": {key: 500}}
        for more in ([], [B | {"summary": {key: 5}}]):
            assert isinstance(read({"x": [one, *more]}, results), Files)
            assert isinstance(read({"x": [{"deep": {"of": {key: 7}}, **one}, *more]}, results), Files)
        wrapped = {"x": [{"y": [A, B], "summary": {"files": 500}}]}
        assert "were found" in why(read(wrapped, {"files": "data.x[0].y", "url": "url"}))

    @pytest.mark.parametrize(
        ("path", "last"),
        [
            ("data.position", {"position": None}),
            ("data.paging.position", {"paging": None}),
            ("data.paging.position", {"paging": {"position": ""}}),
            ("data.no || data.position", {"position": None}),
            ("data.pages[0].position", {"pages": []}),
        ],
    )
    def test_a_declared_cursor_that_is_null_ends_the_listing(self, path: str, last: dict[str, Any]) -> None:
        results = {"files": "data.x", "url": "@", "next": path}
        assert names(read({"x": [at("a.json")], **last}, results, next="noise")) == ["a.json"]

    @pytest.mark.parametrize("files", ["data.x[?t=='n']", "data.x[?t=='n'].f[]", "data.*[?t=='n'][]", "data.x[?t]"])
    def test_a_filter_that_leaves_out_every_address_makes_no_empty_dataset(self, files: str) -> None:
        results = {"files": files.replace("[?t]", "[?no]"), "url": "href || @"}
        file = {"href": "https://h/a.json", "t": "file", "f": ["https://h/a.json"]}
        folder = {"t": "folder", "self": "https://h/x"}
        assert "leaves out every entry" in why(read({"x": [file, folder]}, results))
        assert read({"x": [folder, {"t": "folder"}]}, results) == Empty()
        assert read({"x": []}, results) == Empty()
        assert read({"x": [], "y": [], "z": {"console": "https://h/"}} if "*" not in files else {}, results) == Empty()

    def test_an_empty_list_with_a_remark_is_one_where_a_count_of_0_is_declared(self) -> None:
        data = {"files": [], "total": 0, "message": "no students in this time"}
        results = {"files": "data.files", "url": "url"}
        assert "declare `count`" in why(read(data, results))
        assert "declare `count`" not in why(read({"files": [A], "total": 3}, results | {"count": "data.total"}))
        assert read(data, results | {"count": "data.total"}) == Empty(total=None)
        assert why(read(data | {"total": 3}, results | {"count": "data.total"}))

    def test_addresses_for_uploads_are_none_of_files(self) -> None:
        data = {"files": [A], "input_files": [at("infiles/0.ndjson")]}
        assert why(read(data))
        assert names(read(data, {"files": "data.files", "url": "url"})) == ["a.json"]
        assert why(read({"files": [A], "more": [at("b.json")]}, {"files": "data.files", "url": "url"}))

    def test_a_declared_list_may_be_empty(self) -> None:
        assert read(reply_of([]), RESULTS) == Empty()
        assert read([], RESULTS, first_page=False) == Empty()

    def test_a_status_that_is_not_known_may_pass_because_a_person_has_looked_at_a_reply(self) -> None:
        assert isinstance(read({"x": [at("a.json")], "status": "sealed"}), NotUnderstood)
        assert names(read({"x": [at("a.json")], "status": "sealed"}, {"files": "data.x", "url": "@"})) == ["a.json"]

    def test_a_declared_part_may_be_empty(self) -> None:
        assert read({"t": []}, {"inline": "data.t"}) == Empty()

    def test_a_link_to_the_reply_may_be_signed(self) -> None:
        for link in ({"self": at("x.json")}, {"link": at("index.json")}, {"_links": {"self": {"href": at("x.json")}}}):
            assert names(read(reply_of([ITEM], **link), RESULTS)) == ["d/a.json"]

    @pytest.mark.parametrize(
        ("served", "written"), [("1.50", "1.5"), ("1e2", "100.0"), ("7", "7"), ('"1.50"', '"1.50"')]
    )
    def test_a_declared_part_is_written_anew_so_numbers_may_look_different(self, served: str, written: str) -> None:
        reading = read({"t": json.loads(f'{{"mean": {served}}}')}, {"inline": "data.t"})
        assert isinstance(reading, Inline)
        ((_, content),) = reading.files
        assert content.replace(b" ", b"").strip() == f'{{"mean":{written}}}'.encode()

    def test_a_declared_part_lands_as_one_document(self) -> None:
        data = {"table": {"x": [{"y": 1, "link": "https://a.example", "at": "s3://b/x"}]}}
        assert isinstance(read(data), NotUnderstood)
        reading = read(data, {"inline": "data.table"})
        assert isinstance(reading, Inline)
        assert [(file.path, json.loads(content)) for file, content in reading.files] == [
            ("dataset.json", data["table"])
        ]

    @pytest.mark.parametrize(
        ("data", "meta"),
        [
            ({"t": [{"link": at("x")}]}, {}),
            ({"t": [1], "link": at("x")}, {}),
            ({"t": None}, {}),
            ({"t": "text"}, {}),
            ({"t": [1, 2], "count": 3}, {}),
            ({"t": [1]}, {"next": "c"}),
            ({"t": ["h.example/x?Signature=x"]}, {}),
        ],
        ids=str,
    )
    def test_a_declared_part_is_never_a_secret_and_never_a_page(self, data: Any, meta: dict[str, Any]) -> None:
        assert isinstance(read(data, {"inline": "data.t"}, **meta), NotUnderstood)

    @cases(
        ("data", "inline", "right"),
        {
            "a list": ([ROW] * 3, "data", {1, 3}),
            "a list in a list": ([[ROW] * 3], "data[0]", {1, 3}),
            "rows": ({"rows": [ROW] * 3}, "data.rows", {1, 3}),
            "an object": ({"rows": [ROW] * 3}, "data", {1, 3}),
            "two lists": ({"rows": [ROW] * 3, "others": [ROW] * 2}, "data", {1, 2, 3, 5}),
            "deep rows": ({"result": {"rows": [ROW] * 3}}, "data", {1, 3}),
            "rows of another kind": ({"result": {"rows": [{"x": 1}] * 3}}, "data", {1, 3}),
            "groups": (GROUP, "data", {1, 2}),
            "groups below one": ({"dataset_group": {"group_name": "r", **GROUP}}, "data", {1, 2, 3}),
        },
    )
    def test_the_records_of_a_declared_part_are_its_rows_or_groups(
        self, data: Any, inline: str, right: set[int]
    ) -> None:
        results = {"inline": inline}
        for number in range(8):
            assert isinstance(read(data, results, records=number), Inline) == (number in right), number

    def test_an_expression_that_does_not_fit_the_reply_is_not_understood(self) -> None:
        assert "cannot be applied" in why(read({"x": "text"}, {"files": "sort_by(data.x, &y)", "url": "@"}))
        assert "cannot be applied" in why(read({"x": [1]}, {"files": "data.x", "url": "keys(@)"}))

    @pytest.mark.parametrize("extra", [{}, {"results": None}, {"results": ""}])
    def test_nothing_declared_is_no_declaration(self, extra: dict[str, Any]) -> None:
        assert parse_declaration(extra) is None

    @pytest.mark.parametrize(
        ("results", "what"),
        [
            ({}, "does not say `files`"),
            ({"files": "data"}, "does not say `url`"),
            ({"url": "href"}, "does not say `files`"),
            ({"files": "data", "url": "href", "size": "bytes"}, "the key 'size'"),
            ({"inline": "data", "files": "data"}, "the key 'files'"),
            ({"files": "data[", "url": "href"}, "under `files` that cannot be read"),
            ({"files": "data", "url": ""}, "no expression under `url`"),
            ({"files": "data", "url": 7}, "no expression under `url`"),
            ({"files": "data", "url": "x" * 2000}, "no expression under `url`"),
            ({"inline": "first(data)"}, "the function `first`"),
            ({"files": "data", "url": "[" * 900}, "cannot be read"),
            (["data"], "not an object"),
            ("data", "not JSON"),
            ("[1]", "not an object"),
            (7, "not an object"),
        ],
    )
    def test_a_declaration_that_cannot_be_used_is_refused_when_the_connection_is_checked(
        self, results: Any, what: str
    ) -> None:
        with pytest.raises(ConnectionConfigError) as caught:
            parse_declaration({"results": results})
        assert what in str(caught.value)
        assert "docs/reliability.md" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "right", "wrong"),
    [
        ({"columns": ["user_id", "score", "a"], "rows": [["u1", 1, 2], ["u2", 3, 4]]}, (2,), (3, 5)),
        ([["u1", 1, 2], ["u2", 3, 4]], (2,), (3, 4, 6)),
        ({"columns": ["user_id", "score", "a"], "rows": []}, (0,), (3,)),
        ({"schema": {"columns": ["user_id", "score", "a"]}, "rows": [["u1", 1, 2], ["u2", 1, 2]]}, (2,), (3,)),
        ([["user_id", "score", "a"], ["u1", 1, 2], ["u2", 1, 2]], (2, 3), (4, 9)),
        ({"rows": [["user_id", "score", "a"], ["u1", 1, 2], ["u2", 1, 2]]}, (2, 3), (4, 9)),
        ({"columns": ["user", "marks", "grade"], "rows": [["u1", 1, 2], ["u2", 3, 4]]}, (2,), (3,)),
        ({"columns": ["user", "marks", "grade"], "rows": []}, (0,), (3,)),
        ({"columns": [{"name": "a"}, {"name": "b"}, {"name": "c"}], "rows": [["u1", 1, 2], ["u2", 3, 4]]}, (2,), (3,)),
        ({"levels": ["district", "school"], "users": []}, (0,), (2,)),
        ({"levels": ["state", "district", "school"], "rows": [{"user_id": u, "score": 1} for u in "ab"]}, (2,), (3,)),
    ],
)
def test_the_columns_of_an_inline_content_are_not_its_records(
    content: Any, right: tuple[int, ...], wrong: tuple[int, ...]
) -> None:
    for records in right:
        assert isinstance(read(content, {"inline": "data"}, records=records), Inline)
    for records in wrong:
        assert isinstance(read(content, {"inline": "data"}, records=records), NotUnderstood)


@pytest.mark.parametrize(
    "content",
    [
        {"user_id": ["u1", "u2"], "score": [1, 2]},
        {"group_name": "All", "population": 2, "users": ["a", "b"]},
        {"columns": ["user_id", "score"], "rows": ["u1,1", "u2,2"]},
        {"group_name": "All", "population": 2, "users": ["a", "b"], "groups": []},
        {"group_name": "All", "population": 2, "users": ["a", "b"], "groups": [{"group_name": "x", "population": 1}]},
        {"user_id": ["u1", "u2"], "score": [1, 2], "levels": [{"name": "d"}]},
        {"columns": [["u1", "u2"], [1, 2]]},
        {"columns": [{"user_id": "u1"}, {"user_id": "u2"}]},
    ],
)
def test_a_list_of_plain_values_may_be_the_records_of_an_inline_content(content: Any) -> None:
    assert isinstance(read(content, {"inline": "data"}, records=2), Inline)
    assert isinstance(read(content, {"inline": "data"}, records=3), NotUnderstood)
