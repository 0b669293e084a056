"""The errors for a dataset that cannot be made. Each message says what to do next."""

from __future__ import annotations

from learnosity.errors import ConflictError, PermanentApiError, RequestError, UrlExpiredError


def id_is_taken(dataset_id: str, error: ConflictError, *, ours: bool) -> RequestError:
    """The error for a dataset id of the run config that is already in use at Learnosity.

    :param ours: whether an earlier attempt of this task has used it.
    """
    reason = (
        "an earlier attempt of this task has begun it and could not finish it, and an id cannot be used twice"
        if ours
        else "a finished dataset is landed again by the run that made it"
    )
    return RequestError(
        f"Dataset {dataset_id} exists already. Leave dataset_id empty to get a new one: {reason}. {error}"
    )


def new_id_is_taken(dataset_id: str, error: ConflictError) -> PermanentApiError:
    """The error for a conflict about a dataset id that was made for this dataset."""
    return PermanentApiError(
        f"Learnosity says that dataset {dataset_id} exists already, although its id was made for it just now. If this "
        f"goes on, look at Learnosity's job list, and ask Learnosity what the conflict is. {error}"
    )


def job_is_doubtful(fixed: bool) -> PermanentApiError:
    """The error when there is no way to find out whether the job was started."""
    return PermanentApiError(
        "It is not known whether Learnosity started the job of the dataset, and a job is never started twice. "
        f"Look at Learnosity's job list; then run again{' with another dataset_id' if fixed else ''}."
    )


def urls_ran_out(dataset_id: str, fixed: bool, error: UrlExpiredError) -> PermanentApiError:
    """The error when the upload URLs have expired and no other dataset may be begun."""
    advice = (
        "the upload URLs of a dataset cannot be renewed, and its id cannot be used again: leave dataset_id empty"
        if fixed
        else "several datasets were begun, and the URLs of each expired: look at the network to the upload host"
    )
    return PermanentApiError(f"The input of dataset {dataset_id} could not be uploaded; {advice}. {error}")
