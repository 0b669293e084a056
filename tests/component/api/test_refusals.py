"""What a storage server answers to a signed URL: each code as the right error, told once and in one clear text."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from typing import BinaryIO

import pytest

from devstack.ports import LOOPBACK
from learnosity.api.config import ApiConfig, Credentials
from learnosity.api.signed_urls import SignedTransfer
from learnosity.errors import LearnosityError, PermanentApiError, TransferError, UrlExpiredError
from tests.component.api.hand_made import CONTINUE, Exchange, hand_made, reply, xml
from tests.storage_answers import KNOWN, UNKNOWN, Case

QUERY = "AWSAccessKeyId=AKIAOFSOMEBODY&Expires=1&Signature=secret-of-the-url"
BOUND_SECONDS = 20.0
SIZE = 1024 * 1024
KINDS = {"passes": TransferError, "new URL": UrlExpiredError, "person": PermanentApiError}


@pytest.fixture(scope="module")
def spool() -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file:
        file.truncate(SIZE)
        yield file


async def get(transfer: SignedTransfer, url: str, spool: BinaryIO) -> None:
    async with transfer.get(url):
        pytest.fail("a refusal was taken for a file")


async def put(transfer: SignedTransfer, url: str, spool: BinaryIO) -> None:
    await transfer.put(url, spool, 0, SIZE)


Call = Callable[[SignedTransfer, str, BinaryIO], Awaitable[None]]


async def error_of(call: Call, host: str, spool: BinaryIO) -> LearnosityError:
    """The error of one call, in bounded time."""
    config = ApiConfig(Credentials("key", "secret"), base_url=host, trust_env=False)
    async with asyncio.timeout(BOUND_SECONDS), SignedTransfer(config) as transfer:
        with pytest.raises(LearnosityError) as caught:
            await call(transfer, f"{host}/out/file.json?{QUERY}", spool)
    text = str(caught.value)
    assert text.startswith(f"{call.__name__.upper()} {host}/out/file.json?…: ")
    for secret in ("secret-of-the-url", "AKIAOFSOMEBODY", "of-somebody", "<", "\n"):
        assert secret not in text
    return caught.value


def refusing(case: Case, *, after_the_body: bool = False) -> Callable[[Exchange], Awaitable[None]]:
    """Refuses everything, before or after it has read the body."""

    async def behaviour(asked: Exchange) -> None:
        if after_the_body and asked.length:
            await asked.give(CONTINUE)
            await asked.take()
        more = {"Location": "https://elsewhere.example/"} if 300 <= case.status < 400 else {}
        body = xml(case.code, "See https://help.example/?token=hidden") if case.code else b""
        await asked.give(reply(case.status, body, {"Content-Type": "application/xml"} | more))

    return behaviour


@pytest.mark.parametrize("case", KNOWN + UNKNOWN, ids=str)
@pytest.mark.promise("no secret")
async def test_every_answer_is_the_right_error_of_downloads_and_uploads(spool: BinaryIO, case: Case) -> None:
    for call, after in ((get, False), (put, False), (put, True)):
        async with hand_made(refusing(case, after_the_body=after)) as served:
            error = await error_of(call, served.url, spool)
        assert type(error) is KINDS[case.signed], error
        if case.status >= 400:
            assert (f"HTTP {case.status}, {case.code}" if case.code else f"HTTP {case.status}") in str(error)
        if isinstance(error, TransferError):
            assert error.overload == case.overload
        assert len(served.asked) == 1, "nothing is sent again"


@pytest.mark.parametrize("call", [get, put])
async def test_a_port_on_which_nothing_listens_passes(call: Call, spool: BinaryIO, closed_port: int) -> None:
    error = await error_of(call, f"http://{LOOPBACK}:{closed_port}", spool)
    assert type(error) is TransferError
    assert "connection failed" in str(error)


@pytest.mark.parametrize("call", [get, put])
async def test_a_host_that_does_not_exist_passes(call: Call, spool: BinaryIO) -> None:
    """The next URL can have another host: it is Learnosity that names it."""
    error = await error_of(call, "https://no-such-host.invalid", spool)
    assert type(error) is TransferError
    assert "connection failed" in str(error)
