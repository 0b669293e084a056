"""How long refusals are borne: each kind has a clock of its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from learnosity.api.jobs import Job
from learnosity.api.refusals import MISCONFIGURED_SECONDS, ODD_END_SECONDS, REFUSAL_SECONDS, Refusals, odd_end
from learnosity.errors import AuthenticationError, ConnectionConfigError, PermanentApiError, UnexpectedReplyError

OF_THE_API = (AuthenticationError("key"), PermanentApiError("404"), UnexpectedReplyError("odd"))
OF_THE_CONNECTION = ConnectionConfigError("edited just now")
STEPS = st.lists(
    st.tuples(st.sampled_from([None, OF_THE_CONNECTION, *OF_THE_API]), st.integers(1, 20 * 60)), max_size=40
)


@given(STEPS)
def test_a_kind_ends_the_wait_when_it_alone_has_lasted_so_long(steps: list[tuple[Exception | None, int]]) -> None:
    refusals, now, good, usable = Refusals(), 1000.0, None, None
    for error, seconds in steps:
        now += seconds
        if error is None:
            refusals.clear()
            good = usable = None
        elif isinstance(error, ConnectionConfigError):
            usable = now if usable is None else usable
            assert refusals.note(error, now) is (now - usable >= MISCONFIGURED_SECONDS)
        else:
            good, usable = now if good is None else good, None
            assert refusals.note(error, now) is (now - good >= REFUSAL_SECONDS)  # type: ignore[arg-type]


def test_a_job_that_has_ended_otherwise_ends_the_wait_when_its_record_stays_the_same() -> None:
    failed, later = (odd_end(Job("r", "failed", dt_completed=f"2026-01-01 00:00:0{n}")) for n in (1, 2))
    refusals = Refusals()
    assert not refusals.note(failed, 0)
    assert not refusals.note(later, ODD_END_SECONDS), "the record has changed"
    assert not refusals.note(AuthenticationError("key"), ODD_END_SECONDS + 1)
    assert not refusals.note(later, 2 * ODD_END_SECONDS - 1)
    assert refusals.note(later, 2 * ODD_END_SECONDS)
    refusals.clear()
    assert not refusals.note(later, 3 * ODD_END_SECONDS)
