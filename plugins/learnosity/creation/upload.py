"""Putting the input's parts on their signed URLs: several at once, each tried again through what passes.

A part that is there is said to be there at once, so that a later attempt leaves it alone.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from learnosity.api.replies import Reply
from learnosity.api.signed_urls import SignedTransfer
from learnosity.errors import LearnosityError, TransferError, UnexpectedReplyError
from learnosity.inputs.spool import Part
from learnosity.telemetry import Progress

log = logging.getLogger(__name__)

UPLOAD_CONCURRENCY = 8
UPLOAD_ATTEMPTS = 5
MAX_BACKOFF_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Upload:
    """Validated input on local disk, and how it is cut.

    :param sha256: of the whole; tells a later attempt whether its parts are the same.
    """

    file: BinaryIO
    parts: Sequence[Part]
    records: int
    bytes: int
    sha256: str = ""


async def upload_parts(
    transfer: SignedTransfer,
    upload: Upload,
    urls: Sequence[str],
    *,
    skip: Sequence[int] = (),
    uploaded: Callable[[int], Awaitable[None]],
) -> None:
    """PUT every part that is not there yet.

    :param urls: one signed URL a part, in part order.
    :param skip: parts that are there.
    :param uploaded: told of each part as soon as it is there, one call at a time.
    :raises UrlExpiredError: the URLs are no longer good.
    :raises TransferError: a part did not go up in five attempts.
    """
    missing = [part for part in upload.parts if part.index not in skip]
    progress = Progress("Uploaded", len(missing))
    gate = asyncio.Semaphore(UPLOAD_CONCURRENCY)
    telling = asyncio.Lock()

    async def put(part: Part) -> None:
        async with gate:
            await _put(transfer, urls[part.index], upload.file, part)
        async with telling:
            await uploaded(part.index)
        progress.add(part.length)

    try:
        async with asyncio.TaskGroup() as group:
            for part in missing:
                group.create_task(put(part))
    except BaseExceptionGroup as several:
        raise _worst(several) from None
    progress.finish()


def upload_urls(reply: Reply, file_count: int) -> list[str]:
    """The signed upload URLs of an initialise reply, in part order (contract section 4.4).

    :raises UnexpectedReplyError: when there is not exactly one per part.
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
    return urls


async def _put(transfer: SignedTransfer, url: str, file: BinaryIO, part: Part) -> None:
    for attempt in range(1, UPLOAD_ATTEMPTS + 1):
        try:
            # A repeated PUT overwrites: safe while the URL lives (contract section 5).
            await transfer.put(url, file, part.offset, part.length)
            return
        except TransferError as error:
            if attempt == UPLOAD_ATTEMPTS:
                raise
            wait = error.retry_after if error.retry_after is not None else min(MAX_BACKOFF_SECONDS, 2.0**attempt)
            log.warning("Part %d, attempt %d: %s", part.index, attempt, error)
            transfer.meter.count("upload_retries")
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # spreads retries, guards nothing


def _worst(several: BaseExceptionGroup) -> BaseException:
    """Of errors that came together, the one that decides: what is not ours, then permanent, then transient."""
    errors = [error for error in several.exceptions if not isinstance(error, BaseExceptionGroup)]
    ranked = sorted(errors, key=lambda error: (isinstance(error, LearnosityError), getattr(error, "transient", False)))
    return ranked[0] if ranked else several
