"""Downloads from servers that misbehave: the same file or an error, in bounded time and memory."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from devstack.certificate import make_certificate
from learnosity.api import signed_urls
from learnosity.api.config import ApiConfig, Credentials
from learnosity.api.downloads import BUFFERED_BYTES, Download, Rest
from learnosity.api.signed_urls import SignedTransfer
from learnosity.errors import (
    ChangedFileError,
    LearnosityError,
    PermanentApiError,
    TransferError,
    UrlExpiredError,
)
from learnosity.landing import large_files
from learnosity.landing.large_files import LargeFile
from learnosity.landing.offered import Offered
from learnosity.results.outcomes import ResultFile
from tests.component.api.hand_made import SOCKET_BYTES, Behaviour, Exchange, HandMade, hand_made, reply, xml
from tests.waiting import no_waiting

QUERY = "X-Amz-Expires=1&X-Amz-Signature=secret-of-the-url"
BODY = bytes(range(256)) * 40
TOTAL = len(BODY)
START = 100
TAG = '"tag"'
REST = Rest(START, TOTAL, TAG)
BOUND_SECONDS = 20.0
SHORT_SECONDS = 0.4
# A server can send this much more than the client reads: it stays in the buffers of the connection. So tests that check
# how much the client has read allow for it.
SOCKETS_HOLD = 12 * 1024 * 1024


def answers(*replies: bytes) -> Behaviour:
    """Gives one reply after the other; the last one again and again."""
    left = list(replies)

    async def behaviour(asked: Exchange) -> None:
        await asked.give(left.pop(0) if len(left) > 1 else left[0])

    return behaviour


def part(
    body: bytes = BODY[START:],
    *,
    range_: str | None = f"bytes {START}-{TOTAL - 1}/{TOTAL}",
    tag: str | None = TAG,
    status: int = 206,
    more: Mapping[str, str] | None = None,
    length: bool = True,
) -> bytes:
    """The reply to a request for `REST`; by default the right one."""
    told = {"Content-Range": range_, "ETag": tag} | dict(more or {})
    return reply(status, body, {name: value for name, value in told.items() if value is not None}, length=length)


def chunked(body: bytes, *, end: bool = True) -> bytes:
    """A body in one chunk."""
    return b"%x\r\n%s\r\n%s" % (len(body), body, b"0\r\n\r\n" if end else b"")


IN_CHUNKS = {"Transfer-Encoding": "chunked"}


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of less than a second."""
    monkeypatch.setattr(signed_urls, "IDLE_SECONDS", SHORT_SECONDS)
    monkeypatch.setattr("learnosity.network.CONNECT_SECONDS", SHORT_SECONDS)


@asynccontextmanager
async def _transfer(served: HandMade, **config: Any) -> AsyncIterator[SignedTransfer]:
    """A client of a server, in bounded time."""
    settings = ApiConfig(Credentials("key", "secret"), base_url=served.url, trust_env=False)
    async with asyncio.timeout(BOUND_SECONDS), SignedTransfer(dataclasses.replace(settings, **config)) as transfer:
        yield transfer


async def read(served: HandMade, rest: Rest | None = None, *, limit: int = TOTAL, **config: Any) -> bytes:
    """One whole download, in bounded time."""
    async with _transfer(served, **config) as transfer, transfer.get(f"{served.url}/out/a.json?{QUERY}", rest) as found:
        return bytes(await found.read(limit))


async def fails(served: HandMade, rest: Rest | None = None, *, limit: int = TOTAL, **config: Any) -> LearnosityError:
    """The error of one download, which tells nothing secret."""
    with pytest.raises(LearnosityError) as caught:
        await read(served, rest, limit=limit, **config)
    assert "secret-of-the-url" not in str(caught.value)
    assert "signature-of-somebody" not in str(caught.value)
    assert "<" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(part(), id="with its length"),
        pytest.param(part(chunked(BODY[START:]), more=IN_CHUNKS, length=False), id="in chunks"),
        pytest.param(part(range_=f"bytes {START}-{TOTAL - 1}/{TOTAL} "), id="with a space after the range"),
    ],
)
async def test_the_rest_of_the_same_file_is_taken(answer: bytes) -> None:
    async with hand_made(answers(answer)) as served:
        assert await read(served, REST) == BODY[START:]
    assert served.asked[0].headers["range"] == f"bytes={START}-"
    assert served.asked[0].headers["if-range"] == TAG


HUGE = "9" * 5_000
LIES = [
    pytest.param(part(BODY, status=200, range_=None), id="200 and the whole file"),
    pytest.param(part(b"", status=204, range_=None), id="204"),
    pytest.param(part(BODY[START - 1 :], range_=f"bytes {START - 1}-{TOTAL - 1}/{TOTAL}"), id="begins a byte early"),
    pytest.param(part(BODY[START + 1 :], range_=f"bytes {START + 1}-{TOTAL - 1}/{TOTAL}"), id="begins a byte late"),
    pytest.param(part(BODY, range_=f"bytes 0-{TOTAL - 1}/{TOTAL}"), id="begins with the file"),
    pytest.param(part(BODY[START:-1], range_=f"bytes {START}-{TOTAL - 2}/{TOTAL}"), id="ends a byte early"),
    pytest.param(part(BODY[START:] + b"x", range_=f"bytes {START}-{TOTAL}/{TOTAL}"), id="ends behind the file"),
    pytest.param(part(range_=f"bytes {START}-{TOTAL - 1}/{TOTAL + 1}"), id="of a longer file"),
    pytest.param(part(range_=f"bytes {START}-{TOTAL - 1}/{TOTAL - 1}"), id="of a shorter file"),
    pytest.param(part(range_=f"bytes {START}-{TOTAL - 1}/*"), id="of a file of unknown length"),
    pytest.param(part(range_=f"bytes */{TOTAL}"), id="no bytes at all"),
    pytest.param(part(range_=None), id="no range"),
    pytest.param(part(range_=""), id="an empty range"),
    pytest.param(part(range_=f"bytes={START}-{TOTAL - 1}/{TOTAL}"), id="a range as in a request"),
    pytest.param(part(range_=f"lines {START}-{TOTAL - 1}/{TOTAL}"), id="a range of something else"),
    pytest.param(part(range_=f"bytes -{START}-{TOTAL - 1}/{TOTAL}"), id="a negative range"),
    pytest.param(part(range_=f"bytes {START}-{TOTAL - 1}/{TOTAL}, bytes 0-1/2"), id="two ranges"),
    pytest.param(
        part(
            b"--b\r\nContent-Range: bytes 100-10239/10240\r\n\r\n" + BODY[START:] + b"\r\n--b--\r\n",
            range_=None,
            more={"Content-Type": "multipart/byteranges; boundary=b"},
        ),
        id="in several parts",
    ),
    pytest.param(
        part(more={"Content-Type": "multipart/byteranges; boundary=b"}, range_=f"bytes {START}-{TOTAL - 1}/*"),
        id="in several parts, with a range",
    ),
    pytest.param(part(BODY[START:-1]), id="fewer bytes than the range"),
    pytest.param(part(BODY[START:] + b"x"), id="more bytes than the range"),
    pytest.param(part(tag='"other"'), id="of another version"),
    pytest.param(part(tag='W/"tag"'), id="of a weak version"),
    pytest.param(part(tag="tag"), id="of a version without quotes"),
    pytest.param(part(tag=None), id="of a version that is not named"),
    pytest.param(part(tag=""), id="of a version without a name"),
]


@pytest.mark.parametrize("answer", LIES)
@pytest.mark.promise("whole or nothing")
async def test_what_is_not_the_rest_of_the_same_file_begins_it_again(answer: bytes) -> None:
    async with hand_made(answers(answer)) as served:
        error = await fails(served, REST)
    assert type(error) is ChangedFileError
    assert error.transient


@pytest.mark.parametrize("place", ["first", "last", "total"])
async def test_a_range_of_absurd_numbers_is_no_rest(place: str) -> None:
    numbers = {"first": str(START), "last": str(TOTAL - 1), "total": str(TOTAL)} | {place: HUGE}
    answer = part(range_="bytes {first}-{last}/{total}".format(**numbers))
    async with hand_made(answers(answer)) as served:
        assert type(await fails(served, REST)) is ChangedFileError


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(part(), id="206 and a part"),
        pytest.param(part(BODY, range_=f"bytes 0-{TOTAL - 1}/{TOTAL}"), id="206 and the whole file"),
        pytest.param(part(BODY, range_=None), id="206 and no range"),
        pytest.param(reply(204), id="204"),
        pytest.param(reply(202, BODY), id="202"),
        pytest.param(reply(203, BODY), id="203"),
        pytest.param(reply(205), id="205"),
        pytest.param(reply(226, BODY), id="226"),
    ],
)
async def test_only_200_begins_a_file(answer: bytes) -> None:
    async with hand_made(answers(answer)) as served:
        error = await fails(served)
    assert type(error) is TransferError
    assert "in answer to a request for the whole file" in str(error)


ONLY_A_PART = [
    f"bytes 0-99/{TOTAL}",
    f"bytes 0-{TOTAL - 2}/{TOTAL}",
    f"bytes 1-{TOTAL - 1}/{TOTAL}",
    f"bytes 0-{TOTAL - 1}/{TOTAL + 1}",
    f"bytes 0-{TOTAL}/{TOTAL + 1}",
    f"bytes 0-{TOTAL - 1}/*",
    f"bytes */{TOTAL}",
    f"bytes 0-{TOTAL - 1}/{HUGE}",
    "lines 0-9/10",
    "yes",
]


@pytest.mark.parametrize("told", ONLY_A_PART)
@pytest.mark.promise("whole or nothing")
async def test_200_with_the_range_of_a_part_begins_no_file(told: str) -> None:
    async with hand_made(answers(reply(200, BODY, {"Content-Range": told}))) as served:
        error = await fails(served)
    assert type(error) is TransferError
    assert "does not say that the whole file comes" in str(error)


@pytest.mark.parametrize("told", [f"bytes 0-{TOTAL - 1}/{TOTAL}", ""])
async def test_200_with_the_range_of_the_whole_file_or_none_begins_it(told: str) -> None:
    for answer in (
        reply(200, BODY, {"Content-Range": told}),
        reply(200, chunked(BODY), IN_CHUNKS | {"Content-Range": told}, length=False),
    ):
        async with hand_made(answers(answer)) as served:
            assert await read(served) == BODY


@pytest.mark.parametrize("told", [f"bytes 0-{TOTAL * 9 - 1}/{TOTAL * 9}", "bytes 0-0/1"])
async def test_the_range_of_a_body_that_is_compressed_on_the_way_counts_other_bytes(told: str) -> None:
    packed = {"Content-Encoding": "gzip", "Content-Range": told}
    for answer in (reply(200, BODY, packed), reply(200, chunked(BODY), IN_CHUNKS | packed, length=False)):
        async with hand_made(answers(answer)) as served:
            assert await read(served) == BODY


async def test_the_range_of_an_empty_file_begins_it() -> None:
    async with hand_made(answers(reply(200, b"", {"Content-Range": "bytes */0"}))) as served:
        assert await read(served) == b""


ENDS = [
    pytest.param(reply(200, BODY), False, id="a length"),
    pytest.param(reply(200, BODY, {"Content-Length": f"{TOTAL}, {TOTAL}"}), False, id="a length that is told twice"),
    pytest.param(reply(200, chunked(BODY), IN_CHUNKS, length=False), False, id="chunks"),
    pytest.param(reply(200, chunked(BODY), {"Transfer-Encoding": "Chunked"}, length=False), False, id="Chunked"),
    pytest.param(reply(200, BODY, length=False), True, id="nothing"),
    pytest.param(reply(200, BODY, {"Connection": "close"}, length=False), True, id="the connection"),
    pytest.param(reply(200, BODY, {"Transfer-Encoding": "identity"}, length=False), True, id="no chunks"),
    pytest.param(reply(200, BODY, length=False).replace(b"HTTP/1.1", b"HTTP/1.0"), True, id="nothing in HTTP/1.0"),
]


@pytest.mark.parametrize(("answer", "until_close"), ENDS)
async def test_it_is_known_whether_only_the_end_of_the_connection_ends_a_body(answer: bytes, until_close: bool) -> None:
    async def ends(asked: Exchange) -> None:
        await asked.give(answer)
        asked.end()

    async with (
        hand_made(ends) as served,
        _transfer(served) as transfer,
        transfer.get(f"{served.url}/out/a.json?{QUERY}") as found,
    ):
        assert found.until_close == until_close
        assert bytes(await found.read(TOTAL)) == BODY


async def test_a_body_that_ends_before_its_length_is_no_file() -> None:
    async def breaks_off(asked: Exchange) -> None:
        await asked.give(reply(200, BODY)[:-1])
        asked.end()

    async with hand_made(breaks_off) as served:
        assert type(await fails(served)) is TransferError


async def test_a_chunked_body_that_breaks_off_is_no_file() -> None:
    async def breaks_off(asked: Exchange) -> None:
        await asked.give(reply(200, chunked(BODY, end=False), IN_CHUNKS, length=False))
        asked.end()

    async with hand_made(breaks_off) as served:
        assert type(await fails(served)) is TransferError


@pytest.mark.parametrize("kind", ["with its length", "in chunks", "until the connection ends"])
@pytest.mark.promise("bounded memory")
async def test_a_body_longer_than_expected_is_hardly_read(kind: str) -> None:
    endless = 1 << 30
    heads = {
        "with its length": reply(200, headers={"Content-Length": str(endless)}),
        "in chunks": reply(200, headers=IN_CHUNKS, length=False),
        "until the connection ends": reply(200, headers={"Connection": "close"}, length=False),
    }
    piece = bytes(SOCKET_BYTES)

    async def goes_on(asked: Exchange) -> None:
        await asked.give(heads[kind])
        while asked.given < endless:
            await asked.give(chunked(piece, end=False) if kind == "in chunks" else piece)

    async with hand_made(goes_on) as served:
        assert 10 < len(await read(served, limit=10)) < BUFFERED_BYTES
    assert served.given < BUFFERED_BYTES + SOCKETS_HOLD


@pytest.mark.promise("bounded memory")
async def test_a_refusal_without_an_end_is_not_read_to_its_end() -> None:
    async def goes_on(asked: Exchange) -> None:
        await asked.give(reply(400, headers=IN_CHUNKS, length=False))
        while asked.given < 1 << 30:
            await asked.give(chunked(xml("KMS.DisabledException"), end=False))

    async with hand_made(goes_on) as served:
        error = await fails(served)
    assert type(error) is PermanentApiError
    assert "KMS.DisabledException" in str(error)
    assert served.given < BUFFERED_BYTES + SOCKETS_HOLD


async def test_the_code_of_a_refusal_that_arrives_in_pieces_is_read() -> None:
    whole = reply(400, xml("ExpiredToken"))
    middle = whole.index(b"<Error>")

    async def refuses(asked: Exchange) -> None:
        await asked.give(whole[:middle])
        await asyncio.sleep(0.3)
        await asked.give(whole[middle:])

    async with hand_made(refuses) as served:
        assert type(await fails(served)) is UrlExpiredError


async def _never_answers(asked: Exchange) -> None:
    await asyncio.Event().wait()


async def _sends_half_a_head(asked: Exchange) -> None:
    await asked.give(reply(200, BODY)[:20])
    await asyncio.Event().wait()


async def _sends_a_head(asked: Exchange) -> None:
    await asked.give(reply(200, BODY)[:-TOTAL])
    await asyncio.Event().wait()


async def _sends_half_a_body(asked: Exchange) -> None:
    await asked.give(reply(200, BODY)[: -TOTAL // 2])
    await asyncio.Event().wait()


async def _refuses_by_half(asked: Exchange) -> None:
    await asked.give(reply(503, xml("SlowDown"))[:-20])
    await asyncio.Event().wait()


async def _resets(asked: Exchange) -> None:
    await asked.give(reply(200, BODY)[: -TOTAL // 2])
    asked.reset()


async def _is_no_http(asked: Exchange) -> None:
    await asked.give(b"220 mail.example ESMTP\r\n")
    await asyncio.Event().wait()


@pytest.mark.usefixtures("short_limits")
@pytest.mark.parametrize(
    "behaviour",
    [
        _never_answers,
        _sends_half_a_head,
        _sends_a_head,
        _sends_half_a_body,
        _refuses_by_half,
        _resets,
        _is_no_http,
    ],
)
async def test_no_server_can_hold_a_download_for_ever(behaviour: Behaviour) -> None:
    async with hand_made(behaviour) as served:
        error = await fails(served)
    assert type(error) is TransferError
    assert "GET http" in str(error)


@pytest.mark.usefixtures("short_limits")
async def test_a_server_that_never_ends_the_handshake_of_tls_is_given_up() -> None:
    async with hand_made(_never_answers) as served:
        served.url = served.url.replace("http:", "https:")
        assert type(await fails(served)) is TransferError
        assert not served.asked


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A server certificate that nobody trusts."""
    files = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


async def test_a_certificate_that_is_not_trusted_is_not_talked_to(tls: ssl.SSLContext) -> None:
    async with hand_made(answers(reply(200, BODY)), tls=tls) as served:
        await fails(served)
        assert not served.asked
        assert await read(served, verify=False) == BODY


async def test_a_certificate_that_is_not_trusted_is_for_a_person_to_mend(tls: ssl.SSLContext) -> None:
    async with hand_made(answers(reply(200, BODY)), tls=tls) as served:
        error = await fails(served)
    assert not error.transient
    assert "certificate could not be verified" in str(error)


class Large:
    """A large file that is read from a server in pieces."""

    def __init__(self, size: int | None = TOTAL) -> None:
        self.size = size
        self.renewed: list[str] = []
        self.stream: LargeFile | None = None

    async def read(self, served: HandMade) -> bytes:
        """The bytes of it."""
        url = f"{served.url}/out/large.csv?{QUERY}"

        async def renew(old: str) -> str:
            self.renewed.append(old)
            return f"{url}&again={len(self.renewed)}"

        async with _transfer(served) as transfer, transfer.get(url) as download:
            stream = self.stream = self._stream(transfer, url, download, renew)
            return b"".join([bytes(piece) async for piece in stream.pieces()])

    def _stream(self, transfer: SignedTransfer, url: str, download: Download, renew: Any) -> LargeFile:
        size = download.total if download.total is not None else self.size
        opened = Offered(ResultFile("large.csv", bytes=size), url, download, size)
        return LargeFile(transfer, opened, renew=renew, flowed=lambda _: None)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Large files in pieces of a kilobyte, and no waiting between attempts."""
    monkeypatch.setattr(large_files, "PIECE_BYTES", 1024)
    monkeypatch.setattr(large_files, "READ_AHEAD_BYTES", 1024)
    monkeypatch.setattr(signed_urls, "READ_AHEAD_BYTES", 1024)
    return no_waiting(monkeypatch)


Then = Callable[[int], bytes]


def cut_then(*then: Then, tag: str = TAG, encoding: str = "") -> Behaviour:
    """The file is cut off in its middle. What is asked for afterwards gets the other replies.

    :param then: makes each reply from the byte at which it should begin; the last one also makes all later ones.
    """
    left = list(then)

    async def behaviour(asked: Exchange) -> None:
        if "range" in asked.headers:
            await asked.give((left.pop(0) if len(left) > 1 else left[0])(asked_from(asked)))
        else:
            headers = {"ETag": tag} | ({"Content-Encoding": encoding} if encoding else {})
            await asked.give(reply(200, BODY, headers)[: TOTAL // 2 - TOTAL])
            asked.end()

    return behaviour


def asked_from(asked: Exchange) -> int:
    """The byte from which a request wants the file."""
    return int(asked.headers["range"].removeprefix("bytes=").rstrip("-"))


def rest_from(start: int) -> bytes:
    """The right reply to that."""
    return part(BODY[start:], range_=f"bytes {start}-{TOTAL - 1}/{TOTAL}")


def always(answer: bytes) -> Then:
    """The same reply wherever it should begin."""
    return lambda _: answer


@pytest.mark.usefixtures("small_pieces")
class TestLargeFiles:
    @pytest.mark.promise("whole or nothing")
    async def test_a_file_without_a_length_that_the_end_of_the_connection_ends_is_no_file(self) -> None:
        async def ends(asked: Exchange) -> None:
            await asked.give(reply(200, BODY, {"ETag": TAG}, length=False))
            asked.end()

        async with hand_made(ends) as served:
            with pytest.raises(ChangedFileError, match="does not say how long the file is"):
                await Large(size=None).read(served)
            assert await Large().read(served) == BODY

    async def test_a_file_goes_on_where_it_was_cut_off(self) -> None:
        async with hand_made(cut_then(rest_from)) as served:
            large = Large()
            assert await large.read(served) == BODY
        assert 0 < asked_from(served.asked[1]) <= TOTAL // 2
        assert large.stream is not None
        assert (large.stream.received, len(served.asked)) == (TOTAL, 2)
        assert large.stream.sha256 == hashlib.sha256(BODY).hexdigest()

    @pytest.mark.parametrize(
        "refused",
        [
            reply(403, xml("AccessDenied", "Request has expired")),
            reply(400, xml("ExpiredToken", "The provided token has expired.")),
            reply(400, b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>ExpiredToken</Code></Error>"),
        ],
        ids=["S3", "a token", "Google"],
    )
    async def test_a_url_that_has_run_out_in_mid_stream_is_replaced_and_the_file_goes_on_at_its_byte(
        self, refused: bytes
    ) -> None:
        async with hand_made(cut_then(always(refused), rest_from)) as served:
            large = Large()
            assert await large.read(served) == BODY
        assert len(large.renewed) == 1
        first, second = served.asked[1:]
        assert asked_from(first) == asked_from(second) > 0
        assert second.target.endswith("&again=1")
        assert second.headers["if-range"] == TAG

    @pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity"])
    async def test_a_rest_that_is_compressed_in_another_way_is_not_joined(self, encoding: str) -> None:
        """Some servers give the same entity tag to a file and to what they compress it to."""

        def packed(start: int) -> bytes:
            range_ = f"bytes {start}-{TOTAL - 1}/{TOTAL}"
            return part(BODY[start:], range_=range_, more={"Content-Encoding": encoding})

        async with hand_made(cut_then(packed)) as served:
            with pytest.raises(ChangedFileError, match="compressed in another way"):
                await Large().read(served)
        async with hand_made(cut_then(packed, encoding=encoding)) as served:
            assert await Large().read(served) == BODY

    @pytest.mark.parametrize("encoding", ["gzip", "identity"])
    async def test_a_rest_need_not_repeat_how_it_is_compressed(self, encoding: str) -> None:
        # RFC 9110, 15.3.7: the reply to a request with `If-Range` leaves out what the first reply has said.
        async with hand_made(cut_then(rest_from, encoding=encoding)) as served:
            assert await Large().read(served) == BODY

    async def test_urls_that_have_always_run_out_come_to_an_end(self) -> None:
        async with hand_made(cut_then(always(reply(403, xml("AccessDenied"))))) as served:
            with pytest.raises(TransferError, match=rf"was cut off at byte \d+ of {TOTAL}"):
                await Large().read(served)
        assert len(served.asked) <= 1 + large_files.MAX_ATTEMPTS

    @pytest.mark.parametrize("tag", ['W/"tag"', ""])
    async def test_a_file_without_a_strong_tag_is_not_continued(self, tag: str) -> None:
        async with hand_made(cut_then(rest_from, tag=tag)) as served:
            with pytest.raises(TransferError):
                await Large().read(served)
        assert len(served.asked) == 1

    async def test_a_rest_that_passes_its_end_is_refused(self) -> None:
        def longer(start: int) -> bytes:
            body = chunked(BODY[start:] + b"more than was said")
            return part(body, range_=f"bytes {start}-{TOTAL - 1}/{TOTAL}", more=IN_CHUNKS, length=False)

        async with hand_made(cut_then(longer)) as served:
            with pytest.raises(ChangedFileError, match=f"more than the {TOTAL} bytes"):
                await Large().read(served)

    async def test_a_rest_that_breaks_off_too_is_continued(self) -> None:
        async def behaviour(asked: Exchange) -> None:
            start = asked_from(asked) if "range" in asked.headers else 0
            whole = rest_from(start) if start else reply(200, BODY, {"ETag": TAG})
            stop = min(start + 2048, TOTAL)
            await asked.give(whole[: stop - TOTAL] if stop < TOTAL else whole)
            asked.end()

        async with hand_made(behaviour) as served:
            assert await Large().read(served) == BODY
        starts = [asked_from(asked) for asked in served.asked[1:]]
        assert starts == sorted(starts)

    async def test_a_file_that_is_longer_than_listed_is_refused_and_its_rest_is_not_asked_for(self) -> None:
        listed = 9 * 1024 + 512

        async def behaviour(asked: Exchange) -> None:
            if "range" not in asked.headers:
                await asked.give(reply(200, chunked(BODY), IN_CHUNKS | {"ETag": TAG}, length=False))
            else:
                start = asked_from(asked)
                await asked.give(part(BODY[start:listed], range_=f"bytes {start}-{listed - 1}/{listed}"))

        async with hand_made(behaviour) as served:
            with pytest.raises(ChangedFileError):
                await Large(size=listed).read(served)
        assert len(served.asked) == 1

    @pytest.mark.promise("bounded memory")
    async def test_a_file_that_goes_on_behind_its_listed_end_is_hardly_read(self) -> None:
        piece = chunked(bytes(SOCKET_BYTES), end=False)

        async def goes_on(asked: Exchange) -> None:
            if "range" in asked.headers:
                await asked.give(reply(200, BODY))
                return
            await asked.give(reply(200, headers=IN_CHUNKS | {"ETag": TAG}, length=False))
            while asked.given < 1 << 30:
                await asked.give(piece)

        async with hand_made(goes_on) as served:
            with pytest.raises(TransferError):
                await Large().read(served)
        assert served.given < BUFFERED_BYTES + SOCKETS_HOLD

    async def test_a_file_of_unknown_length_that_is_cut_off_is_refused(self) -> None:
        async def behaviour(asked: Exchange) -> None:
            await asked.give(reply(200, chunked(BODY, end=False), IN_CHUNKS | {"ETag": TAG}, length=False))
            asked.end()

        async with hand_made(behaviour) as served:
            with pytest.raises(TransferError):
                await Large(size=None).read(served)
        assert len(served.asked) == 1

    @pytest.mark.parametrize("more", [True, False])
    async def test_a_file_that_ends_before_its_listed_end_is_continued_or_refused(self, more: bool) -> None:
        async def behaviour(asked: Exchange) -> None:
            if "range" not in asked.headers:
                half = chunked(BODY[: TOTAL // 2])
                await asked.give(reply(200, half, IN_CHUNKS | {"ETag": TAG}, length=False))
            else:
                await asked.give(rest_from(asked_from(asked)) if more else reply(416, xml("InvalidRange")))

        async with hand_made(behaviour) as served:
            if more:
                assert await Large().read(served) == BODY
            else:
                with pytest.raises(LearnosityError):
                    await Large().read(served)
        assert len(served.asked) == 2
