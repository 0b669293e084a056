"""The few HTTP calls that the stack makes, all of them to loopback; proxies of the environment are never used."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass, field

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered, whatever the status."""

    status: int
    body: bytes = field(repr=False)


def call(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = 30.0,
) -> Response:
    """Make one request; an error status is an answer and not an exception.

    :param timeout: seconds without progress
    :raises OSError: when no answer comes (refused, reset, timed out)
    """
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with _OPENER.open(request, timeout=timeout) as reply:
            return Response(reply.status, reply.read())
    except urllib.error.HTTPError as reply:
        with reply:
            return Response(reply.code, reply.read())
    except http.client.HTTPException as error:
        raise ConnectionError(f"{method} to a server that stopped in the middle of its answer") from error


def answers_ok(url: str) -> bool:
    """Whether a GET of ``url`` is answered with 200 within two seconds."""
    try:
        return call("GET", url, timeout=2.0).status == 200
    except OSError:
        return False
