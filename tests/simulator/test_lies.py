"""Replies of the bucket that are not what was asked for, and uploads that it does not take."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
import pytest
from yarl import URL

from simulator import FaultRule, Simulator
from simulator.faults import Lie

from .conftest import FORM, USERS, Client, Start

START = 10


async def a_file(client: Client) -> tuple[str, bytes, str]:
    """URL, bytes and tag of a file."""
    listing = (await client.call("reports/datasets", "get", await client.finished())).data
    url = str(listing["files"][0]["url"])
    _, body, headers = await client.get(url)
    return url, body, headers["ETag"]


async def rest(client: Client, url: str, tag: str) -> tuple[int, bytes, Mapping[str, str]]:
    return await client.get(url, **{"Range": f"bytes={START}-", "If-Range": tag})


@pytest.mark.parametrize(
    ("lie", "says", "first", "stop"),
    [
        ("range_start", "bytes {next}-{last}/{total}", START + 1, None),
        ("range_end", "bytes {start}-{before}/{total}", START, -1),
        ("range_total", "bytes {start}-{last}/{more}", START, None),
        ("range_unknown", "bytes {start}-{last}/*", START, None),
        ("no_range", None, START, None),
    ],
)
async def test_a_range_can_be_another_one_than_was_asked_for(
    client: Client, lie: Lie, says: str | None, first: int, stop: int | None
) -> None:
    url, body, tag = await a_file(client)
    client.sim.faults.add(FaultRule(match="file", kind="lie", lie=lie))
    status, found, headers = await rest(client, url, tag)
    total = len(body)
    numbers = {
        "start": START,
        "next": START + 1,
        "last": total - 1,
        "before": total - 2,
        "total": total,
        "more": total + 1,
    }
    assert (status, found, headers["ETag"]) == (206, body[first:stop], tag)
    assert headers.get("Content-Range") == (None if says is None else says.format(**numbers))
    assert (await client.get(url))[:2] == (200, body), "there is no range to lie about"


async def test_a_range_can_come_in_several_parts(client: Client) -> None:
    url, body, tag = await a_file(client)
    client.sim.faults.add(FaultRule(match="file", kind="lie", lie="multipart"))
    status, found, headers = await rest(client, url, tag)
    assert status == 206
    assert headers["Content-Type"].startswith("multipart/byteranges; boundary=")
    assert "Content-Range" not in headers
    assert body[START:] in found
    assert found != body[START:]


async def test_a_range_can_be_answered_with_the_whole_file(client: Client) -> None:
    url, body, tag = await a_file(client)
    client.sim.faults.add(FaultRule(match="file", kind="lie", lie="whole"))
    status, found, headers = await rest(client, url, tag)
    assert (status, found, headers["ETag"]) == (200, body, tag)


async def test_a_plain_request_can_be_answered_with_a_part(client: Client) -> None:
    url, body, _ = await a_file(client)
    client.sim.faults.add(FaultRule(match="file", kind="lie", lie="part"))
    status, found, headers = await client.get(url)
    half = len(body) // 2
    assert (status, found) == (206, body[half:])
    assert headers["Content-Range"] == f"bytes {half}-{len(body) - 1}/{len(body)}"


async def test_a_file_can_be_answered_without_a_body(client: Client) -> None:
    url, _, _ = await a_file(client)
    client.sim.faults.add(FaultRule(match="file", kind="lie", lie="no_content"))
    assert (await client.get(url))[:2] == (204, b"")


async def test_a_body_can_be_longer_than_listed(client: Client) -> None:
    url, body, _ = await a_file(client)
    client.sim.faults.add(FaultRule(match="file", kind="lie", lie="longer"))
    _, found, headers = await client.get(url)
    assert found.startswith(body)
    assert int(headers["Content-Length"]) == len(found) == len(body) + 8


async def test_a_body_can_come_without_its_length(client: Client) -> None:
    url, body, _ = await a_file(client)
    client.sim.faults.add(FaultRule(match="file", kind="lie", lie="no_length"))
    _, found, headers = await client.get(url)
    assert found == body
    assert "Content-Length" not in headers


async def test_a_body_can_go_on_for_ever(client: Client) -> None:
    url, body, _ = await a_file(client)
    client.sim.faults.add(FaultRule(match="file", kind="lie", lie="endless"))
    async with client.http.get(url) as response:
        found = await response.content.readexactly(len(body) + 1_000_000)
    assert found.startswith(body)

    async def given_up() -> bool:
        return client.sim.stats.in_flight == 0

    await client.until(given_up)


@pytest.mark.parametrize("lie", ["other_tag", "weak_tag", "no_tag"])
async def test_the_tag_can_prove_nothing(client: Client, lie: Lie) -> None:
    url, body, tag = await a_file(client)
    client.sim.faults.add(FaultRule(match="file", kind="lie", lie=lie))
    for status, found, headers in (await client.get(url), await rest(client, url, tag)):
        assert found == (body if status == 200 else body[START:])
        assert headers.get("ETag") != tag
        assert ("ETag" in headers) == (lie != "no_tag")
        assert headers.get("ETag", "").startswith("W/") == (lie == "weak_tag")


async def test_a_refusal_is_no_reply_to_lie_about(start: Start) -> None:
    client = await start(result_url_seconds=-1.0)
    listing = (await client.call("reports/datasets", "get", await client.finished())).data
    client.sim.faults.add(FaultRule(match="file", kind="lie", lie="no_tag"))
    assert (await client.get(listing["files"][0]["url"]))[0] == 403


async def test_a_file_can_be_replaced_by_another_version_of_the_same_length(client: Client) -> None:
    url, body, tag = await a_file(client)
    client.sim.faults.add(FaultRule(match="file", kind="replaced", times=1))
    status, other, headers = await rest(client, url, tag)
    assert (status, len(other)) == (200, len(body)), "If-Range names the old version"
    assert other != body
    assert headers["ETag"] != tag
    assert (await client.get(url))[1] == other, "for good"


async def test_the_bucket_may_ignore_which_version_a_range_is_wanted_of(start: Start) -> None:
    client = await start(honour_if_range=False)
    url, body, tag = await a_file(client)
    client.sim.faults.add(FaultRule(match="file", kind="replaced", times=1))
    status, other, headers = await rest(client, url, tag)
    assert (status, len(other)) == (206, len(body) - START)
    assert other != body[START:]
    assert headers["ETag"] != tag


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_files_can_be_packed_in_the_bucket(start: Start, encoding: str) -> None:
    client = await start(content_encoding=encoding)
    named = await client.finished()
    for file in (await client.call("reports/datasets", "get", named)).data["files"]:
        async with client.http.get(URL(file["url"], encoded=True), auto_decompress=False) as response:
            assert response.headers["Content-Encoding"] == encoding
            assert len(await response.read()) == response.content_length == file["bytes"]
        _, unpacked, headers = await client.get(file["url"])
        assert len(unpacked) != file["bytes"]
        assert unpacked.endswith((b"\n", b"}\n"))
        async with client.http.get(
            URL(file["url"], encoded=True),
            auto_decompress=False,
            headers={"Range": "bytes=3-", "If-Range": headers["ETag"]},
        ) as response:
            assert response.headers["Content-Range"] == f"bytes 3-{file['bytes'] - 1}/{file['bytes']}"
    client.sim.configure(results_shape="inline")
    inline = (await client.call("reports/datasets", "get", named)).data
    assert inline["groups/group.json"].startswith("{"), "content in a reply is not packed"


@pytest.mark.parametrize("code", ["RequestTimeout", "ExpiredToken"])
async def test_the_bucket_can_refuse_with_each_of_its_codes(client: Client, code: str) -> None:
    url, _, _ = await a_file(client)
    client.sim.faults.add(FaultRule(match="*", kind="status", status=400, s3_code=code, times=2))
    status, body, _ = await client.get(url)
    assert (status, f"<Code>{code}</Code>".encode() in body) == (400, True)
    client.sim.faults.clear()
    _, (upload,) = await client.initialised()
    client.sim.faults.add(FaultRule(match="put", kind="status", status=400, s3_code=code, times=1))
    status, text = await client.put(upload, USERS)
    assert (status, f"<Code>{code}</Code>" in text) == (400, True)


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "lie"}, {"kind": "reset", "lie": "whole"}, {"kind": "lie", "lie": "white"}],
)
def test_a_lie_has_to_be_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"match": "file", **wrong}, FaultRule)


class Upload:
    """One upload over a connection of its own, so that each of its phases can be looked at."""

    def __init__(self, url: str, length: int) -> None:
        parts = URL(url, encoded=True)
        self._address = str(parts.host), parts.port
        self._head = (
            f"PUT {parts.raw_path_qs} HTTP/1.1\r\nHost: {parts.host}:{parts.port}\r\nContent-Length: {length}\r\n"
            f"Content-Type: {FORM}\r\nExpect: 100-continue\r\n\r\n"
        ).encode()

    async def begin(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send the head alone."""
        reader, writer = await asyncio.open_connection(*self._address)
        writer.write(self._head)
        return reader, writer


async def test_a_client_that_waits_for_it_gets_100_continue(client: Client) -> None:
    named, (url,) = await client.initialised()
    reader, writer = await Upload(url, len(USERS)).begin()
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(USERS)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    assert client.sim.stats.put_bytes == {f"{named['dataset_id']}/0": len(USERS)}
    writer.close()


async def test_the_100_continue_can_be_left_out(client: Client) -> None:
    named, (url,) = await client.initialised()
    client.sim.faults.add(FaultRule(match="put", kind="no_continue", times=1))
    reader, writer = await Upload(url, len(USERS)).begin()

    async def asked() -> bool:
        return client.sim.stats.calls["put"] == 1

    await client.until(asked)
    writer.write(USERS)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 "), "the first line is that of the end"
    assert client.sim.stats.put_bytes == {f"{named['dataset_id']}/0": len(USERS)}
    assert client.sim.stats.faults == {"no_continue put": 1}
    writer.close()


async def test_a_rule_counts_a_request_that_waits_for_100_continue_once(client: Client) -> None:
    _, (url,) = await client.initialised()
    client.sim.faults.add(FaultRule(match="put", kind="status", status=503, every=2))
    statuses = [(await client.put(url, USERS, Expect="100-continue"))[0] for _ in range(4)]
    assert statuses == [200, 503, 200, 503]


async def test_the_body_of_an_upload_can_be_left_in_the_middle(client: Client) -> None:
    named, (url,) = await client.initialised()
    client.sim.faults.add(FaultRule(match="put", kind="stalled_body", fraction=0.5, seconds=0.2))
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await client.put(url, bytes(8 << 20))
    assert not client.sim.stats.puts
    client.sim.faults.clear()
    assert (await client.put(url, USERS))[0] == 200
    assert client.sim.stats.puts == {f"{named['dataset_id']}/0": 1}


async def test_a_body_that_is_left_in_the_middle_does_not_keep_the_simulator_from_ending() -> None:
    async with asyncio.timeout(20), Simulator() as sim, aiohttp.ClientSession() as http:
        client = Client(sim, http)
        _, (url,) = await client.initialised()
        sim.faults.add(FaultRule(match="put", kind="stalled_body", fraction=0.0, seconds=3600.0))
        upload = asyncio.create_task(client.put(url, USERS))

        async def asked() -> bool:
            return sim.stats.calls["put"] == 1

        await client.until(asked)
        upload.cancel()
    await asyncio.wait([upload])
    assert sim.stats.in_flight == 0
