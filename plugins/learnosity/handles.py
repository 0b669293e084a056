"""The handle: what a task remembers of the dataset it is making, from one attempt to the next.

It is written before and after each step, so that whatever dies, the next attempt knows what may have happened.
It holds ids and counts; upload URLs only sealed (see `sealing`), and only until the job is started.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

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
