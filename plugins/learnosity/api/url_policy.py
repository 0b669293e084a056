"""Rules for URLs that the API gives: which of them may be called.

A signed URL gives access to everybody who has it. So it is sent only to its own host, and messages show it redacted.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from learnosity.errors import PermanentApiError, TransferError
from learnosity.network import CONNECT_SECONDS
from learnosity.redaction import redact

_METADATA_HOSTS = frozenset({"metadata", "metadata.google.internal", "instance-data"})
# Characters of a host name or an IP address. Others are refused, because URL parsers read them in different ways.
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?")
_LEGACY_IPV4 = re.compile(r"[0-9A-Fa-fx]+(\.[0-9A-Fa-fx]+){0,3}", re.IGNORECASE)
# These IPv6 addresses contain an IPv4 address. A gateway connects to that IPv4 address, so it is checked: RFC 6052, and
# RFC 8215 for a site's own prefix, which may have any of four lengths.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
_LOCAL_NAT64_BYTES = ((6, 7, 9, 10), (7, 9, 10, 11), (9, 10, 11, 12), (12, 13, 14, 15))
# Of AWS (IPv6), Alibaba and Azure; that of most clouds, 169.254.169.254, is link-local.
_METADATA_ADDRESSES = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")))

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# How long a host name counts as checked. After that, it is checked again, because its addresses may have changed.
GOOD_FOR_SECONDS = 60.0


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine itself."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return any(address.is_loopback for address in _addresses_in(host))


def is_ipv6(host: str) -> bool:
    """Whether `host` is an IPv6 address without brackets."""
    try:
        return isinstance(ipaddress.ip_address(_bare(host)), ipaddress.IPv6Address)
    except ValueError:
        return False


def is_forbidden_address(host: str) -> bool:
    """Whether `host` must never be called: it is link-local, a cloud metadata service, multicast or unspecified."""
    if host.lower().rstrip(".") in _METADATA_HOSTS:
        return True
    return any(
        address.is_link_local or address.is_multicast or address.is_unspecified or address in _METADATA_ADDRESSES
        for address in _addresses_in(host)
    )


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """Which signed URLs of the API may be followed.

    https is allowed to every host except this machine and metadata services. Plain http is allowed only to the API's
    own host, and only if the Airflow connection uses plain http (a test server).

    :param api_host: host name of the API, from the Airflow connection.
    :param plain_http: whether the Airflow connection uses plain http.
    """

    api_host: str
    plain_http: bool

    def check(self, url: str) -> str:
        """Return `url` unchanged, or raise `PermanentApiError` with the reason and the redacted URL."""
        try:
            parts = urlsplit(url)
            reason = _refusal(self, parts.scheme, parts.netloc)
        except ValueError:
            raise PermanentApiError("The API gave a URL that cannot be read; nothing was sent to it.") from None
        if reason is not None:
            raise PermanentApiError(f"Refused to follow the URL {redact(url)} that the API gave: {reason}.")
        return url


@lru_cache(maxsize=256)  # thousands of URLs have the same few hosts: each host is checked once
def _refusal(policy: UrlPolicy, scheme: str, netloc: str) -> str | None:
    """Why the host in `netloc` may not be called; None = it may. :raises ValueError: it cannot be read."""
    parts = urlsplit(f"//{netloc}")
    host = (parts.hostname or "").lower()
    user_info, _readable = parts.username is not None, parts.port
    own = host == policy.api_host or (is_loopback(host) and is_loopback(policy.api_host))
    if not host or user_info:
        return "it has no host or carries user info"
    if not _HOST.fullmatch(host):
        return "its host holds characters that no host name has"
    if is_forbidden_address(host):
        return "its host is a link-local or metadata address"
    if scheme == "http" and not (policy.plain_http and own):
        return "it is not https"
    if scheme not in ("http", "https"):
        return f"its scheme is {scheme!r}"
    if is_loopback(host) and not own:
        return "its host is this machine"
    return None


def _bare(host: str) -> str:
    return host.strip("[]").partition("%")[0].rstrip(".")


def _addresses_in(host: str) -> list[_Address]:
    """The IP address in `host`, in any form that resolvers accept, and those that it contains. Empty = it is a name."""
    text = _bare(host)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        legacy = _legacy_ipv4(text)
        return [] if legacy is None else [legacy]
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    return [address, *_contained(address)]


def _contained(address: ipaddress.IPv6Address) -> list[_Address]:
    """The IPv4 addresses to which a gateway or the operating system may connect for an IPv6 address."""
    last = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.ipv4_mapped is not None or address in _NAT64:
        return [last]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return [*address.teredo]
    if address in _LOCAL_NAT64:
        found = [ipaddress.IPv4Address(bytes(address.packed[at] for at in places)) for places in _LOCAL_NAT64_BYTES]
        # The length of the prefix is not known here; a reading of nothing but zeros is none.
        return [each for each in found if int(each)]
    # The old form of an IPv4 address, ::a.b.c.d; `::` and `::1` are addresses of their own.
    return [last] if 1 < int(address) <= 0xFFFF_FFFF else []


def _legacy_ipv4(text: str) -> ipaddress.IPv4Address | None:
    """The address in an old form of IPv4: `127.1`, `0x7f000001` and `2130706433` all mean 127.0.0.1."""
    if not _LEGACY_IPV4.fullmatch(text):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except OSError:
        return None


class HostGuard:
    """Refuses URLs whose host name resolves to a link-local or metadata address, or to this machine.

    It is not for URLs that go through a proxy: the proxy resolves their names.

    :param own_host: host of the API. If it is this machine, other names may also resolve to this machine.
    """

    def __init__(self, own_host: str) -> None:
        self._local = is_loopback(own_host)
        self._good: dict[str, float] = {}
        self._looking_up = defaultdict[str, asyncio.Lock](asyncio.Lock)

    async def check(self, url: str) -> None:
        """Do nothing if the URL may be called, else raise `PermanentApiError`, which says where it leads."""
        host = (urlsplit(url).hostname or "").lower()
        if self._is_good(host):
            return
        async with self._looking_up[host]:  # with the lock, hundreds of files of one host need only one DNS query
            if self._is_good(host):
                return
            addresses = await _addresses(url, host)
            for address in addresses:
                if is_forbidden_address(address):
                    raise _refused(url, "a link-local or metadata address")
                if is_loopback(address) and not self._local:
                    raise _refused(url, "this machine")
            if addresses:
                self._good[host] = time.monotonic() + GOOD_FOR_SECONDS

    def _is_good(self, host: str) -> bool:
        return self._good.get(host, 0.0) > time.monotonic()


async def _addresses(url: str, host: str) -> set[str]:
    """All IP addresses of a host name. Empty when the name does not resolve: the request itself will report that."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise TransferError(
            f"{redact(url)}: the host name was not resolved within {CONNECT_SECONDS:g} s. Check this machine's DNS."
        ) from None
    except (OSError, UnicodeError):
        return set()
    return {str(address[0]) for *_, address in found}


def _refused(url: str, where: str) -> PermanentApiError:
    return PermanentApiError(
        f"Refused to follow the URL {redact(url)} that the API gave: its host name leads to {where}. Check the DNS "
        "of this machine."
    )
