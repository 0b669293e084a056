"""The run config as the form of Airflow's trigger dialog. `run_config` defines the fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param

from learnosity.run_config import FIELDS, Field, is_empty

# The description of a field shows the value that the DAG itself gives. A value of more characters would fill the form,
# so it is not shown.
MAX_SHOWN = 200
# Characters that Markdown would read as formatting. A backslash is put before each, so that they are shown as they are.
_MARKDOWN = re.compile(r"[\\`*_\[\]<>|~&]")


def dataset_params(values: Mapping[str, Any] | None = None, *, scheduled: bool = False) -> dict[str, Param]:
    """A new set of the params, by name.

    :param values: what the DAG itself gives to its tasks, by name; default nothing. A text with a template is not a
        value that a form can show, so its field is empty.
    :param scheduled: for a schedule: only the fields that it may set, without the type, which is fixed. A field that
        the schedule does not set is empty; default False.
    """
    return {
        each.name: _param(each, (values or {}).get(each.name, None if scheduled else each.default))
        for each in FIELDS
        if not scheduled or (each.scheduled and each.name != "dataset_type")
    }


def _param(each: Field, value: Any) -> Param:
    proposals: dict[str, Any] = {"examples": list(each.examples)} if each.examples else {}
    if each.labels:
        proposals["values_display"] = dict(each.labels)
    templated = any(mark in str(value) for mark in ("{{", "{%", "{#"))
    return Param(
        None if templated else value,
        title=f"{each.title} ({each.name})",
        description_md=each.description + _when_empty(each, value, templated=templated),
        section=each.section,
        **each.schema,
        **proposals,
    )


def _when_empty(each: Field, value: Any, *, templated: bool) -> str:
    """What an empty field means in this DAG, if it means something else than the description says."""
    if is_empty(value) or value == each.default:
        return ""
    if templated:
        return " In this DAG, empty = what its template says."
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if len(shown) > MAX_SHOWN or not shown.isprintable():
        return " In this DAG, empty = the value that stands here at first."
    return " In this DAG, empty = " + _MARKDOWN.sub(r"\\\g<0>", shown)
