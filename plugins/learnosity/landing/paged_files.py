"""The files of all pages of a listing. Their names do not depend on where a page ends.

If two lists have the same file name, the keys above the lists become folders in the names of all files. A page
alone may not show that. So both names of each file are kept until the last page has been read.
"""

from __future__ import annotations

from msgspec.structs import replace

from learnosity.dataset.file_names import safe_path
from learnosity.errors import UnexpectedReplyError
from learnosity.landing.listed_files import Listing
from learnosity.results.outcomes import Files


class PagedFiles:
    """The files of the pages that were read so far."""

    def __init__(self) -> None:
        self._plain = Listing()
        self._below: Listing | None = None
        """The same files with the keys above them as folders. None = no file has keys above it."""

    def __len__(self) -> int:
        return len(self._plain)

    def add(self, page: Files) -> None:
        """Add the files of a page.

        :raises UnexpectedReplyError: a later page has a file again. Its server may ignore the cursor and send the same
            page again and again. `make_plan` would refuse such a listing, but only after its last page.
        """
        is_later, repeated = len(self) > 0, self._repeated
        if page.names and self._below is None:
            self._below = self._copy()
        names = page.names or [(file.path, file.path) for file, _ in page.files]
        for (file, url), (plain, below) in zip(page.files, names, strict=True):
            self._plain.add(replace(file, path=plain), url=url)
            if self._below is not None:
                self._below.add(replace(file, path=below), url=url)
        if is_later and self._repeated > repeated:
            raise UnexpectedReplyError(
                f"A later page of the listing has a file again, {self._plain.duplicates[-1][:80]!a}. Learnosity may "
                "have ignored `next`, and the pages would never end. Nothing was landed. If it is another file of the "
                "same name, declare what tells the two apart as `name` in the extra `results` of the connection, such "
                "as join('.', [name, format]), then clear list_files."
            )

    @property
    def _repeated(self) -> int:
        """How many files have a name that was listed before, whichever names the files get in the end."""
        return min(len(listing.duplicates) for listing in (self._plain, self._below) if listing is not None)

    def listing(self) -> Listing:
        """All files.

        :raises UnsafeNameError: a key has to become a folder, and cannot be part of a path.
        """
        if self._below is None or len(self._below.duplicates) >= len(self._plain.duplicates):
            return self._plain
        for name in self._below.each_name():
            safe_path(name)
        return self._below

    def _copy(self) -> Listing:
        copy, urls = Listing(), self._plain.urls
        for _, file in self._plain.by_path():
            copy.add(file, url=urls[file.path])
        copy.duplicates += self._plain.duplicates
        return copy
