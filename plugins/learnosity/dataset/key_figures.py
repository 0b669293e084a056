"""The key figures of a dataset, such as its mean score: with them, datasets can be compared without reading files.

They are made when a dataset is published, and travel in its manifest and in the extra of its asset event. Anybody can
create an asset event, so they are checked when they are read. Pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learnosity.dataset.group_figures import finite, own_row
from learnosity.dataset.item_flags import Thresholds, summary
from learnosity.dataset.tables import Document, Kind

OF_GROUPS = ("population", "mean_percent", "median_percent", "mean_score", "median_score")
OF_ITEMS = ("questions", "flagged", "mean_p_value", "median_p_value", "mean_discrimination_index")
FLAGGED = "flagged"
_DIGITS = 4  # decimals to which a key figure is rounded


def figures_of_groups(root: Document) -> dict[str, float]:
    """The key figures of a group dataset.

    :param root: the content of the file of the root group.
    """
    own = own_row(root)
    return {} if own is None or root.cut else _checked({name: own.get(name) for name in OF_GROUPS})


def figures_of_items(document: Document) -> dict[str, float]:
    """The key figures of an analysis. Questions are flagged by the default thresholds."""
    table = document.first(Kind.ITEMS)
    if table is None or document.cut:
        return {}
    whole = summary(table.rows, Thresholds())
    found: dict[str, Any] = {"questions": whole.questions, "flagged": whole.flagged}
    if whole.p_value:
        found |= {"mean_p_value": whole.p_value.mean, "median_p_value": whole.p_value.median}
    if whole.discrimination:
        found["mean_discrimination_index"] = whole.discrimination.mean
    return _checked(found)


def read_figures(extra: Any) -> dict[str, float]:
    """The key figures in the extra of an asset event. What is not understood is left out."""
    found = extra.get("figures") if isinstance(extra, Mapping) else None
    return _checked(found) if isinstance(found, Mapping) else {}


def comparable(name: str, one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether a key figure of two datasets says the same. Flags come from the statistics that an analysis has."""
    basis = ("mean_p_value", "mean_discrimination_index")
    return name != FLAGGED or all((each in one) is (each in other) for each in basis)


def _checked(values: Mapping[Any, Any]) -> dict[str, float]:
    known = {name: values[name] for name in (*OF_GROUPS, *OF_ITEMS) if finite(values.get(name))}
    return {name: round(float(value), _DIGITS) for name, value in known.items()}
