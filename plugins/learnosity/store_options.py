"""The options of a store's HTTP client that the Airflow connection decides: time limits, TLS and proxy."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from learnosity.egress import Egress, checked_verify
from learnosity.errors import ConnectionConfigError
from learnosity.lookups import checked_extra
from learnosity.redaction import redact_text

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from obstore.store import ClientConfig, RetryConfig

log = logging.getLogger(__name__)

# Keys of an AWS connection's extra. If the value of one of them is empty, the key counts as missing: botocore would
# refuse an empty address, and would sign requests with an empty region.
_EMPTY_IS_UNSET = ("endpoint_url", "region_name")

RETRY: RetryConfig = {"max_retries": 8, "retry_timeout": timedelta(minutes=3)}


def client_options(extra: dict[str, Any], endpoint: str | None, *, verify: Any = None) -> ClientConfig:
    """The options of the client of one store.

    :param extra: the extra of the Airflow connection. Its `proxy`, `proxies` or `config_kwargs.proxies` is a URL, or
        URLs by scheme; it beats the environment.
    :param endpoint: address of the store; None = the cloud's own.
    :param verify: False = any TLS certificate is accepted; a text = PEM file to check it with; None = what the extra
        `verify` says.
    :raises ConnectionConfigError: the endpoint or the proxy is not a URL, or the PEM file cannot be used.
    """
    client: ClientConfig = {"timeout": timedelta(minutes=5), "connect_timeout": timedelta(seconds=15)}
    if checked_endpoint(endpoint or "https://").lower().startswith("http://"):
        client["allow_http"] = True
    return client | egress_of(extra, verify).store_options(endpoint)


def checked_endpoint(endpoint: str) -> str:
    """The address of a store, after a check of its form.

    :raises ConnectionConfigError: it is not a URL.
    """
    if not str(endpoint).lower().startswith(("http://", "https://")):
        raise ConnectionConfigError(
            f"The endpoint of the storage connection is no URL: {redact_text(str(endpoint))!r}. It begins with "
            "https:// or http://."
        )
    return endpoint


def s3_endpoint(extra: Mapping[str, Any]) -> str | None:
    """The address of an S3 store that a connection's extra names; None = it names none."""
    service = extra.get("service_config") or {}
    return (service.get("s3") or {}).get("endpoint_url") or extra.get("endpoint_url")


def gcs_endpoint(extra: Mapping[str, Any]) -> str | None:
    """The address of a GCS store that a connection's extra names; None = it names none."""
    return extra.get("endpoint_url") or extra.get("gcs.endpoint")


def egress_of(extra: Mapping[str, Any], verify: Any = None) -> Egress:
    """The proxy and TLS settings of a storage connection. See `client_options` for the parameters and errors."""
    given = extra.get("verify") if verify is None else verify
    return Egress(_proxies(extra), checked_verify(given, "Extra `verify` of the storage connection"))


def _proxies(extra: Mapping[str, Any]) -> str | Mapping[str, str] | None:
    """The proxies of the connection: our own extra `proxy`, or those of botocore and of Azure's client."""
    settings = extra.get("config_kwargs") or {}
    given = extra.get("proxy") or extra.get("proxies") or (isinstance(settings, Mapping) and settings.get("proxies"))
    if not given:
        return None
    if isinstance(given, str):
        return given
    if isinstance(given, Mapping) and all(isinstance(value, str) for value in given.values()):
        return given
    raise ConnectionConfigError(
        'The proxy of the storage connection is a URL, or URLs by scheme: {"https": "http://proxy.example:3128"}.'
    )


def warn_of_unused(
    named: str, extra: Mapping[str, Any], used: Collection[str], connection: Connection | None, fields: Collection[str]
) -> None:
    """Log the fields of a connection that have a value and that landing does not use.

    :param named: the connection, after "The".
    :param used: keys of the extra that are used.
    :param fields: fields beside the extra that are not used.
    """
    unused = sorted(key for key, value in extra.items() if key not in used and value not in (None, "", {}, []))
    unused += [field for field in fields if getattr(connection, field, None)]
    if unused:
        log.warning("The %s has fields that landing does not use: %s.", named, ", ".join(unused))


def extra_of(connection: Connection | None) -> dict[str, Any]:
    """The extra of an Airflow connection. Its keys are without the form's prefix `extra__type__`.

    A connection may have both names of a field, and the one with the prefix is often empty. As in Airflow's hooks, the
    one without the prefix counts.
    """
    if connection is None:
        return {}
    extra = checked_extra(connection)
    prefixed = {key.rpartition("__")[2]: value for key, value in extra.items() if key.startswith("extra__")}
    return prefixed | {key: value for key, value in extra.items() if not key.startswith("extra__")}


def without_unset(extra: Mapping[str, Any]) -> dict[str, Any]:
    """The extra of an AWS connection without the fields that are not set: null, also in `service_config`, or empty.

    Airflow's hook fails where it finds null for a JSON object. Below a service, a null `endpoint_url` means something
    to it. botocore refuses an empty address, and signs requests with an empty region.
    """
    found = {key: value for key, value in extra.items() if value is not None and (value or key not in _EMPTY_IS_UNSET)}
    if isinstance(services := found.get("service_config"), Mapping):
        found["service_config"] = {name: _of_service(value) for name, value in services.items() if value is not None}
    return found


def _of_service(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: each for key, each in value.items() if (key, each) not in (("endpoint_url", ""), ("extra_args", None))}
