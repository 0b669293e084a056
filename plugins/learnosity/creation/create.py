"""Creating a dataset: initialise, upload, commence, with each step written down before and after it is taken.

A job is never started twice on purpose. What was started is re-attached to, an upload that was cut short goes on
with the parts that are missing; where a reply was lost, the job list is looked at before anything is sent again;
and where that leaves doubt, a fresh dataset is made and the log says so (contract section 6).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec.structs import replace

from learnosity.api.client import LearnosityClient
from learnosity.api.dataset_request import DatasetRequest
from learnosity.api.jobs import REFERENCES_PER_CALL, Job
from learnosity.api.signed_urls import SignedTransfer
from learnosity.creation.state import Handle, HandleStore, Step, seal, unseal
from learnosity.creation.upload import Upload, upload_parts, upload_urls
from learnosity.errors import (
    ConflictError,
    NotReadyError,
    PermanentApiError,
    RequestError,
    TransientApiError,
    UnexpectedReplyError,
    UrlExpiredError,
)

log = logging.getLogger(__name__)

MAX_DATASETS = 3
# Clocks differ: how far before our own note of the time a job may have been created.
CLOCK_SLACK_SECONDS = 300
# A job that was just queued may not be listed yet: seconds between the looks at the list.
LOOK_DELAYS = (0.0, 3.0, 6.0, 12.0)


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
    :param prepare: validates and spools the input; called at most once, and only when something has to be uploaded.
        None = no input.
    :param dataset_id: id to use, a UUID; None = a new one for every dataset.
    :raises PermanentError: when the run config, the input or the connection has to change.
    :raises TransientError: when a later try may succeed; it takes up where this one ended.
    """
    creation = _Creation(client, transfer, request, handles, fingerprint, prepare, dataset_id)
    earlier = await handles.load()
    if earlier is not None and earlier.fingerprint != fingerprint:
        log.info("The run config or the input has changed since dataset %s was begun: a fresh one.", earlier.dataset_id)
        earlier = None
    if earlier is not None and (created := await creation.reattach(earlier)) is not None:
        return created
    return await creation.fresh()


class _LostInitialise(Exception):
    """An initialise call that has not started a job: the input is missing, or the list of jobs says so."""

    def __init__(self, error: TransientApiError) -> None:
        super().__init__(str(error))
        self.error = error


class _Creation:
    """One call of `create_dataset`: the steps, and what they share.

    Each step gives back the dataset with its job started, or None when only a fresh dataset is left.
    """

    def __init__(
        self,
        client: LearnosityClient,
        transfer: SignedTransfer,
        request: DatasetRequest,
        handles: HandleStore,
        fingerprint: str,
        prepare: Callable[[], Awaitable[Upload | None]],
        dataset_id: str | None,
    ) -> None:
        self._client = client
        self._transfer = transfer
        self._request = request
        self._handles = handles
        self._fingerprint = fingerprint
        self._prepare = prepare
        self._prepared: tuple[Upload | None] | None = None
        self._wanted_id = dataset_id
        self._begun: str | None = None

    async def reattach(self, handle: Handle) -> CreatedDataset | None:
        """The dataset of an earlier attempt, its job started."""
        self._begun = handle.dataset_id
        if handle.step == "started" and handle.job_reference:
            return await self._reattach_started(handle)
        if handle.step == "commencing" or (handle.step == "initialising" and handle.file_count == 0):
            return await self._settle(handle)
        if handle.step == "uploading":
            return await self._go_on_uploading(handle)
        log.info("Dataset %s was not begun for certain, and no job was started: a fresh one.", handle.dataset_id)
        return None

    async def fresh(self) -> CreatedDataset:
        """A new dataset, and another one when it cannot be finished, a bounded number of times."""
        upload = await self._input()
        last: Exception | None = None
        for attempt in range(1 if self._wanted_id else MAX_DATASETS):
            if attempt:
                await asyncio.sleep(random.uniform(0.5, 1.0) * 2.0**attempt)  # spreads retries, guards nothing
            handle = Handle(
                fingerprint=self._fingerprint,
                dataset_id=self._wanted_id or str(uuid.uuid4()),
                step="initialising",
                file_count=len(upload.parts) if upload else 0,
                since=int(time.time()),
                records=upload.records if upload else 0,
                bytes=upload.bytes if upload else 0,
                input_sha256=upload.sha256 if upload else "",
            )
            try:
                created = await self._one_dataset(handle, upload)
            except UrlExpiredError as error:
                last = _cannot_upload(handle.dataset_id, bool(self._wanted_id), error)
                log.warning("Upload URLs of dataset %s are no longer good. %s", handle.dataset_id, error)
            except _LostInitialise as lost:
                last = lost.error
                log.warning("Whether dataset %s was initialised is not known: given up. %s", handle.dataset_id, last)
            else:
                if created is not None:
                    return created
                last = None
        raise last or _doubtful(bool(self._wanted_id))

    async def _input(self) -> Upload | None:
        if self._prepared is None:
            self._prepared = (await self._prepare(),)
        return self._prepared[0]

    async def _one_dataset(self, handle: Handle, upload: Upload | None) -> CreatedDataset | None:
        if not handle.file_count:
            handle = await self._with_known_jobs(handle)
        await self._handles.save(handle)
        log.info("Initialising dataset %s (%s).", handle.dataset_id, self._request.dataset_type)
        try:
            reply = await self._client.initialise(self._request.body(handle.dataset_id, handle.file_count))
        except TransientApiError as error:
            if error.nothing_done:
                raise
            if handle.file_count:
                raise _LostInitialise(error) from None
            log.warning("The reply was lost. %s", error)
            return await self._settle(handle, lost=error)
        except ConflictError as error:
            raise _conflict(handle.dataset_id, error, ours=handle.dataset_id == self._begun) from None
        adopted = reply.find("dataset_id")
        if isinstance(adopted, str) and adopted and adopted != handle.dataset_id:
            handle = replace(handle, dataset_id=adopted)
        if isinstance(reference := reply.find("job_reference"), str) and reference:
            return await self._started(handle, reference)
        if upload is None:
            raise UnexpectedReplyError(
                "Learnosity's reply has no job_reference, although the dataset has no input files to wait for."
            )
        urls = upload_urls(reply, handle.file_count)
        sealed = seal(urls, secret=self._secret, dataset_id=handle.dataset_id)
        return await self._upload(replace(handle, step="uploading", sealed_urls=sealed), upload, urls)

    async def _go_on_uploading(self, handle: Handle) -> CreatedDataset | None:
        """Upload what an earlier attempt did not, on its URLs."""
        if handle.is_uploaded:
            log.info("Dataset %s has all its input already: starting its job.", handle.dataset_id)
            return await self._commence(handle)
        urls = unseal(handle.sealed_urls, secret=self._secret, dataset_id=handle.dataset_id)
        if urls is None or len(urls) != handle.file_count:
            log.info("The upload URLs of dataset %s are gone; no job was started: a fresh one.", handle.dataset_id)
            return None
        upload = await self._input()
        if upload is None or upload.sha256 != handle.input_sha256 or len(upload.parts) != handle.file_count:
            log.info("The input has changed since dataset %s was begun; no job was started.", handle.dataset_id)
            return None
        log.info("Dataset %s: %d of %d parts are there.", handle.dataset_id, len(handle.uploaded), handle.file_count)
        try:
            return await self._upload(handle, upload, urls)
        except UrlExpiredError as error:
            log.warning("Upload URLs of dataset %s are no longer good. %s", handle.dataset_id, error)
            return None

    async def _upload(self, handle: Handle, upload: Upload, urls: list[str]) -> CreatedDataset | None:
        await self._handles.save(handle)

        async def uploaded(part: int) -> None:
            nonlocal handle
            handle = replace(handle, uploaded=(*handle.uploaded, part))
            await self._handles.save(handle)

        await upload_parts(self._transfer, upload, urls, skip=handle.uploaded, uploaded=uploaded)
        return await self._commence(handle)

    async def _commence(self, handle: Handle) -> CreatedDataset | None:
        """Start the job; when the reply is lost, find out."""
        handle = await self._with_known_jobs(replace(handle, step="commencing", since=int(time.time())))
        await self._handles.save(handle)
        return await self._send_commence(handle, may_start_again=True)

    async def _send_commence(self, handle: Handle, *, may_start_again: bool) -> CreatedDataset | None:
        try:
            reference = await self._client.commence(self._request.dataset_type, handle.dataset_id)
        except TransientApiError as error:
            if error.nothing_done:
                # The next try may start the job without looking.
                await self._handles.save(replace(handle, step="uploading"))
                raise
            if not may_start_again:
                raise  # the handle says `commencing`: the next try looks again
            log.warning("The reply to starting the job was lost. %s", error)
            return await self._settle(handle)
        except ConflictError:
            log.warning("Learnosity says that the job of dataset %s has been started.", handle.dataset_id)
            return await self._settle(handle, may_start=False)
        except NotReadyError as error:
            log.warning("Dataset %s lacks input that was uploaded; no job was started. %s", handle.dataset_id, error)
            return None
        return await self._started(handle, reference)

    async def _with_known_jobs(self, handle: Handle) -> Handle:
        """Note which jobs are there before a job is started: should the reply be lost, they are out of the question."""
        jobs = await self._client.jobs(since=handle.since - CLOCK_SLACK_SECONDS)
        return replace(handle, known_jobs=tuple(job.reference for job in jobs))

    async def _settle(
        self, handle: Handle, *, may_start: bool = True, lost: TransientApiError | None = None
    ) -> CreatedDataset | None:
        """Find out whether the job of an ambiguous step runs; start it only when it certainly does not.

        :param may_start: whether the job may be started when it is nowhere to be seen.
        :param lost: what became of an initialise call, where that was the step.
        """
        suspects: list[Job] = []
        for look, delay in enumerate(LOOK_DELAYS):
            if look >= 2 and suspects:
                break  # those that are there will not become clearer
            await asyncio.sleep(delay)
            jobs = await self._client.jobs(since=handle.since - CLOCK_SLACK_SECONDS)
            for job in jobs:
                if job.mentions(handle.dataset_id):
                    log.info("Its job runs: %s (%s). Re-attached.", job.reference, job.status)
                    return await self._started(handle, job.reference, reattached=True)
            # A list that is full may not show all that is new.
            new = [job for job in jobs if job.reference not in handle.known_jobs]
            suspects = jobs if len(jobs) >= REFERENCES_PER_CALL else new
        if not suspects and may_start and handle.step == "commencing":
            log.info("No job was created since: the job of dataset %s is started now.", handle.dataset_id)
            return await self._send_commence(handle, may_start_again=False)
        if not suspects and handle.step == "initialising":
            log.info("No job was created since: dataset %s was not begun.", handle.dataset_id)
            if lost is not None:
                raise _LostInitialise(lost)
            return None
        log.warning(
            "%d job(s) may have been created since, and none of them says which dataset it is for: dataset %s is left "
            "alone and a fresh one is made.",
            len(suspects),
            handle.dataset_id,
        )
        return None

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
        handle = replace(handle, step="started", job_reference=reference, sealed_urls=None, known_jobs=())
        await self._handles.save(handle)
        log.info("Job %s generates dataset %s.", reference, handle.dataset_id)
        return _created(handle, reference, reattached=reattached)

    @property
    def _secret(self) -> str:
        return self._client.config.credentials.consumer_secret


def _created(handle: Handle, reference: str, *, reattached: bool) -> CreatedDataset:
    return CreatedDataset(
        handle.dataset_id, reference, handle.file_count, handle.records, handle.bytes, reattached=reattached
    )


def _conflict(dataset_id: str, error: ConflictError, *, ours: bool) -> RequestError:
    reason = (
        "an earlier attempt of this task has begun it and could not finish it, and an id cannot be used twice"
        if ours
        else "a finished dataset is landed again by the run that made it"
    )
    return RequestError(
        f"Dataset {dataset_id} exists already. Leave dataset_id empty to get a new one: {reason}. {error}"
    )


def _doubtful(fixed: bool) -> PermanentApiError:
    return PermanentApiError(
        "It cannot be known whether Learnosity started the job of the dataset, and it was not to be started twice. "
        f"Look at Learnosity's job list; then run again{' with another dataset_id' if fixed else ''}."
    )


def _cannot_upload(dataset_id: str, fixed: bool, error: UrlExpiredError) -> PermanentApiError:
    advice = (
        "the upload URLs of a dataset cannot be renewed, and its id cannot be used again: leave dataset_id empty"
        if fixed
        else f"{MAX_DATASETS} datasets were begun, and the URLs of each ran out: look at the network to the upload host"
    )
    return PermanentApiError(f"The input of dataset {dataset_id} could not be uploaded; {advice}. {error}")


__all__ = ["CreatedDataset", "Handle", "HandleStore", "Step", "Upload", "create_dataset", "upload_urls"]
