"""A message that is no more than a state says the state. One that only begins with such a word says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity.results.reading import Files, NotReady, NotUnderstood
from tests.unit.results.replies import AB, A, B, names, read

KEYS = ("message", "messages", "reason", "detail", "details", "notice")
BAD = (
    *("Failed", "failed.", "Failed: disk full", "Failed: 2 files", "Error 500", "Error: no space left", "Timeout"),
    *("Aborted", "error", "Timed out", "Cancelled!", "Not found", "Expired", "Failed (disk full)", "Halted - no space"),
    *("Error 500 Internal Server Error",),
)
TO_COME = ("Pending", "Processing", "Processing…", "Queued", "Partial", "Incomplete", "running", "Not started")
LEGAL = (
    *("Created", "Accepted", "OK", "Success", "New", "Scheduled", "Requested", "Done", "Completed"),
    *("Error: none", "Errors: 0", "Failed: 0", "Failed: 0 of 12", "Failed: 3 sessions", "Timeout: 60 s"),
    *("Deleted after 30 days", "Expired after 1 hour", "Stopped at 10 pages", "Invalid when empty"),
    *("Error when fetching files: see docs", "Error analysis by question", "Failed sessions are excluded"),
    *("Failed: n/a", "Failed: zero", "Error. None found", "Failed: 12 %"),
    *("Failed: students with score below 50", "Error: standard error of the mean"),
    *("Deleted: users who left", "Partial credit is given", "Pending sessions are excluded", "Rejected: 3 responses"),
)


@pytest.mark.parametrize("key", KEYS)
def test_a_message_may_be_the_state(key: str) -> None:
    value: Any
    for texts, kind in ((BAD, NotUnderstood), (TO_COME, NotReady), (LEGAL, Files)):
        for text in texts:
            for value in (text, text.upper(), [text], {"text": text}, {"id": 7, "message": text}):
                about: dict[str, Any] = {key: value}
                assert isinstance(read({"files": [A, B]}, **about), kind), about
                if not isinstance(value, list):
                    assert isinstance(read({"files": [A, B], **about}), kind), about


def test_a_word_that_describes_a_message_is_no_state() -> None:
    about: dict[str, Any]
    for about in ({"type": "error", "text": "OK"}, {"mode": "partial"}, {"trigger": "delayed", "format": "new"}):
        assert names(read({"files": [A, B]}, details=about)) == AB
    assert names(read({"files": [A | {"note": "Failed"}, B]})) == AB
