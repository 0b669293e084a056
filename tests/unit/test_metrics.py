"""Counts reach Airflow's metrics."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity.metrics import count


def test_a_count_is_named_and_tagged_by_type_and_nothing_counts_as_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[tuple[str, int, Any]] = []
    monkeypatch.setattr(
        "airflow.sdk.observability.stats.incr", lambda stat, number, *, tags: counted.append((stat, number, tags))
    )
    count("landed_files", 12, "activity-summary-by-group")
    count("published_bytes", 0, "activity-summary-by-group")
    assert counted == [("learnosity.landed_files", 12, {"dataset_type": "activity-summary-by-group"})]
