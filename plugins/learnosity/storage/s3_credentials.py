"""AWS credentials of a botocore session in the form that obstore takes, and what their errors mean.

botocore knows how long credentials are valid and how to get new ones. obstore asks this module every second. Minutes
before the credentials end, a thread gets new ones. Until then, writes use the old ones, which are still valid.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learnosity.errors import ConnectionConfigError, LearnosityError, TransientStorageError
from learnosity.redaction import redact_text
from learnosity.storage.error_codes import cause_of, judge

if TYPE_CHECKING:
    from obstore.store import S3Credential

log = logging.getLogger(__name__)

# If the credentials can expire, obstore keeps them for this time. Then it asks `SessionCredentials` for them again. The
# time is short, because obstore should use new credentials soon after the thread below has got them.
HELD = timedelta(seconds=1)
# Credentials that expire in fewer seconds than this are not used: they could expire on the way to the server.
MARGIN_SECONDS = 60
# While the old credentials are still valid, a thread gets new ones. The next thread starts at least this many seconds
# after this one has ended. Without this wait, one thread would follow the other as long as AWS gives no new ones.
RETRY_SECONDS = 10.0

_ADVICE = "Check login, password and extra of the connection (docs/stores.md)."
_VENDOR = Path("/sys/devices/virtual/dmi/id/sys_vendor")


class SessionCredentials:
    """Gives obstore the credentials of a botocore session while they are valid.

    :param credentials: botocore's `Credentials`; None = unsigned requests.
    :param named: the Airflow connection, for messages.
    """

    # obstore reads this attribute, and with 0 it asks again when `expires_at` is reached. By default, it asks 5 minutes
    # before that. As `expires_at` is only `HELD` away, it would then ask before each request.
    refresh_threshold = timedelta(0)

    def __init__(self, credentials: Any, named: str) -> None:
        self._credentials = credentials
        self._named = named
        self._lock = threading.Lock()
        self._frozen: Any = None
        self._renewal: threading.Thread | None = None
        self._wait_until = datetime.min.replace(tzinfo=UTC)

    def __call__(self) -> S3Credential:
        """The credentials.

        :raises ConnectionConfigError: AWS refuses to give them.
        :raises TransientStorageError: AWS could not be reached.
        """
        frozen = self.frozen()
        ends = getattr(self._credentials, "refresh_needed", None) is not None
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            # If the token is empty, botocore sends none. obstore would send the empty token, so it gets None.
            "token": frozen.token or None,
            "expires_at": datetime.now(UTC) + HELD if ends else None,
        }

    def frozen(self) -> Any:
        """botocore's `ReadOnlyCredentials`. This can wait for AWS: call it outside an event loop."""
        needed: Callable[..., bool] | None = getattr(self._credentials, "refresh_needed", None)
        with self._lock:
            if self._frozen is None or (needed is not None and needed(MARGIN_SECONDS)):
                self._frozen = self._fresh()
            elif needed is not None and needed():
                self._renew_beside()
            return self._frozen

    def _fresh(self) -> Any:
        try:
            frozen = self._credentials.get_frozen_credentials()
        except Exception as error:
            raise credentials_error(error, self._named) from None
        if frozen.secret_key is None:
            raise ConnectionConfigError(f"No access to S3 with {self._named}: its access key has no secret. {_ADVICE}")
        return frozen

    def _renew_beside(self) -> None:
        if (self._renewal is not None and self._renewal.is_alive()) or datetime.now(UTC) < self._wait_until:
            return

        def renew() -> None:
            try:
                frozen = self._fresh()
            except LearnosityError as error:
                # The old credentials are still valid, so a warning is enough. If there are no new ones shortly before
                # the old ones expire, `frozen` asks for new ones itself, and raises the error.
                log.warning("%s The credentials in use are still valid. New ones are asked for again.", error)
            else:
                with self._lock:
                    self._frozen = frozen
            self._wait_until = datetime.now(UTC) + timedelta(seconds=RETRY_SECONDS)

        self._renewal = threading.Thread(target=renew, name="aws-credentials", daemon=True)
        self._renewal.start()


def credentials_error(error: Exception, named: str) -> LearnosityError:
    """The error of this package for credentials that could not be got. An unreachable service may be tried again.

    :param named: the Airflow connection or the environment, for the message.
    """
    if isinstance(error, LearnosityError):
        return error
    text = redact_text(" ".join(str(error).split()))[:300].rstrip(".") or type(error).__name__
    if may_pass(error):
        return TransientStorageError(f"No AWS credentials from {named} for now: {text}.")
    return ConnectionConfigError(f"No access to S3 with {named}: {type(error).__name__}: {text}. {_ADVICE}")


def may_pass(error: Exception) -> bool:
    """Whether the same call of AWS, such as one for credentials, may succeed later.

    :param error: of botocore.
    """
    from botocore import exceptions as aws  # type: ignore[import-untyped]

    if isinstance(error, aws.ClientError):
        details = error.response.get("Error", {})
        return judge(int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)), _code(details)).transient
    if isinstance(error, aws.SSLError | aws.InvalidProxiesConfigError):
        return False
    if isinstance(error, aws.NoCredentialsError):
        return _has_metadata_service()
    if type(error) is aws.HTTPClientError:
        return False  # botocore itself failed; a network failure would be a subclass of this, or a `ConnectionError`
    if isinstance(error, aws.ConnectionError | aws.HTTPClientError):
        return cause_of(OSError(), str(error.kwargs.get("error", ""))).transient
    if isinstance(error, aws.MetadataRetrievalError | aws.CredentialRetrievalError):
        # The service or the program that gives the credentials has failed. If it replied with one of these HTTP
        # statuses, it refuses for good. All other failures may be temporary.
        return not any(f"response {status}" in str(error) for status in (400, 401, 403, 404))
    if (status := getattr(getattr(error, "response", None), "status_code", None)) is not None:
        return judge(int(status)).transient  # this is the HTTP status of an identity provider's reply
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError):
        return False
    # botocore raises this RuntimeError if the credentials that it has just received have already expired. The next ones
    # may be valid, so the error counts as temporary.
    return isinstance(error, OSError) or (isinstance(error, RuntimeError) and "still expired" in str(error))


def _code(details: Any) -> str:
    """The error code of an AWS service. An identity service has another name for `ServiceUnavailable`."""
    code = str(details.get("Code", ""))
    return {"IDPCommunicationError": "ServiceUnavailable"}.get(code, code)


def _has_metadata_service() -> bool:
    """Whether this machine gets credentials from a metadata service. They may be missing for a while."""
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return False
    if os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT"):
        return True
    try:
        return "Amazon EC2" in _VENDOR.read_text()
    except OSError:
        return False
