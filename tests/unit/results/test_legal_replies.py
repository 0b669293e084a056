"""Replies that are legal and plausible. A check that is meant for other replies must not refuse one of these."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity.results.reading import Empty, Files, Group, Inline, Reading
from tests.unit.results.replies import ID, ROW, A, B, at, entry, read

G, G2 = ({"group_name": name, "population": 3, "mean_score": 2.5} for name in ("north", "south"))
BOTH = {"files": [A, B]}


def kind(reading: Reading) -> Any:
    """The class of what is read, or why it is not understood."""
    return getattr(reading, "why", type(reading))


def meta(key: str, value: Any) -> dict[str, Any]:
    """What `meta` of the reply says."""
    return {key: value}


class TestTexts:
    @pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
    def test_a_mark_inside_a_value_ends_no_line(self, mark: str) -> None:
        json_mark = mark if ord(mark) >= 32 else " "  # JSON allows no control character in a text
        lines = "".join(f'{{"user_id":"u{json_mark}{number}","score":1}}\n' for number in range(2))
        for text in (lines, lines.replace("\n", "\r\n"), lines.strip(), lines.replace("\n", "\r")):
            assert kind(read({"files": [{"name": "a.ndjson", "content": text, "row_count": 2}]})) is Inline
        table = f"user_id,score\nu{mark}x,1\nu2,2\n"
        for number in (2, 3):
            assert kind(read({"files": [{"name": "a.csv", "content": table, "row_count": number}]})) is Inline
        assert "length" in kind(read({"files": [{"name": "a.csv", "content": table, "row_count": 4}]}))

    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    @pytest.mark.parametrize("cell_end", ["\n", "\r\n", "\n\n", "\r"])
    @pytest.mark.parametrize("mark", [",", ";", "\t"])
    def test_a_cell_in_quotes_may_have_line_breaks(self, mark: str, cell_end: str, end: str) -> None:
        rows = ("user_id,score,x", f'u1,1,"a{cell_end}b ""c"""', "u2,2,d", f'"u{cell_end}3",3,')
        table = end.join(rows).replace(",", mark)
        for number in (3, 4):
            for text in (table, table + end):
                assert kind(read({"files": [{"name": "a.csv", "content": text, "row_count": number}]})) is Inline
        for number in (2, 9):
            assert "length" in kind(read({"files": [{"name": "a.csv", "content": table, "row_count": number}]}))

    def test_a_table_of_one_column_may_have_line_breaks_in_quotes(self) -> None:
        table = 'item_reference\n"a\nb"\n"c"\n'
        for number in (2, 3):
            assert kind(read({"files": [{"name": "a.csv", "content": table, "row_count": number}]})) is Inline
        assert "length" in kind(read({"files": [{"name": "a.csv", "content": table, "row_count": 5}]}))

    def test_a_json_text_sequence_is_no_content_that_can_be_read(self) -> None:
        text = '\x1e{"item_reference":"i1","p_value":0.4}\n' * 2
        assert kind(read({"files": [{"name": "a.ndjson", "content": text}]})) is not Inline

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
    def test_a_line_end_at_the_end_of_a_short_text_begins_no_second_line(self, end: str) -> None:
        for reply in ({"files": [A, B], "xyz": f"ok{end}"}, {"files": [A | {"xyz": f"ok{end}"}, B]}):
            assert kind(read(reply)) is Files
        assert kind(read({"url": at("a.json"), "xyz": f"ok{end}"})) is Files
        assert kind(read({"files": [A, B], "xyz": f"ok{end}ok"})) is not Files


class TestStatistics:
    @pytest.mark.parametrize("field", ["population", "group_count", "count_sessions", "count_attempted"])
    def test_a_documented_count_beside_files_is_still_understood(self, field: str) -> None:
        data: Any
        for number in (0, 5000):
            for data in (BOTH | {field: number}, {field: number, "x": BOTH}, {"files": {"a.json": A, field: number}}):
                assert kind(read(data)) is Files, data

    @pytest.mark.parametrize("field", ["population", "count_sessions", "mean_score", "p_value", "score"])
    @pytest.mark.parametrize("key", ["files", "items", "results"])
    def test_a_measure_of_nothing_beside_an_empty_list_is_still_understood(self, field: str, key: str) -> None:
        data: Any
        for nothing in (0, 0.0, None):
            for data in ({field: nothing, key: []}, {"data": {field: nothing, key: []}}):
                assert kind(read(data)) is Empty, data
        assert kind(read({field: 3, key: []})) is not Empty

    @pytest.mark.parametrize("key", ["user_count", "total_users", "users_total", "number_of_students"])
    def test_a_group_whose_users_are_further_down_is_still_understood(self, key: str) -> None:
        view = {"group_path": [], "groups": [G, G2], "users": [], key: 6}
        for data in (view, {"dataset_group": view}, view | {"group_path": ["n"], "group": {**G, "population": 6}}):
            assert kind(read(data)) is Group, data
        assert kind(read({**view, "groups": []})) is not Group


# What the entry of a list of files may say about its file.
ABOUT_A_FILE: tuple[dict[str, Any], ...] = (
    {"columns": [{"name": "user_id", "type": "string"}]},
    {"levels": [{"key": "district", "label": "District"}], "group_levels": [{"level": 1, "name": "district"}]},
    {"activities": [{"id": "a1"}], "sort": [{"field": "score", "order": "desc"}], "permissions": [{"read": True}]},
    {"history": [{"at": "2026-11-28", "event": "created"}]},
    {"rows": [0, 99], "parts": [1, 2], "range": {"rows": [0, 99]}},
    {"rows": {"from": 0, "to": 99}, "users": {"count": 5}, "records": {"total": 5, "failed": 0}, "items": {"count": 3}},
    {"lines": {"count": 9}, "groups": {"count": 5}, "children": {"count": 0}},
    {"source": "0.ndjson"},
    {"input_file": "0.ndjson"},
    {"original_filename": "users.csv", "source_files": ["users.csv"], "uploaded_file": {"name": "users.csv"}},
    {"next_refresh": "2026-12-01", "next_update": "2026-12-01", "next_expiry": 12, "next_run_at": 1795852800},
    {"note": "If the link has expired, try again."},
    {"message": "Not available in CSV, which is in progress", "details": {"text": "not available in CSV"}},
    {"percent": 50, "percentage": 33.3},
)


def listed(entry: dict[str, Any]) -> list[Any]:
    return [{"files": [entry, B]}, {"files": [entry]}, [entry, B], {"a.json": entry, "b.csv": B}]


class TestEntries:
    @pytest.mark.parametrize("about", ABOUT_A_FILE, ids=str)
    def test_what_describes_a_file_is_still_understood(self, about: dict[str, Any]) -> None:
        for data in listed(A | about):
            assert kind(read(data)) is Files, data

    @pytest.mark.parametrize("key", ["next_refresh", "nextUpdate", "next_expiry", "next_run", "next_sync_at"])
    def test_a_next_time_is_no_next_page(self, key: str) -> None:
        assert kind(read(BOTH | {key: "2026-12-01"})) is Files
        assert kind(read(BOTH, **meta(key, "2026-12-01"))) is Files

    @pytest.mark.parametrize(
        "key", ["items", "item_count", "total_items", "results", "total_results", "pages", "page", "total", "limit"]
    )
    def test_each_of_several_formats_says_something_about_its_file(self, key: str) -> None:
        data = {"json": {"url": A["url"], key: 40}, "csv": {"url": B["url"], key: 40}}
        for reply in (data, {"files": data}, {"x": data}):
            assert kind(read(reply)) is Files, reply

    @pytest.mark.parametrize("key", ["items", "item_count", "total_items", "results", "total_results", "result_count"])
    def test_what_a_lone_file_has_in_it_is_still_understood(self, key: str) -> None:
        assert kind(read({"dataset_id": ID, "url": A["url"], key: 40})) is Files


class TestFolders:
    @pytest.mark.parametrize("key", ["folder_count", "subfolder_count", "subfolders", "child_count", "directory_count"])
    def test_a_leaf_without_folders_is_still_understood(self, key: str) -> None:
        data: Any
        leaf = {"name": "n", "files": [A], key: 0}
        for data in ({"folders": [leaf]}, {"folders": [leaf, {"name": "s", "files": [B], "folders": [], key: 0}]}):
            assert kind(read(data)) is Files, data
        for data in ({"children": [leaf, B]}, {"folders": [{"name": "n", "children": [A], key: 0}]}):
            assert kind(read(data)) is Files, data
        assert kind(read({"folders": [leaf | {key: 3}]})) is not Files
        assert kind(read({"folders": [leaf], "folder_count": 1, "directories_total": 1})) is Files

    @pytest.mark.parametrize("number", [1, 2])
    def test_folders_in_names_are_counted_at_the_top_or_all(self, number: int) -> None:
        for paths in (("n/a.json", "n/s/b.json"), ("n/s/a.json", "n/s/b.json")):
            files = [entry(path) for path in paths]
            assert kind(read({"files": files, "folder_count": number})) is Files
            assert kind(read({"files": files, "folder_count": 3})) is not Files


ROWS = [ROW, ROW | {"item_reference": "i2"}]
USERS = [{"user_id": "u1", "score": 3}, {"user_id": "u2", "score": 4}]


class TestCounts:
    @pytest.mark.parametrize("key", ["total_users", "user_count", "users_total", "number_of_users", "student_count"])
    def test_users_beside_rows_of_questions_are_a_statistic(self, key: str) -> None:
        for place in ("items", "results", "rows", "questions"):
            assert kind(read({place: ROWS, key: 500})) is Inline
        assert kind(read(ROWS, **meta(key, 500))) is Inline
        for place in ("items", "results", "rows", "users"):
            assert "is 500, and 2 were found" in kind(read({place: USERS, key: 500}))

    @pytest.mark.parametrize(
        "key", ["chunks", "total_chunks", "total_parts", "batches", "segments", "output_count", "file_count"]
    )
    def test_content_is_one_part(self, key: str) -> None:
        data: Any
        for data in ({"rows": ROWS}, {"users": USERS}, {"report": {"items": ROWS}}):
            assert kind(read({**data, key: 1})) is Inline
            assert kind(read(data, **meta(key, 1))) is Inline
            assert kind(read({**data, key: 3})) is not Inline
        assert kind(read({"group_path": [], "groups": [G, G2], key: 1})) is Group
        assert kind(read({"group_path": [], "groups": [G, G2]}, **meta(key, 1))) is Group
        assert kind(read({"files": [{"name": "a.json", "content": USERS, key: 1}]})) is Inline
        for data in ({"files": [A, B]}, {"files": []}):
            assert kind(read({**data, key: 1})) not in (Files, Empty)

    def test_a_count_of_nested_rows_is_still_understood(self) -> None:
        group = {"group_name": "n", "users": USERS}
        questions = [{"question_reference": "q1", "score": 1}, {"question_reference": "q2", "score": 1}]
        contents: tuple[tuple[Any, dict[str, int]], ...] = (
            ([group], {"user_count": 2}),
            ([group, {"group_name": "s", "users": USERS[:1]}], {"user_count": 3, "groups_total": 2}),
            ([{**USERS[0], "questions": questions}], {"question_count": 2, "user_count": 1}),
        )
        for content, counts in contents:
            assert kind(read({"files": [{"name": "g.json", "content": content, **counts}]})) is Inline, counts
            assert kind(read({"g": content, **counts}, {"inline": "data.g"})) is Inline, counts
        assert kind(read({"g": [group], "groups_total": 2}, {"inline": "data.g"})) is not Inline

    @pytest.mark.parametrize("key", ["total_results", "entries", "rows", "total", "count", "records", "question_count"])
    def test_a_count_in_meta_is_compared_with_the_declared_rows(self, key: str) -> None:
        assert kind(read(ROWS, {"inline": "data"}, **meta(key, 2))) is Inline
        assert kind(read({"rows": ROWS}, {"inline": "data.rows"}, **meta(key, 2 if key != "records" else 1))) is Inline
        if key != "records":
            assert kind(read(ROWS, {"inline": "data"}, **meta(key, 7))) is not Inline
            assert kind(read({"rows": ROWS}, {"inline": "data"}, **meta(key, 2))) is Inline

    def test_the_message_has_the_number_of_the_thing_that_is_compared(self) -> None:
        reply = {"group_path": [], "groups": [G, G2], "users": USERS[:1], "user_count": 6}
        assert "its `user_count` is 6, and 1 were found" in kind(read(reply))


class TestOthers:
    @pytest.mark.parametrize("key", ["parts", "contents", "listing", "chunks", "batches"])
    def test_a_reply_of_one_part_is_still_understood(self, key: str) -> None:
        assert kind(read(BOTH, **meta(key, 1))) is Files

    @pytest.mark.parametrize("key", ["resources", "items"])
    def test_a_count_of_another_thing_in_meta_is_still_understood(self, key: str) -> None:
        assert kind(read(BOTH, **meta(key, 40))) is Files
        assert kind(read(BOTH, **meta(key, 2))) is Files

    def test_the_first_row_below_a_header_is_the_first(self) -> None:
        assert kind(read(BOTH | {"start_row": 2})) is Files
        for later in ({"start_row": 3}, {"start": 2}, {"start_index": 2}):
            assert kind(read(BOTH | later)) is not Files

    @pytest.mark.parametrize("text", ["user_id,score\nu1,3", "user_id,score\nu1,3\n"])
    def test_a_text_may_lack_the_line_end_that_its_size_counts(self, text: str) -> None:
        whole = f"{text.strip()}\n"
        for size in (len(text), len(whole), len(whole.replace("\n", "\r\n")), 3):
            assert kind(read({"files": [{"name": "a.csv", "content": text, "bytes": size}]})) is Inline, size
        assert kind(read({"files": [{"name": "a.csv", "content": text, "bytes": len(text) + 9}]})) is not Inline

    def test_the_name_of_a_next_file_is_no_cursor(self) -> None:
        assert "does not list" in kind(read({"dataset_id": ID, "url": A["url"], "next_file": "b.json"}))


# What may stand beside the groups, users or questions of a reply: nothing, or an object of plain values.
PLAIN_OBJECTS: tuple[Any, ...] = (
    None,
    {"key": "d", "label": "D"},
    {"reference": "x"},
    {"id": 6},
    {"start": "2026-11-01", "end": "2026-11-28"},
    {"name": "Math", "id": "a1"},
)
BESIDE = ("users", "ancestors", "parent", "level", "levels", "activity", "activity_id", "period", "organisation", "x")


class TestBesideRows:
    @pytest.mark.parametrize("value", PLAIN_OBJECTS, ids=str)
    @pytest.mark.parametrize("key", BESIDE)
    def test_what_stands_beside_rows_lands_with_them(self, key: str, value: Any) -> None:
        data: Any
        root = {"group_path": [], "group": {"group_name": "all"}, "groups": [G, G2]}
        if key != "users" or value is None:
            for data in (root, {"dataset_group": root}, {"groups": [G]}, {"results": root}):
                for reply in ({**data, key: value}, {key: value, **data}):
                    assert kind(read(reply)) is Group, reply
        for place in ("rows", "questions", "items", "users"):
            if key != place and (key != "users" or value is None):
                assert kind(read({place: USERS if place == "users" else ROWS, key: value})) is Inline, place
                assert kind(read({"results": {place: ROWS, key: value}})) is Inline, place

    @pytest.mark.parametrize("key", ["levels", "group_levels", "hierarchy", "hierarchyLevels"])
    def test_the_levels_of_the_hierarchy_are_no_groups(self, key: str) -> None:
        levels = [{"key": "district", "label": "District"}, {"key": "school", "label": "School"}]
        for data in ({"group_path": [], "groups": [G]}, {"dataset_group": {"users": USERS}}):
            assert kind(read({**data, key: levels})) is Group
        assert kind(read({**BOTH, key: levels})) is Files
        for other in ([{"key": "north"}], [*levels, {"group_name": "n"}], ["north"]):
            assert kind(read({"group_path": [], "groups": [G], key: other})) is not Group

    @pytest.mark.parametrize("key", ["groups", "subgroups", "children", "child_groups", "group", "parent"])
    def test_a_leaf_may_say_by_null_that_it_has_no_groups(self, key: str) -> None:
        leaf = {"group_path": ["n"], "users": USERS, key: None}
        for data in (leaf, {"dataset_group": leaf}, {"dataset_group": {"users": USERS, key: None}}):
            assert kind(read(data)) is Group, data
        if key != "children":
            assert kind(read({"group_path": None, key: None} | {"groups": [G, G2]})) is Group

    @pytest.mark.parametrize("value", PLAIN_OBJECTS, ids=str)
    @pytest.mark.parametrize("key", ["result_urls", "report_files", "signed_urls", "csv_files", "outputs", "files"])
    def test_what_stands_beside_a_list_of_files_is_no_missing_file(self, key: str, value: Any) -> None:
        for beside in ("activity", "activity_id", "level", "organisation", "period"):
            assert kind(read({key: [A, B], beside: value})) is Files, beside
            assert kind(read({"report": {beside: value, key: [A, B]}})) is Files, beside
        # Beside another list of files, such a value may stand in the place of a list, whose files would be missing.
        for other in ("math_files", "other_urls"):
            assert kind(read({"some_files": [A, B], other: value})) is not Files
        for named in ({"north": [A], "south": value}, {"files": {"csv_files": [A], "south": value}}):
            assert kind(read(named)) is not Files
        for empty in ({"north": {"files": []}, "south": value}, {"files": {"x": {"items": []}, "y": value}}):
            assert kind(read(empty)) is not Empty

    @pytest.mark.parametrize(
        "nothing",
        [
            None,
            {"url": None},
            {"url": ""},
            {"file": None, "bytes": 0},
            {"name": "b.json"},
            {"path": "x/b.csv"},
            {"of": {"size": 3}},
            {"name": "Math", "signed_url": None},
        ],
    )
    @pytest.mark.parametrize(
        "key", ["profiles", "user_profiles", "student_outputs", "report_files", "json_urls", "x_links"]
    )
    def test_a_file_that_is_missing_beside_other_files_is_not_lost(self, key: str, nothing: Any) -> None:
        for one in (A, {"url": A["url"]}, {"a.json": A}):
            for data in ({key: one, "summaries": nothing}, {"report": {"summaries": nothing, key: one}}):
                assert kind(read(data)) is not Files, data
        if nothing is not None:
            assert kind(read({key: [A, B], "summaries": nothing})) is not Files

    def test_a_null_of_the_same_family_is_a_missing_list(self) -> None:
        for key, other in (("part1_files", "part2"), ("part_1_urls", "part_2"), ("user_files", "users")):
            assert kind(read({key: [A, B], other: None})) is not Files
            assert kind(read({key: [A, B], other: {"id": 6}})) is not Files
        assert kind(read({"result_urls": [A, B], "users": None, "activity": None})) is Files

    def test_an_object_with_a_name_beside_a_list_of_files_is_no_missing_file(self) -> None:
        for key, value in (
            ("activity", {"name": "Math", "id": "a1"}),
            ("schema", {"name": "x", "fields": ["a"]}),
            ("created_by", {"name": "x", "id": "u"}),
            ("menu", {"path": "North/Maths"}),
        ):
            assert kind(read({"file_urls": [A, B], key: value})) is Files, key


LEVELS = [{"key": "district", "label": "District"}]
# Fields of the request that a reply repeats beside `file_count`. Then `file_count` is a field of the request, too: the
# number of input files.
ECHOED: tuple[dict[str, Any], ...] = (
    {"dataset_type": "activity-summary-by-group"},
    {"groups": LEVELS},
    {"dataset_id": ID, "dataset_type": "t", "groups": LEVELS, "filters": {"x": 1}, "options": {}},
)


class TestInputFiles:
    @pytest.mark.parametrize("key", ["file_count", "fileCount"])
    @pytest.mark.parametrize("number", [0, 1, 4, "7", 100])
    @pytest.mark.parametrize("echo", ECHOED, ids=str)
    def test_the_number_of_input_files_is_none_of_result_files(
        self, echo: dict[str, Any], number: Any, key: str
    ) -> None:
        data: Any
        record = {**echo, key: number}
        declaration = {"files": "data.files", "url": "url"}
        for data in (BOTH | record, record | BOTH, {"dataset": record, **BOTH}, {"dataset": record | BOTH}):
            assert kind(read(data)) is Files, data
        for data in (BOTH | record, {"dataset": record, **BOTH}):
            assert kind(read(data, declaration)) is Files, data
        assert kind(read({**record, "url": A["url"]})) is Files
        assert kind(read({**record, "users": USERS})) in (Inline, Group)
        if "groups" not in echo:
            assert kind(read({**record, "group_path": [], "groups": [G, G2]})) is Group
            assert kind(read(BOTH, **record)) is Files
        assert kind(read({**record, "files": []})) is Empty

    def test_a_group_may_repeat_the_number_of_input_files(self) -> None:
        assert kind(read({"group_path": [], "groups": [G, G2], "file_count": 4})) is Group
        assert kind(read({"group_path": ["n"], "users": USERS, "file_count": 4})) is Group

    def test_an_archive_is_one_file_and_holds_several(self) -> None:
        for name in ("all.zip", "all.tar.gz", "all.tgz"):
            assert kind(read({"download_url": entry(name)["url"], "file_count": 3})) is Files
        assert kind(read({"download_url": A["url"], "file_count": 3})) is not Files

    @pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tgz"])
    def test_one_archive_of_several_is_a_part(self, suffix: str) -> None:
        for name in (
            "part-1",
            "part1",
            "export.part01",
            "r-part-00000-ab",
            "r_1_of_3",
            "results-002",
            "r_00",
            "r-3-of-12",
            "chunk_7",
            "vol.2",
        ):
            assert kind(read({"download_url": at(f"{name}{suffix}"), "file_count": 3})) is not Files, name
        for name in (
            "all",
            "results-2026-11-28",
            "results_20261128",
            "department",
            f"ibk-{ID}",
            "year-12-maths",
            "export_2026",
            "students_nov_2026",
            "grade_5",
            "dataset-12",
            "results-2",
        ):
            assert kind(read({"download_url": at(f"{name}{suffix}"), "file_count": 3})) is Files, name

    def test_a_number_that_cannot_be_that_of_the_request_is_compared(self) -> None:
        for data in (BOTH | {"file_count": 4}, BOTH | {"dataset_type": "t", "file_count": 101}):
            assert "declare `count`" in kind(read(data))
        assert kind(read(BOTH | {"dataset_type": "t", "total_files": 4})) is not Files
        assert kind(read(BOTH | {"dataset_type": "t", "file_count": "many"})) is not Files
        assert kind(read({"dataset": {"dataset_type": "t"}, "file_count": 4, **BOTH})) is not Files
