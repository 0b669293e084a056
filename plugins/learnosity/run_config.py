"""The run config: one table of its fields. The trigger form and the schema of schedule files are made from this table.

To add a field, add it here and pass it to its operator in `dataset_tasks`. `params` makes the form of the fields, and
`schedules.files` reads the files.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from learnosity.api.dataset_request import ACTIVITY_SUMMARY, KNOWN_TYPES
from learnosity.api.defaults import MAX_JOB_MINUTES
from learnosity.api.field_checks import REQUEST_KEYS as REQUEST_KEYS
from learnosity.api.field_checks import ended, unknown_names
from learnosity.dataset.limits import MAX_SHARDS
from learnosity.errors import RequestError

# Sections of the trigger form. Airflow opens only the section "Run Parameters", so it has the fields that most runs
# need. The other sections are closed until the user opens them.
DATASET = "Run Parameters"
IDENTITY = "Dataset id and item bank"
LANDING = "Landing"
RUNNING = "Waiting and connection"

DESTINATION_VARIABLE = "learnosity_destination_uri"
EXAMPLE_FIELDS = ["population", "mean_percent", "median_percent", "p25_percent", "p75_percent"]
EXAMPLE_USER_FIELDS = ["score", "max_score"]

UUID_PATTERN = "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})?$"
_URI = r"^([A-Za-z][A-Za-z0-9+.-]*://\S.*)?$"
_FILLED = {"type": "string", "minLength": 1}
# Null and an empty value mean the default, so these schemas allow both.
_TEXT = {"type": ["null", "string"]}
_OBJECT = {"type": ["null", "object"]}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the run config.

    :param name: its key in run configs and in schedule files.
    :param default: a value that the schema allows, because Airflow requires one for a DAG with a schedule.
    :param schema: JSON schema of its value.
    :param title: label in the form.
    :param description: its meaning, for the form and the schema. Do not use backticks: the form draws long code badly.
    :param section: part of the form.
    :param scheduled: whether schedule files may set it; default True.
    :param examples: values that the form proposes; default none.
    :param labels: the names of these values in the form; default: the values.
    """

    name: str
    default: Any
    schema: Mapping[str, Any]
    title: str
    description: str
    section: str
    scheduled: bool = True
    examples: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


FIELDS = (
    Field(
        "dataset_type",
        ACTIVITY_SUMMARY,
        {"type": ["null", "string"], "pattern": "^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$"},
        "Dataset type",
        "One of the four known types, or the name of another one. What each needs: "
        + "; ".join(f"{kind.name}: {kind.needs}" for kind in KNOWN_TYPES.values())
        + ".",
        DATASET,
        examples=tuple(KNOWN_TYPES),
        labels={kind.name: kind.label for kind in KNOWN_TYPES.values()},
    ),
    Field(
        "input_uri",
        None,
        {"type": ["null", "string"], "pattern": _URI},
        "Input files",
        "NDJSON, CSV, TSV or Parquet on any object storage, plain, gzip or zstd: a file, a folder or a glob, such as "
        "s3://connection@bucket/users/*.csv or file:///data/users.ndjson.gz. The group types need it: one line or "
        "row per user with user_id and groups. Empty = no input files.",
        DATASET,
    ),
    Field(
        "input_columns",
        {},
        {"type": ["null", "object"], "additionalProperties": _FILLED},
        "Columns of the input",
        'CSV, TSV and Parquet: which column holds what, such as {"user_id": "student_no", "groups.district": "lea"}. '
        "What is not named is found under its own name: user_id, session_id, and the key of each level.",
        DATASET,
    ),
    Field(
        "groups",
        [],
        {
            "type": ["null", "array"],
            "items": {
                "type": "object",
                "required": ["key", "label"],
                "properties": {"key": _FILLED, "label": {"type": "string"}},
            },
        },
        "Hierarchy",
        'Levels of the report, top level first: [{"key": "district", "label": "District"}, {"key": "school", '
        '"label": "School"}]. Every line of the input names its group of each level.',
        DATASET,
    ),
    Field(
        "filters",
        {},
        _OBJECT,
        "Filters",
        'Sent as they are: {"activity_id": ["…"], "mintime": "2026-11-01T00:00:00Z", "maxtime": "…"}. At most ten '
        "activities for activity-summary-by-group. The analysis types take either input files or filters.",
        DATASET,
    ),
    Field(
        "options",
        {},
        _OBJECT,
        "Options",
        "Sent as they are: fields to compute for every group or question, user_fields to keep for every user, sort "
        "fields and orders. Box plots need the percentiles of the example: "
        f"{json.dumps({'fields': EXAMPLE_FIELDS, 'user_fields': EXAMPLE_USER_FIELDS})}",
        DATASET,
    ),
    Field(
        "organisation_id",
        None,
        {"type": ["null", "integer"], "minimum": 1},
        "Item bank (organisation id)",
        "Empty = the one of the connection, or else the consumer's primary item bank.",
        IDENTITY,
    ),
    Field(
        "dataset_id",
        None,
        {"type": ["null", "string"], "pattern": UUID_PATTERN},
        "Dataset id",
        "A UUID of your own. Empty = a new one, which is nearly always right.",
        IDENTITY,
        scheduled=False,
    ),
    Field(
        "create",
        True,
        {"type": ["null", "boolean"]},
        "Create the dataset",
        "Off = the dataset of the dataset id exists already: nothing is created, it is waited for and landed.",
        IDENTITY,
        scheduled=False,
    ),
    Field(
        "job_reference",
        None,
        {"type": ["null", "string"]},
        "Job to wait for",
        "Only for a dataset that exists already. Empty = it is finished.",
        IDENTITY,
        scheduled=False,
    ),
    Field(
        "destination_uri",
        None,
        _TEXT,
        "Destination",
        "Prefix below which datasets land: s3://connection@bucket/datasets, gs://…, abfs://… or file:///…. Empty = "
        f"what the Airflow Variable {DESTINATION_VARIABLE} says; neither given: the run fails at once.",
        LANDING,
    ),
    Field(
        "include",
        ["*"],
        {"type": ["null", "array"], "items": _FILLED},
        "Files to land",
        "Globs over the files' paths; * also matches /.",
        LANDING,
        examples=("*", "*.json", "*.csv"),
    ),
    Field(
        "overwrite",
        False,
        {"type": ["null", "boolean"]},
        "Land again",
        "Land again what is published already for this dataset.",
        LANDING,
    ),
    Field(
        "require_complete",
        False,
        {"type": ["null", "boolean"]},
        "Require completeness",
        "Publish only if all users and groups that were uploaded came back. Off = a gap is a warning.",
        LANDING,
    ),
    Field(
        "landing_shards",
        1,
        {"type": ["null", "integer"], "minimum": 1, "maximum": MAX_SHARDS},
        "Landing tasks",
        "How many mapped tasks share the landing; more only helps over several workers.",
        LANDING,
    ),
    Field(
        "poll_interval",
        15,
        {"type": ["null", "number"], "minimum": 1, "maximum": 60},
        "Poll interval (seconds)",
        "Longest time between two polls of the job. Polls begin 5 s apart, or less.",
        RUNNING,
    ),
    Field(
        "job_timeout",
        360,
        {"type": ["null", "number"], "exclusiveMinimum": 0, "maximum": MAX_JOB_MINUTES},
        "Job time-out (minutes)",
        "After this long the wait fails; the job may still run.",
        RUNNING,
    ),
    Field(
        "learnosity_conn_id",
        "learnosity_default",
        _TEXT,
        "Learnosity connection",
        "Airflow connection with the consumer key and secret.",
        RUNNING,
    ),
)

DEFAULTS: Mapping[str, Any] = {each.name: each.default for each in FIELDS}


def is_empty(value: Any) -> bool:
    """Whether a value means the default: null, an empty or blank text, an empty list or object."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {}, ())


def chosen(name: str, value: Any) -> Any:
    """`value`, or the default of the field `name` if the value is empty."""
    return DEFAULTS[name] if is_empty(value) else value


def read_run_config(
    conf: Mapping[str, Any] | None, names: Collection[str], fixed: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The values that the run config of a run gives.

    :param conf: the run config, as the form, the REST API or a backfill sent it.
    :param names: the fields that it may give.
    :param fixed: fields that cannot be changed, with their values; default none.
    :returns: the values that are not empty, by name.
    :raises RequestError: it has another key, or another value for a fixed field. The message lists all of them.
    """
    given = {name: value for name, value in (conf or {}).items() if not is_empty(value)}
    problems = [
        f"{name} is always {value!r} in this DAG; use the DAG learnosity_dataset for another one"
        for name, value in (fixed or {}).items()
        if name in given and given.pop(name) != value
    ]
    problems += unknown_names(set(conf or {}) - set(fixed or {}), names)
    if problems:
        raise RequestError(
            f"The run config cannot be used: {ended('; '.join(problems))} The fields are {', '.join(names)}. "
            "Trigger a new run: the config of this run cannot be changed."
        )
    return given


def mapping(name: str, value: Any) -> Mapping[str, Any]:
    """The value of a field that is an object.

    :raises RequestError: it is something else.
    """
    if is_empty(value):
        return {}
    if isinstance(value, Mapping):
        return value
    raise RequestError(f'{name} has to be an object, such as {{"user_id": "student_no"}}.')


def flag(name: str, value: Any, default: bool) -> bool:
    """The value of a field that is true or false. A template may have made it a text.

    :param value: a boolean or its text; None and "" mean `default`.
    :raises RequestError: the value is neither true nor false.
    """
    if is_empty(value):
        return default
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise RequestError(f"{name} is {str(value)[:60]!r}; it must be true or false.")
