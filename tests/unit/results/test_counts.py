"""A count of what a reply lists, in whatever words, agrees with it. A statistic is no such count."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity.results.content import MEASURES, ROW_FIELDS
from learnosity.results.reading import Empty, Failed, Files, Group, Inline, NotReady, NotUnderstood, Reading
from tests.unit.results.replies import ROW, A, B, at, cases, entry, names, read, why

USERS = [{"user_id": "u1", "score": 1}, {"user_id": "u2", "score": 2}]
NORTH_SOUTH = [{"group_name": "north"}, {"group_name": "south"}]
LEAF = {"group_path": ["n"], "users": USERS}
ROOT = {"group_path": [], "groups": NORTH_SOUTH}
FORMS = (
    *("total_{0}", "{0}_total", "{0}_count", "num_{0}", "number_of_{0}", "total_number_of_{0}", "count_of_{0}"),
    *("nb_{0}", "{0}_found", "all_{0}_count", "{0}_in_total"),
)
FILE_THINGS = ("url", "uri", "document", "doc", "chunk", "part", "batch", "output", "segment", "shard", "artifact")


def spellings(form: str, thing: str) -> list[str]:
    many = {"batch": "batches", "child": "children"}.get(thing, f"{thing}s")
    keys = []
    for word in (thing, many):
        snake = form.format(word)
        keys += [snake, snake.upper().replace("_", "-"), snake.title().replace("_", "")]
    return keys


def is_read(reading: Reading) -> bool:
    return isinstance(reading, Files | Inline | Group | Empty)


class TestWords:
    @pytest.mark.parametrize("thing", FILE_THINGS)
    @pytest.mark.parametrize("form", FORMS)
    def test_a_count_of_parts_is_one_of_files(self, form: str, thing: str) -> None:
        number: Any
        for key in spellings(form, thing):
            for number, right in ((9, False), ("9", False), (2, True), ("2", True), ("many", False), ({"n": 9}, False)):
                assert is_read(read({"files": [A, B], key: number})) == right, (key, number)
                assert is_read(read({"files": [A, B]}, **{key: number})) == right, (key, number)

    @pytest.mark.parametrize("thing", ["row", "line", "user", "student", "learner"])
    @pytest.mark.parametrize("form", FORMS)
    def test_a_count_of_rows_or_users_is_compared_with_them(self, form: str, thing: str) -> None:
        number: Any
        nothing: dict[str, Any]
        for key in spellings(form, thing):
            for number, right in ((5000, False), ("5000", False), (2, True), ("many", False), ({"n": 9}, False)):
                for data in ({"rows": USERS}, {"report": {"items": USERS}}, LEAF, {"users": USERS}):
                    assert is_read(read({**data, key: number})) == right, (key, number, data)
                    assert is_read(read(data, **{key: number})) == right, (key, number, data)
                declared = read({"x": USERS, key: number}, {"inline": "data.x"})
                assert is_read(declared) == right, (key, number)
                # Beside files, the number is that of the rows or users in the files. So it is not compared.
                assert names(read({"files": [A, B], key: number})) == ["a.json", "b.csv"]
                assert names(read({"url": at("a.json"), key: number})) == ["a.json"]
                # Beside rows of questions, a count of users is a statistic, and is not compared. A count of rows is
                # compared: there is one row, and none of these numbers is 1.
                for beside in ({"questions": [ROW]}, {"rows": [ROW]}, {"items": [ROW]}):
                    if not isinstance(number, dict):
                        assert is_read(read({**beside, key: number})) == (thing not in ("row", "line"))
            for nothing in ({"items": []}, {"items": [], "folders": []}, {"files": [], "children": []}):
                assert is_read(read(nothing))
                assert not is_read(read({**nothing, key: 5}))

    @pytest.mark.parametrize("form", FORMS)
    def test_a_count_of_groups_or_questions_is_compared_with_them(self, form: str) -> None:
        number: Any
        for thing, data in (("group", ROOT), ("question", {"rows": [ROW, ROW]})):
            for key in spellings(form, thing):
                if key in ROW_FIELDS:
                    continue
                for number, right in ((7, False), (2, True), ("many", False)):
                    assert is_read(read({**data, key: number})) == right, (key, number)
                    assert is_read(read(data, **{key: number})) == right, (key, number)
                assert is_read(read({"users": USERS, key: 7}))
                assert is_read(read({"rows": USERS, key: 7}))
                assert is_read(read({"files": [A], key: 7}))
                assert is_read(read({**LEAF, key: 0}))
                assert is_read(read({**LEAF, key: 7})) == (thing == "question")

    @pytest.mark.parametrize("box", ["stats", "statistics", "x", "summary"])
    def test_a_total_beside_a_page_or_a_smaller_number_that_was_returned_is_of_the_listing(self, box: str) -> None:
        files = [A, B]
        for total in ("total", "total_items", "total_records"):
            for pages in ({"page": 1, "per_page": 100}, {"returned": 2}, {"listed": 2}, {"offset": 0}):
                for data in (
                    {"files": files, box: {total: 500, **pages}},
                    {box: {**pages, total: 500}, "files": files},
                ):
                    assert not is_read(read(data)), data
                    assert not is_read(read(data, {"files": "data.files", "url": "url"}))
                assert is_read(read({"files": files, box: {total: 2, **pages}}))
        if box in ("stats", "statistics"):
            for stated in ({"total": 500}, {"total": 500, "returned": 500}, {"total_users": 500, "returned_users": 3}):
                assert is_read(read({"files": files, box: stated})), stated

    @pytest.mark.parametrize("box", ["listing", "list", "file_list", "filesList"])
    def test_a_count_of_items_in_the_object_of_a_listing_is_of_its_files(self, box: str) -> None:
        for key in ("total_items", "item_count", "total_records", "record_count"):
            for place in ("entries", "files", "urls"):
                files = [A, B] if place != "urls" else [A["url"], B["url"]]
                assert not is_read(read({box: {place: files, key: 500}}))
                assert is_read(read({box: {place: files, key: 2}}))
        # Beside rows, `item_count` may count the items that the rows are about: here, two rows are about one item.
        rows = [{"item_reference": "i1", "question_reference": f"q{n}", "p_value": 0.4} for n in (1, 2)]
        assert is_read(read({box: {"questions": rows, "item_count": 1}}))

    @pytest.mark.parametrize("thing", ["child", "subgroup", "folder"])
    @pytest.mark.parametrize("form", ["total_{0}", "{0}_count", "num_{0}", "number_of_{0}"])
    def test_a_count_of_children_is_that_of_the_same_object(self, form: str, thing: str) -> None:
        for key in spellings(form, thing):
            assert is_read(read({**ROOT, key: 2})), key
            assert is_read(read({"group_path": [], "groups": ["n", "s"], key: 2}))
            assert is_read(read({"group_path": [], "districts": NORTH_SOUTH, key: 2}))
            assert is_read(read({**LEAF, key: 0}))
            assert not is_read(read({**ROOT, key: 5}))
            assert not is_read(read({**LEAF, key: 5}))
            # A file counts as a child of its folder, but not as a folder: for `north`, which has one file and no
            # folder, `folder_count` is 0.
            north = {"name": "n", "files": [A], key: 0 if thing == "folder" else 1}
            south = {"name": "s", "children": [B], key: 1}
            assert is_read(read({"folders": [{"name": "n", "files": [A], key: 1}]})) == (thing != "folder")
            assert len(names(read({"folders": [north, south], key: 2}))) == 2
            assert not is_read(read({"folders": [north, {"name": "s", "children": [B], key: 4}]}))
            assert not is_read(read({"folders": [north, {"name": "s", "files": [], key: 4}]}))
            assert not is_read(read({"files": [A], "folders": [], key: 4}))
            assert len(names(read({"files": [entry("d/a.json"), entry("e/a.json")], key: 2}))) == 2
            assert len(names(read({"files": [A | {key: 4}, B]}))) == 2

    @pytest.mark.parametrize("key", ["has_children", "hasChildren", "has_subgroups", "has_child_groups", "hasFolders"])
    def test_children_that_are_not_named_are_missed(self, key: str) -> None:
        assert is_read(read({**ROOT, key: True}))
        # The group `n` is requested after this reply. Its own reply then names its children.
        assert is_read(read({"group_path": [], "groups": [{"group_name": "n", key: True}]}))
        assert is_read(read({"name": "d", "children": [A, B], key: True}))
        for flag, right in ((True, False), (1, False), ("true", False), (False, True), (None, True), ("no", True)):
            for data in (LEAF, {"group_path": ["n"], "groups": []}, {"report": USERS[0]}, USERS[0]):
                assert is_read(read({**data, key: flag})) == right, data
            assert is_read(read({"files": [A | {key: flag}, B]})) == right
            assert is_read(read({"url": at("a.json"), key: flag})) == right
            assert is_read(read({"files": [A], "x": {"name": "y", key: flag}})) == right

    @cases(
        "count",
        {
            key: {key: value}
            for key, value in {
                **dict.fromkeys(("chunks", "batches", "segments", "shards", "urls", "parts", "documents"), 9),
                **dict.fromkeys(("@odata.count", "X-Total-Count", "x_total"), 9),
                **dict.fromkeys(("files_remaining", "remaining_files", "pages_left", "parts_remaining"), 1),
                **dict.fromkeys(("files_failed", "failed_parts", "chunks_missing", "skipped_documents"), 1),
                **dict.fromkeys(("files_pending", "pending_chunks", "unfinished_files", "unfinished"), 1),
                **dict.fromkeys(("start", "startIndex", "start_position"), 100),
                **dict.fromkeys(("max_files", "page_limit", "items_per_page", "results_per_page", "batch_size"), 2),
                **dict.fromkeys(("maximum_entries", "files_per_page", "file_limit", "limit_per_page"), "2"),
                **dict.fromkeys(("more_groups", "hasMoreGroups", "has_more_users", "more_questions"), True),
                **dict.fromkeys(("users_next", "usersNextPage", "users_next_token", "groups-next"), "c"),
            }.items()
        },
    )
    def test_other_words_for_more(self, count: dict[str, Any]) -> None:
        for data in ({"files": [A, B]}, {"rows": USERS}, LEAF, {"x": {"files": [A, B]}}):
            assert isinstance(read({**data, **count}), NotUnderstood | NotReady | Failed), data
            assert isinstance(read({**count, **data}), NotUnderstood | NotReady | Failed), data
            assert isinstance(read(data, **count), NotUnderstood | NotReady | Failed), data

    @pytest.mark.parametrize(
        "beside",
        [
            {"chunks": 2, "urls": 2, "@odata.count": 2, "files_remaining": 0, "files_failed": 0, "files_pending": 0},
            {"start": 0, "startIndex": 1, "start_position": 0, "unfinished": False, "parts_remaining": None},
            {"start": "2026-11-01", "end": "2026-11-28"},
            {"start": 1795852800, "start_time": "2026-11-01 07:00:00", "started_at": 7},
            {"max_files": 100, "page_limit": 3, "batch_size": 3, "files_per_page": None},
            {"max_files": 2, "total": 2},
            {"more_groups": False, "users_next": None, "hasMoreUsers": "no", "has_children": False},
            {"chunk_size": 2, "part_number": 7, "document_type": "t", "download_count": 17, "skipped_users": 3},
        ],
        ids=str,
    )
    def test_what_agrees_changes_nothing(self, beside: dict[str, Any]) -> None:
        assert names(read({"files": [A, B], **beside})) == ["a.json", "b.csv"]
        assert names(read({"files": [A, B]}, **beside)) == ["a.json", "b.csv"]


class TestStatistics:
    def test_a_documented_field_is_never_a_signal(self) -> None:
        for field in ROW_FIELDS:
            for value in (4711, True, "x"):
                rows = [{"user_id": "u", "score": 1, field: value}, {"user_id": "v", "score": 1}]
                assert is_read(read({"rows": rows})), field
                if field in MEASURES:
                    for data in (ROOT, {**LEAF, "group": {"group_name": "n", field: value}}, {"rows": USERS}):
                        assert is_read(read({**data, field: value})), field
                    group = {"group_name": "n", "users": USERS, "groups": NORTH_SOUTH, field: value}
                    assert is_read(read({"group_path": [], "groups": [group]})), field

    @pytest.mark.parametrize(
        "statistic",
        [
            {"total_users": 40, "user_count": 40, "users_total": 40, "group_total": 9, "total_questions": 5, "rows": 7},
            {"total": 12, "count": 7, "limit": 1, "page": 3, "offset": 4, "remaining": 5, "completed": False},
            {"status": "pending", "progress": 40, "failed": 3, "more": "words", "child_count": 4, "has_children": True},
            {"next": "i2", "after": 3, "attempted_count": 3, "questions_remaining": 4, "num_rows": 3, "truncated": 0},
        ],
        ids=str,
    )
    def test_what_a_row_of_a_list_says_is_about_the_row(self, statistic: dict[str, Any]) -> None:
        for row in (USERS[0], ROW, {"group_name": "n", "population": 3}):
            for data in ([row | statistic], {"rows": [row | statistic]}, {"a.json": [row | statistic]}):
                assert is_read(read(data)), data
        assert is_read(read({**ROOT, "groups": [{"group_name": "n", "users": [], "groups": [], **statistic}]}))

    def test_the_reply_may_be_one_row_with_statistics(self) -> None:
        statistic = {"total_users": 40, "questions_total": 40, "group_count": 9, "child_count": 4, "learner_count": 3}
        for row in (USERS[0], ROW, ROW | {"user_id": "u"}):
            for data in (row | statistic, {"report": row | statistic}, {"data": [row | statistic]}):
                assert is_read(read(data)), data
        assert not is_read(read(USERS[0] | {"total_rows": 50}))

    def test_a_view_of_a_group_may_count_users_that_are_further_down(self) -> None:
        assert is_read(read({**ROOT, "total_users": 5000, "question_count": 40}))
        assert is_read(read({**ROOT, "group": {"group_name": "all", "population": 9, "user_count": 5000}}))
        above = {"group": {"group_name": "all", "population": 9}, "ancestors": [{"group_name": "top"}] * 3}
        for context in (above, {"group": {"population": 9}}, {"parents": [{"population": 9}]}):
            assert is_read(read({**ROOT, **context, "total_users": 5000, "total_questions": 40, "total_groups": 2}))
            assert not is_read(read({**ROOT, **context, "total_groups": 3}))
        assert not is_read(read({**ROOT, "users": USERS, "total_users": 5000}))
        assert not is_read(read({"group_path": ["n"], "groups": [], "users": [], "total_users": 5000}))
        # Two groups and one user: each count is about its own list.
        assert not is_read(read({**ROOT, "users": USERS[:1], "total_users": 2}))
        assert is_read(read({**ROOT, "users": USERS[:1], "total_users": 1, "total_groups": 2}))

    @pytest.mark.parametrize("list_key", ["users", "students"])
    @pytest.mark.parametrize("nested", [False, True])
    def test_a_list_in_a_row_may_be_a_part(self, list_key: str, nested: bool) -> None:
        def reply(beside: dict[str, Any]) -> Any:
            row: dict[str, Any] = {"group_name": "n", list_key: USERS, **beside}
            return {**ROOT, "groups": [{"group_name": "m", "groups": [row]} if nested else row]}

        for whole in ({}, {"users_total": 2}, {"next": None, "has_more": False, "users_next": ""}, {"total": 40}):
            assert isinstance(read(reply(whole)), Group), whole
        for part in ({"users_total": 40}, {"num_users": 3}, {"next": "c"}, {"users_next": "c"}, {"next_token": 7}):
            assert "there is more" in why(read(reply(part))), part
        for flag in ({"has_more": True}, {"truncated": "true"}, {"hasMoreUsers": 1}, {"has_next": True}):
            assert "there is more" in why(read(reply(flag)))
            assert "there is more" in why(read({"rows": [USERS[0] | flag]}))

    def test_a_count_beside_content_is_that_of_its_rows(self) -> None:
        for beside, right in (
            ({"total_users": 2}, True), ({"total_users": 5000}, False), ({"total_rows": 5000}, False),
            ({"question_count": 40}, True), ({"total_groups": 7}, True), ({"user_count": "many"}, False),
        ):  # fmt: skip
            assert is_read(read({"files": [{"name": "a.json", "content": USERS, **beside}]})) == right, beside


class TestRecordsAndItems:
    @pytest.mark.parametrize("thing", ["record", "item"])
    @pytest.mark.parametrize("form", FORMS)
    def test_beside_files_it_is_about_what_is_in_them(self, form: str, thing: str) -> None:
        number: Any
        for key in spellings(form, thing):
            for number in (500, "500", 2, "many"):
                for data in (
                    {"files": [A, B], key: number},
                    {"a.json": at("a.json"), "b.csv": at("b.csv"), key: number},
                ):
                    assert names(read(data)) == ["a.json", "b.csv"], key
                assert names(read({"files": [A, B], key: number}, {"files": "data.files", "url": "url"}))
                assert names(read({"files": [A, B], "info": {key: number}})) == ["a.json", "b.csv"]
            # The number is that of the listed files in two cases: the list has the same word as its key, as in
            # `items` and `item_count`, or the number of a page stands beside.
            for number, right in ((5, False), ("5", False), (2, True)):
                paged: tuple[Any, ...] = (
                    {f"{thing}s": [A, B], key: number},
                    {f"{thing}s": {"a.json": A, "b.csv": B}, key: number},
                    {"data": {f"{thing}s": [A, B]}, key: number},
                    {"files": [A, B], "paging": {key: number}},
                    {"files": [A, B], "page": {"number": 1, key: number}},
                    {"files": [A, B], "page": 1, key: number},
                    {"files": [A, B], "per_page": 100, key: number},
                )
                for data in paged:
                    assert is_read(read(data)) == right, data
                for data in paged[3:]:
                    assert is_read(read(data, {"files": "data.files", "url": "url"})) == right, data
                assert is_read(read({"files": [A, B]}, **{key: number})) == right
                assert is_read(read({"files": [A, B]}, paging={key: number})) == right
            for empty in ("items", "files"):
                assert not is_read(read({empty: [], key: 5}))

    @pytest.mark.parametrize("form", FORMS)
    def test_beside_rows_records_are_the_rows_and_items_those_that_they_are_about(self, form: str) -> None:
        rows = [ROW, ROW | {"question_reference": "q2"}, ROW | {"item_reference": "i2"}]
        for key in spellings(form, "item"):
            for number, right in ((2, True), (3, True), (60, False)):
                for data in ({"rows": rows}, {"questions": rows}, {"items": rows}):
                    assert is_read(read({**data, key: number})) == right
            assert is_read(read({"users": USERS, key: 60}))
            assert is_read(read({**ROOT, key: 60}))
            assert is_read(read({**USERS[0], key: 60}))
            assert not is_read(read({"items": USERS, key: 60}))
        for key in spellings(form, "record"):
            wholes: list[dict[str, Any]] = [{"rows": USERS}, LEAF, {"users": USERS}, ROOT]
            for whole in wholes:
                for number, right in ((2, True), (60, False)):
                    assert is_read(read({**whole, key: number})) == right
            assert not is_read(read({**USERS[0], key: 60}))
            assert is_read(read({"files": [{"name": "a.json", "content": USERS, key: 2}]}))
            assert not is_read(read({"files": [{"name": "a.json", "content": USERS, key: 3}]}))

    @pytest.mark.parametrize(
        ("beside", "right"),
        [
            ({"records": 500}, True),
            ({"records": {"users": 100}}, True),
            ({"stats": {"total": 500}}, True),
            ({"statistics": {"total": 500, "count": 3, "total_records": 9}}, True),
            ({"stats": {"total_files": 500}}, False),
            ({"stats": {"total_files": 2, "total": 9}}, True),
            ({"count": {"json": 1, "csv": 1}}, True),
            ({"count": {"json": 1, "csv": 1, "total": 2}}, True),
            ({"files_count": {"json": 2}}, True),
            ({"count": {"json": 2, "csv": 1}}, False),
            ({"total": {"json": 200}}, False),
            ({"total": {"files": 2, "items": 60, "records": 500}}, True),
            ({"total": {"files": 200, "items": 60}}, False),
            ({"total": 500}, False),
        ],
        ids=str,
    )
    def test_counts_in_objects(self, beside: dict[str, Any], right: bool) -> None:
        for results in (None, {"files": "data.files", "url": "url"}):
            assert is_read(read({"files": [A, B], **beside}, results)) == right
            assert is_read(read({**beside, "files": [A, B]}, results)) == right
        if "stats" in beside or "statistics" in beside:
            assert not is_read(read({"rows": USERS, **beside}))
