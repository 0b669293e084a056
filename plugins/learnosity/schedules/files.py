"""Reads scheduled datasets from YAML files and checks them. Every problem is reported by file, line and key.

One file is one dataset. A file that cannot be used does not affect the others. Nothing here needs Airflow;
`schedules.dags` makes the DAGs.
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

from learnosity.api.dataset_request import DatasetRequest
from learnosity.errors import RequestError
from learnosity.run_config import FIELDS

SUFFIXES = (".yaml", ".yml")

_TEXT = {"type": "string", "minLength": 1}
_PARAMS = {each.name: {**each.schema, "description": each.description} for each in FIELDS if each.scheduled}
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
                "http_conn_id": {**_TEXT, "description": 'HTTP connection of a webhook that takes {"text": …} as JSON.'}
            },
            "description": "Where failures and missed deadlines are reported; Airflow's log has them in any case.",
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
    """One problem in a file: where it is, and what is wrong."""

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
        """Id of its DAG."""
        return f"learnosity_{self.name}"


@dataclass(frozen=True, slots=True)
class Reading:
    """The content of a folder: the schedules that can be used, and the problems of the other files, by file name."""

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
        found = parse(path.name, path.read_text(encoding="utf-8", errors="replace"))
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
    """The schedule in the text of one file, or all problems of the file.

    :param file: name of the file, for messages.
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
    except ValueError as error:  # for example, 2026-13-45 looks like a date but is not valid
        return [ScheduleProblem(file, 1, "", f"{error}. Quote values that look like dates.")]
    problems = [*doubled, *_shape(file, values, lines)]
    if not problems:
        problems = list(_sense(file, values, lines))
    return problems or Schedule(file=file, **values)


def _without_dates(value: Any) -> Any:
    """A value in which every date that YAML has read is a text again."""
    if isinstance(value, dict):
        return {key: _without_dates(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_dates(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


def _shape(file: str, values: Any, lines: Mapping[tuple[Any, ...], int]) -> Iterator[ScheduleProblem]:
    """The problems that the JSON schema finds."""
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
    """The problems that no schema can find: in cron, time zone and templates, and what Learnosity would refuse."""

    def problem(path: tuple[Any, ...], what: str) -> ScheduleProblem:
        return ScheduleProblem(file, _line(lines, path), _dotted(path), what)

    if not croniter.is_valid(values["schedule"]) or len(values["schedule"].split()) != 5:
        yield problem(("schedule",), f"{values['schedule']!r} is not a cron expression of five fields.")
    try:
        ZoneInfo(values.get("timezone", "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield problem(("timezone",), f"{values['timezone']!r} is not a time zone; write one such as Europe/Dublin.")
    params = values["params"]
    templates = Environment(autoescape=True)  # templates are only checked here, never rendered
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
    """The line number of every key and list entry."""
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
    """Keys that a mapping has twice. Without this check, YAML would use the last value."""
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
    """The line number of a path. A key that is missing has the line of the nearest key around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _dotted(path: Sequence[Any]) -> str:
    return ".".join(map(str, path))
