"""The definition of a report, with which the Reports API shows a finished dataset in the browser.

docs/learnosity-api.md, "Reports", has the fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from learnosity.api import dataset_request

# A report shows at most this many fields of groups, and at most this many fields of users. Further fields are left out,
# so that a long list of fields in a manifest makes no endless table.
MAX_COLUMNS = 60
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
_LABEL = 100  # a longer label of a group level is cut to this many characters
# Fields for the left end, the middle and the right end of a box plot. The plot uses the first of these two sets whose
# three fields are all in the request.
_BOX = (("p25_percent", "median_percent", "p75_percent"), ("p25_score", "median_score", "p75_score"))


def has_report(name: str) -> bool:
    """Whether the Reports API renders datasets of this type."""
    return dataset_request.dataset_type(name).by_group


def report_definition(
    dataset_type: str,
    dataset_id: str,
    request: Mapping[str, Any],
    *,
    element_id: str,
    group_path: Sequence[str] = (),
) -> dict[str, Any]:
    """The report of a dataset. Its columns show the fields in the request.

    The report is signed, so it is of the dataset that the caller has checked, whatever `request` names.

    :param dataset_type: type of the dataset.
    :param dataset_id: id of the dataset.
    :param request: the `set` request that made the dataset, from the dataset's manifest. Only names of fields and
        labels of groups are used. What does not look like one is ignored.
    :param element_id: id of the HTML element that will show the report.
    :param group_path: the group to show first, as names from the top down; default: the root.
    """
    given = request.get("options")
    options = given if isinstance(given, Mapping) else {}
    fields, user_fields = _names(options.get("fields")), _names(options.get("user_fields"))
    report: dict[str, Any] = {
        "id": element_id,
        "type": dataset_type,
        "dataset_id": dataset_id,
        "group_path": list(group_path),
        "always_show_group_ancestors": True,
    }
    # If the request names no fields, `columns` is not set. The report then shows all fields of the dataset.
    if fields:
        report["columns"] = [
            {"type": "group_name", "label": group_label(request, len(group_path))},
            *({"type": "numeric", "field": field, "label": field_label(field)} for field in fields),
            *_plot(fields),
        ]
    if user_fields:
        report["user_columns"] = [
            {"type": "user_id", "label": "User"},
            *({"type": "numeric", "field": field, "label": field_label(field)} for field in user_fields),
        ]
    return report


def group_label(request: Mapping[str, Any], depth: int) -> str:
    """The name of the hierarchy level below a path of `depth` groups, such as `School`."""
    groups = request.get("groups")
    level = groups[depth] if isinstance(groups, list) and depth < len(groups) else None
    if not isinstance(level, Mapping):
        return "Group"
    named = (level.get("label"), level.get("key"))
    return next((name[:_LABEL] for name in named if isinstance(name, str) and name), "Group")


def field_label(field: str) -> str:
    """A field's name for people: `median_percent` becomes `Median percent`, `p25_score` becomes `P25 score`."""
    return (field[:1].upper() + field[1:]).replace("_", " ")


def _names(value: Any) -> list[str]:
    names = value if isinstance(value, list) else []
    return [name for name in names if isinstance(name, str) and _FIELD.fullmatch(name)][:MAX_COLUMNS]


def _plot(fields: Sequence[str]) -> list[dict[str, Any]]:
    for low, middle, high in _BOX:
        if {low, middle, high} <= set(fields):
            box = {"type": "box_plot", "source": "row", "min": low, "middle": middle, "max": high, "labels": True}
            return [{"type": "1d_plot", "label": "Distribution", "elements": [box]}]
    return []
