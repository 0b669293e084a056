"""Where an IP address leads: the internet, a private network, this machine, or a place that must never be called.

An IPv6 address may contain an IPv4 address, to which a gateway or the machine itself connects. Then that one decides.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from enum import StrEnum
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Leads(StrEnum):
    """Where an address leads."""

    OUTSIDE = "the open net"
    PRIVATE = "a private network"
    HERE = "this machine"
    NEVER = "a link-local or metadata address"


def _networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(each) for each in text.split())


# Networks whose addresses are never called. In some of them, clouds have services that give credentials to any program
# on a virtual machine: a wrong URL must not reach these. The other networks have no server of Learnosity or of a store:
# they are link-local, multicast, unspecified or reserved, or are for Teredo tunnels (2001::/32).
NEVER = _networks(
    """
    0.0.0.0/8 169.254.0.0/16 168.63.129.16/32 100.100.100.200/32 192.0.0.192/32 224.0.0.0/4 240.0.0.0/4
    ::/128 fe80::/10 ff00::/8 fd00:ec2::/32 fd20:ce::254/128 fd00:c1::a9fe:a9fe/128 100::/64 2001::/32
    """
)
# Error messages say with these texts what an address in `NEVER` is. For the networks of `NEVER` that are not here, they
# say the text of `Leads.NEVER`.
_KINDS = {
    **dict.fromkeys(_networks("0.0.0.0/8 ::/128"), "an address that means no host, as blockers of DNS give it"),
    **dict.fromkeys(_networks("224.0.0.0/4 ff00::/8"), "a multicast address"),
    **dict.fromkeys(_networks("240.0.0.0/4 100::/64"), "a reserved address"),
    **dict.fromkeys(_networks("2001::/32"), "an address of a Teredo tunnel"),
}
HERE = _networks("127.0.0.0/8 ::1/128")
PRIVATE = _networks(
    "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 192.0.0.0/24 198.18.0.0/15 fc00::/7 fec0::/10 64:ff9b:1::/48"
)

# IPv6 networks whose addresses have an IPv4 address in their last 32 bits: IPv4-mapped, IPv4-translated (RFC 2765),
# IPv4-compatible, NAT64 (RFC 6052). Only this IPv4 address is checked, not the whole IPv6 address.
_IPV4_AT_THE_END = _networks("::ffff:0:0/96 ::ffff:0:0:0/96 ::/96 64:ff9b::/96")
# 6to4 tunnels: bits 16 to 47 of an address of this network are an IPv4 address. Only this IPv4 address is checked.
_6TO4 = ipaddress.IPv6Network("2002::/16")
# Local NAT64 (RFC 8215): an address of this network contains an IPv4 address, to which a gateway connects. Its place
# depends on the length of the operator's prefix (48, 56, 64 or 96 bits), which is not known here. So it is read at all
# four places (`_LOCAL_NAT64_BYTES`: the positions of the bytes). If one of the four addresses is in `NEVER` or `HERE`,
# the IPv6 address counts as such. Otherwise it counts as private, because `PRIVATE` has this network.
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
_LOCAL_NAT64_BYTES = ((6, 7, 9, 10), (7, 9, 10, 11), (9, 10, 11, 12), (12, 13, 14, 15))
# ISATAP tunnels (RFC 5214): if bits 64 to 95 of an IPv6 address have one of these two values, the last 32 bits are an
# IPv4 address. A machine with such a tunnel connects to the IPv4 address. Any other machine connects to the IPv6
# address itself. Which of the two this machine does is not known here, so both addresses are checked.
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
_LEGACY = re.compile(r"(?:0[xX][0-9A-Fa-f]*|\d+)(?:\.(?:0[xX][0-9A-Fa-f]*|\d+)){0,3}", re.ASCII)
# A host whose last part is a number, such as `127.0.0.1`, `0x7f000001` or `a.0x7f`. URL parsers try to read such a host
# as an IPv4 address, not as a name. `is_oddly_spelt` is True for such a host, unless it is an IPv4 address in the usual
# form, such as `127.0.0.1`.
_LAST_IS_NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0[xX][0-9A-Fa-f]*)\.?", re.ASCII)


@lru_cache(maxsize=1024)
def leads(host: str) -> Leads | None:
    """Where an address leads; None = `host` is a name.

    :param host: an address in any form that a resolver takes, with or without brackets, zone and final dot.
    """
    address = parse_address(host)
    if address is None:
        return None
    meant = _meant(address)
    for kind, networks in ((Leads.NEVER, NEVER), (Leads.HERE, HERE), (Leads.PRIVATE, PRIVATE)):
        if any(each in network for each in meant for network in networks if network.version == each.version):
            return kind
    return Leads.OUTSIDE


def kind_of_never(host: str) -> str:
    """What an address is that is never called, or the name of a metadata service, for a message."""
    address = parse_address(host)
    meant = _meant(address) if address is not None else ()
    kinds = [_KINDS.get(each, str(Leads.NEVER)) for each in NEVER if any(one in each for one in meant)]
    # `host` may contain several IPv4 addresses (see `_LOCAL_NAT64`), so `kinds` may have several texts. The message
    # gets one: that of metadata services (`Leads.NEVER`) if it is there, because these are the most dangerous.
    return Leads.NEVER if not kinds or Leads.NEVER in kinds else kinds[0]


def parse_address(host: str) -> Address | None:
    """The IP address in `host`; None = `host` is a name. Old forms count: `127.1` and `0x7f000001` are 127.0.0.1."""
    text = host.strip("[]").partition("%")[0].rstrip(".")
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        if not _LEGACY.fullmatch(text):
            return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except OSError:
        return None


def is_oddly_spelt(host: str) -> bool:
    """Whether `host` is a number, or ends with one, and is not the usual form of an IPv4 address.

    HTTP clients read such hosts in different ways: `010.0.0.1` is 8.0.0.1 for one and 10.0.0.1 for another.
    """
    if ":" in host or not _LAST_IS_NUMBER.fullmatch(host):
        return False
    try:
        return str(ipaddress.IPv4Address(host)) != host
    except ValueError:
        return True


def _meant(address: Address) -> tuple[Address, ...]:
    """The addresses that a connection to `address` may reach: for IPv6, also the IPv4 address that it contains."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    bits = int(address)
    if int(address) <= 1:
        return (address,)  # `::` and `::1` are in the network ::/96, but contain no IPv4 address
    if any(address in network for network in _IPV4_AT_THE_END):
        return (ipaddress.IPv4Address(bits & 0xFFFF_FFFF),)
    if address in _6TO4:
        return (ipaddress.IPv4Address(bits >> 80 & 0xFFFF_FFFF),)
    if address in _LOCAL_NAT64:
        read = [ipaddress.IPv4Address(bytes(address.packed[at] for at in places)) for places in _LOCAL_NAT64_BYTES]
        # No server has an IPv4 address whose first byte is 0. If `read` has one, it was read from the wrong bytes, so
        # it is left out. Otherwise it would match 0.0.0.0/8 in `NEVER`, and nearly all addresses of local NAT64 would
        # be refused.
        return (*(each for each in read if int(each) >> 24), address)
    if bits >> 32 & 0xFFFF_FFFF in _ISATAP:
        return (ipaddress.IPv4Address(bits & 0xFFFF_FFFF), address)
    return (address,)
