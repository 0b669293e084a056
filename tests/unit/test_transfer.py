"""Signed URLs: followed as they stand, to their host alone, and never told to anybody."""

from __future__ import annotations

import dataclasses
import gzip
import tempfile
from collections.abc import AsyncIterator
from itertools import repeat
from typing import Any, BinaryIO

import pytest
from aiohttp import web

from learnosity.api.config import ApiConfig, Credentials
from learnosity.api.signed_urls import UPLOAD_CONTENT_TYPE, SignedTransfer
from learnosity.errors import LearnosityError, PermanentApiError, TransferError, UrlExpiredError

QUERY = "X-Amz-Credential=key%2F2026%2Fs3&X-Amz-Signature=5ec2e7%2B%3D&empty="
BODY = bytes(range(256)) * 40


class Bucket:
    """A server that answers as it is told and remembers what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.answer: dict[str, Any] = {"body": BODY}
        self.asked: list[web.BaseRequest] = []
        self.received = b""

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)
        self.received = await request.read()
        return web.Response(**self.answer)

    def signed(self, path: str = "/data/file.json") -> str:
        return f"{self.url}{path}?{QUERY}"


@pytest.fixture
async def bucket() -> AsyncIterator[Bucket]:
    served = Bucket()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", served.serve)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield served
    await runner.cleanup()


@pytest.fixture
def config(bucket: Bucket) -> ApiConfig:
    return ApiConfig(Credentials("key", "secret"), base_url=bucket.url, trust_env=False)


@pytest.fixture
async def transfer(config: ApiConfig) -> AsyncIterator[SignedTransfer]:
    async with SignedTransfer(config) as opened:
        yield opened


@pytest.fixture
def spool() -> Any:
    with tempfile.TemporaryFile() as file:
        file.write(BODY)
        file.flush()
        yield file


async def test_a_download_tells_length_type_and_tag_and_gives_the_bytes(
    bucket: Bucket, transfer: SignedTransfer
) -> None:
    bucket.answer["headers"] = {"ETag": '"tag"', "Content-Type": "text/csv"}
    async with transfer.get(bucket.signed()) as download:
        assert (download.length, download.total, download.content_type, download.validator) == (
            len(BODY), len(BODY), "text/csv", '"tag"',
        )  # fmt: skip
        assert await download.read() == BODY
    async with transfer.get(bucket.signed()) as download:
        assert b"".join([chunk async for chunk in download.chunks(repeat(len(BODY) // 3))]) == BODY


async def test_the_signed_query_arrives_as_it_stood(bucket: Bucket, transfer: SignedTransfer) -> None:
    async with transfer.get(bucket.signed("/data/a%20b%2Bc.json")) as download:
        await download.read()
    assert bucket.asked[0].raw_path == f"/data/a%20b%2Bc.json?{QUERY}"


async def test_nothing_of_ours_goes_to_the_bucket(bucket: Bucket, transfer: SignedTransfer, spool: BinaryIO) -> None:
    bucket.answer["headers"] = {"Set-Cookie": "session=1"}
    for _ in range(2):
        async with transfer.get(bucket.signed()) as download:
            await download.read()
        await transfer.put(bucket.signed(), spool, 0, 10)
    for request in bucket.asked:
        sent = {name.lower() for name in request.headers}
        assert not sent & {"authorization", "cookie", "referer"}
        assert not [name for name in sent if name.startswith("x-learnosity")]


async def test_compressed_content_lands_as_it_was_served(bucket: Bucket, transfer: SignedTransfer) -> None:
    packed = gzip.compress(BODY)
    bucket.answer = {"body": packed, "headers": {"Content-Encoding": "gzip"}}
    async with transfer.get(bucket.signed()) as download:
        assert await download.read() == packed
    assert bucket.asked[0].headers["Accept-Encoding"] == "identity"


async def test_the_rest_of_a_file_is_asked_for_by_range_and_tag(bucket: Bucket, transfer: SignedTransfer) -> None:
    bucket.answer = {"body": BODY[100:], "status": 206}
    async with transfer.get(bucket.signed(), start=100, validator='"tag"') as download:
        assert await download.read() == BODY[100:]
        assert download.total == len(BODY)
    assert bucket.asked[0].headers["Range"] == "bytes=100-"
    assert bucket.asked[0].headers["If-Range"] == '"tag"'


async def test_a_whole_file_in_the_place_of_the_rest_is_refused(bucket: Bucket, transfer: SignedTransfer) -> None:
    with pytest.raises(TransferError, match="cannot continue at byte 100"):
        async with transfer.get(bucket.signed(), start=100):
            pytest.fail("the whole file was taken for its rest")


async def test_a_weak_tag_proves_nothing(bucket: Bucket, transfer: SignedTransfer) -> None:
    bucket.answer["headers"] = {"ETag": 'W/"tag"'}
    async with transfer.get(bucket.signed()) as download:
        assert download.validator is None


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, UrlExpiredError), (403, UrlExpiredError), (404, UrlExpiredError), (410, UrlExpiredError)]
    + [(status, TransferError) for status in (408, 425, 429, 500, 502, 503, 504)]
    + [(status, PermanentApiError) for status in (301, 302, 307, 308, 400, 405, 409, 411, 416)],
)
async def test_each_status_stands_for_what_can_be_done(
    bucket: Bucket, transfer: SignedTransfer, spool: BinaryIO, status: int, error: type[LearnosityError]
) -> None:
    bucket.answer = {"status": status, "headers": {"Location": "https://elsewhere.example/"}}
    for attempt in ("get", "put"):
        with pytest.raises(error, match=f"HTTP {status}") as caught:
            if attempt == "put":
                await transfer.put(bucket.signed(), spool, 0, 10)
            else:
                async with transfer.get(bucket.signed()):
                    pytest.fail("an error passed for a file")
        assert "Signature" not in str(caught.value)
    assert len(bucket.asked) == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_overload_says_how_long_to_wait(bucket: Bucket, transfer: SignedTransfer, status: int) -> None:
    bucket.answer = {"status": status, "headers": {"Retry-After": "7"}}
    with pytest.raises(TransferError) as caught:
        async with transfer.get(bucket.signed()):
            pytest.fail("an error passed for a file")
    assert (caught.value.overload, caught.value.retry_after) == (True, 7.0)


async def test_a_dead_server_is_a_passing_error_without_the_query(closed_port: int, config: ApiConfig) -> None:
    base_url = f"http://127.0.0.1:{closed_port}"
    async with SignedTransfer(dataclasses.replace(config, base_url=base_url)) as transfer:
        with pytest.raises(TransferError, match="connection failed") as caught:
            async with transfer.get(f"{base_url}/data/file.json?{QUERY}"):
                pytest.fail("nobody answered")
    assert "Signature" not in str(caught.value)
    assert "file.json" in str(caught.value)


@pytest.mark.parametrize("url", ["http://other.example/file", "https://169.254.169.254/x", "ftp://host/x"])
async def test_a_url_that_may_not_be_followed_is_not(transfer: SignedTransfer, spool: BinaryIO, url: str) -> None:
    with pytest.raises(PermanentApiError, match="Refused to follow"):
        async with transfer.get(url):
            pytest.fail("it was followed")
    with pytest.raises(PermanentApiError, match="Refused to follow"):
        await transfer.put(url, spool, 0, 1)


async def test_an_upload_sends_exactly_its_stretch_with_its_length(
    bucket: Bucket, transfer: SignedTransfer, spool: BinaryIO
) -> None:
    await transfer.put(bucket.signed(), spool, 100, 2_000)
    (request,) = bucket.asked
    assert bucket.received == BODY[100:2_100]
    assert request.method == "PUT"
    assert request.headers["Content-Length"] == "2000"
    assert request.headers["Content-Type"] == UPLOAD_CONTENT_TYPE
    assert request.raw_path.endswith(QUERY)


async def test_outside_of_its_context_nothing_is_sent(config: ApiConfig, bucket: Bucket) -> None:
    with pytest.raises(RuntimeError, match="outside its context"):
        async with SignedTransfer(config).get(bucket.signed()):
            pytest.fail("it was sent")
    assert not bucket.asked


async def test_a_proxy_of_the_connection_gets_the_downloads_and_uploads(
    bucket: Bucket, config: ApiConfig, spool: BinaryIO, closed_port: int
) -> None:
    target = f"http://127.0.0.1:{closed_port}"
    through = dataclasses.replace(config, base_url=target, proxy=bucket.url)
    async with SignedTransfer(through) as transfer:
        async with transfer.get(f"{target}/file.json?{QUERY}") as download:
            assert await download.read() == BODY
        await transfer.put(f"{target}/file.json?{QUERY}", spool, 0, 10)
    assert [request.method for request in bucket.asked] == ["GET", "PUT"]
