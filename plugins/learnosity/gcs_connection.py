"""The store of a GCS URI, with the identity of an Airflow connection of type `google_cloud_platform`.

Airflow's own GoogleBaseHook makes the credentials, and Google's client the address, so a connection means the same here
as in Airflow's operators. obstore also reads variables `GOOGLE_…` of the environment by itself. Each of them is given
here, so that the environment changes nothing.
"""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException
from obstore.store import GCSStore

from learnosity.egress import proxy_of
from learnosity.errors import ConnectionConfigError, TransientStorageError
from learnosity.storage.bucket_deletes import BucketDeletes
from learnosity.storage.bucket_listing import BucketListing
from learnosity.storage.google_store import AS_STORED, GoogleStore
from learnosity.storage.google_tokens import ClientTokens, GoogleRequests, GoogleTokens, is_reachable, no_token
from learnosity.storage.listing_page import s3_page
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.store_options import RETRY, client_options, egress_of, extra_of, gcs_endpoint, warn_of_unused

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from obstore.store import ClientConfig

    from learnosity.storage.store import Store
    from learnosity.storage.uris import StorageUri

# Keys of a connection's extra that cause no warning. Landing uses all of them (docs/stores.md), except `num_retries`.
# This one is ignored without a warning, because landing has its own retries. Any further key is ignored, too. If it has
# a value, a warning names it.
_USED = (
    *("project", "key_path", "keyfile_dict", "credential_config_file", "scope", "key_secret_name", "is_anonymous"),
    *("key_secret_project_id", "impersonation_chain", "idp_issuer_url", "client_id", "client_secret", "num_retries"),
    *("idp_extra_params", "quota_project_id", "endpoint_url", "gcs.endpoint", "gcs.requester-pays", "verify"),
    *("proxy", "proxies"),
)
# Fields of the connection, outside of its extra, that GoogleBaseHook does not use. If one of them has a value, a
# warning names it.
_UNUSED = ("host", "login", "password", "schema", "port")
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# A service account key without content. If the environment names a key, `_without_environment` gives this one to
# obstore instead. It is never used to get a token: all tokens come from the `credential_provider`.
_UNUSED_KEY = json.dumps({"private_key": "", "private_key_id": "", "client_email": "", "disable_oauth": True})


def gcs_store(where: StorageUri, connection: Connection | None) -> Store:
    """The store at `where`.

    :param connection: None = Google's application default credentials.
    :raises ConnectionConfigError: the connection gives no credentials.
    :raises TransientStorageError: the credentials could not be reached.
    """
    named = f"connection {connection.conn_id!r}" if connection else "environment"
    extra = extra_of(connection)
    warn_of_unused(named, extra, _USED, connection, _UNUSED)
    credentials, project, address = _client(named, connection, extra)
    from google.auth.credentials import AnonymousCredentials

    verify = extra.get("verify", True)
    client = client_options(extra, address, verify=verify)
    tokens = GoogleTokens(credentials, named, egress_of(extra, verify))
    payer = _payer(credentials, lambda: project or tokens.project(), extra)
    headers = {"x-goog-user-project": payer} if payer else {}
    if headers:
        client["default_headers"] = headers
    anonymous = isinstance(credentials, AnonymousCredentials)
    provider: Any = _no_token if anonymous else tokens

    def opened(options: ClientConfig) -> GCSStore:
        with _without_environment() as unused:
            return GCSStore(
                where.bucket,
                prefix=where.key or None,
                base_url=address,
                skip_signature=anonymous,
                credential_provider=provider,
                client_options=options,
                retry_config=RETRY,
                **unused,
            )

    proxy = proxy_of(client, address)

    @functools.cache
    def as_stored() -> ObstoreStore:
        # HTTP/2 is allowed here. Over HTTP/1.1, Google sends a large gzip object in chunks, without its length. obstore
        # cannot read a reply without a length.
        more: ClientConfig = {"default_headers": {**headers, **AS_STORED}, "http1_only": False}
        return ObstoreStore(opened(client | more), where.text, proxy=proxy)

    requests = GoogleRequests(f"{address}/{where.bucket}", None if anonymous else tokens, headers)
    attempts = 1 + RETRY["max_retries"]
    listing = BucketListing(requests, s3_page, where.key, where.text, client, attempts)
    deletes = BucketDeletes(requests, where.key, where.text, client, attempts)
    return GoogleStore(opened(client), where.text, as_stored=as_stored, listing=listing, deletes=deletes, proxy=proxy)


def _client(named: str, connection: Connection | None, extra: Mapping[str, Any]) -> tuple[Any, str, str]:
    """Credentials, project and address, as Airflow's hook and Google's client make them."""
    import google.auth.credentials
    from airflow.providers.google.common.hooks.base_google import GoogleBaseHook
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage import Client  # type: ignore[import-untyped]

    try:
        if connection is None:
            credentials, project = google.auth.default()
            options, scopes = None, [_SCOPE]
        else:
            hook = _with(GoogleBaseHook, connection)(gcp_conn_id=connection.conn_id)
            scopes = hook.scopes
            if _takes_scopes_later(extra):
                hook = _with(GoogleBaseHook, connection, scopes=None)(gcp_conn_id=connection.conn_id)
            credentials, project = hook.get_credentials_and_project_id()
            options = hook.get_client_options()
        _federate(credentials, extra)
        with_scopes: Any = google.auth.credentials.with_scopes_if_required  # google-auth has no type annotation for it
        credentials = with_scopes(credentials, scopes)
        client = Client(project=project or "none", credentials=credentials, client_options=options)
    except (GoogleAuthError, GoogleAPICallError, RetryError) as error:
        if not is_reachable(error):
            raise TransientStorageError(no_token(named, "could not be reached", error)) from None
        raise ConnectionConfigError(_refusal(named, error)) from None
    except ImportError:
        raise  # Airflow's Google provider is not installed. The error of `open_store` names the pip extra to install
    # The hook does not catch the errors of its libraries, so they arrive here. Their texts may contain a part of a
    # private key, so `_refusal` does not show these texts.
    except Exception as error:
        raise ConnectionConfigError(_refusal(named, error)) from None
    return credentials, str(project or ""), str(gcs_endpoint(extra) or client.api_endpoint).rstrip("/")


def _with(hook: Any, connection: Connection, **attributes: Any) -> Any:
    """The hook's class with this connection. The hook itself would look it up again, which could fail."""
    return type("Hook", (hook,), {"get_connection": classmethod(lambda cls, conn_id: connection), **attributes})


def _takes_scopes_later(extra: Mapping[str, Any]) -> bool:
    """Whether the credentials can be made without scopes, and get them afterwards.

    google-auth asks for the project of federated credentials as soon as they have scopes, with a client of its own. The
    project is only needed where it pays. Application default credentials get their scopes afterwards in any case.
    """
    if any(extra.get(name) for name in ("key_path", "keyfile_dict", "key_secret_name", "is_anonymous")):
        return False
    config = extra.get("credential_config_file") or {"type": "external_account"}
    if isinstance(config, str):
        try:
            config = json.loads(Path(config).read_text() if Path(config).is_file() else config)
        except (OSError, ValueError):
            return False
    return isinstance(config, Mapping) and config.get("type") == "external_account"


def _federate(credentials: Any, extra: Mapping[str, Any]) -> None:
    """Let federated credentials get the tokens of another provider by `ClientTokens`, in the place of Airflow's way."""
    if not extra.get("idp_issuer_url"):
        return
    values = {name: str(extra.get(name) or "") for name in ("client_id", "client_secret")}
    more = json.loads(extra.get("idp_extra_params") or "{}")
    tokens = ClientTokens(str(extra["idp_issuer_url"]), values | more)
    each: Any
    for each in (credentials, getattr(credentials, "_source_credentials", None)):
        if getattr(each, "_subject_token_supplier", None) is not None:
            each._subject_token_supplier = tokens  # google-auth has no public name for this attribute


def _refusal(named: str, error: Exception) -> str:
    # An AirflowException is an error of Airflow's hook. Its text names fields and files, but contains no secret value.
    # So this text is shown. The text of any other error is not shown.
    said = f": {error}" if isinstance(error, AirflowException) else ""
    return (
        f"The {named} gives no access to Google Cloud ({type(error).__name__}{said.rstrip('.')}). Check that its "
        "fields name one key, that the key is complete JSON, and that its file can be read."
    )


def _no_token() -> dict[str, Any]:
    """A credential provider for unsigned requests: obstore needs one all the same."""
    return {"token": "", "expires_at": None}


def _payer(credentials: Any, project: Callable[[], str], extra: Mapping[str, Any]) -> str | None:
    """The project that pays for the requests, where it is not the bucket's own.

    :param project: of the credentials. It may have to be asked for.
    """
    payer = extra.get("gcs.requester-pays")
    if payer and str(payer).lower() not in ("true", "false"):
        return str(payer)
    if str(payer).lower() == "true":
        return project() or None
    return getattr(credentials, "quota_project_id", None)


@contextmanager
def _without_environment() -> Iterator[dict[str, Any]]:
    """Options that stop obstore from reading a key file that the environment names, which it does even with a provider.

    :raises ConnectionConfigError: the environment has both a key and the path of one, which obstore always refuses.
    """
    named = [name for name in os.environ if name.startswith("GOOGLE_")]
    keys = [name for name in named if name.lower() == "google_service_account_key"]
    paths = [name for name in named if name.lower() in ("google_service_account", "google_service_account_path")]
    paths += [name for name in os.environ if name == "SERVICE_ACCOUNT"]
    if keys and paths:
        raise ConnectionConfigError(
            f"The environment of this process has both {keys[0]} and {paths[0]}, and obstore opens no store then, "
            "whatever the connection says. Remove one of the variables."
        )
    if keys:
        yield {"service_account_key": _UNUSED_KEY}
    elif paths:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(_UNUSED_KEY)
            file.flush()
            yield {"service_account": file.name}
    else:
        yield {}
