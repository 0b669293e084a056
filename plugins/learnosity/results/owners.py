"""Whether an id in a reply is that of the requested dataset, or of another one. Pure functions."""

from __future__ import annotations

import re
from typing import Any

from learnosity.results.known_keys import plain_key, words
from learnosity.results.signal_keys import OWNER_IDS

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# An object about a dataset, as in `{"dataset": {"id": …}}`, may have the id of the dataset under one of these keys. If
# it is the id of another dataset, the reply is refused.
_IDS = OWNER_IDS | words("id uuid guid identifier")


def is_same(dataset_id: str, value: Any) -> bool:
    """Whether a value is the id of the requested dataset."""
    return isinstance(value, str) and plain_key(value) == plain_key(dataset_id)


def is_other(dataset_id: str, value: Any) -> bool:
    """Whether a value has the form of an id, and is not that of the requested dataset."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None and not is_same(dataset_id, value)


def names_other(dataset_id: str, value: Any, *, nested: bool = True) -> bool:
    """Whether an object or a list has the id of another dataset.

    If one id of an object is that of the dataset, its other ids, and those of the objects in it, are of something else.

    :param nested: whether the objects and lists in it are read, too.
    """
    if isinstance(value, list):
        return any(is_other(dataset_id, each) or names_other(dataset_id, each) for each in value)
    if not isinstance(value, dict):
        return False
    ids = [each for key, each in value.items() if plain_key(key) in _IDS]
    if any(is_same(dataset_id, each) for each in ids):
        return False
    return any(is_other(dataset_id, each) for each in ids) or (
        nested and any(names_other(dataset_id, each) for each in value.values())
    )
