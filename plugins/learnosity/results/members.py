"""Whether an object has files under some of its keys, and nothing under a key that may be the name of another file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import starmap
from typing import Any

from learnosity.results.findings import Findings
from learnosity.results.known_keys import (
    ABOUT_A_FILE,
    ABOUT_KEYS,
    FILE_LISTS,
    LINK_WORDS,
    LISTING_KEYS,
    NAME_KEYS,
    PATH_KEYS,
    SIZE_KEYS,
    STRUCTURE_KEYS,
    URL_KEYS,
    looks_like_a_file,
    plain_key,
)
from learnosity.results.signal_keys import kind_of
from learnosity.results.values import members

# In an object with files under its keys, as in `{"summary": {"url": …}, "answers": null}`, null may mean that a file is
# missing: here `answers`. A key of `_MAY_BE_NULL`, such as `etag`, or one that `kind_of` knows, such as `next`, is not
# the name of a file. So null under such a key does not mean that a file is missing.
_MAY_BE_NULL = ABOUT_A_FILE | ABOUT_KEYS | LINK_WORDS | STRUCTURE_KEYS | URL_KEYS
# Matches keys such as `result_urls`. If the value is a list, the key is the name of this list, and not of a file. Then
# null under a key of another form, such as `summaries`, is no missing file. If the value is an object, the key may be
# the name of one file. Then other keys of the same object may be names of files, too: in
# `{"student_outputs": {"url": …}, "summaries": null}`, the file `summaries` is missing.
_LIST_OF_FILES = re.compile("(.+?)(?:(?<!pro)files?|urls?|uris?|links?|outputs?|downloads?)")
_DIGITS = re.compile("[0-9]+")
# An object with a key of `_OF_A_FILE` is the entry of a file, even if the value under this key is null. An object with
# a key of `_NAMES` is such an entry only if the value ends like a file name: other things have names, too. If no file
# was found in such an entry, its address is missing.
_OF_A_FILE = URL_KEYS.union(SIZE_KEYS)
_NAMES = frozenset(NAME_KEYS + PATH_KEYS)


class Members:
    """What was found under the keys of one object.

    :param record: the object.
    :param key: the plain key above the object.
    """

    def __init__(self, record: Mapping[str, Any], key: str, found: Findings) -> None:
        self._key, self._found = key, found
        self._has_names = any(map(looks_like_a_file, record))
        self._start = self._before = self._numbers()
        self._with_files: set[str] = set()
        self._lists: set[str] = set()
        self._nulls: set[str] = set()
        self._idle: set[str] = set()
        self._lacks_address = False

    def note(self, key: str, value: Any, *, is_open: bool) -> None:
        """Note one key, right after its value was read.

        :param is_open: whether the value is an object and its key does not show if it is about files.
        """
        word, before = plain_key(key), self._before
        self._before = self._numbers()
        if value is None and word not in _MAY_BE_NULL and kind_of(word) is None:
            self._nulls.add(word)
        if is_open and self._before == before:
            self._idle.add(word)
            self._lacks_address |= any(starmap(_is_of_a_file, members(value)))
        if self._before[:2] != before[:2] and word not in STRUCTURE_KEYS:
            self._with_files.add(word)
            if isinstance(value, list) and _is_list(word):
                self._lists.add(word)

    def lack_a_file(self) -> bool:
        """Whether a file may be missing. An object that has only rows lands as it is, so nothing in it is missing."""
        nothing, lists = self._idle | self._nulls, self._lists
        if self._key in LISTING_KEYS:
            if self._idle and (self._before[:2] != self._start[:2] or self._key in FILE_LISTS):
                return True
            lists = set()
        if self._has_names or self._with_files - lists:
            return bool(nothing)
        families = set(map(_family, lists))
        return bool(lists) and (
            self._lacks_address or any(_is_list(each) or _family(each) in families for each in nothing)
        )

    def _numbers(self) -> tuple[int, int, int]:
        return len(self._found.files), self._found.empty_lists, self._found.parts


def _is_of_a_file(word: str, value: Any) -> bool:
    """Whether a member of an object shows that the object is the entry of a file."""
    return word in _OF_A_FILE or (word in _NAMES and isinstance(value, str) and looks_like_a_file(value))


def _is_list(word: str) -> bool:
    """Whether a plain key names files: in the plural, so that a list is expected."""
    return word.endswith("s") and _LIST_OF_FILES.fullmatch(word) is not None


def _family(word: str) -> str:
    """What a plain key has in common with those of its kind: `part` for `part1files`, `part2` and `parts`."""
    found = _LIST_OF_FILES.fullmatch(word)
    return _DIGITS.sub("", found[1] if found else word).removesuffix("s")
