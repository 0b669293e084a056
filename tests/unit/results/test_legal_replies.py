"""Replies that are legal and plausible. A check that is meant for other replies must not refuse one of these."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity.results.reading import Empty, Files, Group, Reading
from tests.unit.results.replies import A, B, read

G, G2 = ({"group_name": name, "population": 3, "mean_score": 2.5} for name in ("north", "south"))
BOTH = {"files": [A, B]}


def kind(reading: Reading) -> Any:
    """The class of what is read, or why it is not understood."""
    return getattr(reading, "why", type(reading))


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
