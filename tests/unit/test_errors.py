"""Errors that are found together are told together."""

from __future__ import annotations

import pytest

from learnosity.errors import (
    ConnectionConfigError,
    Findings,
    LearnosityError,
    PermanentError,
    RequestError,
    TransientError,
)


def found(*errors: BaseException | None) -> None:
    findings = Findings()
    for error in errors:
        with findings:
            if error is not None:
                raise error
    findings.check()


def test_nothing_found_raises_nothing() -> None:
    found(None, None)


def test_a_single_error_stays_what_it_is() -> None:
    error = ConnectionConfigError("no such connection")
    with pytest.raises(ConnectionConfigError) as caught:
        found(None, error, None)
    assert caught.value is error


def test_several_are_told_in_one_permanent_error() -> None:
    with pytest.raises(PermanentError) as caught:
        found(RequestError("set input_uri"), None, ConnectionConfigError("add the connection"))
    assert str(caught.value).splitlines()[1:] == ["set input_uri", "add the connection"]


@pytest.mark.parametrize("error", [TransientError("busy"), KeyError("a bug"), LearnosityError("other")])
def test_an_error_that_is_not_permanent_passes(error: Exception) -> None:
    with pytest.raises(type(error)):
        found(None, error)


def test_what_can_never_pass_is_told_even_if_another_check_failed_for_a_while() -> None:
    with pytest.raises(RequestError, match="set input_uri"):
        found(RequestError("set input_uri"), TransientError("busy"))
