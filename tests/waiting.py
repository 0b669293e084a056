"""Waits between attempts: noted in a test, and not waited for."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity import network


def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Make every wait between two attempts end at once.

    :returns: the seconds that would have been waited for, one entry per wait.
    """
    noted: list[float] = []
    backoff_seconds = network.backoff_seconds

    def note(attempt: int, error: BaseException | None, **bounds: Any) -> float:
        noted.append(backoff_seconds(attempt, error, **bounds))
        return 0.0

    monkeypatch.setattr(network, "backoff_seconds", note)
    return noted
