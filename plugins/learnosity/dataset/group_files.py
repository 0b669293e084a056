"""Tells from the place of a file which group it is about, because the layout is not documented. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

# Maximum number of levels of groups. Landing and the pages take a group path with at most this many names. So a file
# that would get a longer group path is not read as the file of a group.
MAX_GROUP_DEPTH = 20
# Names, without suffix, that the file of the root group usually has. The root is the group above all other groups. A
# file with such a name is preferred when the file of the root is looked for.
_ROOT_NAMES = ("group", "root")
# Names, without suffix, of files that describe the whole dataset, and no group, such as `meta.json`. The file nearest
# to the top folder is usually that of the root group, but `_root` passes over `meta.json` if there is a file such as
# `groups/group.json`. If all JSON files without `.gz` have such names, the groups must be in the files with `.gz`: see
# `_is_helpers`.
_ABOUT_NAMES = frozenset(
    {"meta", "metadata", "info", "about", "errors", "warnings", "messages", "status", "request", "readme", "index"}
)
# A folder with one of these names usually has the files of all groups. So `groups/group.json` may be the file of the
# root group, even if there is a file such as `summary.json` above this folder: see `_root`. A `group.json` in another
# folder, such as `d1/group.json`, is not taken for the root then: it may be the file of the group `d1`.
_FOLDER_NAMES = frozenset({"group", "groups"})
_SUFFIXES = re.compile(r"\.(json|ndjson|jsonl|csv|tsv)(\.gz)?$", re.IGNORECASE)


def group_files(paths: Iterable[str], *, of_tables: bool = False) -> dict[tuple[str, ...], str]:
    """The JSON file of every group, by group path. The folders of a file are named like the groups of its path.

    Files of `.json.gz` count if no other JSON file may be that of a group: see `_is_helpers`. One file describes the
    root, `()`: see `_root`. A group is described by a file of the same name in the group's folder, or by a file that is
    named like the group.

    Names may be percent-encoded, which the paths do not say. They are taken as encoded unless two of them would become
    the same group. A file is also found by its other name, as long as no other file has that one. The last path of a
    file is that of its group.

    :param of_tables: whether CSV and NDJSON files are taken in place of JSON files; default False.
    """
    # `found_as[True]` has the paths that end with `.gz`, and `found_as[False]` has the other paths.
    found_as: dict[bool, list[str]] = {True: [], False: []}
    wanted = (".csv", ".ndjson", ".jsonl") if of_tables else (".json",)
    for path in paths:
        if suffix_of(path) in wanted:
            found_as[path.lower().endswith(".gz")].append(path)
    files = found_as[True] if _is_helpers(found_as[False], found_as[True]) else found_as[False]
    if not files:
        return {}
    root = _root(files)
    folder, slash, _ = root.rpartition("/")
    name = stem_of(root)[len(folder + slash) :]
    plain: dict[str, tuple[str, ...]] = {}
    for path in files:
        if stem_of(path) == stem_of(root) or not path.startswith(folder + slash):
            continue
        parts = stem_of(path)[len(folder + slash) :].split("/")
        group = tuple(parts[:-1] if parts[-1] == name else parts)
        if len(group) <= MAX_GROUP_DEPTH:
            plain[path] = group
    decoded = {path: tuple(map(_decoded, group)) if "%" in path else group for path, group in plain.items()}
    names, others = decoded, plain
    if len(set(decoded.values())) < len(set(plain.values())):
        names, others = plain, decoded
    described: dict[tuple[str, ...], str] = {}
    for path, group in names.items():
        described.setdefault(group, path)
    found: dict[tuple[str, ...], str] = {(): root}
    for group, path in described.items():
        if others[path] not in described:
            found.setdefault(others[path], path)
        found[group] = path
    return found


def _root(files: Sequence[str]) -> str:
    """The file of the root: the one with the fewest folders, unless it only says something about the dataset.

    Then the root is named `group` or `root`, and there is one such file below which all others of these names are.
    """
    first = min(files, key=root_first)
    named = [path for path in files if _name(path) in _ROOT_NAMES]
    root = min(named, key=root_first, default=first)
    folder = root[: root.rfind("/") + 1]
    if root == first or not all(path.startswith(folder) for path in named):
        return first
    above = [path for path in files if path.count("/") < root.count("/")]
    if not all(_name(path) in _ABOUT_NAMES for path in above):
        # A file in `above`, such as `summary.json`, may be the file of the root group: then `groups/group.json` is only
        # about a group called `group`. So `first` is returned, unless each group seems to have a folder of its own with
        # a file `group.json`. This is so if there are further files like `groups/d1/group.json`, and beside
        # `groups/group.json` there is no file with another name.
        siblings = {path for path in files if path.startswith(folder) and "/" not in path[len(folder) :]} - {root}
        is_of_folders = folder.split("/")[-2] in _FOLDER_NAMES and len(named) > 1
        if not is_of_folders or any(stem_of(path) != stem_of(root) for path in siblings):
            return first
    folders = {path[: found.start()] for path in files for found in re.finditer("/", path)}
    return first if any(stem_of(path) in folders for path in above) else root


def _is_helpers(plain: Sequence[str], packed: Sequence[str]) -> bool:
    """Whether all plain JSON files describe the dataset, so that the groups are in packed files.

    A name such as `index` that is found in several folders may be that of the groups. Then each of these folders must
    have a packed file with another name.
    """
    named = [path for path in packed if _name(path) not in _ABOUT_NAMES]
    if not plain or not named:
        return not plain
    if not all(_name(path) in _ABOUT_NAMES for path in plain):
        return False
    folders: dict[str, set[str]] = {}
    for path in plain:
        folders.setdefault(_name(path), set()).add(path.rpartition("/")[0])
    with_groups = {path.rpartition("/")[0] for path in named}
    return all(len(places) == 1 or places <= with_groups for places in folders.values())


def _name(path: str) -> str:
    return stem_of(path).rpartition("/")[2]


def _decoded(name: str) -> str:
    try:
        return unquote(name, errors="strict")
    except UnicodeDecodeError:
        return name


def root_first(path: str) -> tuple[int, bool, int, str]:
    """Sorts files so that the one that is likely to describe the root group comes first."""
    return path.count("/"), _name(path) not in _ROOT_NAMES, len(path), path


class Places:
    """The folder of the group that a file is about. Two groups never get the same one.

    A group is described by a file in its folder, or by a file that is named like the group. Only files with rows of
    groups or users may be asked for, in the order of `root_first`.
    """

    def __init__(self) -> None:
        self.root: str | None = None
        self._taken: dict[str, str] = {}

    def of(self, path: str) -> str:
        """The folder; the first file is about the root, and files of its name are about the group of their folder."""
        stem = stem_of(path)
        folder, _, name = stem.rpartition("/")
        self.root = self.root or path
        is_like_root = name == stem_of(self.root).rpartition("/")[2]
        place = folder if is_like_root and self._taken.get(folder, stem) == stem else stem
        self._taken[place] = stem
        return place


def stem_of(path: str) -> str:
    """A path without the suffix that says how its file is read."""
    return _SUFFIXES.sub("", path)


def suffix_of(path: str) -> str:
    """The suffix that says how a file is read, in lower case and without `.gz`: `.csv`. "" = there is none."""
    found = _SUFFIXES.search(path)
    return f".{found[1].lower()}" if found else ""
