"""A sketch of a reply for an error message: it shows keys, types and lengths, but no values.

A reply contains signed addresses, names of groups and ids of users. The sketch helps to declare where the files are,
and shows no value. Keys can be data too: a key that does not look like a word is hidden. Data that looks like a word,
such as `Anna` as a key, is shown.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from learnosity.results.addresses import holds_address, kind_of_address

MAX_LENGTH = 1_500
_MAX_DEPTH = 8
_MAX_KEYS = 15
# If an object has more keys than this, its keys are probably data, for example ids. Then only their lengths are shown.
_MAX_WORDS = 40
# Of a list, the first `_MAX_ENTRIES` entries are read, and at most `_MAX_SHAPES` different shapes are shown.
_MAX_ENTRIES = 50
_MAX_SHAPES = 3
# After this many values of one reply, only the sizes of its other objects and lists are shown. So a huge reply does not
# take long.
_MAX_VALUES = 3_000
# A key is shown only if it matches `_WORD` and no part of it matches `_HEX`. `_WORD`: a short word of letters, digits,
# `_` and `-`, without three digits together; `$`, `_` or `@` may stand before it. `_HEX`: at least six characters
# together that are hexadecimal digits or `-`, one of them `0` to `9`, such as `3fa92c`. So most ids are not shown.
_WORD = re.compile(r"[$_@]?[A-Za-z](?:[A-Za-z_-]|[0-9]{1,2}(?![0-9])){0,31}")
_LENGTHS = re.compile(r"\(\d+\)")
_HEX = re.compile(r"(?=[A-Fa-f-]*[0-9])[0-9A-Fa-f-]{6,}")


def sketch(value: Any) -> str:
    """Describe `value` by its keys and types, with limits for depth, number of keys, and length.

    :param value: any JSON value.
    :returns: one line such as `{"files": [2 x {"name": text, "url": https address, signed}]}`.
    """
    drawn = _Drawing().draw(value, 0)
    return drawn if len(drawn) <= MAX_LENGTH else f"{drawn[:MAX_LENGTH]}…"


def masked_key(key: str, mark: str = '"') -> str:
    """`key` itself if it looks like a word. For any other key, only its length is shown.

    :param mark: what stands around a key that is shown.
    """
    if _WORD.fullmatch(key) and not _HEX.search(key):
        return f"{mark}{key}{mark}"
    return f"<key of {len(key)}>"


class _Drawing:
    """Builds one sketch. After `_MAX_VALUES` values, it shows only the sizes of objects and lists."""

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
        # Entries that differ only in the lengths of their texts are shown once, so these lengths are removed.
        shapes = list({_LENGTHS.sub("", self.draw(each, depth + 1)): None for each in value[:_MAX_ENTRIES]})
        more = f" or {len(shapes) - _MAX_SHAPES} other shapes" if len(shapes) > _MAX_SHAPES else ""
        return f"[{len(value)} x {' or '.join(shapes[:_MAX_SHAPES])}{more}]"

    def _is_enough(self, depth: int) -> bool:
        return depth >= _MAX_DEPTH or self._left < 0
