"""Uploads and downloads by signed URL."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator

import pytest

from .conftest import USERS, Client, Start


async def test_an_upload_answers_with_the_hash_of_what_was_stored(client: Client) -> None:
    named, (url,) = await client.initialised()
    assert (await client.put(url, USERS, Expect="100-continue"))[0] == 200
    assert client.sim.stats.puts == {f"{named['dataset_id']}/0": 1}
    assert client.sim.stats.put_bytes == {f"{named['dataset_id']}/0": len(USERS)}


async def test_upload_urls_have_the_documented_form(client: Client) -> None:
    named, urls = await client.initialised()
    path, _, query = urls[0].partition("?")
    expected = f"reports/0001/{named['dataset_type']}/{named['dataset_id']}/infiles/0.ndjson"
    assert path == f"{client.sim.url}/s3/learnosity-reportdatasets-sim/{expected}"
    assert [part.partition("=")[0] for part in query.split("&")] == ["AWSAccessKeyId", "Expires", "Signature"]


async def test_another_content_type_does_not_match_the_signature(client: Client) -> None:
    _, (url,) = await client.initialised()
    status, text = await client.put(url, USERS, Content_Type="application/x-ndjson")
    assert status == 403
    assert "<Code>SignatureDoesNotMatch</Code>" in text


@pytest.mark.parametrize(
    "change", [("infiles/0", "infiles/1"), ("Expires=", "Expires=9"), ("Signature=", "Signature=A")]
)
async def test_a_url_that_was_changed_is_refused(client: Client, change: tuple[str, str]) -> None:
    _, (url,) = await client.initialised()
    status, text = await client.put(url.replace(*change), USERS)
    assert status == 403
    assert "SignatureDoesNotMatch" in text


async def test_a_bucket_path_without_a_signature_is_refused(client: Client) -> None:
    _, (url,) = await client.initialised()
    assert "AccessDenied" in (await client.put(url.partition("?")[0], USERS))[1]


async def test_an_upload_url_expires(start: Start) -> None:
    client = await start(upload_url_seconds=-1.0)
    _, (url,) = await client.initialised()
    status, text = await client.put(url, USERS)
    assert status == 403
    assert "Request has expired" in text


async def test_a_body_of_unknown_length_is_refused(client: Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield USERS

    _, (url,) = await client.initialised()
    assert (await client.put(url, pieces()))[0] == 411


async def test_credentials_on_an_upload_are_counted_as_a_leak(client: Client) -> None:
    _, (url,) = await client.initialised()
    assert (await client.put(url, USERS, X_Learnosity_Consumer="k"))[0] == 200
    assert (await client.put(url, USERS, Authorization="Bearer k"))[0] == 400
    assert client.sim.stats.leaks == {"X-Learnosity-Consumer": 1, "Authorization": 1}


async def test_a_second_upload_replaces_the_first(client: Client) -> None:
    named, (url,) = await client.initialised()
    await client.put(url, b"rubbish\n")
    await client.put(url, USERS)
    data = (await client.call("jobs/reports/datasets", "set", named)).data
    assert (await client.job(data["job_reference"]))["status"] == "completed"
    assert client.sim.stats.puts.total() == 2


async def test_a_compressed_upload_is_stored_as_it_is_and_halts_the_job(client: Client) -> None:
    named, (url,) = await client.initialised()
    await client.put(url, gzip.compress(USERS), Content_Encoding="gzip")
    data = (await client.call("jobs/reports/datasets", "set", named)).data
    assert (await client.job(data["job_reference"]))["status"] == "halted"


async def test_uploads_may_have_a_cap(start: Start) -> None:
    client = await start(max_upload_bytes=10)
    _, (url,) = await client.initialised()
    assert "EntityTooLarge" in (await client.put(url, b"x" * 11))[1]
    assert (await client.put(url, b"x" * 10))[0] == 200


async def first_file(client: Client) -> str:
    listing = (await client.call("reports/datasets", "get", await client.finished())).data
    return str(listing["files"][0]["url"])


async def test_a_download_can_be_resumed_from_any_byte(client: Client) -> None:
    url = await first_file(client)
    _, whole, headers = await client.get(url)
    assert headers["ETag"] == f'"{hashlib.md5(whole).hexdigest()}"'
    status, rest, part = await client.get(url, Range="bytes=10-")
    assert (status, rest, part["Content-Range"]) == (206, whole[10:], f"bytes 10-{len(whole) - 1}/{len(whole)}")
    assert (await client.get(url, Range="bytes=0-3"))[1] == whole[:4]
    assert (await client.get(url, Range="bytes=-5"))[1] == whole[-5:]
    assert (await client.get(url, Range=f"bytes={len(whole)}-"))[0] == 416


async def test_a_range_holds_only_for_the_version_named(client: Client) -> None:
    url = await first_file(client)
    assert (await client.get(url, **{"Range": "bytes=10-", "If-Range": '"other"'}))[0] == 200
    assert (await client.get(url, **{"If-Match": '"other"'}))[0] == 412


async def test_a_download_url_expires(start: Start) -> None:
    client = await start(result_url_seconds=-1.0)
    status, body, _ = await client.get(await first_file(client))
    assert status == 403
    assert b"Request has expired" in body


async def test_a_download_url_is_good_for_get_only(client: Client) -> None:
    url = await first_file(client)
    assert (await client.put(url, b"x"))[0] == 403
    async with client.http.head(url) as response:
        assert response.status == 403


async def test_an_upload_that_breaks_off_is_not_stored(client: Client) -> None:
    named, (url,) = await client.initialised()
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    _, writer = await asyncio.open_connection(name, int(port))
    head = f"PUT /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n"
    writer.write(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode() + b"half")
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    async def given_up() -> bool:
        return client.sim.stats.calls["put"] == 1 and client.sim.stats.in_flight == 0

    await client.until(given_up)
    assert (await client.call("jobs/reports/datasets", "set", named)).code == 50000
