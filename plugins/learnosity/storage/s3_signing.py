"""Signs requests to S3 with botocore: single PUTs with all headers of the connection, listings and deletions."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from learnosity.storage.bucket_listing import listing_url, s3_values
from learnosity.storage.listing_page import UploadsMarker

# Each request for a list of unfinished uploads names this number as the maximum. S3 never sends more uploads in one
# reply. Without the maximum, other stores could send so many that the reply is too large to be read.
MAX_UPLOADS = 1000


class S3Signer:
    """Signs writes of objects below one prefix, listings of it, and deletions, also of unfinished uploads.

    :param bucket_url: URL of requests for the bucket itself. It, a slash and a key make the URL of an object, and
        it may end with that slash.
    :param prefix: prefix of the store, without slashes at both ends.
    :param region: the region that the signature names.
    :param credentials: gives botocore's `ReadOnlyCredentials`; it may block. None = requests are not signed.
    :param headers: headers of each write, such as encryption; default none.
    :param reads: headers of each listing and deletion, such as who pays; default none.
    """

    def __init__(
        self,
        bucket_url: str,
        prefix: str,
        region: str,
        credentials: Callable[[], Any] | None,
        headers: Mapping[str, str] | None = None,
        reads: Mapping[str, str] | None = None,
    ) -> None:
        self._listed_url = bucket_url
        self._bucket_url = bucket_url.rstrip("/")
        self._prefix = prefix
        self._region = region
        self._credentials = credentials
        self._headers = dict(headers or {})
        self._reads = dict(reads or {})

    async def put(self, path: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """The URL and all headers of a PUT. The body is not part of the signature.

        :param headers: headers of this object.
        """
        key = "/".join(part for part in (self._prefix, path) if part)
        url = f"{self._bucket_url}/{quote(key, safe='/~')}"
        asked = {**self._headers, **headers}
        if self._credentials is None:
            return url, asked

        from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]

        request = AWSRequest(method="PUT", url=url, headers=asked)
        return await self._signed(_unhashed(), request)

    async def listing(self, below: str, token: str, *, folders: bool) -> tuple[str, Mapping[str, str]]:
        """The URL and all headers of the request for a page of a listing. See `ListingRequests`."""
        url = listing_url(self._listed_url, s3_values(below, token, folders=folders))
        return await self._hashed("GET", url, {}, b"")

    async def deletion(self, key: str) -> tuple[str, Mapping[str, str]]:
        """The URL and all headers of the request that deletes one object. See `DeletionRequests`."""
        return await self._hashed("DELETE", f"{self._bucket_url}/{quote(key, safe='/~')}", {}, b"")

    async def deletions(self, keys: Sequence[str]) -> tuple[str, Mapping[str, str], bytes]:
        """The URL, all headers and the body of the request that deletes objects. See `BulkRequests`."""
        objects = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
        # With <Quiet>, the reply would name only the failures. Without it, the reply names each key, so the caller can
        # check that each object was deleted.
        body = f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{objects}</Delete>'.encode()
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()  # S3 requires Content-MD5
        headers = {"Content-Type": "application/xml", "Content-MD5": digest}
        return *await self._hashed("POST", f"{self._listed_url}?delete=", headers, body), body

    async def uploads(self, below: str, after: UploadsMarker | None) -> tuple[str, Mapping[str, str]]:
        """The URL and all headers of the request for a page of unfinished uploads. See `UploadRequests`."""
        marker = {"key-marker": after.key, "upload-id-marker": after.upload_id} if after else {}
        given = {name: value for name, value in marker.items() if value}
        url = listing_url(self._listed_url, {"uploads": "", "prefix": below, "max-uploads": str(MAX_UPLOADS), **given})
        return await self._hashed("GET", url, {}, b"")

    async def upload_removal(self, key: str, upload_id: str) -> tuple[str, Mapping[str, str]]:
        """The URL and all headers of the request that removes an unfinished upload. See `UploadRequests`."""
        url = listing_url(f"{self._bucket_url}/{quote(key, safe='/~')}", {"uploadId": upload_id})
        return await self._hashed("DELETE", url, {}, b"")

    async def _hashed(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[str, Mapping[str, str]]:
        """The URL and all headers of a request whose body is part of the signature."""
        asked = {**self._reads, **headers}
        if self._credentials is None:
            return url, asked

        from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]
        from botocore.awsrequest import AWSRequest

        return await self._signed(S3SigV4Auth, AWSRequest(method=method, url=url, headers=asked, data=body))

    async def _signed(self, auth: Any, request: Any) -> tuple[str, dict[str, str]]:
        credentials = None if self._credentials is None else await asyncio.to_thread(self._credentials)
        auth(credentials, "s3", self._region).add_auth(request)
        return request.url, dict(request.headers.items())


@functools.cache
def _unhashed() -> Any:
    """botocore's signature for S3, without the body, which is not known yet. Verified TLS protects the body."""
    # This import is here, because a deployment without S3 may not have botocore.
    from botocore.auth import S3SigV4Auth

    class Unhashed(S3SigV4Auth):  # type: ignore[misc]
        def payload(self, request: Any) -> str:
            return "UNSIGNED-PAYLOAD"

    return Unhashed
