"""The dataset types, and the request that asks for one, checked before anything is sent.

Only what the contract documents is checked; an unknown dataset type passes as it is, so that a new one needs
no release of this package (contract sections 4.2 and 10).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from learnosity.errors import RequestError

ACTIVITY_SUMMARY = "activity-summary-by-group"
SESSIONS_SUMMARY = "sessions-summary-by-group"
ITEM_BANK_ANALYSIS = "ibk-analysis-by-question"
ACTIVITY_ANALYSIS = "activity-analysis-by-question"

MAX_ACTIVITIES = 10
# What the URIs of the assets begin with; the type follows.
ASSET_PREFIX = "x-learnosity://datasets/"


@dataclass(frozen=True, slots=True)
class DatasetType:
    """What the contract says of one dataset type.

    :param name: as the API names it.
    :param input: whether input files must, may, or may or may not (unknown type) be given.
    :param by_group: results form a tree of groups, and the Reports API can render them.
    :param filters_with_input: whether filters and input files may go together.
    :param needs_input_or_filters: one of the two has to be there.
    """

    name: str
    input: Literal["required", "optional"]
    by_group: bool = False
    filters_with_input: bool = True
    needs_input_or_filters: bool = False


KNOWN_TYPES: Mapping[str, DatasetType] = {
    kind.name: kind
    for kind in (
        DatasetType(ACTIVITY_SUMMARY, "required", by_group=True),
        DatasetType(SESSIONS_SUMMARY, "required", by_group=True),
        DatasetType(ITEM_BANK_ANALYSIS, "optional", filters_with_input=False),
        DatasetType(ACTIVITY_ANALYSIS, "optional", filters_with_input=False, needs_input_or_filters=True),
    )
}


def dataset_type(name: str) -> DatasetType:
    """The known type of that name, or a lenient description of an unknown one."""
    return KNOWN_TYPES.get(name, DatasetType(name, "optional"))


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """What a user asks for; `body` makes the SET request of it.

    :param dataset_type: one of the four known types, or another one as plain string.
    :param filters: sent as they are.
    :param options: sent as they are.
    :param groups: hierarchy, top level first, of `key` and `label` each.
    :param organisation_id: item bank; None = the connection's.
    """

    dataset_type: str
    filters: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    groups: Sequence[Mapping[str, Any]] = ()
    organisation_id: int | None = None

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> DatasetRequest:
        """Build one from run config, where an empty form field is None."""
        organisation_id = values.get("organisation_id")
        if organisation_id in ("", None):
            organisation_id = None
        elif isinstance(organisation_id, bool) or not isinstance(organisation_id, int):
            raise RequestError("organisation_id must be a whole number or empty.")
        return cls(
            dataset_type=str(values.get("dataset_type") or "").strip(),
            filters=values.get("filters") or {},
            options=values.get("options") or {},
            groups=values.get("groups") or (),
            organisation_id=organisation_id,
        )

    @property
    def kind(self) -> DatasetType:
        """What is known of the dataset type."""
        return dataset_type(self.dataset_type)

    @property
    def group_keys(self) -> list[str]:
        """Keys of the hierarchy, top level first."""
        return [str(group["key"]) for group in self.groups]

    def body(self, dataset_id: str, file_count: int) -> dict[str, Any]:
        """The SET request (contract section 4.2)."""
        body: dict[str, Any] = {
            "dataset_id": dataset_id,
            "dataset_type": self.dataset_type,
            "file_count": file_count,
        }
        if self.filters:
            body["filters"] = dict(self.filters)
        if self.options:
            body["options"] = dict(self.options)
        if self.groups:
            body["groups"] = [dict(group) for group in self.groups]
        if self.organisation_id is not None:
            body["organisation_id"] = self.organisation_id
        return body

    def fingerprint(self, *parts: str) -> str:
        """Short digest of the request and of `parts`: a stored handle is only good for the same one."""
        content = msgspec.json.encode([self.body("", 0), *parts], order="deterministic")
        return hashlib.sha256(content).hexdigest()[:32]

    def check(self, *, has_input: bool) -> None:
        """Refuse what the API would refuse, as far as the contract says.

        :param has_input: whether input files will be uploaded.
        :raises RequestError: with every problem found and what to do.
        """
        problems = [*self._shape_problems(), *self._input_problems(has_input)]
        if problems:
            listed = "\n  ".join(problems)
            raise RequestError(f"The run config cannot become a dataset; nothing was sent to Learnosity:\n  {listed}")

    def _shape_problems(self) -> list[str]:
        problems = []
        if not self.dataset_type:
            problems.append("dataset_type is empty; the known ones are " + ", ".join(KNOWN_TYPES) + ".")
        for name in ("filters", "options"):
            if not isinstance(getattr(self, name), Mapping):
                problems.append(f"{name} must be a JSON object.")
        if problems:
            return problems
        problems += _group_problems(self.groups)
        activities = self.filters.get("activity_id")
        if activities is not None and (
            not isinstance(activities, Sequence)
            or isinstance(activities, str)
            or not all(isinstance(activity, str) and activity for activity in activities)
        ):
            problems.append("filters.activity_id must be a list of activity ids.")
        elif activities is not None and len(activities) > MAX_ACTIVITIES:
            problems.append(
                f"filters.activity_id names {len(activities)} activities; Learnosity takes at most {MAX_ACTIVITIES}: "
                "split them over several datasets."
            )
        for sort, fields, order in (
            ("default_sort_field", "fields", "default_sort_order"),
            ("default_users_sort_field", "user_fields", "default_users_sort_order"),
        ):
            wanted, offered = self.options.get(sort), self.options.get(fields)
            if wanted is not None and isinstance(offered, list) and wanted not in offered:
                problems.append(f"options.{sort} is {wanted!r}, which is not among options.{fields}.")
            if self.options.get(order) not in (None, "asc", "desc"):
                problems.append(f"options.{order} must be 'asc' or 'desc'.")
        return problems

    def _input_problems(self, has_input: bool) -> list[str]:
        kind = self.kind
        if kind.input == "required" and not has_input:
            return [f"{kind.name} needs input files: set input_uri to the NDJSON of users and their groups."]
        if has_input and self.filters and not kind.filters_with_input:
            return [f"{kind.name} takes either input files or filters: empty input_uri or filters."]
        if kind.needs_input_or_filters and not has_input and not self.filters:
            return [f"{kind.name} needs input files or filters: set input_uri, or filters such as activity_id."]
        return []


def check_dataset_id(value: str | None) -> str | None:
    """A UUID in lower case, None when empty.

    :raises RequestError: when it is something else.
    """
    if not value:
        return None
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise RequestError(f"dataset_id {str(value)[:60]!r} is not a UUID; leave it empty to get a new one.") from None


def _group_problems(groups: Any) -> list[str]:
    if not isinstance(groups, Sequence) or isinstance(groups, str):
        return ["groups must be a list of {key, label}, top level first."]
    keys = []
    for position, group in enumerate(groups, start=1):
        key = group.get("key") if isinstance(group, Mapping) else None
        if not isinstance(key, str) or not key:
            return [f"groups: entry {position} must be an object with `key` and `label`."]
        keys.append(key)
    if len(set(keys)) != len(keys):
        return ["groups: every level needs a key of its own."]
    return []
