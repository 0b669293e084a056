"""Every call of the API against a server that sends bombs: one clear error, at once, and bounded memory."""

from __future__ import annotations

import asyncio
import gzip
import json
import tempfile
import tracemalloc
import uuid
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache

import pytest
from botocore.credentials import ReadOnlyCredentials  # type: ignore[import-untyped]

from learnosity.api import client as calls
from learnosity.api.client import LearnosityClient
from learnosity.api.config import ApiConfig, Credentials
from learnosity.api.reply_bodies import MAX_DATA_BYTES, MAX_ERROR_BYTES, MAX_REPLY_BYTES, MIB
from learnosity.api.signed_urls import SignedTransfer
from learnosity.errors import (
    BrokenWriteError,
    LearnosityError,
    StorageError,
    TransferError,
    TransientApiError,
    UnexpectedReplyError,
    WrongAddressError,
)
from learnosity.storage.s3_signing import S3Signer
from learnosity.storage.streamed_put import StreamedPut
from tests.component.api.hand_made import CONTINUE, Behaviour, Exchange, HandMade, hand_made, reply
from tests.waiting import no_waiting

BOUND_SECONDS = 30.0
SHORT = MIB
# A server can send this much more than the client reads: it stays in the buffers of the connection. So tests that check
# how much the client has read allow for it.
SOCKETS_HOLD = 12 * MIB
GOOD = b'{"meta": {"status": true, "timestamp": 1795852800}, "data": "'

Call = Callable[[LearnosityClient], Awaitable[object]]
CALLS: dict[str, Call] = {
    "initialise": lambda client: client.initialise({"dataset_type": "x"}),
    "commence": lambda client: client.commence("x", str(uuid.uuid4())),
    "jobs": lambda client: client.jobs(["reference"]),
    "job records": lambda client: client.job_records(),
    "dataset": lambda client: client.dataset("x", str(uuid.uuid4())),
    "group": lambda client: client.dataset("x", str(uuid.uuid4()), {"group_path": ["a"]}),
    "check": lambda client: client.check(),
    "clock": lambda client: client.server_time(),
}


@lru_cache
def packed_bomb(encoding: str) -> bytes:
    """64 MiB in 64 kB."""
    text = GOOD + b"a" * (64 * MIB) + b'"}'
    return gzip.compress(text, 1) if encoding == "gzip" else zlib.compress(text, 1)


def bomb(status: int, encoding: str) -> Behaviour:
    """A small body that becomes large."""
    packed = packed_bomb(encoding)

    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(status, packed, {"Content-Encoding": encoding}))

    return behaviour


def endless(status: int, encoding: str = "identity") -> Behaviour:
    """A body without an end."""
    piece = b"%x\r\n%s\r\n" % (64 * 1024, b"a" * 64 * 1024)

    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        head = reply(status, b"", {"Transfer-Encoding": "chunked", "Content-Encoding": encoding}, length=False)
        await asked.give(head + b"%x\r\n%s\r\n" % (len(GOOD), GOOD))
        while True:
            await asked.give(piece)

    return behaviour


def unasked(status: int) -> Behaviour:
    """A body that is compressed in a way that was not asked for."""

    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        assert asked.headers["accept-encoding"] == "gzip, deflate"
        await asked.give(reply(status, b"anything", {"Content-Encoding": "br"}))

    return behaviour


HOSTILE: dict[str, Callable[[int], Behaviour]] = {
    "gzip": lambda status: bomb(status, "gzip"),
    "deflate": lambda status: bomb(status, "deflate"),
    "endless": endless,
    "unasked": unasked,
}


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest replies are of one mebibyte, so that the tests need not send more."""
    monkeypatch.setattr(calls, "MAX_DATA_BYTES", SHORT)
    monkeypatch.setattr(calls, "MAX_REPLY_BYTES", SHORT)


async def error_of(call: Call, served: HandMade, *, attempts: int = 3) -> LearnosityError:
    """The error of one call, in bounded time."""
    config = ApiConfig(Credentials("k" * 16, "s" * 40), base_url=served.url, trust_env=False)
    async with asyncio.timeout(BOUND_SECONDS), LearnosityClient(config, attempts=attempts) as client:
        with pytest.raises(LearnosityError) as caught:
            await call(client)
    assert "aaa" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.promise("permanent at once")
async def test_a_reply_that_is_too_large_fails_at_once(
    short_limits: None, call: Call, hostile: Callable[[int], Behaviour]
) -> None:
    async with hand_made(hostile(200)) as served:
        tracemalloc.start()
        try:
            error = await error_of(call, served)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert isinstance(error, UnexpectedReplyError)
        assert "larger than 1 MiB" in str(error) or "not asked for" in str(error)
        assert len(served.asked) == 1
        assert served.given < SHORT + SOCKETS_HOLD
    assert peak < 24 * MIB


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(
    ("status", "kind", "asked"), [(302, WrongAddressError, 1), (404, WrongAddressError, 1), (503, TransientApiError, 3)]
)
async def test_an_error_keeps_the_meaning_of_its_status_however_large_it_is(
    monkeypatch: pytest.MonkeyPatch,
    hostile: Callable[[int], Behaviour],
    status: int,
    kind: type[LearnosityError],
    asked: int,
) -> None:
    no_waiting(monkeypatch)
    async with hand_made(hostile(status)) as served:
        error = await error_of(CALLS["jobs"], served)
        assert type(error) is kind
        assert f"HTTP {status}" in str(error)
        assert len(served.asked) == asked
        assert served.given < asked * (MAX_ERROR_BYTES + SOCKETS_HOLD)


async def test_a_damaged_reply_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    no_waiting(monkeypatch)
    whole = json.dumps({"meta": {"status": True, "timestamp": 1795852800}, "data": []}).encode()

    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        packed = gzip.compress(whole)
        await asked.give(reply(200, packed if len(served.asked) > 1 else packed[:-5], {"Content-Encoding": "gzip"}))

    async with hand_made(behaviour) as served:
        config = ApiConfig(Credentials("k" * 16, "s" * 40), base_url=served.url, trust_env=False)
        async with LearnosityClient(config, attempts=3) as client:
            assert await client.jobs() == []
        assert len(served.asked) == 2


async def test_a_large_dataset_is_read_and_only_other_calls_have_the_small_limit() -> None:
    """100,000 addresses of 600 bytes are 60 MB."""
    assert MAX_DATA_BYTES >= 4 * 60 * MIB
    assert MAX_REPLY_BYTES >= 100 * 2000


@pytest.mark.parametrize("method", ["get", "put"])
async def test_the_refusal_of_a_signed_url_is_not_decompressed(method: str) -> None:
    async def behaviour(asked: Exchange) -> None:
        if "expect" in asked.headers:
            await asked.give(CONTINUE)
        await asked.take()
        assert asked.headers["accept-encoding"] == "identity"
        await asked.give(reply(503, packed_bomb("gzip"), {"Content-Encoding": "gzip"}))

    async with hand_made(behaviour) as served, asyncio.timeout(BOUND_SECONDS):
        config = ApiConfig(Credentials("k" * 16, "s" * 40), base_url=served.url, trust_env=False)
        async with SignedTransfer(config) as transfer:
            with pytest.raises(TransferError, match="HTTP 503"):
                if method == "get":
                    async with transfer.get(f"{served.url}/file?Signature=1"):
                        pytest.fail("it was opened")
                else:
                    with tempfile.TemporaryFile() as file:
                        file.write(b"{}")
                        file.flush()
                        await transfer.put(f"{served.url}/file?Signature=1", file, 0, 2)


@pytest.mark.parametrize("status", [200, 400, 503])
async def test_a_store_that_answers_without_an_end_ends_nothing_but_the_put(status: int) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"content"

    async with hand_made(endless(status)) as served, asyncio.timeout(BOUND_SECONDS):
        signer = S3Signer(f"{served.url}/bucket", "", "us-east-1", lambda: ReadOnlyCredentials("A", "secret", None))
        put = StreamedPut(signer, "s3://bucket", {}).put("key", content(), 7, None)
        if status == 200:
            with pytest.raises(StorageError, match="it has no ETag"):
                await put
        else:
            with pytest.raises(BrokenWriteError, match=f"HTTP {status}"):
                await put
        assert served.given < SOCKETS_HOLD


async def test_what_http_says_about_the_pages_of_a_listing_is_kept() -> None:
    body = b'{"meta": {"status": true}, "data": [], "next": "x"}'
    headers = {"link": "<https://h/2>; rel=next", "Content-Range": "files 0-0/2", "X-TOTAL-COUNT": "2", "Server": "s"}

    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        await asked.give(
            reply(206, body, headers).replace(b"\r\nServer:", b"\r\nLink: <https://h/9>; rel=last\r\nServer:")
        )

    async with hand_made(behaviour) as served:
        config = ApiConfig(Credentials("k" * 16, "s" * 40), base_url=served.url, trust_env=False)
        async with LearnosityClient(config, attempts=1) as client:
            listing = await client.dataset("x", str(uuid.uuid4()))
            assert listing.beside == {"next": "x"}
            assert listing.headers == {
                ":status": "206",
                "Link": "<https://h/2>; rel=next, <https://h/9>; rel=last",
                "Content-Range": "files 0-0/2",
                "X-Total-Count": "2",
            }
            assert not (await client.initialise({"dataset_type": "x"})).headers
            assert await client.job_records() == []
