"""Creating a dataset: initialise, upload, commence, with each step written down before and after it is taken.

A job is never started twice on purpose. What was started is re-attached to; where a reply was lost, the job
list is looked at before anything is sent again; and where that leaves doubt, a fresh dataset is made and the
log says so (contract section 6). Upload URLs live for an hour and cannot be renewed, so that a part which
cannot go up means a fresh dataset too, a bounded number of times.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal, Protocol

import msgspec

from learnosity.client import LearnosityClient
from learnosity.datasets import DatasetRequest
from learnosity.errors import (
    ConflictError,
    PermanentApiError,
    RequestError,
    TransferError,
    TransientApiError,
    UnexpectedReplyError,
    UrlExpiredError,
)
from learnosity.inputs import Part
from learnosity.jobs import Job
from learnosity.progress import Progress
from learnosity.replies import Reply
from learnosity.transfer import SignedTransfer

log = logging.getLogger(__name__)

MAX_DATASETS = 3
UPLOAD_CONCURRENCY = 8
UPLOAD_ATTEMPTS = 5
# Clocks differ: how far before our own note of the time a job may have been created.
CLOCK_SLACK_SECONDS = 300
LOOK_AGAIN_SECONDS = 3.0

Step = Literal["initialising", "uploading", "commencing", "started"]


class Handle(msgspec.Struct, frozen=True):
    """What is remembered between attempts. Holds ids and counts, never a URL.

    :param fingerprint: of the request it belongs to: with another one it is worth nothing.
    :param since: Unix seconds just before the step was taken.
    :param uploaded: parts that are there.
    """

    fingerprint: str
    dataset_id: str
    step: Step
    file_count: int
    since: int
    uploaded: tuple[int, ...] = ()
    job_reference: str | None = None
    records: int = 0
    bytes: int = 0


class HandleStore(Protocol):
    """Where the handle is kept between attempts."""

    async def load(self) -> Handle | None:
        """The handle of an earlier attempt."""

    async def save(self, handle: Handle) -> None:
        """Keep it; returns when it is safe."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Validated input on local disk, and how it is cut."""

    file: BinaryIO
    parts: Sequence[Part]
    records: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CreatedDataset:
    """A dataset whose job has been started.

    :param file_count: input files uploaded.
    :param records: lines in them.
    :param reattached: the job was started by an earlier attempt.
    """

    dataset_id: str
    job_reference: str
    file_count: int
    records: int
    bytes: int
    reattached: bool = False


async def create_dataset(
    client: LearnosityClient,
    transfer: SignedTransfer,
    request: DatasetRequest,
    handles: HandleStore,
    *,
    fingerprint: str,
    prepare: Callable[[], Awaitable[Upload | None]],
    dataset_id: str | None = None,
) -> CreatedDataset:
    """Make a dataset and start its job, or re-attach to the one that an earlier attempt started.

    :param fingerprint: identifies request and input; a handle of another one is left alone.
    :param prepare: validates and spools the input; called only when something has to be uploaded. None = no input.
    :param dataset_id: id to use, a UUID; None = a new one for every dataset.
    :raises PermanentError: when the run config, the input or the connection has to change.
    :raises TransientError: when a later try may succeed; it takes up where this one ended.
    """
    creation = _Creation(client, transfer, request, handles, fingerprint, dataset_id)
    earlier = await handles.load()
    if earlier is not None and earlier.fingerprint != fingerprint:
        log.info("The run config or the input has changed since dataset %s was begun: a fresh one.", earlier.dataset_id)
        earlier = None
    if earlier is not None and (created := await creation.reattach(earlier)) is not None:
        return created
    return await creation.fresh(await prepare())


class _LostReply(Exception):
    """An initialise call whose effect is not known, but which cannot have started a job."""

    def __init__(self, error: TransientApiError) -> None:
        super().__init__(str(error))
        self.error = error


class _Creation:
    """One call of `create_dataset`: the steps, and what they share."""

    def __init__(
        self,
        client: LearnosityClient,
        transfer: SignedTransfer,
        request: DatasetRequest,
        handles: HandleStore,
        fingerprint: str,
        dataset_id: str | None,
    ) -> None:
        self._client = client
        self._transfer = transfer
        self._request = request
        self._handles = handles
        self._fingerprint = fingerprint
        self._wanted_id = dataset_id

    async def reattach(self, handle: Handle) -> CreatedDataset | None:
        """The dataset of an earlier attempt, its job started; None when a fresh one is needed."""
        if handle.step == "started" and handle.job_reference:
            return await self._reattach_started(handle)
        if handle.step == "uploading" and len(handle.uploaded) == handle.file_count > 0:
            log.info("Dataset %s has all its input already: starting its job.", handle.dataset_id)
            return await self._commence(handle)
        if handle.step == "commencing" or (handle.step == "initialising" and handle.file_count == 0):
            return await self._settle(handle)
        log.info(
            "The upload of dataset %s was cut short and its URLs are gone: a fresh dataset; no job was started.",
            handle.dataset_id,
        )
        return None

    async def fresh(self, upload: Upload | None) -> CreatedDataset:
        """A new dataset, begun again when its upload URLs run out."""
        for attempt in range(1, MAX_DATASETS + 1):
            handle = Handle(
                fingerprint=self._fingerprint,
                dataset_id=self._wanted_id or str(uuid.uuid4()),
                step="initialising",
                file_count=len(upload.parts) if upload else 0,
                since=int(time.time()),
                records=upload.records if upload else 0,
                bytes=upload.bytes if upload else 0,
            )
            last = attempt == MAX_DATASETS or self._wanted_id is not None
            try:
                created = await self._one_dataset(handle, upload)
            except UrlExpiredError as error:
                if last:
                    raise _cannot_begin_again(handle.dataset_id, bool(self._wanted_id), error) from None
                log.warning("Upload URLs of dataset %s ran out: a fresh dataset. %s", handle.dataset_id, error)
            except _LostReply as lost:
                if last:
                    raise lost.error from None
                log.warning("No job can have started without input: a fresh dataset. %s", lost.error)
                await asyncio.sleep(random.uniform(0.5, 1.0) * 2.0**attempt)
            else:
                if created is not None:
                    return created
                if last:
                    break
        raise PermanentApiError(
            "It cannot be known whether Learnosity started the job of the dataset, and it was not to be started twice. "
            "Look at Learnosity's job list; then run again"
            f"{' with another dataset_id' if self._wanted_id else ''}."
        )

    async def _one_dataset(self, handle: Handle, upload: Upload | None) -> CreatedDataset | None:
        await self._handles.save(handle)
        log.info("Initialising dataset %s (%s).", handle.dataset_id, self._request.dataset_type)
        try:
            reply = await self._client.initialise(self._request.body(handle.dataset_id, handle.file_count))
        except TransientApiError as error:
            if not error.sent or error.http_status == 429:
                raise
            if handle.file_count:
                raise _LostReply(error) from None
            log.warning("The reply was lost. %s", error)
            return await self._settle(handle)
        except ConflictError as error:
            raise _conflict(handle.dataset_id, error) from None
        adopted = reply.find("dataset_id")
        if isinstance(adopted, str) and adopted and adopted != handle.dataset_id:
            handle = msgspec.structs.replace(handle, dataset_id=adopted)
        if isinstance(reference := reply.find("job_reference"), str) and reference:
            return await self._started(handle, reference)
        if upload is None:
            raise UnexpectedReplyError(
                "Learnosity's reply has no job_reference, although the dataset has no input files to wait for."
            )
        handle = await self._upload(handle, upload, upload_urls(reply, handle.file_count))
        return await self._commence(handle)

    async def _upload(self, handle: Handle, upload: Upload, urls: Sequence[str]) -> Handle:
        """PUT every part; each one is noted when it is there."""
        handle = msgspec.structs.replace(handle, step="uploading")
        await self._handles.save(handle)
        progress = Progress("Uploaded", len(upload.parts))
        gate = asyncio.Semaphore(UPLOAD_CONCURRENCY)
        noting = asyncio.Lock()

        async def put(part: Part) -> None:
            nonlocal handle
            async with gate:
                await self._put(urls[part.index], upload.file, part)
            async with noting:
                handle = msgspec.structs.replace(handle, uploaded=(*handle.uploaded, part.index))
                await self._handles.save(handle)
            progress.add(part.length)

        try:
            async with asyncio.TaskGroup() as group:
                for part in upload.parts:
                    group.create_task(put(part))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        progress.finish()
        return handle

    async def _put(self, url: str, file: BinaryIO, part: Part) -> None:
        for attempt in range(1, UPLOAD_ATTEMPTS + 1):
            try:
                # A repeated PUT overwrites: safe while the URL lives (contract section 5).
                await self._transfer.put(url, file, part.offset, part.length)
                return
            except TransferError as error:
                if attempt == UPLOAD_ATTEMPTS:
                    raise
                wait = error.retry_after if error.retry_after is not None else min(20.0, 2.0**attempt)
                log.warning("Part %d, attempt %d: %s", part.index, attempt, error)
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))

    async def _commence(self, handle: Handle) -> CreatedDataset | None:
        """Start the job; when the reply is lost, find out. None when that is not possible."""
        handle = msgspec.structs.replace(handle, step="commencing", since=int(time.time()))
        await self._handles.save(handle)
        try:
            reference = await self._client.commence(self._request.dataset_type, handle.dataset_id)
        except TransientApiError as error:
            if not error.sent or error.http_status == 429:
                # Nothing was done: the next try may start the job.
                await self._handles.save(msgspec.structs.replace(handle, step="uploading"))
                raise
            log.warning("The reply to starting the job was lost. %s", error)
            return await self._settle(handle)
        except ConflictError:
            log.warning("Learnosity says that the job of dataset %s has been started.", handle.dataset_id)
            return await self._settle(handle, may_start=False)
        return await self._started(handle, reference)

    async def _settle(self, handle: Handle, *, may_start: bool = True) -> CreatedDataset | None:
        """Find out whether the job of an ambiguous step runs; start it only when it certainly does not.

        :param may_start: whether the job may be started when it is nowhere to be seen.
        """
        since = handle.since - CLOCK_SLACK_SECONDS
        jobs: list[Job] = []
        for look in range(2):
            if look:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)  # a job that was just queued may not be listed yet
            jobs = await self._client.jobs(since=since)
            for job in jobs:
                if job.mentions(handle.dataset_id):
                    log.info("Its job runs: %s (%s). Re-attached.", job.reference, job.status)
                    return await self._started(handle, job.reference, reattached=True)
        if not jobs and may_start and handle.file_count and handle.step == "commencing":
            log.info("No job was created since: the job of dataset %s is started now.", handle.dataset_id)
            return await self._commence_again(handle)
        log.warning(
            "%d job(s) were created since, and none of them says which dataset it is for: dataset %s is left alone "
            "and a fresh one is made.",
            len(jobs),
            handle.dataset_id,
        )
        return None

    async def _commence_again(self, handle: Handle) -> CreatedDataset | None:
        try:
            reference = await self._client.commence(self._request.dataset_type, handle.dataset_id)
        except ConflictError:
            return await self._settle(handle, may_start=False)
        return await self._started(handle, reference)

    async def _reattach_started(self, handle: Handle) -> CreatedDataset | None:
        reference = str(handle.job_reference)
        found = [job for job in await self._client.jobs([reference]) if job.reference == reference]
        if found and found[0].is_halted:
            log.info("Job %s of an earlier attempt was halted: a fresh dataset.", reference)
            return None
        status = found[0].status if found else "not listed"
        log.info("Re-attached to job %s of dataset %s (%s).", reference, handle.dataset_id, status)
        return _created(handle, reference, reattached=True)

    async def _started(self, handle: Handle, reference: str, *, reattached: bool = False) -> CreatedDataset:
        handle = msgspec.structs.replace(handle, step="started", job_reference=reference)
        await self._handles.save(handle)
        log.info("Job %s generates dataset %s.", reference, handle.dataset_id)
        return _created(handle, reference, reattached=reattached)


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


def _created(handle: Handle, reference: str, *, reattached: bool) -> CreatedDataset:
    return CreatedDataset(
        handle.dataset_id, reference, handle.file_count, handle.records, handle.bytes, reattached=reattached
    )


def _conflict(dataset_id: str, error: ConflictError) -> RequestError:
    return RequestError(
        f"Dataset {dataset_id} exists already. Leave dataset_id empty to get a new one; a finished dataset is landed "
        f"again by the run that made it. {error}"
    )


def _cannot_begin_again(dataset_id: str, fixed: bool, error: UrlExpiredError) -> PermanentApiError:
    advice = (
        "the upload URLs of a dataset cannot be renewed, and its id cannot be used again: leave dataset_id empty"
        if fixed
        else f"{MAX_DATASETS} datasets were begun, and the URLs of each ran out: look at the network to the upload host"
    )
    return PermanentApiError(f"The input of dataset {dataset_id} could not be uploaded; {advice}. {error}")
