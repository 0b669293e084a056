"""Makes a dataset: initialise, upload, start the job. The state is saved before and after each step.

A job is never started twice on purpose. If an earlier attempt started a job, that job is used. If an upload was
interrupted, only the missing parts are uploaded. If a reply was lost, the list of jobs is read before anything is sent
again. If it is still unclear whether a job runs, a new dataset is made and logged. `decide` chooses each step.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from learnosity import network
from learnosity.api.dataset_request import DatasetRequest
from learnosity.api.refusals import job_if_listed
from learnosity.api.replies import Reply
from learnosity.creation.decide import Action, Decision, Seen, decide, fresh, with_suspects
from learnosity.creation.errors import id_is_taken, job_is_doubtful, new_id_is_taken, urls_ran_out
from learnosity.creation.initialised import read_initialised
from learnosity.creation.known_jobs import with_known_jobs
from learnosity.creation.state import (
    CreatedDataset,
    CreationState,
    CreationStates,
    Notes,
    RequestIdentity,
    seal,
    unseal,
)
from learnosity.creation.upload import Upload, upload_parts
from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import (
    ConflictError,
    LearnosityError,
    NotReadyError,
    TransientApiError,
    UnexpectedReplyError,
    UrlExpiredError,
)

if TYPE_CHECKING:
    from learnosity.api.client import LearnosityClient
    from learnosity.api.signed_urls import SignedTransfer

log = logging.getLogger(__name__)

# If a dataset cannot be finished, as after a lost reply, an attempt begins a new one: in all at most this many.
MAX_DATASETS = 3  # only one if the run config names the `dataset_id`, because an id cannot be used twice
# Longest wait before the second dataset, in seconds: a short problem of the API or the network may have ended then.
FIRST_WAIT = 2.0  # twice as long before the third dataset, which is the last one


async def create_dataset(
    client: LearnosityClient,
    transfer: SignedTransfer,
    request: DatasetRequest,
    states: CreationStates,
    *,
    identity: RequestIdentity,
    prepare: Callable[[], Awaitable[Upload | None]],
    identify_input: Callable[[], Awaitable[str]],
    dataset_id: str | None = None,
) -> CreatedDataset:
    """Make a dataset and start its job, or use the job that an earlier attempt started.

    :param states: where the state is kept between attempts.
    :param identity: what the dataset is made from. It shows whether an earlier attempt made the same dataset.
    :param prepare: checks the input and copies it to a local file. Called at most once, and only before a dataset is
        initialised or uploaded. Returns None when there is no input.
    :param identify_input: returns the digest of the input files as they are now (see `RequestIdentity.input`).
    :param dataset_id: UUID to use. None = a new one for every dataset.
    :raises PermanentError: the run config, the input or the Airflow connection must change.
    :raises TransientError: a later try may succeed. The later try continues where this try ended.
    """
    noted = await states.load()
    if noted is not None and noted.identity.input:
        try:
            identity = replace(identity, input=await identify_input())
        except LearnosityError as error:
            # If the input files cannot be listed, they count as unchanged. Otherwise, a second dataset would be made.
            log.warning("It is not known whether the input has changed. %s", error)
    return await _Creation(client, transfer, request, Notes(states, noted), identity, prepare, dataset_id).run(noted)


@dataclass(eq=False)
class _Creation:
    """One call of `create_dataset`. It executes one decision after the other. Each step returns the next decision."""

    client: LearnosityClient
    transfer: SignedTransfer
    request: DatasetRequest
    notes: Notes
    identity: RequestIdentity
    prepare: Callable[[], Awaitable[Upload | None]]
    fixed_id: str | None
    prepared: tuple[Upload | None] | None = None
    seen: Seen = field(default_factory=Seen)
    started_here: bool = False
    datasets: int = 0
    commences: int = 0
    conflicts: int = 0
    failure: LearnosityError | None = None
    """Why the last dataset could not be finished. It is raised when no other dataset may be made."""
    unread: LearnosityError | None = None
    """A reply to a call that may have started the job is not understood. It is raised unless the job is listed."""

    async def run(self, noted: CreationState | None) -> CreatedDataset:
        """Execute decisions until a job runs."""
        if noted is not None:
            await self.notes.save(noted)  # stores the id of this attempt: an earlier attempt that still runs then stops
        earlier = noted.dataset_id if noted else ""
        decision = self._decide()
        while decision.action is not Action.REATTACH:
            if self.unread is not None and decision.action is not Action.ASK:
                raise self.unread
            if decision.doubtful:
                self.failure = job_is_doubtful(bool(self.fixed_id))
            log.log(logging.WARNING if self.failure else logging.INFO, "%s", decision.why)
            match decision.action:
                case Action.ASK:
                    decision = await self._ask(decision)
                case Action.UPLOAD:
                    decision = await self._go_on_uploading()
                case Action.START:
                    decision = await self._start()
                case Action.FRESH:
                    decision = await self._fresh(earlier)
                case Action.GIVE_UP:
                    raise self.failure or job_is_doubtful(bool(self.fixed_id))
        log.info("%s", decision.why)
        return await self._finished(decision.job_reference)

    def _decide(self) -> Decision:
        return decide(self.notes.state, self.identity, self.seen, fixed_id=self.fixed_id is not None)

    async def _ask(self, decision: Decision) -> Decision:
        """Read the list of jobs."""
        if (state := self._noted).step == "started":
            jobs = await job_if_listed(self.client, str(state.job_reference))
        else:
            await asyncio.sleep(decision.wait_seconds)
            jobs = await self.client.jobs(since=state.since or None)
            if (suspecting := with_suspects(state, jobs)) != state:
                await self.notes.save(suspecting)
        self.seen = Seen(tuple(jobs), self.seen.polls + 1, self.seen.job_exists)
        return self._decide()

    async def _fresh(self, earlier: str) -> Decision:
        """Initialise a new dataset. `earlier`: the dataset id of an earlier attempt, for the message of a conflict."""
        if self.datasets >= (1 if self.fixed_id else MAX_DATASETS):
            return Decision(Action.GIVE_UP, f"{self.datasets} dataset(s) were begun, and none could be finished.")
        if self.datasets:
            await asyncio.sleep(network.backoff_seconds(self.datasets, None, first=FIRST_WAIT, most=float("inf")))
        self.datasets += 1
        self.seen, self.commences, self.failure = Seen(), 0, None
        upload = await self._input()
        self.identity = replace(self.identity, input=upload.identity if upload else "")
        dataset_id, file_count = self.fixed_id or str(uuid.uuid4()), len(upload.parts) if upload else 0
        state = CreationState.begun(dataset_id, upload, self.identity, self._body(dataset_id, file_count))
        await self.notes.save(state if file_count else await with_known_jobs(self.client, state))
        log.info("Initialising dataset %s (%s).", dataset_id, self.request.dataset_type)
        try:
            reply = await self.client.initialise(state.request, before_send=self.notes.check_before_call)
        except ConflictError as error:
            if self.fixed_id:
                raise id_is_taken(dataset_id, error, ours=dataset_id == earlier) from None
            # The id is new, so no other call has used it. Perhaps this call arrived twice, and worked the first time.
            # If there are no input files, it has then also started the job. So `decide` looks for the job in the list.
            conflict = new_id_is_taken(dataset_id, error)
            if self.conflicts:
                raise conflict from None  # two new ids cannot both be taken: the conflict has another cause
            self.conflicts, self.failure = 1, conflict
            log.warning("%s", conflict)
            self.seen = Seen(job_exists=True)
            return self._decide()
        except LearnosityError as error:
            if error.nothing_done:
                await self.notes.save_if_possible(replace(self._noted, nothing_done=True))
            if error.nothing_done or (file_count and not isinstance(error, TransientApiError)):
                raise
            return await self._lost(error, "The reply was lost.")
        try:
            return await self._initialised(reply, upload)
        except UnexpectedReplyError as error:
            if file_count:  # if there are input files, this call starts no job: no job needs to be searched for
                raise
            return await self._lost(error, "The reply is not understood.")

    async def _lost(self, error: LearnosityError, what: str) -> Decision:
        """What follows if the reply to a call that may have had an effect says nothing that can be used."""
        self.failure = error
        log.warning("%s %s", what, error)
        if not isinstance(error, TransientApiError):
            self.unread = error
        if isinstance(error, UnexpectedReplyError):
            await self.notes.save_if_possible(replace(self._noted, unread=True))
        self.seen = Seen()
        return self._decide()

    async def _initialised(self, reply: Reply, upload: Upload | None) -> Decision:
        state = self._noted
        given = read_initialised(reply, state.dataset_id, state.file_count, fixed=self.fixed_id is not None)
        # The dataset lands in a folder with this id. If the id cannot be a folder's name, this call raises an error.
        DatasetLayout(self.request.dataset_type, given.dataset_id)
        if given.dataset_id != state.dataset_id:
            request = {**state.request, "dataset_id": given.dataset_id}
            state = replace(state, dataset_id=given.dataset_id, request=request)
            log.info("Learnosity gave the dataset another id: %s.", state.dataset_id)
        if upload is None:
            return await self._started(state, given.job_reference)
        sealed = seal(given.urls, secret=self.client.config.credentials.consumer_secret, dataset_id=state.dataset_id)
        await self.notes.save(replace(state, step="uploading", sealed_urls=sealed))
        return await self._upload(upload, given.urls)

    async def _go_on_uploading(self) -> Decision:
        """Upload the parts that are still missing, to the URLs that an earlier attempt got."""
        state, secret = self._noted, self.client.config.credentials.consumer_secret
        urls = unseal(state.sealed_urls, secret=secret, dataset_id=state.dataset_id)
        if len(urls) != state.file_count:
            return fresh("Its upload URLs are gone, and no job was started")
        upload = await self._input()
        if upload is None or upload.sha256 != state.input_sha256 or len(upload.parts) != state.file_count:
            return fresh("The input has changed since, and no job was started")
        log.info("Dataset %s: %d of %d parts are uploaded.", state.dataset_id, len(state.uploaded), state.file_count)
        return await self._upload(upload, urls)

    async def _upload(self, upload: Upload, urls: list[str]) -> Decision:
        async def uploaded(part: int) -> None:
            await self.notes.save(replace(self._noted, uploaded=(*self._noted.uploaded, part)))

        try:
            await upload_parts(self.transfer, upload, urls, skip=self._noted.uploaded, uploaded=uploaded)
        except UrlExpiredError as error:
            self.failure = urls_ran_out(self._noted.dataset_id, bool(self.fixed_id), error)
            return fresh(f"Its upload URLs are no longer good. {error}")
        return self._decide()

    async def _start(self) -> Decision:
        """Start the job of the noted dataset."""
        state, in_doubt = self._noted, self._noted.step == "commencing"
        if not in_doubt:
            # `known_jobs` are the jobs that Learnosity lists now, before the job of this dataset is started. If the
            # reply is lost, the job is then searched for among the other jobs. If `in_doubt`, an earlier call may have
            # started it, so the list may have it already. Then the `known_jobs` from before that call are kept.
            state = await with_known_jobs(self.client, replace(state, step="commencing"))
            await self.notes.save(state)
        self.commences += 1
        try:
            reference = await self.client.commence(
                self.request.dataset_type, state.dataset_id, before_send=self.notes.check_before_call
            )
        except ConflictError:
            log.warning("Learnosity says that the job of dataset %s has been started.", state.dataset_id)
            self.seen = Seen(job_exists=True)
            return self._decide()
        except LearnosityError as error:
            if error.nothing_done and not in_doubt:
                # No job was started. So the step is set back to `uploading`. Then the next attempt starts the job, and
                # does not search the list of jobs for it first.
                await self.notes.save_if_possible(replace(state, step="uploading"))
            if isinstance(error, NotReadyError):
                self.failure = error
                return fresh(f"It lacks input that was uploaded, and no job was started. {error}")
            if error.nothing_done or (self.commences > 1 and isinstance(error, TransientApiError)):
                raise  # no second job: if the saved step is `commencing`, the next attempt reads the list of jobs first
            return await self._lost(error, "The reply to starting the job was lost, or is not understood.")
        return await self._started(state, reference)

    async def _started(self, state: CreationState, reference: str) -> Decision:
        await self.notes.save(state.of_started(reference))
        self.started_here = True
        return Decision(Action.REATTACH, f"Job {reference} generates dataset {state.dataset_id}.", reference)

    async def _finished(self, reference: str) -> CreatedDataset:
        state = self._noted
        if state.request and not state.asks_for(self._body(state.dataset_id, state.file_count)):
            log.warning("The templates render differently now. Dataset %s keeps the request as sent.", state.dataset_id)
        if state.step != "started":
            await self.notes.save(state.of_started(reference))
        return CreatedDataset.of(state, reference, reattached=not self.started_here)

    def _body(self, dataset_id: str, file_count: int) -> dict[str, Any]:
        return self.request.body(dataset_id, file_count, self.client.config.organisation_id)

    async def _input(self) -> Upload | None:
        if self.prepared is None:
            self.prepared = (await self.prepare(),)
        return self.prepared[0]

    @property
    def _noted(self) -> CreationState:
        if self.notes.state is None:
            raise RuntimeError("no dataset was begun")
        return self.notes.state
