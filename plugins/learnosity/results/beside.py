"""Reads what stands beside the address of a file, in the same object.

In an entry of a list, it describes the file. An object that is in no list may be the reply itself, as in
`{"url": …, "next": …}`. Then its counts and pages are those of the reply. What may be more of the dataset is a problem
in both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from learnosity.results import content, groups, links
from learnosity.results.addresses import holds_address, name_in_address
from learnosity.results.entry import ENTRY_WORDS
from learnosity.results.findings import Findings
from learnosity.results.known_keys import (
    ABOUT_A_FILE,
    CONTENT_KEYS,
    COUNTED_KEYS,
    ECHO_KEYS,
    FORMAT_KEYS,
    GROUP_LISTS,
    INPUT_KEYS,
    LINK_BOXES,
    LISTING_KEYS,
    NAME_KEYS,
    OBJECT_KEYS,
    PATH_KEYS,
    TREE_KEYS,
    looks_like_a_file,
    plain_key,
    words,
)
from learnosity.results.request_fields import is_input_count
from learnosity.results.signal_keys import kind_of
from learnosity.results.values import integer, says_something

# JSON keys whose values name input files, so a value under such a key names no result file.
_OF_THE_INPUT = INPUT_KEYS | words(
    "inputfile inputfilename source sources sourcefile sourcefiles sourcename sourcefilename original originalfile "
    "originalname originalfilename uploadfile uploadedfile uploadname uploadfilename"
)
# Values under these keys repeat the request, or name input files. They are not read.
_NOT_READ = ECHO_KEYS | _OF_THE_INPUT
# Keys under which an entry usually has a number about its file, as in `"rows": 20`. If there is a text instead, it may
# be content of the dataset, so it is checked. A text under another key that describes the file, such as `title`, is not
# checked, unless it holds rows.
_NUMBERS = words("count rows records lines")
# In an object under one of these keys, as in `"description": {"text": …}`, a text may be long or have several lines. It
# still only describes the file, unless it holds rows.
_TEXTS = words("title label description license terms")
# Keys of files, folders, groups or rows. If the object with the address of a file also has a list or an object under
# such a key, this may be more of the dataset. So the reply is refused, unless the list or object is empty. Only
# numbers, as in `"rows": [1, 200]`, are allowed in an entry of a list of files: they say which rows the file has.
_OF_DATA = LISTING_KEYS | FORMAT_KEYS | TREE_KEYS | GROUP_LISTS | COUNTED_KEYS | words("records lines")
# An object that has the address of a file, and is in no list of files, may be the reply itself. So a list of objects
# beside the address may be content, and the reply is refused. Exception: under these keys, the list only describes the
# file, as in `"tags": [{"name": "weekly"}]`. But objects with the fields of rows are content under any key.
_OF_THE_FILE = words(
    "tags labels attributes properties meta metadata hashes checksums headers acl grants owners columns schema levels "
    "grouplevels sort permissions history"
)
# A count whose key contains one of these words, such as `row_count` or `result_count`, counts things inside of the
# file. It is not a number of files. An exception is `result` before `file`: `result_file_count` is a number of files.
_IN_A_FILE = re.compile("row|record|line|user|student|learner|group|question|session|item|result(?!.*file)")
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.zst", ".tar.bz2")
# Matches the name (without suffix) of a file that is one part of several: `part-1`, `export.part01`, `results_1_of_3`,
# `results-001`. The names `export_2026` and `grade_5` do not match: their number may be a year or a grade. Beside such
# a part, `file_count` may be the number of parts. Beside a whole archive, it counts the files inside, so it is ignored.
_PART_NUMBER = re.compile(
    r"(?<![a-z])(?:part|chunk|segment|shard|batch|vol|volume)[-_. (]*\d{1,5}(?!\d)|\d[-_ ]?of[-_ ]?\d"
    r"|(?<!\d)[-_. ]0\d{1,4}$",
    re.IGNORECASE,
)
_NEXT_FILE = words("nextfile nextfiles nextfilename")
_MORE = "an entry of a file has its address, and something else that may be content"


def read_beside(
    found: Findings, record: Mapping[str, Any], urls: Sequence[str], *, listed: bool, key: str = ""
) -> None:
    """Read everything of the entry of a file that is not about the file.

    :param record: the entry, unchanged.
    :param urls: the addresses of the entry (`own_addresses`).
    :param listed: whether the entry is in a list of files, or in a map of files.
    :param key: the key above the entry, if this key is the file name.
    """
    counts = len(found.signals.open_counts)
    if not listed:
        links.note_last_page(record, found)
    names = (key, name_in_address(urls[0].strip(), found.signals.dataset_id)[0])
    reader = _Reader(found, record, names, listed)
    is_archive = not listed and _is_whole_archive(names[1])
    for each, value in record.items():
        is_of_archive = is_archive and plain_key(each) == "filecount" and integer(value) is not None
        if is_of_archive or is_input_count(each, value, record):
            continue  # this number counts input files, or the files in an archive, but not the result files
        is_plain = not isinstance(value, dict | list)
        reader.read(each, value, is_known=is_plain and plain_key(each) in ENTRY_WORDS, is_own=True)
    found.signals.compare_children(counts)
    found.signals.compare_counts(counts, {1})


def _is_whole_archive(name: str) -> bool:
    """Whether a file has several others in it, and is not one part of several itself."""
    suffix = next((each for each in _ARCHIVES if name.lower().endswith(each)), None)
    return suffix is not None and _PART_NUMBER.search(name[: -len(suffix)]) is None


class _Reader:
    def __init__(self, found: Findings, record: Mapping[str, Any], names: Sequence[str], listed: bool) -> None:
        self._found, self._record, self._names, self._listed = found, record, names, listed

    def read(self, key: str, value: Any, *, is_known: bool = False, is_own: bool = False) -> None:
        """Read one value, and all values in it.

        :param is_known: whether the value describes the file, such as its name. A signal may have such a key, too.
        :param is_own: whether the key is one of the entry, and not of an object in it. The module `entry` has read the
            content of the entry.
        """
        word = plain_key(key)
        if word in _NOT_READ or groups.is_levels(key, value) or (is_own and word in CONTENT_KEYS):
            return
        if word == "grouppath":
            if not self._listed and value is not None:
                self._found.problems.append("a group has the address of a file")
        elif isinstance(value, str) and holds_address(value):
            if not self._listed:
                links.note_link(key, value, self._found)
        elif not (self._note_of_entry if self._listed else self._note)(key, value):
            if isinstance(value, dict | list):
                self._read_inside(key, value)
            elif isinstance(value, str) and (not is_known or word in _NUMBERS or content.holds_rows(value)):
                self._read_text(word, value)

    def _note_of_entry(self, key: str, value: Any) -> bool:
        """Note what an entry of a list says. Its counts and pages are about the file, but a next page may be either."""
        if kind_of(plain_key(key)) in ("cursor", "next"):
            if says_something(value):
                self._found.signals.unclear.append("an entry of a file may name a next page")
            return True
        return self._found.signals.note_of_entry(key, value)

    def _note(self, key: str, value: Any) -> bool:
        """Note what an object says that may be the reply itself."""
        word, number = plain_key(key), integer(value)
        if word in _NEXT_FILE and isinstance(value, str) and looks_like_a_file(value):
            # The next file is named without its address. If the reply does not list it, the reply is refused.
            self._found.names.add(value)
            return True
        is_inside = word in ABOUT_A_FILE or _IN_A_FILE.search(word) is not None
        if kind_of(word) == "count" and is_inside:
            return False
        if word in LISTING_KEYS and number is not None and not is_inside:
            self._found.signals.note_count(key, number)
        return self._found.signals.note(key, value)

    def _read_inside(self, key: str, value: dict[str, Any] | list[Any]) -> None:
        found, word = self._found, plain_key(key)
        if value and word in _OF_DATA and not (self._listed and _has_only_numbers(value)):
            found.problems.append(_MORE)
        elif not self._listed and word in LINK_BOXES:
            value = links.read_box(value, found)
        if isinstance(value, dict):
            if content.has_measure(value):
                found.problems.append(_MORE)
            for each, child in value.items():
                is_text = word in _TEXTS and isinstance(child, str) and not looks_like_a_file(child)
                self.read(each, child, is_known=is_text or plain_key(each) in ABOUT_A_FILE)
        else:
            for child in value:
                is_known = self._listed or word in LINK_BOXES | _OF_THE_FILE
                is_plain = is_known or not isinstance(child, dict | list)
                if not is_plain or (isinstance(child, dict) and content.is_row(child)):
                    found.problems.append(_MORE)
                self.read("", child)
        if not self._listed:
            found.signals.note_unread(key, value)

    def _read_text(self, word: str, text: str) -> None:
        """Note a text that may be content, or the name of another file."""
        if looks_like_a_file(text):
            if text.rpartition("/")[2] not in self._own_names:
                self._found.names.add(text)
        elif content.may_be_content(text):
            self._found.leftovers.append("it contains a long text, which may be content")
        elif word in FORMAT_KEYS and any(content.is_content(f"x.{each}", text) for each in ("csv", "json")):
            self._found.problems.append(_MORE)

    @cached_property
    def _own_names(self) -> set[str]:
        keys = (*NAME_KEYS, *PATH_KEYS, *OBJECT_KEYS)
        stated = [value for key, value in self._record.items() if plain_key(key) in keys and isinstance(value, str)]
        return {name.rpartition("/")[2] for name in (*stated, *self._names)}


def _has_only_numbers(value: dict[str, Any] | list[Any]) -> bool:
    """Whether `value` has numbers only, such as a range or counts. It is neither rows nor files then."""
    return all(isinstance(each, int | float | None) for each in (value.values() if isinstance(value, dict) else value))
