"""Removes objects from a bucket of S3, GCS or Azure, and takes nothing for a removal that does not say so.

obstore takes a key that S3's reply to a bulk delete leaves out for removed, and so it takes any reply of success to a
DELETE, such as a login page. A manifest that stays where it was removed names files that are being replaced. So these
requests are made, and their replies read, here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from pyreqwest.client import Client
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.request import RequestBuilder

from learnosity.egress import proxy_of
from learnosity.network import IDLE_SECONDS
from learnosity.storage.error_codes import REQUEST, Verdict, judge
from learnosity.storage.errors import check_missing, code_of, odd_reply, refusal, refusal_of, storage_error
from learnosity.storage.listing_page import OddPageError, s3_deleted
from learnosity.storage.store_client import patiently, replied, store_client, words

if TYPE_CHECKING:
    from obstore.store import ClientConfig

log = logging.getLogger(__name__)

T = TypeVar("T")

BATCH = 1000  # maximum number of keys in one delete request of S3
AT_ONCE = 10  # maximum number of requests at the same time, if each request deletes one object
# At most this many bytes of the reply to a delete request are read. Even a reply about 1,000 objects with the longest
# names is shorter. A longer reply is cut off here, so it counts as damaged.
MAX_REPLY_BYTES = 8 * 1024 * 1024


class DeletionRequests(Protocol):
    """Makes the requests of one kind of store."""

    async def deletion(self, key: str) -> tuple[str, Mapping[str, str]]:
        """The URL and the headers of the request (DELETE) that removes one object."""


class BulkRequests(DeletionRequests, Protocol):
    """The same for a store that can remove many objects in one request."""

    async def deletions(self, keys: Sequence[str]) -> tuple[str, Mapping[str, str], bytes]:
        """The URL, the headers and the body of the request (POST) that removes objects."""


class _NotKnownError(Exception):
    """The store knows no request for many objects."""


class BucketDeletes:
    """Removes objects below a prefix. What is not there counts as removed.

    :param requests: makes the requests.
    :param prefix: of the store, without slashes at both ends.
    :param uri: the prefix, for messages.
    :param client: the options of the store's HTTP client.
    :param attempts: how often a request is sent.
    :param done: the HTTP status that says that one object is removed. Some servers have 200 without a body instead.
    :param bulk: the same as `requests`, where the store removes many objects in one request; None = it does not.
    """

    def __init__(
        self,
        requests: DeletionRequests,
        prefix: str,
        uri: str,
        client: ClientConfig,
        attempts: int,
        *,
        done: int = 204,
        bulk: BulkRequests | None = None,
    ) -> None:
        self._requests = requests
        self._prefix = f"{prefix}/" if prefix else ""
        self._uri = uri.rstrip("/")
        self._options = client
        self._attempts = attempts
        self._done = done
        self._bulk = bulk
        self._client: Client | None = None

    async def delete(self, paths: Sequence[str]) -> None:
        """Remove objects.

        :raises StorageError: the store refuses, or does not reply as such a store does.
        :raises TransientStorageError: the store cannot be reached for now.
        """
        for start in range(0, len(paths), BATCH):
            left = await self._many(paths[start : start + BATCH])
            for first in range(0, len(left), AT_ONCE):
                await asyncio.gather(*(self._one(path) for path in left[first : first + AT_ONCE]))

    async def _many(self, paths: Sequence[str]) -> Sequence[str]:
        """Remove objects in one request, and return those that have to be removed one by one."""
        if (bulk := self._bulk) is None:
            return paths
        try:
            left = await self._patiently(lambda: self._batch(bulk, paths))
        except _NotKnownError:
            self._bulk = None
            log.warning("%s deletes no more than one object per request.", self._uri)
            return paths
        if left:
            log.warning(
                "%s does not say that it has deleted %d object(s). They are deleted one by one.", self._uri, len(left)
            )
        return left

    async def _batch(self, bulk: BulkRequests, paths: Sequence[str]) -> Sequence[str]:
        where = f"{self._uri}/{paths[0]}"
        url, headers, body = await bulk.deletions([self._prefix + path for path in paths])
        status, content = await self._sent(
            where, url, lambda client: client.post(url).headers(headers).body_bytes(body)
        )
        code = code_of(content.decode(errors="replace"))
        # A server that does not know the bulk delete may say that the request is malformed. Its error code is S3's
        # `InvalidRequest` (`judge` returns `REQUEST`), or one that `judge` does not know (it returns `judge(400)`).
        # After such a reply, the caller deletes the objects one by one. If something else is wrong, these requests
        # fail, too, and show what it is.
        is_malformed = status >= 400 and judge(status, code) in (judge(400), REQUEST)
        if status in (405, 501) or code == "NotImplemented" or is_malformed:
            raise _NotKnownError
        if status != 200:
            raise refusal_of("delete", where, status, content)
        if not content.strip():
            return paths  # an empty reply confirms no deletion, so each object is deleted in a request of its own
        try:
            gone, refused = s3_deleted(content)
        except OddPageError as error:
            if error.refused:
                raise refusal_of("delete", where, 200, content) from None
            raise odd_reply("delete", where, str(error), transient=error.transient) from None
        for key, code, message in refused:
            if (meaning := judge(0, code)) == judge(0):
                # The error code is not known, so this object does not count as gone, and is deleted again in a request
                # of its own. If this request fails, too, the HTTP status of its reply says what is wrong.
                continue
            if meaning.verdict is not Verdict.MISSING:
                raise refusal("delete", f"{self._uri}/{key.removeprefix(self._prefix)}", 0, code, message)
            gone.add(key)
        return [path for path in paths if self._prefix + path not in gone]

    async def _one(self, path: str) -> None:
        await self._patiently(lambda: self._single(path))

    async def _single(self, path: str) -> None:
        where = f"{self._uri}/{path}"
        url, headers = await self._requests.deletion(self._prefix + path)
        status, content = await self._sent(where, url, lambda client: client.delete(url).headers(headers))
        if status in (self._done, 200) and not content:
            return
        if 200 <= status < 300:
            raise odd_reply("delete", where, f"it has status {status}{' and a body' if content else ''}")
        text = content.decode(errors="replace")
        if judge(status, code_of(text)).verdict is not Verdict.MISSING:
            raise refusal_of("delete", where, status, content)
        check_missing("delete", where, text)

    async def _sent(self, where: str, url: str, made: Callable[[Client], RequestBuilder]) -> tuple[int, bytes]:
        self._client = self._client or store_client(self._options, read_timeout=IDLE_SECONDS)
        try:
            return await replied(made(self._client), MAX_REPLY_BYTES)
        except (PyreqwestError, TimeoutError) as error:
            raise storage_error("delete", where, OSError(words(error)), proxy_of(self._options, url)) from None

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        return await patiently(self._attempts, call)
