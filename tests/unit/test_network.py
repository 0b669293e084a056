"""The wait before a retry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import Future, RetryCallState, Retrying

from learnosity.errors import PermanentError, TransferError, TransientApiError
from learnosity.network import backoff, backoff_seconds, parse_retry_after

SECONDS = st.floats(0.1, 100.0)


@given(attempt=st.integers(1, 10_000), first=SECONDS, more=SECONDS, asked=st.none() | st.floats(0.0, 120.0))
def test_a_wait_doubles_up_to_its_bound_is_spread_and_comes_on_top_of_what_the_server_asked_for(
    attempt: int, first: float, more: float, asked: float | None
) -> None:
    most = first + more
    waited = backoff_seconds(attempt, TransferError("busy", retry_after=asked), first=first, most=most)
    grown = min(most, first * 2.0 ** min(attempt - 1, 1000))
    assert (asked or 0.0) + 0.5 * grown <= waited + 1e-6
    assert waited <= (asked or 0.0) + grown + 1e-6


def test_waits_are_spread_so_that_those_who_failed_together_do_not_come_back_together() -> None:
    assert len({backoff_seconds(3, None, first=1.0, most=30.0) for _ in range(20)}) > 1


@pytest.mark.parametrize("error", [None, PermanentError("no"), TransientApiError("lost")], ids=repr)
def test_an_error_without_a_wish_adds_nothing(error: Exception | None) -> None:
    assert backoff_seconds(1, error, first=2.0, most=8.0) <= 2.0


@pytest.mark.parametrize("attempt", [1, 2, 5])
def test_tenacity_waits_as_long(attempt: int) -> None:
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = attempt
    wait = backoff(1.0, 8.0)
    assert 0.5 * min(8.0, 2.0 ** (attempt - 1)) <= wait(state) <= min(8.0, 2.0 ** (attempt - 1))
    failed = Future(attempt)
    failed.set_exception(TransferError("busy", retry_after=60.0))
    state.outcome = failed
    assert wait(state) >= 60.5


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("7", 7.0), ("0", 0.0), ("1.5", 1.5), ("86400", 120.0), ("-1", None), ("nan", None), ("inf", None),
     ("soon", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)  # fmt: skip
def test_a_wish_to_wait_is_bounded_and_rubbish_is_none(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header) == seconds
