"""The Data API's four calls, from a checked request object to the `data` of the reply.

No HTTP here: `gateway` reads the request and wraps the reply. Where the real reply is not known, a switch of
`SimulatorConfig` decides; the rest is as documented (docs/learnosity-api.md).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from .errors import ApiError
from .jobs import render, select
from .retrieval import get_datasets
from .state import Dataset, State
from .storage import UPLOAD_CONTENT_TYPE, upload_path
from .validation import dataset_id_of, dataset_type_of, organisation_of, validate


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes into the envelope: `data`, the number of records, and a cursor if there is more."""

    data: Any
    records: int = 1
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call that passed all checks of security.

    :param urls_expired: issue URLs that have expired already (a fault on demand).
    """

    request: dict[str, Any]
    urls_expired: bool = False


Handler = Callable[[State, Call], Awaitable[Reply]]


async def set_datasets(state: State, call: Call) -> Reply:
    """SET reports/datasets: initialise (docs/learnosity-api.md, "Initialise a dataset").

    :raises ApiError: as `validate` and for an id that is taken.
    """
    config = state.config
    spec = validate(call.request, config)
    dataset = state.initialise(spec)
    data: dict[str, Any] = {"dataset_id": spec.dataset_id, "dataset_type": spec.dataset_type}
    if spec.file_count == 0:
        data["job_reference"] = state.commence(dataset).reference
    else:
        seconds = -60.0 if call.urls_expired else config.upload_url_seconds
        urls = [
            state.signer.sign(
                state.base_url,
                "PUT",
                upload_path(spec.organisation_id, spec.dataset_type, spec.dataset_id, part),
                UPLOAD_CONTENT_TYPE,
                seconds,
            )
            for part in range(spec.file_count)
        ]
        data["input_files"] = urls if config.input_files_shape == "strings" else [{"url": url} for url in urls]
    return Reply([data] if config.set_reply_shape == "array" else data)


async def set_jobs(state: State, call: Call) -> Reply:
    """SET jobs/reports/datasets: start the job (docs/learnosity-api.md, "Start the job").

    :raises ApiError: unknown dataset (U11), job started already (U12), or files missing (U13: 50000).
    """
    config = state.config
    dataset = find_dataset(state, call.request)
    if dataset.job is not None and config.recommence == "conflict":
        raise ApiError(20011, "the job of this dataset has been started already")
    if dataset.missing_parts and config.missing_files == "refuse":
        raise ApiError(50000, f"upload input files {dataset.missing_parts} before commencing")
    data = {"job_reference": state.commence(dataset).reference}
    return Reply([data] if config.commence_reply_shape == "array" else data)


async def get_jobs(state: State, call: Call) -> Reply:
    """GET jobs (docs/learnosity-api.md, "Jobs")."""
    jobs = select(state.jobs.values(), call.request, state.config, state.now)
    return Reply([render(job, state.config) for job in jobs], records=len(jobs))


async def get_results(state: State, call: Call) -> Reply:
    """GET reports/datasets: retrieve (docs/learnosity-api.md, "Retrieve results").

    Nothing is documented for a dataset whose job has not completed: it is refused with 20004 here.

    :raises ApiError: unknown or unfinished dataset.
    """
    dataset = find_dataset(state, call.request)
    if "organisation_id" in call.request:
        organisation_of(call.request, state.config)
    if dataset.results is None or dataset.job is None or dataset.job.status != "completed":
        raise ApiError(20004, "the dataset is not completed")
    dataset.retrievals += 1
    if dataset.retrievals <= state.config.not_ready_calls:
        return Reply({"dataset_id": dataset.spec.dataset_id, "status": "running"})
    data, records, following = get_datasets(state, dataset, dataset.results, call.request, call.urls_expired)
    return Reply(data, records, following)


def find_dataset(state: State, request: dict[str, Any]) -> Dataset:
    """The dataset that a request names by type and id.

    :raises ApiError: a parameter is missing or wrong, or there is no such dataset (U11).
    """
    dataset_type, dataset_id = dataset_type_of(request), dataset_id_of(request)
    dataset = state.datasets.get(dataset_id)
    if dataset is None or dataset.spec.dataset_type != dataset_type:
        raise ApiError(state.config.unknown_dataset_code, f"no {dataset_type} dataset has this dataset_id")
    return dataset


ENDPOINTS: Final[dict[str, dict[str, Handler]]] = {
    "reports/datasets": {"set": set_datasets, "get": get_results},
    "jobs/reports/datasets": {"set": set_jobs},
    "jobs": {"get": get_jobs},
}
