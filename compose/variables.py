"""Puts variables into a text as Compose does, in docker-compose.yaml and in `.env`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# The type of a function that is called for each variable that is not there; the text that it returns takes the
# variable's place. Its arguments: the variable as it is written, such as `${NAME:?message}`; the name, or "" for a `$`
# that begins no variable; and the message, or None if there is none.
Absent = Callable[[str, str, "str | None"], str]


def interpolate(text: str, given: Mapping[str, str], absent: Absent) -> str:
    """A text with its variables: `$NAME`, `${NAME}`, and with `:-`, `-`, `:+`, `+`, `:?` and `?` behind the name.

    `$$` is `$`. A default may have variables, too.
    """
    found, position = [], 0
    while (start := text.find("$", position)) >= 0:
        found.append(text[position:start])
        position, value = _variable(text, start, given, absent)
        found.append(value)
    return "".join([*found, text[position:]])


def _variable(text: str, start: int, given: Mapping[str, str], absent: Absent) -> tuple[int, str]:
    """The place behind the variable that begins at `start`, and what it stands for."""
    if text.startswith("$$", start):
        return start + 2, "$"
    if not text.startswith("${", start):
        name = match[0] if (match := _NAME.match(text, start + 1)) else ""
        end = start + 1 + len(name)
        return end, given[name] if name in given else absent(text[start:end], name, None)
    end = _end(text, start + 2)
    written = text[start:end]
    match = _NAME.match(written, 2)
    if not match or not written.endswith("}"):
        return end, absent(written, "", None)
    name, rest = match[0], written[match.end() : -1]
    empty_counts, kind, more = rest.startswith(":"), rest.removeprefix(":")[:1], rest.removeprefix(":")[1:]
    value = given.get(name)
    is_there = value is not None and bool(value or not empty_counts)
    if kind == "+":
        return end, interpolate(more, given, absent) if is_there else ""
    if value is not None and is_there:
        return end, value
    if kind == "-":
        return end, interpolate(more, given, absent)
    return end, absent(written, name, more if kind == "?" else None)


def _end(text: str, position: int) -> int:
    """Behind the brace that closes the one before `position`; the end of the text if none does."""
    depth = 1
    while depth and position < len(text):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        position += 1
    return position
