"""Reading a reply of unknown structure: which files, rows and groups the reply contains.

The reader goes through the whole reply once. Each value is one of three things: data that lands, a key that is known to
be no data, or a problem or leftover. The reader only collects. `reading` judges when the whole reply has been read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from learnosity.results import content, groups, links, rows
from learnosity.results.addresses import fetchable, holds_address, points_to_a_listing
from learnosity.results.beside import read_beside
from learnosity.results.entry import (
    add_address,
    add_content,
    add_content_entry,
    add_entry,
    is_file,
    is_file_address,
    own_addresses,
    own_content,
)
from learnosity.results.findings import Findings, join
from learnosity.results.known_keys import (
    ABOUT_KEYS,
    ECHO_KEYS,
    FILE_LISTS,
    FOLDER_KEYS,
    FORMAT_KEYS,
    INPUT_KEYS,
    LINK_BOXES,
    LISTING_KEYS,
    STRUCTURE_KEYS,
    looks_like_a_file,
    plain_key,
)
from learnosity.results.members import Members
from learnosity.results.place import Place, folder_of
from learnosity.results.request_fields import is_input_count
from learnosity.results.signal_keys import STATISTICS, kind_of
from learnosity.results.values import formats_in, is_number_of

_LISTS = LISTING_KEYS | FORMAT_KEYS
# Objects and lists under these keys repeat the request, or are about input files, so no result files are looked for in
# them. If there is an address in them, `reading` refuses the reply: it could be a file that would be missed.
_ASIDE = ECHO_KEYS | INPUT_KEYS | {"grouppath"}


def read_data(data: Any, found: Findings) -> None:
    """Read the `data` of a reply into `found`.

    :param data: the reply's `data`, nested at most `survey.MAX_DEPTH` levels: reading is recursive.
    """
    while isinstance(data, list) and len(data) == 1 and _is_wrapped(data[0]):
        data = data[0]
    reader, place = _Reader(found), Place("data")
    if isinstance(data, dict):
        reader.read_object(data, place)
    elif isinstance(data, list):
        reader.read_list("data", data, place)
    elif isinstance(data, str):
        reader.read_object({"url": data}, place)


class _Reader:
    """Goes through a reply and adds what it finds to `found`."""

    def __init__(self, found: Findings) -> None:
        self._found = found

    def read_object(self, record: Mapping[str, Any], place: Place) -> None:
        """Read an object: a row, the entry of a file, or an object that contains more objects."""
        words = {plain_key(key): value for key, value in record.items()}
        urls = own_addresses(words)
        if self._is_row(record, place, urls):
            rows.note_row(record, place, self._found)
        elif urls and not links.holds_data_addresses(record, urls):
            self._read_entry(record, words, urls, place)
        elif not urls and (value := own_content(words)) is not None:
            add_content_entry(self._found, record, words, value, place)
        else:
            self._read_container(record, words, place)

    def read_list(self, key: str, values: Sequence[Any], place: Place) -> None:
        """Read a list. If one entry is a file or a row, all entries must be. Otherwise a file may be lost."""
        found = self._found
        if not values:
            if plain_key(key) in _LISTS:
                found.add_empty_list()
            found.add_row_list(key, values)
            return
        if groups.is_hierarchy(key, values, found) or groups.are_names(key, values, found):
            return
        before_rows, idle, named = found.rows, 0, len(found.groups)
        inside = place._replace(key=plain_key(key), listed=True)
        for value in values:
            before = found.parts
            if isinstance(value, dict):
                self.read_object(value, inside)
            elif isinstance(value, list):
                self.read_list(key, value, inside)
            elif isinstance(value, str) and fetchable(value):
                self._read_address(value, inside)
            idle += found.parts == before
        if idle == len(values):
            found.leftovers.append("a list contains entries that are not files")
        elif idle:
            found.problems.append("a list contains files or rows, and an entry that is neither")
        if found.rows > before_rows:
            found.add_row_list(key, values)
        if idle < len(values):
            found.note_listed(key)
        groups.check_list(key, values, found, named)

    def _read_entry(
        self, record: Mapping[str, Any], words: Mapping[str, Any], urls: Sequence[str], place: Place
    ) -> None:
        found = self._found
        dataset_id = found.signals.dataset_id
        if not is_file(words, urls, place, dataset_id):
            found.problems.append("it cannot be told whether some addresses are files or links in content")
        if not place.listed and place.key not in LISTING_KEYS:
            if not _is_file_name(words.get("name")) and points_to_a_listing(urls[0], dataset_id):
                found.problems.append("it holds an address that leads to a listing, and no list of files")
            found.signals.note_dataset(place.key, record)
            found.lone_files += place.key not in FORMAT_KEYS
        add_entry(found, record, words, urls, place)
        read_beside(found, record, urls, listed=place.listed or place.within)

    def _read_address(self, text: str, place: Place) -> None:
        """Read an address that is an entry of a list, or the value of a label or a format such as `csv`."""
        if place.key not in FILE_LISTS and not is_file_address(text, self._found.signals.dataset_id):
            self._found.problems.append("it cannot be told whether some addresses are files")
        add_address(self._found, text, place)

    def _is_row(self, record: Mapping[str, Any], place: Place, urls: Sequence[str]) -> bool:
        """Whether an object is a row. If the object could also be the entry of a file, a problem is noted."""
        if not content.is_row(record) or not (place.listed or _is_flat(record)):
            return False
        if place.listed and place.key in FILE_LISTS and (content.has_measure(record) or not urls):
            self._found.problems.append("the entries of a list of files have the fields of rows")
        if content.has_measure(record):
            return True
        if not urls and any(map(_is_file_name, record.values())):
            self._found.problems.append("it cannot be told whether some entries are files or rows")
        return not urls

    def _read_container(self, record: Mapping[str, Any], words: Mapping[str, Any], place: Place) -> None:
        """Read an object that contains other values. Its counts are compared with the files and rows found in it."""
        found, counts = self._found, len(self._found.signals.open_counts)
        files, old_rows, lone, empty = len(found.files), found.rows, found.lone_files, found.empty_lists
        groups.note_object(record, words, place, found)
        found.signals.note_dataset(place.key, record)
        links.note_last_page(record, found)
        within = place.within or place.listed or _has_several_formats(record)
        if place.key in STRUCTURE_KEYS and not within:
            links.note_one_of(record, found)
        inside = place._replace(folder=folder_of(words, place), listed=False, within=within)
        is_map = place.key in LISTING_KEYS and _is_map_of_addresses(record)
        members = Members(record, place.key, found)
        for key, value in record.items():
            is_read = not is_input_count(key, value, record)
            members.note(key, value, is_open=is_read and self._read_member(key, value, inside, is_map))
        if members.lack_a_file():
            found.problems.append("an object contains files and something that is not a file")
        new_files, new_rows = len(found.files) - files, found.rows - old_rows
        found.note_box(place.key, counts, record, new_files)
        if 0 < found.lone_files - lone < new_files:
            found.problems.append("it has a list of files, and an address outside of this list")
        is_beside_no_list = found.empty_lists > empty and FILE_LISTS.isdisjoint(words)
        if rows.has_statistics(record, new_files, is_beside_no_list=is_beside_no_list):
            found.has_row_fields = True
        paths = [file.name.removeprefix(f"{inside.folder}/") for file in found.files[files:]]
        found.signals.compare_children(counts, partial(groups.numbers_of_children, record, paths))
        if new_files or new_rows:
            numbers = {new_files or new_rows, *(found.row_lists if new_rows else ())}
            found.signals.compare_counts(counts, numbers, found.numbers(numbers))

    def _read_member(self, key: str, value: Any, place: Place, is_map: bool) -> bool:
        """Read the value under one key of an object.

        :param is_map: whether the object is a map from labels to file addresses.
        :returns: whether the value is an object and its key does not show if it is about files.
        """
        word, found = plain_key(key), self._found
        if looks_like_a_file(key):
            self._read_named(key, value, place)
        elif isinstance(value, str) and holds_address(value):
            if (is_map or word in FORMAT_KEYS) and fetchable(value):
                self._read_address(value, place._replace(key=word))
            else:
                links.note_link(key, value, found)
        elif word in _ASIDE or links.note_link_object(key, value, found) or found.signals.note(key, value):
            return False
        elif word in LINK_BOXES and isinstance(value, dict | list):
            self._read_rest(key, links.read_box(value, found), place)
        elif isinstance(value, list):
            before = found.parts
            self.read_list(key, value, place.below(key))
            if found.parts == before:
                found.signals.note_unread(key, value)
        elif isinstance(value, dict):
            return self._read_inner_object(key, value, place)
        elif is_number_of(key, value):
            found.signals.note_count(key, int(value))
        elif word in FORMAT_KEYS and kind_of(place.key) == "count":
            # As in `"total_files": {"csv": 2, "json": 1}`: `place.key` is `totalfiles`, `word` is `csv`, and the 2 is a
            # count and no file. Later, `Signals.note_unread` reads the whole object, and notes the sum 3 as the count.
            return False
        elif word in _LISTS and not (value is None and groups.is_group_list(key, found)):
            self._read_instead_of_list(key, value)
        elif value is not None and groups.is_group_list(key, found):
            found.problems.append(groups.NO_LIST)
        elif isinstance(value, str):
            self._read_text(word, value)
        return False

    def _read_text(self, word: str, text: str) -> None:
        """Note a text that may be content, or the name of a file that the reply does not list."""
        if _is_file_name(text) and word not in FOLDER_KEYS:
            self._found.names.add(text)
        elif content.may_be_content(text):
            self._found.leftovers.append("it contains a long text, which may be content")

    def _read_inner_object(self, key: str, value: Mapping[str, Any], place: Place) -> bool:
        word = plain_key(key)
        if not value:
            if word in _LISTS:
                self._found.add_empty_list()
            return False
        if groups.is_group_list(key, self._found):
            self._found.problems.append(groups.NO_LIST)
        if kind_of(word) is None and len(formats := formats_in(value)) == len(value):
            # As in `"files_by_type": {"json": 2, "csv": 1}`: the sum 3 is a number of files. Under `stats`, the sum may
            # count something else. The name `sum of stats` makes it a statistic, which is not compared with files.
            what = f"sum of {word}" if word in STATISTICS else key
            self._found.signals.note_count(what, sum(formats.values()))
            return False
        before = self._found.parts
        self.read_object(value, place.below(key))
        if self._found.parts > before:
            self._found.note_listed(key)
        else:
            self._found.asides += word not in ABOUT_KEYS
            self._found.signals.note_unread(key, value)
        return word not in ABOUT_KEYS and (place.key in LISTING_KEYS or word not in STRUCTURE_KEYS)

    def _read_rest(self, key: str, rest: Any, place: Place) -> None:
        if isinstance(rest, dict) and rest:
            self.read_object(rest, place.below(key))
        elif isinstance(rest, list) and rest:
            self.read_list(key, rest, place.below(key))

    def _read_instead_of_list(self, key: str, value: Any) -> None:
        """Read a value that is not a list under a key for lists. A number is a count. Otherwise the list is missing."""
        if isinstance(value, int) and not isinstance(value, bool):
            self._found.signals.note_count(key, value)
        else:
            self._found.leftovers.append("a list of files is missing under a key for such lists")

    def _read_named(self, key: str, value: Any, place: Place) -> None:
        """Read the value under a key that is a file name: the address, the entry or the content of this file."""
        name = join("/".join(place.keys), key)
        words = {plain_key(each): child for each, child in value.items()} if isinstance(value, dict) else {}
        if isinstance(value, str) and fetchable(value):
            add_address(self._found, value, place, name)
        elif (urls := own_addresses(words)) and not links.holds_data_addresses(value, urls):
            add_entry(self._found, value, words, urls, place, key)
            read_beside(self._found, value, urls, listed=True, key=key)
        else:
            add_content(self._found, name, value, place)


def _is_wrapped(entry: Any) -> bool:
    """Whether the only entry of a list is the reply itself, and not a row."""
    return isinstance(entry, list) or (isinstance(entry, dict) and ("group_path" in entry or not content.is_row(entry)))


def _is_map_of_addresses(record: Mapping[str, Any]) -> bool:
    """Whether an object is a map from labels to file addresses: `{"summary": "https://…", "details": "https://…"}`."""
    return all(
        isinstance(value, str) and fetchable(value) and not links.is_link_key(key) for key, value in record.items()
    )


def _has_several_formats(record: Mapping[str, Any]) -> bool:
    """Whether an object has an entry for each of several formats. Then no entry is the reply itself."""
    return sum(isinstance(value, dict) and plain_key(key) in FORMAT_KEYS for key, value in record.items()) > 1


def _is_file_name(value: Any) -> bool:
    return isinstance(value, str) and looks_like_a_file(value)


def _is_flat(record: Mapping[str, Any]) -> bool:
    return not any(isinstance(value, dict | list) for value in record.values())
