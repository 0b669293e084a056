"""Where in a reply a value stands, and which folder that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from learnosity.results.addresses import holds_address
from learnosity.results.findings import join
from learnosity.results.words import FOLDER_KEYS, STRUCTURE_KEYS, TREE_KEYS, looks_like_a_file, plain_key


class Place(NamedTuple):
    """Where in the reply a value stands."""

    key: str = ""
    """The plain key above it."""
    folder: str = ""
    """The folder that objects above it state."""
    keys: tuple[str, ...] = ()
    """Keys above it that are folders of a tree: those since the last one that only wraps."""
    all_keys: tuple[str, ...] = ()
    """All keys above it that do not only wrap."""
    listed: bool = False
    """Whether it is an entry of a list."""

    def below(self, key: str) -> Place:
        """The place of what stands under `key` here."""
        word = plain_key(key)
        if word in STRUCTURE_KEYS:
            return Place(word, self.folder, (), self.all_keys)
        return Place(word, self.folder, (*self.keys, key), (*self.all_keys, key))


def folder_of(words: Mapping[str, Any], place: Place) -> str:
    """The folder of what stands in an object: the one that it states, below those above it."""
    stated = [words.get(key) for key in FOLDER_KEYS]
    if place.listed or not TREE_KEYS.isdisjoint(words):
        names = (words.get("path"), words.get("name"))
        stated += [each for each in names if isinstance(each, str) and not looks_like_a_file(each)]
    own = next((each.strip("/") for each in stated if isinstance(each, str) and each and not holds_address(each)), "")
    return join(place.folder, own) if own else place.folder
