"""What the author of a task wrote, in a form that is the same in every process and at every attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow.sdk.definitions._internal.expandinput import MappedArgument

from learnosity.dataset.manifest import sha256_hex


def mapped_values(written: Any, rendered: Any) -> list[Any]:
    """The values that a mapped task group gave to this task. They belong to the identity of its dataset."""
    if isinstance(written, MappedArgument):
        return [rendered]
    if isinstance(written, Mapping) and isinstance(rendered, Mapping):
        return [found for key, each in written.items() for found in mapped_values(each, rendered.get(key))]
    if isinstance(written, (list, tuple)) and isinstance(rendered, (list, tuple)):
        return [found for pair in zip(written, rendered, strict=False) for found in mapped_values(*pair)]
    return []


def digest(value: Any) -> str:
    """A short digest of a value."""
    return sha256_hex(json.dumps(value, sort_keys=True, default=stable_text).encode())[:32]


def stable_text(value: Any) -> str:
    """The text of a value that is not JSON. It is the same in every process, so it has no memory address."""
    text = str(value)
    return type(value).__qualname__ if " at 0x" in text else text
