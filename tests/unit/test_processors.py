"""Whether the machine has anything left to give, as its processors tell."""

from __future__ import annotations

from collections import namedtuple

import psutil
import pytest

from learnosity.landing.processors import Processors, _seconds

Times = namedtuple("Times", ["user", "system", "idle", "iowait", "guest"])


@pytest.mark.parametrize(
    ("later", "busy"),
    [
        pytest.param(Times(190, 105, 1005, 50, 0), True, id="at work"),
        pytest.param(Times(110, 105, 1085, 50, 0), False, id="idle"),
        pytest.param(Times(160, 115, 1025, 50, 0), False, id="a quarter idle"),
        pytest.param(Times(110, 105, 1005, 130, 0), True, id="waiting for a disk"),
        pytest.param(Times(160, 115, 1025, 50, 60), False, id="at work for guests, which is told twice"),
        pytest.param(Times(100, 100, 1000, 50, 0), False, id="no time has passed"),
    ],
)
def test_busy_is_who_had_next_to_no_time_free_since_last_asked(
    monkeypatch: pytest.MonkeyPatch, later: Times, busy: bool
) -> None:
    monkeypatch.setattr(psutil, "cpu_times", lambda: Times(100, 100, 1000, 50, 0))
    processors = Processors()
    monkeypatch.setattr(psutil, "cpu_times", lambda: later)
    assert processors.are_busy() is busy
    assert not processors.are_busy(), "nothing since"


def test_this_machine_tells() -> None:
    idle, everything = _seconds()
    assert 0 <= idle <= everything
    assert everything > 0
