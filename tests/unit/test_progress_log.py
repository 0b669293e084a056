"""Progress as lines for people."""

from __future__ import annotations

import logging

import pytest

from learnosity.progress_log import Progress, duration, size


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345_678, "12.3 MB"), (2e9, "2.0 GB"), (5e15, "5000.0 TB")],
)
def test_sizes_have_one_decimal_and_a_unit(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (4.24, "4.2 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_line_says_how_much_how_fast_and_how_long_still() -> None:
    progress = Progress("Landed", 400)
    for _ in range(100):
        progress.add(1_000)
    line = progress.text(progress._started + 10)
    assert line == "Landed 100 of 400 files, 100.0 kB in 10.0 s (10 files/s, 10.0 kB/s), about 30.0 s left"


@pytest.mark.parametrize(
    ("files", "seconds"),
    [
        pytest.param(400, 0.1, id="too early"),
        pytest.param(3, 60.0, id="too few files"),
        pytest.param(0, 60.0, id="none"),
    ],
)
def test_no_time_is_left_before_it_can_be_known(files: int, seconds: float) -> None:
    progress = Progress("Landed", 1000)
    for _ in range(files):
        progress.add(1_000)
    assert progress.left(1000 - files, progress._started + seconds) is None
    assert "left" not in progress.text(progress._started + seconds)


def test_what_an_earlier_attempt_landed_counts_as_done_and_not_as_speed() -> None:
    progress = Progress("Landed", 1000)
    progress.begin_with(900_000, 900)
    for _ in range(50):
        progress.add(1_000)
    line = progress.text(progress._started + 10)
    assert line == "Landed 950 of 1,000 files, 950.0 kB in 10.0 s (5 files/s, 5.0 kB/s), about 10.0 s left"


def test_lines_come_at_a_bounded_rate_and_once_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        progress = Progress("Landed", 1000)
        for _ in range(1000):
            progress.add(1)
        progress.finish()
    assert len(caplog.records) == 1
    assert "1,000 of 1,000 files" in caplog.text
    assert "left" not in caplog.text


def test_every_piece_is_told_where_that_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        progress = Progress("Uploaded", 3, every=0.0)
        for _ in range(3):
            progress.add(1)
    assert len(caplog.records) == 3
