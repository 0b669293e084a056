"""Questions about one value of a reply: what kind of thing it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learnosity.results import content, links
from learnosity.results.addresses import fetchable
from learnosity.results.words import looks_like_a_file


def is_wrapped(entry: Any) -> bool:
    """Whether the only entry of a list is the reply itself. A row stays a row of a list."""
    return isinstance(entry, list) or (isinstance(entry, dict) and ("group_path" in entry or not content.is_row(entry)))


def is_map_of_addresses(record: Mapping[str, Any]) -> bool:
    """Whether an object names files by labels: `{"summary": "https://…", "details": "https://…"}`."""
    return all(
        isinstance(value, str) and fetchable(value) and not links.is_link_key(key) for key, value in record.items()
    )


def is_level(value: Any) -> bool:
    """Whether `value` is a level of the hierarchy of groups, as a request names it."""
    is_level = isinstance(value, dict) and value.keys() == {"key", "label"}
    return is_level and all(isinstance(each, str) for each in value.values())


def names_group(value: Any) -> bool:
    """Whether `value` is a row that names a group."""
    return isinstance(value, dict) and content.is_group_row(value)


def is_file_name(value: Any) -> bool:
    """Whether `value` is a text that ends like the name of a file."""
    return isinstance(value, str) and looks_like_a_file(value)


def is_flat(record: Mapping[str, Any]) -> bool:
    """Whether an object holds plain values alone."""
    return not any(isinstance(value, dict | list) for value in record.values())
