"""Sends the requests of a boto3 session by the rules that all clients of this package have for proxies and TLS.

botocore's own rules differ (see `egress`): it knows no `ALL_PROXY`, no network in `NO_PROXY` and no `SSL_CERT_FILE`,
and it trusts only the one file that it is given. Each request of a session, also one for the credentials of a role, is
an event to which a handler may reply. The handler here replies with what the server sends.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ProxyConnectionError  # type: ignore[import-untyped]
from botocore.httpsession import URLLib3Session  # type: ignore[import-untyped]

from learnosity.egress import Egress, proxy_failure
from learnosity.errors import StorageError, TransientStorageError
from learnosity.storage.s3_address import is_answered

_EVENT = "before-send"


class Boto3Requests:
    """Sends requests, each one through the proxy that its URL needs.

    :param egress: gives the proxy and TLS settings. It is called before the first request.
    :param config: botocore's configuration of the connection: time limits and the like.
    """

    def __init__(self, egress: Callable[[], Egress], config: Any) -> None:
        self._given = egress
        self._config = config
        self._egress: Egress | None = None
        self._sessions: dict[str | None, _HttpSession] = {}

    def carry(self, session: Any) -> None:
        """Send the requests of all clients that a session of botocore makes from now on."""
        # `unique_id` keeps botocore from registering the handler twice, if `carry` is called again for this session.
        session.register(_EVENT, self.send, unique_id="learnosity-requests")
        _without_proxy(session)

    def send(self, request: Any, **_: object) -> Any:
        """The reply to a request, as botocore's own client gives it.

        :raises ConnectionConfigError: a proxy or a PEM file of the settings cannot be used.
        :raises LearnosityError: the proxy cannot be reached.
        """
        if is_answered(request):
            return None
        if self._egress is None:
            self._egress = self._given()
        proxy = self._egress.proxy_for(request.url)
        if proxy not in self._sessions:
            self._sessions[proxy] = _HttpSession(self._egress, proxy, self._config)
        try:
            return self._sessions[proxy].send(request)
        except ProxyConnectionError as error:
            failure = proxy_failure(proxy, str(error.kwargs.get("error", "")))
            if failure is None:
                raise
            raise (TransientStorageError if failure[1] else StorageError)(f"No reply from AWS: {failure[0]}") from None


class _HttpSession(URLLib3Session):  # type: ignore[misc]
    """botocore's HTTP client with one proxy, or with none, and with the authorities of an `Egress`."""

    def __init__(self, egress: Egress, proxy: str | None, config: Any) -> None:
        self._egress = egress
        self._tls = egress.tls()
        settings = config.proxies_config or {}
        self._has_proxy_certificates = any(settings.get(key) for key in ("proxy_ca_bundle", "proxy_client_cert"))
        super().__init__(
            verify=self._tls is not False,
            proxies={"http": proxy, "https": proxy} if proxy else {},
            timeout=(config.connect_timeout, config.read_timeout),
            max_pool_connections=config.max_pool_connections,
            proxies_config=config.proxies_config,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )

    def _get_ssl_context(self) -> Any:
        if self._tls is False:
            return super()._get_ssl_context()
        # botocore adds the certificates of `proxies_config` to the context that this method returns. The context of
        # `Egress` must not change, because other clients use it, too. So there is a new context for such certificates.
        return _new_tls(self._egress) if self._has_proxy_certificates else self._tls

    def _setup_ssl_cert(self, conn: Any, url: str, verify: Any) -> None:
        super()._setup_ssl_cert(conn, url, verify)
        # `super()` has set `ca_certs` to botocore's own file of certificate authorities. urllib3 would add these to the
        # TLS context, which already has the right authorities. So the file is taken away again.
        conn.ca_certs = None

    def _setup_proxy_ssl_context(self, proxy_url: str) -> Any:
        # botocore returns None here, unless `proxies_config` of the connection names certificates for the proxy. With
        # None, urllib3 would not trust the authorities of `Egress` when it connects to an HTTPS proxy. So the
        # proxy gets the TLS context that is used for servers.
        return super()._setup_proxy_ssl_context(proxy_url) or self._get_ssl_context()


def _new_tls(egress: Egress) -> ssl.SSLContext:
    """A TLS context that no other client uses, with the same authorities."""
    context = ssl.create_default_context()
    if more := egress.certificates():
        context.load_verify_locations(cadata=more.decode())
    return context


def _without_proxy(session: Any) -> None:
    """No proxy for the metadata service of EC2: it would get the credentials of another machine, or none."""
    for provider in session.get_component("credential_provider").providers:
        fetcher: Any = getattr(provider, "_role_fetcher", None)
        if hasattr(fetcher, "_session") and hasattr(fetcher, "_timeout"):
            fetcher._session = URLLib3Session(timeout=fetcher._timeout)
