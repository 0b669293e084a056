"""Opens the store of an object-storage URI, with the credentials of the Airflow connection in the URI.

URIs have the form of Airflow's ObjectStoragePath: `scheme://conn_id@bucket/key`. Without `conn_id@`, the credentials of
the environment are used. Call this outside an event loop, because reading an Airflow connection blocks: inside an event
loop, Airflow loses the credentials without an error. Stores have threads: open them in tasks, not at import.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from obstore.exceptions import BaseError as ObstoreError
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store

from learnosity.errors import ConnectionConfigError, FolderNotFoundError, StorageError
from learnosity.redaction import redact_text
from learnosity.storage.abandoned import local_files, s3_uploads
from learnosity.storage.errors import first_line
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.store import Store
from learnosity.storage.streamed_put import StreamedPut
from learnosity.storage.uris import AZURE_SCHEMES, GCS_SCHEMES, S3_SCHEMES, StorageUri, parse_uri

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

RETRY: RetryConfig = {"max_retries": 8, "retry_timeout": timedelta(minutes=3)}


def open_store(uri: str, *, must_exist: bool = False) -> Store:
    """The store at the prefix `uri`. Nothing is read or written yet, but a local folder is made.

    :param must_exist: if a local folder does not exist, do not make it, but raise `FolderNotFoundError`.
    :raises StorageError: when the URI is not valid, or no driver for its scheme is installed.
    :raises ConnectionConfigError: when its Airflow connection is missing or incomplete.
    """
    where = parse_uri(uri)
    if where.scheme == "file":
        return _local(where, must_exist)
    connection = _connection(where.conn_id) if where.conn_id else None
    for schemes, build in ((S3_SCHEMES, _s3), (GCS_SCHEMES, _gcs), (AZURE_SCHEMES, _azure)):
        if where.scheme in schemes:
            try:
                return build(where, connection)
            except (ObstoreError, ValueError) as error:
                named = f"connection {where.conn_id!r}" if where.conn_id else "environment"
                raise ConnectionConfigError(
                    f"The {named} does not give access to {where.text}: {first_line(error)}. Check its fields."
                ) from None
    from learnosity.fsspec_store import open_fsspec_store

    return open_fsspec_store(uri, where.text)


def open_input_store(uri: str) -> Store:
    """The store at `uri` for reading. A missing local folder is not made.

    :raises FolderNotFoundError: the local folder does not exist.
    """
    return open_store(uri, must_exist=True)


def _connection(conn_id: str) -> Connection:
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConnectionConfigError(
            f"The storage connection {conn_id!r} does not exist. Add it in Airflow under Admin → Connections, or "
            "name another one before the @ of the URI."
        ) from None


def _client(extra: dict[str, Any], endpoint: str | None, *, verify: Any = True) -> ClientConfig:
    client: ClientConfig = {"timeout": timedelta(minutes=5), "connect_timeout": timedelta(seconds=15)}
    scheme, separator, _ = (endpoint or "https://").lower().partition("://")
    if not separator or scheme not in ("http", "https"):
        raise ConnectionConfigError(
            f"The endpoint of the storage connection is no URL: {redact_text(str(endpoint))!r}. It begins with "
            "https:// or http://."
        )
    if scheme == "http":
        client["allow_http"] = True
    if verify is False:
        client["allow_invalid_certificates"] = True
    elif isinstance(verify, str):
        client["root_certificate"] = _certificates(verify)
    if proxy := extra.get("proxy"):
        client["proxy_url"] = str(proxy)
    return client


def _certificates(path: str) -> bytes:
    """The PEM file that `verify` names, as in the AWS tools. The store's TLS certificate is checked with it."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConnectionConfigError(
            f"Extra `verify` of the storage connection names {path!r}, which this worker cannot read "
            f"({error.strerror}). It is true, false, or a file with certificates in PEM."
        ) from None


def _local(where: StorageUri, must_exist: bool) -> Store:
    try:
        # `must_exist` stands for a store that is only read. Other stores remove a folder with the last file in it.
        store = LocalStore(where.key, automatic_cleanup=not must_exist, mkdir=not must_exist)
    except (OSError, ObstoreError) as error:
        if must_exist and not Path(where.key).is_dir():
            raise FolderNotFoundError(f"{where.text} is no folder that this worker can see.") from None
        raise StorageError(
            f"Could not open {where.text}: {first_line(error)}. Check the path, and that Airflow may write there."
        ) from None
    return ObstoreStore(store, where.text, is_local=True, discard=local_files(where.key))


def _s3(where: StorageUri, connection: Connection | None) -> Store:
    # Imported only here: importing boto3 takes a second, and a deployment without S3 does not need it.
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from obstore.auth.boto3 import Boto3CredentialProvider

    hook: AwsGenericHook[Any] = AwsGenericHook(aws_conn_id=connection.conn_id if connection else None, client_type="s3")
    try:
        session = hook.get_session()
        endpoint = hook.conn_config.get_service_endpoint_url(service_name="s3")
        provider = Boto3CredentialProvider(session)
    except (AirflowException, ValueError) as error:
        named = f"connection {where.conn_id!r}" if where.conn_id else "the environment"
        raise ConnectionConfigError(f"No AWS credentials from {named}: {type(error).__name__}.") from None
    extra = hook.conn_config.extra_config
    addressing = (extra.get("config_kwargs") or {}).get("s3", {}).get("addressing_style")
    # Without an endpoint, obstore calls AWS. obstore does not accept None, so the argument is left out.
    own: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    # Verified TLS protects the body, so the signature does not cover it, as in the AWS tools. To hash the body as well
    # would take a quarter of the time for a large file (docs/performance.md).
    guarded = hook.conn_config.verify is not False and (endpoint or "https://").lower().startswith("https://")
    client = _client(extra, endpoint, verify=hook.conn_config.verify)
    store = S3Store(
        where.bucket,
        prefix=where.key or None,
        credential_provider=provider,
        region=session.region_name or "us-east-1",
        **own,
        virtual_hosted_style_request=endpoint is None and addressing != "path",
        unsigned_payload=guarded,
        client_options=client,
        retry_config=RETRY,
    )
    single_put = StreamedPut(
        store, where.text, proxy=client.get("proxy_url"), certificates=client.get("root_certificate")
    )
    return ObstoreStore(
        store,
        where.text,
        discard=s3_uploads(hook.get_conn, where.bucket, where.key),
        single_put=single_put if guarded else None,
    )


def _gcs(where: StorageUri, connection: Connection | None) -> Store:
    extra = _extra(connection)
    options: dict[str, Any] = {}
    if keyfile := extra.get("keyfile_dict"):
        import json

        options["service_account_key"] = keyfile if isinstance(keyfile, str) else json.dumps(keyfile)
    elif key_path := extra.get("key_path"):
        options["service_account_path"] = str(key_path)
    endpoint = extra.get("endpoint_url")
    if endpoint:
        options["base_url"] = str(endpoint)
    store = GCSStore(
        where.bucket,
        prefix=where.key or None,
        client_options=_client(extra, endpoint),
        retry_config=RETRY,
        **options,
    )
    return ObstoreStore(store, where.text)


def azure_account(where: StorageUri) -> str:
    """The storage account in the URI's Airflow connection; empty when the connection names no account."""
    return _azure_settings(_connection(where.conn_id) if where.conn_id else None).get("account_name", "")


def _azure(where: StorageUri, connection: Connection | None) -> Store:
    settings: dict[str, Any] = _azure_settings(connection)
    store = AzureStore(
        where.bucket,
        prefix=where.key or None,
        client_options=_client(_extra(connection), settings.get("endpoint")),
        retry_config=RETRY,
        **settings,
    )
    return ObstoreStore(store, where.text)


def _azure_settings(connection: Connection | None) -> dict[str, str]:
    extra = _extra(connection)
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


def _extra(connection: Connection | None) -> dict[str, Any]:
    """The extra of an Airflow connection. Its keys are without the form's prefix `extra__type__`."""
    if connection is None:
        return {}
    extra: dict[str, Any] = connection.extra_dejson
    return {key.rpartition("__")[2] if key.startswith("extra__") else key: value for key, value in extra.items()}
