"""Signed URLs: followed as they stand, to their host alone, and never told to anybody."""

from __future__ import annotations

import dataclasses
import gzip
import tempfile
from collections.abc import AsyncIterator
from typing import Any, BinaryIO

import pytest
from aiohttp import web

from learnosity.api.config import ApiConfig, Credentials
from learnosity.api.downloads import READ_AHEAD_BYTES, Rest
from learnosity.api.signed_urls import UPLOAD_CONTENT_TYPE, SignedTransfer
from learnosity.errors import ChangedFileError, LearnosityError, PermanentApiError, TransferError, UrlExpiredError

QUERY = "X-Amz-Credential=key%2F2026%2Fs3&X-Amz-Signature=5ec2e7%2B%3D&empty="
BODY = bytes(range(256)) * 40
LIMIT = len(BODY)


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
        if request.method == "PUT" and self.answer.get("body") is BODY:
            return web.Response(**{**self.answer, "body": b""})  # the reply of S3 to an upload has no body
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
        assert (download.length, download.total, download.content_type, download.tag) == (
            len(BODY), len(BODY), "text/csv", '"tag"',
        )  # fmt: skip
        assert await download.read(LIMIT) == BODY
    async with transfer.get(bucket.signed()) as download:
        pieces = [bytes(piece) async for piece in download.pieces(len(BODY) // 3)]
    assert b"".join(pieces) == BODY
    assert [len(piece) for piece in pieces] == [len(BODY) // 3] * 3 + [len(BODY) % 3]


async def test_the_signed_query_arrives_as_it_stood(bucket: Bucket, transfer: SignedTransfer) -> None:
    async with transfer.get(bucket.signed("/data/a%20b%2Bc.json")) as download:
        await download.read(LIMIT)
    assert bucket.asked[0].raw_path == f"/data/a%20b%2Bc.json?{QUERY}"


async def test_nothing_of_ours_goes_to_the_bucket(bucket: Bucket, transfer: SignedTransfer, spool: BinaryIO) -> None:
    bucket.answer["headers"] = {"Set-Cookie": "session=1"}
    for _ in range(2):
        async with transfer.get(bucket.signed()) as download:
            await download.read(LIMIT)
        await transfer.put(bucket.signed(), spool, 0, 10)
    for request in bucket.asked:
        sent = {name.lower() for name in request.headers}
        assert not sent & {"authorization", "cookie", "referer"}
        assert not [name for name in sent if name.startswith("x-learnosity")]


async def test_compressed_content_lands_as_it_was_served(bucket: Bucket, transfer: SignedTransfer) -> None:
    packed = gzip.compress(BODY)
    bucket.answer = {"body": packed, "headers": {"Content-Encoding": "gzip"}}
    async with transfer.get(bucket.signed()) as download:
        assert download.content_encoding == "gzip", "the reader has to know the compression"
        assert await download.read(LIMIT) == packed
    assert bucket.asked[0].headers["Accept-Encoding"] == "identity"


async def test_the_rest_of_a_file_is_asked_for_by_range_and_tag(bucket: Bucket, transfer: SignedTransfer) -> None:
    bucket.answer = rest_of(BODY)
    async with transfer.get(bucket.signed(), REST) as download:
        assert await download.read(LIMIT) == BODY[100:]
        assert download.total == len(BODY)
    assert bucket.asked[0].headers["Range"] == "bytes=100-"
    assert bucket.asked[0].headers["If-Range"] == '"tag"'


REST = Rest(100, len(BODY), '"tag"')


def rest_of(body: bytes, *, range_: str | None = None, tag: str = '"tag"') -> dict[str, Any]:
    """The answer to a request for `REST`.

    :param range_: what it says of the range; default: the truth, "" = nothing.
    :param tag: entity tag; "" = none.
    """
    told = f"bytes 100-{len(body) - 1}/{len(body)}" if range_ is None else range_
    headers = {"Content-Range": told, "ETag": tag}
    return {"body": body[100:], "status": 206, "headers": {name: value for name, value in headers.items() if value}}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param({"body": BODY, "headers": {"ETag": '"tag"'}}, "cannot continue at byte 100", id="the whole file"),
        pytest.param(rest_of(BODY, range_=""), "does not say which bytes", id="no range"),
        pytest.param(rest_of(BODY, range_="bytes 100-10239/*"), "does not say which", id="no total"),
        pytest.param(rest_of(BODY, range_="lines 1-2/3"), "does not say which bytes", id="no bytes"),
        pytest.param(
            {**rest_of(BODY, range_=f"bytes 99-{LIMIT - 1}/{LIMIT}"), "body": BODY[99:]},
            "other bytes than those from 100 on",
            id="from another byte on",
        ),
        pytest.param(rest_of(BODY + b"longer"), "other bytes than those from 100 on", id="of a longer file"),
        pytest.param(rest_of(BODY[:-1]), "other bytes than those from 100 on", id="of a shorter file"),
        pytest.param({**rest_of(BODY), "body": BODY[100:-1]}, "other bytes than those from 100 on", id="too few bytes"),
        pytest.param(rest_of(BODY, tag='"other"'), "has changed since", id="of another version"),
        pytest.param(rest_of(BODY, tag='W/"tag"'), "has changed since", id="of a version that may be another"),
        pytest.param(rest_of(BODY, tag=""), "has changed since", id="of a version that is not told"),
    ],
)
@pytest.mark.promise("whole or nothing")
async def test_what_is_not_the_rest_of_the_same_file_is_never_joined_to_its_beginning(
    bucket: Bucket, transfer: SignedTransfer, answer: dict[str, Any], says: str
) -> None:
    bucket.answer = answer
    with pytest.raises(ChangedFileError, match=says) as caught:
        async with transfer.get(bucket.signed(), REST):
            pytest.fail("it was taken for the rest")
    assert caught.value.transient, "the file is fetched again from its beginning"


async def test_a_part_in_the_place_of_the_whole_file_is_refused(bucket: Bucket, transfer: SignedTransfer) -> None:
    bucket.answer = rest_of(BODY)
    with pytest.raises(TransferError, match="HTTP 206 in answer to a request for the whole file"):
        async with transfer.get(bucket.signed()):
            pytest.fail("a part was taken for the whole")


@pytest.mark.parametrize("chunked", [False, True], ids=["length told", "length not told"])
@pytest.mark.promise("bounded memory")
async def test_more_than_was_expected_is_not_held_in_memory(
    bucket: Bucket, transfer: SignedTransfer, chunked: bool
) -> None:
    body = BODY * (8 * READ_AHEAD_BYTES // len(BODY))

    async def pieces() -> AsyncIterator[bytes]:
        yield body

    bucket.answer = {"body": pieces() if chunked else body}
    async with transfer.get(bucket.signed()) as download:
        assert (download.length is None) == chunked
        read = await download.read(LIMIT - 1)
    assert LIMIT <= len(read) <= LIMIT + READ_AHEAD_BYTES
    assert body.startswith(bytes(read))


async def test_a_download_whose_length_is_not_told_is_read_to_its_end(bucket: Bucket, transfer: SignedTransfer) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield BODY[:5000]
        yield BODY[5000:]

    bucket.answer = {"body": pieces()}
    async with transfer.get(bucket.signed()) as download:
        assert (download.length, download.total) == (None, None)
        assert await download.read(LIMIT) == BODY


async def test_a_weak_tag_proves_nothing(bucket: Bucket, transfer: SignedTransfer) -> None:
    bucket.answer["headers"] = {"ETag": 'W/"tag"'}
    async with transfer.get(bucket.signed()) as download:
        assert download.tag is None


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


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "RequestTimeout", TransferError),
        (400, "ExpiredToken", UrlExpiredError),
        (400, "InvalidRequest", PermanentApiError),
        (403, "SignatureDoesNotMatch", UrlExpiredError),
        (403, "RequestTimeTooSkewed", UrlExpiredError),
        (403, "AccessDenied", UrlExpiredError),
        (404, "NoSuchKey", UrlExpiredError),
        (500, "SlowDown", TransferError),
    ],
)
async def test_the_code_in_an_answer_says_more_than_its_status(
    bucket: Bucket, transfer: SignedTransfer, spool: BinaryIO, status: int, code: str, error: type[LearnosityError]
) -> None:
    secret = "<Resource>/bucket/key</Resource><HostId>Signature-of-somebody</HostId>"
    bucket.answer = {"status": status, "text": f"<Error><Code>{code}</Code>{secret}</Error>"}
    for attempt in ("get", "put"):
        with pytest.raises(error, match=rf"HTTP {status}, {code}") as caught:
            if attempt == "put":
                await transfer.put(bucket.signed(), spool, 0, 10)
            else:
                async with transfer.get(bucket.signed()):
                    pytest.fail("an error passed for a file")
        assert "Signature-of-somebody" not in str(caught.value)
    if code == "SlowDown":
        assert isinstance(caught.value, TransferError)
        assert caught.value.overload


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
            assert await download.read(LIMIT) == BODY
        await transfer.put(f"{target}/file.json?{QUERY}", spool, 0, 10)
    assert [request.method for request in bucket.asked] == ["GET", "PUT"]
