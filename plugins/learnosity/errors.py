"""Everything that can go wrong, as types: each error knows whether trying again can help.

No message here may ever hold a secret, a signature or the query of a signed URL: exceptions are logged by
Airflow, shown in its UI and stored in its database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class LearnosityError(Exception):
    """Base of all errors of this package; `transient` says whether the same call may succeed later."""

    transient: ClassVar[bool] = False


class PermanentError(LearnosityError):
    """Trying again cannot help: the task fails at once. The message says what to change."""


class TransientError(LearnosityError):
    """The same call may succeed later; it was already retried with backoff before this was raised."""

    transient = True


class ConnectionConfigError(PermanentError):
    """The Airflow connection cannot be used as it is (missing key, refused host, bad extra)."""


class RequestError(PermanentError):
    """The run config cannot become a dataset request; nothing was sent."""


class StorageError(PermanentError):
    """An object store refused (missing bucket, no permission, unknown scheme); the message names the URI."""


class TransientStorageError(TransientError):
    """An object store failed in a way that passes (503 SlowDown, reset, time-out)."""


class BrokenWriteError(TransientStorageError):
    """A write broke off that was not repeated, because its source had flowed on: the file has to be fetched again.

    :param overload: the store asked for less (429, 503).
    """

    def __init__(self, message: str, *, overload: bool = False) -> None:
        super().__init__(message)
        self.overload = overload


@dataclass(frozen=True, slots=True)
class InputProblem:
    """One thing wrong with the input: where it stands and what is wrong, never the content itself."""

    file: str
    line: int
    """1-based; 0 when the whole file is meant."""
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


class InputError(PermanentError):
    """The input cannot be sent as it is.

    :param headline: what is wrong in one sentence, and what to do.
    :param problems: the first problems found (ten at most are kept).
    :param count: how many problems there are in all; default: as many as given.
    :param at_least: true when reading stopped early, so that there may be more than `count`.
    """

    KEPT: ClassVar[int] = 10

    def __init__(
        self,
        headline: str,
        problems: Sequence[InputProblem] = (),
        count: int | None = None,
        *,
        at_least: bool = False,
    ) -> None:
        self.problems = tuple(problems[: self.KEPT])
        self.count = len(problems) if count is None else count
        self.at_least = at_least
        super().__init__("\n".join([headline, *(f"  {problem}" for problem in self.problems)]))


class ApiError(LearnosityError):
    """The Data API said no.

    :param message: what the API said, and what to do about it.
    :param code: the API's own code (contract section 2.3), None when there was none.
    :param http_status: HTTP status of the reply, None when there was no reply.
    """

    def __init__(self, message: str, *, code: int | None = None, http_status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.http_status = http_status


class PermanentApiError(ApiError, PermanentError):
    """The API refused the request itself; sending it again gives the same answer."""


class AuthenticationError(PermanentApiError):
    """Key, secret, domain or rights are wrong (codes 40xxx, 41xxx)."""


class ConflictError(PermanentApiError):
    """Something with this identity exists already (codes 20011, 30000)."""


class NotReadyError(PermanentApiError):
    """The dataset lacks uploaded files (code 50000)."""


class TransientApiError(ApiError, TransientError):
    """The API or the way to it failed for now (429, 5xx, time-out, reset, truncated or unreadable reply).

    :param retry_after: seconds to wait, where the server said so.
    :param sent: False only when it is certain that the server never saw the request.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(message, code=code, http_status=http_status)
        self.retry_after = retry_after
        self.sent = sent

    @property
    def nothing_done(self) -> bool:
        """Whether it is certain that the call had no effect: never sent, or over the quota (contract section 3)."""
        return not self.sent or self.http_status == 429 or self.code == 42000


class UnexpectedReplyError(PermanentApiError):
    """The API answered in a shape that this package does not understand."""


class JobHaltedError(PermanentError):
    """The job ended without a dataset; the message holds the job's own `error`."""


class UrlExpiredError(TransientError):
    """A signed URL ran out of time."""


class UnsafeNameError(PermanentError):
    """A result file has a name that must not become a path. See `names`."""


class TransferError(TransientError):
    """A file did not arrive whole: reset, time-out, wrong length or wrong hash.

    :param retry_after: seconds to wait, where the server said so.
    :param overload: the server asked for less (429, 503).
    """

    def __init__(self, message: str, *, retry_after: float | None = None, overload: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.overload = overload


class IncompleteDatasetError(TransientError):
    """What landed is not what was listed; nothing was published."""
