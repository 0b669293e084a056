"""Sends azure-identity's requests for tokens by the rules that all clients of this package have for proxies and TLS.

Its own client is `requests`, whose rules differ (see `egress`): it knows no network in `NO_PROXY` and no
`SSL_CERT_FILE`, and it trusts only the one file that it is given.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import RequestsTransport
from requests import Session
from requests.adapters import HTTPAdapter

from learnosity.egress import Egress, proxy_failure
from learnosity.errors import LearnosityError, StorageError, TransientStorageError
from learnosity.storage.error_codes import cause_of

# Environment variables that some services of Azure set, such as App Service, Arc and Service Fabric. Each one holds the
# address of a local service that gives this machine its tokens. Requests to this service must not go through a proxy.
_MACHINE = ("IDENTITY_ENDPOINT", "IMDS_ENDPOINT", "MSI_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST")
_ADVICE = "Check the network of this worker, and the tenant and `authority` of the connection."
_METADATA = "169.254.169.254"  # default address of Azure's metadata service, which gives tokens to virtual machines
# Linux shows the asset tag of a machine in this file, also inside a container. All virtual machines of Azure have the
# tag `_ASSET_TAG`. So a machine with this tag may have an identity of Azure.
_ASSET_TAG_FILE = Path("/sys/class/dmi/id/chassis_asset_tag")
_ASSET_TAG = "7783-7084-3265-9085-8269-3286-77"


class TokenRequests(RequestsTransport):  # type: ignore[misc]
    """Sends the requests of a credential, and remembers how the last one ended.

    A chain of credentials turns every error of its members into one text. So the reason is read from here.

    :param egress: the proxy and TLS settings.
    :param wants_machine: whether the connection names an identity of this machine.
    :param config: time limits, under the names that azure-core has for them.
    """

    def __init__(self, egress: Egress, *, wants_machine: bool = False, **config: Any) -> None:
        session = Session()
        # With False, the library `requests` reads no proxy and no certificates from environment variables: `egress`
        # gives both. Nor does `requests` send a password from the file ~/.netrc.
        session.trust_env = False
        super().__init__(session=session, session_owner=False, **config)
        self._egress = egress
        self._is_ready = False
        self.wants_machine = wants_machine
        self.failure: LearnosityError | None = None
        self.status = 0  # HTTP status of the reply to the last request; 0 = no reply

    def send(self, request: Any, *, proxies: Any = None, **kwargs: Any) -> Any:
        """The reply to a request. `proxies` does not count: `egress` says which proxy is used.

        :raises ConnectionConfigError: a proxy or a PEM file of the settings cannot be used.
        :raises AzureError: there was no reply.
        """
        self.failure, self.status = None, 0
        try:
            proxy = None if _is_of_this_machine(request.url) else self._egress.proxy_for(request.url)
            tls = self._egress.tls()
        except LearnosityError as error:
            self.failure = error
            raise
        if not self._is_ready:
            for scheme in ("http://", "https://"):
                self.session.mount(scheme, _Adapter(tls))
            self._is_ready = True
        used = {"http": proxy, "https": proxy} if proxy else {}
        try:
            reply = super().send(request, proxies=used, **kwargs | {"connection_verify": tls is not False})
        except ServiceRequestError as error:
            # A chain of credentials also asks the services that give a machine its tokens, such as the metadata
            # service. Most machines have no such service. So if one does not reply, this failure is not recorded as the
            # reason why there is no token.
            if not _is_of_this_machine(request.url):
                self.failure = _reason(proxy, urlsplit(request.url).hostname or "", str(error))
            raise
        self.status = reply.status_code
        return reply


class _Adapter(HTTPAdapter):
    """An adapter of `requests` with the TLS settings of an `Egress`, which repeats nothing by itself.

    :param tls: of `Egress.tls`.
    """

    def __init__(self, tls: Any) -> None:
        self._tls = tls or None
        super().__init__(max_retries=0)

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, settings = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._tls} if self._tls else settings

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        # The TLS context already has the authorities that the connection trusts. The parent's method would make urllib3
        # trust the authorities of the library `requests`, too. So it is called only if there is no TLS context. There
        # is none if certificates are not to be checked: then the parent's method has to switch the check off.
        if self._tls is None:
            super().cert_verify(conn, url, verify, cert)

    def proxy_manager_for(self, proxy: str, **settings: Any) -> Any:
        # By default, urllib3 does not use the TLS context of the servers when it connects to an HTTPS proxy. Then it
        # would not trust the authorities of the Airflow connection. So the context is set for the proxy, too. If it is
        # None, certificates are not to be checked: then urllib3 checks neither the server's nor the proxy's.
        return super().proxy_manager_for(proxy, **settings | {"proxy_ssl_context": self._tls})


def may_have_identity() -> bool:
    """Whether anything says that this machine has an identity of Azure, so that the service for it may only be away."""
    if any(os.environ.get(name) for name in (*_MACHINE, "AZURE_CLIENT_ID")):
        return True
    try:
        return _ASSET_TAG_FILE.read_text().strip() == _ASSET_TAG
    except (OSError, ValueError):
        return False


def _is_of_this_machine(url: str) -> bool:
    """Whether a URL is of a service that gives tokens to this machine."""
    host = urlsplit(url).hostname
    return host == _METADATA or any(host == urlsplit(os.environ.get(name, "")).hostname for name in _MACHINE)


def _reason(proxy: str | None, host: str, text: str) -> LearnosityError:
    """Why a request got no reply.

    :param text: of the error. It is not quoted.
    """
    if failure := proxy_failure(proxy, text):
        what, transient = failure
    else:
        cause = cause_of(OSError(), text)
        advice = cause.advice if re.search("certificate|proxy", cause.what) else _ADVICE
        what, transient = f"{cause.what or 'there was no reply'} (at {host}). {advice}", cause.transient
    return (TransientStorageError if transient else StorageError)(what)
