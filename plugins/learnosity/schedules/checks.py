"""Checks the values of a schedule file. Every problem names the file, the line and the key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jsonschema import Draft202012Validator

from learnosity.api.dataset_request import ASSET_PREFIX, KNOWN_TYPES, OTHER_DATASETS, DatasetRequest
from learnosity.api.field_checks import is_template
from learnosity.errors import RequestError, StorageError
from learnosity.run_config import REQUEST_KEYS
from learnosity.schedules.crons import cron_problem
from learnosity.schedules.keys import SCHEMA, SHIPPED, Schedule
from learnosity.schedules.templates import template_problem
from learnosity.schedules.yaml_text import Place, YamlText
from learnosity.storage.uris import parse_uri

# At most this many problems of one file are reported; the others are counted. A list with the same mistake in each
# entry could have thousands of problems.
MAX_PROBLEMS = 20
_VALIDATOR = Draft202012Validator(SCHEMA)
# Maximum length of an asset's name or URI, in bytes. PostgreSQL cannot index much longer ones. One DAG file makes the
# DAGs of all schedules. If one schedule named an asset that is too long, Airflow could not save any of these DAGs.
_ASSET_BYTES = 2500
# First and last day that a schedule may name. Airflow cannot handle days near the ends of Python's calendar, such as
# 9999-12-31.
_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(2199, 12, 31)


@dataclass(frozen=True, slots=True)
class ScheduleProblem:
    """One problem in a file: where it is, and what is wrong."""

    file: str
    line: int
    key: str
    what: str

    def __str__(self) -> str:
        key = f" {_cut(self.key, 100)}:" if self.key else ""
        return printable(f"{self.file}:{self.line}:{key} {_cut(self.what, 400)}")


def check(file: str, text: YamlText) -> Schedule | list[ScheduleProblem]:
    """The schedule of a file; or its first `MAX_PROBLEMS` problems, and one more that counts the others.

    :param file: name of the file, for messages.
    """

    def problem(place: Place, what: str) -> ScheduleProblem:
        return ScheduleProblem(file, line_of(text.lines, place), _dotted(place), what)

    values = _given(text.value)
    problems = [ScheduleProblem(file, line, _dotted(place), "is there twice.") for place, line in text.doubled]
    problems += [problem(place, what) for place, what in _shape(values)]
    if not problems:
        schedule = Schedule(file=file, **values)
        problems = [problem(_standing(text.value, place), what) for place, what in _sense(schedule)]
        if not problems:
            return schedule
    more = len(problems) - MAX_PROBLEMS
    return problems[:MAX_PROBLEMS] + ([problem((), f"there are {more} more problems.")] if more > 0 else [])


def printable(text: str) -> str:
    """A text without characters that a log or a database cannot hold."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def column_problem(schedule: Schedule) -> str | None:
    """Which keys of `input_columns` no record of the dataset type has; None = there are none.

    They are no problem of the file: with the extra `input_check: json` of the connection, a record may have any key.
    """
    columns = schedule.params.get("input_columns")
    if not columns:
        return None
    # This import is not at the top: it would slow down each process that reads DAG files, and few files name columns.
    from learnosity.inputs.records import schema_for

    keys = [str(group["key"]) for group in schedule.params.get("groups", ())]
    if any(map(is_template, keys)):
        # The key of a level is a template, so it is known only when a run starts. Until then, nobody can say whether a
        # column such as `groups.district` belongs to a level. So the columns of levels are not checked here.
        keys, columns = [], {key: name for key, name in columns.items() if not key.startswith("groups.")}
    try:
        schema_for(schedule.params["dataset_type"], keys, input_columns=columns)
    except RequestError as error:
        return f"{error} Runs fail, unless the extra `input_check` is `json` in their Learnosity connection."
    return None


def texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """All texts in a value, each with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from texts(each, (*place, key))
    elif isinstance(value, list):
        for position, each in enumerate(value):
            yield from texts(each, (*place, position))


def _given(value: Any) -> Any:
    """The values of a file without those that are null, which mean the default."""
    if not isinstance(value, dict):
        return value
    keys = SCHEMA["properties"]
    given = {key: _typed(each, keys.get(key, {})) for key, each in value.items() if each is not None}
    if isinstance(given.get("params"), dict):
        known = keys["params"]["properties"]
        params = given["params"].items()
        given["params"] = {key: _typed(each, known.get(key, {})) for key, each in params if each is not None}
    return given


def _typed(value: Any, schema: Mapping[str, Any]) -> Any:
    """A value, or each value of a list, with the type that the JSON schema asks for.

    2.0 becomes 2 where it asks for an integer: for the schema, 2.0 is one, too. 2026 becomes a text where it asks for
    one, as an owner, a tag or a connection id: `007` is a text already, because of its zeros.
    """
    if isinstance(value, list):
        return [_typed(each, schema.get("items", {})) for each in value]
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", ())
    if isinstance(value, float) and value.is_integer() and "integer" in kinds:
        return int(value)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_whole and "string" in kinds else value


def _shape(values: Any) -> Iterator[tuple[Place, str]]:
    """The problems that the JSON schema of schedules finds."""
    return shape_problems(_VALIDATOR, values)


def shape_problems(validator: Draft202012Validator, values: Any) -> Iterator[tuple[Place, str]]:
    """The problems that a JSON schema finds, each with its place."""
    if values is None:
        yield (), "the file is empty."
        return
    for error in sorted(validator.iter_errors(values), key=lambda each: list(map(str, each.path))):
        place = tuple(error.absolute_path)
        if error.validator == "additionalProperties":
            known = error.schema.get("properties", {})
            for key in [key for key in error.instance if key not in known]:
                yield (*place, key), f"is not known here; the keys are {', '.join(known)}."
        else:
            yield place, f"{error.message}."


def _sense(schedule: Schedule) -> Iterator[tuple[Place, str]]:
    """The problems that the JSON schema cannot find: in name, times and templates, and what Learnosity would refuse."""
    if schedule.name in SHIPPED or schedule.name.startswith("invalid_"):
        yield ("name",), f"learnosity_{schedule.name} is the id of another DAG of this project; choose another name."
    for cron in schedule.crons:
        if what := cron_problem(cron):
            yield ("schedule",), what
    for asset in schedule.assets:
        if len(asset.encode()) > _ASSET_BYTES:
            yield ("schedule", "assets"), f"{_cut(asset, 60)!r} has more than {_ASSET_BYTES:,} bytes in UTF-8."
    if own := _updated(schedule.params["dataset_type"]) & {*schedule.assets}:
        yield ("schedule", "assets"), f"each run updates {own.pop()!r}, which would start the next one, without end."
    try:
        ZoneInfo(schedule.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield ("timezone",), f"{schedule.timezone!r} is not a time zone; write one such as Europe/Dublin."
    yield from _days(schedule)
    for place, text in texts(schedule.params, ("params",)):
        if what := template_problem(text):
            yield place, what
    request = DatasetRequest.from_mapping({key: schedule.params.get(key) for key in REQUEST_KEYS})
    for place, what in request.problems(
        has_input=bool(schedule.params.get("input_uri")),
        require_complete=schedule.params.get("require_complete") is True,
        templates=True,
    ):
        yield ("params", *place), what
    # Only the form of a URI is checked. Whether its connection and its driver exist is found out when a run uses it.
    for key in ("input_uri", "destination_uri"):
        uri = str(schedule.params.get(key) or "").strip()
        try:
            if uri and not is_template(uri):
                parse_uri(uri)
        except StorageError as error:
            yield ("params", key), str(error)


def _updated(dataset_type: str) -> set[str]:
    """Names and URIs of the assets that a publication of this type updates (`assets.published_assets`)."""
    own = {f"learnosity_{dataset_type}", ASSET_PREFIX + dataset_type}
    return own if dataset_type in KNOWN_TYPES else own | {OTHER_DATASETS, f"{ASSET_PREFIX}*"}


def _days(schedule: Schedule) -> Iterator[tuple[Place, str]]:
    days = []
    for key, text in (("start_date", schedule.start_date), ("end_date", schedule.end_date)):
        if text is None:
            continue
        try:
            days.append(date.fromisoformat(text))
        except ValueError as error:
            yield (key,), f"{text!r} is not a day: {error}."
            continue
        if not _FIRST_DAY <= days[-1] <= _LAST_DAY:
            yield (key,), f"{text!r} is not between {_FIRST_DAY} and {_LAST_DAY}."
    if len(days) == 2 and days[1] < days[0]:
        yield ("end_date",), f"the last day, {days[1]}, is before the first, {days[0]}."


def line_of(lines: Mapping[Place, int], place: Place) -> int:
    """The line number of a place. A key that is missing has the line of the nearest key around it."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _standing(value: Any, place: Place) -> Place:
    """The part of a place that stands in the file: a key that is missing has no line."""
    for depth, key in enumerate(place):
        try:
            value = value[key]
        except (LookupError, TypeError):
            return place[:depth]
    return place


def _dotted(place: Place) -> str:
    return ".".join(map(str, place))


def _cut(text: str, length: int) -> str:
    """A text with its middle left out where it is too long: the end of a message says what is wrong."""
    half = length // 2
    return text if len(text) <= length else f"{text[:half]} … {text[-half:]}"
