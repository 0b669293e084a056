"""The handle: what a task remembers of the dataset it is making, from one attempt to the next.

It is written before and after each step, so that whatever dies, the next attempt knows what may have happened.
It holds ids and counts; upload URLs only sealed (see `sealing`), and only until the job is started.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# They live for 60 minutes (contract section 4.1); what is left of them has to last for an upload.
GOOD_FOR_SECONDS = 50 * 60
_PURPOSE = b"learnosity upload urls of dataset "

Step = Literal["initialising", "uploading", "commencing", "started"]


class Handle(msgspec.Struct, frozen=True):
    """What is remembered between attempts.

    :param fingerprint: of the request it belongs to: with another one it is worth nothing.
    :param step: the step that was about to be taken (`initialising`, `commencing`), is under way (`uploading`) or
        is over (`started`).
    :param since: Unix seconds just before the step was taken.
    :param uploaded: parts that are there.
    :param input_sha256: of the input as it was spooled; parts of another input do not go together with these.
    :param sealed_urls: upload URLs, encrypted.
    :param known_jobs: jobs that were there before the step was taken, and so are not its effect.
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
    input_sha256: str = ""
    sealed_urls: str | None = None
    known_jobs: tuple[str, ...] = ()

    @property
    def is_uploaded(self) -> bool:
        """Every part of the input is there."""
        return 0 < self.file_count == len(set(self.uploaded))


class HandleStore(Protocol):
    """Where the handle is kept between attempts."""

    async def load(self) -> Handle | None:
        """The handle of an earlier attempt."""

    async def save(self, handle: Handle) -> None:
        """Keep it; returns when it is safe."""


def seal(urls: Sequence[str], *, secret: str, dataset_id: str) -> str:
    """Encrypt URLs, with the time of day inside.

    :param secret: the consumer secret.
    :param dataset_id: the seal of one dataset does not open under another's id.
    """
    # A hundred URLs differ in little: packed, they are a sixth of their size.
    packed = zlib.compress(msgspec.json.encode(list(urls)), 9)
    return _fernet(secret, dataset_id).encrypt(packed).decode()


def unseal(sealed: str | None, *, secret: str, dataset_id: str) -> list[str] | None:
    """The URLs, or None when they are too old, or the secret is another one by now."""
    if not sealed:
        return None
    try:
        packed = _fernet(secret, dataset_id).decrypt(sealed.encode(), ttl=GOOD_FOR_SECONDS)
    except InvalidToken:
        return None
    return msgspec.json.decode(zlib.decompress(packed), type=list[str])


def _fernet(secret: str, dataset_id: str) -> Fernet:
    derived = HKDF(SHA256(), length=32, salt=None, info=_PURPOSE + dataset_id.encode()).derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
