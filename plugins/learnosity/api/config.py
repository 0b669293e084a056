"""The checked settings of an Airflow connection to Learnosity.

Only `Credentials` contains the secret, and no `repr` shows the secret.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from learnosity.api.defaults import (
    DEFAULT_BASE_URL,
    DEFAULT_DOMAIN,
    DEFAULT_REPORTS_URL,
    DEFAULT_TIMEOUT,
    DEFAULT_VERSION,
    REGION_NAMES,
    REGIONS,
)
from learnosity.api.url_policy import UrlPolicy, forbidden, is_host, is_ipv6, is_loopback
from learnosity.egress import Egress, checked_proxy
from learnosity.errors import ConnectionConfigError
from learnosity.results.declared import Declaration, parse_declaration

_DEFAULT_PORTS = {"https": 443, "http": 80}
_ON = ("1", "true", "yes", "on")
_OFF = ("0", "false", "no", "off")
# Form of a consumer key (docs/learnosity-api.md, "The security object"). A login of another form is refused and never
# sent: it may be the login of another system, whose connection was named by mistake.
_KEY = re.compile(r"[A-Za-z0-9]{16}")
# The secrets in Learnosity's examples have 40 characters. The allowed lengths are not documented, so 20 to 128
# characters are accepted.
_SECRET = re.compile(r"[A-Za-z0-9]{20,128}")
# Airflow connections of these types are accepted. `https` is accepted, because Airflow gives this type to a connection
# that is written as a URI beginning with `https://`.
CONN_TYPES = ("learnosity", "http", "https")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
# Form of the extra `version`: an API version, such as `v2026.2.LTS`, or an alias, such as `latest`. Another form is
# refused: the version becomes a part of the path of each call, so `v1/../x` would lead to another address.
_VERSION = re.compile(r"v\d+(\.\d+)*(\.lts|\.preview\d+)?|latest(-lts)?|developer", re.IGNORECASE)


def is_version(text: str) -> bool:
    """Whether a text has the form of an API version."""
    return len(text) <= 40 and _VERSION.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Credentials:
    """One key set of a Learnosity consumer, and a domain on the allow-list of that consumer."""

    consumer_key: str
    consumer_secret: str = field(repr=False)
    domain: str = DEFAULT_DOMAIN


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """The checked settings of an Airflow connection.

    :param credentials: key set and domain.
    :param base_url: scheme, host and port of the Data API, no path.
    :param version: pinned API version, the first path segment of every call.
    :param organisation_id: item bank to use; None = the primary item bank of the consumer.
    :param reports_url: address from which the browser loads the Reports API.
    :param timeout: time limit of one attempt of a call, in seconds; default 60.
    :param proxy: URL of an outgoing proxy; default none.
    :param verify: whether TLS certificates are checked, or a PEM file of authorities to trust as well; default True.
    :param trust_env: whether proxies and certificate authorities of the environment count; default True.
    :param private_hosts: hosts of signed URLs that may be in a private network; `*.example.org` is each host below it.
    :param results: where the reply with the results has its files; None = the reader finds this out from each reply.
    :param input_check: `records` = a line of the input has to be a record of its dataset type; `json` = a JSON object,
        and no more. Default `records`.
    """

    credentials: Credentials
    base_url: str = DEFAULT_BASE_URL
    version: str = DEFAULT_VERSION
    organisation_id: int | None = None
    reports_url: str = DEFAULT_REPORTS_URL
    timeout: float = DEFAULT_TIMEOUT
    proxy: str | None = field(default=None, repr=False)
    verify: bool | str = True
    trust_env: bool = True
    results: Declaration | None = None
    input_check: str = "records"
    private_hosts: tuple[str, ...] = ()

    @property
    def account(self) -> str:
        """Digest that identifies the Learnosity account. A dataset of one account does not exist in another account."""
        return hashlib.sha256(f"{self.base_url} {self.credentials.consumer_key}".encode()).hexdigest()[:16]

    @property
    def url_policy(self) -> UrlPolicy:
        """Which signed URLs of this API may be followed."""
        parts = urlsplit(self.base_url)
        return UrlPolicy((parts.hostname or "").lower(), parts.scheme == "http", self.private_hosts)

    @property
    def egress(self) -> Egress:
        """The proxy and the trusted certificates, for calls of the API and for signed URLs."""
        return Egress(self.proxy, self.verify, self.trust_env)

    def url(self, endpoint: str) -> str:
        """Address of `endpoint` (without leading slash) under the pinned version."""
        return f"{self.base_url}/{self.version}/{endpoint}"


def build_config(
    conn_id: str,
    *,
    conn_type: str | None = "learnosity",
    login: str | None,
    password: str | None,
    host: str | None = None,
    schema: str | None = None,
    port: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> ApiConfig:
    """Check the parts of an Airflow connection and make a config of them.

    :param conn_type: a connection of any other type than `CONN_TYPES` is refused: its password is not for Learnosity.
    :raises ConnectionConfigError: a part cannot be used. The message names the field and what to put there.
    """
    extra = extra or {}

    def refuse(what: str) -> ConnectionConfigError:
        return ConnectionConfigError(f"Connection {conn_id!r}: {what}")

    if (conn_type or "").lower() not in CONN_TYPES:
        raise refuse(
            "its type is not Learnosity or HTTP, so its password is not used. Name a connection of type Learnosity."
        )
    if not (login or "").strip():
        raise refuse("the login is empty; put the Learnosity consumer key there.")
    if not password:
        raise refuse("the password is empty; put the Learnosity consumer secret there.")
    key, secret = (login or "").strip(), password.strip()
    if not _KEY.fullmatch(key):
        raise refuse("the login is no Learnosity consumer key, which has 16 letters and digits; put the key there.")
    if not _SECRET.fullmatch(secret):
        raise refuse(
            "the password is no Learnosity consumer secret, which has letters and digits alone, 40 in all examples; "
            "put the secret there."
        )
    version = str(extra.get("version") or DEFAULT_VERSION)
    if not is_version(version):
        raise refuse(f"extra `version` is {version!r}; it must look like {DEFAULT_VERSION!r}.")
    domain = str(extra.get("domain") or DEFAULT_DOMAIN)
    if re.search(r"[/:\s_]", domain):
        raise refuse("extra `domain` must be a bare domain on the consumer's allow-list, without scheme or port.")
    organisation_id = extra.get("organisation_id")
    if organisation_id in ("", None):
        organisation_id = None
    else:
        if isinstance(organisation_id, bool) or not re.fullmatch(r"\s*\d{1,18}\s*", str(organisation_id)):
            raise refuse("extra `organisation_id` must be a whole number (an item bank's id).")
        organisation_id = int(organisation_id)
    try:
        timeout = float(extra.get("timeout") or DEFAULT_TIMEOUT)
    except (TypeError, ValueError, OverflowError):
        timeout = math.nan
    if not 0 < timeout < math.inf:
        raise refuse(f"extra `timeout` must be a number of seconds above 0, such as {DEFAULT_TIMEOUT:.0f}.")
    base_url = _base_url(host, schema, port, region=extra.get("region"), refuse=refuse)
    parts = urlsplit(base_url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or "") and not _truth(extra.get("allow_http")):
        raise refuse(
            f"{base_url} is plain http, which would send the signed request in the clear. Use https, or set "
            "extra `allow_http` to true if this host is a test server."
        )
    reports_url = _script_url(str(extra.get("reports_url") or DEFAULT_REPORTS_URL).strip())
    if reports_url is None:
        raise refuse(f"extra `reports_url` must be an https URL without a query, such as {DEFAULT_REPORTS_URL}.")
    return ApiConfig(
        credentials=Credentials(key, secret, domain),
        base_url=base_url,
        version=version,
        organisation_id=organisation_id,
        reports_url=reports_url,
        timeout=timeout,
        proxy=_proxy(extra, parts.scheme, refuse=refuse),
        verify=_verify(extra, refuse=refuse),
        trust_env=_switch(extra, "trust_env", refuse=refuse),
        results=parse_declaration(extra),
        input_check=_input_check(extra, refuse=refuse),
        private_hosts=_private_hosts(extra.get("private_hosts"), refuse=refuse),
    )


def _base_url(host: str | None, schema: str | None, port: int | None, *, region: Any, refuse: Any) -> str:
    host, schema = (host or "").strip(), (schema or "").strip()
    if not host:
        if port not in (None, 0, _DEFAULT_PORTS["https"]):
            raise refuse(f"the port is {port}, but the host is empty; enter the host as well, or 443 as port.")
        if region and region not in REGIONS:
            raise refuse(f"extra `region` is {region!r}; it must be one of {REGION_NAMES}.")
        return f"https://data-{region}.learnosity.com" if region else DEFAULT_BASE_URL
    try:
        address = f"[{host}]" if "[" not in host and is_ipv6(host) else host
        parts = urlsplit(address if "://" in host else f"{schema or 'https'}://{address}")
        name, own_port = parts.hostname, parts.port
    except ValueError:
        raise refuse("the host cannot be read; give a host name, or a URL without a path.") from None
    if not 0 <= (port or 0) <= 65535:
        raise refuse(f"the port is {port}; it must be a number from 1 to 65535, or empty.")
    if parts.scheme not in ("http", "https") or not name or not is_host(name):
        raise refuse("the host must be a host name without blanks, or a URL that starts with https://.")
    if parts.username is not None or parts.query or parts.path.strip("/"):
        raise refuse("the host must not carry user info, a path or a query; the version goes into the extra.")
    if what := forbidden(name):
        raise refuse(f"the host is {what}, which is never called.")
    chosen = port or own_port
    # The default port is left out. `ApiConfig.account` is made from this URL, and a task refuses to continue a dataset
    # of another account. So the account has to stay the same if a person adds the default port to the connection.
    if chosen == _DEFAULT_PORTS[parts.scheme]:
        chosen = None
    bare = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{bare}{f':{chosen}' if chosen else ''}"


def _script_url(url: str) -> str | None:
    """The address of the Reports API, made of its checked parts; None if a browser must not load it from `url`.

    A part that is not checked could add directives to the content security policy of the report.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    bare = parts.username is None and parts.password is None and not parts.query and not parts.fragment
    path = parts.path.rstrip("/")
    if not safe or not bare or not _HOST.fullmatch(host) or not _PATH.fullmatch(path):
        return None
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}{path}"


def _proxy(extra: Mapping[str, Any], scheme: str, *, refuse: Any) -> str | None:
    """The proxy for a scheme: a URL, or URLs by scheme, as in connections of Airflow's http provider."""
    given = extra.get("proxy") or extra.get("proxies")
    url = given.get(scheme) or given.get("all") if isinstance(given, Mapping) else given
    if not url:
        return None
    try:
        return checked_proxy(str(url), "extra `proxy`")
    except ConnectionConfigError as error:
        raise refuse(str(error)) from None


def _private_hosts(given: Any, *, refuse: Any) -> tuple[str, ...]:
    """Extra `private_hosts`: host names, as a list or as one text with commas or spaces."""
    names = re.split(r"[,\s]+", given.strip()) if isinstance(given, str) else given or []
    if not isinstance(names, list) or not all(
        isinstance(name, str) and _HOST.fullmatch(name.removeprefix("*.").rstrip(".")) for name in names if name != ""
    ):
        raise refuse('extra `private_hosts` must be a list of host names, such as ["*.s3.eu-west-1.amazonaws.com"].')
    return tuple(name.lower().rstrip(".") for name in names if name)


def _verify(extra: Mapping[str, Any], *, refuse: Any) -> bool | str:
    """Extra `verify`: true, false, or the path of a PEM file. `verify_ssl` is its name in the http provider."""
    value = next((extra[name] for name in ("verify", "verify_ssl") if extra.get(name) not in (None, "")), True)
    if isinstance(value, str) and value.strip().lower() not in _ON + _OFF:
        return value
    return _switch({"verify": value}, "verify", refuse=refuse)


def _input_check(extra: Mapping[str, Any], *, refuse: Any) -> str:
    """Extra `input_check`. The format of the lines is inferred, so a user who knows better can turn the check off."""
    value = str(extra.get("input_check") or "records").strip().lower()
    if value not in ("records", "json"):
        raise refuse("extra `input_check` is either `records`, or `json`: a line has to be a JSON object and no more.")
    return value


def _switch(extra: Mapping[str, Any], *names: str, refuse: Any) -> bool:
    """The boolean of the first name in `names` that is set; True when no name is set. Any other value is refused."""
    for name in names:
        value = extra.get(name)
        if value in (None, ""):
            continue
        if not isinstance(value, bool) and str(value).strip().lower() not in _ON + _OFF:
            raise refuse(f"extra `{name}` must be true or false.")
        return _truth(value)
    return True


def _truth(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _ON
    return bool(value)
