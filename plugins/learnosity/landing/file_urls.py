"""The current signed URL, or the content, of each result file.

The task that made the plan may have stored them beside the plan (see `stored_urls`); these are used first. A download
whose URL has expired asks here for a new one. The listing is then fetched once for all downloads that need a new URL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from learnosity.errors import IncompleteDatasetError
from learnosity.landing.listing import Listing, ResultSet
from learnosity.landing.planned import Planned
from learnosity.results.outcomes import ResultFile


class FileUrls:
    """The current signed URLs and contents of the files of one shard.

    :param planned: the files that all shards land; default: not known. Then no listing is compared with them.
    """

    def __init__(self, results: ResultSet, planned: Planned | None = None) -> None:
        self._results = results
        self._planned = planned
        self._handed_urls: dict[str, str] = {}
        self._handed_contents: dict[str, bytes] = {}
        self._handed_later: dict[str, Callable[[], Awaitable[bytes | None]]] = {}
        self._have_expired = False
        """Whether a URL from `hand_over` has expired. All were signed at the same time, so no more are taken."""
        self._listing: Listing | None = None
        self._lock = asyncio.Lock()

    def hand_over(self, sources: Mapping[str, str | bytes]) -> None:
        """Take URLs and contents by path, which the task that made the plan has stored beside it."""
        for path, source in sources.items():
            if isinstance(source, bytes):
                self._handed_contents[path] = source
            elif not self._have_expired:
                self._handed_urls[path] = source

    def hand_over_later(self, path: str, read: Callable[[], Awaitable[bytes | None]]) -> None:
        """Take what reads one content that was stored beside the plan. It is called when the file lands.

        :param read: returns None if the content cannot be read.
        """
        self._handed_later[path] = read

    def forget(self, path: str) -> None:
        """Forget the URL or content of a file that has landed."""
        self._handed_urls.pop(path, None)
        self._handed_contents.pop(path, None)
        self._handed_later.pop(path, None)

    def expire(self, path: str, url: str) -> None:
        """Forget all URLs, if `url` is still the URL of `path`. All URLs are equally old, so they expire together."""
        if self._handed_urls.get(path) == url:
            self._handed_urls.clear()
            self._have_expired = True
        elif self._listing is not None and self._listing.urls.get(path) == url:
            self._listing = None

    async def url(self, path: str) -> str:
        """A signed URL for `path`.

        :raises IncompleteDatasetError: when the dataset does not contain the file any more, or contains other files.
        """
        if (handed := self._handed_urls.get(path)) is not None:
            return handed
        try:
            return (await self._listed()).urls[path]
        except KeyError:
            raise _vanished(path) from None

    async def content(self, file: ResultFile) -> bytes:
        """The content of a file that is inside an API reply."""
        if (handed := self._handed_contents.get(file.path)) is not None:
            return handed
        if (read := self._handed_later.get(file.path)) is not None and (content := await read()) is not None:
            return content
        if file.kind == "group":
            return await self._results.group_content(file.group_path)
        try:
            return (await self._listed()).contents[file.path]
        except KeyError:
            raise _vanished(file.path) from None

    async def _listed(self) -> Listing:
        """The listing. It is fetched again when its URLs have expired, once for all files.

        :raises IncompleteDatasetError: see `Planned.check`.
        """
        if self._listing is None:
            async with self._lock:
                if self._listing is None:
                    listing = await self._results.list()
                    if self._planned is not None:
                        # To check a long listing takes seconds. In a thread, it does not stop other downloads.
                        await asyncio.to_thread(self._planned.check, listing)
                    self._listing = listing
        return self._listing


def _vanished(path: str) -> IncompleteDatasetError:
    return IncompleteDatasetError(
        f"{path!a} was listed, but is not in the dataset any more: it changed while it was landed. Clear "
        "list_files with its downstream tasks to land it as it is now."
    )
