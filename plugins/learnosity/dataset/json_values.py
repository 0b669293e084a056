"""Reads JSON, also with the numbers that JSON does not have. Pure functions."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import msgspec


class Unread:
    """Counts the numbers that JSON does not have. Python writes them, and so do others that write JSON with it."""

    def __init__(self) -> None:
        self.count = 0

    def constant(self, name: str) -> None:
        """Read `NaN`, `Infinity` or `-Infinity` as no value."""
        self.count += 1

    def number(self, text: str) -> float | None:
        """Read a number; one that is too large for a float is no value."""
        found = float(text)
        if isfinite(found):
            return found
        self.count += 1
        return None


def json_value(content: bytes, unread: Unread) -> Any:
    """The value of some JSON.

    :raises ValueError: it is no JSON. So is `msgspec.DecodeError`.
    """
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        if b"NaN" not in content and b"Infinity" not in content:
            raise
    return json.loads(content.decode(), parse_constant=unread.constant, parse_float=unread.number)
