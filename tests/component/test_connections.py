"""Object-storage URIs and Airflow connections as stores: on local disk and on a real S3 server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import obstore
import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]
from obstore.store import S3Store

from devstack.certificate import make_certificate
from devstack.seaweedfs import SeaweedFS
from devstack.secrets import KeyPair
from learnosity.connections import open_input_store, open_store
from learnosity.errors import (
    BrokenWriteError,
    ConnectionConfigError,
    FolderNotFoundError,
    LearnosityError,
    StorageError,
    TransientError,
)
from learnosity.storage.multipart import MIB, parts_memory
from learnosity.storage.relocating_store import RelocatingStore
from learnosity.storage.store import Store
from learnosity.storage.streamed_put import BUFFERED_BYTES
from learnosity.storage.uris import parse_uri, split_glob

SECRET = "a-secret-that-nobody-may-see"
Connect = Callable[..., str]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Defines an Airflow connection; gives its id back."""

    def define(conn_id: str, **parts: Any) -> str:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(parts))
        return conn_id

    return define


@pytest.fixture
def s3(connect: Connect, s3_server: SeaweedFS) -> Connect:
    """Defines a connection to the S3 server, of the identity that may use the landing bucket."""

    def define(conn_id: str = "warehouse", **parts: Any) -> str:
        keys = s3_server.landing
        endpoint = {"endpoint_url": s3_server.endpoint, "region_name": "us-east-1"}
        given = {"conn_type": "aws", "login": keys.access_key, "password": keys.secret_key, "extra": endpoint}
        return connect(conn_id, **given | parts)

    return define


@pytest.fixture
def memory_scheme() -> str:
    """A file system that a deployment attached to Airflow itself: neither obstore nor a provider knows it."""
    attach("memory", fs=MemoryFileSystem())
    return "memory"


@pytest.fixture(params=["file", "s3", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store of each kind, at a fresh prefix with characters in it that need quoting."""
    prefix = f"{uuid4()}/a prefix + ü"
    if request.param == "file":
        return open_store(f"{tmp_path.as_uri()}/{prefix}")
    if request.param == "s3":
        conn_id = request.getfixturevalue("s3")()
        return open_store(f"s3://{conn_id}@landing/{prefix}")
    return open_store(f"{request.getfixturevalue('memory_scheme')}://bucket/{prefix}")


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def listing(store: Store, prefix: str = "") -> dict[str, int]:
    return {info.path: info.size async for batch in store.list(prefix) for info in batch}


async def test_what_is_written_is_what_is_read_listed_and_removed(store: Store) -> None:
    large = b"0123456789abcdef" * (1 << 16)
    await store.put("groups/a b.json", b"{}", "application/json")
    await store.put_stream("groups/c/ü+%.csv", chunks(large, b"", large), 2 * len(large), "text/csv")
    await store.put("empty", b"")
    assert await store.get("groups/a b.json") == b"{}"
    assert await store.get("groups/c/ü+%.csv") == large * 2
    assert b"".join(await asyncio.to_thread(lambda: list(store.read("groups/c/ü+%.csv")))) == large * 2
    info = await store.head("groups/c/ü+%.csv")
    assert info is not None
    assert (info.path, info.size) == ("groups/c/ü+%.csv", 2 * len(large))
    everything = {"groups/a b.json": 2, "groups/c/ü+%.csv": 2 * len(large), "empty": 0}
    assert await listing(store) == everything
    assert await listing(store, "groups/c") == {"groups/c/ü+%.csv": 2 * len(large)}
    await store.delete(["groups/a b.json", "not/there", "groups/c/ü+%.csv"])
    assert await listing(store) == {"empty": 0}


async def test_what_is_written_again_replaces_what_was_there(store: Store) -> None:
    for body in (b"first", b"second, longer"):
        await store.put("latest.json", body)
        assert await store.get("latest.json") == body
    await store.put_stream("latest.json", chunks(b"third"), None)
    assert await store.get("latest.json") == b"third"
    assert await listing(store) == {"latest.json": 5}


async def test_what_is_not_there_is_none_or_nothing_and_an_error_only_for_a_reader(store: Store) -> None:
    assert await store.get("nothing") is None
    assert await store.head("nothing") is None
    assert await listing(store, "nothing") == {}
    with pytest.raises(StorageError, match="nothing does not exist"):
        await asyncio.to_thread(lambda: list(store.read("nothing")))


async def test_a_stream_that_breaks_off_leaves_no_object(store: Store) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (1 << 20)
        raise RuntimeError("the source ended early")

    with pytest.raises(Exception, match="ended early"):
        await store.put_stream("half.json", broken(), 2 << 20)
    assert await store.head("half.json") is None
    assert await listing(store) == {}


@pytest.mark.parametrize(
    ("parts", "bucket", "doing"),
    [
        pytest.param(
            {"password": SECRET},
            "landing",
            r"(no permission|secret is wrong)\. Check the connection",
            id="wrong-secret",
        ),
        pytest.param(
            {"login": "UNKNOWNKEY123456"},
            "landing",
            r"(no permission|secret is wrong)\. Check the connection",
            id="wrong-key",
        ),
        pytest.param({}, "of-somebody-else", "no permission. Check the connection", id="not-our-bucket"),
    ],
)
async def test_a_refusal_is_an_error_that_says_what_to_do_whatever_was_tried(
    s3: Connect, s3_server: SeaweedFS, parts: dict[str, Any], bucket: str, doing: str
) -> None:
    s3_server.make_bucket("of-somebody-else")
    store = await asyncio.to_thread(open_store, f"s3://{s3('refused', **parts)}@{bucket}/p")
    for attempt in (
        store.put("x", b"x"),
        store.put_stream("x", chunks(b"x"), 1),
        store.get("x"),
        store.head("x"),
        listing(store),
        store.delete(["x"]),
        asyncio.to_thread(lambda: list(store.read("x"))),
    ):
        with pytest.raises(StorageError, match=doing) as caught:
            await attempt
        assert f"s3://{bucket}/p" in str(caught.value)
        assert not isinstance(caught.value, TransientError)
        for secret in (SECRET, s3_server.landing.secret_key, s3_server.landing.access_key, "Signature="):
            assert secret not in str(caught.value)


async def test_a_bucket_that_does_not_exist_is_told_as_such(s3: Connect, s3_server: SeaweedFS) -> None:
    keys = s3_server.admin
    conn_id = s3("all_buckets", login=keys.access_key, password=keys.secret_key)
    store = await asyncio.to_thread(open_store, f"s3://{conn_id}@mis-spelt/p")
    for attempt in (store.put("x", b"x"), store.put_stream("x", chunks(b"x"), 1), listing(store)):
        with pytest.raises(StorageError, match=r"s3://mis-spelt/p.*the bucket.* does not exist"):
            await attempt


async def test_a_key_that_may_only_read_reads_and_is_refused_when_it_writes(
    s3: Connect, s3_server: SeaweedFS, s3_reader: KeyPair
) -> None:
    prefix = str(uuid4())
    obstore.put(s3_server.store(prefix=prefix), "x", b"content")
    conn_id = s3("reader", login=s3_reader.access_key, password=s3_reader.secret_key)
    store = await asyncio.to_thread(open_store, f"s3://{conn_id}@landing/{prefix}")
    assert await store.get("x") == b"content"
    assert await listing(store) == {"x": 7}
    for attempt in (store.put("x", b"other"), store.put_stream("y", chunks(b"y"), 1), store.delete(["x"])):
        with pytest.raises(StorageError, match=r"no permission\. Check the connection named in the URI and its rights"):
            await attempt
    assert await listing(store) == {"x": 7}


def test_a_storage_connection_that_does_not_exist_is_told_by_name() -> None:
    for scheme in ("s3", "gs", "abfs"):
        with pytest.raises(ConnectionConfigError, match="storage connection 'nowhere' does not exist"):
            open_store(f"{scheme}://nowhere@bucket/p")


def test_s3_takes_endpoint_region_and_addressing_from_the_connection(connect: Connect) -> None:
    conn = connect("aws1", conn_type="aws", login="AKIAEXAMPLE", password=SECRET, extra={"region_name": "eu-west-1"})
    store = built(f"s3://{conn}@bucket/p/q")
    assert isinstance(store, S3Store)
    assert store.config["region"] == "eu-west-1"
    assert store.config["endpoint"] == "https://bucket.s3.eu-west-1.amazonaws.com"
    assert str(store.config["virtual_hosted_style_request"]).lower() == "true"
    assert store.prefix == "p/q"
    own = connect("aws2", conn_type="aws", login="A", password=SECRET, extra={"endpoint_url": "http://minio:9000"})
    store = built(f"s3://{own}@bucket")
    assert isinstance(store, S3Store)
    assert store.config["endpoint"] == "http://minio:9000"
    assert str(store.config["virtual_hosted_style_request"]).lower() == "false"
    assert store.client_options is not None
    assert str(store.client_options["allow_http"]).lower() == "true"
    assert SECRET not in repr(store)


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
@pytest.mark.parametrize("endpoint", ["minio:9000", "minio.example", "127.0.0.1:9000/store", "ftp://minio.example"])
def test_an_endpoint_that_is_no_url_is_told_before_any_request(connect: Connect, scheme: str, endpoint: str) -> None:
    conn = connect(
        "nourl",
        conn_type={"s3": "aws", "gs": "google_cloud_platform", "az": "wasb"}[scheme],
        login="A",
        password="a2V5",
        extra={"endpoint_url": endpoint, "is_anonymous": True},
    )
    with pytest.raises(ConnectionConfigError, match="https:// or http://"):
        open_store(f"{scheme}://{conn}@bucket")


@pytest.mark.parametrize(
    ("extra", "unsigned"),
    [
        pytest.param({}, "true", id="aws"),
        pytest.param({"endpoint_url": "https://minio.example"}, "true", id="tls"),
        pytest.param({"endpoint_url": "https://minio.example", "verify": False}, "false", id="tls-not-verified"),
        pytest.param({"endpoint_url": "http://minio:9000"}, "false", id="plain-http"),
    ],
)
def test_s3_signs_what_is_sent_unless_tls_guards_it(connect: Connect, extra: dict[str, Any], unsigned: str) -> None:
    conn = connect("aws3", conn_type="aws", login="A", password=SECRET, extra={"region_name": "eu-west-1", **extra})
    store = built(f"s3://{conn}@bucket")
    assert isinstance(store, S3Store)
    assert str(store.config["unsigned_payload"]).lower() == unsigned


@pytest.mark.parametrize(
    ("extra", "whole"),
    [
        pytest.param({}, True, id="aws"),
        pytest.param({"endpoint_url": "https://minio.example"}, True, id="tls"),
        pytest.param({"endpoint_url": "https://minio.example", "verify": False}, False, id="tls-not-verified"),
        pytest.param({"endpoint_url": "http://minio:9000"}, False, id="plain-http"),
    ],
)
def test_large_files_go_to_s3_in_one_request_where_tls_guards_them(
    connect: Connect, extra: dict[str, Any], whole: bool
) -> None:
    conn = connect("aws4", conn_type="aws", login="A", password=SECRET, extra={"region_name": "eu-west-1", **extra})
    assert takes_whole(open_store(f"s3://{conn}@bucket")) is whole


def test_other_stores_take_large_files_as_they_always_do(memory_scheme: str, tmp_path: Path) -> None:
    for uri in (tmp_path.as_uri(), f"{memory_scheme}://bucket/p"):
        assert not takes_whole(open_store(uri))


def takes_whole(store: Store) -> bool:
    """Whether a large file goes in one request, as the memory for it tells."""
    return store.memory_for(100 * MIB) == BUFFERED_BYTES != parts_memory(100 * MIB)


async def test_an_authority_of_its_own_vouches_for_s3_as_in_the_aws_tools(
    s3: Connect, s3_server: SeaweedFS, tmp_path: Path
) -> None:
    assert s3_server.certificate is not None
    stranger, authorities = tmp_path / "stranger", tmp_path / "authorities.pem"
    stranger.mkdir()
    authorities.write_bytes(make_certificate(stranger).certificate.read_bytes() + s3_server.certificate.read_bytes())
    extra = {"endpoint_url": s3_server.tls_endpoint, "region_name": "us-east-1", "verify": str(authorities)}
    store = await asyncio.to_thread(open_store, f"s3://{s3(extra=extra)}@landing/{uuid4()}")
    content = b"0123456789abcdef" * MIB
    await store.put("small", b"{}")
    await store.put_stream("in-parts", chunks(content), None)
    await store.put_stream("whole", chunks(content), len(content))
    assert await store.get("small") == b"{}"
    assert await store.get("in-parts") == await store.get("whole") == content
    assert await store.discard_unfinished("") == 0, "boto3 trusts it too"


async def test_a_certificate_that_nobody_vouches_for_is_refused_by_default(s3: Connect, s3_server: SeaweedFS) -> None:
    extra = {"endpoint_url": s3_server.tls_endpoint, "region_name": "us-east-1"}
    store: Any = await asyncio.to_thread(open_store, f"s3://{s3(extra=extra)}@landing/{uuid4()}")
    with pytest.raises(BrokenWriteError):
        await store.put_stream("whole", chunks(b"x"), 1)


@pytest.mark.parametrize("verify", ["/not/there.pem", "no", "false"])
def test_authorities_that_cannot_be_read_are_told_by_name(s3: Connect, s3_server: SeaweedFS, verify: str) -> None:
    extra = {"endpoint_url": s3_server.tls_endpoint, "region_name": "us-east-1", "verify": verify}
    with pytest.raises(ConnectionConfigError, match=rf"Extra `verify` .* names '{verify}', .*certificates in PEM"):
        open_store(f"s3://{s3(extra=extra)}@landing/p")


def test_a_local_destination_is_made_and_an_input_folder_is_not(tmp_path: Path) -> None:
    made, missing = tmp_path / "made" / "deep", tmp_path / "missing"
    open_store(made.as_uri())
    assert made.is_dir()
    with pytest.raises(FolderNotFoundError, match="There is no file and no folder"):
        open_input_store(missing.as_uri())
    assert not missing.exists()


def test_a_local_destination_that_cannot_be_made_is_an_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for uri in ("file:///proc/1/no/such", f"{tmp_path.as_uri()}/file/below"):
        with pytest.raises(StorageError, match="Check the path, and that Airflow may write there"):
            open_store(uri)


@pytest.mark.parametrize("scheme", ["https", "ftp", "nothing"])
def test_a_scheme_without_a_driver_is_told_without_the_query_of_the_uri(scheme: str) -> None:
    with pytest.raises(StorageError, match=f"No storage driver for {scheme}://bucket/x") as caught:
        open_store(f"{scheme}://bucket/x?Signature={SECRET}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "conn_id", "bucket", "key", "text"),
    [
        ("s3://c@bucket/a/b/", "c", "bucket", "a/b", "s3://bucket/a/b"),
        ("s3://bucket", None, "bucket", "", "s3://bucket"),
        (" S3://bucket/x?#y ", None, "bucket", "x?#y", "s3://bucket/x?#y"),
        ("file:///a/b c/", None, "", "/a/b c", "file:///a/b c"),
        ("file:///a%20b/#1?x\n", None, "", "/a%20b/#1?x", "file:///a%20b/#1?x"),
        ("local:///a/b", None, "", "/a/b", "file:///a/b"),
        (" file:///a ", None, "", "/a ", "file:///a "),
        ("gs://c@bucket//x//", "c", "bucket", "x", "gs://bucket/x"),
    ],
)
def test_a_uri_is_taken_apart(uri: str, conn_id: str | None, bucket: str, key: str, text: str) -> None:
    where = parse_uri(uri)
    assert (where.conn_id, where.bucket, where.key, where.text) == (conn_id, bucket, key, text)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("", "is not an object-storage URI. Write s3://"),
        ("/data/x", "is not an object-storage URI"),
        ("bucket/x", "is not an object-storage URI"),
        ("file://relative", "has to be absolute"),
        ("file:///", "has to be absolute"),
        ("file:///a\nb", "holds a tab or a line end"),
        ("s3://bucket/a\tb", "holds a tab or a line end"),
        ("s3:///x", "needs a bucket"),
        ("s3://c@/x", "needs a bucket"),
        (f"s3://key:{SECRET}@bucket/x", "names a connection before the @, never a user and password"),
    ],
)
def test_what_is_no_uri_is_refused_with_how_it_should_look(uri: str, says: str) -> None:
    with pytest.raises(StorageError, match=says) as caught:
        parse_uri(uri)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("key", ["a//b", "a/./b", "a/../b", "..", "a\x7fb"])
@pytest.mark.parametrize("scheme", ["s3", "gs", "abfs"])
def test_a_prefix_that_no_store_opens_is_a_fault_of_the_uri(scheme: str, key: str) -> None:
    with pytest.raises(StorageError, match=r"cannot be opened: its name holds .*\. Write the URI without it"):
        open_store(f"{scheme}://bucket/{key}")


@pytest.mark.parametrize(
    ("uri", "prefix", "pattern"),
    [
        ("s3://c@b/in/*.ndjson", "s3://c@b/in", "*.ndjson"),
        ("s3://b/in/2026-??/x[12]/y", "s3://b/in", "2026-??/x[12]/y"),
        ("s3://b/*", "s3://b/", "*"),
        ("file:///in/a/**/*.gz", "file:///in/a", "**/*.gz"),
        ("s3://b/in/plain", "s3://b/in/plain", ""),
    ],
)
def test_a_glob_is_cut_before_its_first_wildcard(uri: str, prefix: str, pattern: str) -> None:
    assert split_glob(uri) == (prefix, pattern)


def built(uri: str) -> obstore.store.ObjectStore:
    """The store within, for its options; nothing is sent."""
    opened: Any = open_store(uri)
    if isinstance(opened, RelocatingStore):
        opened = opened._store
    return opened._store  # type: ignore[no-any-return]


def test_every_refusal_here_is_one_of_ours() -> None:
    assert issubclass(FolderNotFoundError, LearnosityError)


@pytest.mark.parametrize("scheme", ["s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "wasbs"])
@pytest.mark.parametrize("conn_type", ["http", "postgres", "learnosity", "generic", "ssh", "sftp", ""])
@pytest.mark.promise("no secret")
def test_a_connection_of_another_type_is_never_opened_as_a_store(
    monkeypatch: pytest.MonkeyPatch, scheme: str, conn_type: str
) -> None:
    parts = {"conn_type": conn_type, "host": "internal.example", "login": "somebody", "password": "a-secret"}
    monkeypatch.setenv("AIRFLOW_CONN_INTERNAL_API", json.dumps(parts))
    with pytest.raises(ConnectionConfigError, match=f"does not fit {scheme}://") as caught:
        open_store(f"{scheme}://internal_api@container/x")
    assert "a-secret" not in str(caught.value)
