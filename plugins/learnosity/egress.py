"""Proxies and TLS certificates of all outgoing requests: which proxy a URL needs, and which authorities are trusted.

Every HTTP library has its own rules for this. So every client of this package gets the answer from here, and no client
reads the environment itself. docs/network.md has the rules as a table.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from learnosity.errors import ConnectionConfigError

if TYPE_CHECKING:
    from obstore.store import ClientConfig

# Environment variables of AWS, Python's `requests` and curl. Each may name a PEM file of more authorities to trust.
BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# Environment variable that names the PEM file of the authorities that this machine trusts. OpenSSL and the TLS library
# of obstore load this file themselves, so `certificates` checks the file, but does not return its content.
SYSTEM_STORE = "SSL_CERT_FILE"
_PORTS = {"http": 80, "https": 443}
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# One entry of the environment variable NO_PROXY, with or without a port: `host`, `host:443`, `[::1]`, `[::1]:443`.
_EXCEPTION = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::(\d{1,5}))?")
# Not the variable NO_PROXY, but a proxy that cannot exist: no server can listen on port 0. obstore has no option to
# ignore the proxies of the environment, but a proxy that it is given replaces them. So where obstore must use no proxy,
# it is given this one, with a list of exceptions: it calls the hosts of the list directly.
NO_PROXY = "http://127.0.0.1:0"
_EVERYTHING = ("*", "0.0.0.0/0", "::/0")
# Hosts of the metadata services of clouds. A machine gets its credentials from the metadata service. A proxy would ask
# for the credentials of the machine that the proxy runs on, so these hosts are never called through a proxy.
_METADATA = ("169.254.0.0/16", "fd00:ec2::254", "metadata.google.internal", "metadata")

# Texts in the errors of libraries that mean: DNS does not know the host name.
_NO_HOST = r"name or service not known|nodename nor servname|no address associated|name does not resolve"
# Texts in the errors of libraries that mean: the proxy has refused. Group 1: the HTTP status of the proxy's reply. A
# text without a status means that the proxy wants a login.
_REFUSED_TUNNEL = re.compile(
    r"tunnel connection failed: (\d{3})|ProxyAuthRequired|proxy auth(?:entication|orization) required", re.IGNORECASE
)
_PROXY_ADVICE = "Check the proxy of the connection, or HTTPS_PROXY, HTTP_PROXY and NO_PROXY (docs/network.md)."


@dataclass(frozen=True, slots=True)
class Egress:
    """The proxy and TLS settings of one Airflow connection, together with those of the environment.

    :param proxy: URL of a proxy, or such URLs by scheme (`http`, `https`, `all`). It is used for every host: neither
        `HTTPS_PROXY` nor `NO_PROXY` changes it. None = the proxy of the environment.
    :param verify: False = TLS certificates are not checked; a text = a PEM file, or a folder of such files, with
        authorities to trust in addition to those of this machine; default True.
    :param trust_env: whether proxies and `*_CA_BUNDLE` of the environment count; default True.
    """

    proxy: str | Mapping[str, str] | None = field(default=None, repr=False)
    verify: bool | str = True
    trust_env: bool = True

    def proxy_for(self, url: str) -> str | None:
        """The proxy for a URL; None = no proxy.

        :raises ConnectionConfigError: the proxy is not a URL that begins with http:// or https://.
        """
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
        proxy, exceptions = self._proxy(parts.scheme)
        if not host or any(_covers(name, host) for name in (*_METADATA, *_exceptions(exceptions, port))):
            return None
        return proxy

    @property
    def may_proxy(self) -> bool:
        """Whether any URL may need a proxy."""
        return bool(self.proxy) or any(self._proxy(scheme)[0] for scheme in _PORTS)

    def certificates(self) -> bytes:
        """PEM of the authorities to trust in addition to those of this machine; may be empty.

        :raises ConnectionConfigError: a file that a setting names cannot be read, or holds no certificate.
        """
        if self.verify is False:
            return b""
        if store := os.environ.get(SYSTEM_STORE):
            _read(store, f"The environment variable {SYSTEM_STORE}")
        if isinstance(self.verify, str):
            return _read(self.verify, "Extra `verify` of the connection")
        # A dict has each path only once. So if all variables in `BUNDLES` name the same file, it is read once (40 ms).
        named = {path: name for name in reversed(BUNDLES) if self.trust_env and (path := os.environ.get(name))}
        # The file of `SSL_CERT_FILE` is left out, because the TLS libraries load this file themselves.
        if store and Path(store).is_file():
            named.pop(store, None)
        return b"\n".join(_read(path, f"The environment variable {name}") for path, name in named.items())

    def tls(self) -> ssl.SSLContext | Literal[False]:
        """The TLS settings for aiohttp; False = nothing is checked. Raises the errors of `certificates`."""
        if self.verify is False:
            return False
        system = os.environ.get(SYSTEM_STORE)
        return _tls(self.certificates(), system, Path(system).stat().st_mtime_ns if system else 0)

    def store_options(self, endpoint: str | None) -> ClientConfig:
        """The proxy and TLS options of obstore's HTTP client. Raises the errors of the other methods.

        :param endpoint: address of the store; None = the cloud's own, over https.
        """
        options: ClientConfig = {}
        if self.verify is False:
            options["allow_invalid_certificates"] = True
        elif more := self.certificates():
            options["root_certificate"] = more
        parts = urlsplit(endpoint or "https://")
        proxy, exceptions = self._proxy(parts.scheme)
        if parts.hostname and self.proxy_for(parts.geturl()) is None:
            # Without these options, obstore would use a proxy of the environment. It would also follow a redirect to
            # another host, and send a part of the credentials there. So for all hosts except that of the store, it gets
            # a proxy that cannot exist: a request to another host fails.
            options |= {"proxy_url": NO_PROXY, "proxy_excludes": ",".join(_as_excludes(parts.hostname))}
        elif proxy:
            names = _METADATA + tuple(_exceptions(exceptions, parts.port or _PORTS.get(parts.scheme)))
            options["proxy_url"] = proxy
            options["proxy_excludes"] = ",".join(each for name in names for each in _as_excludes(name))
        elif any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in os.environ):
            options |= {"proxy_url": NO_PROXY, "proxy_excludes": ",".join(_EVERYTHING)}
        return options

    def _proxy(self, scheme: str) -> tuple[str | None, str]:
        """The proxy for a scheme, and the exceptions from it as `NO_PROXY` has them."""
        given: Mapping[str, str] = {"all": self.proxy} if isinstance(self.proxy, str) else self.proxy or {}
        if url := given.get(scheme) or given.get("all"):
            return checked_proxy(url, "Extra `proxy` of the connection"), ""
        found = getproxies_environment() if self.trust_env else {}
        if not (url := found.get(scheme) or found.get("all")):
            return None, ""
        name = scheme.upper() if found.get(scheme) else "ALL"
        return checked_proxy(url, f"The environment variable {name}_PROXY"), found.get("no", "")


@lru_cache(maxsize=8)
def _tls(more: bytes, system: str | None, changed: int) -> ssl.SSLContext:
    """The TLS context for one set of authorities. It is kept, because reading those of the machine takes long.

    :param system: what `SYSTEM_STORE` names, and `changed` when that file was changed: another one is another context.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if more:
        context.load_verify_locations(cadata=more.decode())
    return context


def proxy_failure(proxy: str | None, cause: str) -> tuple[str, bool] | None:
    """What is wrong with a proxy that no connection could be made to, and whether that may pass; None = nothing is.

    Through a proxy, the proxy alone looks up and connects to the server. So these causes are never about the server.

    :param proxy: URL of the proxy that is used; None = none.
    :param cause: text of the error, and of what caused it. It is not quoted.
    """
    if not proxy:
        return None
    cause = re.sub(r"https?://\S+", "", cause)  # a URL may have any of the words that are searched for
    # This check comes first. A proxy that refuses may write "name or service not known" about the server into its
    # reply. The searches below would take these words to be about the proxy.
    if refused := _REFUSED_TUNNEL.search(cause):
        return proxy_refusal(proxy, int(refused[1] or 407))
    named, advice = _named(proxy), _PROXY_ADVICE
    if re.search(r"temporary failure in name resolution", cause, re.IGNORECASE):
        return f"the host name of {named} could not be looked up. {advice}", True
    if re.search(_NO_HOST, cause, re.IGNORECASE):
        return f"there is no such host as that of {named}. {advice}", False
    if re.search(r"connection refused|connect call failed|tcp connect error|connecttimeout", cause, re.IGNORECASE):
        return f"{named} cannot be reached. {advice}", True
    return None


def proxy_refusal(proxy: str, status: int) -> tuple[str, bool]:
    """What is wrong where a proxy replies with a status (0 = not known) and does not connect; whether that may pass."""
    if status == 407:
        return f"{_named(proxy)} wants a login, or refuses the one it got. {_PROXY_ADVICE}", False
    said = f" (HTTP {status})" if status else ""
    if status == 403:
        return f"{_named(proxy)} does not let the host pass{said}. Allow it there. {_PROXY_ADVICE}", False
    return f"{_named(proxy)} does not connect to the server{said}. Check that it lets the host pass.", True


def _named(proxy: str) -> str:
    """The proxy for a message, without its user and password."""
    parts = urlsplit(proxy)
    return f"the proxy {parts.hostname}{f':{parts.port}' if parts.port else ''}"


def proxy_of(options: ClientConfig, url: str) -> str | None:
    """The proxy that options of a store's client (see `Egress.store_options`) name for a URL; None = none."""
    host, excluded = urlsplit(url).hostname or "", options.get("proxy_excludes") or ""
    return None if any(_covers(name, host) for name in excluded.split(",")) else options.get("proxy_url")


def checked_proxy(url: str, named: str) -> str:
    """The URL of a proxy, with the scheme http if it has none.

    :param named: the setting, for the message.
    :raises ConnectionConfigError: it is not a URL of an HTTP proxy. It is not quoted: it may have a password.
    """
    text = url.strip()
    text = text if "://" in text else f"http://{text.removeprefix('//')}"
    try:
        parts = urlsplit(text)
        host, _readable = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in _PORTS:
        raise ConnectionConfigError(
            f"{named} is no URL of an HTTP proxy, such as http://proxy.example:3128. Proxies of other kinds, such as "
            "socks5://, cannot be used."
        )
    return text


def checked_verify(value: Any, named: str) -> bool | str:
    """The value of an extra `verify`: true, false, or the path of a PEM file; None = true.

    :param named: the setting, for the message.
    :raises ConnectionConfigError: it is something else.
    """
    if value is None or value == "":
        return True
    if isinstance(value, bool | str):
        return value
    raise ConnectionConfigError(f"{named} is true, false, or a file with certificates in PEM, not {value!r}.")


def _exceptions(no_proxy: str, port: int | None) -> Iterator[str]:
    """The names, addresses and networks in `NO_PROXY` that count for a port."""
    for entry in re.split(r"[,\s]+", no_proxy.strip()):
        found = _EXCEPTION.fullmatch(entry)
        name, own = (found[1] or found[2], found[3]) if found else (entry, None)
        name = name if name == "*" else name.removeprefix("*").strip(".").lower()
        if name and own in (None, str(port)):
            yield name


def _covers(exception: str, host: str) -> bool:
    """Whether an exception is for a host: for its address or network, or for its name or a domain around it."""
    if exception == "*":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        name = host.rstrip(".").lower()
        return name == exception or name.endswith(f".{exception}")
    try:
        return address in ipaddress.ip_network(exception, strict=False)
    except ValueError:
        return False


def _as_excludes(exception: str) -> tuple[str, ...]:
    """An entry of NO_PROXY in the form of obstore and pyreqwest, where `*` does not cover IP addresses."""
    if exception == "*":
        return _EVERYTHING
    try:
        return (str(ipaddress.ip_network(exception, strict=False)),)
    except ValueError:
        return (exception,)


def _read(path: str, named: str) -> bytes:
    """The certificates in a PEM file, or in the files of a folder, without the text around them."""
    advice = "It names a file with certificates in PEM, on every worker."
    try:
        where = Path(path)
        files = sorted(file for file in where.iterdir() if file.is_file()) if where.is_dir() else [where]
        content = b"\n".join(file.read_bytes() for file in files)
    except (OSError, ValueError) as error:
        why = f"this worker cannot read ({getattr(error, 'strerror', None) or error})"
        raise ConnectionConfigError(f"{named} names {path!r}, which {why}. {advice}") from None
    if (found := _certificates(content)) is None:
        raise ConnectionConfigError(f"{named} names {path!r}, which holds no certificate that can be read. {advice}")
    return found


@lru_cache(maxsize=8)
def _certificates(content: bytes) -> bytes | None:
    """The certificates in a text; None = there is none, or one of them is damaged."""
    found = b"\n".join(_CERTIFICATE.findall(content))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found.decode())
    except (ValueError, ssl.SSLError):
        return None
    return found
