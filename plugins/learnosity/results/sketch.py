"""A sketch of a reply for an error message: its keys, types and lengths, and none of its values.

A reply holds signed addresses, names of groups and ids of users. A sketch shows enough to declare where the files
stand, and nothing that is secret or personal. Keys can be data too: one that does not look like a word is masked.
"""

from __future__ import annotations

import re
from typing import Any

from learnosity.results.addresses import holds_address, kind_of_address

MAX_LENGTH = 1_500
_MAX_DEPTH = 8
_MAX_KEYS = 15
# An object with more keys than this is a map of data: its keys are not words.
_MAX_WORDS = 40
_MAX_SHAPES = 3
# A word of a schema: letters in lower case or camel case, and at most two digits in a row.
_WORD = re.compile(r"[$_@]?[A-Za-z](?:[A-Za-z_-]|[0-9]{1,2}(?![0-9])){0,31}")
_HEX = re.compile(r"(?=[A-Fa-f-]*[0-9])[0-9A-Fa-f-]{6,}")


def sketch(value: Any) -> str:
    """Draw `value` by its keys and types, bounded in depth, width and length.

    :param value: any JSON value.
    :returns: one line such as `{"files": [2 x {"name": text(6), "url": https address, signed}]}`.
    """
    drawn = _draw(value, 0)
    return drawn if len(drawn) <= MAX_LENGTH else f"{drawn[:MAX_LENGTH]}…"


def masked_key(key: str) -> str:
    """`key` itself if it looks like a word of a schema, or else only how long it is."""
    if _WORD.fullmatch(key) and not _HEX.search(key):
        return f'"{key}"'
    return f"<key of {len(key)}>"


def _draw(value: Any, depth: int) -> str:
    if isinstance(value, dict):
        return _draw_object(value, depth)
    if isinstance(value, list):
        return _draw_list(value, depth)
    if isinstance(value, str):
        return kind_of_address(value) if holds_address(value) else f"text({len(value)})"
    if value is None:
        return "null"
    return "bool" if isinstance(value, bool) else "number"


def _draw_object(value: dict[str, Any], depth: int) -> str:
    if depth >= _MAX_DEPTH and value:
        return f"{{{len(value)} keys}}"
    is_map = len(value) > _MAX_WORDS
    members: list[str] = []
    for key, child in value.items():
        if len(members) == (3 if is_map else _MAX_KEYS):
            members.append(f"… {len(value) - len(members)} more")
            break
        name = f"<key of {len(key)}>" if is_map else masked_key(str(key))
        members.append(f"{name}: {_draw(child, depth + 1)}")
    return f"{{{', '.join(members)}}}"


def _draw_list(value: list[Any], depth: int) -> str:
    if not value:
        return "[]"
    if depth >= _MAX_DEPTH:
        return f"[{len(value)} entries]"
    # The first hundred entries tell the shapes apart.
    shapes: dict[str, int] = {}
    for each in value[:100]:
        shape = re.sub(r"\(\d+\)", "", _draw(each, depth + 1))
        shapes[shape] = shapes.get(shape, 0) + 1
    kinds = list(shapes)[:_MAX_SHAPES]
    more = "" if len(kinds) == len(shapes) else f" or {len(shapes) - len(kinds)} other shapes"
    return f"[{len(value)} x {' or '.join(kinds)}{more}]"
