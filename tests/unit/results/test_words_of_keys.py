"""Keys by which a reply says that its listing is a part, or is not finished. A key of anything else changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity.results.reading import Empty, Failed, Files, Inline, NotReady, NotUnderstood
from tests.unit.results.replies import AB, ROW, A, B, at, names, read

DECLARED = {"files": "data.files", "url": "url"}
SPELLINGS = (str, str.upper, lambda key: key.title().replace("_", ""), lambda key: key.replace("_", "-"))
# Keys of flags: true says that something is missing, false says that nothing is.
BAD_FLAGS = (
    *("partial_results", "partial_result", "partial_list", "is_partial_listing", "partial_response", "partial_content"),
    *("incomplete_list", "incomplete_listing", "is_incomplete_response", "incomplete_data", "incomplete_files"),
    *("results_partial", "response_incomplete", "listing_partial", "list_is_incomplete", "truncated_results"),
    *("results_truncated", "response_truncated", "partial_files", "exception", "file_error", "errors_in_files"),
    *("retry", "retry_later", "should_retry", "try_again", "wait"),
)
GOOD_FLAGS = (
    *("eof", "is_eof", "end", "at_end", "end_reached", "end_of_files", "end_of_listing", "end_of_results", "exhausted"),
    *("complete_results", "results_complete", "is_complete_listing", "dataset_complete", "response_is_complete"),
    *("list_complete", "no_more", "no_more_files"),
)
# Keys of numbers of files that went wrong: only 0 is fine.
LACKING = (
    *("file_errors", "file_error_count", "errors_in_files", "files_with_errors", "file_failures", "failures_of_files"),
    *("failed_file_count", "num_failed_files", "number_of_failed_files", "total_missing_files", "skipped_files_count"),
    *("lost_files", "files_lost", "corrupt_files", "count_of_skipped_files", "document_errors", "part_failures"),
    *("errored_files", "output_errors", "url_errors", "no_of_failed_files", "chunk_errors", "partial_files"),
)
# Keys of the number of files that are listed.
COUNTS = (
    *("no_of_files", "nr_of_files", "n_of_files", "no_of_results", "file_qty", "file_quantity", "quantity_of_files"),
    *("quantity", "qty", "num_found", "number_found", "total_found", "found_count", "returned_count", "num_returned"),
    *("key_count", "num_keys", "total_keys", "number_of_keys", "keys_found", "listed_count", "total_listed"),
    *("no_of_entries", "no_of_objects", "document_qty", "parts_quantity", "total_number_of_files", "qty_files"),
)
PARTS = ("part", "chunk", "batch", "segment", "shard", "seq", "this_part", "part_number", "chunk_no", "volume")
SHOWN = ("shown", "listed", "available_files", "files_available", "n_files", "shown_files", "hits")
BAD_WORDS = (
    *("error", "failed", "Timeout", "aborted", "partial", "incomplete", "still compiling", "In progress", "pending"),
    *("Failed: no space left", "Error while writing", "being generated", "not ready yet", "2 files were skipped"),
    *("Export finished with errors", "Only the first 100 files are listed", "try again later", "Expired", "queued"),
    *("Failed - disk full", "Failed (disk full)", "Error 500", "Failed: 2", "Failed: no space left"),
    *("Failed: 0 bytes left", "Failed: 2 files", "Failed: no files generated"),
)
GOOD_WORDS = (
    *("ok", "OK", "completed", "success", "Done", "", None, "All good", "Dataset compiled", "Completed, none failed"),
    *("Generated in 12 s", "No errors", "Ready for download", "finished without errors", "200 OK", "green"),
    *("Error: none", "Failed: 0", "Errors: 0", "Failed 0, passed 12", "Failed (0)", "Error analysis by question"),
    *(
        "Failed: 0 files",
        "Failed: 0 users",
        "Failed: 0 of 12",
        "Failed (0 of 12)",
        "Failed: no files",
        "Error: no error",
    ),
)
# What says nothing about the listing.
HARMLESS: tuple[dict[str, Any], ...] = (
    {"partial_credit": True},
    {"partial_scores": 3},
    {"incomplete_sessions": 12},
    {"incomplete_responses": 12},
    {"partial_attempts_included": True},
    {"no_file_errors": True},
    {"no_missing_files": True},
    {"input_file_errors": 3},
    {"scoring_errors": 3},
    {"users_with_errors": 2},
    {"failed_users": 2},
    {"skipped_sessions": 7},
    {"start": "2026-11-01", "end": "2026-11-28"},
    {"end": 1795852800},
    {"end": "2026-11-28"},
    {"end_date": "2026-11-28"},
    {"retry": 3},
    {"retry": {"attempts": 0, "after": None}},
    {"retries": 2},
    {"retry_count": 1},
    {"wait": "12 s"},
    {"wait_seconds": 12},
    {"result": "a dataset of 12 activities"},
    {"result": 1},
    {"result": True},
    {"outcome": "published"},
    {"part": "A"},
    {"part": "1/1"},
    {"part": "1 of 1"},
    {"batch": "2026/11"},
    {"batch": "maths 1 of 2"},
    {"segment": "north/south"},
    {"chunk": 1},
    {"fraction": "1/2"},
    {"ratio": "1/2"},
    {"grade": "1/2"},
    {"shown": "2/2"},
    {"shown": "2 of 2"},
    {"key": "x"},
    {"answer_key": "x"},
    {"key_levels": 2},
    {"no_of_users": 500},
    {"user_qty": 500},
    {"group_quantity": 5},
    {"exception": None, "exceptions": 0},
    {"exceptions": []},
    {"file_errors": {}},
    {"exhaustive": False},
    {"ending": False},
    {"status_code": 200},
    {"status_text": "OK", "result": "success"},
)


def is_whole(about: dict[str, Any]) -> None:
    for results in (None, DECLARED):
        assert names(read({"files": [A, B], **about}, results)) == AB, about
        assert names(read({**about, "files": [A, B]}, results)) == AB, about
        assert names(read({"files": [A, B]}, results, **about)) == AB, about
        assert names(read({"files": [A, B], "job": about}, results)) == AB, about


def is_not_whole(about: dict[str, Any], *, rows: bool = True) -> None:
    refused = NotReady | NotUnderstood | Failed
    for results in (None, DECLARED):
        assert isinstance(read({"files": [A, B], **about}, results), refused), about
        assert isinstance(read({"files": [A, B]}, results, **about), refused), about
    assert isinstance(read({"files": {"a.json": at("a.json")}, **about}), refused), about
    if rows:
        assert isinstance(read({"rows": [ROW], **about}), refused), about


@pytest.mark.parametrize("spelling", SPELLINGS, ids=["snake", "upper", "camel", "dash"])
class TestSpellings:
    @pytest.mark.parametrize("key", BAD_FLAGS)
    def test_a_flag_that_something_is_missing(self, key: str, spelling: Any) -> None:
        for value in (False, None):
            is_whole({spelling(key): value})
        is_not_whole({spelling(key): True})

    @pytest.mark.parametrize("key", GOOD_FLAGS)
    def test_a_flag_that_this_is_all(self, key: str, spelling: Any) -> None:
        for value in (True, None):
            is_whole({spelling(key): value})
        is_not_whole({spelling(key): False})

    @pytest.mark.parametrize("key", LACKING)
    def test_a_number_of_files_that_went_wrong(self, key: str, spelling: Any) -> None:
        for value in (0, None, "0", False):
            is_whole({spelling(key): value})
        for other in (1, "1", True, ["b.csv"]):
            is_not_whole({spelling(key): other})

    @pytest.mark.parametrize("key", COUNTS)
    def test_a_number_of_files(self, key: str, spelling: Any) -> None:
        is_whole({spelling(key): 2})
        for value in (3, "3", 500):
            is_not_whole({spelling(key): value}, rows=False)
        assert not isinstance(read({"files": [], spelling(key): 3}), Empty)

    @pytest.mark.parametrize("key", PARTS)
    def test_a_part_of_several(self, key: str, spelling: Any) -> None:
        for value in ("1/2", "1 of 2", "2/2", "2 / 3", " 1 out of 12 "):
            is_not_part_of_more({spelling(key): value})

    @pytest.mark.parametrize("key", SHOWN)
    def test_some_of_the_files(self, key: str, spelling: Any) -> None:
        for value in ("1/2", "1 of 2", "2/200"):
            is_not_part_of_more({spelling(key): value})
        assert names(read({"files": [A, B], spelling(key): "2/2"})) == AB


def is_not_part_of_more(about: dict[str, Any]) -> None:
    for data in ({"files": [A, B]}, {"rows": [ROW]}):
        for reply in ({**data, **about}, {**about, **data}, {"report": {**data, **about}}, [{**data, **about}]):
            assert isinstance(read(reply), NotUnderstood), reply
        assert isinstance(read(data, **about), NotUnderstood), about
    assert names(read({"files": [A | about, B]})) == AB


class TestTexts:
    @pytest.mark.parametrize("key", ["status_text", "statusMessage", "status_description", "result", "outcome"])
    def test_a_text_that_says_the_state(self, key: str) -> None:
        for value in BAD_WORDS:
            is_not_whole({key: value})
            assert not isinstance(read({"files": [A | {key: value}, B]}), Files), value
        for good in GOOD_WORDS:
            is_whole({key: good})
            assert names(read({"files": [A | {key: good}, B]})) == AB
            assert isinstance(read({"files": [], key: good}), Empty), good

    @pytest.mark.parametrize("key", ["message", "status_text"])
    def test_a_cursor_or_a_declared_count_agrees_with_a_text(self, key: str) -> None:
        assert isinstance(read({"files": [A, B], key: "Page 1 of 3", "next": "c"}), Files)
        counted = DECLARED | {"count": "length(data.files)"}
        for text in ("Page 1 of 3", "2 files failed", "2 files are outstanding", "Export finished with errors"):
            assert names(read({"files": [A, B], key: text}, counted)) == AB
            assert not isinstance(read({"files": [A, B], key: text}), Files)

    def test_the_result_of_a_user_is_none_of_the_dataset(self) -> None:
        for key in ("result", "outcome"):
            assert isinstance(read({"user_id": "u1", "score": 1, key: "failed"}), Inline)
            assert isinstance(read({"rows": [{"user_id": "u1", "score": 1, key: "incomplete"}]}), Inline)
        assert names(read({"result": {"files": [A, B]}})) == AB

    def test_all_parts_are_the_whole(self) -> None:
        parts = {"part": "1/2", "files": [A]}, {"part": "2 of 2", "files": [B]}
        assert names(read({"parts": list(parts)})) == AB
        assert names(read({"one": parts[0], "two": parts[1]})) == AB

    def test_a_part_with_a_cursor_goes_on(self) -> None:
        reading = read({"files": [A, B], "part": "1/2", "next": "c"})
        assert isinstance(reading, Files)
        assert reading.next_cursor == "c"

    @pytest.mark.parametrize("about", HARMLESS, ids=str)
    def test_what_is_about_something_else_changes_nothing(self, about: dict[str, Any]) -> None:
        is_whole(about)
        assert isinstance(read({"rows": [ROW], **about}), Inline), about

    @pytest.mark.parametrize(
        "key",
        [
            *(
                "total_bytes",
                "bytes_total",
                "totalSize",
                "size_total",
                "total_file_size",
                "file_size_total",
                "sum_of_sizes",
            ),
            *("total_size_in_bytes", "size_of_all_files_total", "combined_size", "total_download_size", "overallSize"),
        ],
    )
    def test_a_size_of_all_files_is_that_of_the_listed_ones(self, key: str) -> None:
        one, two = A | {"bytes": 46}, B | {"size": 54}
        for total, is_whole in ((100, True), ("100", True), (99, True), (101, False), ("99999", False), (0, True)):
            for data in (
                {"files": [one, two], key: total},
                {key: total, "files": {"a.json": one, "b.csv": two}},
                {"report": {"files": [one, two]}, key: total},
                {"x": {key: 46, "files": [one]}, "y": {"files": [two], key: 54}, key: total},
            ):
                assert isinstance(read(data), Files) == is_whole, (data, total)
            # In these replies, `total` is not compared with the sizes. One size is not known, or there are more pages,
            # or `total` is about something else, or the number of files is declared.
            assert names(read({"files": [one, B], key: total})) == AB
            assert names(read({"files": [one, two], key: total, "next": "c"})) == AB
            assert names(read({"files": [one, two], key: total}, next="c")) == AB
            assert names(read({"files": [one, two], key: total}, first_page=False)) == AB
            assert names(read({"files": [one, two], "input": {key: total}, "stats": {key: total}})) == AB
            assert names(read({"files": [one | {key: total}, two]})) == AB
            counted = {"files": "data.files", "url": "url", "count": "length(data.files)"}
            assert names(read({"files": [one, two], key: total}, counted)) == AB

    @pytest.mark.parametrize("key", ["quantity", "qty", "key_count", "num_keys", "total_keys"])
    def test_beside_rows_it_counts_something_else(self, key: str) -> None:
        for value in (200, "200", 12):
            assert isinstance(read({"rows": [ROW], key: value}), Inline)
            assert isinstance(read({"rows": [ROW], "x": {key: value}}), Inline)
