"""Jobs as GET jobs shows them: queued, running, then completed or halted (docs/learnosity-api.md, "Jobs").

A job object has no id of its dataset, because none is documented, unless the switch `job_names_dataset` is on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from .config import SimulatorConfig
from .errors import ApiError
from .validation import moment_of, organisation_of

MAX_REFERENCES: Final = 1000
MAX_RECORDS: Final = 50


class Status(StrEnum):
    """The four states of a job; the last two are final."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    HALTED = "halted"


@dataclass(slots=True)
class Job:
    """One job; moments are Unix seconds."""

    reference: str
    type: str
    organisation_id: int
    created: float
    dataset_id: str
    status: Status = Status.QUEUED
    completed: float | None = None
    error: str | None = None
    hangs: bool = False

    def finish(self, moment: float, error: str | None) -> None:
        """End the job: halted when there is an error, else completed."""
        self.status = Status.HALTED if error is not None else Status.COMPLETED
        self.error = error
        self.completed = moment


def select(jobs: Iterable[Job], request: dict[str, Any], config: SimulatorConfig, now: float) -> list[Job]:
    """The jobs that a GET jobs request asks for, newest first, never more than 50.

    :raises ApiError: 20002, 20003, 20004 or 40003.
    """
    references = _texts(request, "references")
    if references is not None and len(references) > MAX_REFERENCES:
        raise ApiError(20002, f"references holds more than {MAX_REFERENCES}")
    statuses = _statuses(request, config)
    minimum, maximum = moment_of(request, "mintime"), moment_of(request, "maxtime")
    organisation = organisation_of(request, config) if "organisation_id" in request else None
    wanted = None if references is None else set(references)
    found = [
        job
        for job in jobs
        if (wanted is None or job.reference in wanted)
        and job.status in statuses
        and (minimum is None or job.created >= minimum)
        and (maximum is None or job.created <= maximum)
        and (organisation is None or job.organisation_id == organisation)
        and not _forgotten(job, config, now)
    ]
    found.sort(key=lambda job: job.created, reverse=True)
    return found[: _limit(request)]


def render(job: Job, config: SimulatorConfig) -> dict[str, Any]:
    """A job as JSON; `include` in a request has no effect, as measured on the real API."""
    shown: dict[str, Any] = {
        "reference": job.reference,
        "type": job.type,
        "status": str(job.status),
        "dt_created": _moment(job.created),
    }
    if job.completed is not None:
        shown["dt_completed"] = _moment(job.completed)
    elif config.dt_completed_pending == "null":
        shown["dt_completed"] = None
    if config.job_results_key:
        shown["results"] = None
    if config.job_names_dataset:
        shown["data"] = {"dataset_id": job.dataset_id}
    if job.error is not None:
        as_object = config.job_error_shape == "object"
        shown["error"] = {"code": 50100, "message": job.error} if as_object else job.error
    return shown


def _statuses(request: dict[str, Any], config: SimulatorConfig) -> list[str]:
    asked = _texts(request, "status")
    if asked is None:
        return [Status.COMPLETED] if config.jobs_status_default == "completed" else list(Status)
    if unknown := sorted(set(asked) - set(Status)):
        raise ApiError(20004, f"status: {unknown}")
    return asked


def _limit(request: dict[str, Any]) -> int:
    limit = request.get("limit", MAX_RECORDS)
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise ApiError(20003, "limit must be of type int")
    if limit < 1:
        raise ApiError(20004, "limit must be at least 1")
    return min(limit, MAX_RECORDS)


def _texts(request: dict[str, Any], key: str) -> list[str] | None:
    values = request.get(key)
    if values is None:
        return None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ApiError(20003, f"{key} must be an array of strings")
    return values


def _forgotten(job: Job, config: SimulatorConfig, now: float) -> bool:
    keep = config.retention_seconds
    return keep is not None and job.completed is not None and now - job.completed > keep


def _moment(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S")
