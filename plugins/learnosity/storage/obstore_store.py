"""Stores that the library obstore knows: S3, GCS, Azure and local files, through the same code."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import obstore
from obstore import exceptions as obstore_errors
from obstore.store import ObjectStore

from learnosity.errors import StorageError, TransientStorageError, UnreadableNameError
from learnosity.storage.bucket_deletes import BucketDeletes
from learnosity.storage.bucket_listing import BucketListing
from learnosity.storage.conditions import Refused, why_refused_by_obstore
from learnosity.storage.errors import check_headers, check_missing, code_of, reply_in, storage_error
from learnosity.storage.multipart import PARTS_IN_FLIGHT, part_bytes, parts_memory
from learnosity.storage.object_names import Keys, openable
from learnosity.storage.store import IsOwn, ObjectInfo, check_size, every_path
from learnosity.storage.streamed_put import BUFFERED_BYTES, StreamedPut
from learnosity.storage.unfinished_uploads import Discard

log = logging.getLogger(__name__)

DELETE_BATCH = 1000


class ObstoreStore:
    """A prefix in a store that obstore knows.

    :param store: the store, with the prefix applied.
    :param uri: the prefix for people to read.
    :param is_local: whether it is a file system.
    :param discard: removes what killed writes left (see `unfinished_uploads`); None where the store drops it by itself.
    :param listing: lists a bucket; None = a file system, which obstore lists.
    :param keys: lists everything under its own name (see `object_names`), where obstore leaves files out; None = the
        other listing does.
    :param single_put: writes streams of known size in one request; None where that is not possible or not safe.
    :param attributes: obstore's attributes of each object that is written, such as its storage class; default none.
    :param tags: the same for tags.
    :param deletes: removes objects of a bucket; None = a file system, where obstore removes them.
    :param proxy: URL of the proxy that the store uses, for messages; None = none.
    """

    def __init__(
        self,
        store: ObjectStore,
        uri: str,
        *,
        is_local: bool = False,
        discard: Discard | None = None,
        listing: BucketListing | None = None,
        keys: Keys | None = None,
        single_put: StreamedPut | None = None,
        attributes: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        deletes: BucketDeletes | None = None,
        proxy: str | None = None,
    ) -> None:
        self._store = store
        self._uri = uri.rstrip("/")
        self._is_local = is_local
        self._discard = discard
        self._listing = listing
        self._keys = keys
        self._single_put = single_put
        self._always = dict(attributes or {})
        self._tags = dict(tags or {}) or None
        self._deletes = deletes
        self._proxy = proxy

    @property
    def uri(self) -> str:
        return self._uri

    @property
    def is_local(self) -> bool:
        return self._is_local

    async def put(
        self,
        path: str,
        content: bytes | memoryview,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> str | None:
        with self._errors("write", path):
            result = await obstore.put_async(
                self._store,
                path,
                content,
                attributes=self._attributes(content_type, content_encoding),
                tags=self._tags,
                use_multipart=False,
            )
        return result["e_tag"]

    def memory_for(self, size: int | None) -> int:
        single = None if size is None else self._single_put
        return BUFFERED_BYTES if single is not None and single.takes(size or 0) else parts_memory(size)

    async def put_stream(
        self,
        path: str,
        chunks: AsyncIterator[bytes | memoryview],
        size: int | None,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> str | None:
        with self._errors("write", path):
            if size is not None and self._single_put is not None and self._single_put.takes(size):
                return await self._single_put.put(path, chunks, size, content_type, content_encoding)
            result = await obstore.put_async(
                self._store,
                path,
                chunks,
                attributes=self._attributes(content_type, content_encoding),
                tags=self._tags,
                chunk_size=part_bytes(size),
                max_concurrency=PARTS_IN_FLIGHT,
            )
        return result["e_tag"]

    async def get(self, path: str, *, limit: int | None = None) -> bytes | None:
        try:
            with self._errors("read", path):
                result = await obstore.get_async(self._store, path)
                check_size(f"{self._uri}/{path}", self._object("read", path, result.meta).size, limit)
                return bytes(await result.bytes_async())
        except FileNotFoundError:
            return None

    async def head(self, path: str) -> ObjectInfo | None:
        try:
            with self._errors("look at", path):
                return self._object("look at", path, await obstore.head_async(self._store, path))
        except FileNotFoundError:
            return None

    def _object(self, verb: str, path: str, meta: obstore.ObjectMeta) -> ObjectInfo:
        if not self._is_local:
            check_headers(verb, f"{self._uri}/{path}", meta["e_tag"], meta["last_modified"].timestamp())
        return _info(meta)

    async def replace(self, path: str, content: bytes, expected: ObjectInfo | None) -> bool:
        if expected is not None and not expected.etag:
            return await self._replace_at_once(path, content)
        return await self._conditional_put(path, content, expected)

    async def _conditional_put(self, path: str, content: bytes, expected: ObjectInfo | None) -> bool:
        mode: obstore.PutMode = "create"
        if expected is not None:
            # To see whether the object has changed, GCS compares its version, and all other stores compare its entity
            # tag. obstore does not accept None as `version`, so `version` is set only if the object has one.
            mode = {"e_tag": expected.etag}
            if expected.version:
                mode["version"] = expected.version
        attributes = self._attributes("application/json", None)
        with self._errors("write", path):
            try:
                await obstore.put_async(
                    self._store,
                    path,
                    content,
                    attributes=attributes,
                    tags=self._tags,
                    mode=mode,
                    use_multipart=False,
                )
            except (obstore_errors.NotSupportedError, NotImplementedError):
                return await self._replace_at_once(path, content)
            except (obstore_errors.BaseError, FileNotFoundError) as error:
                where = f"{self._uri}/{path}"
                match why_refused_by_obstore(error, where, local=self._is_local, creates=expected is None):
                    case Refused.CHANGED:
                        return False
                    case Refused.UNKNOWN:
                        return await self._replace_at_once(path, content)
                raise
        return True

    async def _replace_at_once(self, path: str, content: bytes) -> bool:
        """Write without a condition, because the store does not know conditional writes."""
        if not self._is_local:
            log.warning("%s has no conditional writes. The older one of two writes of %s can stay.", self._uri, path)
        await self.put(path, content, "application/json")
        return True

    async def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        if self._listing is not None:
            async for page in self._listing.objects(prefix):
                if found := [openable(info, self._uri) for info in page if info.path.strip("/") != prefix]:
                    yield found
            return
        stream = obstore.list(self._store, prefix=prefix or None, chunk_size=1000)
        while True:
            try:
                with self._errors("list", prefix):
                    batch = await stream.__anext__()
            except (StopAsyncIteration, FileNotFoundError):
                return
            yield [_info(meta) for meta in batch]

    async def folders(self, prefix: str) -> Sequence[str]:
        if self._listing is not None:
            return await self._listing.folders(prefix)
        with suppress(FileNotFoundError), self._errors("list", prefix):
            found = await obstore.list_with_delimiter_async(self._store, prefix or None)
            return [path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"]]
        return []

    async def list_keys(self) -> AsyncIterator[Sequence[ObjectInfo]]:
        if self._keys is None:
            async for page in self.list("") if self._listing is None else self._listing.objects(""):
                yield page
            return
        pages = self._keys()
        while True:
            with self._errors("list", ""):
                batch: Sequence[ObjectInfo] | None = await asyncio.to_thread(next, pages, None)
            if batch is None:
                return
            yield batch

    async def delete(self, paths: Sequence[str]) -> None:
        if self._deletes is not None:
            await self._deletes.delete(paths)
            return
        for start in range(0, len(paths), DELETE_BATCH):
            batch = list(paths[start : start + DELETE_BATCH])
            try:
                with self._errors("delete", batch[0]):
                    await obstore.delete_async(self._store, batch)
            except FileNotFoundError:
                # One of the files is missing: another run has already removed it. obstore stops at such a file. So
                # each file is deleted in a call of its own. If the batch has only this file, nothing is left to do.
                if len(batch) > 1:
                    for path in batch:
                        await self.delete([path])

    def read(self, path: str) -> Iterator[bytes]:
        try:
            with self._errors("read", path):
                result = obstore.get(self._store, path)
                self._object("read", path, result.meta)
                for chunk in result.stream(min_chunk_size=1024 * 1024):
                    yield bytes(chunk)
        except FileNotFoundError:
            raise StorageError(f"{self._uri}/{path} does not exist.") from None

    async def discard_unfinished(self, prefix: str, is_own: IsOwn = every_path) -> int:
        return 0 if self._discard is None else await self._discard(prefix, is_own)

    def _attributes(self, content_type: str | None, content_encoding: str | None) -> obstore.Attributes | None:
        if self._is_local:
            return None  # a file system cannot store such attributes
        attributes: obstore.Attributes = {**self._always}
        if content_type:
            attributes["Content-Type"] = content_type
        if content_encoding:
            attributes["Content-Encoding"] = content_encoding
            # Without `no-transform`, GCS decompresses the object for readers that do not accept gzip. The content that
            # they receive would not have the size and the SHA-256 that `files.ndjson` lists.
            attributes["Cache-Control"] = "no-transform"
        return attributes or None

    @contextmanager
    def _errors(self, verb: str, path: str) -> Iterator[None]:
        where = f"{self._uri}/{path}" if path else self._uri
        try:
            yield
        except (obstore_errors.NotFoundError, FileNotFoundError) as error:
            # A file system sends no reply. A file name in its error may look like a store's reply, so the text is not
            # read.
            text = "" if self._is_local else reply_in(str(error), where)
            if code_of(text) == "NoSuchUpload":
                gone = "its parts are gone: the last reply was lost, or another run has landed and tidied up"
                raise TransientStorageError(f"Could not {verb} {where}: {gone}.") from None
            check_missing(verb, where, text)
            if verb == "write" or re.search(r"NoSuchBucket|ContainerNotFound|no such bucket", text, re.I):
                raise StorageError(f"Could not {verb} {where}: the bucket or folder does not exist.") from None
            raise FileNotFoundError(where) from None
        except obstore_errors.InvalidPathError as error:
            raise UnreadableNameError(str(storage_error(verb, where, error, local=self._is_local))) from None
        except (obstore_errors.BaseError, OSError, ValueError) as error:
            raise storage_error(verb, where, error, self._proxy, local=self._is_local) from None
        # obstore's Rust code can panic, for example at an endpoint that is no URL. Python's error for a panic is not an
        # `Exception`, but only a `BaseException`.
        except BaseException as error:
            if type(error).__name__ not in ("PanicException", "RustPanic"):
                raise
            raise storage_error(verb, where, error, local=self._is_local) from None


def _info(meta: obstore.ObjectMeta) -> ObjectInfo:
    return ObjectInfo(meta["path"], meta["size"], meta["e_tag"], meta["last_modified"].timestamp(), meta["version"])
