"""The current signed URL, or the content, of each result file.

Signed URLs are only in memory, and they expire. A download whose URL has expired asks for a new URL here. The listing
is then fetched once for all downloads that need a new URL.
"""

from __future__ import annotations

import asyncio

from learnosity.errors import IncompleteDatasetError
from learnosity.landing.listing import Listing, ResultSet
from learnosity.results.outcomes import ResultFile


class FileUrls:
    """The current signed URLs and contents of the files in `wanted`.

    :param wanted: paths of the files to land. Other files of the listing are not kept.
    """

    def __init__(self, results: ResultSet, wanted: set[str]) -> None:
        self._results = results
        self._wanted = wanted
        self._listing = Listing()
        self._lock = asyncio.Lock()

    async def refresh(self, stale: str | None = None) -> None:
        """Fetch the listing again, unless another download has already done so.

        :param stale: path whose URL is needed. If it already has a URL again, nothing is fetched. None = always fetch.
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
        """Forget all URLs, if `url` is still the URL of `path`. All URLs are equally old, so they expire together."""
        if self._listing.urls.get(path) == url:
            self._listing.urls.clear()

    async def url(self, path: str) -> str:
        """A signed URL for `path`.

        :raises IncompleteDatasetError: when the dataset does not contain the file any more.
        """
        if path not in self._listing.urls:
            await self.refresh(path)
        try:
            return self._listing.urls[path]
        except KeyError:
            raise _vanished(path) from None

    async def content(self, file: ResultFile) -> bytes:
        """The content of a file that is inside an API reply."""
        if file.kind == "group":
            return await self._results.group_content(file.group_path)
        try:
            return self._listing.inline[file.path]
        except KeyError:
            raise _vanished(file.path) from None


def _vanished(path: str) -> IncompleteDatasetError:
    return IncompleteDatasetError(
        f"{path!a} was listed, but is not in the dataset any more: it changed while it was landed. Clear "
        "list_files with its downstream tasks to land it as it is now."
    )
