"""Lists a bucket with the cloud's own client, because obstore refuses some names (see `storage.keys`)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from learnosity.storage.store import ObjectInfo

if TYPE_CHECKING:
    from learnosity.storage.abandoned import S3Client
    from learnosity.storage.keys import Keys

_TIMEOUT = (15, 60)  # seconds to connect, and to wait for a piece of the reply


def s3_keys(client: Callable[[], S3Client], bucket: str, prefix: str) -> Keys:
    """The listing of an S3 prefix.

    :param client: creates boto3's client. It is called only when the listing begins.
    :param prefix: without slashes at both ends.
    """

    def listed() -> Iterator[Sequence[ObjectInfo]]:
        # Imported here, because a deployment that only uses local files may not have botocore.
        from botocore import exceptions as boto  # type: ignore[import-untyped]

        below = f"{prefix}/" if prefix else ""
        try:
            for page in client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=below):
                yield [
                    ObjectInfo(
                        found["Key"][len(below) :], found["Size"], found.get("ETag"), found["LastModified"].timestamp()
                    )
                    for found in page.get("Contents", ())
                ]
        except boto.ClientError as error:
            said, status = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
            raise ValueError(
                _refusal(status.get("HTTPStatusCode", 0), said.get("Code", ""), said.get("Message", ""))
            ) from None
        except (boto.ConnectionError, boto.HTTPClientError) as error:
            raise OSError(f"{error} {error.kwargs.get('error', '')}".strip()) from None
        except boto.BotoCoreError as error:
            raise ValueError(str(error)) from None

    return listed


def google_keys(client: Callable[[], Any], bucket: str, prefix: str) -> Keys:
    """The listing of a prefix in GCS.

    :param client: creates google-cloud-storage's client. It is called only when the listing begins.
    :param prefix: without slashes at both ends.
    """

    def listed() -> Iterator[Sequence[ObjectInfo]]:
        # Imported here, because a deployment that does not use GCS has no Google packages.
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.auth.exceptions import GoogleAuthError, TransportError

        below = f"{prefix}/" if prefix else ""
        try:
            for page in client().list_blobs(bucket, prefix=below or None, timeout=_TIMEOUT, retry=None).pages:
                yield [
                    ObjectInfo(
                        blob.name[len(below) :],
                        blob.size,
                        _google_tag(blob),
                        blob.updated.timestamp(),
                        str(blob.generation),
                    )
                    for blob in page
                ]
        except GoogleAPICallError as error:
            raise ValueError(_refusal(int(error.code or 503), type(error).__name__, error.message)) from None
        except (RetryError, TransportError, OSError) as error:
            raise OSError(f"{type(error).__name__}: {error}") from None
        except GoogleAuthError as error:
            raise ValueError(_refusal(401, type(error).__name__, "The credentials were refused.")) from None

    return listed


def _google_tag(blob: Any) -> str:
    """The entity tag in the form that obstore gives (GCS's XML API). Another form would look like a changed object."""
    return f'"{base64.b64decode(blob.md5_hash).hex() if blob.md5_hash else blob.etag}"'


def azure_keys(container: Callable[[], Any], prefix: str) -> Keys:
    """The listing of a prefix in an Azure container.

    :param container: creates azure-storage-blob's client of the container. It is called only when the listing begins.
    :param prefix: without slashes at both ends.
    """

    def listed() -> Iterator[Sequence[ObjectInfo]]:
        # Imported here, because a deployment that does not use Azure has no packages of Azure.
        from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

        below = f"{prefix}/" if prefix else ""
        try:
            with container() as client:
                for page in client.list_blobs(name_starts_with=below or None).by_page():
                    yield [
                        ObjectInfo(blob.name[len(below) :], blob.size, blob.etag, blob.last_modified.timestamp())
                        for blob in page
                    ]
        except (ServiceRequestError, ServiceResponseError) as error:
            raise OSError(f"{type(error).__name__}: {error.message}") from None
        except HttpResponseError as error:
            raise ValueError(_refusal(error.status_code or 401, str(getattr(error, "error_code", "")), "")) from None

    return listed


def _refusal(status: int, code: str, message: str) -> str:
    """A refusal as text in the form that a server sends, because `storage_error` reads that form."""
    return f"{status} Refused <Code>{code}</Code><Message>{message}</Message>"
