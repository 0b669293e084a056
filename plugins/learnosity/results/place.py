"""The place of a value in a reply, and the folder that follows from the place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from learnosity.results.addresses import holds_address
from learnosity.results.findings import join
from learnosity.results.known_keys import (
    FOLDER_KEYS,
    GROUPS_ABOVE,
    LISTING_KEYS,
    STRUCTURE_KEYS,
    TREE_KEYS,
    looks_like_a_file,
    plain_key,
)


class Place(NamedTuple):
    """The place of a value in the reply."""

    key: str = ""
    """The plain key above the value."""
    folder: str = ""
    """The folder that objects above the value give."""
    keys: tuple[str, ...] = ()
    """Keys above the value that are names of folders. Each key in `STRUCTURE_KEYS` empties this list."""
    all_keys: tuple[str, ...] = ()
    """All keys above the value that are not in `STRUCTURE_KEYS`."""
    listed: bool = False
    """Whether the value is an entry of a list."""
    within: bool = False
    """Whether the value is somewhere in an entry of a list, or in a map under a key for lists."""

    @property
    def is_above(self) -> bool:
        """Whether the value is about groups above the group that the reply is about."""
        return any(GROUPS_ABOVE.fullmatch(plain_key(key)) for key in self.all_keys)

    def below(self, key: str) -> Place:
        """The place of the value under `key`."""
        word = plain_key(key)
        if word in STRUCTURE_KEYS:
            return Place(word, self.folder, (), self.all_keys, within=self.within or self.listed)
        within = self.within or self.listed or self.key in LISTING_KEYS
        return Place(word, self.folder, (*self.keys, key), (*self.all_keys, key), within=within)


def folder_of(words: Mapping[str, Any], place: Place) -> str:
    """The folder for the files in an object: the folder that the object names, below the folder of `place`."""
    stated = [words.get(key) for key in FOLDER_KEYS]
    if place.listed or not TREE_KEYS.isdisjoint(words):
        names = (words.get("path"), words.get("name"))
        stated += [each for each in names if isinstance(each, str) and not looks_like_a_file(each)]
    own = next((each.strip("/") for each in stated if isinstance(each, str) and each and not holds_address(each)), "")
    return join(place.folder, own) if own else place.folder
