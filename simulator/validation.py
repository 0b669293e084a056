"""Turns a request to initialise a dataset into a `DatasetSpec`, or into an error code.

Its fields are described in docs/learnosity-api.md, "Initialise a dataset". Pure: no clock, no state. Checks that need
other datasets (a duplicate id) are made by the caller.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from .config import SimulatorConfig
from .errors import ApiError

SUMMARY_TYPES: Final = ("activity-summary-by-group", "sessions-summary-by-group")
ANALYSIS_TYPES: Final = ("ibk-analysis-by-question", "activity-analysis-by-question")
DATASET_TYPES: Final = (*SUMMARY_TYPES, *ANALYSIS_TYPES)

GROUP_FIELDS: Final = frozenset(
    ["group_count", "population", "mean_seen_activities", "mean_attempted_percent"]
    + [f"{stat}_{of}" for stat in ("lowest", "highest", "mean", "median", "stddev") for of in ("score", "percent")]
)
USER_FIELDS: Final = frozenset(
    [
        "score",
        "percent",
        "attempted_max_score",
        "unscored_max_score",
        "seen_score",
        "max_score",
        "seen_activities",
    ]
)
ITEM_FIELDS: Final = (
    "item_position",
    "item_reference",
    "organisation_id",
    "question_number",
    "question_reference",
    "count_sessions",
    "count_attempted",
    "p_value",
    "stddev_p_value",
    "p_value_if_attempted",
    "stddev_p_value_if_attempted",
    "discrimination_index",
)
DEFAULT_GROUP_FIELDS: Final = (
    "population",
    "mean_score",
    "lowest_percent",
    "mean_percent",
    "highest_percent",
)
PERCENTILE: Final = re.compile(r"^p(\d{2})_(score|percent)$")
_TOP_LEVEL: Final = frozenset(
    ["dataset_id", "dataset_type", "file_count", "filters", "options", "groups", "organisation_id", "meta"]
)


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the group hierarchy: the key that input records use, and the label for people."""

    key: str
    label: str


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A valid request to make a dataset; times are Unix seconds."""

    dataset_id: str
    dataset_type: str
    organisation_id: int
    file_count: int
    activity_ids: tuple[str, ...]
    mintime: float | None
    maxtime: float | None
    fields: tuple[str, ...]
    sort_field: str | None
    sort_descending: bool
    user_fields: tuple[str, ...]
    users_sort_field: str | None
    users_sort_descending: bool
    levels: tuple[Level, ...]

    @property
    def summary(self) -> bool:
        """Whether this is a summary by group (else an item analysis)."""
        return self.dataset_type in SUMMARY_TYPES


def dataset_type_of(request: dict[str, Any]) -> str:
    """The known dataset type a request names.

    :raises ApiError: 20000, 20003 or 44000.
    """
    value = _required(request, "dataset_type", str)
    if value not in DATASET_TYPES:
        raise ApiError(44000, value)
    return str(value)


def dataset_id_of(request: dict[str, Any]) -> str:
    """The dataset id a request names, in lower case.

    :raises ApiError: 20000, 20003 or 20004.
    """
    value = _required(request, "dataset_id", str)
    try:
        return str(uuid.UUID(value))
    except ValueError as error:
        raise ApiError(20004, "dataset_id must be a UUID") from error


def organisation_of(request: dict[str, Any], config: SimulatorConfig) -> int:
    """The item bank a request acts on.

    :raises ApiError: 20003; 40003 when the consumer is not linked to it.
    """
    value = _typed(request, "organisation_id", int)
    if value is None:
        return config.organisation_id
    if value != config.organisation_id and value not in config.linked_organisations:
        raise ApiError(40003, f"organisation_id {value}")
    return int(value)


def moment_of(request: dict[str, Any], key: str) -> float | None:
    """A moment in Unix seconds from a Unix timestamp or an RFC 3339 text.

    :raises ApiError: 20003 or 20004.
    """
    value = request.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ApiError(20003, key)
    if not isinstance(value, str):
        return float(value)
    if re.fullmatch(r"\d{1,12}", value):
        return float(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ApiError(20004, f"{key} must be RFC 3339 or a Unix timestamp") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def validate(request: dict[str, Any], config: SimulatorConfig) -> DatasetSpec:
    """Check a SET reports/datasets request as a whole.

    :raises ApiError: the first thing found wrong.
    """
    dataset_type = dataset_type_of(request)
    summary = dataset_type in SUMMARY_TYPES
    if config.strict_request and (unknown := sorted(set(request) - _TOP_LEVEL)):
        raise ApiError(20004, f"unknown parameters {unknown}")
    given = request.get("dataset_id") is not None or config.require_dataset_id
    dataset_id = dataset_id_of(request) if given else str(uuid.uuid4())
    file_count = _required(request, "file_count", int)
    if not 0 <= file_count <= 100:
        raise ApiError(20004, "file_count must be between 0 and 100")
    if summary and file_count == 0 and not config.summary_without_files:
        raise ApiError(20004, f"{dataset_type} needs at least one input file")
    filters = _typed(request, "filters", dict) or {}
    _check_modes(dataset_type, file_count, filters)
    options = _typed(request, "options", dict) or {}
    fields, user_fields = _fields(options, summary)
    minimum, maximum = moment_of(filters, "mintime"), moment_of(filters, "maxtime")
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ApiError(20004, "filters.mintime is after filters.maxtime")
    return DatasetSpec(
        dataset_id=dataset_id,
        dataset_type=dataset_type,
        organisation_id=organisation_of(request, config),
        file_count=file_count,
        activity_ids=_activities(filters, required=dataset_type == "activity-summary-by-group"),
        mintime=minimum,
        maxtime=maximum,
        fields=fields,
        sort_field=_sort_field(options, "default_sort_field", fields),
        sort_descending=_descending(options, "default_sort_order"),
        user_fields=user_fields,
        users_sort_field=_sort_field(options, "default_users_sort_field", user_fields),
        users_sort_descending=_descending(options, "default_users_sort_order"),
        levels=_levels(request) if summary else (),
    )


def _check_modes(dataset_type: str, file_count: int, filters: dict[str, Any]) -> None:
    if dataset_type in ANALYSIS_TYPES and file_count and filters:
        raise ApiError(20004, "filters may not be combined with input files")
    if dataset_type == "activity-analysis-by-question" and not file_count and not filters:
        raise ApiError(20000, "either input files or filters are needed")


def _activities(filters: dict[str, Any], *, required: bool) -> tuple[str, ...]:
    if required and "activity_id" not in filters:
        raise ApiError(20000, "filters.activity_id")
    activities = _texts(filters, "activity_id")
    if required and not activities:
        raise ApiError(20001, "filters.activity_id needs at least one activity")
    if len(activities) > 10:
        raise ApiError(20002, "filters.activity_id holds more than 10 activities")
    return activities


def _fields(options: dict[str, Any], summary: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    fields, user_fields = _texts(options, "fields"), _texts(options, "user_fields")
    for field in fields:
        known = field in GROUP_FIELDS or PERCENTILE.match(field) if summary else field in ITEM_FIELDS
        if not known:
            raise ApiError(20004, f"options.fields: {field}")
    for field in user_fields:
        if field not in USER_FIELDS:
            raise ApiError(20004, f"options.user_fields: {field}")
    return fields or (DEFAULT_GROUP_FIELDS if summary else ITEM_FIELDS), user_fields


def _sort_field(options: dict[str, Any], key: str, among: Sequence[str]) -> str | None:
    value: str | None = _typed(options, key, str)
    if value is not None and value not in among:
        raise ApiError(20004, f"options.{key} must be one of the requested fields")
    return value


def _descending(options: dict[str, Any], key: str) -> bool:
    value = _typed(options, key, str)
    if value not in (None, "asc", "desc"):
        raise ApiError(20004, f"options.{key} must be asc or desc")
    return bool(value != "asc")


def _levels(request: dict[str, Any]) -> tuple[Level, ...]:
    if not (groups := _required(request, "groups", list)):
        raise ApiError(20001, "groups needs at least one level")
    levels: list[Level] = []
    for group in groups:
        if not isinstance(group, dict):
            raise ApiError(20003, "groups must hold objects with key and label")
        level = Level(_required(group, "key", str), _required(group, "label", str))
        if not level.key or level.key in [each.key for each in levels]:
            raise ApiError(20004, "groups: every key must be non-empty and unique")
        levels.append(level)
    return tuple(levels)


def _texts(parent: dict[str, Any], key: str) -> tuple[str, ...]:
    values = _typed(parent, key, list) or []
    if not all(isinstance(value, str) for value in values):
        raise ApiError(20003, f"{key} must be an array of strings")
    return tuple(dict.fromkeys(values))


def _required(parent: dict[str, Any], key: str, kind: type) -> Any:
    value = _typed(parent, key, kind)
    if value is None:
        raise ApiError(20000, key)
    return value


def _typed(parent: dict[str, Any], key: str, kind: type) -> Any:
    value = parent.get(key)
    if value is None:
        return None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ApiError(20003, f"{key} must be of type {kind.__name__}")
    return value
