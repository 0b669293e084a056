"""Jobs as the API lists them (docs/learnosity-api.md, "Jobs").

A job ends as `completed` or `halted`. A job with an unknown status, or without one, counts as still running.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from learnosity.api.message_redaction import wording
from learnosity.api.replies import Reply, require_text
from learnosity.errors import PermanentApiError, UnexpectedReplyError

COMPLETED = "completed"
HALTED = "halted"
NO_STATUS = "without a status"  # `Job.status` if the record has no readable status; the log shows this text
# Every call of /jobs asks for these four states, because the documentation says that a call without `status` lists only
# the completed jobs.
STATUSES = ("queued", "running", COMPLETED, HALTED)
# One reply of /jobs lists at most this many jobs, and the documentation says that there is no next page. So one call
# asks for at most this many jobs.
REFERENCES_PER_CALL = 50
# If a reply of /jobs nevertheless has the cursor of a next page, the next page is read, too. More pages than this are
# an error: otherwise, a server that always sends a new cursor would be asked for ever.
MAX_PAGES = 20
# The API may send a cursor even if no page follows, and then refuse or ignore it in the next request. In this case, the
# number of jobs on the first page shows whether these are all jobs. Page sizes are round numbers, such as 20 or 50. So
# a page with 23 jobs was not full, and no page follows. If the number is a multiple of `_ROUND`, such as 20, the page
# may have been full: jobs may be missing, and this is an error.
_ROUND = 5


class Job(msgspec.Struct, frozen=True):
    """One job in a reply of `get` on /jobs."""

    reference: str
    status: str
    error: str | None = None
    dt_created: str | None = None
    dt_completed: str | None = None
    details: str = ""
    """All properties of the record except the reference and the status, as JSON text. It is only searched for ids."""

    def is_named(self, reference: str) -> bool:
        """Whether this is the reference of the job. People paste references, so upper and lower case are the same."""
        return self.reference.casefold() == reference.casefold()

    @property
    def is_completed(self) -> bool:
        """The dataset is compiled and can be retrieved."""
        return self.status == COMPLETED

    @property
    def is_halted(self) -> bool:
        """The job ended without a dataset."""
        return self.status == HALTED

    @property
    def is_terminal(self) -> bool:
        """The job has ended, so its status will not change."""
        return self.status in (COMPLETED, HALTED)

    @property
    def seconds(self) -> float | None:
        """Seconds from creation to completion by the API's clock; None when a time is missing or not readable."""
        try:
            taken = datetime.fromisoformat(self.dt_completed or "") - datetime.fromisoformat(self.dt_created or "")
        except (ValueError, TypeError):  # a TypeError is raised if only one of the two times has a time zone
            return None
        return max(taken.total_seconds(), 0.0)

    @property
    def has_odd_end(self) -> bool:
        """Whether the record says when the job has ended, with a status that is not documented. It may still change.

        A time before the job was created, such as 1970-01-01, or one in the future is none.
        """
        try:
            ended = datetime.fromisoformat(self.dt_completed or "")
        except ValueError:
            return False
        ended = ended if ended.tzinfo else ended.replace(tzinfo=UTC)
        is_past = ended.year >= 2000 and ended < datetime.now(UTC) + timedelta(minutes=5)
        return self.status not in (*STATUSES, NO_STATUS) and is_past and self.seconds != 0

    def mentions(self, dataset_id: str) -> bool:
        """Whether the record of the job contains the id of this dataset anywhere, except in the job's reference."""
        return dataset_id.lower() in self.details.lower()


async def read_jobs(ask: Callable[[Mapping[str, Any]], Awaitable[Reply]], request: Mapping[str, Any]) -> list[Job]:
    """The jobs of a list with all its pages. Reading ends when all `references` are there, or `limit` jobs.

    :param ask: sends a request for a list of jobs.
    :raises UnexpectedReplyError: a record is no job, or the list is not whole. It must not count as "there is no job".
    """
    wanted = {reference.casefold() for reference in request.get("references", ())}
    limit: int = request["limit"]
    jobs, known, cursors, first = list[Job](), set[str](), list[str](), Reply({}, None)
    while True:
        try:
            reply = await ask({**request, "next": cursors[-1]} if cursors else request)
        except PermanentApiError as error:
            refuses_field = error.code is not None and 20000 <= error.code < 30000 and error.code != 20012
            if len(cursors) == 1 and refuses_field and _is_whole_page(first, jobs, limit):
                return _ends_first(jobs)
            raise
        first = reply if not cursors else first
        cursor = None if reply.meta.get("next") is True else reply.next_page
        page = [parse_job(record) for record in _records(reply)]
        references = {job.reference.casefold() for job in page}
        if cursor is not None and cursors and page and references <= known:
            if len(cursors) == 1 and references == known and _is_whole_page(first, jobs, limit):
                return _ends_first(jobs)
            raise _not_understood("it has the same page twice")
        known |= references
        jobs += page
        if (wanted <= known) if wanted else len(jobs) >= limit:
            return _ends_first(jobs)
        if cursor is None or (cursors and not page):
            may_be_cut = reply.meta.get("next") is True and not (page and _is_whole_page(reply, jobs, limit))
            if reply.meta.get("has_more") is True or may_be_cut:
                raise _not_understood("it says that there are more jobs, and not how to get them")
            _check_count(reply, len(jobs), limit)
            return _ends_first(jobs)
        if cursor in cursors:
            raise _not_understood("it has the same page twice")
        if len(cursors) == MAX_PAGES - 1:
            raise _not_understood(f"it has more than {MAX_PAGES} pages")
        cursors.append(cursor)


def _is_whole_page(reply: Reply, jobs: Sequence[Job], limit: int) -> bool:
    """Whether the first page is probably the whole list although it has a cursor: the API cannot read its cursor."""
    says_more = reply.meta.get("has_more") is True or len(jobs) < min(reply.count or 0, limit)
    return not says_more and (not jobs or len(jobs) % _ROUND != 0)


def _ends_first(jobs: Sequence[Job]) -> list[Job]:
    """The jobs, each record of a job that has ended in place of other records of the same job. Their number stays."""
    ended = {job.reference.casefold(): job for job in reversed(jobs) if job.is_terminal}
    return [ended.get(job.reference.casefold(), job) for job in jobs]


def listed(reply: Reply, limit: int) -> list[Any]:
    """The records of a list of jobs, of its first page.

    :param limit: the largest number of jobs that was asked for. A full list may be a part of a longer one.
    :raises UnexpectedReplyError: there is no list, or it has fewer records than the reply says. It must not count as
        "there is no job".
    """
    records = _records(reply)
    _check_count(reply, len(records), limit)
    return records


def _records(reply: Reply) -> list[Any]:
    if reply.count == 0 and not reply.data:
        return []  # `data` may be `{}` or `false` instead of `[]`; `records` would take that for one job
    if reply.data is None:
        raise _not_understood("there is no `data` in it")
    return reply.records()


def _check_count(reply: Reply, number: int, limit: int) -> None:
    if number < min(reply.count or 0, limit):
        raise _not_understood(f"it says that it has {reply.count} records, and has {number}")


def _not_understood(what: str) -> UnexpectedReplyError:
    return UnexpectedReplyError(
        f"Learnosity's list of jobs is not understood: {what}. So whether a job runs is not known. Check the pinned "
        "`version`, then clear the task."
    )


def started_job(reply: Reply, dataset_id: str) -> str:
    """The job in the reply to the call that starts it. The reply may be the record of the job, with its `reference`.

    :raises UnexpectedReplyError: it names no job, or perhaps something else than a job.
    """
    if reply.find("job_reference") is None and len(records := reply.records()) == 1:
        with suppress(UnexpectedReplyError):
            reference = parse_job(records[0]).reference
            if reference.casefold() != dataset_id.casefold():
                return reference
    return require_text(reply, "job_reference", "the call that starts the job")


def parse_job(record: Any) -> Job:
    """The job of one record of a reply.

    :raises UnexpectedReplyError: the record has no reference. It must not count as "there is no job".
    """
    known = record if isinstance(record, Mapping) else {}
    reference = known.get("reference") or known.get("job_reference")
    if isinstance(reference, int) and not isinstance(reference, bool):
        reference = str(reference)
    if not isinstance(reference, str) or not reference.strip():
        keys = ", ".join(sorted({wording(str(key)[:80]) for key in known})[:20]) or "no keys"
        raise UnexpectedReplyError(f"Learnosity's list of jobs has a record without a reference ({keys}).")
    status, error = known.get("status"), known.get("error")
    if isinstance(status, list) and len(status) == 1:
        status = status[0]
    others = {key: value for key, value in known.items() if key not in ("reference", "job_reference", "status")}
    return Job(
        reference=reference,
        status=_status(status.strip().lower()) if isinstance(status, str) and status.strip() else NO_STATUS,
        # The API's `error` may quote the input, such as user ids or the signed URL of a file. `wording` hides such
        # values.
        error=None if error in (None, "") else wording(error),
        dt_created=_text_or_none(known.get("dt_created")),
        dt_completed=_text_or_none(known.get("dt_completed")),
        details=_details(others),
    )


def _status(status: str) -> str:
    """The status if it is documented; otherwise only its known words (`message_redaction`): it may quote values."""
    return status if status in STATUSES else wording(status[:80])


def _details(properties: Mapping[str, Any]) -> str:
    """Properties as JSON text; "" where they are too deep for it. Such a job names no dataset, but it is listed."""
    try:
        return to_text(properties)
    except RecursionError:
        return ""


def to_text(value: Any) -> str:
    """The JSON text of a value from a JSON reply."""
    return msgspec.json.encode(value).decode()


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None
