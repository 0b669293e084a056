"""Where S3 requests for one bucket go, as the boto3 client of the connection sends them.

The rules for addresses (region, partition, FIPS, dual stack, acceleration, path or host name, dots in the bucket's
name) are botocore's. So a request is made ready and signed by the client, and its address is read. `address_of` does
not send this request. `located` sends it, to learn the bucket's region from the reply.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from learnosity.errors import ConnectionConfigError

_EVENT = "before-send.s3"
# `located` lets boto3 send at most this many requests to find the region of a bucket. If no reply names the region,
# boto3 itself would ask again and again, until it reaches Python's limit for nested calls.
_MOST_REQUESTS = 5
_SCOPE = re.compile(r"Credential=[^/]+(?:/[^/]+)*?/\d{8}/([^/]+)/([^/]+)/aws4_request")


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where requests for one bucket go.

    :param endpoint: URL without the path of a key. It contains the bucket's name only if `virtual` is true.
    :param region: the region that a signature names.
    :param virtual: whether the bucket's name is part of the host name, and not of the path.
    :param signed: whether requests are signed.
    :param slash: whether the path of a request for the bucket itself ends with a slash. The signature must be for the
        path that is sent, and the HTTP client sends an empty path as "/".
    """

    endpoint: str
    region: str
    virtual: bool
    signed: bool
    slash: bool

    def bucket_url(self, bucket: str) -> str:
        """The URL of requests for the bucket itself."""
        return (self.endpoint if self.virtual else f"{self.endpoint}/{bucket}") + ("/" if self.slash else "")


def address_of(client: Any, bucket: str) -> S3Address:
    """Where the client sends requests for `bucket`. Nothing is sent to S3; the credentials may be fetched.

    :param client: boto3's S3 client.
    :raises ConnectionConfigError: the client signs in a way that the store cannot.
    """
    if bucket.endswith("--x-s3"):
        raise ConnectionConfigError(f"{bucket} is a directory bucket (S3 Express). Name a general purpose bucket.")
    return _read(_listing(client, bucket, most=0), client, bucket)


def located(client: Any, bucket: str) -> S3Address:
    """Where the client sends requests for `bucket` once it has learnt the bucket's region from S3.

    :raises botocore.exceptions.BotoCoreError: S3 could not be reached.
    """
    return _read(_listing(client, bucket, most=_MOST_REQUESTS), client, bucket)


def is_answered(request: Any) -> bool:
    """Whether a request of botocore was made here only to be read, and has its reply: it must not be sent."""
    return bool(getattr(request, "is_answered", False))


def _listing(client: Any, bucket: str, *, most: int) -> Any:
    """The last request for a listing that the client has made ready.

    :param most: how many requests are sent. Further ones get an empty reply here.
    """
    from botocore.awsrequest import AWSResponse, HeadersDict  # type: ignore[import-untyped]
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]

    requests: list[Any] = []
    thread = threading.get_ident()

    def record(request: Any, **_: object) -> Any:
        if threading.get_ident() != thread:
            return None  # this request belongs to another thread, which uses the same client
        requests.append(request)
        if len(requests) <= most:
            return None
        request.is_answered = True
        return AWSResponse(request.url, 404 if most else 200, HeadersDict(), _Empty())

    client.meta.events.register_first(_EVENT, record)
    try:
        client.list_objects_v2(Bucket=bucket, MaxKeys=1)
    except ClientError:
        if not requests:  # no request was made, for example because a role could not be assumed
            raise
        # If a request was made, the error does not matter. Only the address of the request is needed, and a listing
        # that S3 refuses has the same address as one that succeeds.
    finally:
        client.meta.events.unregister(_EVENT, record)
    return next(request for request in reversed(requests) if "list-type=2" in request.url)


def _read(request: Any, client: Any, bucket: str) -> S3Address:
    parts = urlsplit(request.url)
    path = parts.path.rstrip("/")
    virtual = not path.endswith(f"/{bucket}")
    if virtual and not parts.netloc.startswith(f"{bucket}."):
        raise ConnectionConfigError(f"The bucket {bucket!r} is not found in the address of its requests.")
    endpoint = f"{parts.scheme}://{parts.netloc}{path if virtual else path.removesuffix(f'/{bucket}')}"
    slash = parts.path.endswith("/")
    header = request.headers.get("Authorization")
    if header is None:
        return S3Address(endpoint, client.meta.region_name or "us-east-1", virtual, signed=False, slash=slash)
    scope = _SCOPE.search(header.decode() if isinstance(header, bytes) else header)
    if scope is None or scope[2] != "s3":
        raise ConnectionConfigError(
            "The storage connection asks for a signature that is not AWS version 4 for S3. Remove `signature_version` "
            "from its `config_kwargs`, or name a general purpose bucket."
        )
    return S3Address(endpoint, scope[1], virtual, signed=True, slash=slash)


class _Empty:
    """The body of an empty reply."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        """No bytes."""
        return iter(())
