"""The errors of this package. The type of an error says whether another try can help.

No message may contain a secret, a signature or the query of a signed URL. Airflow logs every exception, shows it in its
UI and stores it in its database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

E = TypeVar("E", bound=BaseException)


class LearnosityError(Exception):
    """Base of all errors of this package. `transient` says whether the same call may succeed later."""

    transient: ClassVar[bool] = False
    nothing_done: bool = False
    """Whether the call of the API that ended with it certainly had no effect: it was never sent, or it was refused."""


class PermanentError(LearnosityError):
    """Another try cannot help, so the task fails at once. The message says what to change."""


class TransientError(LearnosityError):
    """The same call may succeed later: Airflow retries the task."""

    transient = True


class ConnectionConfigError(PermanentError):
    """The Airflow connection cannot be used (missing key, refused host, bad extra, a proxy that refuses)."""

    nothing_done = True  # a call that fails with this error was never sent


class RequestError(PermanentError):
    """The run config cannot become a dataset request. Nothing was sent."""


class StorageError(PermanentError):
    """An object store refused (missing bucket, no permission, unknown scheme). The message names the URI."""

    wrong_region = False
    """Whether the reply may mean that the bucket lies in another region."""
    denied = False
    """Whether the credentials are good and may not do this."""


class TooLargeError(StorageError):
    """An object is larger than the reader allows, so it is not read."""


class UnreadableNameError(StorageError):
    """An object has a name that the store's client cannot open, such as `a//b`."""


class MissingExtraError(PermanentError):
    """A package that not every deployment needs is not installed. The message names the extra that installs it."""


class FolderNotFoundError(StorageError):
    """A local folder that must be read does not exist."""


class TransientStorageError(TransientError):
    """An object store failed temporarily (503 SlowDown, reset, time-out)."""

    wrong_region = False
    """Whether the reply may mean that the bucket lies in another region."""


class BrokenWriteError(TransientStorageError):
    """A write from a stream failed. A stream cannot be read twice, so the file must be downloaded again.

    :param overload: the store asked for fewer requests (429, 503); default False.
    """

    def __init__(self, message: str, *, overload: bool = False) -> None:
        super().__init__(message)
        self.overload = overload


@dataclass(frozen=True, slots=True)
class InputProblem:
    """One problem of the input: file, line and reason. It never contains the content of the line."""

    file: str
    line: int
    """Counted from 1. 0 = the problem is about the whole file."""
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


class InputError(PermanentError):
    """The input has problems, so it cannot be sent.

    :param headline: what is wrong in one sentence, and what to do.
    :param problems: the first problems that were found. At most ten are kept.
    :param count: number of problems in all; default: the number of `problems`.
    :param at_least: reading stopped early, so there may be more than `count` problems; default False.
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
    """The Data API refused a call, or a call failed.

    :param message: the reason that the API gave, and what to do about it.
    :param code: the API's own error code (docs/learnosity-api.md, "Replies and errors"); None = the reply had none.
    :param http_status: HTTP status of the reply; None = no reply came.
    """

    host: str = ""
    """Host that was called, with its port if it has one; "" = not known. The client adds it."""

    def __init__(self, message: str, *, code: int | None = None, http_status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.http_status = http_status


class PermanentApiError(ApiError, PermanentError):
    """The API refused the request itself. Sending it again gives the same answer."""


class WrongAddressError(PermanentApiError):
    """What replied is not the Data API: a redirect, or a refusal without the API's verdict."""


class AuthenticationError(PermanentApiError):
    """Key, secret, domain or rights are wrong (codes 40xxx, 41xxx)."""


class ConflictError(PermanentApiError):
    """A dataset with this id, or its job, exists already (codes 20011, 30000)."""


class NotReadyError(PermanentApiError):
    """Input files of the dataset have not been uploaded (code 50000)."""


class TransientApiError(ApiError, TransientError):
    """The API or the network failed temporarily (429, 5xx, time-out, reset, truncated or unreadable reply).

    :param retry_after: seconds that the server asks to wait; None = the server gives no time.
    :param sent: False only when it is certain that the server never got the request; default True.
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
        self.nothing_done = not sent or http_status == 429 or code == 42000


class DatasetNotReadyError(TransientApiError):
    """The job has ended, but its dataset cannot be read yet."""


class UnexpectedReplyError(PermanentApiError):
    """The API sent a reply that this package does not understand."""


class OddEndError(PermanentApiError):
    """The record of a job says when it has ended, with a status that is not documented."""


class JobHaltedError(PermanentError):
    """The job ended without a dataset. The message contains the job's `error`."""


class UrlExpiredError(TransientError):
    """A signed URL has expired."""


class UnsafeNameError(PermanentError):
    """A file name cannot be used as a path. See `dataset.file_names.safe_path` for the rules."""


class TransferError(TransientError):
    """A file did not arrive completely: reset, time-out, wrong length or wrong hash.

    :param retry_after: seconds that the server asks to wait; None = the server gives no time.
    :param overload: the server asked for fewer requests (429, 503); default False.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, overload: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.overload = overload


class ChangedFileError(TransferError):
    """The file on the server has changed during the download. It must be downloaded again from its first byte."""


class OtherSizeError(ChangedFileError):
    """A whole file has another number of bytes than its listing gives. The message has both numbers."""


class IncompleteDatasetError(PermanentError):
    """Files of a dataset are missing or changed. Nothing is published. A person must correct this."""


class GapError(PermanentError):
    """Less came back than was uploaded, or this cannot be known, and `require_complete` is on. Nothing is published."""


class Findings:
    """Permanent errors of checks that do not depend on each other, so that one error can name all of them.

    Each check is made in a `with` block. A temporary error ends the checks, unless a permanent one was found before: no
    later try could mend that.
    """

    def __init__(self) -> None:
        self._errors: list[PermanentError] = []

    def __enter__(self) -> None:
        """Begin a check."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Keep a permanent error."""
        if isinstance(error, PermanentError):
            self._errors.append(error)
            return True
        return isinstance(error, TransientError) and bool(self._errors)

    def check(self) -> None:
        """End the checks.

        :raises PermanentError: something was found. A single error is raised as it is.
        """
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            raise RequestError("\n".join(["Several things are missing or wrong:", *map(str, self._errors)]))


def first_error(several: BaseExceptionGroup[E]) -> E:
    """The most serious error of a group: a programming error, else a permanent error, else the first one."""
    errors: list[E] = []
    for error in several.exceptions:
        errors.append(first_error(error) if isinstance(error, BaseExceptionGroup) else error)
    return min(errors, key=lambda error: (isinstance(error, LearnosityError), getattr(error, "transient", False)))
