"""What one value of a reply means: is it true, is it a number, can it be sent as a cursor, does it say anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from learnosity.results.addresses import holds_address
from learnosity.results.known_keys import COUNTED_KEYS, FILE_SUFFIXES, LISTING_KEYS, plain_key

_TRUE = ("1", "true", "yes", "y", "t", "on")
_FALSE = ("0", "false", "no", "n", "f", "off")
_FLAGS = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)
_NOTHING = ("", "none", "null")
# Matches a text that consists of the words and marks of a time: `2026-11-28 07:00:00 CET`, or `Saturday, November 28th
# 2026, 7:00 am`. Under a key such as `completed`, such a text means yes: it has happened at that time.
_TIME = re.compile(
    r"(?:[\d\s:.,/+\[\]-]|t(?=\d)|(?<=\d)(?:st|nd|rd|th)\b|z\b|[ap]m\b|at\b|day"
    r"|mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun"
    r"|january|jan|february|feb|march|mar|april|apr|may|june?|july?|august|aug|september|sept?|october|oct|november|nov"
    r"|december|dec"
    r"|(?:gmt|utc|ut|wet|west|cet|cest|eet|eest|bst|ist|msk|est|edt|cst|cdt|mst|mdt|pst|pdt|akst|akdt|hst|jst|kst|hkt|sgt"
    r"|awst|acst|acdt|aest|aedt|nzst|nzdt)\b"
    r"|(?<![a-z])[a-z]{3,}/[a-z_]{3,}(?:/[a-z_]{3,})?|\([a-z ]+ time\))+"
)
_LENGTH = (
    r"(?:\d+(?:\.\d+)?|an?|one) ?"
    r"(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|weeks?|months?|years?)"
)
_AGO = re.compile(rf"(?:about )?{_LENGTH}(?:,? (?:and )?{_LENGTH})* ago")
_LENGTHS = re.compile(rf"(?:for )?{_LENGTH}(?:,? ?(?:and )?{_LENGTH})*")


def is_true(value: Any) -> bool:
    """Whether a flag is true. The flag may be a boolean, a number or a word. A word that is not known is true."""
    if isinstance(value, str):
        return value.strip().lower() not in (*_NOTHING, *_FALSE)
    return bool(value)


def truth(value: Any) -> bool | None:
    """Whether a flag, a number, a share or a time means yes; None for a word that is not known.

    A share below one is no. So is a time of zeros alone.
    """
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _NOTHING or is_time(text):
            return text not in _NOTHING and ("0" not in text or any(digit in text for digit in "123456789"))
        share = number(text)
        return share >= (100 if "%" in text else 1) if share is not None else _FLAGS.get(text)
    return value >= 1 if isinstance(value, float) else bool(value)


def is_time(text: str) -> bool:
    """Whether a text is a date or a time in the past or in the calendar, with or without its zone."""
    text = text.strip().lower()
    if len(text) > 80:
        return False
    return (sum(map(str.isdigit, text)) >= 6 and _TIME.fullmatch(text) is not None) or _AGO.fullmatch(text) is not None


def is_length_of_time(value: Any) -> bool:
    """Whether a value is a text such as `60 minutes` or `12.5s`."""
    return isinstance(value, str) and len(value) <= 80 and _LENGTHS.fullmatch(value.strip().lower()) is not None


def number(value: Any) -> float | None:
    """`value` as a number, if it is a number, or a text of one such as `40 %`; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value.strip().removesuffix("%") if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None


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


def members(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value as in `scalars`, with the plain key that it stands under."""
    if isinstance(value, dict):
        for each, child in value.items():
            yield from members(child, plain_key(each))
    elif isinstance(value, list):
        for child in value:
            yield from members(child, key)
    else:
        yield key, value


def objects(value: Any) -> Iterator[list[tuple[str, Any]]]:
    """For each object and list in `value`, at any depth: its values that are neither, with their plain keys."""
    if isinstance(value, dict | list):
        inside = list(value.items()) if isinstance(value, dict) else [("", each) for each in value]
        yield [(plain_key(key), each) for key, each in inside if not isinstance(each, dict | list)]
        for _, each in inside:
            yield from objects(each)


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


def formats_in(value: Any) -> dict[str, int]:
    """The numbers under the keys of formats in an object, as in `{"json": 2, "csv": 1}`."""
    pairs = value.items() if isinstance(value, dict) else ()
    return {
        key: number for key, each in pairs if plain_key(key) in FILE_SUFFIXES and (number := integer(each)) is not None
    }


def is_number_of(key: str, value: Any) -> bool:
    """Whether a value is a number under the key of a list, and so a count of what the list would contain."""
    word = plain_key(key)
    if word in COUNTED_KEYS:
        return integer(value) is not None
    return word in LISTING_KEYS and isinstance(value, int) and not isinstance(value, bool)
