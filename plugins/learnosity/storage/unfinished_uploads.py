"""Removes the remains of killed writes from a store: parts of multipart uploads, and temporary files.

Readers do not see the remains, but they use space and cost money. Each function here returns a blocking function. That
function removes all remains below a folder and returns their number, or raises `StorageError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from tenacity import Retrying, retry_if_exception, stop_after_delay

from learnosity.errors import LearnosityError, StorageError
from learnosity.network import backoff

Discard = Callable[[str], int]

# The end of the names of obstore's temporary files. No result file at a local destination has such a name, because
# `check_names` refuses it.
_STAGED = re.compile(r"#\d+$")
# How long a failed call is repeated, in seconds. A server can restart in this time. It is worth waiting, because no
# later task removes these uploads.
PATIENCE_SECONDS = 30.0
FIRST_WAIT_SECONDS = 0.5  # longest wait after the first attempt
MOST_WAIT_SECONDS = 5.0  # longest wait after any attempt


class S3Client(Protocol):
    """The methods of boto3's client that this module uses. obstore itself cannot list multipart uploads."""

    def get_paginator(self, operation_name: str) -> Any:
        """An object whose `paginate` gives the replies page by page."""

    def abort_multipart_upload(self, **values: str) -> Mapping[str, Any]:
        """Remove an unfinished upload and its parts."""


def s3_uploads(client: Callable[[], S3Client], bucket: str, prefix: str) -> Discard:
    """Return a function that removes unfinished multipart uploads.

    :param client: creates the client. It is called only when the client is needed.
    :param prefix: prefix of the store, without slashes at both ends.
    """

    def discard(folder: str) -> int:
        # This import is here, because a deployment that only uses local files may not have botocore.
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
        except (BotoCoreError, ClientError, LearnosityError) as error:
            text = str(error).rstrip(".")
            raise StorageError(f"Could not give up unfinished uploads below s3://{bucket}/{below}: {text}.") from None

    return discard


def _passes(error: BaseException) -> bool:
    """Whether the same call may succeed later: the server could not be reached, is overloaded, or has a fault."""
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return status == 429 or status >= 500
    return isinstance(error, ConnectionError | HTTPClientError) or getattr(error, "transient", False)


def _uploads(s3: S3Client, bucket: str, below: str) -> Iterator[Mapping[str, str]]:
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=below):
        yield from page.get("Uploads", ())


def local_files(root: str) -> Discard:
    """Return a function that removes the temporary files of obstore's local store."""

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
