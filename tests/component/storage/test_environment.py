"""The connection decides which requests a store sends. What the environment holds for obstore changes none of them."""

from __future__ import annotations

import ast
import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import obstore
import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from learnosity.connections import open_store
from learnosity.errors import ConnectionConfigError
from tests.component.api.hand_made import Exchange, HandMade, hand_made, reply

KEY = "a2V5LW9mLXRoZS1jb25uZWN0aW9u"
OTHER_KEY = "a2V5LW9mLXRoZS1lbnZpcm9ubWVudA=="
NOWHERE = "http://127.0.0.1:1"

# All settings of its HTTP client that obstore's Rust library reads from the environment (object_store:
# src/client/mod.rs). The variables also have a prefix, such as `AZURE_TIMEOUT`; it is added below.
CLIENT = {
    "ALLOW_HTTP": "false",
    "ALLOW_INVALID_CERTIFICATES": "true",
    "DISABLE_SYSTEM_CERTIFICATES": "true",
    "CONNECT_TIMEOUT": "1ns",
    "DEFAULT_CONTENT_TYPE": "text/environment",
    "HTTP1_ONLY": "false",
    "HTTP2_ONLY": "true",
    "HTTP2_KEEP_ALIVE_INTERVAL": "1ns",
    "HTTP2_KEEP_ALIVE_TIMEOUT": "1ns",
    "HTTP2_KEEP_ALIVE_WHILE_IDLE": "true",
    "HTTP2_MAX_FRAME_SIZE": "1",
    "POOL_IDLE_TIMEOUT": "1ns",
    "POOL_MAX_IDLE_PER_HOST": "0",
    "PROXY_URL": NOWHERE,
    "PROXY_CA_CERTIFICATE": "none",
    "PROXY_EXCLUDES": "*",
    "RANDOMIZE_ADDRESSES": "false",
    "READ_TIMEOUT": "1ns",
    "TIMEOUT": "1ns",
    "USER_AGENT": "environment",
}
# All variables that object_store reads for Azure (src/azure/builder.rs).
AZURE = {
    **{f"AZURE_STORAGE_{name}_KEY": OTHER_KEY for name in ("ACCOUNT", "ACCESS", "MASTER")},
    **{f"AZURE_{name}": value for name, value in CLIENT.items()},
    "AZURE_ACCOUNT_KEY": OTHER_KEY,
    "AZURE_STORAGE_ACCOUNT_NAME": "other",
    "AZURE_STORAGE_CLIENT_ID": "other",
    "AZURE_CLIENT_ID": "other",
    "AZURE_STORAGE_CLIENT_SECRET": "other",
    "AZURE_CLIENT_SECRET": "other",
    "AZURE_STORAGE_TENANT_ID": "other",
    "AZURE_STORAGE_AUTHORITY_ID": "other",
    "AZURE_TENANT_ID": "other",
    "AZURE_AUTHORITY_ID": "other",
    "AZURE_STORAGE_AUTHORITY_HOST": NOWHERE,
    "AZURE_AUTHORITY_HOST": NOWHERE,
    "AZURE_STORAGE_SAS_KEY": "sv=0&sig=other",
    "AZURE_STORAGE_SAS_TOKEN": "sv=0&sig=other",
    "AZURE_STORAGE_TOKEN": "other",
    "AZURE_STORAGE_USE_EMULATOR": "true",
    "AZURITE_BLOB_STORAGE_URL": NOWHERE,
    "AZURE_STORAGE_ENDPOINT": NOWHERE,
    "AZURE_ENDPOINT": NOWHERE,
    "AZURE_STORAGE_CONNECTION_STRING": f"AccountName=other;AccountKey={OTHER_KEY};BlobEndpoint={NOWHERE}",
    "AZURE_MSI_ENDPOINT": NOWHERE,
    "AZURE_IDENTITY_ENDPOINT": NOWHERE,
    "IDENTITY_ENDPOINT": NOWHERE,
    "MSI_ENDPOINT": NOWHERE,
    "AZURE_OBJECT_ID": "other",
    "AZURE_MSI_RESOURCE_ID": "other",
    "AZURE_FEDERATED_TOKEN_FILE": "/not/there",
    "AZURE_USE_FABRIC_ENDPOINT": "true",
    "AZURE_USE_AZURE_CLI": "true",
    "AZURE_SKIP_SIGNATURE": "true",
    "AZURE_CONTAINER_NAME": "other",
    "AZURE_DISABLE_TAGGING": "true",
    "AZURE_FABRIC_TOKEN_SERVICE_URL": NOWHERE,
    "AZURE_FABRIC_WORKLOAD_HOST": NOWHERE,
    "AZURE_FABRIC_SESSION_TOKEN": "other",
    "AZURE_FABRIC_CLUSTER_IDENTIFIER": "other",
    "AZURE_CREDENTIAL_TYPE": "bearer_token",
}
# All variables that object_store reads for GCS (src/gcp/builder.rs).
GOOGLE = {
    **{f"GOOGLE_{name}": value for name, value in CLIENT.items()},
    "SERVICE_ACCOUNT": "/not/there.json",
    "GOOGLE_SERVICE_ACCOUNT": "/not/there.json",
    "GOOGLE_SERVICE_ACCOUNT_PATH": "/not/there.json",
    "GOOGLE_SERVICE_ACCOUNT_KEY": "{no key",
    "GOOGLE_BUCKET": "other",
    "GOOGLE_BUCKET_NAME": "other",
    "GOOGLE_BASE_URL": NOWHERE,
    "GOOGLE_APPLICATION_CREDENTIALS": "/not/there.json",
    "GOOGLE_BEARER_TOKEN": "other",
    "GOOGLE_SKIP_SIGNATURE": "true",
}


def known_keys(stub: str, config: str) -> Iterator[str]:
    """The keys of a configuration, from the types of the installed obstore."""
    tree = ast.parse((Path(str(obstore.__file__)).parent / "_store" / stub).read_text())
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == config]
    return (
        str(node.target.id) for node in found.body if isinstance(node, ast.AnnAssign) and hasattr(node.target, "id")
    )


@pytest.mark.parametrize(
    ("stub", "config", "table"), [("_azure.pyi", "AzureConfig", AZURE), ("_gcs.pyi", "GCSConfig", GOOGLE)]
)
def test_the_tables_have_every_key_that_obstore_knows(stub: str, config: str, table: dict[str, str]) -> None:
    names = " ".join(table).lower() + " azure_storage_encryption_key "
    assert [key for key in known_keys(stub, config) if key not in names] == []
    headers = {"default_headers", "root_certificate"}  # not texts: no variable has them
    assert [
        key for key in known_keys("_client.pyi", "ClientConfig") if key.upper() not in CLIENT and key not in headers
    ] == []


async def test_azure_sends_what_the_connection_says(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_made(stored) as served:
        host = f"{served.url}/account"
        for extra, password in (({}, KEY), ({"sas_token": "sv=1&sig=a%2Bb%3D"}, None), ({"anon": True}, None)):
            define(monkeypatch, "wasb", host=host, login="account", password=password, extra=extra)
            identity: set[str | None] = {"True"} if password else set()
            await compare(monkeypatch, served, "abfs://lake@container/p", AZURE, identity, signed=bool(password))


async def test_gcs_sends_what_the_connection_says(monkeypatch: pytest.MonkeyPatch, google_key: dict[str, str]) -> None:
    async with hand_made(stored) as served:
        key = google_key | {"token_uri": f"{served.url}/token"}
        for fields, identity in (({"keyfile_dict": key}, {"Bearer token-of-the-key"}), ({"is_anonymous": True}, set())):
            define(monkeypatch, "google_cloud_platform", extra={**fields, "endpoint_url": served.url})
            await compare(monkeypatch, served, "gs://lake@bucket/p", GOOGLE, {*identity})


@pytest.mark.parametrize(
    ("uri", "variables"),
    [
        ("abfs://lake@container/p", {"AZURE_STORAGE_ENCRYPTION_KEY": "a" * 43 + "="}),
        ("gs://lake@bucket/p", {"GOOGLE_SERVICE_ACCOUNT_KEY": "{}", "GOOGLE_SERVICE_ACCOUNT": "/not/there.json"}),
        ("gs://lake@bucket/p", {"GOOGLE_SERVICE_ACCOUNT_KEY": "{}", "SERVICE_ACCOUNT": "/not/there.json"}),
    ],
)
def test_a_variable_that_obstore_cannot_be_kept_from_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, uri: str, variables: dict[str, str]
) -> None:
    kind = "wasb" if uri.startswith("abfs") else "google_cloud_platform"
    define(monkeypatch, kind, host="https://account.blob.core.windows.net", extra={"anon": True, "is_anonymous": True})
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConnectionConfigError, match=rf"environment .*{'.* and .*'.join(variables)}.* Remove"):
        open_store(uri)


# The parts of a signed URL that depend on the time of the request: when it expires (`se`), and the signature (`sig`).
# They are removed before two requests are compared.
TIME = re.compile(r"(?<=[?&])(?:se|sig)=[^&]*&?(?=.*&sv=)")


def define(monkeypatch: pytest.MonkeyPatch, conn_type: str, **parts: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": conn_type, **parts}))


async def compare(
    monkeypatch: pytest.MonkeyPatch,
    served: HandMade,
    uri: str,
    table: dict[str, str],
    identity: set[str | None],
    *,
    signed: bool = False,
) -> None:
    """Check that no variable of a table, with its value or with one that is none, changes a request.

    :param identity: what the store sees of it in a header.
    """
    plain = await sent(served, uri, signed=signed)
    stored = [headers.get("authorization") for _, target, headers in plain if target != "/token"]
    assert len(stored) == 4
    # Without an identity, obstore writes to GCS with an empty token. So `Bearer` alone is no identity.
    assert set(stored) - {None, "Bearer"} == identity
    for name, value in table.items():
        for each in (value, "no value"):
            with monkeypatch.context() as patch:
                patch.setenv(name, each)
                assert await sent(served, uri, signed=signed) == plain, f"{name}={each}"


async def sent(served: HandMade, uri: str, *, signed: bool) -> list[tuple[str, str, dict[str, str]]]:
    """The requests of a write, a look, a listing and a deletion."""
    served.asked.clear()
    async with asyncio.timeout(20):  # obstore would try again for minutes
        store = await asyncio.to_thread(open_store, uri)
        await store.put("x", b"content", "text/plain")
        await store.head("x")
        assert [batch async for batch in store.list("")] == []
        await store.delete(["x"])
    return [(each.method, TIME.sub("", each.target), told(each, served.url, signed)) for each in served.asked]


def told(exchange: Exchange, url: str, signed: bool) -> dict[str, str]:
    """The headers without what changes from request to request. A signature is checked instead."""
    headers = dict(exchange.headers)
    if signed:
        permission = {"GET": "list", "DELETE": "delete"}.get(exchange.method)
        if permission:
            right = is_signed_for(permission, exchange)
        else:
            right = headers["authorization"] == signature(exchange, url)
        headers["authorization"] = str(right)
        assert headers["authorization"] == "True"
    for name in ("x-ms-date", "x-ms-client-request-id", "date"):
        headers.pop(name, None)
    return headers


def is_signed_for(permitted: str, exchange: Exchange) -> bool:
    """Whether a request has a signature of the account's key, which is good for an hour and for nothing else."""
    given = dict(parse_qsl(urlsplit(exchange.target).query))
    expiry = datetime.fromisoformat(given["se"])
    assert timedelta(minutes=50) < expiry - datetime.now(UTC) <= timedelta(hours=1)
    permission = ContainerSasPermissions(**{permitted: True})
    own = generate_container_sas("account", "container", KEY, permission=permission, expiry=expiry)
    return given["sig"] == dict(parse_qsl(own))["sig"]


def signature(exchange: Exchange, url: str) -> str:
    """What Azure's own client signs a request with."""
    from azure.core.pipeline import PipelineContext, PipelineRequest
    from azure.core.pipeline.transport import HttpRequest
    from azure.storage.blob._shared.authentication import SharedKeyCredentialPolicy

    headers = {name: value for name, value in exchange.headers.items() if name != "authorization"}
    request = HttpRequest(exchange.method, f"{url}{exchange.target}", headers=headers)
    query = urlsplit(exchange.target).query
    request.query.update(pair.partition("=")[::2] for pair in query.split("&") if pair)
    piped: Any = PipelineRequest(request, PipelineContext(None))
    policy: Any = SharedKeyCredentialPolicy
    policy("account", KEY).on_request(piped)
    return str(request.headers["Authorization"])


async def stored(exchange: Exchange) -> None:
    """An empty store: it takes everything, and has nothing."""
    await exchange.take()
    if exchange.target.startswith("/token"):
        body = json.dumps({"access_token": "token-of-the-key", "expires_in": 3600, "token_type": "Bearer"}).encode()
        await exchange.give(reply(200, body, {"Content-Type": "application/json"}))
    elif exchange.method == "PUT":
        await exchange.give(reply(201, headers={"ETag": '"1"', "Last-Modified": "Sat, 28 Nov 2026 12:00:00 GMT"}))
    elif exchange.method == "HEAD":
        await exchange.give(reply(404))
    elif exchange.method == "DELETE":
        await exchange.give(reply(202 if exchange.target.startswith("/account/") else 204))
    else:
        azure = b"<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>"
        google = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
        await exchange.give(reply(200, azure if "comp=list" in exchange.target else google))
