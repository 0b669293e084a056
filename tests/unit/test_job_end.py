"""The error that ends a wait, made again from the event of the triggerer."""

from __future__ import annotations

import pytest

from learnosity import errors
from learnosity.api.jobs import parse_job
from learnosity.errors import PermanentApiError, PermanentError
from learnosity.job_end import refused, timed_out, why_unfinished

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


@pytest.mark.parametrize(
    "status", ["failed", "cancelled", "canceled", "complete", "aborted", "finished", "succeeded", "error", "paused"]
)
@pytest.mark.parametrize(("error", "says"), [(None, ""), ("Out of memory", ", and its error: Out of memory")])
def test_the_end_of_the_time_names_a_status_that_is_not_documented_and_the_error(
    status: str, error: str | None, says: str
) -> None:
    job = parse_job({"reference": "a-job", "status": status, "error": error})
    told = str(timed_out("a-job", 360, why_unfinished(job, None)))
    assert f"its status was: {status}{says}. If it has ended without a dataset, delete the state" in told
    assert told.endswith("It may still run at Learnosity: clear this task to continue the wait, or raise job_timeout.")


def test_the_end_of_the_time_shows_no_value_of_the_record() -> None:
    job = parse_job({"reference": "r", "status": "of Ada Lovelace", "error": "Ada at https://x/y?Signature=S"})
    told = why_unfinished(job, None)
    assert not any(each in told for each in ("Ada", "Lovelace", "Signature", "https"))


@pytest.mark.parametrize("status", ["queued", "running"])
def test_the_end_of_the_time_says_nothing_of_a_job_that_runs_unless_it_has_an_error(status: str) -> None:
    assert why_unfinished(parse_job({"reference": "r", "status": status}), None) == ""
    assert "Out of memory" in why_unfinished(
        parse_job({"reference": "r", "status": status, "error": "Out of memory"}), None
    )
