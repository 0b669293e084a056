"""What one value of a reply means: is it true, is it a number, can it be sent as a cursor, does it say anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from learnosity.results.addresses import holds_address

_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def is_true(value: Any) -> bool:
    """Whether a flag is true. The flag may be a boolean, a number or a word."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "false", "no", "none", "null")
    return bool(value)


def as_flag(value: Any) -> bool | None:
    """Whether a flag is true; None when the value is not surely a flag."""
    return value if isinstance(value, bool) else _FLAGS.get(str(value).strip().lower())


def can_be_sent(value: Any) -> bool:
    """Whether `value` can be sent as the field `next`: a text or a number, but not an address or a path."""
    if isinstance(value, str):
        return not holds_address(value) and not value.startswith(("/", "?", "."))
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def scalars(value: Any) -> Iterator[Any]:
    """Every value in `value`, at any depth, that is neither an object nor a list."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from scalars(each)
    else:
        yield value


def says_something(value: Any, *, words: bool = True) -> bool:
    """Whether `value` is not empty.

    :param words: whether a text without digits counts.
    """
    return any(
        each not in (None, "")
        and each is not False
        and (words or not isinstance(each, str) or any(map(str.isdigit, each)))
        for each in scalars(value)
    )


def integer(value: Any) -> int | None:
    """`value` as an integer, if it is an integer, a float such as 3.0, or a text of digits; None for anything else."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
