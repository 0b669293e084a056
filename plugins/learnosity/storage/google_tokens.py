"""Gives obstore the tokens of Google credentials, and says whether a failure to get one can pass.

obstore calls a provider in a thread of its own, never in the event loop. What a provider raises comes back from obstore
as text; `storage.errors` makes it an error again.
"""

from __future__ import annotations

import os
from datetime import UTC, timedelta
from typing import Any

from learnosity.errors import StorageError, TransientStorageError
from learnosity.storage.error_codes import judge

# They say that there is a metadata server, and where.
_METADATA = ("GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP")


class GoogleTokens:
    """A provider of tokens.

    :param credentials: of google-auth.
    :param named: whose credentials they are, for messages, after "the".
    """

    refresh_threshold = timedelta(minutes=3, seconds=45)  # as in google-auth

    def __init__(self, credentials: Any, named: str) -> None:
        self._credentials = credentials
        self._named = named

    def __call__(self) -> dict[str, Any]:
        """The token, and when it expires.

        :raises TransientStorageError: the token service or the metadata server cannot be reached, or has a fault.
        :raises StorageError: it refuses.
        """
        request = _Request()
        try:
            self._credentials.refresh(request)
        # google-auth also raises what its parts raise: a KeyError for a reply without a token.
        except Exception as error:
            if request.failed or (request.passes if request.status else not is_reachable(error)):
                raise TransientStorageError(no_token(self._named, "could not be reached", error, request)) from None
            raise StorageError(no_token(self._named, "refused", error, request)) from None
        expiry = self._credentials.expiry
        return {"token": self._credentials.token, "expires_at": expiry and expiry.replace(tzinfo=expiry.tzinfo or UTC)}


class _Request:
    """Sends the requests of google-auth, and remembers how the last one ended.

    google-auth has one type of error for a refusal and for a fault of the server.
    """

    def __init__(self) -> None:
        from google.auth.transport.requests import Request

        self._send = Request()
        self.status = 0  # of the last reply; 0 = there is none
        self.failed = False  # no reply came to the last request

    @property
    def passes(self) -> bool:
        """Whether the last reply was a fault of the server, or none that google-auth understands."""
        return judge(self.status).transient or self.status < 300

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.status, self.failed = 0, True
        response = self._send(*args, **kwargs)
        self.status, self.failed = response.status, False
        return response


def is_reachable(error: Exception) -> bool:
    """Whether credentials could be reached, as far as an error of Google's libraries says it."""
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import DefaultCredentialsError, TransportError

    if isinstance(error, GoogleAPICallError):
        return not judge(int(error.code or 503)).transient
    if isinstance(error, DefaultCredentialsError):
        # google-auth has asked the metadata server, and takes no reply for no server.
        return not any(os.environ.get(name) for name in _METADATA)
    # Among the OSErrors are those of the library requests.
    return not isinstance(error, TransportError | RetryError | OSError) and not getattr(error, "retryable", False)


def no_token(named: str, how: str, error: Exception, request: _Request | None = None) -> str:
    """A message without the error's own text, which may contain a part of a key."""
    status = f", HTTP {request.status}" if request and request.status else ""
    advice = "" if how == "could not be reached" else " Check its fields, and the rights of its account."
    return f"no Google token for the {named}: it {how} ({type(error).__name__}{status}).{advice}"
