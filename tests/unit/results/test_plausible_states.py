"""What a reply of a finished dataset may say about its state. That it is not finished is never passed over."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity.results.reading import Failed, Files, NotReady, NotUnderstood
from learnosity.results.values import is_length_of_time, is_time
from tests.unit.results.replies import AB, ID, OTHER, A, B, at, cases, names, read

DECLARED = {"files": "data.files", "url": "url"}
PHP = {"date": "2026-11-28 07:00:00.000000", "timezone_type": 3, "timezone": "UTC"}
TIMES = (
    *("2026-11-28 07:00:00 CET", "2026-11-28 07:00 PST", "2026-11-28 07:00:00 Europe/Dublin", "3 hours ago"),
    *("Saturday, November 28th 2026, 7:00 am", "2026-11-28T07:00:00+01:00[Europe/Paris]", "an hour ago"),
    *("Sat Nov 28 2026 07:00:00 GMT+0100 (Central European Standard Time)", "28 Nov 2026 at 07:00", "1 h 5 min ago"),
)
NO_TIMES = (
    "2026-11-28 TBC",
    "expected 2026-11-28 07:00",
    "from 2026-11-28",
    "2026-11-28 or later",
    "in 3 hours",
    "n/a",
)


def is_whole(key: str, value: Any) -> None:
    """With the value, the reply is still understood, wherever the value stands."""
    for results in (None, DECLARED):
        assert names(read({"files": [A, B], key: value}, results)) == AB, (key, value)
        assert names(read({key: value, "files": [A, B]}, results)) == AB
        assert names(read({"files": [A, B]}, results, **{key: value})) == AB
        assert names(read({"files": [A, B], "job": {key: value}}, results)) == AB


def is_not_whole(key: str, value: Any, *, declared: bool = True) -> None:
    for results in (None, DECLARED) if declared else (None,):
        for data, meta in (({"files": [A, B], key: value}, {}), ({"files": [A, B]}, {key: value})):
            assert isinstance(read(data, results, **meta), NotReady | NotUnderstood | Failed), (key, value)


class TestProgress:
    @cases(
        "value",
        {
            str(value): value
            for value in (
                {"completed": 2, "total": 2, "elapsed_seconds": 34},
                {"completed": 2, "total": 2, "elapsed_seconds": 34, "eta": 0},
                {"min": 0, "max": 100, "value": 100},
                {"done": 2, "of": 2, "started": 1700000000},
                {"files": {"done": 2, "of": 2}, "groups": {"done": 7, "of": 7}},
                {"done": "2", "of": "2", "unit": "files", "speed": 1.5},
                {"completed": True, "elapsed_seconds": 34},
                {"completed": "2026-11-28 07:00:00", "total": 2},
                {"value": 100, "elapsed": 34, "unit": "percent"},
                {"current": 7, "of": 7, "step": "export"},
                {"count": 2, "of": 2},
                {"count": 2, "at": "2026-11-28 07:00:00"},
            )
        },
    )
    def test_one_of_a_finished_dataset_is_still_understood(self, value: Any) -> None:
        is_whole("progress", value)
        if "files" not in value:
            assert names(read({"files": [A | {"progress": value}, B]})) == AB

    @cases(
        "value",
        {
            str(value): value
            for value in (
                {"completed": 1, "total": 2, "elapsed_seconds": 34},
                {"min": 0, "max": 100, "value": 40},
                {"files": {"done": 2, "of": 2}, "groups": {"done": 3, "of": 7}},
                {"value": 40, "unit": "percent"},
                {"count": 1, "of": 3},
                {"done": 0, "total": 0},
                {"x": {"y": "40%"}},
            )
        },
    )
    def test_one_that_is_not_at_its_end_is_not_ready(self, value: Any) -> None:
        is_not_whole("progress", value)

    @pytest.mark.parametrize("text", ["1%", "1 %", " 1.0% ", "01%", "0.5%", "40%", "99.9%"])
    @pytest.mark.parametrize("key", ["progress", "percent_complete", "percentage", "progressPercent"])
    def test_a_text_with_a_percent_sign_is_at_its_end_at_100_only(self, key: str, text: str) -> None:
        value: Any
        values = (text, {"value": text}, [text], {"x": {"y": text}}, {"a": text, "b": text}, {"completed": text})
        for value in values:
            is_not_whole(key, value)
        assert not isinstance(read({"files": [A | {"progress": text}, B]}), Files)
        is_not_whole("progress", {"done": text, "of": 1})
        for value in ("100%", "100 %", {"value": "100.0%"}, {"a": "100%", "b": "100%"}, 1, 100, "1", "100"):
            is_whole(key, value)

    @pytest.mark.parametrize("value", [{"elapsed_seconds": 34}, {"step": 3, "steps": 10}], ids=str)
    def test_numbers_of_something_else_need_a_declaration(self, value: Any) -> None:
        is_not_whole("progress", value, declared=False)
        assert names(read({"files": [A, B], "progress": value}, DECLARED)) == AB


class TestFlags:
    @pytest.mark.parametrize("key", ["complete", "done", "success", "ready", "available", "ok"])
    @pytest.mark.parametrize(
        "value",
        [
            {"files": 2, "failed_users": 0},
            {"files": 2, "groups": 0},
            {"count": 2, "skipped_users": 0},
            {"code": 0},
            {"code": "0", "value": True},
            {"users": 0, "questions": 0.0},
        ],
        ids=str,
    )
    def test_numbers_in_the_object_of_a_flag_are_still_understood(self, key: str, value: Any) -> None:
        is_whole(key, value)

    @pytest.mark.parametrize("key", ["completed", "completed_at", "dt_completed", "finishedAt", "available", "success"])
    @pytest.mark.parametrize(
        "value",
        [
            PHP,
            {"at": "2026-11-28T07:00:00Z", "by": "system"},
            {"time": PHP, "by": {"name": "Batch Job 7"}},
            *TIMES,
            *({"at": each} for each in TIMES),
        ],
        ids=str,
    )
    def test_a_time_is_still_understood(self, key: str, value: Any) -> None:
        is_whole(key, value)
        assert names(read({"files": [A | {key: value}, B]})) == AB

    @pytest.mark.parametrize("key", ["completed_at", "dt_completed", "finished_at", "dtFinished"])
    @pytest.mark.parametrize(
        "text", ["Samstag, 28. November 2026", "28.11.2026, 7 Uhr", "2026-11-28 07:00:00 CEST (local)"]
    )
    def test_the_key_of_a_time_may_have_one_in_other_words(self, key: str, text: str) -> None:
        is_whole(key, text)

    @pytest.mark.parametrize("key", ["complete", "completed", "completed_at", "dt_finished", "ready", "available"])
    @pytest.mark.parametrize("text", NO_TIMES)
    def test_a_time_to_come_is_none(self, key: str, text: str) -> None:
        if not (text == "2026-11-28 or later" and key in ("completed_at", "dt_finished")):
            is_not_whole_without(key, text)

    @pytest.mark.parametrize("key", ["ready", "complete", "success"])
    @pytest.mark.parametrize(
        "value",
        [
            *({"at": "2026-11-28 07:00", "x": each} for each in (False, "no", "not yet", "partially")),
            *({"at": "0000-00-00 00:00:00", "by": "system"}, {"files": True, "users": False}, {"x": 0.4}),
        ],
        ids=str,
    )
    def test_a_word_or_a_flag_under_another_key_needs_a_declaration(self, key: str, value: Any) -> None:
        is_not_whole(key, value, declared=False)
        assert names(read({"files": [A, B], key: value}, DECLARED)) == AB

    @pytest.mark.parametrize("key", ["ready", "complete", "success", "progress"])
    def test_a_word_of_a_state_counts_under_any_key(self, key: str) -> None:
        for word in ("pending", "Running", "failed"):
            for value in ({"at": "2026-11-28 07:00", "x": word}, {"value": 1, "x": {"y": word}}, {"step": word}):
                is_not_whole(key, value)

    @pytest.mark.parametrize("key", ["success", "ok", "ready", "completed", "available"])
    @pytest.mark.parametrize(
        "text",
        [
            "Dataset compiled successfully", "All files are ready.", "The dataset is complete",
            "Export completed in 12s", "Creation of the dataset successful",
        ],
    )  # fmt: skip
    def test_a_sentence_is_still_understood(self, key: str, text: str) -> None:
        is_whole(key, text)
        is_whole(key, {"value": text})

    @pytest.mark.parametrize("key", ["success", "ok", "ready", "completed", "available"])
    @pytest.mark.parametrize(
        "text",
        [
            "Dataset was not compiled", "Partially completed", "1 of 2 files generated", "completed with errors",
            "Will be ready soon", "ready in 5 minutes, still processing", "to be completed", "almost done",
            "done: 40 %", "users skipped", "incomplete: 2 files done", "Only users are ready", "no files ready",
            "ready when published",
        ],
    )  # fmt: skip
    def test_a_sentence_that_says_something_else_is_not_passed_over(self, key: str, text: str) -> None:
        is_not_whole_without(key, text)

    @pytest.mark.parametrize("key", ["pending", "in_progress", "running", "pending_files", "unfinished"])
    def test_a_share_that_is_pending_is_not_passed_over(self, key: str) -> None:
        value: Any
        for value in (0.5, "0.5", "40%", " 0.5 % ", "1%", "100%", {"value": "0.5"}, ["40%"]):
            is_not_whole(key, value)
        for value in (0, 0.0, "0", "0.0", "0%", False, "", None):
            is_whole(key, value)

    def test_for_how_long_is_still_understood(self) -> None:
        for text in ("60 minutes", "7 days", "for 1 hour", "until 2026-12-28 07:00:00"):
            is_whole("available", text)
        for text in ("12.5s", "3 minutes", "1h 5m"):
            is_whole("processing", text)
        for key, text in (("ready", "60 minutes"), ("running", "12.5s"), ("pending", "3 minutes"), ("ready", "5 min")):
            is_not_whole_without(key, text)


def is_not_whole_without(key: str, text: str) -> None:
    """An unknown word is accepted where a declaration says where the files are."""
    is_not_whole(key, text, declared=False)


class TestOwners:
    @pytest.mark.parametrize("own", ["id", "uuid", "dataset_id", "guid"])
    @pytest.mark.parametrize(
        "beside",
        [
            {"organisation": {"id": OTHER}},
            {"job": {"uuid": OTHER}},
            {"parent": {"id": OTHER}},
            {"jobs": {"export": {"id": OTHER}}},
            {"job_id": OTHER, "x": {"y": {"guid": OTHER}}},
        ],
        ids=str,
    )
    def test_the_ids_of_other_things_are_still_understood(self, own: str, beside: dict[str, Any]) -> None:
        for key in ("dataset", "dataset_ref"):
            for value in ({own: ID, **beside}, {**beside, own: ID.upper()}, {"x": {own: ID, **beside}}):
                is_whole(key, value)
        assert names(read({"dataset": {own: ID, **beside, "files": [A, B]}})) == AB
        assert names(read({"dataset": {own: ID, **beside, "url": at("a.json")}})) == ["a.json"]

    def test_another_dataset_is_recognised_beside_objects(self) -> None:
        for value in (
            {"id": OTHER, "parent": {"id": ID}},
            {"organisation": {"id": OTHER}},
            [{"id": ID}, {"id": OTHER}],
            {"x": [{"id": ID}, {"id": OTHER}]},
            {"id": ID, "dataset_id": OTHER},
        ):
            assert not isinstance(read({"files": [A]}, dataset=value), Files), value


class TestTimes:
    def test_what_is_a_time(self) -> None:
        assert all(map(is_time, TIMES))
        assert not any(map(is_time, NO_TIMES))
        assert not is_time("mon/mon/mon/" * 6 + "2026-11-28!")

    def test_what_is_a_length_of_time(self) -> None:
        assert all(map(is_length_of_time, ("60 minutes", "12.5s", "1h 5m", "2 days and 3 hours", "an hour")))
        assert not any(map(is_length_of_time, ("60", "minutes", "in 5 minutes", "5 files", 60, None, "60 minutes ago")))
