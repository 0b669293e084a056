"""The second look at a host: not only what it is called, but where its name leads.

`urls` refuses addresses that are written out; a name can lead to the same places. https makes such a name useless,
because no metadata service has a certificate for it; this holds where a connection allows plain http or does not
verify certificates, too. Behind a proxy the proxy resolves names, and nothing is looked up here.
"""

from __future__ import annotations

import asyncio
import socket
import time
from urllib.parse import urlsplit
from urllib.request import getproxies

from learnosity.errors import PermanentApiError
from learnosity.urls import is_forbidden_address, is_loopback, redact

# A verdict is found anew after so long: names move.
GOOD_FOR_SECONDS = 60.0


class HostGuard:
    """Refuses URLs whose host name leads to a link-local or metadata address, or back to this machine.

    :param own_host: host of the connection; only where it is this machine may others be.
    :param proxied: whether a proxy resolves the names.
    """

    def __init__(self, own_host: str, *, proxied: bool = False) -> None:
        self._local = is_loopback(own_host)
        self._proxied = proxied
        self._good: dict[str, float] = {}
        self._lock = asyncio.Lock()

    async def check(self, url: str) -> None:
        """Let a URL pass, or raise `PermanentApiError` saying where it leads."""
        host = (urlsplit(url).hostname or "").lower()
        if self._proxied or self._is_good(host):
            return
        async with self._lock:  # hundreds of files of one host: one question
            if self._is_good(host):
                return
            for address in await _addresses(host):
                if is_forbidden_address(address):
                    raise _refused(url, "a link-local or metadata address")
                if is_loopback(address) and not self._local:
                    raise _refused(url, "this machine")
            self._good[host] = time.monotonic() + GOOD_FOR_SECONDS

    def _is_good(self, host: str) -> bool:
        return self._good.get(host, 0.0) > time.monotonic()


def uses_proxy(proxy: str | None, trust_env: bool) -> bool:
    """Whether requests go through a proxy: the connection's, or one of the environment where that counts."""
    return bool(proxy) or (trust_env and bool(getproxies().keys() & {"http", "https", "all"}))


async def _addresses(host: str) -> set[str]:
    """Every address of a name; none when it has none now, which whoever connects will find out and report."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {str(address[0]) for *_, address in found}


def _refused(url: str, where: str) -> PermanentApiError:
    return PermanentApiError(
        f"Refused to follow the URL {redact(url)} that the API gave: its host name leads to {where}. Check the DNS "
        "of this machine."
    )
