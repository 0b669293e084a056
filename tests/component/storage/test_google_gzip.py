"""Objects of GCS with `Content-Encoding: gzip`: read as they are stored, and no other request changes for it."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from learnosity.connections import open_store
from learnosity.errors import StorageError
from tests.component.api.hand_made import Exchange, hand_made, reply

CONTENT = b'{"user": 1}\n' * 1000
STORED = gzip.compress(CONTENT)
TOLD = {"Last-Modified": "Sat, 28 Nov 2026 12:00:00 GMT", "x-goog-generation": "1"}
CHUNKED = f"{len(CONTENT):x}\r\n".encode() + CONTENT + b"\r\n0\r\n\r\n"


def google(*, transcodes: bool, has_tag: bool) -> object:
    """GCS, as far as an object is read.

    :param transcodes: whether the object is gzip; otherwise it is served as it is, whatever is accepted.
    :param has_tag: whether a decompressed reply has an entity tag.
    """

    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        tag = {"ETag": '"e"'}
        if not transcodes:
            whole, body = reply(200, CONTENT, TOLD | tag), CONTENT
        elif "gzip" in asked.headers.get("accept-encoding", ""):
            whole, body = reply(200, STORED, TOLD | tag | {"Content-Encoding": "gzip"}), STORED
        else:
            more = TOLD | (tag if has_tag else {}) | {"Transfer-Encoding": "chunked"}
            whole, body = reply(200, CHUNKED, more, length=False), CHUNKED
        await asked.give(whole[: len(whole) - len(body)] if asked.method == "HEAD" else whole)

    return behaviour


@pytest.mark.parametrize("transcodes", [True, False])
@pytest.mark.parametrize("has_tag", [True, False])
async def test_an_object_with_the_encoding_gzip_is_read_as_it_is_stored(
    transcodes: bool, has_tag: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hand_made(google(transcodes=transcodes, has_tag=has_tag)) as served:  # type: ignore[arg-type]
        extra = {"is_anonymous": True, "endpoint_url": served.url, "quota_project_id": "payer"}
        connection = {"conn_type": "google_cloud_platform", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_GOOGLE", json.dumps(connection))
        store = await asyncio.to_thread(open_store, "gs://google@bucket/in")
        stored = STORED if transcodes else CONTENT
        assert await asyncio.to_thread(lambda: b"".join(store.read("users.json"))) == stored
        assert await store.get("users.json") == stored
        with pytest.raises(StorageError, match="at most 5"):
            await store.get("users.json", limit=5)
        found = await store.head("users.json")
        assert found is not None
        assert found.size == len(stored)
        asked = ["gzip" in each.headers.get("accept-encoding", "") for each in served.asked]
        assert asked == ([False, True] * 4 if transcodes else [False] * 4)


async def test_a_login_page_in_the_place_of_the_store_is_still_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async def behaviour(asked: Exchange) -> None:
        await asked.give(reply(200, b"0\r\n\r\n", {"Transfer-Encoding": "chunked"}, length=False))

    async with hand_made(behaviour) as served:
        extra = {"is_anonymous": True, "endpoint_url": served.url}
        monkeypatch.setenv("AIRFLOW_CONN_GOOGLE", json.dumps({"conn_type": "google_cloud_platform", "extra": extra}))
        store = await asyncio.to_thread(open_store, "gs://google@bucket/in")
        with pytest.raises(StorageError, match="not that of such a store"):
            await store.get("users.json")
