"""What a reply says about itself is never passed over: its status, its counts, its further pages."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from learnosity.errors import (
    PermanentApiError,
    TransientApiError,
)
from learnosity.results.reading import (
    Empty,
    Failed,
    Files,
    Inline,
    NotReady,
    NotUnderstood,
    classify,
    understood,
)
from tests.unit.results.replies import (
    GROUP,
    ID,
    OTHER,
    ROW,
    A,
    B,
    at,
    entry,
    names,
    read,
    why,
)

OWNERS = ["dataset_id", "datasetId", "dataset_uuid", "dataset-guid", "dataset_identifier", "dataset_ids"]
FLAGS = ["ready", "complete", "isDone", "completed", "finished", "available", "dt_completed", "success", "ok"]
# How a reply may hold the links to its pages.
LINKS: dict[str, Callable[[list[tuple[str, str | None]]], dict[str, Any]]] = {
    "keys": dict,
    "keys of objects": lambda pairs: {rel: url and {"href": url} for rel, url in pairs},
    "an object": lambda pairs: {"links": dict(pairs)},
    "an object of objects": lambda pairs: {"_links": {rel: url and {"href": url} for rel, url in pairs}},
    "a list": lambda pairs: {"links": [{"rel": rel, "href": url} for rel, url in pairs if url]},
    "a list with titles": lambda pairs: {
        "Links": [{"href": url, "rel": rel, "title": "x"} for rel, url in pairs if url]
    },
    "an object in paging": lambda pairs: {"paging": {"links": dict(pairs)}},
}


class TestSignals:
    @pytest.mark.parametrize(
        "word",
        [
            "queued",
            "running",
            "Pending",
            "PROCESSING",
            "in_progress",
            "not ready",
            "partial",
            "Enqueued",
            "creating",
            "finalizing",
        ],
    )
    def test_a_dataset_that_is_not_finished_is_asked_for_again_also_where_files_are_listed(self, word: str) -> None:
        for data in (
            {"status": word},
            {"state": word, "files": []},
            {"status": word, "files": [A]},
            {"job": {"status": word}, "files": [A]},
            [{"status": word}],
            {"files": [A, entry("b.json", status=word)]},
            {"status": {"code": word}, "files": [A]},
            {"status": word, **GROUP},
            {"status": word, "rows": [ROW]},
        ):
            reading = read(data)
            assert isinstance(reading, NotReady), data
            with pytest.raises(TransientApiError, match="not ready"):
                understood(reading)

    @pytest.mark.parametrize(
        "flag",
        [
            {"ready": False},
            {"completed": False},
            {"is_complete": "false"},
            {"done": 0},
            {"dt_completed": None},
            {"pending": 2},
            {"progress": 40},
            {"progress": "40%"},
            {"message": "The dataset is not ready yet."},
        ],
        ids=str,
    )
    def test_a_flag_says_so_too(self, flag: dict[str, Any]) -> None:
        assert isinstance(read(flag), NotReady)
        assert isinstance(read({**flag, "files": [A]}), NotReady)
        assert isinstance(read({"files": [A]}, **flag), NotReady)

    @pytest.mark.parametrize("key", FLAGS)
    @pytest.mark.parametrize("word", ["pending", "partially", "n", "not yet", "40%", "0.4", "0000-00-00 00:00:00", "f"])
    def test_a_flag_whose_word_is_not_known_is_not_true(self, key: str, word: str) -> None:
        value: Any
        for value in (word, word.upper(), {"value": word}, {"x": {"y": word}}, [word]):
            for data in ({"files": [A], key: value}, {key: value, "rows": [ROW]}, {"files": [A], "job": {key: value}}):
                assert isinstance(read(data), NotUnderstood | NotReady), data
            assert isinstance(read({"files": [A]}, **{key: value}), NotUnderstood | NotReady)
            assert isinstance(read({"files": [A | {key: value}, B]}), NotUnderstood | NotReady)

    @pytest.mark.parametrize("key", [key for key in FLAGS if key not in ("success", "ok", "successful")])
    @pytest.mark.parametrize("value", [False, 0, "false", "N", " no "])
    def test_a_flag_may_stand_in_an_object(self, key: str, value: Any) -> None:
        for inside in (
            {"value": value},
            {"flag": {"is": value}},
            {"at": "2026-11-28", "x": value},
            {"id": 7, "": value},
            {key: value, "x": "y"},
        ):
            # Under another key than that of the flag (`x`), 0 is no flag: it is a number of something. With a
            # declaration, no value under such a key is a flag.
            is_flag = "x" not in inside or key in inside
            assert isinstance(read({"files": [A], key: inside}), NotReady) == (is_flag or type(value) is not int), (
                inside
            )
            for data in ({"x": [A], "job": {key: inside}}, {"x": [A | {key: inside}]}):
                assert isinstance(read(data, {"files": "data.x", "url": "url"}), NotReady) == is_flag

    @pytest.mark.parametrize("key", FLAGS)
    @pytest.mark.parametrize(
        "value",
        [
            *(True, 1, 2, 1.0, "true", "YES", "y", "on", "ready", "Completed", "ok", "100%", "3"),
            *("2026-11-28 07:00:00", "2026-11-28T07:00:00.123Z", "2026-11-28T07:00:00+01:00", "28/11/2026"),
            *("Sat, 28 Nov 2026 07:00:00 GMT", "28 November 2026, 7:00 am", "1795852800", 1795852800),
        ],
    )
    def test_a_flag_may_be_a_word_or_a_time(self, key: str, value: Any) -> None:
        each: Any
        for each in (value, {"value": value}, {"at": "2026-11-28", "id": "x", "value": value}, {"status": "done"}, {}):
            assert names(read({"files": [A, B], key: each})) == ["a.json", "b.csv"], each
            assert names(read({"files": [A, B]}, **{key: each})) == ["a.json", "b.csv"]
            assert names(read({"files": [A | {key: each}, B]})) == ["a.json", "b.csv"]
        assert names(read({key: {"files": [A, B]}})) == ["a.json", "b.csv"]

    @pytest.mark.parametrize("key", ["pending", "running", "is_running", "processing", "in_progress", "pending_files"])
    def test_what_is_pending_may_be_a_word(self, key: str) -> None:
        for value in ("yes", "true", "1", "running", "partly", "c.json", "2026-11-28 07:00", 0.5):
            assert isinstance(read({"files": [A], key: value}), NotUnderstood | NotReady), value
        for other in ("no", "none", "", "0", "done", None, False, 0):
            assert names(read({"files": [A], key: other})) == ["a.json"], other

    @pytest.mark.parametrize(
        "value",
        [
            {"value": 40}, {"completed": 3, "of": 10}, {"done": 3, "total": 10}, {"x": {"y": "40%"}}, [40], "running",
            {"value": "3/10"}, {"state": "running"}, {"step": "export"}, {"percent": 40, "x": "y"},
            {"value": 1, "of": 100},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_progress_may_be_an_object(self, value: Any) -> None:
        for results in (None, {"files": "data.files", "url": "url"}):
            if results and value == {"step": "export"}:  # a declaration accepts a status that is not known
                continue
            for data, meta in (({"files": [A], "progress": value}, {}), ({"files": [A]}, {"progress": value})):
                if not (results and meta and value == [40]):
                    assert isinstance(read(data, results, **meta), NotReady | NotUnderstood), data
            assert isinstance(read({"files": [A | {"progress": value}, B]}, results), NotReady | NotUnderstood)

    @pytest.mark.parametrize(
        "value",
        [
            *(100, "100%", "100.0 %", 1, 1.0, "done", None, {"value": 100, "unit": "%"}, {"completed": 10, "of": 10}),
            *({"percent": 100, "step": "export"}, {"value": "100", "updated": 1795852800}, {"x": None}, {}, []),
            *({"done": 2, "total": 2}, {"at": "2026-11-28 07:00:00"}, {"status": "completed", "queue": 7}),
        ],
        ids=str,
    )
    def test_a_progress_that_is_whole_changes_nothing(self, value: Any) -> None:
        assert names(read({"files": [A, B], "progress": value})) == ["a.json", "b.csv"]
        assert names(read({"files": [A | {"progress": value}, B]})) == ["a.json", "b.csv"]

    @pytest.mark.parametrize("key", ["message", "messages", "notice", "detail", "reason"])
    def test_a_message_may_stand_in_an_object_or_a_list(self, key: str) -> None:
        value: Any
        for value in (
            {"text": "still processing, try again"},
            {"x": {"title": "Not ready yet"}},
            ["still processing…"],
        ):
            for results in (None, {"files": "data.files", "url": "url"}):
                assert isinstance(read({"files": [A]}, results, **{key: value}), NotReady), value
                if not isinstance(value, list):
                    assert isinstance(read({"files": [A], key: value}, results), NotReady), value
        assert names(read({"files": [A], key: {"text": "done"}}, **cast(dict[str, Any], {key: ["done"]}))) == ["a.json"]

    @pytest.mark.parametrize("word", ["failed", "halted", "Error", "cancelled"])
    def test_a_dataset_that_failed_is_a_permanent_error(self, word: str) -> None:
        reading = read({"status": word, "files": [A]})
        assert isinstance(reading, Failed)
        with pytest.raises(PermanentApiError, match="no dataset to land"):
            understood(reading)

    @pytest.mark.parametrize(
        "count",
        [
            {"file_count": 3},
            {"total": 3},
            {"count": 3},
            {"total_files": "3"},
            {"files_count": 3.0},
            {"total": 1},
            {"count": "many"},
            {"paging": {"total": 3}},
            {"results": 3},
        ],
        ids=str,
    )
    def test_a_count_that_differs_from_what_was_found_is_not_understood(self, count: dict[str, Any]) -> None:
        assert isinstance(read({**count, "files": [A, B]}), NotUnderstood)
        assert isinstance(read({**count, "rows": [ROW, ROW]}), NotUnderstood)

    def test_a_count_is_about_the_object_that_it_stands_in(self) -> None:
        data = {"json": {"count": 2, "files": [A, entry("c.json")]}, "csv": {"count": 1, "files": [B]}, "total": 3}
        assert len(names(read(data))) == 3
        data["csv"]["count"] = 2  # type: ignore[index]
        assert "`count` is 2" in why(read(data))

    @pytest.mark.parametrize(
        ("records", "right"), [(2, True), (1, True), ("2", True), (3, False), (0, False), ("x", False)]
    )
    def test_meta_counts_the_records_of_the_page_or_one_object(self, records: Any, right: bool) -> None:
        assert isinstance(read({"files": [A, B]}, records=records), Files if right else NotUnderstood)

    def test_a_cursor_is_handed_on_wherever_it_stands(self) -> None:
        for data, meta in (
            ({"files": [A]}, {"next": "1729854752.211087"}),
            ({"files": [A], "next": "1729854752.211087"}, {}),
            ({"files": [A], "next_cursor": "1729854752.211087", "has_more": True}, {}),
            ({"files": [A], "paging": {"continuation_token": "1729854752.211087"}}, {}),
            ({"files": [A], "next": "1729854752.211087"}, {"next": "1729854752.211087"}),
        ):
            reading = classify({"status": True, **meta}, data, dataset_id=ID)
            assert isinstance(reading, Files)
            assert reading.next_cursor == "1729854752.211087"

    def test_a_page_number_is_sent_as_a_text(self) -> None:
        reading = read({"files": [A], "next_page": 2})
        assert isinstance(reading, Files)
        assert reading.next_cursor == "2"

    @pytest.mark.parametrize(
        "signal",
        [
            {"has_more": True},
            {"hasNext": 1},
            {"truncated": True},
            {"is_truncated": "true"},
            {"remaining": 5},
            {"pages": 3},
            {"page": 1, "total_pages": 2},
            {"last": False},
            {"page": 2},
            {"offset": 100},
            {"limit": 1},
            {"next": "https://api.example/2"},
            {"next": {"href": "https://api.example/2"}},
            {"next": "/v1/x?page=2"},
            {"next": True},
            {"next": 0},
            {"links": {"next": at("2")}},
            {"_links": {"next": {"href": at("2")}}},
            {"links": [{"rel": "next", "href": at("2")}]},
            {"links": {"first": at("1"), "last": at("3")}},
        ],
        ids=str,
    )
    def test_a_page_that_is_not_the_last_and_names_no_cursor_is_not_understood(self, signal: dict[str, Any]) -> None:
        assert isinstance(read({**signal, "files": [A]}), NotUnderstood)

    @pytest.mark.parametrize("form", LINKS, ids=LINKS)
    @pytest.mark.parametrize("first", ["first", "self"])
    @pytest.mark.parametrize("spelling", ["{0}", "{1}", "{0}_page", "{0}Page", "{0}_link"])
    def test_links_to_the_first_and_the_last_page_say_whether_there_are_more(
        self, form: str, first: str, spelling: str
    ) -> None:
        page = f"https://api.example/reports/datasets/{ID}?page="
        for last, is_whole in (("3", False), ("1", True), ("1\n", True)):
            pairs = [(first, f"{page}1"), ("prev", None), ("last", page + last)]
            box = LINKS[form]([(spelling.format(rel, rel.title()), url) for rel, url in pairs])
            for data, meta in (({"files": [A], **box}, {}), ({**box, "files": [A]}, {}), ({"files": [A]}, box)):
                reading = classify({"status": True, **meta}, data, dataset_id=ID)
                assert isinstance(reading, Files) == is_whole, (data, meta)
            declared = read({"x": {"files": [A], **box}}, {"files": "data.x.files", "url": "url"})
            # With a declaration, a text right under `last` has to be a flag. An address there is not understood, so the
            # reply is refused, also where it is whole.
            if form != "keys" or not is_whole:
                assert isinstance(declared, Files) == is_whole
            assert isinstance(read({"rows": [ROW], **box}), Inline) == is_whole
            if not is_whole:
                assert not isinstance(read({"url": at("a.json"), **box}), Files)
                # Here the next page can be requested.
                assert isinstance(read({"files": [A], **box}, next="c"), Files)

    def test_the_links_of_the_first_page_decide(self) -> None:
        page = f"https://api.example/reports/datasets/{ID}"
        for box in ({"self": page, "first": f"{page}?page=1", "last": f"{page}?page=1"}, {"last": page}):
            for links in (box, [{"rel": rel, "href": url} for rel, url in box.items()]):
                assert names(read({"files": [A], "links": links})) == ["a.json"]
                assert names(read({"files": [A]}, links=links)) == ["a.json"]

    @pytest.mark.parametrize("listing", [[A, B], []], ids=["files", "no files"])
    @pytest.mark.parametrize(
        "signal",
        [
            *({word: "1/3"} for word in ("page", "pages", "limit", "offset", "total_pages", "per_page", "last_page")),
            *({word: {"n": 3}} for word in ("page", "pages", "limit", "offset", "total_pages", "total", "file_count")),
            *({word: [1, 3]} for word in ("page", "pages", "offset", "total_pages", "total", "paging")),
            {"pages": "1 of 3"},
            {"page": "first"},
            {"page": True},
            {"limit": 1.5},
            {"page": {"number": 1, "of": 3}},
            {"page": {"number": 1, "of": "three"}},
            {"page": {"number": {"value": 1}, "of": 1}},
            {"page": {"current": 2}},
            {"page": {"at": "1/3"}},
            {"paging": {"at": 1, "of": 3}},
            {"paging": {"unknown": 7}},
            {"paging": {"total_pages": {"n": 3}}},
            {"total": {"value": 5}},
            {"is_last": "false"},
            {"is_last": "perhaps"},
            {"last": 3},
            {"has_more": {"value": True}},
            {"next_info": {"id": "x"}},
            {"next_step": "ask for the rest"},
            {"next_files": ["c.json"]},
        ],
        ids=str,
    )
    def test_a_word_about_pages_with_a_value_that_is_not_understood_is_an_error(
        self, signal: dict[str, Any], listing: list[Any]
    ) -> None:
        assert isinstance(read({"files": listing, **signal}), NotUnderstood)
        assert isinstance(read({**signal, "files": listing}), NotUnderstood)
        assert isinstance(read({"files": listing}, **signal), NotUnderstood)
        assert isinstance(read({"report": {"files": listing, **signal}}), NotUnderstood)
        assert isinstance(read({"files": listing, **signal}, {"files": "data.files", "url": "url"}), NotUnderstood)

    @pytest.mark.parametrize(
        "signal",
        [
            {"page": {"size": 20, "number": 0, "totalElements": 2, "totalPages": 1}},
            {"page": {"number": 1, "of": 1}},
            {"page": None, "pages": "", "limit": None, "offset": 0, "last_page": None},
            {"paging": {"page": 1, "per_page": 50, "total_pages": "1", "total_count": 2, "next": None, "sort": "name"}},
            {"pagination": {"links": {"self": at("x.json")}, "has_more": False}},
            {"total": {"value": 2, "relation": "eq"}},
            {"total": {"files": 2, "bytes": 4711}},
            {"is_last": "true", "next_id": None, "next_update": "", "scroll_id": None, "more_pages": False},
            {"number_of_results": 2, "file_total": "2", "limited": False, "total_bytes": 4711, "file_size_total": 99},
            {"previous_cursor": "c", "first_file_id": 17},
        ],
        ids=str,
    )
    def test_a_word_about_pages_that_agrees_with_what_was_found_changes_nothing(self, signal: dict[str, Any]) -> None:
        for reading in (
            read({"files": [A, B], **signal}),
            read({**signal, "files": [A, B]}),
            read({"files": [A, B]}, **signal),
            read({"files": [A, B], **signal}, {"files": "data.files", "url": "url"}),
        ):
            assert len(names(reading)) == 2
            assert isinstance(reading, Files)
            assert reading.next_cursor is None

    @pytest.mark.parametrize("thing", ["file", "result", "entry", "object"])
    @pytest.mark.parametrize(
        "form",
        [
            "total_{0}_count", "{0}_total", "total_{1}", "number_of_{1}", "total_number_of_{1}", "{0}_count",
            "{1}_count", "num_{1}", "count_of_{1}", "{1}_in_total", "nb_{1}", "{1}_found", "all_{1}_count",
        ],
    )  # fmt: skip
    def test_a_key_made_of_words_for_a_number_and_for_a_file_is_a_count(self, form: str, thing: str) -> None:
        many = {"entry": "entries"}.get(thing, f"{thing}s")
        snake = form.format(thing, many)
        for key in (snake, snake.replace("_", "-").upper(), snake.title().replace("_", "")):
            assert f"`{key}` is 5" in why(read({"files": [A, B], key: 5}))
            assert "not a whole number" in why(read({"files": [A, B], key: "1 of 5"}))
            assert len(names(read({"files": [A, B], key: 2}))) == 2

    @pytest.mark.parametrize(
        "key",
        [
            "LastEvaluatedKey", "next_id", "next_page_number", "next_batch", "scroll_id", "resume_token", "nextPageKey",
            "page_token", "list_cursor", "nextContinuationToken", "next_start", "cursor",
        ],
    )  # fmt: skip
    def test_a_key_of_a_cursor_in_other_words_is_one(self, key: str) -> None:
        for reading in (read({"files": [A], key: "c"}), read({"files": [A]}, **cast(dict[str, Any], {key: "c"}))):
            assert isinstance(reading, Files)
            assert reading.next_cursor == "c"
        assert isinstance(read({"files": [A], key: {"id": "c"}}), NotUnderstood)
        assert isinstance(read({"rows": [ROW], key: "c"}), NotUnderstood)

    @pytest.mark.parametrize(
        "key", ["more_pages", "limited", "has_more_files", "more_items", "list_truncated", "isLimited", "files_limited"]
    )
    def test_a_flag_in_other_words_is_one(self, key: str) -> None:
        assert "there is more" in why(read({"files": [A, B], key: True}))
        assert isinstance(read({"rows": [ROW], key: "yes"}), NotUnderstood)

    @pytest.mark.parametrize("key", [*OWNERS, "dataset", "DATASET_REF", "dataset_reference", "dataset_key"])
    def test_another_dataset_is_recognised_by_any_key_that_names_one(self, key: str) -> None:
        value: Any
        for value in (OTHER, OTHER.upper(), {"id": OTHER}, {"x": {"uuid": OTHER}}, [OTHER]):
            for results in (None, {"files": "data.files", "url": "url"}):
                if not isinstance(value, list) or key in OWNERS:
                    assert "another dataset" in why(read({"files": [A], key: value}, results)), value
                    assert "another dataset" in why(read({"files": [A | {key: value}, B]}, results)), value
                assert "another dataset" in why(read({"files": [A]}, results, **{key: value})), value
            assert isinstance(read({"rows": [ROW], key: value}), NotUnderstood)
        for value in (ID, ID.upper(), {"id": ID}, {"id": ID, "type": "t"}, None, {}):
            for results in (None, {"files": "data.files", "url": "url"}):
                assert names(read({"files": [A], key: value}, results, **{key: value})) == ["a.json"], value
                assert names(read({"files": [A | {key: value}]}, results)) == ["a.json"], value

    @pytest.mark.parametrize("key", OWNERS)
    def test_a_value_that_is_no_id_of_this_dataset_is_that_of_another(self, key: str) -> None:
        for value in ("999", 999, "x" * 90, {"id": "999"}, {"name": "x", "x": [7]}):
            assert "another dataset" in why(read({"files": [A], key: value})), value
        assert names(read({"files": [A], key: ID.replace("-", "")})) == ["a.json"]

    @pytest.mark.parametrize("id_key", ["id", "uuid", "GUID", "identifier", "dataset_id", "dataset_uuid"])
    @pytest.mark.parametrize("key", ["dataset", "datasets", "Dataset"])
    def test_an_object_under_a_key_for_datasets_may_have_the_id_of_another(self, key: str, id_key: str) -> None:
        for of in (OTHER, ID):
            for beside in ({"files": [A]}, {"items": [ROW]}, {"url": at("a.json")}, {"x": {"a.json": at("a.json")}}):
                data: Any = {id_key: of, **beside}
                for reply in ({key: data}, {"report": {key: data}}, {key: [data]}, {key: {of: beside}}):
                    if reply == {key: [data]} and "url" in beside and id_key in ("id", "uuid", "GUID", "identifier"):
                        continue  # a list of files, each with an id of its own
                    assert isinstance(read(reply), Files | Inline) == (of == ID), reply
            declared = read({key: {id_key: of, "files": [A]}}, {"files": f"data.{key}.files", "url": "url"})
            assert isinstance(declared, Files) == (of == ID)
        both = [{id_key: ID, "files": [A]}, {id_key: OTHER, "files": [B]}]
        assert isinstance(read({key: both}), NotUnderstood)

    def test_the_key_dataset_may_hold_something_else(self) -> None:
        for value in ("The dataset of May", "activity-summary-by-group", 17, True, {"id": 17}, {"name": "May"}):
            assert names(read({"files": [A], "dataset": value})) == ["a.json"]
        for key in ("kurs", "курс", "编号", "—", "", "k" * 81):  # no key for an id, in any alphabet
            assert names(read({"files": [A], "dataset": {key: OTHER}})) == ["a.json"], key
        # If an object also has the id of the dataset, its `id` is something else. So is the `id` of a listed file.
        assert names(read({"dataset": {"id": OTHER, "dataset_id": ID, "files": [A]}})) == ["a.json"]
        assert names(read({"datasets": [A | {"id": OTHER}, B | {"id": ID}]})) == ["a.json", "b.csv"]
        assert why(read({"files": [A], "dataset": "z.json"}))

    def test_on_an_empty_page_the_number_of_pages_says_whether_there_is_more(self) -> None:
        for page, pages, more in ((2, 3, True), (3, 3, False), (None, 3, True)):
            reading = read({"files": [], "page": page, "pages": pages}, next="c", first_page=False)
            assert isinstance(reading, Empty)
            assert reading.more is more

    def test_two_cursors_are_one_too_many(self) -> None:
        assert "two different" in why(read({"files": [A], "next": "2"}, next="3"))

    def test_a_total_of_all_pages_is_handed_on_for_the_caller_to_compare(self) -> None:
        first = read({"files": [A], "total": 2, "count": 1}, next="c")
        last = read({"files": [B], "total": 2, "count": 1}, first_page=False)
        assert isinstance(first, Files)
        assert isinstance(last, Files)
        assert first.total == last.total == 2

    @pytest.mark.parametrize("data", [[], {}, None, {"files": []}])
    def test_after_the_first_page_an_empty_one_is_the_end(self, data: Any) -> None:
        assert isinstance(read(data, first_page=False), Empty)

    @pytest.mark.parametrize("data", [{"rows": [ROW]}, GROUP, {"a.json": ROW}])
    def test_content_in_several_pages_is_not_understood(self, data: Any) -> None:
        assert "goes on" in why(read(data, next="c")) or "go on" in why(read(data, next="c"))


PARTS = (
    "Only the first 3 of 200 files are listed.",
    "Listing truncated to 3 files.",
    "Results are incomplete.",
    "The result list was cut off after 2 entries.",
    "Partial results.",
    "This is a partial list",
    "Incomplete listing",
    "Showing 2 of 200 files",
    "2 out of 1,200 result files",
    "Only 2 URLs are shown.",
    "198 files are not listed.",
    "More files are available.",
    "More results exist",
    "Listing capped at 2",
    "The list of files is truncated",
    "Results were silently truncated to 1000 files.",
    "Results are capped at 1,000 files",
    "The listing has been cut short",
    "Output is only partial",
    "Do not use these partial results",
    "Not all is here: more files follow",
    "Only the first 10 entries are shown",
    "Results capped at 1000",
    "Results are truncated at 10,000.",
    "Output truncated after 10000000 bytes",
    "The list of users is incomplete",
    "Result files truncated",
    "Output files are incomplete",
    "Results shown here are partial",
    "Results of the report are truncated",
    "Results truncated at 5 MB",
    "Results capped at 500 users",
    "All scores are in. Results are capped at 100.",
    "Truncated at 2 files",
    "Truncated after the first 1,000 results.",
    "Only the first 2 of 200 rows",
    "Showing 2 of 200 questions.",
    "2 of 200 rows are returned, as asked for",
    "Of all sessions. Only 2 out of 1,200 items are listed.",
)
WHOLE = (
    "3 of 200 users had no group.",
    "Partial credit is counted in the results.",
    "Results with partial credit",
    "Results include partial scores and incomplete sessions",
    "2 of 2 files",
    "2 of the 2 result files are listed.",
    "1 of 2 files is empty",
    "3 of 200 input files had no users",
    "3 of 200 items returned errors.",
    "Only 3 of 200 questions had enough sessions.",
    "Statistics are there for 3 of 200 items.",
    "200 of 200 rows are shown",
    "Input was truncated after 100 rows",
    "Names are truncated to 20 characters",
    "200 input files are not listed here",
    "Only the first attempt of each user is included.",
    "Only the first 3 attempts of a session are returned.",
    "Only one file was needed.",
    "Incomplete sessions are left out.",
    "Partial results of sessions count as attempted",
    "No more files",
    "All files are listed.",
    "No more files are available.",
    "No more results available",
    "There are no more files to come",
    "There aren't any more files to come",
    "The results list is not truncated.",
    "Results are not partial.",
    "Listing complete, not truncated",
    "This is not a partial list",
    "No files were left out.",
    "None of the results are incomplete",
    "Scores in the output are capped at 100.",
    "All marks of the results were capped at 10",
    "Result files are truncated to 64 characters",
    "Results were rounded and capped at 100.",
    "Output values truncated to two decimals",
    "Long names in output are truncated to 64 characters.",
    "Results for incomplete sessions are excluded",
    "Incomplete results are excluded.",
    "Partial results were not counted.",
    "Only the first 10 characters of entries are shown",
)


class TestParts:
    @pytest.mark.parametrize("key", ["message", "notice", "detail", "notes"])
    @pytest.mark.parametrize("text", PARTS)
    def test_a_remark_that_this_is_a_part_refuses_the_reply(self, text: str, key: str) -> None:
        value: Any
        results = {"files": "data.files", "url": "url"}
        for value in (text, text.upper(), [text], {"text": text}):
            for data in ({"files": [A, B]}, {"rows": [ROW]}, GROUP, {"files": {"a.json": at("a.json")}}):
                assert "is a part" in why(read({**data, key: value})), data
                assert "is a part" in why(read(data, **{key: value})), data
            assert "declare `count`" in why(read({"files": [A, B]}, results, **{key: value}))
            for counted in ({"count": "length(data.files)"}, {"count": "data.n"}):
                assert len(names(read({"files": [A, B], "n": 2, key: text}, results | counted, **{key: value}))) == 2
            assert isinstance(read({"rows": [ROW], key: text}, {"inline": "data"}, **{key: value}), Inline)
        assert names(read({"files": [A | {key: text}, B]})) == ["a.json", "b.csv"]

    @pytest.mark.parametrize("text", WHOLE)
    def test_a_remark_about_something_else_changes_nothing(self, text: str) -> None:
        for value in (text, text.upper(), [text]):
            assert names(read({"files": [A, B], "message": text}, message=value)) == ["a.json", "b.csv"]
            assert isinstance(read({"rows": [ROW], "notes": text}), Inline)

    @pytest.mark.parametrize(
        "key", ["final", "is_final", "isFinal", "complete_listing", "listing_complete", "is_list_complete"]
    )
    def test_a_listing_that_is_not_complete_is_a_part(self, key: str) -> None:
        results = {"files": "data.files", "url": "url"}
        data: dict[str, Any]
        value: Any
        for value in (False, 0, "no", "false"):
            for data in ({"files": [A, B]}, {"rows": [ROW]}, {"x": {"files": [A, B]}}):
                assert "is false" in why(read({**data, key: value}))
                assert "is false" in why(read(data, **cast(dict[str, Any], {key: value})))
            data = {"files": [A, B], key: value}
            assert "declare `count`" in why(read(data, results))
            assert names(read(data, results | {"count": "length(data.files)"}))
        for value in (True, 1, "yes", None, "2026-11-28 07:00:00"):
            assert names(read({"files": [A, B], key: value})) == ["a.json", "b.csv"]

    @pytest.mark.parametrize("key", ["overflow", "overflowed", "has_overflow"])
    def test_an_overflow_is_more(self, key: str) -> None:
        assert "there is more" in why(read({"files": [A, B], key: True}))
        assert names(read({"files": [A, B], key: False})) == ["a.json", "b.csv"]

    @pytest.mark.parametrize("key", ["bookmark", "continue", "cursor_next", "after_id", "afterKey", "cursorAfter"])
    def test_other_words_for_a_cursor(self, key: str) -> None:
        for reading in (read({"files": [A], key: "abc"}), read({"files": [A]}, **cast(dict[str, Any], {key: "abc"}))):
            assert isinstance(reading, Files)
            assert reading.next_cursor == "abc"
        assert isinstance(read({"rows": [ROW], key: "abc"}), NotUnderstood)
        for nothing in (None, "", False):
            assert names(read({"files": [A], key: nothing})) == ["a.json"]

    @pytest.mark.parametrize(
        "key",
        [
            "available_files",
            "files_available",
            "filesInDataset",
            "files_of_the_listing",
            "total_parts_in_dataset",
            "all_files",
            "n_files",
            "nUrls",
            "shown_files",
            "expected",
            "listed",
            "shown",
            "hits",
        ],
    )
    def test_other_words_for_a_count(self, key: str) -> None:
        for data in ({"files": [A, B]}, {"files": [A, B], "x": {"y": 1}}):
            for number, right in ((200, False), ("200", False), (2, True)):
                assert isinstance(read({**data, key: number}), Files) == right
                assert isinstance(read(data, **cast(dict[str, Any], {key: number})), Files) == right
        assert not isinstance(read({"files": [], key: 3}), Empty)
        assert not isinstance(read({"url": A["url"], key: 3}), Files)
        for other in (True, "until 2026-12-01", None, "yes"):
            assert isinstance(read({"files": [A, B], key: other}), Files), other
        # Beside rows, such a key counts something else than the rows. So its number is not compared.
        for number in (200, "200", 12):
            for rows in ({"questions": [ROW]}, {"rows": [ROW]}, {"x": {"items": [ROW]}}):
                assert isinstance(read({**rows, key: number}), Inline)
                assert isinstance(read({**rows, "stats": {key: number}}), Inline)
            assert isinstance(read({"x": [ROW], key: number}, {"inline": "data.x"}), Inline)

    @pytest.mark.parametrize(
        "more",
        [{"part": 1, "of": 3}, {"page": "1", "of": "3"}, {"chunk": 1, "out_of": 2}, {"Segment": 2, "Of": 2}],
        ids=str,
    )
    def test_one_of_several_parts_is_a_part(self, more: dict[str, Any]) -> None:
        for data in ({"files": [A, B]}, {"rows": [ROW]}):
            for reply in ({**data, **more}, {"report": {**data, **more}}, [{**more, **data}]):
                assert isinstance(read(reply), NotUnderstood), reply
            assert isinstance(read(data, **more), NotUnderstood)

    def test_the_only_part_and_all_parts_are_the_whole(self) -> None:
        assert names(read({"files": [A, B], "part": 1, "of": 1})) == ["a.json", "b.csv"]
        assert names(read({"files": [A, B], "of": 3})) == ["a.json", "b.csv"]
        for several in (
            {"parts": [{"part": 1, "of": 2, "files": [A]}, {"part": 2, "of": 2, "files": [B]}]},
            {"one": {"part": 1, "of": 2, "files": [A]}, "two": {"part": 2, "of": 2, "files": [B]}},
            {"files": [A | {"part": 1, "of": 2}, B | {"part": 2, "of": 2}]},
        ):
            assert names(read(several)) == ["a.json", "b.csv"]

    @pytest.mark.parametrize(
        "warning",
        [
            "Version v2025.2.LTS is deprecated.",
            "This endpoint reaches its end of life in 2027",
            "Use v2026.3.LTS.",
            "You are using a deprecated version of the Data API (v2024.1.LTS). Its support ends on 31 March 2027.",
            "v2024.1.LTS is deprecated and will be removed on 2027-01-01.",
            "Version v2025.2.LTS reaches end of life on December 31, 2026.",
            "v2024.1.LTS will reach end of life on 31st December 2026.",
            "This version of the Data API is deprecated. Please upgrade to v2026.1.LTS before 31 December 2026.",
            "The version you are using is deprecated. We recommend upgrading to the latest LTS.",
            "The requested version v2024.1.LTS is deprecated.",
            "API version v2024.1.LTS is no longer supported after 2026-12-31: deprecated",
            "DEPRECATED: v2024.1.LTS",
            "v2024.1.LTS is deprecated, see the release notes",
            "The v1 endpoint is deprecated. Use v2.",
            "Deprecation notice: v2024.1.LTS sunset date 2027-06-30T00:00:00Z",
            "Data API v2024.1.LTS has reached end-of-life and is unsupported",
            "The API version (v2024.1.LTS) you requested is deprecated. The latest version is v2026.3.LTS.",
            "Support for v2024.1.LTS will end on 1 Jan 2027.",
            "v2024.1.LTS will be sunset in Q1 2027",
            "Your version will be deprecated in 30 days. Please upgrade.",
            "This endpoint has been deprecated in favour of v2026.1.LTS",
            "Deprecated version: v2024.1.LTS. Current version: v2026.1.LTS.",
            "This version is end of life, and its support has ended",
            "v2024.1.LTS is deprecated and will be removed in a future release.",
            "This API version is deprecated and will be removed in a future version.",
            "v2024.1.LTS is being deprecated.",
            "v2024.1.LTS is being sunset on 2027-01-01. You must upgrade.",
            "v2024.1.LTS is deprecated. You should upgrade to v2026.1.LTS.",
            "v2024.1.LTS is deprecated and will be removed soon",
            "Older versions are deprecated, and the next release is v2026.3.LTS.",
            "Please note: v2024.2.LTS is deprecated and scheduled for removal. Use /v2026.1.LTS/reports/datasets",
            "Version 2024.1.LTS is deprecated as of March 1st, 2026; see the documentation",
            "v2024.1.LTS: end of support 31/12/2026",
            "Version v2022.1.LTS was deprecated on 31/12/2024 and is no longer supported.",
            "Version v2022.1.LTS was deprecated on 2024-12-31 and is no longer supported.",
            "v2022.1.LTS is supported until 31/12/2024 and will no longer be supported after.",
        ],
    )
    def test_a_warning_about_the_api_is_none_about_the_dataset(self, warning: str) -> None:
        value: Any
        for value in (warning, [warning], {"api": warning}, [warning, None]):
            for key in ("warning", "warnings"):
                assert names(read({"files": [A, B], key: value})) == ["a.json", "b.csv"]
                assert names(read({"files": [A, B]}, **{key: value})) == ["a.json", "b.csv"]
                assert isinstance(read({"rows": [ROW]}, **{key: value}), Inline)
        for other in ("One file is missing.", f"{warning} Only 2 of 200 files are listed.", 7, True):
            for value in (other, [other], [warning, other]):
                assert not isinstance(read({"files": [A, B]}, warnings=value), Files)

    @pytest.mark.parametrize(
        "warning",
        [
            "Generated with v2023.1.LTS; 3 groups failed.",
            "Sessions with deprecated question types were skipped.",
            "Deprecated items are excluded.",
            "Incomplete: v2023.1.LTS does not export all groups",
            "v2023.1.LTS is deprecated. Some groups are missing.",
            "Sunset Valley district could not be exported",
            "Deprecated: 3 of 200",
            "v2025.2.LTS is deprecated; 3 files are missing",
            "Export failed for one file: v2025.2.LTS",
            "12 sessions of deprecated activities were skipped",
            "Deprecated fields: some users could not be exported",
            "The dataset is incomplete (deprecated endpoint)",
            "End of support: results omitted",
            "Deprecated users removed",
            "Deprecated: removed",
            "3 deprecated removed",
            "Deprecated in v2025.2.LTS: 3",
            "12 deprecated",
            "After the end of support, nothing was counted in v2024.1.LTS",
            "Deprecated version: data of 2025 not included",
            "Please use next until the end is reached (v2026.1.LTS).",
            "Upgrade your plan to see 2025 (v2026.1.LTS)",
            "Your plan supports the latest quarter (v2026.1.LTS)",
            "The year you requested is no longer supported in v2026.1.LTS.",
            "The current month is unsupported in v2026.1.LTS.",
            "March 2025 and before are no longer supported (v2026.1.LTS)",
            "Before 2025-01-01 is no longer supported (v2026.1.LTS)",
            "The start is before 2025-01-01, which is unsupported (v2026.1.LTS)",
            "Q2 and Q4 are unsupported in v2026.1.LTS",
            "Q3 is deprecated",
            "No update in 30 days (v2026.1.LTS)",
            "The next update is scheduled for 1 Dec 2026 (v2026.1.LTS)",
            "12 may no longer be supported (v2026.1.LTS)",
            "2024 is no longer supported (v2026.1.LTS)",
            "2024-12-31 is no longer supported.",
            "31/12/2024 is no longer supported.",
            "31.12.2024 and before are no longer supported",
            "2045 deprecated",
            "Deprecated: 2000 of 2045",
            "v2026.1.LTS: from 2026-01-01 to 2026-03-31",
            "As of 2026-11-01 (v2026.1.LTS)",
            "No update since 2026-11-01 (v2026.1.LTS)",
            "There are more responses. Use next to read further (v2026.1.LTS).",
            "There is more (v2026.1.LTS).",
            "v2026.1.LTS: more responses will come later.",
            "The response is still being updated (v2026.1.LTS).",
            "The latest responses are still to come (v2026.1.LTS).",
            "The request ended before all responses were read (v2026.1.LTS).",
            "The request ended before the end was reached (v2026.1.LTS).",
            "No responses were read during the maintenance on 28 Nov 2026 (v2026.1.LTS).",
            "No responses were read after 2026-11-01 (v2026.1.LTS).",
            "Responses before 2025-01-01 are no longer supported (v2026.1.LTS).",
            "Older responses are no longer supported in v2026.1.LTS.",
            "Responses older than 2025-01-01 are unsupported: deprecated.",
            "Responses before 2025-01-01 have reached end of life.",
            "The requested period has been changed to the last year: older responses are deprecated.",
            "In v2026.1.LTS the requested period was replaced by the last month.",
            "The requested information is no longer supported in v2026.1.LTS.",
            "2045 responses are unsupported (v2026.1.LTS).",
            "Unsupported responses were replaced (v2026.1.LTS).",
            "Responses were last updated on 2026-11-01 (v2026.1.LTS).",
            "Responses declined 12 (v2026.1.LTS)",
            "Deprecated: 3 may be removed",
            "Responses before 2025-01-01 may be removed (deprecated)",
            "Deprecated: responses of 12 to 31 March 2026",
            "v2026.1.LTS: no response from the reports API",
            "v2026.1.LTS: no reply within 30 days",
            "The request was stopped before it ended (v2026.1.LTS)",
            "Timeout (v2026.1.LTS)",
            "No response (v2026.1.LTS)",
            "No further responses (v2026.1.LTS)",
            "No information for 2025 (v2026.1.LTS)",
            "Calls were changed during the request (v2026.1.LTS)",
            "Use next for more (v2026.1.LTS)",
            "Here is a link to the next (v2026.1.LTS)",
            "Responses changed during the request, request it once more (v2026.1.LTS)",
            "Deprecated responses will not be included",
            "2026.1 responses deprecated",
            "v2025.2.LTS: responses marked 12 were replaced",
            "Deprecated: updates after 2026-11-28 will follow later",
            "This response is of 2026-11-01. The latest will be released on 1 Dec 2026 (v2026.1.LTS).",
            "During maintenance from 27 to 29 November 2026 no responses were read (v2026.1.LTS)",
            "v2026.1.LTS: the link has ended. Request it once more.",
            "Declined 12 (v2026.1.LTS)",
            "Deprecated: separated 12",
            "v2026.1.LTS: marked 30",
            "These will be removed (deprecated)",
            "No updates after 2026-11-01 (v2026.1.LTS)",
            "The requested date is unsupported (v2026.1.LTS)",
            "The requested months are no longer supported (v2026.1.LTS)",
            "All before 2025-01-01 is no longer supported (v2026.1.LTS)",
            "Stopped after 30 days (v2026.1.LTS)",
            "It ended on 2026-11-01 (v2026.1.LTS)",
            "The latest updates will be released on 1 Dec 2026 (v2026.1.LTS)",
            "Use an older date (v2026.1.LTS)",
            "Months before March 2025 are no longer supported (v2026.1.LTS)",
        ],
    )
    def test_a_warning_that_names_a_version_may_be_about_the_dataset(self, warning: str) -> None:
        for data in ({"files": [A, B]}, {"rows": [ROW]}):
            assert isinstance(read({**data, "warnings": [warning]}), NotUnderstood)
            assert isinstance(read(data, warning=warning), NotUnderstood)
            assert isinstance(read({**data, "warnings": {"skipped": "v2024.1.LTS is deprecated"}}), NotUnderstood)

    def test_a_remark_of_many_digits_is_read_in_little_time(self) -> None:
        began = time.process_time()
        for remark in ("1," * 50_000, "2 of 200 rows " * 7_000, "1 of " + "the " * 25_000):
            read({"files": [A, B], "message": remark})
        assert time.process_time() - began < 10

    def test_files_that_are_listed_elsewhere_are_missed_beside_rows(self) -> None:
        assert isinstance(read({"rows": [ROW], "listed_files": 200}), NotUnderstood)

    @pytest.mark.parametrize(
        "about_the_call",
        [
            {"rate_limit": {"limit": 1000, "remaining": 998, "reset": 5}},
            {"quota": 2},
            {"next_lts": "v2026.3.LTS", "nextRelease": "2027-03", "next_maintenance": "2026-12-01 02:00"},
        ],
        ids=str,
    )
    def test_what_is_said_of_the_call_is_not_said_of_the_list(self, about_the_call: dict[str, Any]) -> None:
        assert names(read({"files": [A, B]}, **about_the_call)) == ["a.json", "b.csv"]
        assert names(read({"files": [A, B], **about_the_call})) == ["a.json", "b.csv"]

    def test_numbers_by_format_are_added_under_any_key(self) -> None:
        for key in ("files_by_type", "formats", "types"):
            assert names(read({"files": [A, B], key: {"json": 1, "csv": 1}})) == ["a.json", "b.csv"]
            assert "were found" in why(read({"files": [A, B], key: {"json": 2, "csv": 1}}))
        assert names(read({"files": [A, B], "rows_by_type": {"json": 200, "csv": 100}})) == ["a.json", "b.csv"]
        for key in ("statistics", "stats"):  # they do not say what they count, so it need not be the files
            for one, other in ((12345, 99), (1, 1), ("1", "1"), (1.0, 1.0)):
                assert names(read({"files": [A, B], key: {"json": one, "csv": other}})) == ["a.json", "b.csv"]
            assert "were found" in why(read({"files": [], key: {"json": 3}}))
            assert isinstance(read({"files": [], key: {"json": 0}}), Empty)

    @pytest.mark.parametrize("key", ["groups", "children"])
    def test_a_number_of_a_format_is_no_list_of_groups(self, key: str) -> None:
        assert "not a list" in why(read({"group_path": [], key: {"csv": 0}}))

    @pytest.mark.parametrize("key", ["total_hits", "totalHits", "hit_count", "hitCount"])
    def test_a_total_of_hits_is_compared_with_files_and_rows(self, key: str) -> None:
        for data in ({"files": [A, B]}, {"users": [ROW, ROW]}):
            for number, right in ((500, False), ("500", False), (2, True), (None, True)):
                assert isinstance(read({**data, key: number}), Files | Inline) == right, (data, number)

    @pytest.mark.parametrize(
        "thing", ["results", "objects", "entries", "items", "elements", "records", "rows", "users"]
    )
    @pytest.mark.parametrize("form", ["{}_in_dataset", "{}_available", "available_{}", "total_{}_of_the_dataset"])
    def test_a_number_of_what_a_dataset_has_is_none_of_files(self, form: str, thing: str) -> None:
        key = form.format(thing)
        assert isinstance(read({"files": [A, B], key: 500}), Files)
        assert isinstance(read({"questions": [ROW], key: 500}), Inline)

    def test_a_number_of_what_a_dataset_has_may_be_of_users(self) -> None:
        assert isinstance(read({"files": [A, B], "users_in_dataset": 40, "items_available": 60}), Files)
