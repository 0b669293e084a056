"""Reads JSON, also with the numbers that JSON does not have. Pure functions."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any

import msgspec

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")  # finds an escape such as `\ud83d`, which is half of a surrogate pair


class Unread:
    """Counts the numbers that JSON does not have. Python writes them, and so do others that write JSON with it."""

    def __init__(self) -> None:
        self.count = 0

    def constant(self, name: str) -> None:
        """Read `NaN`, `Infinity` or `-Infinity` as no value."""
        self.count += 1

    def whole(self, text: str) -> int | None:
        """Read an integer; one with so many digits that Python refuses it is no value."""
        try:
            return int(text)
        except ValueError:
            self.count += 1
            return None

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
    except msgspec.DecodeError as error:
        # msgspec refuses NaN and Infinity, which are not JSON, and numbers that are too large, such as 1e999 or an
        # integer with 5,000 digits. The code below reads them as None. Any other error means that the content is not
        # JSON.
        if b"NaN" not in content and b"Infinity" not in content and "out of range" not in str(error):
            raise
    value = json.loads(
        content.decode(), parse_constant=unread.constant, parse_float=unread.number, parse_int=unread.whole
    )
    if _HALF.search(content):
        # `json.loads` also accepts half of a surrogate pair without the other half. A text with such a half cannot be
        # encoded, so no page can show it. The next line then raises a ValueError.
        json.dumps(value, ensure_ascii=False).encode()
    return value
