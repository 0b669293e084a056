"""Jobs as the API tells of them, and the rhythm of looking."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.api.jobs import Job, parse_job
from learnosity.api.poll_intervals import MAX_POLL_SECONDS, MIN_POLL_SECONDS, poll_delay

REFERENCE = "9fd443d0-2b4f-4315-aec6-708da3d30d49"


def job(**properties: Any) -> Job:
    found = parse_job({"reference": REFERENCE, "status": "running", **properties})
    assert found is not None
    return found


def test_the_documented_record_is_read() -> None:
    found = job(
        type="manualresponseupdate",
        status="completed",
        dt_created="2015-04-24 01:30:02",
        dt_completed="2015-04-24 01:30:03",
    )
    assert (found.reference, found.status, found.error) == (REFERENCE, "completed", None)
    assert (found.dt_created, found.dt_completed) == ("2015-04-24 01:30:02", "2015-04-24 01:30:03")


@pytest.mark.parametrize(
    ("status", "terminal"),
    [
        ("queued", False),
        ("running", False),
        ("completed", True),
        ("halted", True),
        ("paused", False),
        ("failed", False),
    ],
)
def test_completed_and_halted_are_the_only_ends(status: str, terminal: bool) -> None:
    found = job(status=status)
    assert found.is_terminal == terminal
    assert (found.is_completed, found.is_halted) == (status == "completed", status == "halted")
    assert job(status=f" {status.upper()} ") == found


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, None),
        ("", None),
        ("Bad line 3", "Bad line 3"),
        ({"code": 50100, "message": "Bad"}, "{code: 50100, message: Bad}"),
        (["a", 1], "[a, …]"),
        (17, "…"),
        (False, "false"),
    ],
)
def test_an_error_is_text_whatever_its_shape(error: Any, text: str | None) -> None:
    assert job(error=error).error == text


def test_an_error_that_quotes_a_signed_url_loses_its_query_and_an_endless_one_its_end() -> None:
    url = "https://b.s3.amazonaws.com/x.ndjson?AWSAccessKeyId=K&Signature=S%2B"
    for error in (f"cannot read {url}", {"message": f"cannot read {url}"}):
        shown = job(error=error).error
        assert shown is not None
        assert "Signature" not in shown
        assert "cannot read …" in shown
    assert len(job(error="x" * 1_000_000).error or "") < 10_000


@pytest.mark.parametrize("missing", [{}, {"dt_completed": None}, {"dt_completed": 17}])
def test_a_running_job_has_no_end_whether_null_or_absent(missing: dict[str, Any]) -> None:
    assert job(**missing).dt_completed is None


@pytest.mark.parametrize(
    "record",
    [None, "x", [], {}, {"reference": "r"}, {"status": "running"}, {"reference": "", "status": "running"},
     {"reference": 1, "status": "running"}, {"reference": "r", "status": None}],
)  # fmt: skip
def test_a_record_without_reference_or_status_is_no_job(record: Any) -> None:
    assert parse_job(record) is None


@pytest.mark.parametrize(
    "where", [{"data": {"dataset_id": "ABC-1"}}, {"results": ["x/abc-1/y"]}, {"abc-1": None}, {"error": "in abc-1"}]
)
def test_a_dataset_is_recognised_wherever_the_record_names_it(where: dict[str, Any]) -> None:
    assert job(**where).mentions("abc-1")
    assert not job(**where).mentions("abc-2")


def test_neither_reference_nor_status_counts_as_naming_a_dataset() -> None:
    assert not job().mentions(REFERENCE)
    assert not job().mentions("running")


@given(st.integers(-5, 10**6), st.floats(allow_nan=False))
def test_the_wait_stays_between_a_second_and_a_minute_and_below_what_was_asked(turn: int, interval: float) -> None:
    ceiling = min(max(interval, 1.0), MAX_POLL_SECONDS)
    delay = poll_delay(turn, interval)
    assert min(MIN_POLL_SECONDS, ceiling) * 0.9 <= delay <= ceiling * 1.1


def test_the_wait_grows_by_half_a_round_up_to_its_bound() -> None:
    middles = [sum(poll_delay(turn, 60) for _ in range(400)) / 400 for turn in range(9)]
    expected = [min(60.0, 5 * 1.5**turn) for turn in range(9)]
    assert middles == pytest.approx(expected, rel=0.03)
