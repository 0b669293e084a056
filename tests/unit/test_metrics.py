"""The work's figures reach Airflow's metrics."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from learnosity.api.jobs import parse_job
from learnosity.metrics import METRICS, count_job

Told = list[tuple[str, str, Any, dict[str, str]]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What Airflow's metrics are told."""
    told: Told = []
    for kind in ("incr", "gauge", "timing"):

        def note(stat: str, value: Any, *, tags: dict[str, str], kind: str = kind) -> None:
            told.append((kind, stat, value, tags))

        monkeypatch.setattr(f"airflow.sdk.observability.stats.{kind}", note)
    return told


def test_a_count_is_named_and_tagged_and_nothing_counts_as_nothing(told: Told) -> None:
    METRICS.count("landed_files", 12, dataset_type="activity-summary-by-group")
    METRICS.count("published_bytes", 0, dataset_type="activity-summary-by-group")
    METRICS.count("landing_retries")
    assert told == [
        ("incr", "learnosity.landed_files", 12, {"dataset_type": "activity-summary-by-group"}),
        ("incr", "learnosity.landing_retries", 1, {}),
    ]


def test_a_gauge_is_that_of_its_host(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "triggerer-2")
    METRICS.gauge("waits_open", 3)
    assert told == [("gauge", "learnosity.waits_open", 3, {"hostname": "triggerer-2"})]


@pytest.mark.parametrize(
    ("completed", "seconds"),
    [("2026-11-24 01:30:42", 40), (None, None), ("soon", None), ("2026-11-24T01:30:42Z", None)],
)
def test_a_job_that_ended_is_told_with_its_seconds_where_the_api_says_them(
    told: Told, completed: str | None, seconds: int | None
) -> None:
    job = parse_job(
        {"reference": "r", "status": "completed", "dt_created": "2026-11-24 01:30:02", "dt_completed": completed}
    )
    assert job is not None
    count_job(job)
    ended: Told = [("incr", "learnosity.jobs_ended", 1, {"status": "completed"})]
    if seconds is not None:
        ended.append(("timing", "learnosity.job_seconds", timedelta(seconds=seconds), {"status": "completed"}))
    assert told == ended
