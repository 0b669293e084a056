"""A first look at a whole reply: how deep it is, whether it is JSON, and which addresses it contains.

The survey does not know about files and rows. After the reader has read the reply, the reader's addresses are compared
with the survey. So an address that the reader missed is found, at any place in the reply.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from learnosity.results.addresses import holds_address, is_signed

MAX_DEPTH = 64
_SCALARS = (str, int, float, bool, type(None))


@dataclass(slots=True)
class Survey:
    """What a reply contains.

    :param addresses: each text with an address or a signature, and the key above the text. A key may be such a text.
    """

    addresses: list[tuple[str, str]] = field(default_factory=list, repr=False)
    too_deep: bool = False
    is_json: bool = True


def survey(reply: Any) -> Survey:
    """Look at every key and value of `reply`, level by level.

    :param reply: any value. At most `MAX_DEPTH` levels are read.
    """
    result = Survey()
    level, seen_keys = [("", reply)], set[str]()
    for _ in range(MAX_DEPTH):
        level = _look(level, result, seen_keys)
        if not level:
            return result
    result.too_deep = True
    return result


def _look(level: list[tuple[str, Any]], result: Survey, seen_keys: set[str]) -> list[tuple[str, Any]]:
    """Look at the values of one level. :returns: the values of the next level."""
    below: list[tuple[str, Any]] = []
    for above, value in level:
        if isinstance(value, dict):
            for key, child in value.items():
                if not isinstance(key, str):
                    result.is_json = False
                    continue
                if key not in seen_keys:
                    seen_keys.add(key)
                    if _needs_account(key):
                        result.addresses.append((above, key))
                if isinstance(child, str):
                    if _needs_account(child):
                        result.addresses.append((key, child))
                else:
                    below.append((key, child))
        elif isinstance(value, list):
            below.extend((above, child) for child in value)
        elif isinstance(value, str):
            if _needs_account(value):
                result.addresses.append((above, value))
        elif not isinstance(value, _SCALARS):
            result.is_json = False
    return below


def _needs_account(text: str) -> bool:
    """Whether `text` contains an address, or a signature without an address."""
    return holds_address(text) or is_signed(text)
