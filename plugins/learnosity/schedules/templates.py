"""Templates in a schedule file: their filters, and the check of a template before it is rendered.

If a run does not have the time that a template asks for, the error is permanent and says which name to use.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

import pendulum
from jinja2 import Environment, TemplateSyntaxError, Undefined, nodes
from jinja2.meta import find_referenced_templates, find_undeclared_variables

from learnosity.api.field_checks import is_template
from learnosity.errors import PermanentError
from learnosity.schedules.template_growth import growth, is_of_data

Interval = tuple[pendulum.DateTime, pendulum.DateTime]

# Names that exist only in runs with a logical date. A run that is started by an asset or by a REST call may have no
# logical date. `dated_names` finds these names in a template, for a warning.
DATED = {
    *("data_interval_start", "data_interval_end", "logical_date"),
    *("ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz"),
    *("prev_data_interval_start_success", "prev_data_interval_end_success"),
}
# The names that a template may use. `var`, `conn`, `macros` and `ti` are not allowed: a template could read passwords
# through them, and the rendered text goes into the request to Learnosity and into the manifest. Through `macros`, a
# template could even reach any Python module.
NAMES = DATED | {
    *("dag_run", "run_id", "params", "partition_key", "partition_date"),
    *("prev_start_date_success", "prev_end_date_success"),
}
AIRFLOW_FILTERS = ("ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz")
# Jinja's own filters that a template may use. Filters that read attributes of an object, such as `attr` and `map`, are
# not among them: they could reach methods of Airflow's objects that read files or run code. `replace` and `round` could
# make a very large text or number, so `growth` refuses some uses of them.
_JINJA_FILTERS = frozenset(
    {
        *("abs", "capitalize", "d", "default", "first", "float", "int", "last", "length", "lower", "replace", "round"),
        *("string", "title", "trim", "upper"),
    }
)
_OF_RUN = frozenset(
    {
        *(
            "conf",
            "dag_id",
            "data_interval_end",
            "data_interval_start",
            "logical_date",
            "partition_date",
            "partition_key",
        ),
        *("run_after", "run_id", "run_type", "start_date"),
    }
)
_OF_WHOLE_RUNS = ("interval_start", "interval_end")
_OF_TIME = frozenset(
    {
        *("day", "day_of_week", "day_of_year", "hour", "int_timestamp", "minute", "month", "quarter", "second"),
        *("week_of_year", "year"),
    }
)
_METHODS_OF_TIME = frozenset(
    {
        *("add", "date", "end_of", "in_timezone", "isoformat", "start_of", "strftime", "subtract", "timestamp"),
        *("to_date_string",),
    }
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
    if not is_template(text):
        return None
    try:
        tree = _environment().parse(text)
        if any(True for _ in find_referenced_templates(tree)):
            return "a template here cannot include other files."
        # `find_undeclared_variables` computes constant expressions. It would never end with `9 ** 9 ** 9`, which
        # `_misuse` refuses, and fill the memory with `'%9999999999d' % 1`, which `growth` refuses. So `_misuse` and
        # `growth` are called first.
        if problem := _unknown(_names(tree) - NAMES) or _misuse(tree) or growth(tree, len(text)):
            return problem
        return _unknown(find_undeclared_variables(tree) - NAMES)
    except TemplateSyntaxError as error:
        return f"the template cannot be read: {error.message}."
    except RecursionError:
        return "the template cannot be read: its parts are too deep inside each other."


def _names(tree: nodes.Template) -> set[str]:
    """The names that are read in a template and set nowhere in it."""
    found = list(tree.find_all(nodes.Name))
    return {each.name for each in found if each.ctx == "load"} - {each.name for each in found if each.ctx != "load"}


def _unknown(names: set[str]) -> str | None:
    if not names:
        return None
    return f"templates here do not know {', '.join(sorted(names))[:100]}; they know {', '.join(sorted(NAMES))}."


def dated_names(text: str) -> set[str]:
    """The names in a sound template that only runs with a logical date have."""
    return set(find_undeclared_variables(_environment().parse(text)) & DATED) if is_template(text) else set()


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """A Jinja environment that parses templates. It never renders one."""
    environment = Environment(autoescape=True)
    environment.filters.update(dict.fromkeys((*template_filters("UTC"), *AIRFLOW_FILTERS), str))
    return environment


def _misuse(tree: nodes.Template) -> str | None:
    """The first thing in a template that is not allowed; None = there is none.

    A template may only read the documented fields and change times.

    An object of Airflow has more than its documented fields: methods that read files, or that run code.
    """
    # `called` has the parts of the template that are called, such as `logical_date.add` in `logical_date.add(days=1)`.
    # `_misuse_of` allows a method of a time, such as `add`, only in these parts.
    called = {id(node.node) for node in tree.find_all(nodes.Call)}
    # `whole_runs` has the parts before a dot, such as `dag_run` in `dag_run.conf`, and before a filter that takes a
    # run, such as `dag_run` in `dag_run | interval_start`. `_misuse_of` allows the name `dag_run` only in these parts:
    # anywhere else, the template would use the whole object.
    whole_runs = {id(node.node) for node in tree.find_all(nodes.Getattr)}
    whole_runs |= {id(node.node) for node in tree.find_all(nodes.Filter) if node.name in _OF_WHOLE_RUNS}
    for each in tree.find_all((nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Call, nodes.BinExpr)):
        if problem := _misuse_of(each, whole_runs, called):
            return problem
    return None


def _misuse_of(node: nodes.Node, whole_runs: set[int], called: set[int]) -> str | None:
    match node:
        case nodes.Name(name="self"):
            return "templates here do not know self."
        case nodes.Name(name="dag_run") if id(node) not in whole_runs:
            fields = _listed(_OF_RUN, "dag_run.")
            return f"a template here can use dag_run only as dag_run | interval_start, or as {fields}."
        case nodes.Getattr(attr=str(name)) | nodes.Getitem(arg=nodes.Const(value=str(name))) if name.startswith("__"):
            return f"a template here does not know {name[:60]}: it is of Python, not of the data."
        case nodes.Getattr() if not is_of_data(node.node):
            of_run = isinstance(node.node, nodes.Name) and node.node.name == "dag_run"
            known = _OF_RUN if of_run else _METHODS_OF_TIME if id(node) in called else _OF_TIME
            if node.attr not in known:
                return f"a template here does not know .{node.attr[:60]}; it knows {_listed(known, '.')}."
        case nodes.Getitem() if not is_of_data(node.node):
            if not isinstance(node.arg, nodes.Slice) and not isinstance(getattr(node.arg, "value", None), int):
                return "a template here can use [ ] only with numbers, and with params."
        case nodes.Filter() if node.name not in _JINJA_FILTERS and node.name not in _filters():
            usual = _listed(_filters() | _JINJA_FILTERS)
            return f"templates here do not know the filter {node.name[:60]}; they know {usual}."
        case nodes.Call() if not isinstance(node.node, nodes.Getattr) or is_of_data(node.node):
            return f"a template here can call only what changes a time: {_listed(_METHODS_OF_TIME, '.')}."
        case nodes.Mul() | nodes.Pow():
            return "a template here can neither multiply nor raise to a power."
    return None


def _filters() -> frozenset[str]:
    return frozenset((*template_filters("UTC"), *AIRFLOW_FILTERS))


def _listed(names: frozenset[str], before: str = "") -> str:
    return ", ".join(f"{before}{name}" for name in sorted(names))


def _moment(value: Any) -> pendulum.DateTime:
    if value is None or isinstance(value, Undefined):
        name = getattr(value, "_undefined_name", None) or "A time in a template"
        raise MissingTimeError(f"{name} is not there. {_INSTEAD}")
    if not isinstance(value, datetime):
        raise MissingTimeError(f"A filter for times got {str(value)[:60]!r}, which is not a time. {_INSTEAD}")
    return pendulum.instance(value)
