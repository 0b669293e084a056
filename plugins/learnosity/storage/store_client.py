"""The HTTP client for requests to a store that obstore does not send, with the same way out of this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from pyreqwest.client import Client
from pyreqwest.exceptions import DetailedPyreqwestError
from pyreqwest.proxy import ProxyBuilder
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, stop_after_delay

from learnosity.errors import TransientStorageError
from learnosity.network import backoff, signed_url_client
from learnosity.storage.errors import MAX_ANSWER_BYTES

if TYPE_CHECKING:
    from obstore.store import ClientConfig
    from pyreqwest.request import RequestBuilder

T = TypeVar("T")

PATIENCE_SECONDS = 180.0  # a request is not sent again if it fails later than this after its first attempt began
FIRST_WAIT_SECONDS = 0.1  # longest wait between the first attempt and the second one
MOST_WAIT_SECONDS = 15.0  # longest wait between any two attempts


def store_client(options: ClientConfig, *, read_timeout: float | None = None) -> Client:
    """A client with the proxy and the certificate authorities of a store.

    :param options: of the store's own client.
    :param read_timeout: longest time that a read may wait, in seconds; None = no limit.
    """
    url, excludes = options.get("proxy_url"), options.get("proxy_excludes")
    return signed_url_client(
        proxy=ProxyBuilder.all(url).no_proxy(excludes) if url else None,
        verify=not options.get("allow_invalid_certificates"),
        certificates=options.get("root_certificate"),
        read_timeout=read_timeout,
    )


def words(error: Exception) -> str:
    """All that an error of the client says about its causes, for `storage_error`."""
    causes = error.details["causes"] or [] if isinstance(error, DetailedPyreqwestError) and error.details else []
    return ": ".join([type(error).__name__, *(cause["message"] for cause in causes)])


async def replied(request: RequestBuilder, most: int) -> tuple[int, bytes]:
    """Send a request, and return the status of its reply and the beginning of the body.

    :param most: how many bytes of the body are read if the status is 200.
    """
    async with request.build_streamed() as response:
        limit = most if response.status == 200 else MAX_ANSWER_BYTES
        body = bytearray()
        while len(body) < limit and (piece := await response.body_reader.read(limit - len(body))):
            body += piece
        return response.status, bytes(body)


async def patiently(attempts: int, call: Callable[[], Awaitable[T]], seconds: float = PATIENCE_SECONDS) -> T:
    """The result of a call, which is repeated while it fails for now.

    :param attempts: most calls.
    :param seconds: how long it is repeated, default three minutes.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(TransientStorageError),
        stop=stop_after_attempt(attempts) | stop_after_delay(seconds),
        wait=backoff(FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS),
        reraise=True,
    )

    # tenacity awaits the result of a coroutine function, but not that of a lambda. `call` may be a lambda, so it is
    # called in this coroutine function.
    async def once() -> T:
        return await call()

    return await retrying(once)
