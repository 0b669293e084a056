"""The connection says where data go and who writes them. Variables that boto3 does not know say nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from airflow.providers.amazon.aws.hooks.s3 import S3Hook

from learnosity.connections import open_store
from learnosity.storage.multipart import MIN_PART_BYTES
from tests.component.api.hand_made import hand_made
from tests.component.storage.s3_by_hand import Sent, kind, s3_by_hand, sent

KEY, SECRET = "AKIAOFTHECONNECTION", "secret-of-the-connection"

# Every variable that object_store 0.14 reads: `AmazonS3ConfigKey::from_str` in src/aws/builder.rs and, after `AWS_`,
# `ClientConfigKey::from_str` in src/client/mod.rs. Each has a value that would change the requests.
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "AKIAOFTHEENVIRONMENT",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-environment",
    "AWS_DEFAULT_REGION": "ap-south-1",
    "AWS_REGION": "ap-south-1",
    "AWS_BUCKET": "bucket-of-the-environment",
    "AWS_BUCKET_NAME": "bucket-of-the-environment",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ENDPOINT": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
    "AWS_SESSION_TOKEN": "token-of-the-environment",
    "AWS_TOKEN": "token-of-the-environment",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    "AWS_S3_EXPRESS": "true",
    "AWS_IMDSV1_FALLBACK": "neither",
    "AWS_METADATA_ENDPOINT": "http://127.0.0.1:1",
    "AWS_UNSIGNED_PAYLOAD": "true",
    "AWS_CHECKSUM_ALGORITHM": "sha256",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/credentials",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/not/there",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/not/there",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/environment",
    "AWS_ROLE_SESSION_NAME": "environment",
    "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
    "AWS_SKIP_SIGNATURE": "true",
    "AWS_COPY_IF_NOT_EXISTS": "nonsense",
    "AWS_CONDITIONAL_PUT": "disabled",
    "AWS_DISABLE_TAGGING": "true",
    "AWS_DISABLE_BULK_DELETE": "true",
    "AWS_REQUEST_PAYER": "requester",
    "AWS_SERVER_SIDE_ENCRYPTION": "aws:kms",
    "AWS_SSE_KMS_KEY_ID": "key-of-the-environment",
    "AWS_SSE_BUCKET_KEY_ENABLED": "true",
    "AWS_SSE_CUSTOMER_KEY_BASE64": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "AWS_ALLOW_HTTP": "false",
    "AWS_ALLOW_INVALID_CERTIFICATES": "true",
    "AWS_DISABLE_SYSTEM_CERTIFICATES": "true",
    "AWS_CONNECT_TIMEOUT": "1 ns",
    "AWS_DEFAULT_CONTENT_TYPE": "text/environment",
    "AWS_HTTP1_ONLY": "false",
    "AWS_HTTP2_KEEP_ALIVE_INTERVAL": "1 s",
    "AWS_HTTP2_KEEP_ALIVE_TIMEOUT": "1 s",
    "AWS_HTTP2_KEEP_ALIVE_WHILE_IDLE": "true",
    "AWS_HTTP2_MAX_FRAME_SIZE": "20000",
    "AWS_HTTP2_ONLY": "true",
    "AWS_POOL_IDLE_TIMEOUT": "1 ns",
    "AWS_POOL_MAX_IDLE_PER_HOST": "1",
    "AWS_PROXY_URL": "http://127.0.0.1:1",
    "AWS_PROXY_CA_CERTIFICATE": "none",
    "AWS_PROXY_EXCLUDES": "nothing.example",
    "AWS_RANDOMIZE_ADDRESSES": "false",
    "AWS_READ_TIMEOUT": "1 ns",
    "AWS_TIMEOUT": "1 ns",
    "AWS_USER_AGENT": "environment",
}
WITHOUT_SENSE = {name: "nonsense" for name in VARIABLES if "ENDPOINT" not in name}
ODD_CASE = {"AWS_Server_Side_Encryption": "AES256", "AWS_checksum_algorithm": "crc64nvme", "AWS_endpoint": "http://x"}
PLAIN: set[Sent] = set()  # what is sent without any variable
CASES = [*VARIABLES.items(), *WITHOUT_SENSE.items(), *ODD_CASE.items()]


async def _chunks() -> AsyncIterator[bytes]:
    yield bytes(MIN_PART_BYTES)
    yield b"x"


async def requests(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, **extra: Any) -> list[Sent]:
    """What a server gets when a store of a connection does each thing that landing does."""
    async with hand_made(s3_by_hand()) as served:
        whole = {"endpoint_url": served.url, "region_name": "eu-west-1", **extra}
        connection = {"conn_type": "aws", "login": KEY, "password": SECRET, "extra": whole}
        with monkeypatch.context() as patch:
            patch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
            for name, value in environment.items():
                patch.setenv(name, value)
            store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
            await store.put("a.json", b"{}", "application/json")
            await store.put_stream("b.csv", _chunks(), None, "text/csv")
            assert await store.replace("latest.json", b"{}", None)
            assert await store.get("a.json") == b"content"
            await store.head("a.json")
            assert [batch async for batch in store.list("")] == []
            await store.delete(["a.json", "b.csv"])
        host = served.url.removeprefix("http://")
        return [
            Sent(one.method, one.host.replace(host, "HOST"), one.target, one.signer, one.headers)
            for one in map(sent, served.asked)
        ]


def comparable(every: list[Sent]) -> set[Sent]:
    """Parts of an upload come in any order, and boto3 adds words of its own."""
    own = ("x-amz-checksum-crc32", "x-amz-checksum-type", "x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm")
    return {
        Sent(
            one.method,
            one.host,
            one.target,
            one.signer,
            tuple(header for header in one.headers if header[0] not in own),
        )
        for one in every
    }


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{name}={value}"[:60] for name, value in CASES])
async def test_a_variable_that_the_store_library_reads_changes_nothing(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not PLAIN:
        PLAIN.update(comparable(await requests({}, monkeypatch)))
    assert comparable(await requests({name: value}, monkeypatch)) == PLAIN


async def test_the_requests_that_are_compared_are_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = await requests({}, monkeypatch)
    assert {one.host for one in plain} == {"HOST"}
    assert {one.signer for one in plain} == {f"{KEY}/eu-west-1/s3"}
    assert all(one.target.startswith("/bucket") for one in plain)
    assert {one.method for one in plain} == {"PUT", "POST", "GET", "HEAD"}


async def test_all_of_them_at_once_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert comparable(await requests(VARIABLES, monkeypatch)) == comparable(await requests({}, monkeypatch))


@pytest.mark.parametrize(
    "environment",
    [
        {"AWS_ENDPOINT_URL_S3": "URL"},
        {"AWS_ENDPOINT_URL": "URL"},
        {"AWS_ENDPOINT_URL": "URL", "AWS_REGION": "sa-east-1", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true"},
        {"AWS_ENDPOINT_URL": "URL", "AWS_DEFAULT_REGION": "sa-east-1", "AWS_ENDPOINT": "http://127.0.0.1:1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("login", [KEY, None])
async def test_what_the_connection_leaves_open_is_as_with_airflows_hook(
    environment: dict[str, str], login: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {"login": login, "password": SECRET} if login else {}
    async with hand_made(s3_by_hand()) as served:
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": "aws", **parts}))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHEENVIRONMENT")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-environment")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name, value in environment.items():
            monkeypatch.setenv(name, served.url if value == "URL" else value)
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        await store.get("a.json")
        hook = S3Hook(aws_conn_id="lake")
        await asyncio.to_thread(lambda: hook.get_conn().get_object(Bucket="bucket", Key="folder/a.json"))
        ours, theirs = (sent(exchange) for exchange in served.asked if kind(exchange) == "GetObject")
    assert (ours.host, ours.target, ours.signer) == (theirs.host, theirs.target.partition("?")[0], theirs.signer)
