"""Gives requests to GCS the tokens of Google credentials, and says whether a failure to get one can pass.

obstore calls a provider in a thread of its own, never in the event loop. What a provider raises comes back from obstore
as text; `storage.errors` makes it an error again.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, timedelta
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from learnosity.egress import Egress, proxy_failure
from learnosity.errors import LearnosityError, StorageError, TransientStorageError
from learnosity.storage.bucket_listing import listing_url, s3_values
from learnosity.storage.error_codes import cause_of, judge

# Environment variables that hold the address of a metadata server. Google's library asks that server for tokens. If one
# is set, this machine should have such a server. So if the server does not reply, this failure counts as temporary.
_METADATA = ("GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP")

# Google's error has these words if the times in a request for a token are too old, or in the future. So a clock is
# wrong: here or at Google.
_OF_TIME = "Check your iat and exp values"

_NO_TOKEN = "replied with something that is no token"


class GoogleTokens:
    """A provider of tokens.

    :param credentials: of google-auth.
    :param named: whose credentials they are, for messages, after "the".
    :param egress: the proxy and TLS settings of the requests for tokens.
    """

    # obstore reads this attribute, and asks for a new token this long before the old one expires, as google-auth does.
    refresh_threshold = timedelta(minutes=3, seconds=45)

    def __init__(self, credentials: Any, named: str, egress: Egress) -> None:
        self._credentials = credentials
        self._named = named
        self._egress = egress

    def __call__(self) -> dict[str, Any]:
        """The token, and when it expires.

        :raises TransientStorageError: the token service or the metadata server cannot be reached, or has a fault.
        :raises StorageError: it refuses, or its certificate is not trusted.
        :raises ConnectionConfigError: a proxy or a PEM file of the settings cannot be used.
        """
        self._asked(self._credentials.refresh)
        expiry = self._credentials.expiry
        return {"token": self._credentials.token, "expires_at": expiry and expiry.replace(tzinfo=expiry.tzinfo or UTC)}

    def project(self) -> str:
        """The project of federated credentials; "" = it is not known. Raises the errors of a call."""
        look_up = getattr(self._credentials, "get_project_id", None)
        return str((look_up and self._asked(look_up)) or "")

    def _asked(self, call: Callable[[_Request], Any]) -> Any:
        request = _Request(self._egress)
        try:
            return call(request)
        except LearnosityError:
            raise
        # google-auth does not turn all errors into its own. A reply without a token, for example, raises a KeyError. So
        # all errors are caught.
        except Exception as error:
            if request.failed:
                raise self._no_reply(request, error) from None
            if request.passes if request.status else not is_reachable(error):
                how = _NO_TOKEN if 200 <= request.status < 300 else "could not be reached"
                raise TransientStorageError(no_token(self._named, how, error, request)) from None
            raise StorageError(no_token(self._named, "refused", error, request)) from None

    def _no_reply(self, request: _Request, error: Exception) -> LearnosityError:
        if failure := proxy_failure(request.proxy, str(error)):
            what, transient = failure
        else:
            cause = cause_of(OSError(), str(error))
            what, transient = f"{cause.what} (at {request.host}). {cause.advice}", cause.transient
        if transient and not failure:
            return TransientStorageError(no_token(self._named, "could not be reached", error, request))
        kind = TransientStorageError if transient else StorageError
        return kind(f"no Google token for the {self._named}: {what}")

    def current(self) -> str:
        """A token that is valid now. Raises the errors of a call."""
        if not self._credentials.valid:
            self()
        return str(self._credentials.token)


class GoogleRequests:
    """The requests for listings (see `ListingRequests`) and deletions, of the XML API, as obstore's.

    :param bucket_url: URL of the bucket.
    :param tokens: None = no identity.
    :param headers: headers of each request, such as who pays.
    """

    def __init__(self, bucket_url: str, tokens: GoogleTokens | None, headers: Mapping[str, str]) -> None:
        self._bucket_url = bucket_url
        self._tokens = tokens
        self._headers = dict(headers)

    async def listing(self, below: str, token: str, *, folders: bool) -> tuple[str, Mapping[str, str]]:
        """The URL and all headers of the request for a page."""
        return listing_url(self._bucket_url, s3_values(below, token, folders=folders)), await self._authorized()

    async def deletion(self, key: str) -> tuple[str, Mapping[str, str]]:
        """The URL and all headers of the request that deletes one object. See `DeletionRequests`."""
        return f"{self._bucket_url}/{quote(key, safe='/~')}", await self._authorized()

    async def _authorized(self) -> Mapping[str, str]:
        if self._tokens is None:
            return self._headers
        return {**self._headers, "Authorization": f"Bearer {await asyncio.to_thread(self._tokens.current)}"}


class ClientTokens:
    """A supplier of subject tokens, for federated credentials: those that an identity provider gives to a client.

    Airflow's own supplier sends its request by itself: without the proxy and the certificates of the connection,
    without a time limit, and without `idp_extra_params`.

    :param url: of the identity provider (`idp_issuer_url`).
    :param values: of the request.
    """

    def __init__(self, url: str, values: Mapping[str, str]) -> None:
        self._url = url
        self._values = {"grant_type": "client_credentials", **values}

    def get_subject_token(self, context: Any, request: Any) -> str:
        """A token. google-auth calls this with the request that `GoogleTokens` gives it."""
        from google.auth.exceptions import RefreshError

        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        reply = request(self._url, method="POST", body=urlencode(self._values).encode(), headers=headers)
        if reply.status != 200:
            refused: Any = RefreshError  # `Any`, because google-auth has no type annotations for this class
            raise refused("the identity provider refuses")
        return str(json.loads(reply.data)["access_token"])


class _Request:
    """Sends the requests of google-auth, and remembers how the last one ended.

    google-auth has one type of error for a refusal and for a fault of the server.
    """

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self.status = 0  # HTTP status of the reply to the last request; 0 = no reply, or no request yet
        self.failed = False  # whether the last request got no reply
        self.proxy: str | None = None  # the proxy of the last request

    @property
    def passes(self) -> bool:
        """Whether the failure may pass: the server had a fault, or google-auth did not understand its reply."""
        return judge(self.status).transient or self.status < 300

    def __call__(self, url: str, *args: Any, **kwargs: Any) -> Any:
        from google.auth.transport.urllib3 import Request

        self.proxy, self.host = self._egress.proxy_for(url), urlsplit(url).hostname or ""
        self.status, self.failed = 0, False
        made: Any = Request
        send = made(_http(self._egress.tls(), self.proxy))
        self.failed = True
        response = send(url, *args, **kwargs)
        self.status, self.failed = response.status, False
        return response


def _http(tls: Any, proxy: str | None) -> Any:
    """An HTTP client of urllib3, which repeats nothing by itself.

    :param tls: of `Egress.tls`.
    """
    from urllib3 import PoolManager, ProxyManager, Retry, make_headers

    options: dict[str, Any] = {"ssl_context": tls} if tls else {"cert_reqs": "CERT_NONE", "assert_hostname": False}
    options["retries"] = Retry(0, redirect=5)
    if proxy is None:
        return PoolManager(**options)
    parts = urlsplit(proxy)
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    headers = make_headers(proxy_basic_auth=login)
    return ProxyManager(proxy, proxy_headers=headers, proxy_ssl_context=tls or None, **options)


def is_reachable(error: Exception) -> bool:
    """Whether Google's server replied at all, judged by the error that Google's library raised."""
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import DefaultCredentialsError, TransportError

    if isinstance(error, GoogleAPICallError):
        return not judge(int(error.code or 503)).transient
    if isinstance(error, DefaultCredentialsError):
        # This error has two possible causes. Either there are no credentials at all, which is final. Or the metadata
        # server of this machine did not reply, which may be temporary. If one of the variables in `_METADATA` is set,
        # this machine has a metadata server, so the error counts as no reply.
        return not any(os.environ.get(name) for name in _METADATA)
    # An error of the network may be an OSError. So every OSError counts as no reply.
    return not isinstance(error, TransportError | RetryError | OSError) and not getattr(error, "retryable", False)


def no_token(named: str, how: str, error: Exception, request: _Request | None = None) -> str:
    """The error message. It leaves out the text of `error`, which may contain a part of a key."""
    status = f", HTTP {request.status}" if request and request.status else ""
    advice = "" if how == "could not be reached" else " Check its fields, and the rights of its account."
    if how == _NO_TOKEN:
        advice = " Check whether the login page of a proxy replies instead of the token service."
    if _OF_TIME in str(error):
        advice = " The clocks of this machine and of Google differ. Correct this machine's clock."
    return f"no Google token for the {named}: it {how} ({type(error).__name__}{status}).{advice}"
