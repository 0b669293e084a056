"""Which of the signed URLs that the API gives may be called, and at which IP addresses.

A signed URL gives access to everybody who has it. So it is sent only to its own host, and messages show it redacted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from learnosity.api.ip_ranges import Leads, is_oddly_spelt, kind_of_never, leads, parse_address
from learnosity.errors import PermanentApiError
from learnosity.redaction import redact

# Names of the metadata services of clouds. They give settings or credentials to every process of a machine, so they
# must never be called. `ip_ranges` has their IP addresses. But if a proxy is used, the proxy looks up the name, and
# this package does not see the address. So the names are refused, too.
_METADATA_HOSTS = frozenset(
    {
        *("metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"),
        *("metadata.tencentyun.com", "api.metadata.cloud.ibm.com"),
    }
)
# Characters that a host name or an IP address may have. `_refusal` refuses a host with any other character, because URL
# parsers read such hosts in different ways: the client could call another host than the one that is checked here.
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?")
# The beginning of a URL with a plain host: only letters, digits, `.` and `-`, then perhaps a port, and then `/`, `?`,
# `#` or the end. All URL parsers find the same host in such a URL, so the fast search with this pattern is enough.
_PLAIN = re.compile(r"(https?)://([A-Za-z0-9.-]+(?::[0-9]{1,5})?)(?=[/?#]|\Z)")
_PRIVATE_ADVICE = "If that is right, name the host in extra `private_hosts` of the Learnosity connection"


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine itself."""
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or leads(host) is Leads.HERE


def is_host(name: str) -> bool:
    """Whether `name` has the form of a host name or of an IP address. It may have letters of any script."""
    try:
        return _HOST.fullmatch(name.encode("idna").decode()) is not None
    except UnicodeError:
        return False


def is_ipv6(host: str) -> bool:
    """Whether `host` is an IPv6 address without brackets."""
    return ":" in host and parse_address(host) is not None


def is_forbidden_address(host: str) -> bool:
    """Whether `host` must never be called: a cloud metadata service, or an address that is in `ip_ranges.NEVER`."""
    return forbidden(host) is not None


def forbidden(host: str) -> str | None:
    """What `host` is if it must never be called; None = it may be called."""
    is_never = host.lower().rstrip(".") in _METADATA_HOSTS or leads(host) is Leads.NEVER
    return kind_of_never(host) if is_never else None


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """Which signed URLs of the API may be followed, and where a host may lead.

    https is allowed to every host except this machine, private networks and metadata services. Plain http is allowed
    only to the API's own host, and only if the Airflow connection uses plain http (a test server).

    :param api_host: host name of the API, from the Airflow connection. It may be this machine or in a private network.
    :param plain_http: whether the Airflow connection uses plain http.
    :param private_hosts: hosts that may be in a private network, in lower case; `*.example.org` is each host below it.
    """

    api_host: str
    plain_http: bool
    private_hosts: tuple[str, ...] = ()

    def check(self, url: str) -> str:
        """Return `url` unchanged, or raise `PermanentApiError` with the reason and the redacted URL."""
        self.origin(url)
        return url

    def origin(self, url: str) -> tuple[str, str]:
        """Scheme and host, with the port, of a URL that may be called. Raises the error of `check`."""
        try:
            # For a URL with a plain host, `urlsplit` is not called, because it takes longer than the rest of this
            # check.
            if found := _PLAIN.match(url):
                scheme, netloc = found[1], found[2]
            else:
                parts = urlsplit(url)
                scheme, netloc = parts.scheme, parts.netloc
            reason = _refusal(self, scheme, netloc)
        except ValueError:
            raise PermanentApiError("The API gave a URL that cannot be read; nothing was sent to it.") from None
        if reason is not None:
            raise PermanentApiError(f"Refused to follow the URL {redact(url)} that the API gave: {reason}.")
        return scheme, netloc

    def refuses(self, host: str, address: str) -> str | None:
        """Why no connection to `address` may be opened for `host`, which leads there; None = it may.

        :param host: host of the URL, in lower case.
        """
        match leads(address):
            case Leads.OUTSIDE:
                return None
            case Leads.HERE if self.is_own(host) or is_loopback(self.api_host):
                return None
            case Leads.PRIVATE if self._may_be_private(host):
                return None
            case Leads.PRIVATE:
                return f"{Leads.PRIVATE}. {_PRIVATE_ADVICE}"
            case Leads.NEVER:
                return kind_of_never(address)
            case kind:
                return kind or "no address"

    def is_own(self, host: str) -> bool:
        """Whether `host` is that of the API. A final dot does not count: some clients leave it out."""
        return host.rstrip(".") == self.api_host.rstrip(".")

    def _may_be_private(self, host: str) -> bool:
        name = host.rstrip(".")
        return self.is_own(host) or any(
            name.endswith(each[1:]) if each.startswith("*.") else name == each for each in self.private_hosts
        )


@lru_cache(maxsize=256)  # cached, because thousands of URLs have the same few hosts
def _refusal(policy: UrlPolicy, scheme: str, netloc: str) -> str | None:
    """Why the host in `netloc` may not be called; None = it may. :raises ValueError: it cannot be read."""
    parts = urlsplit(f"//{netloc}")
    host = (parts.hostname or "").lower()
    user_info, _readable = parts.username is not None, parts.port
    own = policy.is_own(host) or (is_loopback(host) and is_loopback(policy.api_host))
    if not host or user_info:
        return "it has no host or carries user info"
    if not _HOST.fullmatch(host):
        return "its host holds characters that no host name has"
    if what := forbidden(host):
        return f"its host is {what}"
    if scheme == "http" and not (policy.plain_http and own):
        return "it is not https"
    if scheme not in ("http", "https"):
        return f"its scheme is {scheme!r}"
    if is_loopback(host) and not own:
        return "its host is this machine"
    if is_oddly_spelt(host):
        return "its host is an IP address in an unusual form"
    if leads(host) is not None and (why := policy.refuses(host, host)):
        return f"its host leads to {why}"
    return None
