"""How long the polls of a job go on while they are refused, when the Airflow connection is read again meanwhile, and
whether a refusal is about one job.

A reply that there is nothing (code 20012, or 404 and the like without a code) may mean two things: the address of the
connection is wrong, or the API no longer has the job. So it is compared with the reply to another call.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from learnosity.errors import (
    AuthenticationError,
    ConnectionConfigError,
    LearnosityError,
    OddEndError,
    PermanentApiError,
    WrongAddressError,
)

if TYPE_CHECKING:
    from learnosity.api.client import LearnosityClient
    from learnosity.api.jobs import Job

# If the API refuses the polls of a job for this many seconds, for example because of the consumer key, the wait for
# the job ends. Learnosity may need 30 minutes to apply a change of keys; 5 minutes are added for safety.
REFUSAL_SECONDS = 35 * 60.0
# If the Airflow connection is wrong for this many seconds, the wait ends. Until then, a person may correct it.
MISCONFIGURED_SECONDS = 5 * 60.0
# The record of a job may say when the job has ended, but have a status that is not documented, such as `archived`. Then
# it is not known whether there is a dataset, and the status may still change. If status and time stay the same for this
# many seconds, the wait ends with an error.
ODD_END_SECONDS = 35 * 60.0
# If all calls have failed with transient errors for this many seconds, the Airflow connection is read again: its host
# or its proxy may be wrong, and a person may have corrected it.
REREAD_SECONDS = 60.0
# A call for several jobs may be refused because one of them is gone, or because something is wrong for all, such as the
# address. To find the refused jobs, the poller asks for the jobs in halves, and in halves of halves. From this many
# jobs on, that would take many calls if all are refused. So two jobs are tried first, each in a call of its own. If
# both are refused like the call for all, all jobs count as refused.
FEW_JOBS = 4

_CONNECTION, _API = "connection", "api"


@dataclass(slots=True)
class Refusals:
    """Since when polls are refused, in seconds of any clock. Each kind of refusal has a time of its own."""

    since: dict[str, float] = field(default_factory=dict)

    def note(self, error: LearnosityError, now: float) -> bool:
        """Note a refusal. Returns whether its kind has lasted so long that the wait ends."""
        # An odd end (see `ODD_END_SECONDS`) is no refusal: the API has listed the job. So the other entries of
        # `since` are dropped. The error's message tells the job's status and when the job ended. The message is the key
        # of the entry in `since`. So if one of the two changes, the seconds are counted from 0 again.
        if isinstance(error, OddEndError):
            self.since = {str(error): self.since.get(str(error), now)}
            return now - self.since[str(error)] >= ODD_END_SECONDS
        if isinstance(error, ConnectionConfigError):
            return now - self.since.setdefault(_CONNECTION, now) >= MISCONFIGURED_SECONDS
        self.since.pop(_CONNECTION, None)  # the connection is not wrong any more
        return now - self.since.setdefault(_API, now) >= REFUSAL_SECONDS

    def clear(self) -> None:
        """A poll was not refused."""
        self.since.clear()


@dataclass(slots=True)
class Outage:
    """Since when every call fails for now, in seconds of any clock."""

    since: float | None = None

    def note(self, now: float) -> bool:
        """Note such a failure. Returns whether the Airflow connection is to be read again."""
        self.since = now if self.since is None else self.since
        if now - self.since < REREAD_SECONDS:
            return False
        self.since = None
        return True

    def clear(self) -> None:
        """A call succeeded."""
        self.since = None


async def concerns_no_job_alone(
    error: LearnosityError, client: LearnosityClient, parts: Sequence[Sequence[str]]
) -> bool:
    """Whether a refusal concerns all jobs: in each part, one job that is asked for alone is refused alike.

    The code alone does not say so (40000, 40003, 20012). The jobs are chosen at random: if several jobs are refused for
    themselves, the others are found in a later round.

    :param parts: references of the jobs that the refused call asked for. Few of them are quickly asked for one by one.
    """
    if not (isinstance(error, AuthenticationError) or _is_about_address(error)) or sum(map(len, parts)) < FEW_JOBS:
        return False
    for references in parts:
        try:
            await client.jobs([random.choice(references)])  # this choice is no secret, so `random` is good enough
        except LearnosityError as alone:
            if type(alone) is not type(error) or getattr(alone, "code", None) != getattr(error, "code", None):
                return False
        else:
            return False
    return True


def _is_about_address(error: LearnosityError) -> bool:
    """Whether the API or another server says that there is nothing: at this address, or no such job."""
    return isinstance(error, WrongAddressError) or (isinstance(error, PermanentApiError) and error.code == 20012)


async def job_if_listed(client: LearnosityClient, reference: str) -> list[Job]:
    """The job in a list; an empty list if it is not listed, or if the API says that there is nothing.

    :raises LearnosityError: the call has failed, or the address of the connection is wrong: then a call that asks for
        no job in particular fails, too.
    """
    try:
        return await client.jobs([reference])
    except LearnosityError as error:
        if not _is_about_address(error):
            raise
        await client.check()
    return []


def odd_end(job: Job) -> OddEndError:
    """The error of a wait for a job that has ended with a status that is not documented (`Job.has_odd_end`)."""
    said = f", and its error: {job.error[:1000].rstrip('. ')}" if job.error else ""
    return OddEndError(
        f"By Learnosity's list, job {job.reference} has ended at {job.dt_completed}. Its status is {job.status!r}, "
        f"which is neither completed nor halted{said}. Ask Learnosity what it means. For a fresh dataset, delete the "
        "state of create_dataset (docs/reliability.md, 'Starting over on purpose'), then clear create_dataset."
    )
