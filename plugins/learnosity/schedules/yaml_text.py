"""Reads the text of a schedule file. The result holds only what JSON can hold.

Only `null`, `true`, `false` and plain decimal numbers have a meaning. Every other value is a text, exactly as it is
written: `2026-02-30`, `NO`, `on`, `007`, `1e5`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml  # type: ignore[import-untyped]

# Limits of one file: levels of nesting, number of values, and characters of all keys and values together. For an alias,
# all values, characters and levels that it repeats are counted. Without limits, a small file with many aliases could
# fill the memory. A schedule needs much less than these limits.
MAX_DEPTH = 40
MAX_VALUES = 10_000
MAX_CHARACTERS = 1_000_000

# The parser in C is ten times as fast as the one in Python, but some builds of PyYAML do not have it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Place = tuple[str | int, ...]
"""Where a value is: the keys and list positions that lead to it."""

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# An integer with more than 15 digits is probably an id. It stays a text, because programs that read the numbers of JSON
# as floats, such as browsers, could change its last digits.
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,14})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,14})\.[0-9]{1,15}")
# ASCII control characters (except tab, line feed and carriage return), surrogates and two non-characters. A file with
# one of them is refused: PostgreSQL cannot store some of them, such as NUL, and no schedule needs the others.
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str")
_QUOTES = ' Write templates in quotes: "{{ … }}".'


class YamlTextError(Exception):
    """The text cannot be read.

    :param line: line number, counted from 1.
    :param place: the value that the problem is about; () = the whole file.
    :param what: what is wrong, and what to do.
    """

    def __init__(self, line: int, place: Place, what: str) -> None:
        super().__init__(what)
        self.line = line
        self.place = place
        self.what = what


@dataclass(slots=True)
class YamlText:
    """The content of a file.

    :param value: the value of the whole file; None for an empty file.
    :param lines: the line number of every key and list entry.
    :param doubled: keys that stand twice in one mapping, with the line of the second.
    """

    value: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    doubled: list[tuple[Place, int]] = field(default_factory=list)


def read_yaml(text: str) -> YamlText:
    """Read one YAML document.

    :raises YamlTextError: it is not YAML, or it holds something that a schedule cannot use.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.reader.ReaderError as error:
        # The line of the error is found by counting the line ends before it. `error.position` says where the error is,
        # but the parser in Python gives it in characters, and the one in C in bytes of UTF-8.
        in_python = issubclass(_LOADER, yaml.reader.Reader)
        before = text[: error.position].encode() if in_python else text.encode()[: error.position]
        line = before.count(b"\n") + 1
        raise YamlTextError(line, (), f"{error.reason} (character {error.character:#x}). This is not YAML.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        here = (text.splitlines() or [""])[min(line, len(text.splitlines()) - 1)] if text else ""
        hint = _QUOTES if "{{" in here or "{%" in here else ""
        raise YamlTextError(line + 1, (), f"{error.problem or error.context}. This is not YAML.{hint}") from None
    return builder.document


@dataclass(slots=True)
class _Collection:
    """A mapping or list whose end has not been read yet."""

    value: Any
    place: Place
    anchor: str | None
    values_before: int
    characters_before: int
    key: str | None = None
    levels: int = 1
    """How many levels deep it is so far, itself included."""


@dataclass(frozen=True, slots=True)
class _Anchored:
    """A value with an anchor, and how much each of its aliases adds."""

    value: Any
    values: int
    characters: int
    levels: int


class _Builder:
    """Makes the values from the parser's events, without recursion: a deeply nested file cannot overflow the stack."""

    def __init__(self) -> None:
        self.document = YamlText()
        self._open: list[_Collection] = []
        self._anchors: dict[str, _Anchored] = {}
        self._values = 0
        self._characters = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        """Take the next event of the parser."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise YamlTextError(line, (), "the file holds several documents; one file is one dataset.")
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self._open.pop()
            values, characters = self._values - done.values_before, self._characters - done.characters_before
            self._deepen(done.levels)
            self._remember(done.anchor, _Anchored(done.value, values, characters, done.levels))
        elif isinstance(event, yaml.NodeEvent):
            self._node(event, line)

    def _node(self, event: Any, line: int) -> None:
        inside = self._open[-1] if self._open else None
        if inside is not None and isinstance(inside.value, dict) and inside.key is None:
            self._key(inside, event, line)
            return
        place = self._place(inside, line)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise YamlTextError(line, place, f"there is no value with the anchor &{event.anchor} before this.")
            new = self._anchors[event.anchor]
        else:
            new = _Anchored(
                self._new(event, place, line), 1, _length(event), isinstance(event, yaml.CollectionStartEvent)
            )
        value = new.value
        self._count(new.values, new.characters, place, line)
        if len(self._open) + new.levels > MAX_DEPTH:
            raise YamlTextError(line, place, f"the values are more than {MAX_DEPTH} levels deep, aliases written out.")
        self._deepen(new.levels)
        if inside is None:
            self.document.value = value
        elif isinstance(inside.value, list):
            inside.value.append(value)
        else:
            inside.value[inside.key], inside.key = value, None
        if isinstance(event, yaml.CollectionStartEvent):
            self._open.append(_Collection(value, place, event.anchor, self._values - 1, self._characters))
        elif isinstance(event, yaml.ScalarEvent):
            self._remember(event.anchor, new)

    def _key(self, inside: _Collection, event: Any, line: int) -> None:
        if isinstance(event, yaml.AliasEvent):
            what = f"a key must be a text, and *{event.anchor} is an alias; write the text itself."
            raise YamlTextError(line, inside.place, what)
        if not isinstance(event, yaml.ScalarEvent):
            raise YamlTextError(line, inside.place, f"a key must be a text, and this one is not.{_QUOTES}")
        key = _scalar(event, inside.place, line)
        if not isinstance(key, str):
            what = f"the key {event.value[:60]!r} is not a text; write it in quotes."
            raise YamlTextError(line, inside.place, what)
        if key == "<<":
            raise YamlTextError(line, inside.place, "merging with << is not supported; write the keys out.")
        place = (*inside.place, key)
        if key in inside.value:
            self.document.doubled.append((place, line))
        self.document.lines[place] = line
        self._count(0, len(key), place, line)
        self._remember(event.anchor, _Anchored(key, 1, len(key), 0))
        inside.key = key

    def _place(self, inside: _Collection | None, line: int) -> Place:
        if inside is None:
            return ()
        if inside.key is not None:
            return (*inside.place, inside.key)
        place = (*inside.place, len(inside.value))
        self.document.lines[place] = line
        return place

    def _new(self, event: Any, place: Place, line: int) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event, place, line)
        if event.tag not in (None, "!"):
            raise YamlTextError(line, place, f"the tag {event.tag[:60]!r} is not supported; remove it.")
        return {} if isinstance(event, yaml.MappingStartEvent) else []

    def _count(self, values: int, characters: int, place: Place, line: int) -> None:
        """Count what an event adds. An alias adds all that its anchor holds."""
        self._values += values
        self._characters += characters
        for number, limit, what in (
            (self._values, MAX_VALUES, "values"),
            (self._characters, MAX_CHARACTERS, "characters"),
        ):
            if number > limit:
                raise YamlTextError(line, place, f"the file holds more than {limit:,} {what}, aliases written out.")

    def _deepen(self, levels: int) -> None:
        """Note that the innermost open list or mapping has a value with this many levels in it."""
        if self._open:
            self._open[-1].levels = max(self._open[-1].levels, levels + 1)

    def _remember(self, anchor: str | None, anchored: _Anchored) -> None:
        if anchor is not None:
            self._anchors[anchor] = anchored


def _length(event: Any) -> int:
    """The characters of a scalar; 0 for the begin of a list or mapping."""
    return len(event.value) if isinstance(event, yaml.ScalarEvent) else 0


def _scalar(event: Any, place: Place, line: int) -> Any:
    """The value of a scalar: a text, except where it is written plainly as null, true, false or a number."""
    text = event.value
    if event.tag not in _TEXT_TAGS:
        raise YamlTextError(line, place, f"the tag {event.tag[:60]!r} is not supported; remove it.")
    if found := _UNSTORABLE.search(text):
        raise YamlTextError(line, place, f"the text holds the character {ord(found[0]):#06x}, which cannot be stored.")
    # A value in quotes or in a block (`|` or `>`) is a text, even if it looks like a number. So is a value with a tag,
    # because all tags except those for text were refused above.
    if event.tag is not None or not event.implicit[0]:
        return text
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
