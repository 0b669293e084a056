"""The rules of retention, and the YAML file that holds them. `RetentionRules` is the one table of its keys.

Nothing here needs Airflow. A file that cannot be used gives its problems, by line and key, and no rule at all.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jsonschema import Draft202012Validator

from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import RequestError, StorageError
from learnosity.schedules.checks import ScheduleProblem, line_of, shape_problems
from learnosity.schedules.crons import cron_problem
from learnosity.schedules.files import RETENTION_FILES, read_text
from learnosity.schedules.yaml_text import Place, YamlTextError, read_yaml
from learnosity.storage.uris import AZURE_SCHEMES, GCS_SCHEMES, S3_SCHEMES, StorageUri, parse_uri

LEAST_ABANDONED_DAYS = 2
ABANDONED_DAYS = 7.0
_DAYS = {"type": "number", "exclusiveMinimum": 0, "maximum": 36_500}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Retention of Learnosity datasets",
    "type": "object",
    "additionalProperties": False,
    "required": ["rules"],
    "properties": {
        "schedule": {
            "type": "string",
            "minLength": 1,
            "description": "Cron expression: when the rules are applied. None = only by hand.",
        },
        "timezone": {"type": "string", "minLength": 1, "default": "UTC", "description": "Of the schedule."},
        "dry_run": {
            "type": "boolean",
            "default": True,
            "description": "true = runs only say what they would remove, unless their run config says otherwise.",
        },
        "abandoned_days": {
            **_DAYS,
            "minimum": LEAST_ABANDONED_DAYS,
            "default": ABANDONED_DAYS,
            "description": "A landing that was not published, and that nothing was written to for so many days, goes.",
        },
        "rules": {
            "type": "array",
            "minItems": 1,
            "maxItems": 200,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["dataset_type"],
                "properties": {
                    "dataset_type": {"type": "string", "minLength": 1, "maxLength": 100},
                    "destination_uri": {
                        "type": "string",
                        "minLength": 1,
                        "description": "None = the Airflow Variable learnosity_destination_uri.",
                    },
                    "keep_newest": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": 1_000_000,
                        "description": "So many of the newest datasets stay.",
                    },
                    "keep_days": {
                        **_DAYS,
                        "description": "Datasets that were published within so many days stay. With keep_newest, a "
                        "dataset goes only if neither keeps it.",
                    },
                },
            },
        },
    },
}
_VALIDATOR = Draft202012Validator(SCHEMA)


@dataclass(frozen=True, slots=True)
class Rule:
    """Which datasets of one type at one destination are kept. The dataset that `latest.json` names is always kept.

    :param destination_uri: None = the default destination.
    :param keep_newest: how many of the newest datasets are kept; None = this rule does not count them.
    :param keep_days: for how many days after its publication each is kept; None = this rule has no such limit.
    :param abandoned_days: a landing that was never published is removed after this many days without a write.
    """

    dataset_type: str
    destination_uri: str | None = None
    keep_newest: int | None = None
    keep_days: float | None = None
    abandoned_days: float = ABANDONED_DAYS


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """The content of the file.

    :param schedule: cron expression; None = runs are started by hand.
    :param dry_run: whether runs only say what they would remove.
    """

    rules: Sequence[Rule] = ()
    schedule: str | None = None
    timezone: str = "UTC"
    dry_run: bool = True


def read_rules(folder: Path) -> RetentionRules | Sequence[ScheduleProblem] | None:
    """The rules in a folder of schedule files; None when it has none; or the problems of the file. It never raises."""
    there = []
    for name in RETENTION_FILES:
        try:
            os.lstat(folder / name)
        except FileNotFoundError:
            continue
        except OSError as error:
            # The file may exist and have rules. So the error is reported as a problem, and not as "there are no rules".
            return [ScheduleProblem(name, 1, "", f"it cannot be seen whether the file is there: {error.strerror}.")]
        there.append(name)
    if not there:
        return None
    if len(there) > 1:
        return [ScheduleProblem(there[1], 1, "", f"{there[0]} is there, too. Keep one of them.")]
    text = read_text(folder / there[0])
    return text if not isinstance(text, str) else parse_rules(there[0], text)


def parse_rules(file: str, text: str) -> RetentionRules | Sequence[ScheduleProblem]:
    """The rules in the text of a file, or the problems of the file.

    :param file: name of the file, for messages.
    """
    try:
        content = read_yaml(text)
    except YamlTextError as error:
        return [ScheduleProblem(file, error.line, ".".join(map(str, error.place)), error.what)]
    given = _given(content.value)
    problems = [(place, "is there twice.") for place, _ in content.doubled]
    problems += list(shape_problems(_VALIDATOR, given))
    problems += [] if problems else list(_sense(given))
    if problems:
        return [
            ScheduleProblem(file, line_of(content.lines, at), ".".join(map(str, at)), what) for at, what in problems
        ]
    abandoned = float(given.get("abandoned_days", ABANDONED_DAYS))
    rules = [Rule(**_whole(each), abandoned_days=abandoned) for each in given["rules"]]
    return RetentionRules(rules, given.get("schedule"), given.get("timezone", "UTC"), given.get("dry_run", True))


def _given(value: Any) -> Any:
    """The values of the file without those that are null, which mean the default, as in schedule files."""
    if isinstance(value, list):
        return [_given(each) for each in value]
    return {key: _given(each) for key, each in value.items() if each is not None} if isinstance(value, dict) else value


def _whole(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a rule, with `keep_newest` as an integer: in YAML and for the JSON schema, 3.0 is one, too."""
    return {key: int(value) if key == "keep_newest" else value for key, value in rule.items()}


def rules_for_one_place(rules: Sequence[Rule], places: Mapping[str | None, str]) -> list[str]:
    """The problems of rules for datasets of one type in the same place. One would remove what the other keeps.

    Two URIs mean the same place if bucket and prefix are the same. Their connections are not compared, because two
    connections may lead to the same server. Nothing is opened, so it does not matter which stores can be reached.

    :param places: the URI of each `destination_uri` that names a place, where None is the default destination.
    """
    return [
        f"Rules {one} and {other} are both for {rule.dataset_type} at {where.text}, so one would remove what the other "
        "keeps. Keep one of them. For two servers whose buckets have the same name, use two prefixes."
        for (one, rule), (other, second) in _pairs(rules)
        if (where := _place(rule, places)) and (its := _place(second, places)) and _is_one_place(where, its)
    ]


def rules_held_back(
    rules: Sequence[Rule], places: Mapping[str | None, str], unknown: Collection[str | None]
) -> dict[int, str]:
    """The numbers of rules that cannot be applied now, and why: they may be for the same place as another rule.

    :param places: the URI of each `destination_uri` that names a place.
    :param unknown: each `destination_uri` that could not be looked up.
    """
    held: dict[int, str] = {}
    for (one, rule), (other, second) in _pairs(rules):
        where, its = _place(rule, places), _place(second, places)
        in_doubt = [each.destination_uri for each in (rule, second) if each.destination_uri in unknown]
        if where and its and {where.scheme, its.scheme} == {"file"}:
            in_doubt += [each.text for each in (where, its) if _may_lead_elsewhere(each)]
        if in_doubt:
            why = (
                f"not applied now: rules {one} and {other} are both for {rule.dataset_type}, and while "
                f"{in_doubt[0] or 'the default destination'} cannot be found, they may be for one place"
            )
            held |= {one: why, other: why}
    return held


def _pairs(rules: Sequence[Rule]) -> list[tuple[tuple[int, Rule], tuple[int, Rule]]]:
    """All pairs of rules for the same dataset type, with their numbers."""
    return [
        (one, other)
        for one, other in combinations(enumerate(rules, 1), 2)
        if one[1].dataset_type == other[1].dataset_type
    ]


def _place(rule: Rule, places: Mapping[str | None, str]) -> StorageUri | None:
    """The place of a rule; None = it names none, or it is not known."""
    try:
        return parse_uri(places[rule.destination_uri]) if rule.destination_uri in places else None
    except StorageError:
        return None  # a URI that `parse_uri` refuses can never be opened, so it is no place


def _may_lead_elsewhere(where: StorageUri) -> bool:
    """Whether it is not known which folder a local URI means: a link in it leads nowhere, or it cannot be seen.

    A folder that is just not there yet is a place of its own.
    """
    try:
        os.path.realpath(where.key, strict=True)
    except (FileNotFoundError, NotADirectoryError):
        path = Path(where.key)
        return any(each.is_symlink() and not each.exists() for each in (path, *path.parents))
    except OSError:
        return True
    return False


def _is_one_place(one: StorageUri, other: StorageUri) -> bool:
    accounts = {where.account.partition(".")[0] for where in (one, other) if where.account}
    return _place_of(one) == _place_of(other) and len(accounts) < 2


def _place_of(where: StorageUri) -> str:
    if where.scheme == "file":
        return f"file:{os.path.realpath(where.key)}"
    kinds = {"s3": S3_SCHEMES, "gs": GCS_SCHEMES, "azure": AZURE_SCHEMES}
    kind = next((kind for kind, schemes in kinds.items() if where.scheme in schemes), where.scheme)
    return f"{kind}:{where.bucket}/{posixpath.normpath(f'/{where.key}')}"


def _sense(values: Any) -> Iterator[tuple[Place, str]]:
    """The problems that the JSON schema cannot find: in crons, time zones and URIs, and rules for the same datasets."""
    if "schedule" in values and (what := cron_problem(values["schedule"])):
        yield ("schedule",), what
    try:
        ZoneInfo(values.get("timezone", "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield ("timezone",), f"{values['timezone']!r} is not a time zone; write one such as Europe/Dublin."
    seen: dict[tuple[str, str], int] = {}
    for position, rule in enumerate(values["rules"]):
        place: Place = ("rules", position)
        if not {"keep_newest", "keep_days"} & set(rule):
            yield place, "says neither keep_newest nor keep_days."
        uri = rule.get("destination_uri", "")
        try:
            DatasetLayout(rule["dataset_type"], "any")
            if uri:
                parse_uri(uri)
        except (RequestError, StorageError) as error:
            yield place, str(error)
        key = (rule["dataset_type"], uri.strip().rstrip("/"))
        if key in seen:
            yield place, f"is for the same type and destination as rule {seen[key] + 1}. Keep one of them."
        seen.setdefault(key, position)
