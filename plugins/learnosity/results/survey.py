"""A first look at a whole reply: how deep it is, whether it is JSON, and every address that stands in it.

It knows nothing of files and rows. What the reader accounts for is compared with it afterwards: an address that the
reader did not account for is found here, wherever it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from learnosity.results.addresses import holds_address, is_signed

MAX_DEPTH = 64
_SCALARS = (str, int, float, bool, type(None))


@dataclass(slots=True)
class Survey:
    """What stands in a reply.

    :param addresses: each text that holds an address, with the key above it. A key that holds one stands for itself.
    """

    addresses: list[tuple[str, str]] = field(default_factory=list, repr=False)
    too_deep: bool = False
    is_json: bool = True


def survey(reply: Any) -> Survey:
    """Look at every key and value of `reply`, level by level.

    :param reply: any value. It is looked into `MAX_DEPTH` levels deep.
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
    """Look at the values of one level. :returns: the values of the next one."""
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
    """Whether an address or a signature without one stands in `text`."""
    return holds_address(text) or is_signed(text)
