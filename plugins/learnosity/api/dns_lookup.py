"""Looks up the addresses of a host, and refuses those that must not be called, such as this machine.

An HTTP client that looks the name up again after a check may get another address (DNS rebinding). So a client never
looks up a name itself: it connects to an address that was checked here. The name still goes with the request (`Host`),
and the TLS certificate has to be for the name.

This is not for URLs that go through a proxy: the proxy looks up their names.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import defaultdict
from collections.abc import Iterable

from aiohttp.abc import AbstractResolver, ResolveResult

from learnosity.api.ip_ranges import leads
from learnosity.api.url_policy import UrlPolicy
from learnosity.errors import PermanentApiError
from learnosity.network import CONNECT_SECONDS

# How long the IP addresses of a host are used. After this time the host is looked up again, because its addresses may
# have changed.
GOOD_FOR_SECONDS = 60.0
# At most this many IP addresses of one host are used. Each address gets an HTTP client of its own for downloads, and
# each client needs memory.
MOST_ADDRESSES = 4


class CheckedLookup:
    """Looks up hosts, checks their addresses, and remembers them for a minute.

    :param policy: where a host may lead.
    """

    def __init__(self, policy: UrlPolicy) -> None:
        self._policy = policy
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._looking_up = defaultdict[str, asyncio.Lock](asyncio.Lock)
        self._turn = 0

    async def addresses(self, host: str) -> list[str]:
        """At most four addresses of a host, best first.

        :param host: in lower case.
        :raises PermanentApiError: one of its addresses must not be called.
        :raises OSError: it is not known, or the look-up took more than 15 s.
        """
        if leads(host) is not None:
            self._check(host, [host])
            return [host.strip("[]")]
        if found := self._good(host):
            return found
        # Hundreds of downloads from one host may begin at once. With this lock, only the first one asks DNS. The others
        # wait for the lock, and then use the addresses that the first one has found.
        async with self._looking_up[host]:
            if found := self._good(host):
                return found
            found = await _look_up(host)
            self._check(host, found)
            used = self._known[host][1] if host in self._known else []
            # IP addresses that were used before are preferred, because connections to them may still be open.
            found = sorted(found, key=lambda address: address not in used)[:MOST_ADDRESSES]
            self._known[host] = (time.monotonic() + GOOD_FOR_SECONDS, found)
            return found

    async def address(self, host: str) -> str:
        """One of the addresses, another one at each call. All are IPv6, or all are IPv4, like the first one.

        Raises the errors of `addresses`.
        """
        found = await self.addresses(host)
        alike = [address for address in found if (":" in address) == (":" in found[0])]
        self._turn += 1
        return alike[self._turn % len(alike)]

    def failed(self, host: str, address: str) -> None:
        """Drop an address that could not be connected to. When none is left, the host is looked up again."""
        until, found = self._known.get(host, (0.0, []))
        left = [each for each in found if each != address]
        self._known[host] = (until if left else 0.0, left)

    def _good(self, host: str) -> list[str]:
        until, found = self._known.get(host, (0.0, []))
        return found if until > time.monotonic() else []

    def _check(self, host: str, found: Iterable[str]) -> None:
        for address in found:
            if why := self._policy.refuses(host, address):
                error = PermanentApiError(
                    f"Refused to connect to {host}: its name leads to {why}. Check the DNS of this machine."
                )
                error.nothing_done = True  # nothing was sent
                raise error


class CheckingResolver(AbstractResolver):
    """The resolver that aiohttp uses. It gives only addresses that `CheckedLookup` has checked."""

    def __init__(self, names: CheckedLookup) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises the errors of `CheckedLookup.addresses`."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await self._names.addresses(host.lower())
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def _look_up(host: str) -> list[str]:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError("no host name") from None
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    if not addresses:
        raise OSError("no address")
    return addresses
