"""The dataset types, and the request for a dataset, which is checked before anything is sent.

The form of groups is checked for every type, filters and options and what a type needs for known types only
(docs/learnosity-api.md, "Initialise a dataset"). So a new type of Learnosity needs no new release of this package.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from learnosity.api.field_checks import (
    Problem,
    check_organisation_id,
    check_request,
    filter_problems,
    is_template,
    names_something,
    option_problems,
    plain_json,
)
from learnosity.errors import RequestError

ACTIVITY_SUMMARY = "activity-summary-by-group"
SESSIONS_SUMMARY = "sessions-summary-by-group"
ITEM_BANK_ANALYSIS = "ibk-analysis-by-question"
ACTIVITY_ANALYSIS = "activity-analysis-by-question"

# Maximum number of ids in `filters.activity_id`. Learnosity documents this limit only for the type `ACTIVITY_SUMMARY`.
# For other types, the number is not checked.
MAX_ACTIVITIES = 10
# The publication of a dataset adds an event to an Airflow asset, so that DAGs can be scheduled on it. Each dataset type
# has its own asset. The URI of the asset is this prefix, followed by the dataset type.
ASSET_PREFIX = "x-learnosity://datasets/"
# Name of one more asset. Its URI is `x-learnosity://datasets/*`. If the type of a dataset is not in `KNOWN_TYPES`, this
# asset gets an event, too, besides the asset of the type. So one DAG can be scheduled on all other types, even if their
# names are not known when it is written.
OTHER_DATASETS = "learnosity-other-datasets"


@dataclass(frozen=True, slots=True)
class DatasetType:
    """The documented rules of one dataset type.

    :param name: its name in the API.
    :param label: its name for people.
    :param input: whether input files are required or optional.
    :param by_group: the result is a tree of groups, and the Reports API can show it; default False.
    :param filters_with_input: filters and input files may be given together; default True.
    :param needs_input_or_filters: input files or filters must be given; default False.
    :param needs_activities: `filters.activity_id` must be given; default False.
    """

    name: str
    label: str
    input: Literal["required", "optional"]
    by_group: bool = False
    filters_with_input: bool = True
    needs_input_or_filters: bool = False
    needs_activities: bool = False

    @property
    def needs(self) -> str:
        """What a run config must give for this type, for people."""
        needed = [
            name
            for name, is_needed in (
                ("input_uri", self.input == "required"),
                ("groups", self.by_group),
                ("filters.activity_id", self.needs_activities),
            )
            if is_needed
        ]
        if self.needs_input_or_filters:
            needed.append("input_uri or filters, not both")
        elif not self.filters_with_input:
            needed.append("nothing; input_uri or filters, not both")
        return ", ".join(needed)


KNOWN_TYPES: Mapping[str, DatasetType] = {
    kind.name: kind
    for kind in (
        DatasetType(
            ACTIVITY_SUMMARY,
            "Activity summary by group (large group report)",
            "required",
            by_group=True,
            needs_activities=True,
        ),
        DatasetType(SESSIONS_SUMMARY, "Sessions summary by group (large group report)", "required", by_group=True),
        DatasetType(ITEM_BANK_ANALYSIS, "Item bank analysis by question", "optional", filters_with_input=False),
        DatasetType(
            ACTIVITY_ANALYSIS,
            "Activity analysis by question",
            "optional",
            filters_with_input=False,
            needs_input_or_filters=True,
        ),
    )
}


def dataset_type(name: str) -> DatasetType:
    """The type with this name. For an unknown name: a type that allows everything."""
    return KNOWN_TYPES.get(name, DatasetType(name, name, "optional"))


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """What a user asks for. `body` makes the `set` request of it.

    :param dataset_type: one of the four known types, or another name.
    :param filters: which sessions to include; sent unchanged.
    :param options: fields and order of the result; sent unchanged.
    :param groups: levels of the hierarchy, top level first, each with `key` and `label`.
    :param organisation_id: item bank; None = the item bank of the Airflow connection.
    """

    dataset_type: str
    filters: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    groups: Sequence[Mapping[str, Any]] = ()
    organisation_id: int | None = None

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> DatasetRequest:
        """Make a request from the part of a run config that is the request. An empty form field is None in it.

        :raises RequestError: it cannot be used: see the functions of `api.field_checks` that are called here.
        """
        check_request(values)
        return cls(
            dataset_type=str(values.get("dataset_type") or "").strip(),
            filters=plain_json("filters", values.get("filters") or {}),
            options=plain_json("options", values.get("options") or {}),
            groups=plain_json("groups", values.get("groups") or ()),
            organisation_id=check_organisation_id(values.get("organisation_id")),
        )

    @property
    def kind(self) -> DatasetType:
        """The documented rules of the dataset type."""
        return dataset_type(self.dataset_type)

    @property
    def group_keys(self) -> list[str]:
        """Keys of the hierarchy, top level first. Groups that `check` refuses have none."""
        return [str(group["key"]) for group in self.groups] if not _group_problems(self.groups) else []

    def body(self, dataset_id: str, file_count: int, organisation_id: int | None = None) -> dict[str, Any]:
        """The `set` request that initialises the dataset.

        :param file_count: number of input files that will be uploaded.
        :param organisation_id: the item bank of the Airflow connection. Used when the request names no item bank.
        """
        body: dict[str, Any] = {"dataset_id": dataset_id, "dataset_type": self.dataset_type, "file_count": file_count}
        if self.filters:
            body["filters"] = dict(self.filters)
        if self.options:
            body["options"] = dict(self.options)
        if self.groups:
            body["groups"] = [dict(group) for group in self.groups]
        chosen = self.organisation_id if self.organisation_id is not None else organisation_id
        if chosen is not None:
            body["organisation_id"] = chosen
        return body

    def check(self, *, has_input: bool, require_complete: bool = False, templates: bool = False) -> None:
        """Check the request against Learnosity's documented rules.

        :param has_input: whether input files will be uploaded.
        :param require_complete: whether the result must be comparable with the input; default False.
        :param templates: whether its templates are rendered later; default False.
        :raises RequestError: something is wrong. The message lists all problems and what to do.
        """
        _refuse(self.problems(has_input=has_input, require_complete=require_complete, templates=templates))

    def problems(self, *, has_input: bool, require_complete: bool = False, templates: bool = False) -> list[Problem]:
        """What `check` finds, each with its place in the request. `input_uri` is a place, too."""
        problems = [*self._problems(templates), *self._input_problems(has_input)]
        fields = self.options.get("fields") if isinstance(self.options, Mapping) else None
        if require_complete and self.kind.by_group and isinstance(fields, list) and "population" not in fields:
            what = 'require_complete compares users with the population: add "population" to options.fields.'
            problems.append(Problem(("options", "fields"), what))
        return problems

    def check_existing(self, dataset_id: str | None) -> None:
        """Check a dataset that exists already: it needs an id, and `body` needs fields of the right types.

        :raises RequestError: the id is missing, or a field is of another type. The message lists all problems.
        """
        what = "create is false: set dataset_id to the id of the dataset that exists."
        problems = () if dataset_id else (Problem(("dataset_id",), what),)
        _refuse([*problems, *self._no_objects(), *_group_problems(self.groups)])

    def _problems(self, templates: bool) -> list[Problem]:
        problems = []
        if not self.dataset_type:
            what = f"dataset_type is empty; the known ones are {', '.join(KNOWN_TYPES)}."
            problems.append(Problem(("dataset_type",), what))
        return [
            *problems,
            *_group_problems(self.groups, templates=templates),
            *self._form_problems(templates),
        ]

    def _no_objects(self) -> list[Problem]:
        given = {"filters": self.filters, "options": self.options}
        wrong = [name for name, value in given.items() if not isinstance(value, Mapping)]
        return [Problem((name,), f"{name} must be a JSON object.") for name in wrong]

    def _form_problems(self, templates: bool) -> list[Problem]:
        """Filters and options that are of no known form. What types of other names take is not known."""
        if wrong := self._no_objects():
            return wrong
        if self.dataset_type not in KNOWN_TYPES:
            return []
        most = MAX_ACTIVITIES if self.kind.needs_activities else None
        return [*filter_problems(self.filters, most), *option_problems(self.options, templates=templates)]

    def _input_problems(self, has_input: bool) -> list[Problem]:
        """What the request lacks for its dataset type, or has although the type does not allow it."""
        kind, problems = self.kind, []

        def note(what: str, *place: str) -> None:
            problems.append(Problem(place, f"{kind.name} {what}"))

        if kind.input == "required" and not has_input:
            note("needs input files: set input_uri to the files of users and their groups.", "input_uri")
        if kind.by_group and not self.groups:
            example = '[{"key": "school", "label": "School"}]'
            note(f"needs a hierarchy: set groups, top level first, such as {example}.", "groups")
        if kind.needs_activities and isinstance(self.filters, Mapping) and not self.filters.get("activity_id"):
            note('needs activities: set filters, such as {"activity_id": ["…"]}.', "filters", "activity_id")
        if has_input and self.filters and not kind.filters_with_input:
            note("takes either input files or filters: empty input_uri or filters.", "input_uri")
        if kind.needs_input_or_filters and not has_input and not names_something(self.filters):
            what = "needs input files or filters: set input_uri, or filters such as activity_id."
            note(what, "filters" if self.filters else "input_uri")
        return problems


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        listed = "\n  ".join(each.what for each in problems)
        raise RequestError(f"The run config cannot become a dataset; nothing was sent to Learnosity:\n  {listed}")


def check_dataset_id(value: str | None) -> str | None:
    """The UUID in lower case; None for an empty value.

    :raises RequestError: the value is not a UUID.
    """
    text = str(value or "").strip()
    if not text:
        return None
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise RequestError(f"dataset_id {str(value)[:60]!r} is not a UUID; leave it empty to get a new one.") from None


def _group_problems(groups: Any, *, templates: bool = False) -> list[Problem]:
    if not isinstance(groups, Sequence) or isinstance(groups, str):
        return [Problem(("groups",), "groups must be a list of {key, label}, top level first.")]
    problems = []
    entries: dict[str, int] = {}  # key of a level -> number of the first entry that has this key
    for position, group in enumerate(groups):
        entry = position + 1
        key = group.get("key") if isinstance(group, Mapping) else None
        if not isinstance(key, str) or not key:
            what = f"groups: entry {entry} must be an object with `key` and `label`."
            problems.append(Problem(("groups", position), what))
        elif any(char in '"\\' or ord(char) < 0x20 for char in key) and not (templates and is_template(key)):
            what = f'groups: the key of entry {entry} may not hold ", \\ or a control character.'
            problems.append(Problem(("groups", position, "key"), what))
        elif (first := entries.setdefault(key, entry)) != entry:
            what = f"groups: every level needs a key of its own, and entry {entry} has that of entry {first}."
            problems.append(Problem(("groups", position, "key"), what))
    return problems
