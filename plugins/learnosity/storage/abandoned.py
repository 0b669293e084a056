"""Removes what killed writes leave in a store: parts of multipart uploads, and temporary files.

Readers do not see them, but they use space and cost money. Each function returns a blocking call. That call removes
all of them below a folder, returns their number, and raises `StorageError` when that is not allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from tenacity import Retrying, retry_if_exception, stop_after_delay

from learnosity.errors import StorageError
from learnosity.network import backoff

Discard = Callable[[str], int]

# Ends of the names of obstore's temporary files. No result file at a local destination may have such a name.
_STAGED = re.compile(r"#\d+$")
# How long failed calls are repeated: long enough for a server to restart. No later task removes these parts.
PATIENCE_SECONDS = 30.0
FIRST_WAIT_SECONDS = 0.5  # longest wait after the first attempt
MOST_WAIT_SECONDS = 5.0  # longest wait after any attempt


class S3Client(Protocol):
    """The calls of boto3's client that are used here. obstore has no call that lists multipart uploads."""

    def get_paginator(self, operation_name: str) -> Any:
        """An object whose `paginate` gives the replies page by page."""

    def abort_multipart_upload(self, **values: str) -> Mapping[str, Any]:
        """Remove an unfinished upload and its parts."""


def s3_uploads(client: Callable[[], S3Client], bucket: str, prefix: str) -> Discard:
    """A call that removes multipart uploads that were begun and not finished.

    :param client: makes the client; called when it is first needed.
    :param prefix: prefix of the store, without slashes at its ends.
    """

    def discard(folder: str) -> int:
        # Imported here, because a deployment that only uses local files may not have botocore.
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

        below = "/".join(part for part in (prefix, folder) if part) + "/"
        given_up: set[str] = set()

        def give_up() -> int:
            s3 = client()
            for upload in _uploads(s3, bucket, below):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                given_up.add(upload["UploadId"])
            return len(given_up)

        retrying = Retrying(
            retry=retry_if_exception(_passes),
            stop=stop_after_delay(PATIENCE_SECONDS),
            wait=backoff(FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS),
            reraise=True,
        )
        try:
            return retrying(give_up)
        except (BotoCoreError, ClientError) as error:
            raise StorageError(f"Could not give up unfinished uploads below s3://{bucket}/{below}: {error}.") from None

    return discard


def _passes(error: BaseException) -> bool:
    """Whether the same call may succeed later: the server could not be reached, or is overloaded or broken."""
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return status == 429 or status >= 500
    return isinstance(error, ConnectionError | HTTPClientError)


def _uploads(s3: S3Client, bucket: str, below: str) -> Iterator[Mapping[str, str]]:
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=below):
        yield from page.get("Uploads", ())


def local_files(root: str) -> Discard:
    """A call that removes temporary files of obstore's local store."""

    def discard(folder: str) -> int:
        found = 0
        try:
            for path in (Path(root) / folder).rglob("*#*"):
                if _STAGED.search(path.name) and path.is_file():
                    path.unlink(missing_ok=True)
                    found += 1
        except OSError as error:
            raise StorageError(f"Could not remove unfinished files below {root}/{folder}: {error.strerror}.") from None
        return found

    return discard
