"""The groups that a reply names. The dataset is then read one group at a time.

Every group that a reply names must be requested. A group without a name cannot be requested. A group in an unknown
place may be missed. Both are problems, and make the reply `NotUnderstood`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from learnosity.results.addresses import holds_address
from learnosity.results.content import is_group_row, rows_in
from learnosity.results.findings import Findings
from learnosity.results.known_keys import GROUP_CONTEXT, GROUP_LISTS, LISTING_KEYS, STRUCTURE_KEYS, TREE_KEYS, plain_key
from learnosity.results.place import Place

_CHILDREN = LISTING_KEYS | TREE_KEYS | GROUP_LISTS
_INNER = TREE_KEYS | GROUP_LISTS
_OF_FOLDERS = re.compile("folder|director")
_LEVELS = re.compile("(?:group|hierarchy)?levels?|hierarchy")
NO_LIST = "the groups of a group are not a list"
_NO_NAME = "a group has no name"
_NO_PATH = "the path of a group is not a list of names"
_NESTED = "a group is inside another group in an unknown way"
# An object beside the `data` of a reply may only say whose session the reply is about, as in
# `"session": {"group_path": "north/s1"}`. Its group is not requested, so it does not matter that the path is no list.
# If the `data` are not about groups, `around` ignores these problems in objects beside the `data`.
OF_CONTEXT = frozenset((_NO_PATH, _NESTED))


def note_object(record: Mapping[str, Any], words: Mapping[str, Any], place: Place, found: Findings) -> None:
    """Note that an object is a group: it has a `group_path`, or its key is `dataset_group`."""
    if place.is_above:
        found.has_paths_above |= words.get("grouppath") is not None
        found.has_groups_above |= place.key == "datasetgroup"
        return
    path = words.get("grouppath")
    if isinstance(path, list) and all(isinstance(name, str) for name in path):
        found.group_paths.append(tuple(path))
    elif path is not None:
        found.problems.append(_NO_PATH)
    elif place.key == "datasetgroup":
        found.group_paths.append(None)
    if is_group_row(record) and place.key not in GROUP_CONTEXT | STRUCTURE_KEYS:
        found.problems.append(_NESTED)


def note_row(row: Mapping[str, Any], found: Findings, *, is_child: bool) -> None:
    """Note the group that a row names, and the groups nested in the row.

    :param row: a row that is not about a user or a question.
    :param is_child: whether the row is in a place for the child groups of a group.
    """
    if "group_path" in row:
        found.problems.append("its rows state the paths of groups")
    if not is_group_row(row):
        found.nameless_rows += 1
    elif is_child:
        paths = list(_paths(row, ()))
        if len(paths) != sum(map(is_group_row, rows_in(row))):
            found.problems.append(_NESTED)
        if None in paths:
            found.problems.append(_NO_NAME)
        found.groups.extend(path for path in paths if path is not None)


def is_group_list(key: str, found: Findings) -> bool:
    """Whether the value under `key` is the list of child groups of a group."""
    return plain_key(key) in GROUP_LISTS and bool(found.group_paths)


def are_names(key: str, values: Sequence[Any], found: Findings) -> bool:
    """Note the child groups of a group that are given as a list of names only.

    :returns: whether `values` is such a list.
    """
    if not is_group_list(key, found) or not all(isinstance(each, str) and each for each in values):
        return False
    if any(map(holds_address, values)):
        return False
    found.groups.extend((name,) for name in values)
    found.add_row_list(key, values)
    return True


def check_list(key: str, values: Sequence[Any], found: Findings, named_before: int) -> None:
    """Check that each entry of a list of groups has a group name.

    :param named_before: how many groups were known before the list was read.
    """
    names_some = plain_key(key) == "groups" and len(found.groups) > named_before
    if (names_some or is_group_list(key, found)) and not all(map(_names_one, values)):
        found.problems.append(_NO_NAME)


def numbers_of_children(record: Mapping[str, Any], paths: Sequence[str], word: str) -> set[int]:
    """The right counts of the folders or child groups of an object, for one plain key.

    :param paths: the files below the object, as paths from its own folder. Their folders count, too.
    """
    lists = {key: value for key, value in record.items() if _may_be_children(key, value)}
    inner = {key: value for key, value in lists.items() if plain_key(key) in _INNER or any(map(_names_one, value))}
    lengths = list(map(len, (inner if _OF_FOLDERS.search(word) else lists).values()))
    folders = {tuple(path.split("/")[:-1]) for path in paths} - {()}
    every = {folder[: depth + 1] for folder in folders for depth in range(len(folder))}
    numbers = {*lengths, sum(lengths), len(folders), len(every), len({folder[0] for folder in folders})}
    return numbers if any(_may_be_folder(each) for value in inner.values() for each in value) else numbers | {0}


def is_hierarchy(key: str, values: Sequence[Any], found: Findings) -> bool:
    """Whether `values` are the levels of the requested hierarchy, which the reply repeats."""
    is_named = _LEVELS.fullmatch(plain_key(key)) is not None and all(map(_is_level, values))
    return is_named or (not found.group_paths and is_levels(key, values))


def is_levels(key: str, value: Any) -> bool:
    """Whether `value` is a list of levels of a hierarchy."""
    return plain_key(key) == "groups" and isinstance(value, list) and all(map(_is_level, value))


def _may_be_children(key: str, value: Any) -> bool:
    if not isinstance(value, dict | list):
        return False
    return plain_key(key) in _CHILDREN or any(map(_names_one, value))


def _may_be_folder(value: Any) -> bool:
    """Whether an entry of a list of children may be a folder or a group, and no file."""
    if isinstance(value, dict):
        return is_group_row(value) or any(isinstance(each, dict | list) for each in value.values())
    return not (isinstance(value, str) and holds_address(value))


def _is_level(value: Any) -> bool:
    is_level = isinstance(value, dict) and value.keys() == {"key", "label"}
    return is_level and all(isinstance(each, str) for each in value.values())


def _names_one(value: Any) -> bool:
    return isinstance(value, dict) and is_group_row(value)


def _paths(row: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, ...] | None]:
    """The paths of the group that `row` names and of all groups nested in it; None for a group without a name."""
    name = row.get("group_name")
    if not isinstance(name, str) or not name:
        yield None
        return
    path = (*above, name)
    yield path
    for key, value in row.items():
        if isinstance(value, list) and plain_key(key) not in GROUP_CONTEXT:
            for child in value:
                if _names_one(child):
                    yield from _paths(child, path)
                elif plain_key(key) in GROUP_LISTS:
                    yield None
        elif value is not None and plain_key(key) in GROUP_LISTS:
            yield None
