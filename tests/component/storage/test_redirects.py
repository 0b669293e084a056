"""A store that sends requests to another host: nothing goes there, and nothing that is there counts as the store's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from learnosity.connections import open_store
from learnosity.errors import LearnosityError
from learnosity.storage.store import Store
from tests.component.api.hand_made import CONTINUE, Exchange, hand_made, reply
from tests.component.storage.test_odd_success import CLOUDS, GIVEN, HTML, define, listed

# Headers of a login page that also has all headers of a store's reply. So the headers do not give it away.
PAGE = {**GIVEN, "Content-Type": "text/html"}


async def _chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 2**20):
        yield b"x" * 2**20


CALLS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "put": lambda store: store.put("f", b"x"),
    "replace": lambda store: store.replace("latest.json", b"{}", None),
    "stream": lambda store: store.put_stream("f", _chunks(2**20), 2**20),
    "stream in parts": lambda store: store.put_stream("f", _chunks(12 * 2**20), None),
    "get": lambda store: store.get("f"),
    "head": lambda store: store.head("f"),
    "list": listed,
    "delete": lambda store: store.delete(["f"]),
}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", CALLS)
async def test_a_redirect_to_another_host_is_an_error_and_is_not_followed(
    cloud: str, status: int, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def login_page(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(200, HTML, PAGE))

    async with hand_made(login_page, host="127.0.0.2") as other:

        async def sends_away(asked: Exchange) -> None:
            if "expect" in asked.headers:
                await asked.give(CONTINUE)
            await asked.take()
            await asked.give(reply(status, b"", {"Location": f"{other.url}/login"}))

        async with hand_made(sends_away) as server:
            define(monkeypatch, cloud, server.url)
            store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
            with pytest.raises(LearnosityError) as caught:
                await CALLS[call](store)
            assert server.asked
        assert not other.asked
    if status != 307:  # S3 sends 307 only for some time, so its error may be transient
        assert "another address" in str(caught.value) or "another region" in str(caught.value), caught.value
        assert not caught.value.transient


@pytest.mark.parametrize("status", [301, 307])
async def test_a_write_through_boto3_that_is_sent_from_place_to_place_says_so(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def circles(asked: Exchange) -> None:
        if "expect" in asked.headers:
            await asked.give(CONTINUE)
        await asked.take()
        await asked.give(reply(status, b"", {"Location": f"http://{asked.headers['host']}/bucket/p/f"}))

    async with hand_made(circles) as server:
        define(
            monkeypatch,
            "s3",
            server.url,
            service_config={"s3": {"extra_args": {"ACL": "private"}}},
            config_kwargs={"retries": {"max_attempts": 0}},
        )
        store = await asyncio.to_thread(open_store, "s3://odd@bucket/p")
        with pytest.raises(LearnosityError, match="Could not write s3://bucket/p/f: .*(region|address)"):
            await store.put("f", b"x")
