"""boto3's S3 client of a connection, as Airflow's own hook makes it."""

from __future__ import annotations

import functools
import json
import os
from typing import TYPE_CHECKING, Any

import attrs

from learnosity.lookups import checked_extra
from learnosity.store_options import egress_of, extra_of, without_unset

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from learnosity.storage.boto3_requests import Boto3Requests


def s3_client(connection: Connection | None) -> tuple[Any, Any, bool | str | None]:
    """boto3's S3 client and session as Airflow's hook makes them, and how TLS certificates are checked.

    All requests of the session, also those for credentials, have the proxy and TLS settings of the other clients.

    :param connection: None = the credentials of the environment.
    """
    # These imports are not at the top: importing boto3 takes a second, and a deployment without S3 need not have boto3.
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook, SessionFactory
    from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper

    from learnosity.storage.boto3_requests import Boto3Requests

    hook: AwsGenericHook[Any] = AwsGenericHook(aws_conn_id=None, client_type="s3")
    # The hook gets the connection itself, not its id. With the id of a connection that does not exist, the hook would
    # only log a warning and use the credentials of the environment.
    if connection is not None:
        connection = attrs.evolve(connection, extra=json.dumps(without_unset(checked_extra(connection))))
    hook.conn_config = AwsConnectionWrapper(connection)
    factory = SessionFactory(conn=hook.conn_config, config=hook.config)
    extra = extra_of(connection)
    requests = Boto3Requests(lambda: egress_of(extra, _verify(hook, first)), hook.config)
    # If the connection names a role, there are two sessions. `create_session` uses `first` to assume the role, and
    # returns a second session with the credentials of the role. So both sessions need the proxy and TLS settings.
    first: Any = factory.basic_session if factory.role_arn else None
    if first is not None:
        _prepare(first, requests)
    session: Any = factory.create_session()
    first = first or session
    _prepare(session, requests)
    client = session.client(
        "s3", endpoint_url=hook.conn_config.get_service_endpoint_url(service_name="s3"), config=hook.config
    )
    return client, session, _verify(hook, first)


def _prepare(session: Any, requests: Boto3Requests) -> None:
    settings = session._session  # the botocore session inside, for which boto3 has no public name
    settings.register_component("data_loader", _data_loader(settings.get_config_variable("data_path")))
    requests.carry(settings)


def _verify(hook: Any, session: Any) -> bool | str | None:
    """How certificates are checked: extra `verify`, else `ca_bundle` of the AWS profile; None = neither is given.

    `Egress` itself reads the variable AWS_CA_BUNDLE.
    """
    if hook.verify is not None:
        return hook.verify  # type: ignore[no-any-return]
    bundle = session._session.get_config_variable("ca_bundle")
    return None if bundle == os.environ.get("AWS_CA_BUNDLE") else bundle


@functools.cache
def _data_loader(data_path: str | None) -> Any:
    """botocore's models. They are kept, because reading them for each store would take a tenth of a second."""
    from botocore.loaders import create_loader  # type: ignore[import-untyped]

    return create_loader(data_path)
