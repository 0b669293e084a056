"""Counts the groups of an input, and users in no group or in several. Warns about group names that look wrong.

Memory is bounded: of each group, only hashes and counts are kept. Nothing here is an error, and no message has a name.
"""

from __future__ import annotations

import logging
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import UnsetType

from learnosity.dataset.file_names import MAX_SEGMENT_BYTES
from learnosity.dataset.input_info import LevelInfo
from learnosity.errors import InputProblem

MAX_GROUPS: Final = 250_000
"""Maximum number of groups, of all levels together, that are surveyed. This many take at most about 60 MB."""
KEPT: Final = 10
"""How many warnings are kept. The others are counted."""

# Unicode categories of control characters and invisible characters. A group name with such a character gets a warning.
_UNSEEN: Final = ("Cc", "Cf", "Cs", "Zl", "Zp")
# These two characters are in a category of `_UNSEEN`. But a name with one of them gets no warning, because words in
# Persian and in Indian scripts contain them.
_JOINERS: Final = "\u200c\u200d"
# What pandas and databases write as text for a missing value. A group with such a name gets a warning.
_NO_VALUE: Final = frozenset(("None", "nan", "NaN", "NaT", "<NA>", "NULL", "null"))
# The place of a name is kept in one integer, which needs less memory than two: the lowest 40 bits are the number of its
# line or row, and the bits above are the index of its file in `GroupSurvey._files`.
_ROW_BITS: Final = 40


log = logging.getLogger(__name__)

Name = str | UnsetType
"""Name of a group; UNSET = there is none."""


class GroupSurvey:
    """Counts the groups of each level, and checks each new name.

    :param keys: keys of the levels, top level first.
    :param most: see `MAX_GROUPS`.
    """

    def __init__(self, keys: Sequence[str], *, most: int = MAX_GROUPS) -> None:
        self._levels = [_Level(key) for key in keys]
        self._left = most
        self._files: list[str] = []
        self.warnings: list[InputProblem] = []
        """The first `KEPT` warnings."""
        self.odd_names = 0
        """How many names were warned about."""

    @property
    def is_whole(self) -> bool:
        """Whether all groups were surveyed."""
        return self._left >= 0

    def add(
        self,
        file: str,
        numbers: Sequence[int],
        columns: Sequence[Sequence[Name]],
        *,
        labels: Sequence[str] = (),
        users: bool = True,
    ) -> None:
        """Add the groups of some records.

        :param file: name of their file.
        :param numbers: line or row of each record.
        :param columns: for each level, the group of each record; UNSET = it has none.
        :param labels: how the levels are named in the file; default: their keys.
        :param users: whether each record is a user; default True. If not, groups are looked at, and not counted.
        """
        if not columns:
            return
        deepest = self._levels[-1]
        fresh: set[tuple[Name, ...]] = set()
        for path, count in Counter(zip(*columns, strict=True)).items():
            slot = deepest.slots.get(hash(path))
            if slot is None:
                slot = self._new_group(path)
                fresh.add(path)
            if users and slot is not None:
                deepest.users[slot] += count
        if fresh:
            self._look_at(fresh, file, numbers, columns, labels)

    def levels(self, users: int, in_several: Iterable[Iterable[int]] = ()) -> tuple[LevelInfo, ...]:
        """The counts of each level. Call it once, after all records were added.

        :param users: how many different users there are.
        :param in_several: for each user with several records, the hashes of the groups of all of them, top level first.
        """
        for above, level in reversed(list(zip(self._levels, self._levels[1:], strict=False))):
            for parent, count in zip(level.parents, level.users, strict=True):
                above.users[parent] += count
        for paths in in_several if self.is_whole else ():
            self._count_once([self._levels[-1].slots[path] for path in paths])
        return tuple(level.info(users) for level in self._levels)

    def _count_once(self, slots: Sequence[int]) -> None:
        """Correct the counts of one user, who was counted for each of its records.

        :param slots: the group of the lowest level of each record.
        """
        for level in reversed(self._levels):
            groups = Counter(slots)
            for slot, count in groups.items():
                level.users[slot] -= count - 1
            if (of_names := len(groups.keys() - level.nameless)) > 1:
                level.in_several += 1
                level.too_many += of_names - 1
            slots = [level.parents[slot] for slot in slots]

    def _new_group(self, path: tuple[Name, ...]) -> int | None:
        """Add a group, and those above it that are new. Returns its slot; None = there are too many groups."""
        slot: int | None = 0
        for depth, level in enumerate(self._levels, 1):
            parent, key = slot, hash(path[:depth])
            slot = level.slots.get(key)
            if slot is None:
                if self._left <= 0:
                    self._left = -1
                    return None
                self._left -= 1
                slot = level.slots[key] = len(level.users)
                level.users.append(0)
                level.parents.append(parent or 0)
                if not path[depth - 1]:
                    level.nameless.add(slot)
        return slot

    def _look_at(
        self,
        fresh: set[tuple[Name, ...]],
        file: str,
        numbers: Sequence[int],
        columns: Sequence[Sequence[Name]],
        labels: Sequence[str],
    ) -> None:
        """Check the names of new groups, each where it occurs first."""
        for number, path in zip(numbers, zip(*columns, strict=True), strict=True):
            if path not in fresh:
                continue
            fresh.remove(path)
            for depth, level in enumerate(self._levels):
                slot = level.slots.get(hash(path[: depth + 1]))
                if slot is None or slot < level.looked_at:
                    continue
                level.looked_at = slot + 1
                if not isinstance(name := path[depth], str) or not name:
                    continue
                above = level.parents[slot]
                label = labels[depth] if labels else level.key
                found = list(_oddities(name))
                look = hash((above, _folded(name)))
                if (earlier := level.looks.get(look)) is None:
                    level.looks[look] = self._place(file, number)
                else:
                    where = self._text(earlier, file)
                    found.append(f"differs from the one in {where} in case, blanks or Unicode form alone")
                if found:
                    self._warn(InputProblem(file, number, f'the group of "{label}" {" and ".join(found)}'))
            if not fresh:
                return

    def _place(self, file: str, number: int) -> int:
        if not self._files or self._files[-1] != file:
            self._files.append(file)
        return (len(self._files) - 1 << _ROW_BITS) + number

    def _text(self, place: int, file: str) -> str:
        """The place of a name for a message about `file`: its line, or the other file and its line."""
        found, number = self._files[place >> _ROW_BITS], place % (1 << _ROW_BITS)
        return f"line {number}" if found == file else f"{found}:{number}"

    def _warn(self, warning: InputProblem) -> None:
        self.odd_names += 1
        if len(self.warnings) < KEPT:
            self.warnings.append(warning)


def log_warnings(survey: GroupSurvey) -> None:
    """Log the names that look wrong, each by its place."""
    if survey.odd_names:
        kept = f" The first {KEPT}:" if survey.odd_names > KEPT else ""
        lines = [f"{survey.odd_names:,} group name(s) look wrong; they are sent as they are.{kept}", *survey.warnings]
        log.warning("%s", "\n  ".join(map(str, lines)))


def finished_levels(survey: GroupSurvey, users: int, in_several: Iterable[Iterable[int]] = ()) -> tuple[LevelInfo, ...]:
    """The groups of each level, which are also logged. Empty = there are none, or too many to count. Call it once.

    Parameters as for `GroupSurvey.levels`.
    """
    levels = survey.levels(users, in_several)
    if not survey.is_whole:
        log.warning("The input has more than %s groups: they are not counted, and not all are checked.", MAX_GROUPS)
        return ()
    if levels:
        said = "; ".join(
            f'"{level.key}" has {level.groups:,}'
            + (f", {level.single_user_groups:,} of them with one user" if level.single_user_groups else "")
            for level in levels
        )
        log.info("Groups: %s. %s users.", said, f"{users:,}")
        for level in levels:
            if level.users_without_group:
                log.warning(
                    '%s user(s) are in no group of the level "%s". They are sent without a group there, so at '
                    "most the groups above it count them.", f"{level.users_without_group:,}", level.key,
                )  # fmt: skip
            if level.users_in_several_groups:
                log.warning(
                    '%s user(s) are in several groups of the level "%s". They are sent once for each group, '
                    "and are counted in each.", f"{level.users_in_several_groups:,}", level.key,
                )  # fmt: skip
    return levels


class _Level:
    """The groups of one level."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.slots: dict[int, int] = {}
        """The number of each group, by the hash of its path."""
        self.parents = array("q")
        """For each group, the number of the group above it."""
        self.users = array("q")
        """For each group, the number of its users."""
        self.looks: dict[int, int] = {}
        """Where each name was found first, by the hash of what it looks like."""
        self.looked_at = 0
        """How many groups have had their name checked."""
        self.nameless: set[int] = set()
        """Numbers in `slots` that are no groups: they count the users without a group of this level."""
        self.in_several = 0
        """How many users are in several groups."""
        self.too_many = 0
        """How many times too often these users are counted, over all groups."""

    def info(self, users: int) -> LevelInfo:
        """The counts of this level."""
        nameless = [self.users[slot] for slot in self.nameless]
        members = sum(self.users) - sum(nameless) - self.too_many
        return LevelInfo(
            self.key,
            len(self.users) - len(nameless),
            members,
            self.users.count(1) - nameless.count(1),
            users_without_group=users - members,
            users_in_several_groups=self.in_several,
        )


def _oddities(name: str) -> Iterator[str]:
    """What looks wrong about a group name, such as a blank at its end."""
    if name != name.strip():
        yield "begins or ends with a blank"
    if not name.isprintable() and any(
        unicodedata.category(char) in _UNSEEN and char not in _JOINERS for char in name.strip()
    ):
        yield "holds a control character or one that is not seen"
    if name.strip() in (".", "..") or "\\" in name:
        yield "is . or .. or holds a backslash, which no file name may"
    if name in _NO_VALUE:
        yield "is a word for no value: leave the cell empty"
    if len(name) * 4 > MAX_SEGMENT_BYTES and len(name.encode(errors="replace")) > MAX_SEGMENT_BYTES:
        yield f"is longer than {MAX_SEGMENT_BYTES} bytes"


def _folded(name: str) -> str:
    """A name without case, Unicode form, blanks and invisible characters. Names that look the same give the same."""
    if not name.isascii():
        name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    if not name.isprintable():
        name = "".join(char for char in name if char.isspace() or unicodedata.category(char) not in _UNSEEN)
    return " ".join(name.casefold().split())
