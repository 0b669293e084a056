"""An S3 store that reads through obstore and writes through boto3, for writes that obstore cannot send.

It is several times slower than obstore. `s3_writes` says when it is needed.
"""

from __future__ import annotations

import ast
import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

from learnosity.storage.conditions import Refused, why_refused
from learnosity.storage.errors import is_web_page, odd_reply, refusal, storage_error
from learnosity.storage.multipart import part_bytes
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.s3_credentials import credentials_error
from learnosity.storage.store import ObjectInfo


class Boto3WritingStore(ObstoreStore):
    """A prefix of a bucket.

    :param client: boto3's S3 client.
    :param key: the prefix within `bucket`.
    :param extra_args: arguments of each write, with the names of boto3.
    """

    def __init__(
        self, *args: Any, client: Any, bucket: str, key: str, extra_args: Mapping[str, Any], **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self._client = client
        self._bucket = bucket
        self._key = key
        self._extra_args = dict(extra_args)
        if getattr(client.meta.config, "request_checksum_calculation", None) == "when_supported":
            # With this setting, boto3 sends a CRC32 checksum with each part of a multipart upload. But it does not name
            # CRC32 in the request that begins the upload, and S3 refuses such parts. So this class names CRC32 in all
            # requests, unless the connection names another algorithm.
            self._extra_args.setdefault("ChecksumAlgorithm", "CRC32")

    async def put(
        self,
        path: str,
        content: bytes | memoryview,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> str | None:
        return self._given(path, await self._put(path, content, self._kept(content_type, content_encoding)), "ETag")

    def memory_for(self, size: int | None) -> int:
        # A write needs the most memory at its beginning. Memory then holds the first part, the second part, and the
        # buffer from which the second part was copied. Each has the size of one part.
        return 3 * part_bytes(size)

    async def put_stream(
        self,
        path: str,
        chunks: AsyncIterator[bytes | memoryview],
        size: int | None,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> str | None:
        kept = self._kept(content_type, content_encoding)
        try:
            pieces = _pieces(chunks, part_bytes(size))
            first = await anext(pieces, b"")
            second = await anext(pieces, None)
            if second is None and size is not None:
                return self._given(path, await self._put(path, first, kept), "ETag")
            begun = deque([first] if second is None else [first, second])
            del first, second  # so that each part is freed when it has been sent
            return await self._in_parts(path, begun, pieces, kept)
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()

    async def _in_parts(
        self, path: str, begun: deque[bytes], pieces: AsyncIterator[bytes], kept: dict[str, Any]
    ) -> str | None:
        where = {"Bucket": self._bucket, "Key": self._full(path)}
        upload = await self._call(path, "create_multipart_upload", **where, **kept)
        where["UploadId"] = self._given(path, upload, "UploadId")
        parts: list[dict[str, Any]] = []

        async def send(body: bytes) -> None:
            number = len(parts) + 1
            reply = await self._call(path, "upload_part", **where, PartNumber=number, Body=body)
            sums = {name: value for name, value in reply.items() if name.startswith("Checksum")}
            parts.append({"PartNumber": number, "ETag": self._given(path, reply, "ETag"), **sums})

        try:
            while begun:
                await send(begun.popleft())
            while more := await anext(pieces, b""):
                begun.append(more)
                del more
                await send(begun.popleft())
            done = await self._call(path, "complete_multipart_upload", **where, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(Exception):  # if the abort fails, the task `publish` removes the parts later
                await self._call(path, "abort_multipart_upload", **where)
            raise
        return self._given(path, done, "ETag")

    async def _conditional_put(self, path: str, content: bytes, expected: ObjectInfo | None) -> bool:
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected.etag}
        kept = self._kept("application/json", None)
        try:
            reply = await self._sent("put_object", **self._put_args(path, content), **kept, **condition)
        except Exception as error:
            match why_refused(_status(error), _code(error), creates=expected is None):
                case Refused.CHANGED:
                    return False
                case Refused.UNKNOWN:
                    return await self._replace_at_once(path, content)
            raise self._failed(path, error) from None
        self._given(path, reply, "ETag")
        return True

    async def _put(self, path: str, content: bytes | memoryview, kept: dict[str, Any]) -> Any:
        return await self._call(path, "put_object", **self._put_args(path, content), **kept)

    def _put_args(self, path: str, content: bytes | memoryview) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": self._full(path), "Body": bytes(content)}

    def _given(self, path: str, reply: Mapping[str, Any], name: str) -> str:
        """A field that every reply of S3 has. boto3 takes any XML for such a reply."""
        if not reply.get(name):
            raise odd_reply("write", f"{self.uri}/{path}", f"it has no {name}")
        return str(reply[name])

    def _full(self, path: str) -> str:
        return "/".join(part for part in (self._key, path) if part)

    def _kept(self, content_type: str | None, content_encoding: str | None) -> dict[str, Any]:
        attributes = self._attributes(content_type, content_encoding) or {}
        return {str(name).replace("-", ""): value for name, value in attributes.items()}

    async def _call(self, path: str, operation: str, **values: Any) -> Any:
        try:
            return await self._sent(operation, **values)
        except Exception as error:
            raise self._failed(path, error) from None

    async def _sent(self, operation: str, **values: Any) -> Any:
        call: Callable[..., Any] = getattr(self._client, operation)
        accepted = self._client.meta.service_model.operation_model(
            self._client.meta.method_to_api_mapping[operation]
        ).input_shape.members
        extra = {name: value for name, value in self._extra_args.items() if name in accepted}
        return await asyncio.to_thread(call, **{**extra, **values})

    def _failed(self, path: str, error: Exception) -> Exception:
        from botocore import exceptions as aws  # type: ignore[import-untyped]
        from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

        where = f"{self.uri}/{path}"
        if isinstance(error, aws.ClientError):
            said = error.response["Error"]
            return refusal("write", where, _status(error), str(said.get("Code", "")), str(said.get("Message", "")))
        if isinstance(error, RecursionError):
            # Each reply was a redirect that did not name the bucket's region. After each redirect, botocore asks for
            # the region again, and it has no limit of its own: only Python's limit for nested calls has ended this. The
            # user needs to know about the redirects, so the error is the same as for one redirect.
            return refusal("write", where, 301, "PermanentRedirect", "")
        if isinstance(error, aws.ConnectionError | aws.HTTPClientError):
            return storage_error("write", where, OSError(f"{error} {error.kwargs.get('error', '')}"))
        if isinstance(error, ResponseParserError):
            body = _body_in(error).lstrip("\ufeff\t\r\n ")
            if is_web_page(body):
                return odd_reply("write", where, "it is a web page")
            is_cut = not body or body.startswith("<")
            return odd_reply("write", where, "it breaks off" if is_cut else "it is no XML", transient=is_cut)
        return credentials_error(error, f"the connection of {where}")


def _body_in(error: Exception) -> str:
    """The body of a reply that boto3 could not read. Its error quotes it after these words, as Python writes bytes."""
    quoted = str(error).partition("may succeed:\n")[2]
    try:
        body = ast.literal_eval(quoted)
    except (ValueError, SyntaxError):
        return quoted
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body)


def _status(error: Exception) -> int:
    """The HTTP status of the reply that boto3's error holds; 0 = it holds none."""
    reply = getattr(error, "response", None) or {}
    return int(reply.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) if isinstance(reply, dict) else 0


def _code(error: Exception) -> str:
    """The error code in that reply. boto3 takes the status for the code of a reply without a body."""
    reply = getattr(error, "response", None)
    code = str(reply.get("Error", {}).get("Code", "")) if isinstance(reply, dict) else ""
    return "" if code.isdigit() else code


async def _pieces(chunks: AsyncIterator[bytes | memoryview], size: int) -> AsyncIterator[bytes]:
    """The content in pieces of `size` bytes; the last one may be smaller."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        while len(held) >= size:
            with memoryview(held) as view:
                piece = bytes(view[:size])
            del held[:size]
            yield piece
            del piece
    if held:
        yield bytes(held)
