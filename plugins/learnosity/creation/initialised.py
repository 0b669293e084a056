"""Reads the reply to the call that initialises a dataset ("The reply" in docs/learnosity-api.md)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from learnosity.api.message_redaction import wording
from learnosity.api.replies import Reply, text_of
from learnosity.creation.upload import upload_urls
from learnosity.errors import UnexpectedReplyError

log = logging.getLogger(__name__)

_NO_ERROR = ("", "0", "none", "null", "no", "no error", "no errors", "false", "ok")


@dataclass(frozen=True, slots=True)
class Initialised:
    """What the reply says. It has either upload URLs or a job.

    :param dataset_id: the id that the dataset has at Learnosity.
    :param urls: one URL per part, in part order; empty for a dataset without input files.
    :param job_reference: the job that generates the dataset; "" = it is started after the upload.
    """

    dataset_id: str
    urls: list[str]
    job_reference: str


def read_initialised(reply: Reply, dataset_id: str, file_count: int, *, fixed: bool) -> Initialised:
    """Read the reply.

    :param dataset_id: the id that was asked for.
    :param file_count: number of input files that were announced.
    :param fixed: whether the run config names the id. Then no other id may take its place.
    :raises UnexpectedReplyError: it does not fit to the request, so it is not understood whole.
    """
    named = reply.find("dataset_id")
    given = named if isinstance(named, str) and named else dataset_id
    if fixed and _bare(given) != _bare(dataset_id):
        raise UnexpectedReplyError(
            f"Learnosity gave the dataset another id than {dataset_id}, which the run config names. Look at Learnosity "
            "for the other dataset; then run again without dataset_id."
        )
    reference, error = text_of(reply, "job_reference"), _stated_error(reply)
    if error and reference:
        log.warning("Learnosity's reply names a job, and states an error: %s", error)
    elif error:
        raise UnexpectedReplyError(
            f"Learnosity's reply to the call that initialises the dataset states an error: {error}. Nothing was "
            "uploaded. Correct what it names; then run again."
        )
    if file_count:
        if reply.find("job_reference"):
            raise UnexpectedReplyError(
                f"Learnosity's reply names a job, although {file_count} input file(s) are still to be uploaded: "
                "nothing was uploaded. Look at Learnosity's job list: it may run without the input."
            )
        return Initialised(given, upload_urls(reply, file_count), "")
    if not reference:
        raise UnexpectedReplyError(
            "Learnosity's reply has no job_reference, although the dataset has no input files to wait for."
        )
    if reply.find("input_files"):
        raise UnexpectedReplyError(
            "Learnosity's reply has upload URLs beside its job_reference, although the dataset has no input files. "
            "Look at Learnosity's job list before you run again."
        )
    return Initialised(given, [], reference)


def _stated_error(reply: Reply) -> str:
    """The error that the reply states, or what it says of one input file; "" = none. It quotes no values."""
    return next((wording(text) for text in _errors(reply.data, False)), "")


def _errors(value: Any, is_error: bool, depth: int = 4) -> Iterator[str]:
    """The texts under `error` and `errors`. A number, such as a code 0, may mean that there is no error."""
    if isinstance(value, dict | list) and depth:
        for key, each in value.items() if isinstance(value, dict) else (("", each) for each in value):
            yield from _errors(each, is_error or key in ("error", "errors"), depth - 1)
    elif is_error and isinstance(value, str) and value.strip(" .").casefold() not in _NO_ERROR:
        yield value
    elif is_error and value is True:
        yield "true"


def _bare(dataset_id: str) -> str:
    """An id without what may differ in the spelling of a UUID."""
    return dataset_id.replace("-", "").casefold()
