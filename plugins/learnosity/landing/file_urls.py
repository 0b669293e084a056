"""Where the content of each result file is to be had right now.

Signed URLs live in memory only, and run out: whoever finds one that did not work asks here again, and the listing is
fetched once for all who need it.
"""

from __future__ import annotations

import asyncio

from learnosity.errors import IncompleteDatasetError
from learnosity.landing.listing import Listing, ResultSet
from learnosity.results.outcomes import ResultFile


class FileUrls:
    """Where each file's content is to be had now; asks again when a URL has run out, once for all who need it.

    :param wanted: paths of interest; nothing is kept of the others.
    """

    def __init__(self, results: ResultSet, wanted: set[str]) -> None:
        self._results = results
        self._wanted = wanted
        self._listing = Listing()
        self._lock = asyncio.Lock()

    async def refresh(self, stale: str | None = None) -> None:
        """Ask for the listing again, unless somebody has since `stale` was current.

        :param stale: path whose URL did not work, together with the URL in `url_of` at that time.
        """
        async with self._lock:
            if stale is not None and stale in self._listing.urls:
                return
            listing = await self._results.list()
            for path in [path for path in listing.files if path not in self._wanted]:
                del listing.files[path]
                listing.urls.pop(path, None)
                listing.inline.pop(path, None)
            self._listing = listing

    def expire(self, path: str, url: str) -> None:
        """Forget every URL when `path` still has the one that did not work: its neighbours are as old."""
        if self._listing.urls.get(path) == url:
            self._listing.urls.clear()

    async def url(self, path: str) -> str:
        """A signed URL for `path`.

        :raises IncompleteDatasetError: when the dataset does not hold it any more.
        """
        if path not in self._listing.urls:
            await self.refresh(path)
        try:
            return self._listing.urls[path]
        except KeyError:
            raise _vanished(path) from None

    async def content(self, file: ResultFile) -> bytes:
        """Content of a file that comes with an API reply."""
        if file.kind == "group":
            return await self._results.group_content(file.group_path)
        try:
            return self._listing.inline[file.path]
        except KeyError:
            raise _vanished(file.path) from None


def _vanished(path: str) -> IncompleteDatasetError:
    return IncompleteDatasetError(
        f"{path!a} was listed, but the dataset does not hold it any more: it changed while it was landed. Clear "
        "list_files with its downstream tasks to land it as it is now."
    )
