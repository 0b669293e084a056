"""The store of an S3 URI, with the address and the credentials of an Airflow connection of type `aws`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException
from obstore.store import S3Store

from learnosity.errors import ConnectionConfigError
from learnosity.storage.abandoned import s3_uploads
from learnosity.storage.keys import s3_keys
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.streamed_put import StreamedPut
from learnosity.store_options import RETRY, client_options

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from learnosity.storage.store import Store
    from learnosity.storage.uris import StorageUri


def s3_store(where: StorageUri, connection: Connection | None) -> Store:
    """The store at `where`.

    :param connection: None = the credentials of the environment.
    :raises ConnectionConfigError: the connection gives no credentials.
    """
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
    client = client_options(extra, endpoint, verify=hook.conn_config.verify)
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
    return ObstoreStore(
        store,
        where.text,
        discard=s3_uploads(hook.get_conn, where.bucket, where.key),
        keys=s3_keys(hook.get_conn, where.bucket, where.key),
        single_put=StreamedPut(store, where.text, client) if guarded else None,
    )
