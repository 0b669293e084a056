"""The official client of Airflow's REST API, logged in as one user."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import urllib3
from airflow_client.client import ApiClient, Configuration
from airflow_client.client.rest import RESTResponse

from devstack.errors import ApiError, Unreachable

BUSY_TRIES = 20
BUSY_SECONDS = 0.5


class LoggedInClient(ApiClient):
    """The official client. It logs in by itself, also again when its token has expired, and raises our errors.

    It repeats what was refused with 401, and what Airflow took back because SQLite did not let it write. All other
    requests are made at most once.
    """

    def __init__(self, url: str, user: str, password: str, timeout: float) -> None:
        # No retries: urllib3 must not send a request again by itself, because it may already have had its effect.
        # `no_proxy`, because no request to this machine may go to a proxy that environment variables name.
        super().__init__(Configuration(host=url, no_proxy="*", retries=False))
        # Each request has its own connection. On a kept connection, the server may close it just when a request is
        # sent. The request would fail, and because of `retries=False`, nothing repeats it.
        self.default_headers["Connection"] = "close"
        self._login = {"username": user, "password": password}
        self._timeout = timeout
        self._token: str | None = None

    def token(self) -> str:
        """The token of the logged-in user (a secret).

        :raises ApiError: when the login is refused
        """
        if self._token is None:
            url = f"{self.configuration.host}/auth/token"
            kind = {"Content-Type": "application/json"}  # Airflow's FAB auth manager accepts only JSON
            reply = _checked("POST", url, self._send("POST", url, kind, self._login, None, None))
            self._token = str(msgspec.json.decode(content(reply))["access_token"])
        return self._token

    def call_api(
        self,
        method: str,
        url: str,
        header_params: Mapping[str, str] | None = None,
        body: Any = None,
        post_params: Any = None,
        _request_timeout: Any = None,
    ) -> RESTResponse:
        """Make one request; everything that the client does comes through here.

        :raises ApiError: on any status that is not 2xx
        :raises Unreachable: when no answer comes
        """
        headers = dict(header_params or {})
        reply = self._send(method, url, headers | self._bearer(), body, post_params, _request_timeout)
        if reply.status == 401:  # the token has expired
            self._token = None
            reply = self._send(method, url, headers | self._bearer(), body, post_params, _request_timeout)
        return _checked(method, url, reply)

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token()}"}

    def _send(
        self, method: str, url: str, headers: dict[str, str], body: Any, post_params: Any, timeout: Any
    ) -> RESTResponse:
        for _ in range(BUSY_TRIES - 1):
            reply = self._send_once(method, url, headers, body, post_params, timeout)
            if not _database_was_busy(reply):
                return reply
            time.sleep(BUSY_SECONDS)
        return self._send_once(method, url, headers, body, post_params, timeout)

    def _send_once(
        self, method: str, url: str, headers: dict[str, str], body: Any, post_params: Any, timeout: Any
    ) -> RESTResponse:
        try:
            reply = super().call_api(method, url, headers, body, post_params, timeout or self._timeout)
            content(reply)
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"{method} {url} got no answer: {error}") from error
        return reply


def content(reply: RESTResponse) -> bytes:
    """The body of an answer; it is read once and kept."""
    body: bytes = reply.response.data
    return body


def _database_was_busy(reply: RESTResponse) -> bool:
    """Whether the database refused what the request wrote, so that nothing of it is kept.

    SQLite has one writer. A request that has read before another process writes can no longer write itself, at once
    and whatever the timeout is. Airflow then rolls back and answers so to any error of its database.
    """
    return reply.status == 500 and b'"Database error"' in content(reply)


def _checked(method: str, url: str, reply: RESTResponse) -> RESTResponse:
    if not 200 <= reply.status < 300:
        raise ApiError(reply.status, method, urlsplit(url).path, _detail(content(reply)))
    return reply


def _detail(body: bytes) -> str:
    try:
        detail = msgspec.json.decode(body)["detail"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return body[:500].decode(errors="replace")
    return detail if isinstance(detail, str) else msgspec.json.encode(detail).decode()
