"""Uploads to servers that misbehave: every phase has an end, and each end the right error."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from devstack.certificate import make_certificate
from devstack.ports import LOOPBACK
from learnosity.api import signed_urls
from learnosity.api.config import ApiConfig, Credentials
from learnosity.api.signed_urls import SignedTransfer
from learnosity.errors import LearnosityError, PermanentApiError, TransferError, UrlExpiredError
from tests.component.api.hand_made import CONTINUE, Exchange, HandMade, hand_made, reply, xml

SIZE = 8 * 1024 * 1024
QUERY = "AWSAccessKeyId=key&Expires=1&Signature=secret-of-the-url"
# An upload that has no end of its own fails the test after this long.
BOUND_SECONDS = 20.0
SHORT_SECONDS = 0.4


@pytest.fixture(scope="module")
def spool() -> Iterator[BinaryIO]:
    """Larger than what all buffers between client and server can hold."""
    with tempfile.TemporaryFile() as file:
        file.write(bytes(range(256)) * (SIZE // 256))
        file.flush()
        yield file


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of less than a second."""
    for name in ("CONNECT_SECONDS", "IDLE_SECONDS", "CONTINUE_SECONDS"):
        monkeypatch.setattr(signed_urls, name, SHORT_SECONDS)


async def upload(served: HandMade | str, spool: BinaryIO, length: int = SIZE, **config: Any) -> None:
    """One upload, in bounded time."""
    url = served if isinstance(served, str) else served.url
    settings = ApiConfig(Credentials("key", "secret"), base_url=url, trust_env=False)
    async with SignedTransfer(dataclasses.replace(settings, **config)) as transfer:
        async with asyncio.timeout(BOUND_SECONDS):
            await transfer.put(f"{url}/in/0.ndjson?{QUERY}", spool, 0, length)


async def fails(served: HandMade | str, spool: BinaryIO, length: int = SIZE, **config: Any) -> LearnosityError:
    """The error of one upload, which tells nothing secret."""
    with pytest.raises(LearnosityError) as caught:
        await upload(served, spool, length, **config)
    assert "secret-of-the-url" not in str(caught.value)
    assert "signature-of-somebody" not in str(caught.value)
    assert "<" not in str(caught.value)
    return caught.value


class Behaves:
    """What a server does with an upload, by name."""

    @staticmethod
    async def well(asked: Exchange) -> None:
        await asked.give(CONTINUE)
        await asked.take()
        await asked.give(reply(200))

    @staticmethod
    async def never_says_continue(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(200))

    @staticmethod
    async def reads_nothing(asked: Exchange) -> None:
        await asyncio.Event().wait()

    @staticmethod
    async def says_continue_and_reads_nothing(asked: Exchange) -> None:
        await asked.give(CONTINUE)
        await asyncio.Event().wait()

    @staticmethod
    async def reads_half_and_stops(asked: Exchange) -> None:
        await asked.give(CONTINUE)
        await asked.take(SIZE // 2)
        await asyncio.Event().wait()

    @staticmethod
    async def reads_all_and_never_answers(asked: Exchange) -> None:
        await asked.give(CONTINUE)
        await asked.take()
        await asyncio.Event().wait()

    @staticmethod
    async def says_continue_and_hangs_up(asked: Exchange) -> None:
        await asked.give(CONTINUE)
        asked.end()

    @staticmethod
    async def hangs_up_at_once(asked: Exchange) -> None:
        asked.end()

    @staticmethod
    async def resets_midway(asked: Exchange) -> None:
        await asked.give(CONTINUE)
        await asked.take(SIZE // 2)
        asked.reset()

    @staticmethod
    async def reads_all_and_hangs_up(asked: Exchange) -> None:
        await asked.give(CONTINUE)
        await asked.take()
        asked.end()

    @staticmethod
    async def answers_by_half(asked: Exchange) -> None:
        await asked.give(CONTINUE)
        await asked.take()
        await asked.give(b"HTTP/1.1 200 So\r\nContent-Le")
        await asyncio.Event().wait()

    @staticmethod
    async def answers_what_is_no_http(asked: Exchange) -> None:
        await asked.give(b"220 mail.example ESMTP\r\n")
        await asyncio.Event().wait()

    @staticmethod
    async def says_continue_for_ever(asked: Exchange) -> None:
        while True:
            await asked.give(CONTINUE)
            await asyncio.sleep(SHORT_SECONDS / 8)


async def test_a_server_that_behaves_gets_the_body_after_it_has_asked_for_it(spool: BinaryIO) -> None:
    early: list[bytes] = []

    async def waits(asked: Exchange) -> None:
        try:
            early.append(await asyncio.wait_for(asked.reader.read(1), 0.3))
        except TimeoutError:
            await Behaves.well(asked)

    async with hand_made(waits) as served:
        await upload(served, spool)
    (asked,) = served.asked
    assert not early
    assert asked.headers["expect"] == "100-continue"
    assert asked.headers["content-length"] == str(SIZE)
    assert asked.taken == bytes(range(256)) * (SIZE // 256)


async def test_a_server_that_never_says_continue_gets_the_body_after_a_second(spool: BinaryIO) -> None:
    assert signed_urls.CONTINUE_SECONDS == 1.0
    loop, seconds = asyncio.get_running_loop(), list[float]()

    async def waits(asked: Exchange) -> None:
        began = loop.time()
        asked.taken += await asked.reader.read(1)
        seconds.append(loop.time() - began)
        await Behaves.never_says_continue(asked)

    async with hand_made(waits) as served:
        await upload(served, spool)
    (asked,) = served.asked
    assert asked.taken == bytes(range(256)) * (SIZE // 256)
    assert 0.5 < seconds[0] < BOUND_SECONDS / 2


@pytest.mark.usefixtures("short_limits")
@pytest.mark.parametrize(
    "name",
    [
        "reads_nothing",
        "says_continue_and_reads_nothing",
        "reads_half_and_stops",
        "reads_all_and_never_answers",
        "says_continue_and_hangs_up",
        "hangs_up_at_once",
        "resets_midway",
        "reads_all_and_hangs_up",
        "answers_by_half",
        "answers_what_is_no_http",
        "says_continue_for_ever",
    ],
)
@pytest.mark.promise("advice")
async def test_no_server_can_hold_an_upload_for_ever(spool: BinaryIO, name: str) -> None:
    async with hand_made(getattr(Behaves, name)) as served:
        error = await fails(served, spool)
    assert type(error) is TransferError
    assert "PUT http" in str(error)
    assert "/in/0.ndjson" in str(error)


@pytest.mark.usefixtures("short_limits")
async def test_an_upload_that_advances_slowly_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signed_urls, "IDLE_SECONDS", 2.0)
    parts, part_bytes = 30, 1024 * 1024

    async def slow(asked: Exchange) -> None:
        await asked.give(CONTINUE)
        for part in range(1, parts + 1):
            await asked.take(part * part_bytes)
            await asyncio.sleep(0.1)
        await asked.give(reply(200))

    with tempfile.TemporaryFile() as large:
        large.truncate(parts * part_bytes)
        async with hand_made(slow) as served:
            began = asyncio.get_running_loop().time()
            await upload(served, large, parts * part_bytes)
    assert asyncio.get_running_loop().time() - began > 2.0 + SHORT_SECONDS, "longer than the limit of any phase"


async def test_a_refusal_in_the_place_of_continue_saves_the_body(spool: BinaryIO) -> None:
    async def refuses(asked: Exchange) -> None:
        await asked.give(reply(403, xml("AccessDenied", "Request has expired"), {"Connection": "close"}))
        asked.taken += await asked.reader.read(SIZE)

    async with hand_made(refuses) as served:
        error = await fails(served, spool)
    assert type(error) is UrlExpiredError
    assert "HTTP 403, AccessDenied" in str(error)
    assert not served.asked[0].taken


async def test_a_refusal_while_the_body_goes_up_is_seen(spool: BinaryIO) -> None:
    async def refuses(asked: Exchange) -> None:
        await asked.give(CONTINUE)
        await asked.take(SIZE // 4)
        await asked.give(reply(403, xml("AccessDenied", "Request has expired"), {"Connection": "close"}))
        await asyncio.Event().wait()

    async with hand_made(refuses) as served:
        error = await fails(served, spool)
    assert type(error) is UrlExpiredError


async def test_after_a_refusal_before_the_body_the_next_upload_is_whole(spool: BinaryIO) -> None:
    async def refuses_once(asked: Exchange) -> None:
        if len(served.asked) == 1:
            await asked.give(reply(503, xml("SlowDown")))
        else:
            await Behaves.well(asked)

    async with hand_made(refuses_once) as served:
        settings = ApiConfig(Credentials("key", "secret"), base_url=served.url, trust_env=False)
        async with SignedTransfer(settings) as transfer, asyncio.timeout(BOUND_SECONDS):
            url = f"{served.url}/in/0.ndjson?{QUERY}"
            with pytest.raises(TransferError) as caught:
                await transfer.put(url, spool, 0, SIZE)
            assert caught.value.overload
            await transfer.put(url, spool, 0, SIZE)
    assert [len(asked.taken) for asked in served.asked] == [0, SIZE]


async def test_the_code_of_a_refusal_that_arrives_in_pieces_is_read(spool: BinaryIO) -> None:
    body = xml("RequestTimeout")
    middle = body.index(b"<Error>")

    async def refuses(asked: Exchange) -> None:
        await asked.give(CONTINUE)
        await asked.take()
        whole = reply(400, body)
        await asked.give(whole[: middle - len(body)])
        await asyncio.sleep(0.3)
        await asked.give(whole[middle - len(body) :])

    async with hand_made(refuses) as served:
        error = await fails(served, spool)
    assert type(error) is TransferError, "RequestTimeout passes by itself"
    assert "HTTP 400, RequestTimeout" in str(error)


@pytest.mark.promise("bounded memory")
async def test_a_refusal_without_an_end_is_not_read_to_its_end(spool: BinaryIO) -> None:
    async def goes_on(asked: Exchange) -> None:
        await asked.give(CONTINUE)
        await asked.take()
        await asked.give(reply(400, headers={"Transfer-Encoding": "chunked"}, length=False))
        body = xml("KMS.DisabledException")
        while asked.given < 1 << 30:
            await asked.give(b"%x\r\n%s\r\n" % (len(body), body))

    async with hand_made(goes_on) as served:
        error = await fails(served, spool)
    assert type(error) is PermanentApiError
    assert "KMS.DisabledException" in str(error)
    assert served.given < 16 << 20


async def test_a_success_before_the_body_is_not_believed(spool: BinaryIO) -> None:
    async def too_soon(asked: Exchange) -> None:
        await asked.give(reply(200, headers={"Connection": "close"}))

    async with hand_made(too_soon) as served:
        error = await fails(served, spool)
    assert type(error) is TransferError


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(200, b"<html>login</html>", {"Content-Type": "text/html"}), TransferError),
        (reply(200, xml("InternalError")), TransferError),
        (reply(200, headers={"ETag": '"d41d8cd98f00b204e9800998ecf8427e"'}), TransferError),
        (reply(201), PermanentApiError),
        (reply(202), PermanentApiError),
        (reply(204, length=False), PermanentApiError),
    ],
)
async def test_a_success_that_is_not_that_of_a_store_is_not_believed(
    spool: BinaryIO, answer: bytes, kind: type[LearnosityError]
) -> None:
    async def says_so(asked: Exchange) -> None:
        await asked.give(CONTINUE)
        await asked.take()
        await asked.give(answer)

    async with hand_made(says_so) as served:
        error = await fails(served, spool)
    assert type(error) is kind
    assert str(error).startswith(f"PUT {served.url}/in/0.ndjson?…: ")
    assert "refused" not in str(error)
    assert ("unexpected status" in str(error)) == (kind is PermanentApiError)


@pytest.mark.usefixtures("short_limits")
async def test_a_server_that_accepts_no_connection_is_given_up(spool: BinaryIO) -> None:
    with socket.socket() as full, socket.socket() as first:
        full.bind((LOOPBACK, 0))
        full.listen(0)
        first.connect(full.getsockname())
        others = [socket.socket() for _ in range(4)]
        try:
            for other in others:  # fill the queue of connections that wait for `accept`
                other.setblocking(False)
                other.connect_ex(full.getsockname())
            error = await fails(f"http://{LOOPBACK}:{full.getsockname()[1]}", spool)
        finally:
            for other in others:
                other.close()
    assert type(error) is TransferError


@pytest.mark.usefixtures("short_limits")
async def test_a_server_that_never_ends_the_handshake_of_tls_is_given_up(spool: BinaryIO) -> None:
    async with hand_made(Behaves.reads_nothing) as served:
        error = await fails(served.url.replace("http:", "https:"), spool)
    assert type(error) is TransferError
    assert not served.asked


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A server certificate that nobody trusts."""
    files = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


async def test_a_certificate_that_is_not_trusted_is_for_a_person_to_mend(spool: BinaryIO, tls: ssl.SSLContext) -> None:
    async with hand_made(Behaves.well, tls=tls) as served:
        error = await fails(served, spool)
    assert not error.transient
    assert "certificate could not be verified" in str(error)


async def test_a_certificate_that_is_not_trusted_is_not_talked_to(spool: BinaryIO, tls: ssl.SSLContext) -> None:
    async with hand_made(Behaves.well, tls=tls) as served:
        error = await fails(served, spool)
        assert not served.asked
        await upload(served, spool, verify=False)
    assert "certificate" in str(error).lower()


async def test_a_spool_that_is_shorter_than_planned_ends_the_upload(spool: BinaryIO) -> None:
    async with hand_made(Behaves.well) as served:
        error = await fails(served, spool, SIZE + 1)
    assert type(error) is TransferError


@pytest.fixture(autouse=True)
async def no_task_is_left() -> AsyncIterator[None]:
    """An upload that has ended leaves nothing that still sends."""
    before = asyncio.all_tasks()
    yield
    async with asyncio.timeout(BOUND_SECONDS):
        while left := [task for task in asyncio.all_tasks() - before if "write_bytes" in repr(task)]:
            await asyncio.wait(left)
