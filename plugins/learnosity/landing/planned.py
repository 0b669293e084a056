"""Which files of a listing are landed, and whether a later listing has the same ones.

The tasks that land files may request the listing again, for new URLs. If the dataset has changed in between, the files
of both listings would be published as one dataset.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from fnmatch import translate

import msgspec

from learnosity.errors import IncompleteDatasetError
from learnosity.landing.listed_files import Listing
from learnosity.results.outcomes import ResultFile


class Planned(msgspec.Struct, frozen=True):
    """The files that all shards of a plan land together.

    :param include: globs for their paths.
    :param files: how many they are.
    :param names: see `NamesDigest`.
    """

    include: tuple[str, ...]
    files: int
    names: str

    def check(self, listing: Listing) -> None:
        """Compare a later listing with the plan.

        Files that `include` leaves out may be others.

        :raises IncompleteDatasetError: it has other files to land than the plan.
        """
        files, names = len(listing.duplicates), NamesDigest()
        for _, file in included(listing, self.include):
            files += 1
            names.add(file.path)
        if (files, names.digest()) != (self.files, self.names):
            raise IncompleteDatasetError(
                f"The dataset has other files than list_files has found ({files:,} now, {self.files:,} then): it "
                "changed while it was landed. Clear list_files with its downstream tasks to land it as it is now."
            )


class NamesDigest:
    """A digest of the paths of files, in their order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, path: str) -> None:
        """Add the next path."""
        self._digest.update(path.encode() + b"\0")

    def digest(self) -> str:
        """The digest of all paths, as hex."""
        return self._digest.hexdigest()


def included(listing: Listing, include: Sequence[str]) -> Iterator[tuple[int, ResultFile]]:
    """The files that match one of the globs, sorted by path, each with its number in the listing."""
    globs = [re.compile(translate(glob)).match for glob in include]
    for number, file in listing.by_path():
        if any(matches(file.path) for matches in globs):
            yield number, file
