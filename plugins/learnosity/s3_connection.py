"""The store of an S3 URI, as Airflow's S3Hook would reach it with the same connection of type `aws`.

Addresses, regions and credentials are those of boto3, which is asked where they are not plain (`storage.s3_static`).
obstore by itself also reads variables of the environment that boto3 does not know. So each of its settings is given a
value here, and the environment decides nothing.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import conf
from airflow.sdk.exceptions import AirflowException
from obstore.store import S3Store

from learnosity.egress import proxy_of
from learnosity.errors import ConnectionConfigError, LearnosityError, TransientStorageError
from learnosity.lookups import checked_extra
from learnosity.s3_client import s3_client
from learnosity.storage.boto3_writes import Boto3WritingStore
from learnosity.storage.bucket_deletes import BucketDeletes
from learnosity.storage.bucket_listing import BucketListing
from learnosity.storage.errors import first_line
from learnosity.storage.listing_page import s3_page
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.relocating_store import RelocatingStore
from learnosity.storage.s3_address import S3Address, address_of, located
from learnosity.storage.s3_credentials import SessionCredentials, credentials_error, may_pass
from learnosity.storage.s3_signing import S3Signer
from learnosity.storage.s3_static import StaticS3, static_s3
from learnosity.storage.s3_writes import S3Writes, s3_writes
from learnosity.storage.streamed_put import StreamedPut
from learnosity.storage.unfinished_uploads import UnfinishedUploads
from learnosity.store_options import RETRY, client_options, s3_endpoint, without_unset

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from obstore.store import ClientConfig

    from learnosity.storage.store import Store
    from learnosity.storage.uris import StorageUri

log = logging.getLogger(__name__)

# Keys of the extra that Airflow's hook or this module uses, with the types that each value may have. Another key causes
# a warning, and another type an error. docs/stores.md explains the keys; a test compares its table with this dict.
USED: dict[str, tuple[type, ...]] = {
    "region_name": (str,),
    "endpoint_url": (str,),
    "verify": (bool, str),
    "profile_name": (str,),
    "aws_access_key_id": (str,),
    "aws_secret_access_key": (str,),
    "aws_session_token": (str,),
    "session_kwargs": (dict,),
    "role_arn": (str,),
    "assume_role_method": (str,),
    "assume_role_kwargs": (dict,),
    "assume_role_with_saml": (dict,),
    "assume_role_with_web_identity_federation": (str,),
    "assume_role_with_web_identity_token_file": (str,),
    "assume_role_with_web_identity_federation_audience": (str,),
    "config_kwargs": (dict,),
    "service_config": (dict,),
    "proxy": (str, dict),
    "proxies": (str, dict),
}
USED_OF_SESSION = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
USED_OF_SERVICE = ("endpoint_url", "extra_args")
# obstore sends most requests, and does not use these keys of `config_kwargs`. So a warning names each one that is set.
UNUSED_OF_CONFIG = (
    *("connect_timeout", "read_timeout", "retries", "max_pool_connections", "tcp_keepalive", "user_agent"),
    *("user_agent_extra", "user_agent_appid", "proxies_config"),
)


def s3_store(where: StorageUri, connection: Connection | None) -> Store:
    """The store at `where`.

    :param connection: None = the credentials of the environment.
    :raises ConnectionConfigError: the connection cannot be used, or AWS refuses its credentials.
    :raises TransientStorageError: the service that gives the credentials could not be reached.
    """
    named = f"connection {where.conn_id!r}" if where.conn_id else "the environment"
    extra = {} if connection is None else _checked_extra(connection, named)
    service = _service(extra, named)
    writes = s3_writes(service.get("extra_args", {}), os.environ, named)
    # This call only checks the endpoint, the proxy and the file of TLS certificates. Its result is not used. Unlike the
    # errors of boto3, the errors of `client_options` say what to change.
    client_options(extra, s3_endpoint(extra))
    opened = functools.cache(functools.partial(s3_client, connection))

    def client() -> Any:
        return opened()[0]

    if (static := _static(where, connection, extra)) is not None:
        settings = functools.partial(client_options, extra, verify=static.verify)
        keys = SessionCredentials(static.keys, named)
        opening = _Opening(where, client, settings, writes, keys, guarded=static.verify is not False)
        return RelocatingStore(opening.store(static.address), _finder(opening, client, static.address, named))
    try:
        _, session, verify = opened()
        address = address_of(client(), where.bucket)
        settings = functools.partial(client_options, extra, verify=verify)
        credentials = SessionCredentials(session.get_credentials() if address.signed else None, named)
    except ImportError:
        raise  # Airflow's Amazon provider is not installed. The error of `open_store` names the pip extra to install
    except AirflowException as error:
        raise ConnectionConfigError(f"No access to S3 with {named}: {first_line(error)}") from None
    except Exception as error:
        raise credentials_error(error, named) from None
    config = client().meta.config
    if config.client_cert:
        raise ConnectionConfigError(f"`config_kwargs.client_cert` of {named}: landing has no client certificates.")
    guarded = verify is not False and not (config.s3 or {}).get("payload_signing_enabled")
    opening = _Opening(where, client, settings, writes, credentials, guarded=guarded)
    return RelocatingStore(opening.store(address), _finder(opening, client, address, named))


def _static(where: StorageUri, connection: Connection | None, extra: dict[str, Any]) -> StaticS3 | None:
    """What a connection with static keys says without boto3; None = boto3 has to be asked."""
    if connection is None or conf.get("aws", "session_factory", fallback=""):
        return None
    if find_spec("airflow.providers.amazon") is None:
        return None  # then `s3_store` imports the missing package: an error now, and not later in the middle of landing
    return static_s3(
        where.bucket,
        login=connection.login,
        password=connection.password,
        extra=extra,
        environment=os.environ,
        home=_home(),
    )


def _home() -> Path:
    """Where the AWS tools look for their files. A user without a home folder has none."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("~")


def _finder(opening: _Opening, client: Callable[[], Any], address: S3Address, named: str) -> Callable[[], Store | None]:
    """Finds the store at the bucket's own address, if that is not `address`."""
    bucket = opening.where.bucket

    def find() -> Store | None:
        try:
            found = located(client(), bucket)
        except LearnosityError:
            raise
        except Exception as error:
            if may_pass(error):
                raise TransientStorageError(f"Could not find the region of {bucket}: {first_line(error)}") from None
            return None  # no other store is found, so the caller raises the error of the request to the first store
        if found == address:
            return None
        log.warning("The bucket %s lies in %s: set `region_name` of %s.", bucket, found.region, named)
        return opening.store(found)

    return find


def _checked_extra(connection: Connection, named: str) -> dict[str, Any]:
    """The extra of a connection, after a check of its form."""
    extra = without_unset(checked_extra(connection))
    for key, kinds in USED.items():
        value = extra.get(key)
        if value is None or isinstance(value, kinds):
            continue
        if kinds == (dict,):
            advice = f'a JSON object, such as {{"{key}": {{"name": "value"}}}}, and not a text'
        else:
            advice = "true, false or a file name" if bool in kinds else "a text"
        raise ConnectionConfigError(
            f"Extra `{key}` of {named} is of type {type(value).__name__}. It has to be {advice}."
        )
    if unused := _unused(connection, extra):
        log.warning("%s: landing to S3 does not use %s (docs/stores.md).", named, ", ".join(unused))
    return extra


def _unused(connection: Connection, extra: dict[str, Any]) -> list[str]:
    """Fields that have a value and are not used, so that none is ignored in silence."""
    unused = [key for key in extra if key not in USED]
    unused += [field for field in ("host", "port", "schema") if getattr(connection, field)]
    s3 = (extra.get("service_config") or {}).get("s3") or {}
    for place, values, used in (
        ("session_kwargs", extra.get("session_kwargs") or {}, USED_OF_SESSION),
        ("service_config.s3", s3 if isinstance(s3, dict) else {}, USED_OF_SERVICE),
    ):
        unused += [f"{place}.{key}" for key in values if key not in used]
    unused += [f"config_kwargs.{key}" for key in extra.get("config_kwargs") or {} if key in UNUSED_OF_CONFIG]
    return sorted(unused)


def _service(extra: dict[str, Any], named: str) -> dict[str, Any]:
    """The part of `service_config` that is about S3."""
    service = (extra.get("service_config") or {}).get("s3") or {}
    if not isinstance(service, dict):
        raise ConnectionConfigError(f"`service_config.s3` of {named} is not a JSON object.")
    if not isinstance(service.get("endpoint_url") or "", str):
        raise ConnectionConfigError(f"`service_config.s3.endpoint_url` of {named} is not a text.")
    return service


class _Opening:
    """Opens the store of one connection at an address.

    :param client: makes boto3's client. It is called only when it is needed.
    :param settings: the options of the HTTP client for an endpoint.
    :param guarded: whether bodies may be sent without a signature, because verified TLS protects them.
    """

    def __init__(
        self,
        where: StorageUri,
        client: Callable[[], Any],
        settings: Callable[[str], ClientConfig],
        writes: S3Writes,
        credentials: SessionCredentials,
        *,
        guarded: bool,
    ) -> None:
        self.where = where
        self._client = client
        self._settings = settings
        self._writes = writes
        self._credentials = credentials
        self._guarded = guarded

    def store(self, address: S3Address) -> ObstoreStore:
        """The store at `address`."""
        where, writes = self.where, self._writes
        # Over verified TLS, bodies are not signed, as in the AWS tools. A signature needs a second SHA-256 of the body.
        # The first one, for the manifest, already takes a quarter of the processor time for large files.
        guarded = self._guarded and address.endpoint.lower().startswith("https://")
        signer, attempts = self._signer(address), 1 + RETRY["max_retries"]
        settings = self._settings(address.endpoint)
        of_bucket = (where.key, where.text, settings, attempts)
        shared: dict[str, Any] = {
            "discard": UnfinishedUploads(signer, *of_bucket).discard,
            "listing": BucketListing(signer, s3_page, *of_bucket),
            "deletes": BucketDeletes(signer, *of_bucket, bulk=signer),
            "proxy": proxy_of(settings, address.endpoint),
        }
        native = self._obstore(address, guarded, settings)
        if writes.by_boto3:
            return Boto3WritingStore(
                native, where.text, client=self._client(), bucket=where.bucket, key=where.key,
                extra_args=writes.extra_args, **shared,
            )  # fmt: skip
        one = guarded and not writes.has_checksum
        single = StreamedPut(signer, where.text, settings) if one else None
        shared |= {"attributes": writes.attributes, "tags": writes.tags}
        return ObstoreStore(native, where.text, single_put=single, **shared)

    def _signer(self, address: S3Address) -> S3Signer:
        return S3Signer(
            address.bucket_url(self.where.bucket),
            self.where.key,
            address.region,
            self._credentials.frozen if address.signed else None,
            self._writes.headers(self._client()) if self._writes.extra_args else {},
            self._writes.reads,
        )

    def _obstore(self, address: S3Address, guarded: bool, settings: ClientConfig) -> S3Store:
        """obstore's store. obstore reads a setting from the environment if it is not given here."""
        own: dict[str, Any] = {
            "region": address.region,
            "endpoint": address.endpoint,
            "aws_endpoint_url_s3": address.endpoint,
            "virtual_hosted_style_request": address.virtual,
            "skip_signature": not address.signed,
            "unsigned_payload": guarded,
            "s3_express": False,
            "request_payer": False,
            "disable_tagging": False,
            "disable_bulk_delete": False,  # no effect, because `BucketDeletes` deletes the objects
            "conditional_put": "etag",
            "copy_if_not_exists": "multipart",  # not used; without it, an invalid value in the environment is an error
            "imdsv1_fallback": False,
            **self._writes.config,
        }
        return S3Store(
            self.where.bucket,
            prefix=self.where.key or None,
            credential_provider=self._credentials,
            client_options=settings,
            retry_config=RETRY,
            **own,
        )
