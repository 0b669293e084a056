"""boto3's S3 client of a connection, as Airflow's own hook makes it."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Connection


def s3_client(connection: Connection | None) -> tuple[Any, Any, bool | str | None]:
    """boto3's S3 client and session as Airflow's hook makes them, and how TLS certificates are checked.

    :param connection: None = the credentials of the environment.
    """
    # These imports are here, because importing boto3 takes a second, and a deployment without S3 does not have it.
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper

    hook: AwsGenericHook[Any] = AwsGenericHook(aws_conn_id=None, client_type="s3")
    # The connection is given to the hook. If the hook looked for it and found none, it would silently use credentials
    # from the environment.
    hook.conn_config = AwsConnectionWrapper(connection)
    session: Any = hook.get_session()
    settings = session._session  # the botocore session inside, for which boto3 has no public name
    settings.register_component("data_loader", _data_loader(settings.get_config_variable("data_path")))
    client = session.client(
        "s3",
        endpoint_url=hook.conn_config.get_service_endpoint_url(service_name="s3"),
        config=hook.config,
        verify=hook.verify,
    )
    verify = hook.verify
    if verify is None:
        # `ca_bundle` of the AWS profile. The variable AWS_CA_BUNDLE is left out here, because `client_options` reads
        # it.
        bundle = settings.get_config_variable("ca_bundle")
        verify = None if bundle == os.environ.get("AWS_CA_BUNDLE") else bundle
    return client, session, verify


@functools.cache
def _data_loader(data_path: str | None) -> Any:
    """botocore's model of S3. It is kept, because reading it for each store would take a tenth of a second."""
    from botocore.loaders import create_loader  # type: ignore[import-untyped]

    return create_loader(data_path)
