"""Decides what to do next about a dataset that an earlier attempt may have begun.

`decide` is a pure function of the saved state and of Learnosity's list of jobs. `create` sends the requests and
executes the decision. A job that is not listed may still exist: it may be too new, or the list may be full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from msgspec.structs import replace

from learnosity.api.jobs import REFERENCES_PER_CALL, Job
from learnosity.creation.state import CreationState, RequestIdentity

# Seconds to wait before each reading of the list of jobs. The API perhaps lists a new job only after some seconds, and
# may go on with a call for a minute after a gateway has given it up (504). So a job counts as missing only after the
# last reading.
POLL_WAITS_SECONDS = (0.0, 3.0, 6.0, 12.0, 24.0, 48.0)
# A listed job may be the job of the dataset, although it does not name the dataset: see `with_suspects`. If there is
# such a job, the list is read only this many times in all. More readings would hardly show whose job it is.
POLLS_FOR_DOUBT = 2


class Action(StrEnum):
    """What `create` does next."""

    ASK = "read the list of jobs"
    REATTACH = "take over the job that runs"
    UPLOAD = "go on with the upload"
    START = "start the job of the dataset"
    FRESH = "make a fresh dataset"
    GIVE_UP = "fail, because a person has to look"


@dataclass(frozen=True, slots=True)
class Decision:
    """An action, with its reason for the log.

    :param job_reference: for `REATTACH`: the job.
    :param wait_seconds: for `ASK`: seconds to wait before the list of jobs is read.
    :param doubtful: a job of this dataset may run, and there is no way to find out.
    """

    action: Action
    why: str
    job_reference: str = ""
    wait_seconds: float = 0.0
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What Learnosity's list of jobs and its replies have shown so far.

    :param jobs: the jobs that the last poll listed.
    :param polls: how many times the list has been read.
    :param job_exists: Learnosity has replied that the job of this dataset was started before.
    """

    jobs: Sequence[Job] = ()
    polls: int = 0
    job_exists: bool = False


def decide(noted: CreationState | None, wanted: RequestIdentity, seen: Seen, *, fixed_id: bool) -> Decision:
    """The next action for a dataset.

    :param noted: the state that was saved; None = no dataset was begun.
    :param wanted: the request that the task has now.
    :param seen: what Learnosity reports about its jobs.
    :param fixed_id: whether the run config names the dataset's id. Then no other dataset may replace it.
    """
    if noted is None:
        return Decision(Action.FRESH, "Nothing was begun.")
    if changed := wanted.difference(noted.identity):
        return Decision(Action.FRESH, f"{changed} since dataset {noted.dataset_id} was begun: a fresh one is made.")
    if noted.step == "started":
        return _of_started(noted, seen)
    if noted.step == "uploading":
        if noted.is_uploaded:
            return Decision(Action.START, f"Dataset {noted.dataset_id} has all its input.")
        return Decision(Action.UPLOAD, f"The upload of dataset {noted.dataset_id} was cut short.")
    if noted.step == "initialising" and noted.nothing_done:
        return Decision(Action.FRESH, f"The call that initialises dataset {noted.dataset_id} had no effect.")
    if noted.step == "initialising" and noted.file_count:
        # If a dataset has input files, one call initialises it and a later call starts its job. The later call was not
        # sent, so no job can run.
        return Decision(Action.FRESH, f"Whether dataset {noted.dataset_id} was initialised is not known.")
    return _of_doubtful(noted, seen, fixed_id)


def _of_started(noted: CreationState, seen: Seen) -> Decision:
    reference = str(noted.job_reference)
    if not seen.polls:
        return Decision(Action.ASK, f"Job {reference} was started by an earlier attempt.")
    job = next((job for job in seen.jobs if job.is_named(reference)), None)
    if job is not None and job.is_halted:
        return Decision(Action.FRESH, f"Job {reference} of an earlier attempt was halted.")
    status = job.status if job else "not listed"
    return Decision(Action.REATTACH, f"Job {reference} of dataset {noted.dataset_id} runs ({status}).", reference)


def _of_doubtful(noted: CreationState, seen: Seen, fixed_id: bool) -> Decision:
    """The decision after a lost reply to a call that may have started the job."""
    if not seen.polls:
        return Decision(Action.ASK, f"Whether the job of dataset {noted.dataset_id} was started is not known.")
    # `known_jobs` were listed before the call was sent, so the call has not started them, and they are left out. But if
    # the API has said that the job of this dataset was started before (`job_exists`), it may be one of them. If several
    # jobs name the dataset, one that is not halted is taken: a halted job gives no dataset.
    jobs = [job for job in seen.jobs if seen.job_exists or job.reference not in noted.known_jobs]
    named = sorted((job for job in jobs if job.mentions(noted.dataset_id)), key=lambda job: job.is_halted)
    if named:
        mine = named[0]
        return Decision(
            Action.REATTACH, f"Job {mine.reference} of dataset {noted.dataset_id} runs ({mine.status}).", mine.reference
        )
    suspects = with_suspects(noted, seen.jobs).suspects
    if seen.polls < (POLLS_FOR_DOUBT if suspects else len(POLL_WAITS_SECONDS)):
        return Decision(
            Action.ASK,
            f"The job of dataset {noted.dataset_id} is not listed yet.",
            wait_seconds=POLL_WAITS_SECONDS[seen.polls],
        )
    was_listed = any(job.mentions(noted.dataset_id) for job in seen.jobs)
    if not suspects and not seen.job_exists and not noted.unread and not was_listed:
        if noted.step == "commencing":
            return Decision(Action.START, f"No job was created since: the job of {noted.dataset_id} is started now.")
        return Decision(Action.FRESH, f"No job was created since: dataset {noted.dataset_id} was not begun.")
    found = "Learnosity says that the job was started, but does not list it"
    if created := set(suspects).difference(noted.known_jobs):
        found = f"{len(created)} job(s) may have been created since, and none of them names this dataset"
    elif suspects:
        found = f"Learnosity lists {len(suspects)} jobs, the most that a list has, so it may leave out the job"
    elif noted.unread:
        found = "The reply to the call that starts the job was not understood, and the job is not listed"
    elif was_listed and not seen.job_exists:
        found = "A job that was listed before the call names this dataset, and no other job does"
    doubt = f"{found}: dataset {noted.dataset_id} is left alone"
    if fixed_id or noted.unread:
        return Decision(Action.GIVE_UP, f"{doubt}.", doubtful=True)
    return Decision(Action.FRESH, f"{doubt} and a fresh one is made.", doubtful=True)


def with_suspects(noted: CreationState, jobs: Sequence[Job]) -> CreationState:
    """The state with the listed jobs that may be the job of its dataset. A later list may leave out a job of this one.

    :param jobs: the list as it was read now.
    """
    new = [job.reference for job in jobs if job.reference not in noted.known_jobs]
    # If `suspects` is empty, `decide` may take this as proof that this dataset has no job. A list with the maximum
    # number of jobs proves nothing, because it may leave out the job of this dataset. So then all listed jobs are added
    # to `suspects`, also those of `known_jobs`, only so that it is not empty.
    listed = [job.reference for job in jobs] if len(jobs) >= REFERENCES_PER_CALL else new
    return replace(noted, suspects=tuple(dict.fromkeys((*noted.suspects, *listed))))


def fresh(why: str) -> Decision:
    """The decision to make a new dataset. It is certain that no job was started for the noted dataset."""
    return Decision(Action.FRESH, f"{why}: a fresh dataset is made.")
