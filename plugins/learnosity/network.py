"""The HTTP client for signed URLs, and the wait before a retry.

`backoff_seconds` gives every wait before a retry. So all waits grow, are partly random and respect `Retry-After`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import BuilderError
from pyreqwest.proxy import ProxyBuilder
from tenacity import RetryCallState

from learnosity.errors import ConnectionConfigError

CONNECT_SECONDS = 15.0  # time limit for opening one network connection; a server that can be reached needs much less
# If a network connection transfers no data for this many seconds, the request ends with an error.
IDLE_SECONDS = 60.0
# A longer `Retry-After` is cut to this many seconds, so that no reply can stop a task for hours.
MAX_RETRY_AFTER_SECONDS = 120.0


def backoff_seconds(attempt: int, error: BaseException | None, *, first: float, most: float) -> float:
    """Seconds to wait after a failed attempt: the server's `retry_after`, plus a partly random time that doubles.

    :param attempt: number of the attempt that failed, from 1.
    :param error: the error of that attempt. Its `retry_after` (seconds) is added to the wait if it has one.
    :param first: longest wait after the first attempt, in seconds, without `retry_after`.
    :param most: longest wait after any attempt, in seconds, without `retry_after`.
    """
    asked = getattr(error, "retry_after", None) or 0.0
    grown = min(most, first * 2.0 ** min(attempt - 1, 30))
    return float(asked) + grown * random.uniform(0.5, 1.0)  # this random part is no secret, so `random` is good enough


def backoff(first: float, most: float) -> Callable[[RetryCallState], float]:
    """`backoff_seconds` as tenacity's `wait`."""

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return backoff_seconds(state.attempt_number, error, first=first, most=most)

    return wait


def parse_retry_after(value: str | None) -> float | None:
    """Seconds in a `Retry-After` header, at most 120. None when the header is missing or is not a number."""
    try:
        seconds = float(value) if value is not None else None
    except ValueError:
        return None
    if seconds is None or not 0 <= seconds < float("inf"):
        return None
    return min(seconds, MAX_RETRY_AFTER_SECONDS)


def signed_url_client(
    *,
    proxy: ProxyBuilder | None = None,
    verify: bool = True,
    certificates: str | bytes | None = None,
    read_timeout: float | None = None,
    target: tuple[str, str] | None = None,
) -> Client:
    """An HTTP client that sends a signed URL unchanged, follows no redirect, and does not decompress bodies.

    :param proxy: which URLs go through a proxy; None = none. The proxy settings of the environment do not count here.
    :param verify: whether TLS certificates are checked; default True.
    :param certificates: PEM of certificate authorities to trust in addition to the usual ones; default none.
    :param read_timeout: longest time that a read may wait, in seconds; None = no limit.
    :param target: a host name in lower case, and the address that is connected to for it; None = names are looked up.
    :raises ConnectionConfigError: a certificate in `certificates` cannot be used.
    """
    builder = (
        ClientBuilder()
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
        .default_headers({"Accept-Encoding": "identity"})
        .follow_redirects(False)
        .referer(False)
        # With HTTP/1, each download has its own TCP connection. With HTTP/2, downloads share one, and a lost packet
        # delays all of them.
        .http1_only()
        .connect_timeout(timedelta(seconds=CONNECT_SECONDS))
        .danger_accept_invalid_certs(not verify)
    )
    if target is not None:
        builder = builder.resolve(*target, 0)  # port 0 means: use the port of the URL
    if read_timeout is not None:
        builder = builder.read_timeout(timedelta(seconds=read_timeout))
    if certificates:
        builder = builder.add_root_certificate_pem(
            certificates.encode() if isinstance(certificates, str) else certificates
        )
    builder = builder.no_proxy() if proxy is None else builder.proxy(proxy)
    try:
        return builder.build()
    except BuilderError:
        raise ConnectionConfigError(
            "A certificate of the files that `verify` or a variable such as REQUESTS_CA_BUNDLE names cannot be used."
        ) from None
