"""The store of an Azure URI, with the credentials of an Airflow connection of type `wasb` or `adls`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from obstore.store import AzureStore

from learnosity.storage.obstore_store import ObstoreStore
from learnosity.store_options import RETRY, client_options, extra_of

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from learnosity.storage.store import Store
    from learnosity.storage.uris import StorageUri


def azure_account(connection: Connection | None) -> str:
    """The storage account of an Airflow connection; empty when the connection names no account."""
    return _azure_settings(connection).get("account_name", "")


def azure_store(where: StorageUri, connection: Connection | None) -> Store:
    """The store at `where`.

    :param connection: None = the credentials of the environment.
    """
    settings: dict[str, Any] = _azure_settings(connection)
    store = AzureStore(
        where.bucket,
        prefix=where.key or None,
        client_options=client_options(extra_of(connection), settings.get("endpoint")),
        retry_config=RETRY,
        **settings,
    )
    return ObstoreStore(store, where.text)


def _azure_settings(connection: Connection | None) -> dict[str, str]:
    extra = extra_of(connection)
    login, password, host = (connection.login, connection.password, connection.host) if connection else (None,) * 3
    # As in Airflow connections of type `wasb`: the host is the storage account, as a URL or a name.
    endpoint = extra.get("endpoint_url") or extra.get("account_url") or (host if host and "://" in host else None)
    named = extra.get("account_name") or (host if host and "." not in host and not endpoint else None)
    options: dict[str, Any] = {"account_name": named or _account_of(endpoint) or login}
    if text := extra.get("connection_string"):
        fields = dict(item.split("=", 1) for item in str(text).split(";") if "=" in item)
        endpoint = endpoint or fields.get("BlobEndpoint")
        options["account_name"] = fields.get("AccountName") or _account_of(endpoint)
        options["account_key"] = fields.get("AccountKey")
        options["sas_token"] = fields.get("SharedAccessSignature")
    elif sas := extra.get("sas_token"):
        options["sas_token"] = str(sas).lstrip("?")
    elif (tenant := extra.get("tenant_id")) and password:
        options |= {"client_id": login, "client_secret": password, "tenant_id": tenant}
    else:
        options["account_key"] = password
    options["endpoint"] = endpoint
    return {key: str(value) for key, value in options.items() if value}


def _account_of(endpoint: str | None) -> str | None:
    """The account that an endpoint names: `https://account.blob.core.windows.net`; None for other addresses."""
    host = urlsplit(endpoint).hostname or "" if endpoint else ""
    account, _, rest = host.partition(".")
    return account if rest.endswith("core.windows.net") else None
