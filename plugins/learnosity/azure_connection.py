"""The store of an Azure URI, with the address and the identity of an Airflow connection of type `wasb` or `adls`.

Airflow's own WasbHook makes a client from the connection, and obstore gets the address and the credentials of that
client. So a connection means the same here as in Airflow's operators. obstore also reads variables `AZURE_…` of the
environment by itself. Each of them is given here, so that the environment changes nothing.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import attrs
from airflow.sdk import Connection
from obstore.store import AzureStore

from learnosity.azure_address import BLOB_HOST, account_at, account_url, check_addresses, sas_url
from learnosity.egress import proxy_of
from learnosity.errors import ConnectionConfigError
from learnosity.storage.azure_tokens import AzureRequests, AzureTokens, fixed, is_base64
from learnosity.storage.bucket_deletes import BucketDeletes
from learnosity.storage.bucket_listing import BucketListing
from learnosity.storage.listing_page import azure_page
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.store_options import RETRY, checked_endpoint, client_options, egress_of, extra_of, warn_of_unused

if TYPE_CHECKING:
    from learnosity.storage.azure_tokens import Provider
    from learnosity.storage.store import Store
    from learnosity.storage.uris import StorageUri

log = logging.getLogger(__name__)

# Keys of a connection's extra that this module or WasbHook uses. docs/stores.md explains each key. Any other key is
# ignored with a warning, except those in `_REFUSED`.
_USED = (
    *("connection_string", "tenant_id", "shared_access_key", "sas_token", "account_key", "client_secret_auth_config"),
    *("account_url", "account_host", "account_name", "anon", "managed_identity_client_id", "audience", "proxies"),
    *("workload_identity_tenant_id", "connection_verify", "endpoint_url", "proxy", "verify"),
)
# Keys of a connection's extra for which an error is raised. If they were ignored, data could be written unencrypted or
# with another identity.
_REFUSED = (
    *("require_encryption", "key_encryption_key", "key_resolver_function", "encryption_version", "credential"),
    *("workload_identity_client_id", "connection_cert", "transport"),
)
# For a URI without an Airflow connection, Airflow uses the library adlfs, which reads environment variables such as
# AZURE_STORAGE_ACCOUNT_KEY. These are their names in lower case, without the prefix AZURE_STORAGE_. This module reads
# the same variables, so that such a URI has the same credentials as in Airflow.
_OF_ADLFS = (
    *("account_name", "account_key", "connection_string", "sas_token", "client_id", "client_secret", "tenant_id"),
    "anon",
)


@dataclass(frozen=True, slots=True)
class _Account:
    """A storage account, with the settings of the client that WasbHook makes.

    :param endpoint: URL without a query.
    :param provider: gives the credentials; None = requests are not signed.
    """

    name: str
    endpoint: str
    provider: Provider | None


def azure_store(where: StorageUri, connection: Connection | None) -> Store:
    """The store at `where`.

    :param connection: None = the account in the URI or the environment, with the credentials of the environment, as
        adlfs takes them: `AZURE_STORAGE_…`, else `DefaultAzureCredential`.
    :raises ConnectionConfigError: the connection names no account, or a field cannot be used.
    """
    if any(name.startswith("AZURE_") and name.lower() == "azure_storage_encryption_key" for name in os.environ):
        raise ConnectionConfigError(
            "The environment of this process has AZURE_STORAGE_ENCRYPTION_KEY, and obstore would encrypt with it "
            "whatever the connection says. Remove the variable."
        )
    given = connection if connection is not None else _of_environment(where)
    named = f"connection {given.conn_id!r}" if connection is not None else "environment"
    extra = extra_of(given)
    if refused := sorted(key for key in _REFUSED if extra.get(key)):
        raise ConnectionConfigError(f"The {named} has the extra {refused[0]!r}, which landing cannot use. Remove it.")
    warn_of_unused(named, extra, _USED, connection, ("schema", "port"))
    if given_url := extra.get("endpoint_url"):
        checked_endpoint(given_url)  # refuses a wrong URL, which Azure's client would silently change
    account = _account(named, given, extra, where.account)
    verify = _verify(extra)
    client = client_options({"proxy": extra.get("proxy") or extra.get("proxies")}, account.endpoint, verify=verify)
    store = AzureStore(
        where.bucket,
        prefix=where.key or None,
        account_name=account.name,
        endpoint=account.endpoint,
        use_emulator=False,
        use_fabric_endpoint=False,
        disable_tagging=False,
        skip_signature=account.provider is None,
        # Without a credential provider, obstore would use credentials from the environment. So if the account has no
        # provider, obstore gets a provider that returns an empty token.
        credential_provider=account.provider or fixed({"token": "", "expires_at": None}),
        client_options=client,
        retry_config=RETRY,
    )
    requests = AzureRequests(account.endpoint, account.name, where.bucket, account.provider)
    attempts = 1 + RETRY["max_retries"]
    listing = BucketListing(requests, azure_page, where.key, where.text, client, attempts)
    deletes = BucketDeletes(requests, where.key, where.text, client, attempts, done=202)
    return ObstoreStore(store, where.text, listing=listing, deletes=deletes, proxy=proxy_of(client, account.endpoint))


def _account(named: str, connection: Connection, extra: dict[str, Any], account_host: str) -> _Account:
    from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

    pair = [extra.get(key) for key in ("managed_identity_client_id", "workload_identity_tenant_id")]
    if any(pair) and not all(pair):
        raise ConnectionConfigError(
            f"The {named} has only one of `managed_identity_client_id` and `workload_identity_tenant_id`. Airflow uses "
            "neither of them then, but another identity. Give both, or none."
        )
    check_addresses(named, connection, extra)
    has_address = bool(extra.get("connection_string") or sas_url(extra))  # either of the two names the account
    url = "" if has_address else account_url(connection, extra)
    if not url and not has_address:
        raise ConnectionConfigError(f"The {named} names no storage account. Its host is https://ACCOUNT.{BLOB_HOST}.")
    hooked = attrs.evolve(
        connection, conn_id=connection.conn_id or "azure", conn_type="wasb", host=url or None, extra=_for_hook(extra)
    )

    def made() -> Any:
        # `get_connection` is replaced, so that the hook uses the changed connection `hooked`, and does not ask Airflow
        # for the saved one.
        hook: Any = type("Hook", (WasbHook,), {"get_connection": classmethod(lambda cls, conn_id: hooked)})
        return hook(hooked.conn_id, public_read=_is_anonymous(connection, extra)).get_conn()

    # If the host of the URL has no dot, as in http://azurite:10000/account, the client of WasbHook has an address in
    # Azure's public cloud instead. Then `is_own` is True: account name and endpoint are taken from the URL, and not
    # from the client.
    is_own = bool(url) and "." not in urlsplit(url).netloc
    try:
        try:
            client = made()
        except ValueError as error:
            account = account_at(url, connection, extra) if url else ""
            if "determine account name" not in str(error) or not account:
                raise
            # With an account key, Azure's client needs a host such as ACCOUNT.blob.core.windows.net, in which it finds
            # the account's name. The host of `url` is another one, such as a custom domain. So the client is made for
            # the account's usual host. `is_own` makes the lines below take the endpoint from the URL.
            hooked, is_own = attrs.evolve(hooked, host=f"https://{account}.{BLOB_HOST}"), True
            client = made()
    except ImportError:
        raise  # a package is missing: the error of `open_store` names the pip extra to install
    # The hook also raises errors of its libraries. Their texts may contain a part of an account key, so the message has
    # only their type.
    except Exception as error:
        raise ConnectionConfigError(
            f"The {named} is no connection to an Azure storage account ({type(error).__name__}). {_to_check(extra)}"
        ) from None
    parts = urlsplit(client.primary_endpoint)
    name = client.account_name or str(extra.get("account_name") or "") or (parts.hostname or "").partition(".")[0]
    if account_host and name != account_host.partition(".")[0]:
        raise ConnectionConfigError(
            f"The URI names the storage account of {account_host}, and the environment has a connection string for "
            "another one. Remove AZURE_STORAGE_CONNECTION_STRING, or name an Airflow connection before the @."
        )
    endpoint = f"{parts.scheme}://{client.primary_hostname}".replace(".dfs.", ".blob.", 1)
    if is_own:
        name, endpoint = account_at(url, connection, extra) or name, url.rstrip("/")
    provider = _provider(named, client.credential, parts.query, connection, extra)
    return _Account(name, endpoint, provider)


def _to_check(extra: Mapping[str, Any]) -> str:
    """Which fields WasbHook makes its client from, where it fails with them."""
    if extra.get("connection_string"):
        return "Check its `connection_string`: AccountName=…;AccountKey=…;EndpointSuffix=core.windows.net."
    if extra.get("tenant_id"):
        return "With `tenant_id`, the login is the id of a client, and the password is its secret: check all three."
    return "Check its host, login and password, and `account_name` in its extra."


def _provider(
    named: str, credential: Any, query: str, connection: Connection, extra: Mapping[str, Any]
) -> Provider | None:
    """The credential provider for obstore, with the credentials of Azure's own client.

    :param credential: of the client.
    :param query: of the client's address: a shared access signature, or "".
    """
    if hasattr(credential, "account_key"):
        if not is_base64(credential.account_key):
            raise ConnectionConfigError(f"The {named} has an account key that is not in base64. Copy it whole.")
        return fixed({"access_key": credential.account_key, "expires_at": None})
    if hasattr(credential, "get_token"):
        return _tokens(named, connection, extra)
    signature = str(getattr(credential, "signature", query)).lstrip("?")
    if not signature:
        return None
    pairs = [pair.partition("=") for pair in signature.split("&") if pair]
    if not all(separator for _, separator, _ in pairs):
        raise ConnectionConfigError(f"The {named} has a `sas_token` that is none. It looks like sv=…&sig=….")
    return fixed({"sas_token": [(key, unquote(value)) for key, _, value in pairs], "expires_at": None})


def _tokens(named: str, connection: Connection, extra: Mapping[str, Any]) -> AzureTokens:
    """The provider of tokens: the credential that WasbHook makes, but its requests are sent as all others are."""
    from azure.identity import ClientSecretCredential, DefaultAzureCredential

    from learnosity.storage.azure_token_requests import TokenRequests

    config = dict(extra.get("client_secret_auth_config") or {}) if extra.get("tenant_id") else {}
    if refused := [key for key in ("connection_cert", "transport") if config.get(key)]:
        raise ConnectionConfigError(
            f"The {named} has `{refused[0]}` in its extra `client_secret_auth_config`, which landing cannot use. "
            "Remove it."
        )
    proxy = config.pop("proxies", None) or extra.get("proxy") or extra.get("proxies")
    own_verify = config.pop("connection_verify", None)
    verify = _verify(extra) if own_verify is None else own_verify
    wants_machine = bool(extra.get("managed_identity_client_id"))
    requests = TokenRequests(egress_of({"proxy": proxy}, verify), wants_machine=wants_machine, **config)
    if extra.get("tenant_id"):
        own: Any = ClientSecretCredential
        given = {"tenant_id": extra["tenant_id"], "client_id": connection.login, "client_secret": connection.password}
        credential = own(**given, **config, transport=requests)
    else:
        tenant = extra.get("workload_identity_tenant_id")
        names = ("managed_identity_client_id", "workload_identity_tenant_id")
        ids = {name: extra[name] for name in names} | {"additionally_allowed_tenants": [tenant]} if tenant else {}
        credential = DefaultAzureCredential(**ids, transport=requests)
    return AzureTokens(credential, requests, named, str(extra.get("audience") or ""))


def _verify(extra: Mapping[str, Any]) -> Any:
    """Whether and how TLS certificates are checked. A field that is null is not given."""
    return next((extra[key] for key in ("verify", "connection_verify") if extra.get(key) is not None), True)


def _for_hook(extra: Mapping[str, Any]) -> str:
    """The extra without the fields that WasbHook does not know, or that would reach it twice."""
    own = ("endpoint_url", "account_host", "account_url", "account_name", "anon", "proxy", "verify")
    left = {key: value for key, value in extra.items() if key not in own}
    if isinstance(proxies := extra.get("proxies"), str):
        left["proxies"] = {"http": proxies, "https": proxies}
    return json.dumps(left)


def _is_anonymous(connection: Connection, extra: Mapping[str, Any]) -> bool:
    keys = ("shared_access_key", "sas_token", "account_key")
    asked = str(extra.get("anon", "")).lower() in ("true", "1")
    return asked and not connection.password and not any(extra.get(key) for key in keys)


def _of_environment(where: StorageUri) -> Connection:
    """The connection that adlfs finds in the environment."""
    env = {name: os.environ.get(f"AZURE_STORAGE_{name.upper()}") for name in _OF_ADLFS}
    host = where.account.replace(".dfs.", ".blob.", 1) if where.account else None
    principal = env["client_id"] and not (env["account_key"] or env["sas_token"])
    extra = {
        "account_name": env["account_name"],
        "connection_string": env["connection_string"],
        "tenant_id": env["tenant_id"] if principal else None,
        "sas_token": env["sas_token"],
        "anon": (env["anon"] or "false").lower() not in ("false", "0", "f"),
    }
    return Connection(
        conn_id="azure",
        conn_type="wasb",
        host=host,
        login=env["client_id"] if principal else None,
        password=env["client_secret"] if principal else env["account_key"],
        extra=json.dumps({key: value for key, value in extra.items() if value}),
    )
