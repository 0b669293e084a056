"""What the connection asks for on each object holds for every way of writing, as with S3Hook(extra_args=…)."""

from __future__ import annotations

import asyncio
import json
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from airflow.providers.amazon.aws.hooks.s3 import S3Hook

from devstack.certificate import make_certificate
from devstack.seaweedfs import SeaweedFS
from learnosity import store_options
from learnosity.connections import open_store
from learnosity.errors import ConnectionConfigError, LearnosityError, StorageError, TransientStorageError
from learnosity.s3_connection import USED
from learnosity.storage.multipart import MIN_PART_BYTES
from learnosity.storage.store import ObjectInfo, Store
from tests.component.api.hand_made import HandMade, hand_made
from tests.component.storage.s3_by_hand import calls, kind, s3_by_hand, sent

EXTRAS: dict[str, dict[str, Any]] = {
    "SSE-S3": {"ServerSideEncryption": "AES256"},
    "SSE-KMS with the bucket's key": {"ServerSideEncryption": "aws:kms"},
    "SSE-KMS with a key": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:eu-west-1:1:key/k"},
    "SSE-KMS with a bucket key": {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "alias/lake",
        "BucketKeyEnabled": True,
    },
    "SSE-KMS without a bucket key": {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": False},
    "a bucket key for the bucket's own encryption": {"BucketKeyEnabled": True},
    "a key for the bucket's own encryption": {"SSEKMSKeyId": "k"},
    "DSSE": {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": "k"},
    "encryption context": {"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": "eyJhIjoiYiJ9"},
    "storage class": {"StorageClass": "STANDARD_IA"},
    "tags": {"Tagging": "team=assessment&kind=a%2Fb"},
    "metadata": {"Metadata": {"source": "learnosity", "run": "nightly"}},
    **{
        f"metadata {name}": {"Metadata": {name: "GLACIER"}, "CacheControl": "max-age=60"}
        for name in (
            *("Storage-Class", "storage-class", "StorageClass", "Cache-Control", "CACHE-CONTROL", "Content-Type"),
            *("contenttype", "Content-Encoding", "content-language", "Content-Disposition", "Expires", "Tagging"),
        )
    },
    "cache": {"CacheControl": "max-age=60", "ContentDisposition": "attachment", "ContentLanguage": "de"},
    "requester pays": {"RequestPayer": "requester"},
    "owner": {"ACL": "bucket-owner-full-control"},
    "grants": {"GrantRead": 'id="1"', "GrantFullControl": 'id="2"'},
    "object lock": {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": "2030-01-01T00:00:00Z"},
    "legal hold": {"ObjectLockLegalHoldStatus": "ON"},
    "expected owner": {"ExpectedBucketOwner": "123456789012"},
    "several": {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "k",
        "StorageClass": "GLACIER_IR",
        "Tagging": "a=b",
        "RequestPayer": "requester",
    },
    "several, with an ACL": {"ACL": "bucket-owner-full-control", "ServerSideEncryption": "AES256", "Tagging": "a=b"},
}
# Headers that are not compared. Most are about checksums, which boto3 adds by itself.
OWN = (
    "x-amz-checksum-crc32",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-type",
    "x-amz-security-token",
)


TIMES = ("Expires", "ObjectLockRetainUntilDate")
NO_TEXTS: tuple[Any, ...] = ({"a": "b"}, ["a"], True)
TEXTS = (
    *("ACL", "CacheControl", "ChecksumAlgorithm", "ContentDisposition", "ContentLanguage", "ExpectedBucketOwner"),
    *("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP", "ObjectLockLegalHoldStatus", "ObjectLockMode"),
    *("SSEKMSEncryptionContext", "SSEKMSKeyId", "StorageClass", "Tagging", "WebsiteRedirectLocation"),
)


async def _chunks() -> AsyncIterator[bytes]:
    yield bytes(MIN_PART_BYTES)
    yield b"x"


WAYS: dict[str, tuple[str, Callable[[Store], Awaitable[object]]]] = {
    "put": ("PutObject", lambda store: store.put("a", b"x")),
    "replace": ("PutObject", lambda store: store.replace("a", b"x", None)),
    "in parts": ("CreateMultipartUpload", lambda store: store.put_stream("a", _chunks(), None)),
    "in one request": ("PutObject", lambda store: store.put_stream("a", _chunks(), MIN_PART_BYTES + 1)),
}


def define(monkeypatch: pytest.MonkeyPatch, served: HandMade, extra_args: Any, **extra: Any) -> None:
    whole = {
        "endpoint_url": served.url,
        "region_name": "eu-west-1",
        "service_config": {"s3": {"extra_args": extra_args}},
        **extra,
    }
    connection = {"conn_type": "aws", "login": "AKIA", "password": "secret", "extra": whole}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))


def asked_for(served: HandMade, call: str) -> dict[str, object]:
    """The headers of a call that say how an object is kept."""
    found = next(exchange for exchange in reversed(served.asked) if kind(exchange) == call)
    headers = {name: value for name, value in sent(found).headers if name not in OWN and not name.startswith("if-")}
    tags = headers.pop("x-amz-tagging", None)
    return {**headers, **({"tags": sorted(parse_qsl(tags))} if tags else {})}


@pytest.mark.parametrize("way", ["put", "replace", "in parts"])
@pytest.mark.parametrize("extra", EXTRAS)
async def test_each_way_of_writing_sends_what_the_hooks_client_sends(
    extra: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, write = WAYS[way]
    async with hand_made(s3_by_hand()) as served:
        define(monkeypatch, served, EXTRAS[extra])
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        await write(store)
        ours = asked_for(served, call)
        client = S3Hook(aws_conn_id="lake").get_conn()
        theirs = {"PutObject": client.put_object, "CreateMultipartUpload": client.create_multipart_upload}[call]
        await asyncio.to_thread(lambda: theirs(Bucket="bucket", Key="folder/a", **EXTRAS[extra]))
        assert ours == asked_for(served, call)
        assert ours
        assert way != "in parts" or {"UploadPart", "CompleteMultipartUpload"} <= set(calls(served))


@pytest.mark.parametrize("extra", [name for name, args in EXTRAS.items() if "encryption context" not in name])
async def test_a_large_file_in_one_request_too(extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    call, write = WAYS["in one request"]
    async with hand_made(s3_by_hand()) as plain:
        define(monkeypatch, plain, {})
        client = S3Hook(aws_conn_id="lake").get_conn()
        await asyncio.to_thread(lambda: client.put_object(Bucket="bucket", Key="folder/a", **EXTRAS[extra]))
        expected = asked_for(plain, call)
    async with hand_made(s3_by_hand(), tls=context) as served:
        define(monkeypatch, served, EXTRAS[extra], verify=str(certificate.certificate))
        opened: Any = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        if type(opened._store).__name__ == "Boto3WritingStore":
            pytest.skip("boto3 writes it, as the test above shows")
        await write(opened)
        assert calls(served) == ["PutObject"]
        assert asked_for(served, call) == expected
        signed = served.asked[0].headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        assert {name for name, _ in sent(served.asked[0]).headers if name.startswith("x-amz-")} <= set(signed)


@pytest.mark.parametrize(
    ("algorithm", "header"),
    [
        ("SHA256", "x-amz-checksum-sha256"),
        ("crc64nvme", "x-amz-checksum-crc64nvme"),
        ("CRC32", "x-amz-checksum-crc32"),
        ("SHA1", "x-amz-checksum-sha1"),
    ],
)
async def test_a_checksum_goes_with_each_body(algorithm: str, header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_made(s3_by_hand()) as served:
        define(monkeypatch, served, {"ChecksumAlgorithm": algorithm.upper()})
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        for _, write in WAYS.values():
            await write(store)
        bodies = [exchange for exchange in served.asked if kind(exchange) in ("PutObject", "UploadPart")]
        assert len(bodies) == 6
        assert all(exchange.headers.get(header) for exchange in bodies)
        begun = [exchange for exchange in served.asked if kind(exchange) == "CreateMultipartUpload"]
        assert {exchange.headers["x-amz-checksum-algorithm"] for exchange in begun} == {algorithm.upper()}


async def test_a_write_by_boto3_needs_no_more_memory_than_it_says(
    s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = s3_server.landing
    extra = {"endpoint_url": s3_server.endpoint, "service_config": {"s3": {"extra_args": {"ACL": "private"}}}}
    connection = {"conn_type": "aws", "login": keys.access_key, "password": keys.secret_key, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
    store: Any = await asyncio.to_thread(open_store, "s3://lake@landing/memory")
    assert type(store._store).__name__ == "Boto3WritingStore"

    async def content() -> AsyncIterator[bytes]:
        for _ in range(42):
            yield bytes(1024 * 1024)

    await store.put_stream("first", content(), None)  # loads modules: they must not count as memory of the write
    tracemalloc.start()
    try:
        await store.put_stream("second", content(), None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 2 * MIN_PART_BYTES < peak < store.memory_for(None) + 2 * 1024 * 1024


async def test_who_pays_is_told_on_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_made(s3_by_hand()) as served:
        define(monkeypatch, served, {"RequestPayer": "requester"})
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        for _, write in WAYS.values():
            await write(store)
        await store.get("a")
        await store.head("a")
        assert [batch async for batch in store.list("")] == []
        await store.delete(["a"])
        assert {exchange.headers.get("x-amz-request-payer") for exchange in served.asked} == {"requester"}


async def test_without_a_signature_nothing_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_made(s3_by_hand()) as served:
        define(monkeypatch, served, {}, config_kwargs={"signature_version": "unsigned"})
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        for _, write in WAYS.values():
            await write(store)
        await store.get("a")
        await store.delete(["a"])
        assert {sent(exchange).signer for exchange in served.asked} == {""}


NO_BULK_DELETE = [
    (501, "NotImplemented"),
    (405, "MethodNotAllowed"),
    (400, "NotImplemented"),
    (400, "InvalidArgument"),
    (400, "MalformedXML"),
    (400, "MissingContentMD5"),
    (400, "InvalidRequest"),
    (411, "MissingContentLength"),
    (400, ""),
]


@pytest.mark.parametrize(("status", "code"), NO_BULK_DELETE)
async def test_a_store_without_bulk_delete_is_asked_for_one_object_at_a_time(
    status: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hand_made(s3_by_hand(["DeleteObjects"], status, code)) as served:
        define(monkeypatch, served, {})
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        await store.delete(["a", "b"])
        await store.delete(["c"])
        assert sorted(exchange.target for exchange in served.asked if exchange.method == "DELETE") == [
            f"/bucket/folder/{name}" for name in "abc"
        ]
        assert calls(served).count("DeleteObjects") <= 1 + 8


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "AccessDenied", StorageError),
        (404, "NoSuchBucket", StorageError),
        (400, "ExpiredToken", TransientStorageError),
        (503, "SlowDown", TransientStorageError),
        (403, "SignatureDoesNotMatch", StorageError),
    ],
)
async def test_a_bulk_delete_that_is_refused_for_another_reason_is_not_sent_one_by_one(
    status: int, code: str, error: type[LearnosityError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(store_options.RETRY, "max_retries", 0)
    async with hand_made(s3_by_hand(["DeleteObjects"], status, code)) as served:
        define(monkeypatch, served, {})
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        with pytest.raises(error, match=code):
            await store.delete(["a", "b"])
        assert calls(served) == ["DeleteObjects"]


async def test_what_no_delete_removes_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_made(s3_by_hand(["DeleteObjects", "DeleteObject"], 400, "InvalidArgument")) as served:
        define(monkeypatch, served, {})
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        with pytest.raises(StorageError, match=r"Could not delete s3://bucket/folder/[ab]: .*InvalidArgument"):
            await store.delete(["a", "b"])


@pytest.mark.parametrize(
    ("extra_args", "says"),
    [
        ({"StorageClas": "x"}, "Did you mean StorageClass"),
        ({"acl": "private"}, "ACL"),
        ({"ContentType": "text/csv"}, "each file has its own"),
        ({"SSECustomerKey": "k"}, "cannot be read by others"),
        ({"RequestPayer": True}, "requester"),
        ({"ServerSideEncryption": "sse:kms"}, "none of AES256, aws:kms, aws:kms:dsse"),
        ({"ServerSideEncryption": "sse-c"}, "none of AES256"),
        ({"ServerSideEncryption": None}, "none of AES256"),
        ({"BucketKeyEnabled": "yes"}, "neither true nor false"),
        ({"Metadata": "a=b"}, "not a JSON object"),
        ({"Metadata": {"a": "b", "source": "Schüler"}}, "Metadata.*not ASCII at 'source'"),
        ({"Metadata": {"Schüler": "1"}, "ACL": "private"}, "not ASCII at 'Sch.xfcler'"),
        ("ACL=private", "not a JSON object"),
        ({"Tagging": {"team": "b"}}, r"extra_args\.Tagging` of .* is not a text"),
        ({"ServerSideEncryption": None, "ACL": "private"}, "none of AES256"),
        *(({name: value}, f"{name}` of .* is not a text") for name in TEXTS for value in (*NO_TEXTS, 1)),
        *(({name: value}, f"{name}` of .* is not a text") for name in TIMES for value in NO_TEXTS),
        *(({"BucketKeyEnabled": value}, "neither true nor false") for value in (1, "true", *NO_TEXTS[:2])),
        *(({"RequestPayer": value}, "requester") for value in (*NO_TEXTS, "bucket-owner")),
        *(({"Metadata": value}, "not a JSON object") for value in (*NO_TEXTS[1:], "a")),
        *(({"Metadata": {"a": value}}, "Metadata.*has no text at 'a'") for value in NO_TEXTS[:2]),
    ],
)
async def test_what_s3_does_not_know_is_refused_by_name(
    extra_args: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hand_made(s3_by_hand()) as served:
        define(monkeypatch, served, extra_args)
        with pytest.raises(ConnectionConfigError, match=says):
            await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        assert served.asked == []


SET = {"StorageClass": "STANDARD_IA", "Metadata": {"source": "learnosity"}}


@pytest.mark.parametrize("name", [*TEXTS, *TIMES, "BucketKeyEnabled", "RequestPayer", "Metadata"])
async def test_an_argument_that_is_null_is_not_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_made(s3_by_hand()) as served:
        sent_with: list[object] = []
        for extra_args in ({**SET, name: None}, {key: value for key, value in SET.items() if key != name}):
            define(monkeypatch, served, extra_args)
            store: Any = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
            assert type(store._store).__name__ != "Boto3WritingStore"
            await store.put("a", b"x")
            sent_with.append(asked_for(served, "PutObject"))
        assert sent_with[0] == sent_with[1]


@pytest.mark.parametrize("more", [{}, {"ACL": "private"}], ids=["obstore", "boto3"])
async def test_metadata_may_have_numbers_and_nulls(more: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_made(s3_by_hand()) as served:
        define(monkeypatch, served, {"Metadata": {"run": 7, "share": 0.5, "none": None, "empty": ""}, **more})
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        await store.put("a", b"x")
        headers = asked_for(served, "PutObject")
        assert (headers["x-amz-meta-run"], headers["x-amz-meta-share"]) == ("7", "0.5")
        assert "x-amz-meta-none" not in headers


@pytest.mark.parametrize("name", TIMES)
async def test_a_time_may_be_a_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_made(s3_by_hand()) as served:
        define(monkeypatch, served, {name: 1893456000})
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        await store.put("a", b"x")
        assert any("2030" in str(value) for value in asked_for(served, "PutObject").values())


async def test_what_boto3_writes_has_the_same_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_made(s3_by_hand(["PutObject", "CreateMultipartUpload"], 403, "AccessDenied")) as served:
        define(monkeypatch, served, {"ACL": "private"})
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        for _, write in WAYS.values():
            with pytest.raises(
                StorageError, match=r"Could not write s3://bucket/folder/a: no permission.*AccessDenied"
            ):
                await write(store)


@pytest.mark.parametrize(
    ("url", "kind", "says"),
    [
        ("http://127.0.0.1:1", TransientStorageError, "no server listens there"),
        (
            "https://no-such-host.invalid",
            (StorageError, TransientStorageError),
            "there is no such host|the host's name could not",
        ),
    ],
)
async def test_what_boto3_does_not_reach_is_told_as_obstore_tells_it(
    url: str, kind: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(
        monkeypatch,
        HandMade(s3_by_hand()),
        {"ACL": "private"},
        endpoint_url=url,
        config_kwargs={"retries": {"total_max_attempts": 1}},
    )
    store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
    for _, write in WAYS.values():
        with pytest.raises(kind, match=rf"Could not write s3://bucket/folder/a: ({says})"):
            await write(store)


async def test_what_boto3_writes_on_a_condition_is_not_written_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_made(s3_by_hand(["PutObject"], 412, "PreconditionFailed")) as served:
        define(monkeypatch, served, {"ACL": "private"})
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        assert not await store.replace("latest.json", b"{}", None)
        assert served.asked[-1].headers["if-none-match"] == "*"


@pytest.mark.parametrize(
    ("status", "code", "seen", "outcome"),
    [
        (412, "PreconditionFailed", True, False),
        (409, "ConditionalRequestConflict", True, False),
        (409, "ConcurrentModification", True, False),
        (409, "ConcurrentModification", False, False),
        (404, "NoSuchKey", True, False),
        (412, "", False, False),
        (412, "LeaseIdMissing", True, StorageError),
        (409, "BlobImmutableDueToPolicy", False, StorageError),
        (404, "NoSuchBucket", True, StorageError),
        (404, "NoSuchBucket", False, StorageError),
        (409, "OperationAborted", True, TransientStorageError),
    ],
)
async def test_what_boto3_writes_on_a_condition_is_lost_to_another_only_where_the_store_says_so(
    status: int, code: str, seen: bool, outcome: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hand_made(s3_by_hand(["PutObject"], status, code)) as served:
        retries = {"retries": {"total_max_attempts": 1}}
        define(monkeypatch, served, {"ACL": "private"}, config_kwargs=retries)
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        expected = ObjectInfo("latest.json", 1, '"e"', 1.0) if seen else None
        try:
            found: Any = await store.replace("latest.json", b"{}", expected)
        except LearnosityError as error:
            found = type(error)
        assert found is outcome


NULLS: list[dict[str, Any]] = [
    *({key: None} for key in USED if key not in ("endpoint_url", "region_name")),
    *({"service_config": {service: None}} for service in ("s3", "sts")),
    {"service_config": {"s3": {}, "sts": None}},
    {"service_config": {"s3": {"extra_args": None}}},
    {"service_config": {"s3": {"endpoint_url": ""}}},
    {"service_config": {"sts": {"endpoint_url": ""}}},
    {"aws_session_token": ""},
    {"region_name": ""},
    {"role_arn": "", "verify": "", "proxy": ""},
]


@pytest.mark.parametrize("nulls", NULLS, ids=json.dumps)
@pytest.mark.parametrize("by_boto3", [False, True])
async def test_a_field_that_is_null_or_empty_is_not_set(
    nulls: dict[str, Any], by_boto3: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hand_made(s3_by_hand()) as served:
        # If there is a variable `AWS_…` that our code does not know, it asks boto3 for keys and address. So this
        # variable decides which of the two ways is tested.
        monkeypatch.setenv("AWS_PROFILE_OF_NOBODY" if by_boto3 else "NOTHING", "x")
        extra = {"endpoint_url": served.url, "region_name": "us-east-1", **nulls}
        connection = {"conn_type": "aws", "login": "AKIA", "password": "secret", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        await store.put("a", b"x")
        assert calls(served) == ["PutObject"]
        assert "x-amz-security-token" not in served.asked[0].headers


async def test_an_empty_token_of_the_environment_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "")
    async with hand_made(s3_by_hand()) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", served.url)
        store = await asyncio.to_thread(open_store, "s3://bucket/folder")
        for _, write in WAYS.values():
            await write(store)
        await store.get("a")
        assert [batch async for batch in store.list("")] == []
        assert not any("x-amz-security-token" in exchange.headers for exchange in served.asked)


def test_an_empty_address_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not in the way of the next one: the other field, and then AWS."""
    own = "http://127.0.0.1:9000"
    for extra, expected in (
        ({"endpoint_url": "", "service_config": {"s3": {"endpoint_url": own}}}, own),
        ({"endpoint_url": own, "service_config": {"s3": {"endpoint_url": ""}}}, own),
        ({"endpoint_url": ""}, "https://bucket.s3.eu-west-1.amazonaws.com"),
        ({"endpoint_url": "", "config_kwargs": {}}, "https://bucket.s3.eu-west-1.amazonaws.com"),
    ):
        parts = {"conn_type": "aws", "login": "AKIA", "password": "secret"}
        whole = {**parts, "extra": {"region_name": "eu-west-1", **extra}}
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(whole))
        opened: Any = open_store("s3://lake@bucket/folder")
        assert opened._store._store.config["endpoint"] == expected
