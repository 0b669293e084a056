"""Tests an account with read-only calls, and writes a report, which can be shared, on how each reply is understood.

No job is started, and nothing is written. The text contains no value of a reply, no file name and no address.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from learnosity.api.message_redaction import wording
from learnosity.errors import LearnosityError, UnsafeNameError
from learnosity.results.known_keys import known_suffix
from learnosity.results.outcomes import Empty, Failed, Files, Group, Inline, NotReady, NotUnderstood, Reading
from learnosity.results.reading import classify
from learnosity.results.sketch import masked_key, sketch

if TYPE_CHECKING:
    from learnosity.api.client import LearnosityClient


_TO_DECLARE = "declare {} in the extra `results` of the connection"


async def probe(client: LearnosityClient, dataset_types: Sequence[str], dataset_id: str | None) -> AsyncIterator[str]:
    """Describe the replies for an account, line by line.

    :param dataset_types: types to try, because the API does not tell the type of a dataset.
    :param dataset_id: a finished dataset; None = only the access and the list of jobs are tested.
    :raises LearnosityError: one of the first calls failed, as the last line says. What fails later is a line only.
    """
    config = client.config
    host = urlsplit(config.base_url).hostname or ""
    shown = host if host.endswith(".learnosity.com") else "another host than Learnosity's own"
    yield f"API: {shown}, version asked for: {config.version}"
    try:
        yield f"Key, secret and domain are accepted. Version served: {await client.check()}"
        now = await client.server_time()
        yield (
            "Clock: no reply tells the time"
            if now is None
            else f"Clock: {now - time.time():+.0f} s from this machine's"
        )
        yield _jobs(await client.job_records())
    except LearnosityError as error:
        yield f"Stopped: a first call failed. {error}"
        raise
    if dataset_id is None:
        yield "No dataset id was given: how results are listed was not tried."
    for dataset_type in dataset_types if dataset_id else ():
        yield f"Results of {dataset_type}: {await _results(client, dataset_type, str(dataset_id))}"
    declared = "is declared by the connection's extra `results`" if config.results else "is found out from each reply"
    yield f"Where the files stand {declared}."


def _jobs(records: Sequence[Any]) -> str:
    """What the list of jobs looks like."""
    if not records:
        return "Jobs: none is listed"
    keys = sorted({masked_key(str(key)) for record in records if isinstance(record, Mapping) for key in record})
    statuses = Counter(wording(str(record.get("status"))[:20]) for record in records if isinstance(record, Mapping))
    listed = ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))
    return f"Jobs: {listed}; keys of a job: {', '.join(keys)}"


async def _results(client: LearnosityClient, dataset_type: str, dataset_id: str) -> str:
    try:
        reply = await client.dataset(dataset_type, dataset_id)
        reading = classify(
            reply.meta,
            reply.data,
            dataset_id=dataset_id,
            declaration=client.config.results,
            beside=reply.beside,
            headers=reply.headers,
        )
    except UnsafeNameError:  # the message is not shown: it quotes the name, which may be a person's
        return "a list in which a file has a name that cannot be used as a path"
    except LearnosityError as error:
        return str(error)
    whole = {"meta": dict(reply.meta), "data": reply.data, **reply.beside}
    return f"{_said(reading)}\n  The reply looks like this: {sketch(whole)}"


def _said(reading: Reading) -> str:
    match reading:
        case Files():
            # Only known endings are shown. Any other ending may be part of a name, for example of a person.
            endings = Counter(known_suffix(file.path.rpartition("/")[2]) or "other" for file, _ in reading.files)
            kinds = ", ".join(f"{number} {ending}" for ending, number in sorted(endings.items()))
            sized = sum(file.bytes is not None for file, _ in reading.files)
            more = "there are further pages" if reading.next_cursor else "this is the only page"
            said = f"a list of {len(reading.files)} files ({kinds}; {sized} with a size); {more}"
            names = len({file.path for file, _ in reading.files})
            return (
                said if names == len(reading.files) else f"{said}; only {names} names, {_TO_DECLARE.format('`name`')}"
            )
        case Group():
            return f"groups, one at a time: this reply names {len(reading.children)} below it"
        case Inline():
            return f"content in the reply itself: {len(reading.files)} file(s)"
        case Empty():
            return "a list without files"
        case NotReady() | Failed():
            return f"no results: it says `{reading.status}`"
        case NotUnderstood():
            return f"not understood: {reading.why}; {_TO_DECLARE.format('where the files stand')}"
