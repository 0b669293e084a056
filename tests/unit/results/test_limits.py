"""As many files as a limit allows may be a part. A count of this page does not say that they are all."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity.results.reading import Files, NotUnderstood
from tests.unit.results.replies import AB, A, B, names, read

HERE = (
    *("files_returned", "returned_files", "listed_files", "total_returned", "total_listed", "files_shown", "count"),
    *("batch_total", "batch_file_count", "chunk_count", "page_file_count", "files_page_total", "total_page_items"),
    *("total_files_returned", "listed_file_count"),
)
OF_ALL = (
    *("total", "total_files", "file_count", "number_of_files", "files_in_total", "total_results", "total_found"),
    *("total_chunks", "total_batches", "files_in_dataset", "total_count"),
)


@pytest.mark.parametrize("key", HERE)
def test_a_count_of_this_page_is_none_of_all(key: str) -> None:
    about: dict[str, Any]
    for about in ({"limit": 2, key: 2}, {key: 2, "limit": 2}, {key: 2, "page": {"size": 2}}):
        assert isinstance(read({"files": [A, B]}, **about), NotUnderstood), about
        assert isinstance(read({"files": [A, B], **about}), NotUnderstood), about
    whole: tuple[dict[str, Any], ...] = ({"limit": 3, key: 2}, {"limit": 2, key: 2, "has_more": False})
    for about in whole:
        assert names(read({"files": [A, B]}, **about)) == AB


@pytest.mark.parametrize("key", OF_ALL)
def test_a_count_of_all_files_says_that_they_are_all(key: str) -> None:
    about: dict[str, Any] = {"limit": 2, key: 2}
    assert names(read({"files": [A, B]}, **about)) == AB
    assert names(read({"files": [A, B], **about})) == AB
    about[key] = 3
    assert not isinstance(read({"files": [A, B]}, **about), Files)


def test_a_count_of_records_in_an_object_about_pages_is_one_of_all() -> None:
    for box in ("paging", "pages", "page", "pagination"):
        about: dict[str, Any] = {box: {"limit": 2, "total_items": 2}}
        assert names(read({"files": [A, B], **about})) == AB
        assert names(read({"files": [A, B]}, **about)) == AB
