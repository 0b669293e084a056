"""Uploads the parts of the input to their signed URLs: several parts at the same time, each with retries.

Each part is reported as soon as it is uploaded, so that a later attempt does not upload it again.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urlsplit

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from learnosity.api.replies import Reply
from learnosity.dataset.input_info import InputInfo
from learnosity.errors import TransferError, UnexpectedReplyError, first_error
from learnosity.inputs.find import input_identity
from learnosity.inputs.records import RecordSchema
from learnosity.inputs.spool import InputFile, spool_input
from learnosity.inputs.upload_parts import Part, plan_parts
from learnosity.network import backoff
from learnosity.progress_log import Progress, size
from learnosity.storage.uris import parse_uri

if TYPE_CHECKING:
    from learnosity.api.signed_urls import SignedTransfer

log = logging.getLogger(__name__)

UPLOAD_CONCURRENCY = 8  # parts that are uploaded at the same time
UPLOAD_ATTEMPTS = 5  # attempts to upload each part, the first one included
# Longest wait after the first attempt to upload a part. It doubles after each further attempt, up to
# `MOST_WAIT_SECONDS`. If the server sends `Retry-After`, its seconds are added.
FIRST_WAIT_SECONDS = 2.0
MOST_WAIT_SECONDS = 20.0
# Parameters of a signed URL that make up its signature: those of S3, of Google, and of the older signatures of both.
# Two URLs that write to the same object may have different signatures. `_object_of` leaves the signatures out, so that
# such URLs are found. `upload_urls` refuses them, because the second part of the input would replace the first one.
_OF_SIGNATURE = re.compile(
    r"(x-(amz|goog)-(algorithm|credential|date|expires|signedheaders|signature|security-token|content-sha256)"
    r"|awsaccesskeyid|googleaccessid|signature|expires)=",
    re.IGNORECASE,
)
# The parameters of a signature of Azure. Their names are so short that they could mean something else. So they count as
# a part of the signature only if the URL also has `sig`.
_OF_AZURE = re.compile(r"(s[erpvt]|spr|sip|sig|sk(e|t|s|v|oid|tid))=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Upload:
    """Checked input in a local file, and how it is cut into parts.

    :param sha256: digest of the whole input. It shows a later attempt whether the input is still the same.
    :param identity: digest of the names, sizes and entity tags of the input files.
    :param info: what the manifest says about it.
    """

    file: BinaryIO
    parts: Sequence[Part]
    records: int
    bytes: int
    sha256: str = ""
    identity: str = ""
    info: InputInfo | None = None


async def prepare_upload(files: Sequence[InputFile], schema: RecordSchema, spool: BinaryIO, *, uri: str = "") -> Upload:
    """Check the input, copy it to a local file, and cut it into parts.

    :param uri: where the files were found, for the manifest. Its Airflow connection is left out.
    :param spool: an empty local file, open for reading and writing.
    :raises InputError: the input has problems.
    """
    summary = await asyncio.to_thread(spool_input, files, schema, spool)
    parts = await asyncio.to_thread(plan_parts, spool, summary.bytes, summary.records)
    log.info(
        "The input is valid: %s records, %s, in %d file(s) to upload.",
        f"{summary.records:,}", size(summary.bytes), len(parts),
    )  # fmt: skip
    info = InputInfo(
        uris=(parse_uri(uri).text,) if uri else (),
        files=summary.files,
        records=summary.records,
        bytes=summary.bytes,
        sha256=summary.sha256,
        users=summary.users if schema.noun == "user" else None,
        sessions=summary.records if schema.noun == "session" else None,
        levels=summary.levels,
        odd_names=summary.odd_names,
    )
    return Upload(spool, parts, summary.records, summary.bytes, summary.sha256, input_identity(files), info)


async def upload_parts(
    transfer: SignedTransfer,
    upload: Upload,
    urls: Sequence[str],
    *,
    skip: Sequence[int] = (),
    uploaded: Callable[[int], Awaitable[None]],
) -> None:
    """Upload every part that is not uploaded yet.

    :param urls: one signed URL per part, in part order.
    :param skip: numbers of the parts that are already uploaded.
    :param uploaded: called with the number of each part as soon as it is uploaded, one call at a time.
    :raises UrlExpiredError: the server no longer accepts the URLs.
    :raises TransferError: a part could not be uploaded in five attempts.
    """
    missing = [part for part in upload.parts if part.index not in skip]
    progress = Progress("Uploaded", len(missing))
    gate = asyncio.Semaphore(UPLOAD_CONCURRENCY)
    reporting = asyncio.Lock()

    async def put(part: Part) -> None:
        async with gate:
            await _put(transfer, urls[part.index], upload.file, part)
        async with reporting:
            await uploaded(part.index)
        progress.add(part.length)

    try:
        async with asyncio.TaskGroup() as group:
            for part in missing:
                group.create_task(put(part))
    except BaseExceptionGroup as several:
        raise first_error(several) from None
    progress.finish()


def upload_urls(reply: Reply, file_count: int) -> list[str]:
    """The signed upload URLs of an initialise reply, in part order ("Initialise a dataset" in docs/learnosity-api.md).

    :raises UnexpectedReplyError: the reply does not have exactly one URL per part, or two URLs lead to one object.
    """
    listed = reply.find("input_files")
    urls = []
    for entry in listed if isinstance(listed, list) else []:
        url = entry.get("url") if isinstance(entry, dict) else entry
        if isinstance(url, str) and url:
            urls.append(url)
    if len(urls) != file_count:
        raise UnexpectedReplyError(
            f"Learnosity gave {len(urls)} upload URLs for {file_count} input files; nothing was uploaded."
        )
    if (objects := len(set(map(_object_of, urls)))) < len(urls):
        raise UnexpectedReplyError(
            f"Learnosity gave {len(urls)} upload URLs that lead to {objects} object(s): "
            "one part would replace another. Nothing was uploaded."
        )
    return urls


def _object_of(url: str) -> tuple[str, str, str, tuple[str, ...]]:
    """What tells the object of a signed URL: all of it but the signature. A parameter may be the number of a part."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return "", "", url, ()  # this URL cannot be read; `UrlPolicy` refuses it when its part is uploaded
    address = parts.netloc.rpartition("@")[2].lower()
    default = {"http": ":80", "https": ":443"}.get(parts.scheme.lower(), "")
    query = sorted(each for each in map(unquote, parts.query.split("&")) if each and not _OF_SIGNATURE.match(each))
    if any(each.lower().startswith("sig=") for each in query):
        query = [each for each in query if not _OF_AZURE.match(each)]
    return parts.scheme.lower(), address.removesuffix(default), unquote(parts.path), tuple(query)


async def _put(transfer: SignedTransfer, url: str, file: BinaryIO, part: Part) -> None:
    def note(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("Part %d, attempt %d: %s", part.index, state.attempt_number, error)
        transfer.metrics.count("upload_retries")

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(TransferError),
        stop=stop_after_attempt(UPLOAD_ATTEMPTS),
        wait=backoff(FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS),
        before_sleep=note,
        reraise=True,
    )
    # A PUT can be repeated safely, because a second PUT replaces the object of the first one.
    await retrying(transfer.put, url, file, part.offset, part.length)
