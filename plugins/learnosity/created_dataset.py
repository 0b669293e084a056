"""Reads what `create_dataset` returned, in the tasks after it: the dataset, and what was decided about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from learnosity.dataset.input_info import InputInfo
from learnosity.errors import RequestError


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
