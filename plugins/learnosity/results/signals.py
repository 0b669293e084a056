"""What a reply says about itself: is it ready, are there more pages, how many files are there, which dataset is it.

A reply may list files, and at the same time say that more files exist. Such keys are noted here while the reply is
read. `reading` judges them when the whole reply has been read. If a known key has a value that cannot be understood,
the reply is unclear. Such a key is never ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from learnosity.results.content import ROW_FIELDS, holds_rows, may_be_content
from learnosity.results.known_keys import plain_key
from learnosity.results.noted import State
from learnosity.results.signal_keys import (
    NOT_OF_PAGES,
    OF_PAGES,
    PAGE_BOXES,
    Kind,
    Thing,
    counts_parts,
    is_of_all,
    is_only_a_number,
    kind_inside,
    kind_of,
    kind_of_value,
    thing_of,
)
from learnosity.results.spoken import says_not_ready
from learnosity.results.states import INSIDE, STATE_READERS
from learnosity.results.values import (
    as_flag,
    can_be_sent,
    formats_in,
    integer,
    is_true,
    members,
    says_something,
    scalars,
)

_NO_THINGS: Mapping[Thing, set[int]] = {}


@dataclass(slots=True)
class Signals(State):
    """What one reply says about itself: its state, its pages and its counts."""

    cursors: set[str] = field(default_factory=set, repr=False)
    """Values that can be sent as `next` to get the next page."""
    flagged: bool = False
    """Whether a flag says that more pages follow."""
    page: int = 0
    """The number of this page; 0 when the reply does not say."""
    pages: int = 0
    """How many pages there are; 0 when the reply does not say."""
    ended: bool = False
    """Whether the reply says that this is the last page."""
    limits: list[int] = field(default_factory=list)
    open_counts: list[tuple[str, int | None]] = field(default_factory=list)
    """Counts that are not yet compared with what was found. None is a value that is not understood."""
    wrong_counts: list[tuple[str, int, int]] = field(default_factory=list)
    """Counts that differ from what was found: the key, the count, and what was found."""
    counted: bool = False
    """Whether a count of all files was compared with what was found."""

    def note(self, key: str, value: Any) -> bool:
        """Note one key of the reply.

        :returns: whether the key says something about the reply. If not, its value is read as possible data.
        """
        kind = None if key in ROW_FIELDS else kind_of_value(plain_key(key), value)
        if kind is None or (isinstance(value, dict | list) and kind not in _OF_ANYTHING):
            return False
        return _READERS[kind](self, key, value)

    def note_unread(self, key: str, value: Any) -> None:
        """Note an object or list in which no file and no row was found. `note` has already been called for its keys.

        If its key is about the state, it may say that the dataset is not ready. If its key is about pages or counts, it
        may say that there is more. Then each value must be understood.
        """
        kind = kind_of(plain_key(key))
        if kind in INSIDE:
            INSIDE[kind](self, key, value)
        is_about_pages = kind in OF_PAGES or plain_key(key) in PAGE_BOXES
        is_ignored = (kind == "next" and self.ignores_cursors) or (kind == "count" and self.ignores_counts)
        if not is_about_pages or is_ignored:
            return
        if formats := formats_in(value) if kind == "count" else {}:
            self.note_count(key, sum(formats.values()))
        for each, child in value.items() if isinstance(value, dict) else [("", child) for child in value]:
            word = plain_key(each)
            if each in formats or child is self.cursors_aside:
                continue
            inner = kind_inside(kind, word)
            if inner is not None and not isinstance(child, dict | list):
                _READERS[inner](self, key if kind == "count" and thing_of(word) is None else each, child)
            elif kind == "count" and thing_of(plain_key(key)) is not None:
                self.open_counts.append((key, None))
            elif says_something(child, words=kind == "next") and kind_of(word) is None and word not in NOT_OF_PAGES:
                self.doubt(key, "its {} is not understood")
                return

    def note_of_entry(self, key: str, value: Any) -> bool:
        """Note one key of a file's entry, as `note` does. Its counts, pages and cursors are about the file."""
        kind = None if plain_key(key) in _SHARES else kind_of_value(plain_key(key), value)
        if kind == "remark" and not any(isinstance(each, str) and says_not_ready(each) for each in scalars(value)):
            return False
        if kind in ("more", "children") and is_true(value):
            self.doubt(key, "an entry of a file says by {} that there is more")
        if kind in _OF_ENTRIES and isinstance(value, dict | list):
            for word, each in members(value):
                if kind_of(word) in _OF_ENTRIES:
                    self.note(word, each)
            self.note_unread(key, value)
        return kind in ("more", "children") or (kind in _OF_ENTRIES and self.note(key, value))

    def note_cursor(self, key: str, value: Any) -> None:
        """Note the cursor of the next page. An empty value means that no page follows."""
        if not says_something(value):
            self.close()
        elif isinstance(value, dict | list) or not can_be_sent(value):
            self.doubt(key, "its {} names a next page in a way that cannot be requested")
        else:
            self.cursors.add(str(value))

    def says_more(self) -> bool:
        """Whether pages follow after this one. Where only a number of pages is given, it is compared with the page."""
        return self.flagged or self.pages > self.page

    def note_count(self, key: str, value: int) -> None:
        """Note a number of files that the reply gives."""
        self.open_counts.append((key, value))

    def compare_counts(self, start: int, found: set[int], things: Mapping[Thing, set[int]] = _NO_THINGS) -> None:
        """Compare the counts from index `start` on with what was found in the same object.

        :param found: the numbers of files or rows.
        :param things: the numbers of users and other things, if rows were found. Counts of things that are not in it
            are not compared: they are about what is in the files, or statistics.
        """
        is_content = "row" in things and any(found)  # with rows, `file_count: 1` is no error: the file may be the reply
        for key, stated in self.open_counts[start:]:
            word = plain_key(key)
            thing = thing_of(word)
            right = found if thing is None else things.get(thing)
            if right is None or (is_content and is_only_a_number(word)):
                continue
            self.counted |= is_of_all(word)
            if stated is None:
                self.doubt(key, "its {} is not a whole number")
            elif stated not in right and not (stated == 1 and is_content and counts_parts(word)):
                self.wrong_counts.append((key, stated, max(right, default=0)))
            elif is_of_all(word):
                self.close()
        del self.open_counts[start:]

    def compare_children(self, start: int, right_of: Callable[[str], set[int]] = lambda _: {0}) -> None:
        """Compare the counts of folders and child groups from index `start` on with those of the same object.

        :param right_of: the right numbers for a plain key.
        """
        for key, stated in self.open_counts[start:]:
            word = plain_key(key)
            if thing_of(word) == "child":
                right = right_of(word)
                if not any(right) if kind_of(word) == "children" else stated not in right:
                    self.doubt(key, "its {} differs from what was found")
        self.open_counts[start:] = [
            each for each in self.open_counts[start:] if thing_of(plain_key(each[0])) != "child"
        ]


def _cursor(signals: Signals, key: str, value: Any) -> bool:
    if not signals.ignores_cursors:
        signals.note_cursor(key, value)
    elif says_something(value):
        signals.ignored_cursors.append(key)
    return True


def _next(signals: Signals, key: str, value: Any) -> bool:
    if says_something(value) and signals.ignores_cursors:
        signals.ignored_cursors.append(key)
    elif says_something(value):
        signals.doubt(key, "its {} may name a next page")
    else:
        signals.close()
    return True


def _more(signals: Signals, key: str, value: Any) -> bool:
    signals.flagged |= is_true(value)
    _end(signals, key, not is_true(value))
    return True


def _last(signals: Signals, key: str, value: Any) -> bool:
    flag = as_flag(value)
    if plain_key(key) == "lastpage" and not isinstance(value, bool):
        return _page_count(signals, key, value)
    if flag is not None:
        signals.flagged |= not flag
        _end(signals, key, flag)
    elif says_something(value):
        signals.doubt(key, "its {} is not understood")
    return True


def _page_count(signals: Signals, key: str, value: Any) -> bool:
    number = _number(signals, key, value)
    if number is not None:
        signals.pages = max(signals.pages, number)
        _end(signals, key, number <= 1)
    return True


def _page(signals: Signals, key: str, value: Any) -> bool:
    number = _number(signals, key, value) or 0
    signals.page = max(signals.page, number)
    if number > 1:
        signals.later.append(key)
    return True


def _offset(signals: Signals, key: str, value: Any) -> bool:
    word, number = plain_key(key), integer(value)
    if word == "start" and (number is None or number >= 10**8):
        return False  # the value is a time, such as Unix seconds, and not an offset
    # An offset above 0 means that this is not the first page. Under keys that begin with `start`, 1 may be the first
    # page, too: entries may be counted from 1. Under `startrow`, 2 may be, too: row 1 may be a header.
    if (_number(signals, key, value) or 0) > word.startswith("start") + (word == "startrow"):
        signals.later.append(key)
    return True


def _limit(signals: Signals, key: str, value: Any) -> bool:
    if (number := _number(signals, key, value) or 0) > 0:
        signals.limits.append(number)
    return True


def _count(signals: Signals, key: str, value: Any) -> bool:
    number = integer(value)
    if number is None and is_only_a_number(plain_key(key)):
        return False
    is_text = number is None and ((isinstance(value, str) and "\n" in value) or may_be_content(value))
    if signals.ignores_counts and not (is_text and holds_rows(value)):
        return True
    if number is not None:
        signals.note_count(key, number)
    elif value is not None and (is_text or thing_of(plain_key(key)) is None):
        signals.doubt(key, "its {} is not a whole number")
    elif value is not None:
        signals.open_counts.append((key, None))
    return True


def _children(signals: Signals, key: str, value: Any) -> bool:
    if is_true(value):
        signals.open_counts.append((key, None))
    return True


def _number(signals: Signals, key: str, value: Any) -> int | None:
    """`value` as an integer. If it is something else and not empty, the reply is unclear."""
    number = integer(value)
    if number is None and says_something(value):
        signals.doubt(key, "its {} is not a whole number")
    return number


def _end(signals: Signals, key: str, is_last: bool) -> None:
    if is_last:
        signals.ended = True
        signals.close()
    else:
        signals.more.append(key)


_READERS: dict[Kind, Callable[[Signals, str, Any], bool]] = {
    **STATE_READERS,
    "cursor": _cursor,
    "next": _next,
    "more": _more,
    "last": _last,
    "pages": _page_count,
    "page": _page,
    "offset": _offset,
    "limit": _limit,
    "count": _count,
    "children": _children,
}
# Under a key of these kinds, `note` reads objects and lists, too. Under any other key, they may be data, such as files.
_OF_ANYTHING: tuple[Kind, ...] = ("status", "pending", "trouble", "cursor")
_OF_ENTRIES = ("status", "ready", "pending", "progress", "verdict", "trouble", "remark", "owner", "said")
_SHARES = ("percent", "percentage")  # skipped in a file's entry: 40 may mean that this file is 40 % of the data
