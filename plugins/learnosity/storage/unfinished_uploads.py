"""Removes the remains of killed writes from a store: parts of multipart uploads, and temporary files.

Readers do not see the remains, but they use space and cost money. obstore cannot list multipart uploads, and to make a
client of boto3 would take 0.3 s of processor time. So the requests to S3 are made here, as those of `bucket_deletes`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pyreqwest.client import Client
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.request import RequestBuilder

from learnosity.egress import proxy_of
from learnosity.errors import LearnosityError, StorageError, TransientStorageError
from learnosity.network import IDLE_SECONDS
from learnosity.storage.bucket_listing import odd_page
from learnosity.storage.errors import code_of, odd_reply, refusal_of, storage_error
from learnosity.storage.listing_page import OddPageError, UploadPage, UploadsMarker, s3_unfinished
from learnosity.storage.store import IsOwn, every_path
from learnosity.storage.store_client import patiently, replied, store_client, words

if TYPE_CHECKING:
    from obstore.store import ClientConfig

log = logging.getLogger(__name__)

Discard = Callable[[str, IsOwn], Awaitable[int]]
"""Removes all remains of own objects below a folder ("" = everywhere) and returns their number.

It raises `StorageError` where it cannot, and `TransientStorageError` where it cannot for now."""

# At most this many bytes of a reply are read, so that a wrong reply cannot fill the memory. A right reply is shorter:
# it lists at most 1,000 uploads. A longer reply is cut off here, so it counts as damaged.
MAX_PAGE_BYTES = 8 * 1024 * 1024

# The names of obstore's temporary files end with `#` and a number, such as `a.json#1`. Landing never gives a file in a
# local folder such a name: it refuses a result file with one. So such a file is left from a killed write, and is
# removed.
_STAGED = re.compile(r"#\d+$")
# A request that fails is sent again until this time has passed since its first attempt. A server can restart within
# this time. It is worth the wait: if the request fails in the end, the uploads stay. No later task of the run removes
# them, and the DAG `learnosity_retention` removes them only if it is configured.
PATIENCE_SECONDS = 30.0


class UploadRequests(Protocol):
    """Makes the requests of S3."""

    async def uploads(self, below: str, after: UploadsMarker | None) -> tuple[str, Mapping[str, str]]:
        """The URL and the headers of the request (GET) for a page of the unfinished uploads.

        :param below: prefix of the keys.
        :param after: where the page before ended; None = the first page.
        """

    async def upload_removal(self, key: str, upload_id: str) -> tuple[str, Mapping[str, str]]:
        """The URL and the headers of the request (DELETE) that removes an upload and its parts."""


class UnfinishedUploads:
    """The unfinished multipart uploads below a prefix of a bucket. Its `discard` is a `Discard`.

    :param requests: makes the requests.
    :param prefix: of the store, without slashes at both ends.
    :param uri: the prefix, for messages.
    :param client: the options of the store's HTTP client.
    :param attempts: how often a request is sent.
    """

    def __init__(self, requests: UploadRequests, prefix: str, uri: str, client: ClientConfig, attempts: int) -> None:
        self._requests = requests
        self._prefix = prefix
        self._uri = uri.rstrip("/")
        self._options = client
        self._attempts = attempts
        self._client: Client | None = None

    async def discard(self, folder: str, is_own: IsOwn = every_path) -> int:
        """Remove all of own objects below a folder ("" = everywhere), and return their number.

        :raises StorageError: the store refuses, or does not reply as S3 does.
        :raises TransientStorageError: the store fails for now, or cannot be reached.
        """
        where = f"{self._uri}/{folder}" if folder else self._uri
        below = "/".join(part for part in (self._prefix, folder) if part)
        found = 0
        try:
            async for page in self._pages(where, f"{below}/" if below else ""):
                for upload in page.uploads:
                    if not is_own(upload.key.removeprefix(f"{self._prefix}/" if self._prefix else "")):
                        continue
                    if _cannot_be_asked_for(upload.key):
                        log.warning("The unfinished upload of %a in %s stays: its name has no URL.", upload.key, where)
                        continue
                    await patiently(self._attempts, partial(self._abort, where, upload), PATIENCE_SECONDS)
                    found += 1
        except LearnosityError as error:
            kind = TransientStorageError if error.transient else StorageError
            given_up = kind(f"Could not give up unfinished uploads below {where}: {error}")
            given_up.wrong_region = getattr(error, "wrong_region", False)
            raise given_up from None
        return found

    async def _pages(self, where: str, below: str) -> AsyncIterator[UploadPage]:
        after: UploadsMarker | None = None
        asked = set[UploadsMarker]()
        while True:
            page = await patiently(self._attempts, partial(self._page, where, below, after), PATIENCE_SECONDS)
            yield page
            if (after := page.next) is None:
                return
            if after in asked:
                raise odd_reply("list", where, "it is a page that came before")
            asked.add(after)

    async def _page(self, where: str, below: str, after: UploadsMarker | None) -> UploadPage:
        url, headers = await self._requests.uploads(below, after)
        status, body = await self._sent("list", where, url, lambda client: client.get(url).headers(headers))
        if status != 200:
            raise refusal_of("list", where, status, body)
        try:
            return s3_unfinished(body, below)
        except OddPageError as error:
            raise odd_page(where, error, body) from None

    async def _abort(self, where: str, upload: UploadsMarker) -> None:
        url, headers = await self._requests.upload_removal(upload.key, upload.upload_id)
        status, body = await self._sent("delete", where, url, lambda client: client.delete(url).headers(headers))
        if 200 <= status < 300 and not body:
            return
        if 200 <= status < 300:
            raise odd_reply("delete", where, f"it has status {status} and a body")
        if code_of(body.decode(errors="replace")) != "NoSuchUpload":  # NoSuchUpload: the upload is gone already
            raise refusal_of("delete", where, status, body)

    async def _sent(
        self, verb: str, where: str, url: str, made: Callable[[Client], RequestBuilder]
    ) -> tuple[int, bytes]:
        self._client = self._client or store_client(self._options, read_timeout=IDLE_SECONDS)
        try:
            return await replied(made(self._client), MAX_PAGE_BYTES)
        except (PyreqwestError, TimeoutError) as error:
            raise storage_error(verb, where, OSError(words(error)), proxy_of(self._options, url)) from None


def _cannot_be_asked_for(key: str) -> bool:
    """Whether a request for a key would reach another key. Landing writes no such keys, but other programs may."""
    # The HTTP client resolves `.` and `..` in a path, as a file system does: the request would reach another key.
    # `\x7f` (DEL) may be in the key itself. But `listing_page` also puts it in the place of a character that XML
    # forbids. So the true key of such an upload is not known.
    return not {".", ".."}.isdisjoint(key.split("/")) or "\x7f" in key


def local_files(root: str) -> Discard:
    """Return a function that removes the temporary files of obstore's local store."""

    def discard(folder: str, is_own: IsOwn) -> int:
        found = 0
        try:
            for path in (Path(root) / folder).rglob("*#*"):
                written = _STAGED.sub("", path.relative_to(root).as_posix())
                if _STAGED.search(path.name) and is_own(written) and path.is_file():
                    path.unlink(missing_ok=True)
                    found += 1
        except OSError as error:
            raise storage_error("remove unfinished files below", f"{root}/{folder}", error, local=True) from None
        return found

    return lambda folder, is_own: asyncio.to_thread(discard, folder, is_own)
