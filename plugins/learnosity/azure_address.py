"""Which storage account of Azure an Airflow connection of type `wasb` or `adls` names, in whichever of its fields."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from learnosity.errors import ConnectionConfigError
from learnosity.store_options import extra_of

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from learnosity.storage.uris import StorageUri

log = logging.getLogger(__name__)

BLOB_HOST = "blob.core.windows.net"
# Finds two parts in a host of Azure's Blob API. Group 1: the account. Group 2: the domain of the cloud. In
# `account-secondary.z1.blob.storage.azure.net`, these are `account` and `storage.azure.net`. An account's name has no
# hyphen, so `-secondary` is no part of it. A part before `blob`, here the DNS zone `z1`, is skipped.
_OF_AZURE = re.compile(r"([a-z0-9]+)(?:-[a-z0-9-]+)?\.(?:[a-z0-9-]+\.)?blob\.([a-z0-9.-]+)")
# Azure's public cloud has two domains, and a connection may name the same account with both: `storage.azure.net` in the
# URL of its `sas_token`, and `core.windows.net`, which `account_url` adds to the name of an account. So `_account_in`
# gives `core.windows.net` for both. Otherwise, `check_addresses` would see two accounts and raise an error.
_CLOUDS = {"storage.azure.net": "core.windows.net"}
_ADDRESSES = ("endpoint_url", "account_host", "account_url")


def azure_account(where: StorageUri, connection: Connection | None) -> str:
    """The storage account of a URI and its connection; empty when they name no account."""
    if connection is None or where.account:
        return where.account.partition(".")[0]
    extra = extra_of(connection)
    if text := extra.get("connection_string"):
        fields = dict(item.split("=", 1) for item in str(text).split(";") if "=" in item)
        if fields.get("AccountName"):
            return fields["AccountName"]
        url = fields.get("BlobEndpoint", "")
    else:
        url = sas_url(extra) or account_url(connection, extra)
    parts = urlsplit(url)
    known = _account_in(_server(url))
    # If the host is not one of Azure's, it is an emulator or a proxy. Then the account is in the path of the address,
    # as in http://azurite:10000/account.
    return known[0] if known else parts.path.strip("/").partition("/")[0]


def account_url(connection: Connection, extra: Mapping[str, Any]) -> str:
    """The address of the account, as far as a connection names one: a URL, else ""."""
    named = next((str(extra[key]) for key in ("endpoint_url", "account_host", "account_url") if extra.get(key)), None)
    host = named or connection.host or ""
    # As in Airflow's Azure hooks, the login is the client id of a service principal if the extra has a `tenant_id`, or
    # if the type of the connection is `adls`. Otherwise it is the name of the storage account.
    login = "" if extra.get("tenant_id") or connection.conn_type == "adls" else connection.login or ""
    if host and "." not in urlsplit(host if "://" in host else f"//{host}").netloc and "://" not in host:
        host = f"{login or host}.{BLOB_HOST}"
    if not host and (account := extra.get("account_name") or login):
        host = f"{account}.{BLOB_HOST}"
    if not host:
        return ""
    # A storage account has two hosts: `.dfs.` for the Data Lake API, and `.blob.` for the Blob API. Only the Blob API
    # is used here, so the host is changed to `.blob.`.
    return (host if "://" in host else f"https://{host}").replace(".dfs.", ".blob.", 1)


def account_at(url: str, connection: Connection, extra: Mapping[str, Any]) -> str:
    """The account at an address that may not begin with its name, such as a domain of one's own; "" = none is named."""
    if known := _account_in(_server(url)):
        return known[0]
    # The host is not one of Azure's. An emulator has the account in the path, as in http://azurite.svc:10000/account.
    # If there is no path, the account is the login of the connection or its extra `account_name`.
    login = "" if extra.get("tenant_id") or connection.conn_type == "adls" else connection.login or ""
    return urlsplit(url).path.strip("/").partition("/")[0] or login or str(extra.get("account_name") or "")


def sas_url(extra: Mapping[str, Any]) -> str:
    """The extra `sas_token` where it is used and is a URL, which names the account, too; else ""."""
    token = _used_token(extra)
    return token if token.startswith("https") else ""


def _used_token(extra: Mapping[str, Any]) -> str:
    """The extra `sas_token`; "" where there is none, or Airflow's hook uses another identity before it."""
    is_used = not any(extra.get(key) for key in ("connection_string", "tenant_id", "shared_access_key"))
    return str(extra.get("sas_token") or "") if is_used else ""


def check_addresses(named: str, connection: Connection, extra: Mapping[str, Any]) -> None:
    """Check that a URL in a connection's `sas_token` is used as one, and that no other account is named beside it.

    As in Airflow's hook, the `sas_token` decides; the host and the login are often left over.

    :param named: the connection, for messages.
    :raises ConnectionConfigError: the `sas_token` has an address that the hook does not take for one. Or a field for
        the address alone names another one; another address of the same account gets a warning.
    """
    url = sas_url(extra)
    if not url and re.search(r"[/:.\\]", _used_token(extra).partition("=")[0]):
        # A signature begins with a name, such as `sv=`. Here, a `/`, `:`, `.` or `\` comes before the first `=`, so the
        # token is a URL. Airflow's hook recognises a URL only if it begins with `https`. So it would use this token as
        # a signature, and send it to the server that the host or the login names, not to the server in the URL.
        raise ConnectionConfigError(
            f"The {named} has a `sas_token` with an address that does not begin with `https`, in small letters and "
            "without a blank before it. Correct it, or give only what follows the question mark (sv=…&sig=…)."
        )
    if not url or not (other := account_url(connection, extra)):
        return
    own, beside = (_server(each) for each in (url, other))
    if own == beside:
        return
    key = next((key for key in _ADDRESSES if extra.get(key)), None)
    if key and (_account_in(own) is None or _account_in(own) != _account_in(beside)):
        raise ConnectionConfigError(
            f"The {named} has a `sas_token` that is a URL of {own}, and `{key}` names {beside}. Give only what follows "
            "the question mark as `sas_token` (sv=…&sig=…), or remove the other one."
        )
    log.warning("The %s has a `sas_token` that is a URL: it goes to %s, and not to %s.", named, own, beside)


def _server(url: str) -> str:
    """Host and port of an address in one spelling: in lower case, of the Blob API, without a default port."""
    parts = urlsplit(url.lower())
    port = ":443" if parts.scheme == "https" else ":80"
    return parts.netloc.removesuffix(port).replace(".dfs.", ".blob.", 1)


def _account_in(server: str) -> tuple[str, str] | None:
    """The account and the cloud of an address of Azure; None = it is no such address, so it is not known.

    An account has several: of a private endpoint, of its copy in another region (`-secondary`), of its DNS zone.
    """
    found = _OF_AZURE.match(server)
    return (found[1], _CLOUDS.get(found[2], found[2])) if found else None
