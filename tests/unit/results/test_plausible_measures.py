"""Documented measures beside files, or beside an empty list. Those of a row are never lost."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity.results.content import MEASURES
from learnosity.results.reading import Empty, Inline, NotUnderstood
from tests.unit.results.replies import AB, A, B, names, read

COUNTS = ("group_count", "population", "count_sessions", "count_attempted")
NAMED = ({"user_id": "u1"}, {"item_reference": "i1"}, {"group_name": "north"}, {"question_number": 1})
EMPTY_LISTS = ("items", "results", "files", "outputs", "parts", "children")


@pytest.mark.parametrize("count", COUNTS)
def test_a_count_of_the_dataset_beside_files_is_still_understood(count: str) -> None:
    for key in ("files", "outputs", "items"):
        for data in ({key: [A, B], count: 12}, {count: 12, key: [A, B]}, {count: 12, "data": {key: [A, B]}}):
            assert names(read(data)) == AB
            assert names(read({"report": data})) == AB
    assert names(read({"files": [A, B], **dict.fromkeys(COUNTS, 40)})) == AB


@pytest.mark.parametrize("key", EMPTY_LISTS)
def test_a_measure_of_0_beside_an_empty_list_is_still_understood(key: str) -> None:
    value: Any
    for measure in sorted(MEASURES):
        for value in (0, 0.0, None, "0"):
            assert isinstance(read({measure: value, key: []}), Empty), measure
            assert isinstance(read({key: [], measure: value}), Empty)
    assert isinstance(read({"data": {"count_sessions": 0, "population": 0, key: []}}), Empty)


@pytest.mark.parametrize("named", NAMED, ids=str)
def test_the_values_of_a_row_are_not_lost(named: dict[str, Any]) -> None:
    for measure in sorted(MEASURES):
        for value in (7, 0):
            assert isinstance(read({**named, measure: value, "files": [A, B]}), NotUnderstood)
            assert not isinstance(read({**named, measure: value, "items": []}), Empty)
    for key in EMPTY_LISTS:
        if key not in ("files",):
            assert not isinstance(read({**named, key: []}), Empty)
    # Without a measure, `named` is no row: it only says whose files they are.
    assert names(read({**named, "files": [A, B]})) == AB


def test_statistics_without_a_name_are_not_lost() -> None:
    for measure in sorted(MEASURES):
        if measure not in COUNTS:
            assert isinstance(read({measure: 7, "files": [A, B]}), NotUnderstood), measure
        for key in EMPTY_LISTS:
            assert not isinstance(read({measure: 7, key: []}), Empty)
            assert not isinstance(read({"population": 0, measure: 7, key: []}), Empty)
    assert isinstance(read({"population": 5, "rows": [{"user_id": "u", "score": 1}]}), Inline)
