"""Host, addressing, region and identity of each request are those of the boto3 client of Airflow's S3Hook."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from botocore.awsrequest import AWSResponse, HeadersDict  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from learnosity.connections import open_store
from learnosity.errors import BrokenWriteError, ConnectionConfigError, StorageError, TransientStorageError
from learnosity.storage.store import Store
from tests.component.api.hand_made import Behaviour, Exchange, hand_made, reply, xml
from tests.component.storage.s3_by_hand import XML, s3_by_hand, sent

KEY, SECRET = "AKIAOFTHECONNECTION", "secret-of-the-connection"

FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "no region": ("bucket", {}),
    "us-east-1": ("bucket", {"region_name": "us-east-1"}),
    "another region": ("bucket", {"region_name": "eu-central-1"}),
    "China": ("bucket", {"region_name": "cn-north-1"}),
    "GovCloud": ("bucket", {"region_name": "us-gov-west-1"}),
    "EU sovereign cloud": ("bucket", {"region_name": "eusc-de-east-1"}),
    "isolated": ("bucket", {"region_name": "us-iso-east-1"}),
    "a region of tomorrow": ("bucket", {"region_name": "eu-west-9"}),
    "FIPS": ("bucket", {"region_name": "us-east-2", "config_kwargs": {"use_fips_endpoint": True}}),
    "FIPS in GovCloud": ("bucket", {"region_name": "us-gov-east-1", "config_kwargs": {"use_fips_endpoint": True}}),
    "dual stack": ("bucket", {"region_name": "eu-west-1", "config_kwargs": {"use_dualstack_endpoint": True}}),
    "both": (
        "bucket",
        {"region_name": "us-west-2", "config_kwargs": {"use_dualstack_endpoint": True, "use_fips_endpoint": True}},
    ),
    "accelerate": (
        "bucket",
        {"region_name": "eu-west-1", "config_kwargs": {"s3": {"use_accelerate_endpoint": True}}},
    ),
    "accelerate with dual stack": (
        "bucket",
        {
            "region_name": "eu-west-1",
            "config_kwargs": {"use_dualstack_endpoint": True, "s3": {"use_accelerate_endpoint": True}},
        },
    ),
    "us-east-1 by its regional address": (
        "bucket",
        {"region_name": "us-east-1", "config_kwargs": {"s3": {"us_east_1_regional_endpoint": "regional"}}},
    ),
    "path": ("bucket", {"region_name": "eu-west-1", "config_kwargs": {"s3": {"addressing_style": "path"}}}),
    "virtual": ("bucket", {"region_name": "eu-west-1", "config_kwargs": {"s3": {"addressing_style": "virtual"}}}),
    "dots in the bucket": ("bucket.with.dots", {"region_name": "eu-west-1"}),
    "dots, virtual": (
        "bucket.with.dots",
        {"region_name": "eu-west-1", "config_kwargs": {"s3": {"addressing_style": "virtual"}}},
    ),
    "capitals in the bucket": ("Old_Bucket", {"region_name": "us-east-1"}),
    "alias of an access point": ("point-abcdefghijklmnopqrstuvwxyz12-s3alias", {"region_name": "eu-west-1"}),
    "own endpoint": ("bucket", {"endpoint_url": "https://minio.example:9000"}),
    "own endpoint, plain": ("bucket", {"endpoint_url": "http://minio.example:9000", "region_name": "eu-west-1"}),
    "own endpoint with a path": ("bucket", {"endpoint_url": "https://gateway.example/s3/"}),
    "own endpoint, virtual": (
        "bucket",
        {"endpoint_url": "https://minio.example", "config_kwargs": {"s3": {"addressing_style": "virtual"}}},
    ),
    "host begins like the bucket": ("landing", {"endpoint_url": "https://landing.example"}),
    "endpoint of AWS itself": (
        "bucket",
        {"endpoint_url": "https://s3.eu-west-1.amazonaws.com", "region_name": "eu-west-1"},
    ),
    "VPC endpoint": (
        "bucket",
        {"endpoint_url": "https://bucket.vpce-1a2b-3c4d.s3.eu-west-1.vpce.amazonaws.com", "region_name": "eu-west-1"},
    ),
    "IPv6": ("bucket", {"endpoint_url": "http://[::1]:9000"}),
    "endpoint of the service": (
        "bucket",
        {
            "endpoint_url": "https://everything.example",
            "service_config": {"s3": {"endpoint_url": "https://only-s3.example"}},
        },
    ),
    "unsigned": ("bucket", {"region_name": "eu-west-1", "config_kwargs": {"signature_version": "unsigned"}}),
    "version 4": ("bucket", {"region_name": "eu-west-1", "config_kwargs": {"signature_version": "s3v4"}}),
    "session token": ("bucket", {"region_name": "eu-west-1", "aws_session_token": "token"}),
}


def define(monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], **parts: Any) -> None:
    whole = {"conn_type": "aws", "login": KEY, "password": SECRET, "extra": extra, **parts}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(whole))


def of_the_hook(bucket: str) -> tuple[str, str]:
    """URL and Authorization of a GET of `folder/a.json` that the hook's own client makes ready."""
    found: list[Any] = []

    def keep(request: Any, **_: object) -> Any:
        found.append(request)
        return AWSResponse(request.url, 404, HeadersDict(), _Nothing())

    client = S3Hook(aws_conn_id="lake").get_conn()
    client.meta.events.register("before-send.s3.GetObject", keep)
    with pytest.raises(client.exceptions.ClientError):
        client.get_object(Bucket=bucket, Key="folder/a.json")
    authorization = found[0].headers.get("Authorization", b"")
    return found[0].url, authorization if isinstance(authorization, str) else authorization.decode()


class _Nothing:
    def stream(self, *_: object, **__: object) -> list[bytes]:
        return []


@pytest.mark.parametrize("form", FORMS)
def test_address_region_and_key_are_those_of_the_hooks_own_client(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, extra = FORMS[form]
    define(monkeypatch, extra)
    url, authorization = of_the_hook(bucket)
    opened: Any = open_store(f"s3://lake@{bucket}/folder")
    config = opened._store._store.config
    virtual = str(config["virtual_hosted_style_request"]).lower() == "true"
    base = config["endpoint"] if virtual else f"{config['endpoint'].rstrip('/')}/{bucket}"
    assert f"{base}/folder/a.json" == url
    assert (str(config["skip_signature"]).lower() == "true") is (authorization == "")
    if authorization:
        key, _, region, service, _ = authorization.partition("Credential=")[2].partition(",")[0].split("/")
        assert (region, service) == (config["region"], "s3")
        assert key == opened._store._store.credential_provider()["access_key_id"]


@pytest.mark.parametrize(
    ("bucket", "extra", "says"),
    [
        ("bucket", {"config_kwargs": {"signature_version": "s3"}}, "not AWS version 4"),
        ("zone--use1-az4--x-s3", {"region_name": "us-east-1"}, "directory bucket"),
        ("no bucket!", {"region_name": "us-east-1"}, "Invalid bucket name"),
        ("bucket", {"region_name": "not a region"}, "region"),
        ("bucket", {"endpoint_url": "minio:9000"}, "https:// or http://"),
        ("bucket", {"config_kwargs": {"nothing": 1}}, "nothing"),
        ("bucket.x", {"config_kwargs": {"s3": {"use_accelerate_endpoint": True}}}, "Accelerate"),
    ],
)
def test_what_has_no_address_is_an_error_of_the_connection(
    bucket: str, extra: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(monkeypatch, extra)
    with pytest.raises(ConnectionConfigError, match=says):
        open_store(f"s3://lake@{bucket}/folder")


def elsewhere(status: int, code: str, *, header: bool = True, region: str = "eu-central-1") -> Behaviour:
    """An S3 whose bucket lies in `region`. Requests that are signed for another one are refused as AWS does."""
    there = s3_by_hand()

    async def behaviour(asked: Exchange) -> None:
        if f"/{region}/s3/" in asked.headers.get("authorization", ""):
            await there(asked)
            return
        await asked.take()
        body = xml(code).replace(b"</Code>", f"</Code><Region>{region}</Region>".encode())
        whole = reply(status, body, {**XML, **({"x-amz-bucket-region": region} if header else {})})
        await asked.give(whole[: len(whole) - len(body)] if asked.method == "HEAD" else whole)

    return behaviour


async def _list(store: Store) -> None:
    assert [batch async for batch in store.list("")] == []


OPERATIONS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "put": lambda store: store.put("a", b"x"),
    "replace": lambda store: store.replace("a", b"x", None),
    "get": lambda store: store.get("a"),
    "read": lambda store: asyncio.to_thread(lambda: list(store.read("a"))),
    "head": lambda store: store.head("a"),
    "list": _list,
    "delete": lambda store: store.delete(["a"]),
    "many at once": lambda store: asyncio.gather(*(store.put(f"{number}", b"x") for number in range(20))),
}
ANSWERS = [
    pytest.param(301, "PermanentRedirect", True, id="301"),
    pytest.param(400, "AuthorizationHeaderMalformed", True, id="400"),
    pytest.param(400, "AuthorizationHeaderMalformed", False, id="400 without the header"),
    pytest.param(400, "IllegalLocationConstraintException", True, id="another 400"),
]


@pytest.mark.parametrize(("status", "code", "header"), ANSWERS)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_bucket_in_another_region_is_found_where_boto3_finds_it(
    operation: str, status: int, code: str, header: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hand_made(elsewhere(status, code, header=header)) as served:
        define(monkeypatch, {"endpoint_url": served.url, "region_name": "us-east-1"})
        hook = S3Hook(aws_conn_id="lake")
        try:
            await asyncio.to_thread(lambda: hook.get_conn().put_object(Bucket="bucket", Key="folder/a", Body=b""))
            succeeds = True
        except hook.get_conn().exceptions.ClientError:
            succeeds = False
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        if succeeds:
            await OPERATIONS[operation](store)
            assert sent(served.asked[-1]).signer == f"{KEY}/eu-central-1/s3"
        else:
            with pytest.raises((StorageError, TransientStorageError)):
                await OPERATIONS[operation](store)
    assert succeeds or code == "IllegalLocationConstraintException"


async def test_a_stream_cannot_be_sent_twice_and_its_next_try_goes_to_the_right_region(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def chunks() -> Any:
        yield b"x"

    async with hand_made(elsewhere(301, "PermanentRedirect")) as served:
        define(monkeypatch, {"endpoint_url": served.url, "region_name": "us-east-1"})
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        with pytest.raises(BrokenWriteError, match="another region"):
            await store.put_stream("a", chunks(), None)
        await store.put_stream("a", chunks(), None)


async def test_a_region_that_nobody_tells_is_a_clear_and_final_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(301, xml("PermanentRedirect"), XML))

    async with hand_made(behaviour) as served:
        define(monkeypatch, {"endpoint_url": served.url, "region_name": "us-east-1"})
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        with pytest.raises(StorageError, match=r"another region\. Set `region_name`"):
            await store.put("a", b"x")
        assert len(served.asked) < 8


def test_an_empty_region_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"endpoint_url": "http://127.0.0.1:9000", "region_name": ""}
    parts = {"conn_type": "aws", "login": "A", "password": "secret", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_EMPTY", json.dumps(parts))
    opened: Any = open_store("s3://empty@bucket/p")
    assert opened._store._store.config["region"] == "us-east-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    opened = open_store("s3://empty@bucket/p")
    assert opened._store._store.config["region"] == "eu-west-1"


@pytest.mark.parametrize("style", ["virtual", "path"])
@pytest.mark.parametrize("path", ["", "/", "/s3", "/s3/", "/gateway/s3/"])
async def test_requests_for_the_bucket_itself_have_the_path_that_boto3_sends(
    path: str, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is asked as if it were a proxy, because there is no host of the bucket's name."""

    async def empty(asked: Exchange) -> None:
        await asked.take()
        root = {"POST": "DeleteResult", "GET": "ListBucketResult"}[asked.method]
        root = "ListMultipartUploadsResult" if "uploads" in asked.target else root
        gone = "<Deleted><Key>folder/a</Key></Deleted>" if asked.method == "POST" else ""
        await asked.give(reply(200, f"<{root}>{gone}<IsTruncated>false</IsTruncated></{root}>".encode(), XML))

    endpoint, s3 = f"http://minio.example{path}", {"addressing_style": style}
    async with hand_made(empty) as served:
        options = {"endpoint_url": endpoint, "region_name": "us-east-1"}
        define(monkeypatch, {**options, "proxy": served.url, "config_kwargs": {"s3": s3}})
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        await _list(store)
        await store.delete(["a"])
        await store.discard_unfinished("")
        ours = [asked.target.partition("?")[0] for asked in served.asked]
        served.asked.clear()
        config = Config(s3=s3, proxies={"http": served.url})
        keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
        client = boto3.client("s3", config=config, **options, **keys)
        await asyncio.to_thread(client.list_objects_v2, Bucket="bucket")
        objects = {"Objects": [{"Key": "folder/a"}]}
        await asyncio.to_thread(lambda: client.delete_objects(Bucket="bucket", Delete=objects))
        await asyncio.to_thread(client.list_multipart_uploads, Bucket="bucket")
        assert ours == [asked.target.partition("?")[0] for asked in served.asked]
        assert len(ours) == 3
