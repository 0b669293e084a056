"""The state of the dataset that a task makes, kept from one attempt to the next.

The state is saved before and after each step, so the next attempt knows what may have happened. It contains ids and
counts. Until the job is started, it also contains the upload URLs, because Learnosity does not issue them again. The
URLs give access without a password. So they are encrypted with a key that is made from the consumer secret.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
from cryptography.fernet import InvalidToken
from msgspec.structs import replace

from learnosity.api.encryption import sealing_key
from learnosity.dataset.input_info import InputInfo
from learnosity.errors import LearnosityError, PermanentError

if TYPE_CHECKING:
    from learnosity.creation.upload import Upload

# Saved upload URLs that are older than this many seconds are not used. The URLs expire after 60 minutes, so at least 10
# minutes are left for the upload.
URLS_VALID_SECONDS = 50 * 60
_KEY_PURPOSE = b"learnosity upload urls of dataset "

Step = Literal["initialising", "uploading", "commencing", "started"]


class RequestIdentity(msgspec.Struct, frozen=True):
    """What a dataset is made from. When two attempts have the same identity, they make the same dataset.

    :param account: the account at Learnosity: the API's address and the consumer key.
    :param request: digest of the request as its author wrote it, before templates are rendered. A template such as
        `now()` gives another text at each attempt, but it still means the same dataset.
    :param rendered: digest of the request as rendered now. A request that renders as before has not changed, even if
        its author has written it in another way.
    :param input: digests of names, sizes and entity tags of the input files (`inputs.find.input_identity`). "" = no
        files, or they cannot be listed.
    """

    account: str
    request: str
    input: str = ""
    rendered: str = ""

    def difference(self, noted: RequestIdentity) -> str:
        """What has changed since `noted`, as the beginning of a sentence. "" = nothing has changed.

        Release 1.0 saved identities without an account. Such an identity is treated as the same.
        """
        if not noted.account:
            return ""
        if self.account != noted.account:
            return "The connection leads to another Learnosity account"
        if self.request != noted.request and not (self.rendered and self.rendered == noted.rendered):
            return "The run config or the DAG has changed"
        return "The input files have changed" if self._has_other_input(noted) else ""

    def _has_other_input(self, noted: RequestIdentity) -> bool:
        """Whether the input has changed. Of two digests, the last counts, unless an earlier release noted one."""
        ours, theirs = self.input.split("-"), noted.input.split("-")
        if not self.input or not noted.input:
            return False
        return ours[-1] != theirs[-1] if len(ours) == len(theirs) else ours[0] != theirs[0]


class CreationState(msgspec.Struct, frozen=True):
    """The state of creating a dataset, as it is saved between attempts.

    :param step: before the call is sent: `initialising` or `commencing`. While parts are uploaded: `uploading`. After
        the job was started: `started`.
    :param since: a job of this dataset cannot be older. Unix seconds by Learnosity's clock; 0 = not known.
    :param uploaded: numbers of the parts that are uploaded.
    :param input_sha256: digest of the checked input. Missing parts may only be uploaded from the same input.
    :param sealed_urls: upload URLs, encrypted.
    :param known_jobs: jobs that were listed before the step. None of them can be the job of this dataset.
    :param suspects: jobs that were listed after a lost reply. Each of them may be the job of this dataset.
    :param unread: the reply to a call that may have started the job was not understood. So it is never sent again.
    :param nothing_done: the call that initialises the dataset certainly had no effect, so no job can run.
    :param identity: the account, request and input that the dataset is made from.
    :param request: the SET request that was sent, without its security part.
    :param input: what was uploaded; None = nothing, or an earlier release has saved this.
    :param attempt: id of the attempt that saved this last.
    """

    dataset_id: str
    step: Step
    file_count: int
    since: int
    uploaded: tuple[int, ...] = ()
    job_reference: str | None = None
    records: int = 0
    bytes: int = 0
    input_sha256: str = ""
    sealed_urls: str | None = None
    known_jobs: tuple[str, ...] = ()
    identity: RequestIdentity = RequestIdentity("", "")
    request: dict[str, Any] = {}
    attempt: str = ""
    input: InputInfo | None = None
    suspects: tuple[str, ...] = ()
    nothing_done: bool = False
    unread: bool = False

    @classmethod
    def begun(
        cls, dataset_id: str, upload: Upload | None, identity: RequestIdentity, request: dict[str, Any]
    ) -> CreationState:
        """The state before the call that initialises a dataset. `upload`: its input; None = it has no input files."""
        state = cls(dataset_id, "initialising", file_count=0, since=0, identity=identity, request=request)
        if upload is None:
            return state
        return replace(
            state,
            file_count=len(upload.parts),
            records=upload.records,
            bytes=upload.bytes,
            input_sha256=upload.sha256,
            input=upload.info,
        )

    @property
    def is_uploaded(self) -> bool:
        """Whether every part of the input is uploaded."""
        return 0 < self.file_count == len(set(self.uploaded))

    def asks_for(self, request: dict[str, Any]) -> bool:
        """Whether `request` is the request that was sent. Both are compared as JSON: a tuple equals a list."""
        encoder = msgspec.json.Encoder(order="deterministic")
        return encoder.encode(self.request) == encoder.encode(request)

    def of_started(self, job_reference: str) -> CreationState:
        """This state after the job was started, without what is no longer needed."""
        return replace(self, step="started", job_reference=job_reference, sealed_urls=None, known_jobs=(), suspects=())


@dataclass(frozen=True, slots=True)
class CreatedDataset:
    """A dataset whose job has been started.

    :param file_count: number of input files that were uploaded.
    :param records: number of lines in them.
    :param request: the SET request that was sent, without its security part. Empty when release 1.0 sent it.
    :param input: what was uploaded, with counts of users and groups; None = nothing, or not known.
    :param reattached: whether an earlier attempt started the job.
    """

    dataset_id: str
    job_reference: str
    file_count: int
    records: int
    bytes: int
    request: dict[str, Any]
    input: InputInfo | None = None
    reattached: bool = False

    @classmethod
    def of(cls, state: CreationState, job_reference: str, *, reattached: bool) -> CreatedDataset:
        """The dataset of a state, and its job."""
        return cls(
            state.dataset_id,
            job_reference,
            state.file_count,
            state.records,
            state.bytes,
            state.request,
            state.input,
            reattached=reattached,
        )


class CreationStates(Protocol):
    """Where the state is kept between attempts."""

    async def load(self) -> CreationState | None:
        """The state that was saved last; None = no state was saved."""

    async def save(self, state: CreationState) -> None:
        """Save the state. Returns when it is stored safely."""


class Notes:
    """The state of the dataset that this attempt makes. Every change is saved.

    :param states: where the state is kept between attempts.
    :param loaded: the state that an earlier attempt saved last; None = no state was saved.
    """

    def __init__(self, states: CreationStates, loaded: CreationState | None) -> None:
        self._states = states
        self._loaded = loaded
        self._attempt = uuid.uuid4().hex
        self.state: CreationState | None = None

    async def save(self, state: CreationState) -> None:
        """Save a state under the id of this attempt.

        :raises PermanentError: another attempt has saved a state since this attempt saved or loaded one.
        """
        await self.check_still_ours()
        self.state = replace(state, attempt=self._attempt)
        await self._states.save(self.state)

    async def save_if_possible(self, state: CreationState) -> None:
        """Save what a reply has shown. If this cannot be saved, the next attempt acts as if the reply was lost."""
        with suppress(LearnosityError):
            await self.save(state)

    async def check_before_call(self) -> None:
        """`check_still_ours`, right before a call. Its error says that the call was not sent.

        Earlier tries of the call had no effect: otherwise, the client would not try again.
        """
        try:
            await self.check_still_ours()
        except LearnosityError as error:
            error.nothing_done = True
            raise

    async def check_still_ours(self) -> None:
        """Check that no other attempt has saved a state since then. Airflow can run two attempts if it lost a worker.

        :raises PermanentError: another attempt has saved a state.
        """
        saved, last = await self._states.load(), self.state or self._loaded
        if (saved and saved.attempt) != (last and last.attempt):
            raise PermanentError(
                "Another attempt of this task has taken over, or its state was deleted: this one sends nothing more."
            )


def seal(urls: Sequence[str], *, secret: str, dataset_id: str) -> str:
    """Encrypt upload URLs. The result also holds the time of encryption.

    :param secret: the consumer secret, from which the key is made.
    :param dataset_id: a part of the key: the URLs of one dataset cannot be decrypted for another dataset.
    """
    # The sealed URLs are saved again after each part of the input that is uploaded, so they should be small. The URLs
    # of one dataset are similar, so compression makes them several times smaller.
    packed = zlib.compress(msgspec.json.encode(list(urls)), 9)
    return sealing_key(secret, _KEY_PURPOSE + dataset_id.encode()).encrypt(packed).decode()


def unseal(sealed: str | None, *, secret: str, dataset_id: str) -> list[str]:
    """The decrypted upload URLs. An empty list when they are too old, or when the secret has changed."""
    if not sealed:
        return []
    try:
        packed = sealing_key(secret, _KEY_PURPOSE + dataset_id.encode()).decrypt(
            sealed.encode(), ttl=URLS_VALID_SECONDS
        )
    except InvalidToken:
        return []
    return msgspec.json.decode(zlib.decompress(packed), type=list[str])
