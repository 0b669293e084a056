"""What was found in one reply, and the names of its files at the destination."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from learnosity.dataset.file_names import safe_path
from learnosity.results.content import thing_of_row
from learnosity.results.known_keys import GROUP_CONTEXT, GROUP_LISTS, plain_key
from learnosity.results.outcomes import ResultFile
from learnosity.results.signal_keys import (
    FILE_BOXES,
    LISTING_BOXES,
    STATISTICS,
    Kind,
    Thing,
    counts_parts,
    is_total_of_sizes,
    kind_of,
    thing_of,
)
from learnosity.results.signals import Signals
from learnosity.results.values import integer

_THINGS: tuple[Thing, ...] = ("row", "user", "group", "question", "record", "item", "statistic")
_PAGES: tuple[Kind | None, ...] = ("page", "pages", "offset", "limit")
_RETURNED = ("returned", "listed", "shown")


class FoundFile(NamedTuple):
    """A file with its address or its content. `named` gives it its final name."""

    name: str
    keys: tuple[str, ...]
    """Keys above the file. They become folders if files of two lists have the same name."""
    url: str | None
    content: bytes | None
    bytes: int | None
    content_type: str | None


@dataclass(slots=True)
class Findings:
    """Everything that was found in a reply. `reading` judges it after the whole reply has been read.

    :param signals: what the reply says about itself.
    """

    signals: Signals
    files: list[FoundFile] = field(default_factory=list, repr=False)
    rows: int = 0
    row_lists: set[int] = field(default_factory=set)
    """The lengths of all lists of rows."""
    row_numbers: dict[Thing, set[int]] = field(default_factory=dict)
    """The lengths of all lists of users, of groups and of questions."""
    rows_of: Counter[Thing | None] = field(default_factory=Counter)
    """How many rows are about a user, a group, a question, or nothing that is known."""
    items: set[str] = field(default_factory=set, repr=False)
    """The items that rows are about."""
    listed: set[Thing] = field(default_factory=set)
    """What a list of files or rows contains by its key: `items` or `records`."""
    proven_rows: int = 0
    """How many rows are surely rows: entries of a list, or objects with a subject and a measure."""
    nameless_rows: int = 0
    """How many rows do not name a group, a user or a question."""
    has_row_fields: bool = False
    """Whether an object with a list has the fields of a row, too. They land only with the whole reply."""
    is_declared: bool = False
    """Whether a declaration says which part of the reply is the content."""
    declared: tuple[set[int], dict[Thing, set[int]]] | None = None
    """The right counts beside the declared content; None when its rows cannot be counted."""
    read: set[int] = field(default_factory=set, repr=False)
    """The `id` of each value that a declaration has read: entries, their addresses, or the content and its members."""
    lacks_declared_next: bool = False
    """Whether the reply does not have the key that is declared as `next`."""
    declared_count: int | None = None
    """How many files there are by the declared `count`. Then no other count is compared."""
    larger_sizes: list[str] = field(default_factory=list)
    """Keys of a size of all files together that is more than the sizes that the reply lists."""
    groups: list[tuple[str, ...]] = field(default_factory=list, repr=False)
    group_paths: list[tuple[str, ...] | None] = field(default_factory=list, repr=False)
    """For each group in the reply: its own path, or None when it gives no path."""
    has_groups_above: bool = False
    """Whether groups stand under a key for the groups above, where they are not requested."""
    has_paths_above: bool = False
    """Whether an object about a group above gives that group's path."""
    lone_files: int = 0
    """How many files are in no list and have no file name as their key."""
    empty_lists: int = 0
    """How many lists of files are empty."""
    known: set[str] = field(default_factory=set, repr=False)
    """Texts with an address that belongs to a file, or to a link that is not a file."""
    names: set[str] = field(default_factory=set, repr=False)
    """File names that the reply contains outside of the entries of files."""
    problems: list[str] = field(default_factory=list)
    """Why the reply is not understood."""
    leftovers: list[str] = field(default_factory=list)
    """Messages about data that would be lost if only the files landed."""
    asides: int = 0
    """How many objects contain no file, no row and no empty list of files."""
    parts: int = 0
    """How many files, rows and empty lists were found. If it is the same after a value was read, the value had none."""

    def add_file(self, file: FoundFile) -> None:
        """Add a file."""
        self.files.append(file)
        self.parts += 1

    def add_row(self, *, proven: bool) -> None:
        """Add a row of content."""
        self.rows += 1
        self.proven_rows += proven
        self.parts += 1

    def has_read(self, value: Any) -> bool:
        """Whether a declaration has read a value, or anything in it."""
        todo = [value] if self.read else []
        while todo:
            each = todo.pop()
            if id(each) in self.read:
                return True
            todo.extend(each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        return False

    def may_declare(self) -> bool:
        """Whether a declaration may help. It changes nothing of what the reply states, nor of pages after this one."""
        if self.problems or self.signals.unclear:
            return bool(self.problems) or not self.signals.is_final
        return not (self.signals.more and self.signals.ignores_cursors and not self.signals.cursors)

    def unread(self, value: dict[str, Any] | list[Any]) -> dict[str, Any] | list[Any]:
        """`value` without the members that a declaration has read."""
        if not self.read:
            return value
        if id(value) in self.read:
            return []
        if isinstance(value, dict):
            return {key: each for key, each in value.items() if not self.has_read(each)}
        return [each for each in value if not self.has_read(each)]

    def add_row_list(self, key: str, values: Sequence[Any]) -> None:
        """Add a list of rows, a list of the names of groups, or an empty list.

        :param key: the key of the list.
        """
        word = plain_key(key)
        of_key = "group" if word in GROUP_LISTS else thing_of(word)
        if values:
            self.row_lists.add(len(values))
        if word in GROUP_CONTEXT:
            return
        rows = [each for each in values if isinstance(each, dict)]
        for thing in set(map(thing_of_row, rows)) if rows else {of_key}:
            if thing is not None:
                self.row_numbers.setdefault(thing, set()).add(len(values))

    def numbers(self, found: set[int]) -> dict[Thing, set[int]]:
        """The right counts of rows, users, groups and questions.

        A thing that is missing here is not what the reply lists. So its count is a statistic, such as the number of
        users beside rows of groups. Where a row does not say what it is about, any count may be that of the rows.

        :param found: the numbers of all files or rows that were found.
        """
        if self.files:
            return dict.fromkeys(self.listed, found)
        if not self.rows and not self.groups:
            return {thing: {0} for thing in _THINGS}
        # If the reply names child groups, an empty list of users proves nothing: the users may be in the child groups.
        # So a count of users is not compared with the length 0 of this list.
        right = {thing: set(lengths) for thing, lengths in self.row_numbers.items() if not self.groups or any(lengths)}
        for thing, number in self.rows_of.items():
            if thing is not None:
                right.setdefault(thing, set()).add(number)
        if self.rows_of[None]:
            right = dict.fromkeys(_THINGS, found) | right
        if self.group_paths:
            right.setdefault("group", {0})
        right |= dict.fromkeys(self.listed, found)
        if self.items:
            right["item"] = found | {len(self.items)}
        return right | {"row": found, "record": found, "statistic": found}

    def note_listed(self, key: str) -> None:
        """Note that the value under `key` has files or rows in it. A count of what `key` names is one of these."""
        thing = thing_of(plain_key(key))
        if thing in ("record", "item"):
            self.listed.add(thing)

    def note_box(self, key: str, start: int, record: Mapping[str, Any], files: int = 0) -> None:
        """Note what the counts from index `start` on are of, where the object in which they are says it.

        Counts of records and items are of the entries of the listing, if the object is about pages, or if it is called
        a listing and has the files. In an object of statistics that is not about pages, only a count of files is of
        what the reply lists.

        :param key: the plain key above the object.
        :param record: the object.
        :param files: how many files are in the object.
        """
        self._note_sizes(record, [each.bytes for each in self.files[len(self.files) - files :]])
        if key in LISTING_BOXES or (key in FILE_BOXES and files):
            box = key
        elif _is_paged(record):
            box = "pages"
        else:
            box = key if key in STATISTICS and not files else ""
        counts = self.signals.open_counts
        for index, (each, stated) in enumerate(counts[start:] if box else (), start):
            thing, is_of_parts = thing_of(plain_key(each)), counts_parts(plain_key(each))
            if thing in ("record", "item") if box not in STATISTICS else thing is None and not is_of_parts:
                counts[index] = (f"{each} of {box}", stated)

    def _note_sizes(self, record: Mapping[str, Any], sizes: Sequence[int | None]) -> None:
        """Note a size of all files together that is more than theirs. A smaller one may be that of compressed files.

        :param sizes: the sizes of all files in the object, where it lists them.
        """
        known = [each for each in sizes if each is not None]
        if known and len(known) == len(sizes):
            totals = ((each, integer(value)) for each, value in record.items() if is_total_of_sizes(plain_key(each)))
            self.larger_sizes += [each for each, total in totals if total is not None and total > sum(known)]

    def add_empty_list(self) -> None:
        """Add an empty list of files."""
        self.empty_lists += 1
        self.parts += 1


def _is_paged(record: Mapping[str, Any]) -> bool:
    """Whether an object is about pages: it has a page or a limit, or says that only a part of a total was returned."""
    numbers = {plain_key(key): number for key, value in record.items() if (number := integer(value)) is not None}
    returned = next((numbers[word] for word in _RETURNED if word in numbers), None)
    if returned is not None and any(word.startswith("total") and each > returned for word, each in numbers.items()):
        return True
    return any(kind_of(word) in _PAGES and number < 10**8 for word, number in numbers.items())


def named(files: list[FoundFile]) -> list[tuple[ResultFile, FoundFile]]:
    """Each file with its name at the destination.

    If two lists contain the same name, the keys above become folders in the names of all files.

    :raises UnsafeNameError: when a name cannot be used as a path, for example because it leaves the dataset's folder.
    """
    places: dict[str, tuple[str, ...]] = {}
    prefixed = any(places.setdefault(file.name, file.keys) != file.keys for file in files)
    return [(_result_file(file, prefixed), file) for file in files]


def _result_file(file: FoundFile, prefixed: bool) -> ResultFile:
    name = safe_path(below_keys(file) if prefixed else file.name)
    if file.content is not None:
        return ResultFile(name, "inline", len(file.content), file.content_type)
    return ResultFile(name, "url", file.bytes, file.content_type)


def below_keys(file: FoundFile) -> str:
    """The name of a file with the keys above it as folders."""
    return join("/".join(file.keys), file.name)


def join(folder: str, name: str) -> str:
    """`name` below `folder`. A name that already begins with `folder` is returned unchanged."""
    return name if not folder or name.startswith(f"{folder}/") else f"{folder}/{name}"
