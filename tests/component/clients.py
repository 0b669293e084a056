"""Every HTTP client that the product has, as one call of a server. What counts for one of them counts for all."""

from __future__ import annotations

import asyncio
import json
import os
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from unittest import mock

import pytest
from azure.core import PipelineClient
from azure.core.credentials import AccessToken
from azure.core.pipeline.policies import RetryPolicy
from azure.core.rest import HttpRequest
from botocore.credentials import ReadOnlyCredentials  # type: ignore[import-untyped]
from google.oauth2.credentials import Credentials
from obstore.store import AzureStore, GCSStore, ObjectStore

from learnosity import store_options
from learnosity.api.client import LearnosityClient
from learnosity.api.config import ApiConfig, build_config
from learnosity.api.signed_urls import SignedTransfer
from learnosity.connections import open_store
from learnosity.egress import proxy_of
from learnosity.storage.azure_token_requests import TokenRequests
from learnosity.storage.azure_tokens import AzureTokens
from learnosity.storage.google_tokens import GoogleTokens
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.s3_signing import S3Signer
from learnosity.storage.store import Store
from learnosity.storage.streamed_put import StreamedPut
from learnosity.store_options import client_options, egress_of
from tests.component.api.hand_made import CONTINUE, Exchange, reply

Extra = dict[str, Any]
Call = Callable[[str, Extra], Awaitable[None]]
"""Sends one request to the server at a URL. The extra is that of the Airflow connection."""

OBJECT = {"ETag": '"tag"', "Last-Modified": "Wed, 21 Oct 2026 07:28:00 GMT", "Content-Type": "application/json"}
ONCE = {"retries": {"max_attempts": 0}}  # boto3 itself would repeat its requests for 15 seconds
ROLE = (
    b"<AssumeRoleResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><AssumeRoleResult><Credentials>"
    b"<AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>"
    b"<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
)


async def serves(asked: Exchange) -> None:
    """The server of all clients."""
    if "expect" in asked.headers:
        await asked.give(CONTINUE)
    if found := re.search(rb"Action=(AssumeRole\w*)", await asked.take()):
        await asked.give(reply(200, ROLE.replace(b"AssumeRole", found[1])))
        return
    if asked.method == "PUT":
        await asked.give(reply(200, b"", OBJECT))
        return
    await asked.give(
        reply(200, b'{"meta": {"status": true, "timestamp": 1795852800}, "data": [], "access_token": "token"}', OBJECT)
    )


def _config(url: str, extra: Extra) -> ApiConfig:
    return build_config("learnosity", login="k" * 16, password="s" * 40, host=url, extra=extra)


async def api(url: str, extra: Extra) -> None:
    async with LearnosityClient(_config(url, extra), attempts=1) as client:
        assert await client.jobs() == []


async def download(url: str, extra: Extra) -> None:
    async with SignedTransfer(_config(url, extra)) as transfer, transfer.get(f"{url}/file?Signature=1") as got:
        await got.read(1000)


async def upload(url: str, extra: Extra) -> None:
    async with SignedTransfer(_config(url, extra)) as transfer:
        with tempfile.TemporaryFile() as spool:
            spool.write(b"content")
            spool.flush()
            await transfer.put(f"{url}/file?Signature=1", spool, 0, 7)


async def _s3(url: str, extra: Extra, **fields: str | None) -> Store:
    """The store of a connection, which is opened without a request to S3."""
    parts = {"conn_type": "aws", "login": "A", "password": "secret"} | fields
    own = {"endpoint_url": url, "region_name": "us-east-1"}
    with mock.patch.dict(os.environ, AIRFLOW_CONN_EVERY_CLIENT=json.dumps(parts | {"extra": own | extra})):
        return await asyncio.to_thread(open_store, "s3://every_client@bucket/prefix")


async def s3_connection(url: str, extra: Extra, **fields: str | None) -> None:
    assert await (await _s3(url, extra, **fields)).get("key")


async def boto3_write(url: str, extra: Extra) -> None:
    """boto3's client writes what obstore cannot."""
    own = {"service_config": {"s3": {"extra_args": {"ACL": "private"}}}, "config_kwargs": ONCE}
    assert await (await _s3(url, own | extra)).put("key", b"content")


async def assumed_role(url: str, extra: Extra) -> None:
    """boto3's client for credentials. S3 itself is not asked for anything."""
    own = {"role_arn": "arn:aws:iam::1:role/r", "service_config": {"sts": {"endpoint_url": url}}, "config_kwargs": ONCE}
    await _s3("https://s3.example", own | extra)


def _store(made: Callable[[str, Any], ObjectStore]) -> Call:
    async def call(url: str, extra: Extra) -> None:
        options = client_options(extra, url)
        store = ObstoreStore(made(url, options), "store://bucket", proxy=proxy_of(options, url))
        assert await store.get("key")

    return call


async def streamed_put(url: str, extra: Extra) -> None:
    client = client_options(extra, url)

    async def content() -> AsyncIterator[bytes]:
        yield b"content"

    signer = S3Signer(f"{url}/bucket", "", "us-east-1", lambda: ReadOnlyCredentials("A", "secret", None))
    assert await StreamedPut(signer, "s3://bucket", client).put("key", content(), 7, None)


async def google_token(url: str, extra: Extra) -> None:
    credentials: Any = Credentials(  # type: ignore[no-untyped-call]
        None, refresh_token="r", token_uri=f"{url}/token", client_id="c", client_secret="secret"
    )
    tokens = GoogleTokens(credentials, "connection 'every_client'", egress_of(extra))
    assert (await asyncio.to_thread(tokens))["token"] == "token"


class _Credential:
    """A credential of azure-identity, whose own ones ask for tokens over https alone."""

    def __init__(self, url: str, requests: TokenRequests) -> None:
        self._client: PipelineClient[Any, Any] = PipelineClient(
            url, transport=requests, retry_policy=RetryPolicy.no_retries()
        )
        self._url = f"{url}/token"

    def get_token(self, *scopes: str) -> AccessToken:
        got = self._client.send_request(HttpRequest("POST", self._url, data={"scope": " ".join(scopes)}))
        return AccessToken(got.json()["access_token"], 4_000_000_000)


async def azure_token(url: str, extra: Extra) -> None:
    requests = TokenRequests(egress_of(extra))
    tokens = AzureTokens(_Credential(url, requests), requests, "connection 'every_client'")
    assert (await asyncio.to_thread(tokens))["token"] == "token"


CLIENTS: dict[str, Call] = {
    "api": api,
    "download": download,
    "upload": upload,
    "s3-connection": s3_connection,
    "gcs": _store(
        lambda url, client: GCSStore(
            "bucket",
            client_options=client,
            retry_config=store_options.RETRY,
            config={"base_url": url, "skip_signature": True},
        )
    ),
    "azure": _store(
        lambda url, client: AzureStore(
            "bucket",
            endpoint=f"{url}/account",
            account_name="account",
            account_key="c2VjcmV0",
            client_options=client,
            retry_config=store_options.RETRY,
        )
    ),
    "streamed-put": streamed_put,
    "boto3-write": boto3_write,
    "assumed-role": assumed_role,
    "google-token": google_token,
    "azure-token": azure_token,
}


def every_client() -> pytest.MarkDecorator:
    """Runs a test once with each client, as `call`."""
    return pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in CLIENTS.items()])


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies and certificate authorities of its own. Nothing is repeated."""
    bundles = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name in bundles]:
        monkeypatch.delenv(name)
    monkeypatch.setitem(store_options.RETRY, "max_retries", 0)
    return monkeypatch
