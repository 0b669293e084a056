"""Which errors of a task are tried again: what passes by itself is, and what only a person can mend is not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import jinja2
import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from learnosity import errors
from learnosity.dataset_tasks import LEARNOSITY_RETRIES
from learnosity.lookups import LookupFailedError


def action(error: BaseException) -> RetryAction:
    """What the policy says, after it has travelled from the DAG processor to a worker."""
    policy = type(LEARNOSITY_RETRIES).deserialize(LEARNOSITY_RETRIES.serialize())
    return policy.evaluate(error, 1, 7).action


def kinds(base: type[BaseException]) -> Iterator[type[BaseException]]:
    """A class and all that are derived from it in this package."""
    yield base
    for each in base.__subclasses__():
        if each.__module__.startswith("learnosity"):
            yield from kinds(each)


def made(kind: type[BaseException]) -> BaseException:
    return kind.__new__(kind, "said")


@pytest.mark.parametrize("kind", sorted(set(kinds(errors.PermanentError)), key=str))
@pytest.mark.promise("permanent at once")
def test_every_permanent_error_ends_the_task(kind: type[BaseException]) -> None:
    assert action(made(kind)) is RetryAction.FAIL


@pytest.mark.parametrize("kind", sorted({*kinds(errors.TransientError), LookupFailedError}, key=str))
def test_every_transient_error_is_tried_again(kind: type[BaseException]) -> None:
    assert action(made(kind)) is RetryAction.RETRY


@pytest.mark.parametrize(
    "error",
    [
        jinja2.UndefinedError("'data_interval_start' is undefined"),
        jinja2.TemplateSyntaxError("unexpected '}'", 1),
        jinja2.TemplateAssertionError("no filter named 'iso'", 1),
        jinja2.TemplateRuntimeError("no such test"),
        jinja2.TemplateNotFound("other.yaml"),
        jinja2.exceptions.SecurityError("access is unsafe"),
        jinja2.exceptions.FilterArgumentError("wrong argument"),
        TypeError("'NoneType' object is not subscriptable"),
        KeyError("manifest_uri"),
        IndexError("list index out of range"),
        AttributeError("'NoneType' object has no attribute 'strftime'"),
        ValueError("not a date"),
        ZeroDivisionError("division by zero"),
        NameError("name 'x' is not defined"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.promise("permanent at once")
def test_an_error_in_a_template_or_in_code_ends_the_task(error: Exception) -> None:
    assert action(error) is RetryAction.FAIL


@pytest.mark.parametrize(
    "error",
    [
        AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR)),
        AirflowException("the worker was lost"),
        ConnectionResetError("by peer"),
        TimeoutError("of the supervisor"),
        OSError("no space left for now"),
        json.JSONDecodeError("a reply to Airflow was cut", "{", 1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failure_of_airflow_itself_is_tried_again(error: Exception) -> None:
    assert action(error) is not RetryAction.FAIL
