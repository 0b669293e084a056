"""Scheduled datasets as YAML files: read, checked, and every problem named by file, line and key.

One file is one dataset. A file that cannot be used never keeps the others from being used. No Airflow here: what
becomes of a schedule is the business of `scheduled_dags`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml  # type: ignore[import-untyped]
from croniter import croniter  # type: ignore[import-untyped]
from jinja2 import Environment, TemplateSyntaxError
from jsonschema import Draft202012Validator

from learnosity.api.dataset_request import KNOWN_TYPES, DatasetRequest
from learnosity.errors import RequestError
from learnosity.landing.plan import MAX_SHARDS

SCHEMA_FILE = "dataset.schema.json"
SUFFIXES = (".yaml", ".yml")

_TEXT = {"type": "string", "minLength": 1}
_OBJECT = {"type": "object"}
_GROUP = {
    "type": "object",
    "required": ["key", "label"],
    "additionalProperties": False,
    "properties": {"key": _TEXT, "label": _TEXT},
}
_PARAMS: dict[str, Any] = {
    "dataset_type": {**_TEXT, "examples": list(KNOWN_TYPES), "description": "One of the known types, or another one."},
    "input_uri": {
        "type": ["string", "null"],
        "pattern": r"^[A-Za-z][A-Za-z0-9+.-]*://\S",
        "description": "NDJSON on any object storage: a file, a folder or a glob. Templated.",
    },
    "filters": {**_OBJECT, "description": "Sent as they are. Templated: mintime, maxtime and the like."},
    "options": {**_OBJECT, "description": "Sent as they are: fields, user_fields, sort fields and orders."},
    "groups": {"type": "array", "items": _GROUP, "description": "Levels of the report, top level first."},
    "organisation_id": {"type": ["integer", "null"], "minimum": 1, "description": "Item bank."},
    "destination_uri": {**_TEXT, "description": "Prefix below which datasets land. Default: that of the form."},
    "include": {"type": "array", "items": _TEXT, "minItems": 1, "description": "Globs of the files to land."},
    "landing_shards": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_SHARDS,
        "description": "Tasks that share the landing.",
    },
    "poll_interval": {"type": "number", "minimum": 1, "maximum": 60, "description": "Seconds."},
    "job_timeout": {"type": "number", "exclusiveMinimum": 0, "description": "Minutes."},
    "learnosity_conn_id": {**_TEXT, "description": "Connection with the consumer key and secret."},
}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Scheduled Learnosity dataset",
    "type": "object",
    "required": ["name", "schedule", "params"],
    "additionalProperties": False,
    "properties": {
        "name": {
            "type": "string",
            "pattern": "^[a-z][a-z0-9_]{0,79}$",
            "description": "The DAG is called learnosity_<name>.",
        },
        "description": {**_TEXT, "description": "One line about what it is for."},
        "schedule": {**_TEXT, "description": "Cron expression, in the time zone below."},
        "timezone": {**_TEXT, "default": "UTC", "description": "Such as Australia/Sydney; wall-clock times follow it."},
        "start_date": {
            "type": "string",
            "pattern": r"^\d{4}-\d{2}-\d{2}$",
            "default": "2026-01-01",
            "description": "No run covers time before this day.",
        },
        "catchup": {"type": "boolean", "default": False, "description": "Run for the intervals that were missed, too."},
        "max_active_runs": {"type": "integer", "minimum": 1, "default": 1},
        "owner": {**_TEXT, "default": "data-engineering"},
        "tags": {"type": "array", "items": _TEXT},
        "deadline_minutes": {
            "type": "number",
            "exclusiveMinimum": 0,
            "description": "A run that is not done this long after it was queued is reported.",
        },
        "notify": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "http_conn_id": {**_TEXT, "description": "HTTP connection of a webhook; without it, only the log."}
            },
            "description": "Who hears of failures and missed deadlines.",
        },
        "params": {
            "type": "object",
            "required": ["dataset_type"],
            "additionalProperties": False,
            "properties": _PARAMS,
            "description": "Run config, as the form has it.",
        },
    },
}


@dataclass(frozen=True, slots=True)
class ScheduleProblem:
    """One thing wrong with a file: where it stands, and what to do."""

    file: str
    line: int
    key: str
    what: str

    def __str__(self) -> str:
        key = f" {self.key}:" if self.key else ""
        return f"{self.file}:{self.line}:{key} {self.what}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """One scheduled dataset. Strings in `params` may be templates."""

    file: str
    name: str
    schedule: str
    params: Mapping[str, Any]
    description: str = ""
    timezone: str = "UTC"
    start_date: str = "2026-01-01"
    catchup: bool = False
    max_active_runs: int = 1
    owner: str = "data-engineering"
    tags: Sequence[str] = ()
    deadline_minutes: float | None = None
    notify: Mapping[str, str] | None = None

    @property
    def dag_id(self) -> str:
        """Name of its DAG."""
        return f"learnosity_{self.name}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a folder of schedules holds: those that can be used, and what is wrong with the others, by file."""

    schedules: Sequence[Schedule] = ()
    problems: Mapping[str, Sequence[ScheduleProblem]] = field(default_factory=dict)


def read_folder(folder: Path) -> Reading:
    """All schedules of a folder, in the order of their file names."""
    schedules: list[Schedule] = []
    problems: dict[str, Sequence[ScheduleProblem]] = {}
    taken: dict[str, str] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix not in SUFFIXES:
            continue
        found = parse(path.name, _read(path))
        if isinstance(found, Schedule) and found.name in taken:
            found = [
                ScheduleProblem(path.name, 1, "name", f"{found.name!r} is the name of {taken[found.name]} already.")
            ]
        if isinstance(found, Schedule):
            taken[found.name] = path.name
            schedules.append(found)
        else:
            problems[path.name] = found
    return Reading(schedules, problems)


def parse(file: str, text: str) -> Schedule | Sequence[ScheduleProblem]:
    """One file's text as a schedule, or everything that is wrong with it.

    :param file: its name, for the messages.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = dict(_lines(node, ())) if node is not None else {}
        doubled = [ScheduleProblem(file, line, _dotted(path), "is there twice.") for path, line in _doubled(node, ())]
        values = _without_dates(yaml.safe_load(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = str(getattr(error, "problem", None) or "it is not YAML")
        return [ScheduleProblem(file, mark.line + 1 if mark else 1, "", f"{what}. This is not YAML.")]
    except ValueError as error:  # such as 2026-13-45, which looks like a date
        return [ScheduleProblem(file, 1, "", f"{error}. Quote values that look like dates.")]
    problems = [*doubled, *_shape(file, values, lines)]
    if not problems:
        problems = list(_sense(file, values, lines))
    return problems or Schedule(file=file, **values)


def _without_dates(value: Any) -> Any:
    """What YAML took for a date as the text that it was."""
    if isinstance(value, dict):
        return {key: _without_dates(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_dates(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _shape(file: str, values: Any, lines: Mapping[tuple[Any, ...], int]) -> Iterator[ScheduleProblem]:
    """What the JSON schema says against it."""
    for error in sorted(Draft202012Validator(SCHEMA).iter_errors(values), key=lambda each: list(map(str, each.path))):
        path = tuple(error.absolute_path)
        if error.validator == "additionalProperties":
            known = error.schema.get("properties", {})
            for key in [key for key in error.instance if key not in known]:
                what = f"is not known here; the keys are {', '.join(known)}."
                yield ScheduleProblem(file, lines.get((*path, key), 1), _dotted((*path, key)), what)
            continue
        yield ScheduleProblem(file, _line(lines, path), _dotted(path), f"{error.message[:300]}.")


def _sense(file: str, values: Mapping[str, Any], lines: Mapping[tuple[Any, ...], int]) -> Iterator[ScheduleProblem]:
    """What no schema can say: cron, time zone, templates, and what Learnosity would refuse."""

    def problem(path: tuple[Any, ...], what: str) -> ScheduleProblem:
        return ScheduleProblem(file, _line(lines, path), _dotted(path), what)

    if not croniter.is_valid(values["schedule"]) or len(values["schedule"].split()) != 5:
        yield problem(("schedule",), f"{values['schedule']!r} is not a cron expression of five fields.")
    try:
        ZoneInfo(values.get("timezone", "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield problem(("timezone",), f"{values['timezone']!r} is not a time zone; write one such as Europe/Dublin.")
    params = values["params"]
    templates = Environment(autoescape=True)  # only parsed here, never rendered
    for path, text in _texts(params, ("params",)):
        try:
            templates.parse(text)
        except TemplateSyntaxError as error:
            yield problem(path, f"the template cannot be read: {error.message}.")
    try:
        DatasetRequest.from_mapping(params).check(has_input=bool(params.get("input_uri")))
    except RequestError as error:
        for line in str(error).splitlines()[1:]:
            yield problem(("params",), line.strip())


def _texts(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(each, (*path, key))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _texts(each, (*path, place))


def _lines(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], int]]:
    """The line of every key and entry."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, key.value)
            yield inner, key.start_mark.line + 1
            yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield (*path, place), value.start_mark.line + 1
            yield from _lines(value, (*path, place))


def _doubled(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Keys that are there twice, of which YAML would take the last in silence."""
    if isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _doubled(value, (*path, place))
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        inner = (*path, key.value)
        if key.value in seen:
            yield inner, key.start_mark.line + 1
        seen.add(key.value)
        yield from _doubled(value, inner)


def _line(lines: Mapping[tuple[Any, ...], int], path: tuple[Any, ...]) -> int:
    """The line of a path, or of the nearest thing around it that has one."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _dotted(path: Sequence[Any]) -> str:
    return ".".join(map(str, path))
