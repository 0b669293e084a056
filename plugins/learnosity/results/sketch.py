"""A sketch of a reply for an error message: its keys, types and lengths, and none of its values.

A reply holds signed addresses, names of groups and ids of users. A sketch shows enough to declare where the files
stand, and nothing that is secret or personal. Keys can be data too: one that does not look like a word is masked.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from learnosity.results.addresses import holds_address, kind_of_address

MAX_LENGTH = 1_500
_MAX_DEPTH = 8
_MAX_KEYS = 15
# An object with more keys than this is a map of data: its keys are not words.
_MAX_WORDS = 40
# So many entries of a list are looked at to tell its shapes, and so many shapes are drawn.
_MAX_ENTRIES = 50
_MAX_SHAPES = 3
# So many values are looked at in all.
_MAX_VALUES = 3_000
# A word of a schema: letters in lower case or camel case, and at most two digits in a row.
_WORD = re.compile(r"[$_@]?[A-Za-z](?:[A-Za-z_-]|[0-9]{1,2}(?![0-9])){0,31}")
_LENGTHS = re.compile(r"\(\d+\)")
_HEX = re.compile(r"(?=[A-Fa-f-]*[0-9])[0-9A-Fa-f-]{6,}")


def sketch(value: Any) -> str:
    """Draw `value` by its keys and types, bounded in depth, width and length.

    :param value: any JSON value.
    :returns: one line such as `{"files": [2 x {"name": text, "url": https address, signed}]}`.
    """
    drawn = _Drawing().draw(value, 0)
    return drawn if len(drawn) <= MAX_LENGTH else f"{drawn[:MAX_LENGTH]}…"


def masked_key(key: str) -> str:
    """`key` itself if it looks like a word of a schema, or else only how long it is."""
    if _WORD.fullmatch(key) and not _HEX.search(key):
        return f'"{key}"'
    return f"<key of {len(key)}>"


class _Drawing:
    """One sketch in the making: it stops to look closer when it has looked at enough values."""

    def __init__(self) -> None:
        self._left = _MAX_VALUES

    def draw(self, value: Any, depth: int) -> str:
        self._left -= 1
        if isinstance(value, dict):
            return self._draw_object(value, depth)
        if isinstance(value, list):
            return self._draw_list(value, depth)
        if isinstance(value, str):
            return kind_of_address(value) if holds_address(value) else f"text({len(value)})"
        if value is None:
            return "null"
        return "bool" if isinstance(value, bool) else "number"

    def _draw_object(self, value: dict[str, Any], depth: int) -> str:
        if value and self._is_enough(depth):
            return f"{{{len(value)} keys}}"
        is_map = len(value) > _MAX_WORDS
        shown = 3 if is_map else _MAX_KEYS
        members: list[str] = []
        for key, child in islice(value.items(), shown):
            name = f"<key of {len(key)}>" if is_map else masked_key(str(key))
            members.append(f"{name}: {self.draw(child, depth + 1)}")
        if len(value) > shown:
            members.append(f"… {len(value) - shown} more")
        return f"{{{', '.join(members)}}}"

    def _draw_list(self, value: list[Any], depth: int) -> str:
        if not value:
            return "[]"
        if self._is_enough(depth):
            return f"[{len(value)} entries]"
        # Texts of all lengths are one shape.
        shapes = list({_LENGTHS.sub("", self.draw(each, depth + 1)): None for each in value[:_MAX_ENTRIES]})
        more = f" or {len(shapes) - _MAX_SHAPES} other shapes" if len(shapes) > _MAX_SHAPES else ""
        return f"[{len(value)} x {' or '.join(shapes[:_MAX_SHAPES])}{more}]"

    def _is_enough(self, depth: int) -> bool:
        return depth >= _MAX_DEPTH or self._left < 0
