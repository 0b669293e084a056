"""Templates in a schedule: their filters, and what can be said of a template before it is rendered.

A filter works for every kind of run. Where a run does not have the time that a template asks for, the error is
permanent and says which name to use.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

import pendulum
from jinja2 import Environment, TemplateSyntaxError, Undefined, nodes
from jinja2.meta import find_referenced_templates, find_undeclared_variables

from learnosity.errors import PermanentError

Interval = tuple[pendulum.DateTime, pendulum.DateTime]

# Names that only runs with a logical date have. Runs that assets start have none, and a REST call may give none.
DATED = {
    *("data_interval_start", "data_interval_end", "logical_date"),
    *("ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz"),
    *("prev_data_interval_start_success", "prev_data_interval_end_success"),
}
NAMES = DATED | {
    *("dag_run", "run_id", "params", "macros", "var", "triggering_asset_events"),
    *("partition_key", "partition_date", "prev_start_date_success", "prev_end_date_success"),
}
AIRFLOW_FILTERS = ("ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz")
# Airflow hides Variables with such names in its UI. A template would show their values.
_SECRET = re.compile(
    r"secret|passw|passphrase|token|api_?key|access_?key|private|credential|authorization", re.IGNORECASE
)
_INSTEAD = (
    "A run that was started by an asset, or without a logical date, has none. Write a time that every run has: "
    "{{ dag_run | interval_start | iso }}, or {{ dag_run.run_after | days_before(1) | iso }}."
)


class MissingTimeError(PermanentError):
    """A template uses a time that the run does not have."""


def iso(moment: datetime) -> str:
    """A moment in the format of Learnosity: UTC, whole seconds, `Z` at the end.

    :raises MissingTimeError: the run does not have this time.
    """
    return _moment(moment).in_timezone("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")


def template_filters(timezone: str, interval: Callable[[Any], Interval] | None = None) -> dict[str, Any]:
    """Filters for the templates of a schedule. Each raises `MissingTimeError` where the run has no such time.

    `iso`: the format of Learnosity. `local`: the moment in the schedule's time zone. `day_start`: midnight in that
    zone. `days_before(n)`: n calendar days earlier, at the same local time, also across daylight saving changes.
    `interval_start`, `interval_end`: the time that a run covers; they take `dag_run`.

    :param interval: the interval of a run. None = the schedule has no cron, so its runs have none.
    """

    def local(moment: datetime) -> pendulum.DateTime:
        return _moment(moment).in_timezone(timezone)

    def covered(run: Any) -> Interval:
        if interval is None:
            raise MissingTimeError(
                "Only schedules with a cron have intervals. Write {{ dag_run.run_after | days_before(1) | iso }}."
            )
        return interval(run)

    return {
        "iso": iso,
        "local": local,
        "days_before": lambda moment, days: local(moment).subtract(days=days),
        "day_start": lambda moment: local(moment).start_of("day"),
        "interval_start": lambda run: covered(run)[0],
        "interval_end": lambda run: covered(run)[1],
    }


def template_problem(text: str) -> str | None:
    """What is wrong with a template, without rendering it; None = nothing was found."""
    if not _is_template(text):
        return None
    try:
        tree = _environment().parse(text)
        names = find_undeclared_variables(tree)
    except TemplateSyntaxError as error:
        return f"the template cannot be read: {error.message}."
    except RecursionError:
        return "the template cannot be read: its parts are too deep inside each other."
    if any(True for _ in find_referenced_templates(tree)):
        return "a template here cannot include other files."
    if unknown := sorted(names - NAMES):
        return f"templates here do not know {', '.join(unknown)[:100]}; they know {', '.join(sorted(NAMES))}."
    if "var" in names and any(_SECRET.search(word) for word in _words(tree)):
        return "a secret may not be in a template: everybody who can see the run, or its manifest, could read it."
    return None


def dated_names(text: str) -> set[str]:
    """The names in a sound template that only runs with a logical date have."""
    return set(find_undeclared_variables(_environment().parse(text)) & DATED) if _is_template(text) else set()


def _is_template(text: str) -> bool:
    return any(mark in text for mark in ("{{", "{%", "{#"))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """It only reads templates, and never renders one."""
    environment = Environment(autoescape=True)
    environment.filters.update(dict.fromkeys((*template_filters("UTC"), *AIRFLOW_FILTERS), str))
    return environment


def _words(tree: nodes.Template) -> list[str]:
    """Attributes and constant texts in a template, such as the names of Variables."""
    attributes = [node.attr for node in tree.find_all(nodes.Getattr)]
    return [*attributes, *(node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str))]


def _moment(value: Any) -> pendulum.DateTime:
    if value is None or isinstance(value, Undefined):
        name = getattr(value, "_undefined_name", None) or "A time in a template"
        raise MissingTimeError(f"{name} is not there. {_INSTEAD}")
    if not isinstance(value, datetime):
        raise MissingTimeError(f"A filter for times got {str(value)[:60]!r}, which is not a time. {_INSTEAD}")
    return pendulum.instance(value)
