"""Checks of what people and templates write into the fields of a run config and of a request."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, NamedTuple
from uuid import UUID

from learnosity.errors import RequestError

# Names of the fields of `DatasetRequest`. The params of a run config with these names are sent to Learnosity.
REQUEST_KEYS = ("dataset_type", "filters", "options", "groups", "organisation_id")
_WHOLE = re.compile(r"-?[0-9]{1,18}")


class Problem(NamedTuple):
    """What is wrong with a request.

    :param place: the keys and list positions that lead to the value. A missing value has the place where it should be.
    :param what: what is wrong, and what to do.
    """

    place: tuple[str | int, ...]
    what: str


def unknown_names(given: Collection[str], known: Collection[str]) -> list[str]:
    """A message for each name that is not known. Otherwise, a misspelt field would silently get its default."""
    problems = []
    for name in sorted(set(given) - set(known), key=str):
        near = get_close_matches(str(name), known, n=1)
        problems.append(f"{name!r} is not a field" + (f"; did you mean {near[0]!r}?" if near else ""))
    return problems


def ended(text: str) -> str:
    """A text as a sentence: with a full stop, unless a question ends it."""
    return text if text.endswith("?") else f"{text}."


def check_names(what: str, given: Collection[str], known: Collection[str]) -> None:
    """Check the names of fields.

    :param what: what the fields are of, for the message.
    :raises RequestError: one of them is not known. The message has the nearest one that is.
    """
    if problems := unknown_names(given, known):
        raise RequestError(
            f"The {what} cannot be used: {ended('; '.join(problems))} The fields are {', '.join(known)}."
        )


def check_request(values: object) -> Mapping[str, Any]:
    """Check the names in a request.

    :raises RequestError: it is not a mapping, or has a name that is no field of a request.
    """
    if not isinstance(values, Mapping):
        raise RequestError(f"The request is {type(values).__name__}; it must be an object with dataset_type and more.")
    check_names("request", values, REQUEST_KEYS)
    return values


def plain_json(name: str, value: object) -> Any:
    """The value of a field as plain JSON. A DAG may write what is no JSON, such as a time: it becomes its text.

    :raises RequestError: it has something that cannot become JSON.
    """
    if not isinstance(value, Mapping | list | tuple):
        # The value is neither an object nor a list. `DatasetRequest.check` refuses it later, so that one message names
        # it together with all other problems.
        return value
    try:
        return json.loads(json.dumps(value, default=_as_json, allow_nan=False))
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        why = ended(str(error) or type(error).__name__)
        raise RequestError(
            f"{name} cannot become JSON: {why} Use texts, numbers, true, false, null, lists and objects."
        ) from None


def _as_json(value: object) -> Any:
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise TypeError(f"the time {value.isoformat()} has no time zone, so Learnosity would have to guess it")
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"it has a value of the type {type(value).__name__}")


def check_organisation_id(value: object) -> int | None:
    """The id of an item bank, as a number or, from a template, as text; None for an empty value.

    :raises RequestError: the value is not a whole number.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 5.0 counts as the whole number 5, as in the JSON schema of the run config
    text = str(value if value is not None else "").strip()
    if not text:
        return None
    if isinstance(value, (int, str)) and not isinstance(value, bool) and _WHOLE.fullmatch(text):
        return int(text)
    raise RequestError("organisation_id must be a whole number or empty.")


def is_template(value: Any) -> bool:
    """Whether a value becomes another one when it is rendered."""
    return isinstance(value, str) and any(mark in value for mark in ("{{", "{%", "{#"))


def names_something(filters: Any) -> bool:
    """Whether one of the filters has a value."""
    return not isinstance(filters, Mapping) or any(value not in (None, "", [], {}) for value in filters.values())


def filter_problems(filters: Mapping[str, Any], most: int | None) -> list[Problem]:
    """What is wrong with the filters of a known type. `most`: most activities; None = the limit is not known."""
    times = {name: _moment(filters.get(name)) for name in ("mintime", "maxtime")}
    problems = [
        Problem(("filters", name), f"filters.{name} is no time: the number is too large.")
        for name in times
        if times[name] == math.inf
    ]
    begin, end = times.values()
    if not problems and begin is not None and end is not None and begin > end:
        what = "filters.mintime is after filters.maxtime: no session can match."
        problems.append(Problem(("filters", "mintime"), what))
    activities, place = filters.get("activity_id"), ("filters", "activity_id")
    if activities is None:
        return problems
    if not isinstance(activities, Sequence) or isinstance(activities, str):
        problems.append(Problem(place, 'filters.activity_id must be a list of activity ids, such as ["maths"].'))
    elif wrong := _no_text(place, activities, "activity ids", may_be_empty=False):
        problems.append(wrong)
    elif most is not None and len(activities) > most:
        what = (
            f"filters.activity_id names {len(activities)} activities; Learnosity takes at most {most}: "
            "split them over several datasets."
        )
        problems.append(Problem(place, what))
    return problems


def _no_text(place: tuple[str, ...], entries: Sequence[Any], wanted: str, *, may_be_empty: bool) -> Problem | None:
    """The problem of the first entry that is no text; None = all are texts.

    An id of digits alone is a number in YAML and JSON if it stands there without quotes.
    """
    for position, entry in enumerate(entries):
        if not isinstance(entry, str) or not (entry or may_be_empty):
            shown = "empty" if entry in (None, "") else json.dumps(entry, default=str)[:60]
            advice = "write it in quotes" if isinstance(entry, int | float) else "write a text, or remove it"
            what = f"{'.'.join(place)} must be a list of {wanted}, and its entry {position + 1} is {shown}: {advice}."
            return Problem((*place, position), what)
    return None


def _moment(value: Any) -> float | None:
    """Unix seconds of a time in a filter; None for what is not understood here, such as a template."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf  # the whole number is too large for a float; `filter_problems` reports each `inf` as a problem
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def option_problems(options: Mapping[str, Any], *, templates: bool = False) -> list[Problem]:
    """What is wrong with the options of a known type.

    :param templates: whether the options have templates that are rendered later, as in a schedule file. A template
        becomes a text, so it may be a name or an order, but not a list.
    """

    def may_change(value: Any) -> bool:
        return templates and is_template(value)

    problems = []
    for sort, fields, order in (
        ("default_sort_field", "fields", "default_sort_order"),
        ("default_users_sort_field", "user_fields", "default_users_sort_order"),
    ):
        wanted, offered = options.get(sort), options.get(fields)
        if offered is not None and not isinstance(offered, list):
            what = f'options.{fields} must be a list of names, such as ["population"].'
            problems.append(Problem(("options", fields), what))
        elif wrong := _no_text(("options", fields), offered or (), "names", may_be_empty=True):
            problems.append(wrong)
        names = offered if isinstance(offered, list) and not any(map(may_change, (wanted, *offered))) else None
        if wanted is not None and names is not None and wanted not in names:
            what = f"options.{sort} is {wanted!r}, which is not among options.{fields}."
            problems.append(Problem(("options", sort), what))
        if options.get(order) not in (None, "asc", "desc") and not may_change(options[order]):
            problems.append(Problem(("options", order), f"options.{order} must be 'asc' or 'desc'."))
    return problems
