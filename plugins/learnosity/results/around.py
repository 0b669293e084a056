"""What stands at the top level of a reply, beside its `meta` and `data`, and may be data itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learnosity.results.content import holds_rows
from learnosity.results.findings import Findings
from learnosity.results.known_keys import LISTING_KEYS, plain_key
from learnosity.results.shape import read_data
from learnosity.results.signals import Signals

_MAY_BE_DATA = "what stands beside its `data` may be data, too"


def note_content(beside: Mapping[str, Any], found: Findings) -> None:
    """Note what may be data among the values at the top level of a reply, where it would not land.

    A file with an address need not be found here: `reading` refuses each address that is not known.
    """
    for key, value in beside.items():
        if isinstance(value, str) and holds_rows(value):
            found.problems.append(_MAY_BE_DATA)
        if not isinstance(value, dict | list):
            continue
        aside = Findings(Signals(found.signals.dataset_id))
        read_data({key: value}, aside)
        found.names |= aside.names
        is_list = bool(value) and isinstance(value, list) and plain_key(key) in LISTING_KEYS
        if is_list or aside.rows or aside.groups or any(each.content is not None for each in aside.files):
            found.problems.append(_MAY_BE_DATA)
