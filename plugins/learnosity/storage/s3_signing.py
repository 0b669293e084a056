"""Signs single PUT requests to S3 with botocore, with all headers that the connection asks for."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

_HASH = "X-Amz-Content-SHA256"


class S3Signer:
    """Signs the writes of objects below one prefix. The body is not part of the signature.

    :param bucket_url: URL of the bucket, without a slash at its end.
    :param prefix: prefix of the store, without slashes at both ends.
    :param region: the region that the signature names.
    :param credentials: gives botocore's `ReadOnlyCredentials`; it may block. None = requests are not signed.
    :param headers: headers of each write, such as encryption; default none.
    """

    def __init__(
        self,
        bucket_url: str,
        prefix: str,
        region: str,
        credentials: Callable[[], Any] | None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._bucket_url = bucket_url
        self._prefix = prefix
        self._region = region
        self._credentials = credentials
        self._headers = dict(headers or {})

    async def put(self, path: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """The URL and all headers of a PUT.

        :param headers: headers of this object.
        """
        key = "/".join(part for part in (self._prefix, path) if part)
        url = f"{self._bucket_url}/{quote(key, safe='/~')}"
        asked = {**self._headers, **headers}
        if self._credentials is None:
            return url, asked

        from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]

        request = AWSRequest(method="PUT", url=url, headers=asked)
        _unhashed()(await asyncio.to_thread(self._credentials), "s3", self._region).add_auth(request)
        return url, dict(request.headers.items())


@functools.cache
def _unhashed() -> Any:
    """botocore's signature for S3, without the body, which is not known yet. Verified TLS protects the body."""
    # Imported here, because a deployment without S3 may not have botocore.
    from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]

    class Unhashed(S3SigV4Auth):  # type: ignore[misc]
        def payload(self, request: Any) -> str:
            return "UNSIGNED-PAYLOAD"

    return Unhashed
