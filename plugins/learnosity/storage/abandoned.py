"""What a write that was killed leaves behind: parts of a multipart upload, or a temporary file beside its name.

No reader ever sees them, but they take room and cost money until somebody removes them. Each function returns a
blocking call that removes all of them below a folder, says how many there were, and raises `StorageError` where that
is not allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from learnosity.errors import StorageError

Discard = Callable[[str], int]

# How obstore's local store names what it has not finished; `names` refuses such names at local destinations.
_STAGED = re.compile(r"#\d+$")
# A server that restarts is back by then; nobody asks again later.
PATIENCE_SECONDS = 30.0
MAX_BACKOFF_SECONDS = 5.0


class S3Client(Protocol):
    """What is needed of boto3's client: obstore has no call that lists uploads."""

    def get_paginator(self, operation_name: str) -> Any:
        """An object whose `paginate` yields answers."""

    def abort_multipart_upload(self, **values: str) -> Mapping[str, Any]:
        """Give an upload up, with its parts."""


def s3_uploads(client: Callable[[], S3Client], bucket: str, prefix: str) -> Discard:
    """Multipart uploads that were begun and not ended.

    :param client: makes the client; called at the first use.
    :param prefix: of the store, without slashes at its ends.
    """

    def discard(folder: str) -> int:
        # Whoever has an S3 client has botocore; a store on disk needs neither.
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
            wait=wait_random_exponential(max=MAX_BACKOFF_SECONDS),
            reraise=True,
        )
        try:
            return retrying(give_up)
        except (BotoCoreError, ClientError) as error:
            raise StorageError(f"Could not give up unfinished uploads below s3://{bucket}/{below}: {error}.") from None

    return discard


def _passes(error: BaseException) -> bool:
    """Whether the server could not be reached, or failed for now."""
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return status == 429 or status >= 500
    return isinstance(error, ConnectionError | HTTPClientError)


def _uploads(s3: S3Client, bucket: str, below: str) -> Iterator[Mapping[str, str]]:
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=below):
        yield from page.get("Uploads", ())


def local_files(root: str) -> Discard:
    """Temporary files of obstore's local store."""

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
