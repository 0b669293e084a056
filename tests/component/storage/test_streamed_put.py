"""One PUT for a large object: whole or nothing on a real S3 server, and an end to whatever a store can do wrong."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import obstore
import pytest

from devstack.seaweedfs import SeaweedFS
from devstack.secrets import KeyPair
from learnosity.errors import BrokenWriteError, TransferError
from learnosity.storage import streamed_put as single_put_module
from learnosity.storage.multipart import MIB, parts_memory
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.s3_signing import S3Signer
from learnosity.storage.streamed_put import BUFFERED_BYTES, MAX_BYTES, StreamedPut
from tests.component.landing_scene import frozen, tls_store

SIZE = 9 * MIB + 5
SECRET = "a-secret-that-nobody-may-see"


@pytest.fixture
def store(s3_server: SeaweedFS) -> ObstoreStore:
    """A prefix of the S3 server over TLS."""
    return tls_store(s3_server)


@dataclass
class Source:
    """A stream of 1 MiB pieces.

    :param error: raised instead of the piece at `stops_at`.
    :param waits: awaited before the piece at `stops_at`.
    """

    content: bytes = field(default_factory=lambda: os.urandom(SIZE))
    stops_at: int = 5
    error: Exception | None = None
    waits: Callable[[], Awaitable[object]] | None = None
    given: int = 0
    closed: bool = False

    async def chunks(self) -> AsyncIterator[memoryview]:
        try:
            for start in range(0, len(self.content), MIB):
                if self.given == self.stops_at and self.waits is not None:
                    await self.waits()
                if self.given == self.stops_at and self.error is not None:
                    raise self.error
                self.given += 1
                yield memoryview(self.content)[start : start + MIB]
        finally:
            self.closed = True


async def write(store: ObstoreStore, source: Source, path: str = "large", size: int = SIZE) -> str | None:
    return await store.put_stream(path, source.chunks(), size, "text/csv")


def takes_whole(store: ObstoreStore, size: int) -> bool:
    """Whether an object of `size` bytes goes in one request, as the memory for it tells."""
    assert parts_memory(size) > BUFFERED_BYTES
    return store.memory_for(size) == BUFFERED_BYTES


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Each of the tasks ends by itself: the client may ask for one more piece at the last moment, and hears no."""
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_was_written_is_read_back_with_type_and_tag(store: ObstoreStore) -> None:
    source = Source()
    tag = await write(store, source, "a folder/ü+%&?#.csv")
    assert await store.get("a folder/ü+%&?#.csv") == source.content
    info = await store.head("a folder/ü+%&?#.csv")
    assert info is not None
    assert (info.size, info.etag) == (SIZE, tag)
    assert tag is not None
    assert "-" not in tag, "a tag of parts"
    answer = await obstore.get_async(store._store, "a folder/ü+%&?#.csv")
    assert answer.attributes["Content-Type"] == "text/csv"
    assert source.closed


async def test_many_at_once_over_the_same_connections(store: ObstoreStore) -> None:
    sources = {f"file-{number}": Source() for number in range(8)}
    for _ in range(2):
        await asyncio.gather(*(write(store, Source(source.content), path) for path, source in sources.items()))
    for path, source in sources.items():
        assert await store.get(path) == source.content


async def test_an_empty_object_is_an_object(store: ObstoreStore) -> None:
    await write(store, Source(b""), size=0)
    assert await store.get("large") == b""


async def test_a_source_that_breaks_leaves_what_was_there_and_comes_out_as_it_is(store: ObstoreStore) -> None:
    await store.put("large", b"before")
    source = Source(error=TransferError("the source broke"))
    with pytest.raises(TransferError, match="the source broke"):
        await write(store, source)
    assert source.closed
    assert await store.get("large") == b"before"
    assert takes_whole(store, SIZE), "that was not the store's fault"


@pytest.mark.parametrize(
    ("content", "promised"),
    [
        (SIZE - 1, SIZE),
        (SIZE - MIB, SIZE),
        (SIZE + 1, SIZE),
        (SIZE + MIB, SIZE),
        pytest.param(6 * MIB, 5 * MIB, id="one piece more, after all that is sent"),
        pytest.param(5 * MIB, 6 * MIB, id="one piece less"),
    ],
)
async def test_another_number_of_bytes_than_promised_is_an_error(
    store: ObstoreStore, content: int, promised: int
) -> None:
    source = Source(os.urandom(content), stops_at=-1)
    with pytest.raises(TransferError, match=rf"\d+ instead of {promised} bytes came"):
        await write(store, source, size=promised)
    assert source.closed
    if content < promised:
        assert await store.head("large") is None


async def test_a_write_that_is_cancelled_leaves_no_object_and_lets_go_of_its_source(store: ObstoreStore) -> None:
    reached, tasks = asyncio.Event(), asyncio.all_tasks()

    async def for_ever() -> None:
        reached.set()
        await asyncio.get_running_loop().create_future()

    source = Source(waits=for_ever)
    writing = asyncio.create_task(write(store, source))
    await reached.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert source.closed
    await ended(asyncio.all_tasks() - tasks)
    assert await store.head("large") is None
    assert takes_whole(store, SIZE)


async def test_a_refusal_is_told_and_no_more_is_taken(s3_server: SeaweedFS, s3_reader: KeyPair) -> None:
    store = tls_store(s3_server, keys=s3_reader)
    with pytest.raises(BrokenWriteError, match=rf"Could not write {store.uri}/large in one request: ") as caught:
        await write(store, Source())
    assert not caught.value.overload
    assert not takes_whole(store, SIZE)
    assert store.memory_for(SIZE) == parts_memory(SIZE)


async def test_a_certificate_that_nobody_vouches_for_is_refused(s3_server: SeaweedFS) -> None:
    signer = S3Signer(f"{s3_server.tls_endpoint}/landing", "x", "us-east-1", lambda: frozen(s3_server.landing))
    with pytest.raises(BrokenWriteError, match="ConnectError"):
        await StreamedPut(signer, "s3://landing/x", {}).put("large", Source().chunks(), SIZE, None)


def test_what_is_too_large_to_begin_again_is_not_taken(store: ObstoreStore) -> None:
    assert takes_whole(store, MAX_BYTES)
    assert not takes_whole(store, MAX_BYTES + 1)


async def test_of_unknown_size_it_goes_in_parts(store: ObstoreStore) -> None:
    assert store.memory_for(None) == parts_memory(None)
    source = Source()
    tag = await store.put_stream("large", source.chunks(), None)
    assert tag is not None
    assert "-" in tag, "a tag of one request"
    assert await store.get("large") == source.content


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def behind(serve: Serve) -> AsyncIterator[StreamedPut]:
    """Writes to a server that does to each connection what `serve` says."""
    under_way: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    keys = KeyPair("AKIAEXAMPLE", SECRET)
    signer = S3Signer(f"http://{host}:{port}/bucket", "", "us-east-1", lambda: frozen(keys))
    try:
        yield StreamedPut(signer, "s3://bucket", {})
    finally:
        server.close()
        for task in under_way:
            task.cancel()


def answering(status: bytes, headers: bytes = b"", *, body_first: int = 0) -> Serve:
    """A server that answers after so many bytes of the body, and reads the rest."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(body_first)
        writer.write(b"HTTP/1.1 %s\r\n%sConnection: close\r\nContent-Length: 2\r\n\r\nno" % (status, headers))
        await writer.drain()
        while await reader.read(65536):
            continue

    return serve


async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(3 * MIB)


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.get_running_loop().create_future()


async def without_an_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(SIZE)
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(
    ("serve", "says", "overload"),
    [
        pytest.param(answering(b"403 Forbidden"), "HTTP 403", False, id="refused at once"),
        pytest.param(answering(b"403 Forbidden", body_first=SIZE), "HTTP 403", False, id="refused at the end"),
        pytest.param(answering(b"503 Slow Down"), "HTTP 503", True, id="too much at once"),
        pytest.param(answering(b"429 Too Many", body_first=MIB), "HTTP 429", True, id="too much, half way"),
        pytest.param(answering(b"500 Oops", body_first=SIZE), "HTTP 500", False, id="failed"),
        pytest.param(answering(b"200 OK"), "HTTP 200", False, id="content before it has come"),
        pytest.param(answering(b"307 There", b"Location: /there\r\n"), "HTTP 307", False, id="redirected"),
        pytest.param(resetting, "Error", False, id="reset"),
    ],
)
async def test_a_store_that_fails_is_told_once_and_not_used_again_for_this(
    serve: Serve, says: str, overload: bool, caplog: pytest.LogCaptureFixture
) -> None:
    source, tasks = Source(), asyncio.all_tasks()
    async with behind(serve) as put:
        with pytest.raises(BrokenWriteError, match=rf"s3://bucket/large in one request: .*{says}") as caught:
            await put.put("large", source.chunks(), SIZE, None)
        assert caught.value.overload is overload
        assert not put.takes(SIZE)
        assert source.closed
        with pytest.raises(BrokenWriteError):
            await put.put("large", Source().chunks(), SIZE, None)
    assert [record.levelname for record in caplog.records if "one request failed" in record.message] == ["WARNING"]
    told = caplog.text + str(caught.value) + repr(caught.value.__cause__)
    assert not re.search(rf"{SECRET}|AKIAEXAMPLE|X-Amz|Signature", told)
    # No task of the write may be left running. The tasks of the test's server have `connected` in their text; they may
    # run on.
    await ended(task for task in asyncio.all_tasks() - tasks if "connected" not in repr(task))


@pytest.mark.parametrize("serve", [mute, without_an_answer])
async def test_a_store_that_takes_nothing_or_says_nothing_is_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_put_module, "IDLE_SECONDS", 1.0)
    # More than fits into the buffers on the way.
    source, size = (Source(bytes(64 * MIB)), 64 * MIB) if serve is mute else (Source(), SIZE)
    async with behind(serve) as put:
        with pytest.raises(BrokenWriteError, match="TimeoutError"):
            await put.put("large", source.chunks(), size, None)
    assert source.closed


async def test_a_source_that_takes_its_time_is_not_held_against_the_store(
    store: ObstoreStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_put_module, "IDLE_SECONDS", 1.0)
    source = Source(waits=lambda: asyncio.sleep(2.5))
    await write(store, source)
    assert await store.get("large") == source.content
