"""What stands beside the address of a file is about the file, or it is never passed over."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity.errors import UnsafeNameError
from learnosity.results.entry import ENTRY_WORDS
from learnosity.results.known_keys import CONTENT_KEYS, COUNTED_KEYS, FORMAT_KEYS, LISTING_KEYS, TREE_KEYS
from learnosity.results.reading import Failed, Files, Inline, NotReady, NotUnderstood, Reading
from learnosity.results.signal_keys import _VOCABULARY, Kind
from tests.unit.results.replies import ID, OTHER, ROW, A, B, at, cases, entry, names, read, urls, why

# For each kind of signal, a value that says that something is wrong or missing.
BAD: dict[Kind, Any] = {
    "status": "running",
    "ready": False,
    "pending": True,
    "progress": 40,
    "verdict": False,
    "trouble": ["b.json"],
    "remark": "not ready yet",
    "owner": OTHER,
    "cursor": "c2",
    "more": True,
    "last": False,
    "pages": 3,
    "page": 2,
    "offset": 100,
    "limit": 1,
    "count": 9,
    "children": True,
}
# In the entry of a file, keys of these kinds may be about this file: its rows, its pages, its place among others. So
# they refuse nothing there.
ABOUT_THE_FILE: tuple[Kind, ...] = ("last", "pages", "page", "offset", "limit", "count")
SHARES = ("percent", "percentage")
KEYS = [(key, kind) for kind, text in _VOCABULARY.items() for key in text.split()]
# What may be more of the dataset: content, files, groups, pages. Beside the address of a file it would not land, so the
# reply is refused.
MORE: dict[str, dict[str, Any]] = {
    "rows": {"rows": [ROW, ROW]},
    "rows of unknown fields": {"rows": [{"question": "q"}]},
    "rows under any key": {"answers": [{"user_id": "u"}]},
    "a row": {"summary": {"population": 3}},
    "a row further down": {"meta": {"by": {"group": {"mean_score": 3}}}},
    "groups": {"groups": [{"group_name": "n"}]},
    "names of groups": {"groups": ["n", "s"]},
    "a table": {"csv": "user_id,score\nu1,1\n"},
    "a table under any key": {"preview": "user_id,score\nu1,1\n"},
    "a text of JSON": {"json": '[{"user_id":"u1","score":1}]'},
    "a long text": {"more_text": "x" * 300},
    "names of files": {"others": ["b.json", "c.json"]},
    "the name of a file": {"companion": "c.csv"},
    "the name of a file further down": {"origin": {"by": ["x", {"y": "c.csv"}]}},
    "parts without addresses": {"segments": [{"id": 1}, {"id": 2}]},
    "a part that failed": {"meta": {"parts": [{"status": "failed"}]}},
    "a job that goes on": {"job": {"status": "pending"}},
    "a job that goes on, further down": {"meta": {"x": [{"job": {"state": "queued"}}]}},
    "progress further down": {"job": {"progress": 40}},
    "another dataset further down": {"job": {"dataset_id": OTHER}},
    "a next page further down": {"paging": {"next": {"id": "c2"}}},
    "a next page among links": {"links": {"next": "/v1/x?page=2"}},
    **{f"a list of {key}": {key: ["x", "y"]} for key in sorted(LISTING_KEYS | FORMAT_KEYS | TREE_KEYS)},
    **{f"an object of {key}": {key: {"x": "y"}} for key in sorted(LISTING_KEYS | FORMAT_KEYS | TREE_KEYS)},
}
HARMLESS: tuple[dict[str, Any], ...] = (
    {"count": 900, "rows": 900, "records": "900", "lines": 901, "total_rows": 900, "user_count": 7, "rows_total": 900},
    {"tags": ["x", "y"], "labels": [{"Key": "term", "Value": "1"}], "level": 3, "users": [], "children": []},
    {"owner": {"id": 7, "name": "B. Smith"}, "metadata": {"checksums": [{"md5": "00ff"}], "uuid": "x" * 300}},
    {"status": "ready", "job": {"status": "completed", "progress": 100}, "errors": [], "truncated": False},
    {"message": "done", "success": True, "dataset_id": ID.upper(), "remaining": 0, "next": None, "paging": {}},
    {"links": {"self": at("x.json")}, "request": {"limit": 1, "files": ["z.json"]}, "input_files": ["0.ndjson"]},
    {"title": "old.json", "id": "17.json", "origin": "d/a.json", "object": {"key": "r/0099/a.json"}, "x": "short"},
    {"groups": [{"key": "district", "label": "District"}], "description": "Two\nlines", "sort": {"by": "name"}},
)


def lone(data: dict[str, Any]) -> list[Any]:
    """Replies in which an object with an address is no entry of a list."""
    return [data, [data], [[data]], {"report": data}, {"data": {"dataset": data}}, {"json": data}, {"x": data}]


def listed(data: dict[str, Any]) -> list[Any]:
    """Replies in which an object with an address is an entry of a list, or of a map."""
    return [
        {"files": [data, B]},
        {"files": [B, data]},
        {"files": [data]},
        [data, B],
        {"files": [{"file": data}, {"file": B}]},
        {"files": {"17": data, "18": B}},
        {"a.json": data, "b.csv": at("b.csv")},
        {"name": "d", "children": [data, B]},
    ]


def is_refused(reading: Reading) -> bool:
    return isinstance(reading, NotUnderstood | NotReady | Failed)


# Rows of results in each form in which they are recognised, whatever the key above them.
CONTENT: dict[str, Any] = {
    "rows": [ROW, ROW],
    "a row": ROW,
    "rows by a key": {"i1": ROW, "i2": ROW},
    "a table": "item_reference,p_value\ni1,0.4\n",
    "a table with the line ends of old systems": "item_reference,p_value\ri1,0.4\r",
    "a text of JSON": '[{"item_reference":"i1","p_value":0.4}]',
}
COUNTS = [key for key, kind in KEYS if kind == "count"]
KEYS_OF_CONTENT = sorted({*CONTENT_KEYS, *COUNTED_KEYS, *FORMAT_KEYS, *LISTING_KEYS, *COUNTS, "preview", "row_count"})


@pytest.mark.parametrize("key", KEYS_OF_CONTENT)
@cases("value", CONTENT)
def test_content_is_not_passed_over_at_any_place_beside_a_file(key: str, value: Any) -> None:
    for box in ({key: value}, {"info": {key: value}}, {"info": [{key: value}]}, {"x": {"y": {key: value}}}):
        for data in (
            *lone({"dataset_id": ID, "url": at("a.json"), **box}),
            *listed(A | box),
            {"result_files": [A], **box},
        ):
            assert is_refused(read(data)), data


# Keys whose value describes the file or the reply. A text under them may be long, or have several lines. So only what
# is in the text can show that it is rows.
KNOWN = sorted(
    {key for key in ENTRY_WORDS if not key.startswith("next")} | {key for key, kind in KEYS if kind == "remark"}
)
ROWS_AS_TEXT: dict[str, str] = {
    "a table": "item_reference,p_value\ni1,0.4\n",
    "a table with the line ends of old systems": "item_reference,p_value\ri1,0.4\r",
    "a table below a blank line": "\nitem_reference;p_value\n\ni1;0.4\n",
    "NDJSON": '{"item_reference":"i1","p_value":0.4}\n{"item_reference":"i2","p_value":0.5}\n',
    "a JSON text sequence": '\x1e{"item_reference":"i1","p_value":0.4}\n\x1e{"item_reference":"i2","p_value":0.5}\n',
    "a table with rare line ends": "item_reference,p_value\x85i1,0.4\x85",
    "JSON": '[{"item_reference":"i1","p_value":0.4}]',
    "JSON of several lines": '[\n{"item_reference":"i1","p_value":0.4}\n]',
    "JSON with NaN": '[{"item_reference":"i1","p_value":NaN}]',
    "JSON with a byte order mark": '\ufeff[{"item_reference":"i1","p_value":0.4}]',
    "JSON that is encoded twice": '"[{\\"item_reference\\":\\"i1\\",\\"p_value\\":0.4}]"',
}


@pytest.mark.parametrize("key", [*KNOWN, "x"])
@cases("text", ROWS_AS_TEXT)
def test_rows_as_text_are_not_passed_over_under_a_known_key(key: str, text: str) -> None:
    for box in ({key: text}, {"info": {key: text}}):
        for data in (*lone({"dataset_id": ID, "url": at("a.json"), **box}), *listed(A | box)):
            try:
                assert is_refused(read(data)), data
            except UnsafeNameError:
                # Keys such as `name` give the name of a file: there, the text is refused as a name.
                assert key not in ("x", "message")


@pytest.mark.parametrize("text", ["one line\nand another", "x" * 300, "score\n", '{"by": "user_id"}'])
def test_a_description_may_be_long_and_have_several_lines(text: str) -> None:
    for box in ({"description": text}, {"description": {"text": text, "format": "plain"}}, {"label": {"en": text}}):
        for data in (*lone(A | box), *listed(A | box)):
            assert at("a.json") in urls(read(data)), data


# Short texts of one row. They have no measure such as `score`, which would prove that they are rows. Only their form
# and the line end behind them show it.
SHORT_ROWS = ['{"user_id":"u1","sessions":3}', "u1,0.5", '["u1",0.5]', "u1\t0.5", "u1;0.5"]
# Such a row as JSON within other text: in quotes, as an event, as a call of JavaScript, as Python writes it.
SHORT_ROWS += [r'"{\"user_id\": \"u1\", \"marks\": 3}"', '{"user_id": "u1", "x": 3};']
SHORT_ROWS += ['data: {"user_id": "u1", "x": 3}', 'callback({"user_id": "u1", "x": 3});']
SHORT_ROWS += ["{'user_id': 'u1', 'x': 3} ", '[["u1", 3]] .']


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"], ids=repr)
@pytest.mark.parametrize("row", SHORT_ROWS)
@pytest.mark.parametrize("key", ["data", "text", "users", "b.ndjson", "x"])
def test_a_short_row_with_its_line_end_is_not_passed_over(key: str, row: str, end: str) -> None:
    for data in ({"files": [A], key: row + end}, {"files": [A | {key: row + end}]}):
        assert is_refused(read(data)), data


SENTENCES = ["ok", "All is well.", "One, two and more.", "All is well; nothing to add.", "[INFO] done"]
SENTENCES += ["Grade 5 [2026]", "Dear all,", "Weekly export, see {docs}.", "This is all;"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"], ids=repr)
@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_with_its_line_end_is_no_row(sentence: str, end: str) -> None:
    text = sentence + end
    for data in ({"files": [A], "x": text}, {"files": [A | {"x": text}]}):
        assert names(read(data)) == ["a.json"]


# The first line of each names documented fields, like the heading of a table. But either no line below has as many
# cells, or the heading has only one cell: then any line of a description would fit it.
ABOUT_COLUMNS = [
    "Results include mean, median, score, and population\nfor all groups.",
    "user_id, score\nare the columns of each file.",
    "user_id, score, max_score\n\nOne row per user",
    "group_name\nuser_id\nscore",
    "population\nAll users of the district, with those who are absent",
]


@pytest.mark.parametrize("text", ["Reading\u2028Test", "Reading\x0bTest", "Reading\r"], ids=repr)
def test_a_line_break_of_a_word_processor_is_no_second_line(text: str) -> None:
    for data in (*lone(A | {"caption": text}), *listed(A | {"caption": text})):
        assert at("a.json") in urls(read(data)), data


@pytest.mark.parametrize("text", ABOUT_COLUMNS)
def test_a_text_about_columns_is_no_table(text: str) -> None:
    for data in (*lone(A | {"description": text}), *listed(A | {"description": text})):
        assert at("a.json") in urls(read(data)), data
    assert names(read({"files": [A]}, message=text)) == ["a.json"]
    assert isinstance(read({"rows": [ROW], "note": text}), Inline)


@pytest.mark.parametrize(
    "box", ["links", "format", "formats", "extension", "version", "self", "title", "description", "label"]
)
def test_a_second_file_that_an_object_names_is_not_passed_over(box: str) -> None:
    for more in (
        {box: {"csv": "report.csv"}},
        {box: {"part2": "part2.json"}},
        {box: {"json": "a.json", "csv": "c.csv"}},
    ):
        for data in (*lone(A | more), *listed(A | more)):
            assert is_refused(read(data)), data


@pytest.mark.parametrize(
    "cursor",
    ["eyJ0ZXh0Ijoi" * 5 + "\nZXQifQ==", '{"user_id": 5}', '{"score": 0.5, "id": 7}', '{\n "user_id": 5\n}'],
    ids=repr,
)
def test_a_cursor_may_have_several_lines_or_be_json(cursor: str) -> None:
    for reading in (read({"files": [A], "next": cursor}), read({"files": [A]}, next=cursor)):
        assert isinstance(reading, Files)
        assert reading.next_cursor == cursor


def test_a_declared_count_silences_texts_under_keys_of_other_counts() -> None:
    declared = {"files": "data.files[]", "url": "url", "name": "name", "count": "data.n"}
    for text in ("We found it.\nEnjoy.", "x" * 250):
        data = {"files": [A], "n": 1}
        for reading in (read({**data, "found": text}, declared), read(data, declared, total=text)):
            assert names(reading) == ["a.json"]
    assert is_refused(read({"files": [A], "n": 1, "found": ROWS_AS_TEXT["a table"]}, declared))


def test_names_of_many_other_files_are_read_in_little_time() -> None:
    many = {f"k{number}": f"{number}.csv" for number in range(20_000)}
    assert is_refused(read({"url": at("a.json"), **many}))


@pytest.mark.parametrize("value", [[ROW, ROW], "item_reference,p_value\ni1,0.4\n", "several"], ids=str)
def test_only_a_number_is_the_number_of_files_in_an_archive(value: Any) -> None:
    assert is_refused(read({"url": at("a.zip"), "file_count": value}))
    assert names(read({"url": at("a.zip"), "file_count": 7})) == ["a.zip"]


@pytest.mark.parametrize("text", ["3\n", "3\nfiles", "x" * 250, '[{"p_value":0.4}]'])
# Without `hits`: a text under this key is no count, but possible content.
@pytest.mark.parametrize("key", [each for each in COUNTS if each != "hits"])
def test_a_count_that_is_a_text_is_unclear_at_any_place(key: str, text: str) -> None:
    for data, meta in (
        ({"files": [A]}, {key: text}),
        ({"files": [A], key: text}, {}),
        ({"files": [], key: text}, {}),
        ({"rows": [ROW], key: text}, {}),
        ({"files": [A]}, {"paging": {key: text}}),
        ({"files": [A]}, {key: {"value": text}}),
    ):
        if key != "records" or key not in meta:  # `meta.records` has a test of its own
            assert is_refused(read(data, **meta)), (data, meta)


@pytest.mark.parametrize("key", [each for each in KEYS_OF_CONTENT if each not in COUNTS])
def test_a_short_text_further_down_may_describe_the_file(key: str) -> None:
    for data in (*lone(A | {"info": {key: "weekly"}}), *listed(A | {"info": {key: "weekly"}})):
        assert at("a.json") in urls(read(data)), data


class TestObjectsThatAreNoEntries:
    @pytest.mark.parametrize(("key", "kind"), KEYS)
    def test_what_such_an_object_says_is_about_the_reply(self, key: str, kind: Kind) -> None:
        for data in lone({"dataset_id": ID, "url": at("a.json")} | {key: BAD[kind]}):
            reading = read(data)
            if kind == "cursor":
                assert isinstance(reading, Files)
                assert reading.next_cursor == "c2"
            elif key in ("records", "count"):  # as a rule, such a number counts what is in the file
                assert names(reading) == ["a.json"]
            else:
                assert is_refused(reading), data

    @pytest.mark.parametrize(
        "signal",
        [
            *({key: 9} for key in ("file_count", "total", "total_files", "result_files_total", "files", "outputs")),
            *({key: "c2", "page": 2} for key in ("next_token", "continuation")),
            {"has_more": True},
            {"total": {"value": 9}},
            {"paging": {"total": 9}},
            {"meta": {"has_more": True}},
            {"paging": {"unknown": 7}},
            {"pages": {"n": 3}},
            {"next": at("2")},
            {"next_step": "ask for the rest"},
            {"links": {"first": at("1"), "last": at("3")}},
            {"group_path": []},
            {"group_path": ["n"]},
        ],
        ids=str,
    )
    def test_a_signal_in_other_words_is_one(self, signal: dict[str, Any]) -> None:
        for data in lone({"dataset_id": ID, "url": at("a.json"), **signal}):
            assert is_refused(read(data)), data

    def test_a_count_of_all_pages_is_handed_on(self) -> None:
        reading = read({"url": at("a.json"), "next": "c2", "has_more": True, "file_count": 2})
        assert isinstance(reading, Files)
        assert (reading.next_cursor, reading.total) == ("c2", 2)
        last = read({"url": at("b.json"), "page": 2, "has_more": False, "total": 2}, first_page=False)
        assert isinstance(last, Files)
        assert (last.next_cursor, last.total) == (None, 2)

    @pytest.mark.parametrize("key", sorted(LISTING_KEYS | FORMAT_KEYS | TREE_KEYS))
    def test_an_object_or_a_list_of_numbers_may_be_part_of_the_reply(self, key: str) -> None:
        for numbers in ({"x": 1}, [0, 1]):
            for data in lone({"dataset_id": ID, "url": at("a.json"), key: numbers}):
                assert is_refused(read(data)), data

    @cases("more", MORE)
    def test_what_may_be_more_of_the_dataset_is_not_passed_over(self, more: dict[str, Any]) -> None:
        for data in lone({"dataset_id": ID, "url": at("a.json"), **more}):
            assert is_refused(read(data)), data

    @pytest.mark.parametrize("beside", HARMLESS, ids=str)
    def test_what_describes_the_file_changes_nothing(self, beside: dict[str, Any]) -> None:
        for data in lone(A | beside):
            assert names(read(data)) == ["a.json"]

    def test_counts_and_pages_that_agree_change_nothing(self) -> None:
        signals = {"file_count": 1, "total": 1, "page": 1, "pages": 1, "offset": 0, "limit": 50, "has_more": False}
        for data in lone(A | signals):
            assert names(read(data)) == ["a.json"]


class TestEntries:
    @pytest.mark.parametrize(("key", "kind"), KEYS)
    def test_what_an_entry_says_is_about_its_file(self, key: str, kind: Kind) -> None:
        for data in listed(A | {key: BAD[kind]}):
            # What an entry says is about its file. So the result is the same if the list has a next page.
            for reading in (read(data), read(data, next="c3")):
                if kind in ABOUT_THE_FILE or key in SHARES:
                    assert at("a.json") in urls(reading)
                else:
                    assert is_refused(reading), data

    @pytest.mark.parametrize(
        "key",
        [key for key, kind in KEYS if kind not in (*ABOUT_THE_FILE, "cursor", "owner") and key not in SHARES],
    )
    def test_what_a_declared_entry_says_is_noted_too(self, key: str) -> None:
        kind = dict(KEYS)[key]
        assert is_refused(read({"x": [A | {key: BAD[kind]}, B]}, {"files": "data.x", "url": "url"}))

    def test_a_declaration_may_pass_a_cursor_of_an_entry_over(self) -> None:
        data = {"files": [A | {"next_id": 7, "segments": [{"id": 1}]}, B]}
        assert is_refused(read(data))
        assert len(names(read(data, {"files": "data.files", "url": "url"}))) == 2

    @cases("more", MORE)
    def test_what_may_be_more_of_the_dataset_is_not_passed_over(self, more: dict[str, Any]) -> None:
        for data in listed(A | more):
            assert is_refused(read(data)), data

    @pytest.mark.parametrize("beside", HARMLESS, ids=str)
    def test_what_describes_the_file_changes_nothing(self, beside: dict[str, Any]) -> None:
        for data in listed(A | beside):
            assert at("a.json") in urls(read(data))

    def test_counts_and_pages_of_a_file_change_nothing(self) -> None:
        about = {
            "total": 900,
            "file_count": 3,
            "pages": 12,
            "page": 2,
            "offset": 100,
            "stats": {"count": 9, "total": 9},
        }
        for data in listed(A | about | {"group_path": ["n"], "meta": {"total_pages": 3}}):
            assert at("a.json") in urls(read(data))

    def test_an_entry_may_name_another_listed_file(self) -> None:
        assert len(names(read({"files": [A | {"companion": "b.csv"}, B]}))) == 2
        assert "the name of a file" in why(read({"files": [A | {"companion": "c.csv"}, B]}))
        assert len(names(read({"files": [entry("d/a.json", origin=f"r/0099/{ID}/d/a.json"), B]}))) == 2
