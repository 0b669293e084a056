"""What `create_dataset` returns: how the tasks after it read this, and how it is made for a dataset that exists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from learnosity.dataset.input_info import InputInfo
from learnosity.errors import RequestError

if TYPE_CHECKING:
    from learnosity.api.dataset_request import DatasetRequest


def check_job(job_reference: object, *, create: bool) -> None:
    """Check that a job to wait for goes with a dataset that exists already.

    :raises RequestError: there is one, and a dataset would be created: its job is another one.
    """
    if create and str(job_reference or "").strip():
        raise RequestError(
            "job_reference names a job that runs already, but create is true, which makes a new dataset and starts "
            "another job. To wait for that job, set create to false and dataset_id to its dataset; for a new dataset, "
            "empty job_reference."
        )


def existing_dataset(
    request: DatasetRequest, dataset_id: str, job_reference: object, organisation_id: int | None
) -> dict[str, Any]:
    """What `create_dataset` returns for a dataset that already exists: as for a new dataset, and `existing`."""
    return {
        "dataset_id": dataset_id,
        "job_reference": str(job_reference or "").strip(),
        "file_count": 0,
        "records": 0,
        "bytes": 0,
        "input": None,
        "request": request.body(dataset_id, 0, organisation_id),
        "existing": True,
    }


def check_created(returned: object) -> Mapping[str, Any]:
    """Return the XCom of `create_dataset`, if it is one.

    :raises RequestError: it returned nothing, because it did not run.
    """
    if isinstance(returned, Mapping) and returned.get("dataset_id"):
        return returned
    raise RequestError(
        "create_dataset returned no dataset: was it marked as success by hand? Clear it with its downstream tasks. For "
        "a dataset that exists already, trigger a new run with create false and its dataset_id."
    )


def decided(created: Mapping[str, Any], name: str) -> str:
    """The value of `name`, as `create_dataset` decided it. A default could be another one, so there is none.

    :raises RequestError: it decided nothing, because it ran under an earlier release.
    """
    if found := created.get(name):
        return str(found)
    raise RequestError(
        f"create_dataset ran under an earlier release, which did not hand on its {name}. Clear create_dataset with its "
        "downstream tasks: it goes on with the job that it has started."
    )


def item_bank(created: Mapping[str, Any]) -> dict[str, int | None]:
    """`organisation_id`, as it was sent for the dataset. The connection's may have changed since.

    :returns: None as its value if none was sent. Empty if this is not known: release 1.0 did not hand on the request.
    """
    request = created.get("request")
    sent = created.get("organisation_id")
    if sent is None and request:
        sent = request.get("organisation_id")
    return {"organisation_id": sent} if sent is not None or request else {}


def levels_of(created: Mapping[str, Any]) -> int | None:
    """How many levels of groups the dataset has; None = not known.

    The request of a run that created nothing comes from the run config, and may say less than the dataset has.
    """
    if created.get("existing"):
        return None
    return len((created.get("request") or {}).get("groups") or ()) or None


def sent_input(created: Mapping[str, Any]) -> InputInfo | None:
    """The input that `create_dataset` uploaded; None = there was none, or it ran under an earlier release."""
    try:
        return msgspec.convert(created.get("input"), InputInfo | None)
    except msgspec.ValidationError as error:
        raise RequestError(f"The input in the XCom of create_dataset cannot be read ({error}). Clear it.") from None
