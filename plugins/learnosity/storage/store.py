"""Object stores behind one small interface: what landing writes to and input is read from.

`ObstoreStore` serves S3, GCS, Azure and local files through the same code. Every write is atomic: a reader sees
the whole object or none. Errors come out as `StorageError` (change something) or `TransientStorageError` (wait),
never with an address's query or a credential in them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import obstore
from obstore import exceptions as obstore_errors
from obstore.store import ObjectStore

from learnosity.errors import StorageError, TransientStorageError
from learnosity.storage.abandoned import Discard
from learnosity.storage.parts import ALONE, Parts
from learnosity.storage.single_put import SinglePut

DELETE_BATCH = 1000
_DENIED = re.compile(r"\b(401 Unauthorized|403 Forbidden|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch)\b")
_EXPIRED = re.compile(r"\b(ExpiredToken|RequestExpired|TokenRefreshRequired)\b")
_NO_BUCKET = re.compile(r"\b(NoSuchBucket|ContainerNotFound|404 Not Found)\b")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One stored object: its path relative to the store's prefix, size in bytes, and entity tag."""

    path: str
    size: int
    etag: str | None


class Store(Protocol):
    """An object-storage prefix. Paths are relative to it, with `/` between parts."""

    @property
    def uri(self) -> str:
        """The prefix as a URI without credentials, for people to read."""

    @property
    def is_local(self) -> bool:
        """Whether names have to suit a file system."""

    async def put(self, path: str, content: bytes | memoryview, content_type: str | None = None) -> str | None:
        """Write one whole object; returns its entity tag where the store has them."""

    def takes_whole(self, size: int) -> bool:
        """Whether a stream of so many bytes goes best in one request now, not in parts."""

    async def put_stream(
        self,
        path: str,
        chunks: AsyncIterator[bytes | memoryview],
        content_type: str | None = None,
        parts: Parts = ALONE,
    ) -> str | None:
        """Write one object from a stream in bounded memory; an error in `chunks` leaves no object.

        :param parts: how a store that writes in parts cuts the stream, if it is to.
        :raises BrokenWriteError: one request for all of it broke; write it again, in parts.
        """

    async def get(self, path: str) -> bytes | None:
        """One whole object, None when it is not there."""

    async def head(self, path: str) -> ObjectInfo | None:
        """Size and entity tag, None when it is not there."""

    def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        """Objects below the folder `prefix` ("" = all), in batches, in no order."""

    async def delete(self, paths: Sequence[str]) -> None:
        """Remove objects; one that is not there is no error."""

    def read(self, path: str) -> Iterator[bytes]:
        """One object as a stream of chunks, for code outside an event loop."""

    async def discard_unfinished(self, prefix: str) -> int:
        """Remove what killed writes left below the folder `prefix`, where the store lets that be found.

        :returns: how many there were. A write that is under way there fails, as `TransientStorageError`.
        :raises StorageError: it is not allowed.
        """


class ObstoreStore:
    """A prefix in a store that obstore knows.

    :param store: the store, with the prefix applied.
    :param uri: the prefix for people to read.
    :param is_local: whether it is a file system.
    :param discard: removes what killed writes left (see `unfinished`); None where the store drops it by itself.
    :param single_put: writes streams of known size in one request; None where that is not possible or not safe.
    """

    def __init__(
        self,
        store: ObjectStore,
        uri: str,
        *,
        is_local: bool = False,
        discard: Discard | None = None,
        single_put: SinglePut | None = None,
    ) -> None:
        self._store = store
        self._uri = uri.rstrip("/")
        self._is_local = is_local
        self._discard = discard
        self._single_put = single_put

    @property
    def uri(self) -> str:
        """See `Store`."""
        return self._uri

    @property
    def is_local(self) -> bool:
        """See `Store`."""
        return self._is_local

    async def put(self, path: str, content: bytes | memoryview, content_type: str | None = None) -> str | None:
        """See `Store`."""
        with self._errors("write", path):
            result = await obstore.put_async(
                self._store, path, content, attributes=self._attributes(content_type), use_multipart=False
            )
        return result["e_tag"]

    def takes_whole(self, size: int) -> bool:
        """See `Store`."""
        return self._single_put is not None and self._single_put.takes(size)

    async def put_stream(
        self,
        path: str,
        chunks: AsyncIterator[bytes | memoryview],
        content_type: str | None = None,
        parts: Parts = ALONE,
    ) -> str | None:
        """See `Store`."""
        with self._errors("write", path):
            if parts.whole is not None and self._single_put is not None:
                return await self._single_put.put(path, chunks, parts.whole, content_type)
            result = await obstore.put_async(
                self._store,
                path,
                chunks,
                attributes=self._attributes(content_type),
                chunk_size=parts.bytes,
                max_concurrency=parts.in_flight,
            )
        return result["e_tag"]

    async def get(self, path: str) -> bytes | None:
        """See `Store`."""
        try:
            with self._errors("read", path):
                result = await obstore.get_async(self._store, path)
                return bytes(await result.bytes_async())
        except FileNotFoundError:
            return None

    async def head(self, path: str) -> ObjectInfo | None:
        """See `Store`."""
        try:
            with self._errors("look at", path):
                meta = await obstore.head_async(self._store, path)
        except FileNotFoundError:
            return None
        return ObjectInfo(meta["path"], meta["size"], meta["e_tag"])

    async def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        """See `Store`."""
        stream = obstore.list(self._store, prefix=prefix or None, chunk_size=1000)
        while True:
            try:
                with self._errors("list", prefix):
                    batch = await stream.__anext__()
            except (StopAsyncIteration, FileNotFoundError):
                return
            yield [ObjectInfo(meta["path"], meta["size"], meta["e_tag"]) for meta in batch]

    async def delete(self, paths: Sequence[str]) -> None:
        """See `Store`."""
        for start in range(0, len(paths), DELETE_BATCH):
            batch = list(paths[start : start + DELETE_BATCH])
            try:
                with self._errors("delete", batch[0]):
                    await obstore.delete_async(self._store, batch)
            except FileNotFoundError:
                # Another run has removed one already; a file system stops there, and leaves those that come after it.
                if len(batch) > 1:
                    for path in batch:
                        await self.delete([path])

    def read(self, path: str) -> Iterator[bytes]:
        """See `Store`."""
        try:
            with self._errors("read", path):
                for chunk in obstore.get(self._store, path).stream(min_chunk_size=1024 * 1024):
                    yield bytes(chunk)
        except FileNotFoundError:
            raise StorageError(f"{self._uri}/{path} does not exist.") from None

    async def discard_unfinished(self, prefix: str) -> int:
        """See `Store`."""
        return 0 if self._discard is None else await asyncio.to_thread(self._discard, prefix)

    def _attributes(self, content_type: str | None) -> obstore.Attributes | None:
        # A file system has nowhere to keep a content type.
        return {"Content-Type": content_type} if content_type and not self._is_local else None

    @contextmanager
    def _errors(self, verb: str, path: str) -> Iterator[None]:
        where = f"{self._uri}/{path}" if path else self._uri
        try:
            yield
        except (obstore_errors.NotFoundError, FileNotFoundError) as error:
            if "NoSuchUpload" in str(error):
                raise TransientStorageError(
                    f"Could not {verb} {where}: its parts are gone; another run has landed the dataset and tidied up."
                ) from None
            if verb == "write" or "NoSuchBucket" in str(error) or "no such bucket" in str(error).lower():
                raise StorageError(f"Could not {verb} {where}: the bucket or folder does not exist.") from None
            raise FileNotFoundError(where) from None
        except (obstore_errors.PermissionDeniedError, obstore_errors.UnauthenticatedError, PermissionError) as error:
            if _EXPIRED.search(str(error)):
                raise _expired(verb, where) from None
            raise _no_permission(verb, where) from None
        except (
            obstore_errors.InvalidPathError,
            obstore_errors.NotSupportedError,
            obstore_errors.UnknownConfigurationKeyError,
            ValueError,
        ) as error:
            raise StorageError(f"Could not {verb} {where}: {first_line(error)}") from None
        except (obstore_errors.BaseError, OSError) as error:
            # Of a listing or a deletion, obstore tells the server's answer in its text only.
            if _EXPIRED.search(str(error)):
                raise _expired(verb, where) from None
            if _DENIED.search(str(error)):
                raise _no_permission(verb, where) from None
            if _NO_BUCKET.search(str(error)):
                raise StorageError(f"Could not {verb} {where}: the bucket does not exist.") from None
            raise TransientStorageError(f"Could not {verb} {where}: {first_line(error)}") from None


def _no_permission(verb: str, where: str) -> StorageError:
    return StorageError(
        f"Could not {verb} {where}: no permission. Check the connection named in the URI and its rights on this prefix."
    )


def _expired(verb: str, where: str) -> TransientStorageError:
    return TransientStorageError(
        f"Could not {verb} {where}: the credentials have run out. The next try asks the connection for new ones."
    )


def first_line(error: Exception) -> str:
    """First line of an error's text, without the query of any URL in it, at most 300 characters."""
    line = str(error).strip().partition("\n")[0]
    return re.sub(r"\?[^\s\"')]*", "?…", line)[:300] or type(error).__name__
