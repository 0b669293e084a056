"""The error that ends a wait, made again from the event of the triggerer."""

from __future__ import annotations

import pytest

from learnosity import errors
from learnosity.errors import PermanentApiError, PermanentError
from learnosity.job_end import refused

KINDS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, PermanentError) and each.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_final_error_is_made_again_from_its_name(kind: type[PermanentError]) -> None:
    error = refused(kind.__name__, "why")
    assert type(error) is kind
    assert "why" in str(error)


@pytest.mark.parametrize("name", ["", None, 7, "TransientError", "Exception", "redact", "AnErrorOfNextYear"])
def test_a_name_that_is_not_that_of_a_final_error_gives_a_final_error(name: object) -> None:
    assert type(refused(name, "why")) is PermanentApiError
