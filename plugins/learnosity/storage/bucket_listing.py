"""Lists a bucket of S3, GCS or Azure, and takes nothing for a listing that is not a whole one.

obstore reads an error or a web page with status 200 as a folder without objects, and it refuses the whole folder when
one name in it is none that it can open. So the pages are asked for and read here, with the signature, the proxy and
the certificate authorities of the store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from pyreqwest.client import Client
from pyreqwest.exceptions import PyreqwestError

from learnosity.egress import proxy_of
from learnosity.errors import LearnosityError, UnreadableNameError
from learnosity.network import IDLE_SECONDS
from learnosity.storage.errors import odd_reply, refusal_of, storage_error
from learnosity.storage.listing_page import OddPageError, Page, PageReader
from learnosity.storage.store import ObjectInfo
from learnosity.storage.store_client import patiently, replied, store_client, words

if TYPE_CHECKING:
    from obstore.store import ClientConfig

# At most this many bytes of one page of a listing are read. Even the largest page of a store is shorter: it has 5,000
# objects with the longest names. A longer page is cut off here, so it counts as damaged.
MAX_PAGE_BYTES = 64 * 1024 * 1024


class ListingRequests(Protocol):
    """Makes the requests of one kind of store."""

    async def listing(self, below: str, token: str, *, folders: bool) -> tuple[str, Mapping[str, str]]:
        """The URL and the headers of the request for a page.

        :param below: prefix of the keys.
        :param token: of the page before; "" = the first page.
        :param folders: whether folders are listed, and not what is in them.
        """


class BucketListing:
    """The listing of a prefix.

    :param requests: makes the requests.
    :param read: reads the replies.
    :param prefix: of the store, without slashes at both ends.
    :param uri: the prefix, for messages.
    :param client: the options of the store's HTTP client.
    :param attempts: how often a page is asked for.
    """

    def __init__(
        self, requests: ListingRequests, read: PageReader, prefix: str, uri: str, client: ClientConfig, attempts: int
    ) -> None:
        self._requests = requests
        self._read = read
        self._prefix = f"{prefix}/" if prefix else ""
        self._uri = uri.rstrip("/")
        self._options = client
        self._attempts = attempts
        self._client: Client | None = None

    async def objects(self, folder: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        """All objects below a folder ("" = all), under their own names. The path of a folder marker ends with a slash.

        :raises StorageError: the store refuses, or does not reply as such a store does.
        :raises TransientStorageError: the store cannot be reached for now, or a reply was not whole.
        """
        async for page in self._pages(folder, folders=False):
            if page.objects:
                yield page.objects

    async def folders(self, folder: str) -> Sequence[str]:
        """Names of the folders directly below a folder. Raises the errors of `objects`."""
        found = [path async for page in self._pages(folder, folders=True) for path in page.folders]
        return [path.removesuffix("/").rpartition("/")[2] for path in found]

    async def _pages(self, folder: str, *, folders: bool) -> AsyncIterator[Page]:
        where = f"{self._uri}/{folder}" if folder else self._uri
        below = f"{self._prefix}{folder}/" if folder else self._prefix
        token, asked = "", set[str]()
        while True:
            page = await self._patiently(where, below, token, folders=folders)
            yield page
            if not page.token:
                return
            if page.token in asked:
                raise odd_reply("list", where, "it is a page that came before")
            asked.add(token := page.token)

    async def _patiently(self, where: str, below: str, token: str, *, folders: bool) -> Page:
        return await patiently(self._attempts, lambda: self._page(where, below, token, folders))

    async def _page(self, where: str, below: str, token: str, folders: bool) -> Page:
        url, headers = await self._requests.listing(below, token, folders=folders)
        try:
            status, body = await self._get(url, headers)
        except (PyreqwestError, TimeoutError) as error:
            raise storage_error("list", where, OSError(words(error)), proxy_of(self._options, url)) from None
        if status != 200:
            raise refusal_of("list", where, status, body)
        try:
            page = self._read(body, below, len(self._prefix))
            if folders:
                _check_level(page, len(below) - len(self._prefix))
            return page
        except OddPageError as error:
            raise odd_page(where, error, body) from None

    async def _get(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self._client = self._client or store_client(self._options, read_timeout=IDLE_SECONDS)
        return await replied(self._client.get(url).headers(headers), MAX_PAGE_BYTES)


def _check_level(page: Page, skip: int) -> None:
    """Check that a listing of folders tells each folder of the asked level, and nothing that is deeper.

    A server that does not know `delimiter` lists all objects and no folder, as if there were none.

    :param skip: how many characters of a path are those of the asked folder.
    :raises OddPageError: it tells something else. An object with one slash, at its end, may be a folder marker.
    """
    if any("/" in info.path[skip:-1] for info in page.objects):
        raise OddPageError("it has an object of a deeper folder, as if folders had not been asked for")
    if any(not path[skip:] or "/" in path[skip:-1] for path in page.folders):
        raise OddPageError("it has a folder that is not directly below the prefix")


def odd_page(where: str, error: OddPageError, body: bytes) -> LearnosityError:
    """A reply that is not a whole page of a listing, as an error of this package."""
    if error.refused:
        return refusal_of("list", where, 200, body)
    if error.unreadable:
        return UnreadableNameError(f"Could not list {where}: {error}. Rename or remove that object.")
    return odd_reply("list", where, str(error), transient=error.transient)


def listing_url(bucket_url: str, values: Mapping[str, str]) -> str:
    """The URL of a listing, with all its values in the order of their names, as a signature wants them."""
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(values.items()))
    return f"{bucket_url}?{query}"


def s3_values(below: str, token: str, *, folders: bool) -> dict[str, str]:
    """What the query of a listing has on S3, and on GCS."""
    values = {"list-type": "2", "prefix": below}
    if token:
        values["continuation-token"] = token
    if folders:
        values["delimiter"] = "/"
    return values
