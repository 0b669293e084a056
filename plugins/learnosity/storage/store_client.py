"""The HTTP client for requests to a store that obstore does not send, with the same way out of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyreqwest.client import Client
from pyreqwest.exceptions import DetailedPyreqwestError
from pyreqwest.proxy import ProxyBuilder

from learnosity.network import signed_url_client

if TYPE_CHECKING:
    from obstore.store import ClientConfig


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
