"""Signs requests to S3 with botocore: single PUTs, with all headers that the connection asks for, and listings."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from learnosity.storage.bucket_listing import listing_url, s3_values


class S3Signer:
    """Signs writes of objects below one prefix, and listings of it.

    :param bucket_url: URL of the bucket, without a slash at its end.
    :param prefix: prefix of the store, without slashes at both ends.
    :param region: the region that the signature names.
    :param credentials: gives botocore's `ReadOnlyCredentials`; it may block. None = requests are not signed.
    :param headers: headers of each write, such as encryption; default none.
    :param reads: headers of each listing, such as who pays; default none.
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
        self._bucket_url = bucket_url
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
        url = listing_url(self._bucket_url, s3_values(below, token, folders=folders))
        if self._credentials is None:
            return url, self._reads

        from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]
        from botocore.awsrequest import AWSRequest

        return await self._signed(S3SigV4Auth, AWSRequest(method="GET", url=url, headers=dict(self._reads)))

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
