"""`file_count` of the request, which a reply may repeat: the number of input files, and not that of result files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learnosity.results.groups import is_levels
from learnosity.results.known_keys import plain_key
from learnosity.results.values import integer

# `file_count` in a reply may be the number of input files or of result files. The API accepts at most this many input
# files, so a larger `file_count` is the number of result files.
_MAX_INPUT_FILES = 100


def is_input_count(key: str, value: Any, record: Mapping[str, Any]) -> bool:
    """Whether a value is the number of input files. Then it says nothing about what the reply lists.

    :param record: the object in which the key is.
    """
    number = integer(value) if plain_key(key) == "filecount" else None
    if number is None or not 0 <= number <= _MAX_INPUT_FILES:
        return False
    return any(_repeats_the_request(each, child) for each, child in record.items())


def _repeats_the_request(key: str, value: Any) -> bool:
    """Whether a value is one of the request that created the dataset, or of the request for a group."""
    word = plain_key(key)
    if word in ("datasettype", "grouppath"):
        return isinstance(value, list if word == "grouppath" else str) and value != ""
    return bool(value) and is_levels(key, value)
