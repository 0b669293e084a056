"""Replies of success that are not those of a store: whatever is asked for comes whole, or is an error."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from hashlib import md5
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit
from xml.sax.saxutils import escape

import pytest

from learnosity import store_options
from learnosity.connections import open_store
from learnosity.errors import LearnosityError, StorageError, TransientStorageError, UnreadableNameError
from learnosity.storage.multipart import MIN_PART_BYTES
from learnosity.storage.s3_signing import S3Signer
from learnosity.storage.store import Store
from learnosity.storage.streamed_put import StreamedPut
from tests.component.api.hand_made import CONTINUE, Exchange, hand_made, reply, xml

GIVEN = {"ETag": '"e"', "Last-Modified": "Sat, 28 Nov 2026 12:00:00 GMT", "Content-Type": "application/xml"}
HTML = b"<!doctype html><html><head><title>Log in</title></head><body><p>Log in<br></body></html>"
XHTML = b"<?xml version='1.0'?>\n<html xmlns='http://www.w3.org/1999/xhtml'><body><p>Log in</p></body></html>"
CLOUDS = ("s3", "gs", "abfs")


def s3_page(*keys: str, token: str | None = None, truncated: str | None = "false", more: str = "") -> bytes:
    """A page as S3 and GCS have it."""
    objects = "".join(
        f"<Contents><Key>p/{key}</Key><LastModified>2026-11-28T12:00:00.000Z</LastModified>"
        f"<ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>"
        for key in keys
    )
    last = f"<IsTruncated>{truncated}</IsTruncated>" if truncated else ""
    following = f"<NextContinuationToken>{token}</NextContinuationToken>" if token is not None else ""
    return (
        "<?xml version='1.0' encoding='UTF-8'?>\n<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
        f"<Name>bucket</Name><Prefix>p/</Prefix>{last}{following}{objects}{more}</ListBucketResult>"
    ).encode()


def azure_page(*keys: str, token: str | None = "", more: str = "") -> bytes:
    """A page as Azure has it."""
    blobs = "".join(
        f"<Blob><Name>p/{key}</Name><Properties><Last-Modified>Sat, 28 Nov 2026 12:00:00 GMT</Last-Modified>"
        "<Etag>0x8</Etag><Content-Length>1</Content-Length></Properties></Blob>"
        for key in keys
    )
    following = f"<NextMarker>{token}</NextMarker>" if token is not None else ""
    return (
        "\ufeff<?xml version='1.0' encoding='utf-8'?><EnumerationResults ServiceEndpoint='http://x/' "
        f"ContainerName='bucket'><Prefix>p/</Prefix><Blobs>{blobs}{more}</Blobs>{following}</EnumerationResults>"
    ).encode()


def page(cloud: str, *keys: str, token: str = "") -> bytes:
    """A good page, the last one if it has no token."""
    if cloud == "abfs":
        return azure_page(*keys, token=token)
    return s3_page(*keys, token=token or None, truncated="true" if token else "false")


def define(monkeypatch: pytest.MonkeyPatch, cloud: str, url: str, **extra: Any) -> None:
    """The connection `odd` to a server. Nothing is repeated."""
    monkeypatch.setitem(store_options.RETRY, "max_retries", 0)
    parts: dict[str, Any] = {
        "s3": {"conn_type": "aws", "login": "A", "password": "secret", "extra": {"region_name": "us-east-1"}},
        "gs": {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True}},
        "abfs": {"conn_type": "wasb", "login": "account", "password": "a2V5", "extra": {}},
    }[cloud]
    parts["extra"] |= {"endpoint_url": f"{url}/account" if cloud == "abfs" else url, **extra}
    monkeypatch.setenv("AIRFLOW_CONN_ODD", json.dumps(parts))


async def listed(store: Store) -> list[str]:
    return [info.path async for batch in store.list("") for info in batch]


async def listed_keys(store: Store) -> list[str]:
    return [info.path async for batch in store.list_keys() for info in batch]


LISTINGS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "list": listed,
    "list_keys": listed_keys,
    "folders": lambda store: store.folders(""),
}


def odd_pages(cloud: str) -> Iterator[tuple[str, bytes, type[LearnosityError]]]:
    """Bodies that are no whole page, and the error that each of them is."""
    whole = page(cloud, "a", "b")
    yield "an error that passes", xml("InternalError"), TransientStorageError
    yield "an error that asks for less", xml("SlowDown"), TransientStorageError
    yield "an error for a person", xml("AccessDenied"), StorageError
    yield "an error that breaks off", xml("AccessDenied")[:60], TransientStorageError
    yield "an error without a code", b"<Error/>", TransientStorageError
    yield "a web page", HTML, StorageError
    yield "a web page in XML", XHTML, StorageError
    yield "a web page with a comment", b"<!-- proxy -->\n<HTML><body/></HTML>", StorageError
    yield "nothing", b"", TransientStorageError
    yield "blanks", b" \r\n", TransientStorageError
    yield "JSON", b'{"kind": "storage#objects"}', StorageError
    yield "a text", b"ok", StorageError
    yield "bytes", bytes(range(256)), StorageError
    yield "another root", b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>", StorageError
    yield "another cloud", s3_page("a") if cloud == "abfs" else azure_page("a"), StorageError
    yield "two pages", whole + whole, TransientStorageError
    yield "something after it", whole + b"<html>", TransientStorageError
    yield "bytes that are no UTF-8", whole.replace(b"p/b", b"p/\xff"), TransientStorageError
    yield "a key of another folder", whole.replace(b"p/b", b"q/b"), StorageError
    yield "a size that is none", whole.replace(b">1</", b">one</"), StorageError
    yield "no time", whole.replace(b"Last", b"First"), StorageError
    yield (
        "no key",
        whole.replace(b"Key>", b"Kez>")
        .replace(b"Name>p", b"Nam>p")
        .replace(b"b</Name", b"b</Nam")
        .replace(b"a</Name", b"a</Nam"),
        StorageError,
    )
    if cloud == "abfs":
        yield "no children", b"<EnumerationResults/>", StorageError
        yield "no blobs", whole.replace(b"Blobs>", b"Blocks>"), StorageError
    else:
        yield "a marker", s3_page("a", truncated=None, more="<NextMarker>p/a</NextMarker>"), StorageError
        yield "an odd IsTruncated", s3_page("a", truncated="perhaps"), StorageError
        yield "no token", s3_page("a", truncated="true"), StorageError
        yield "a blank token", s3_page("a", truncated="true", token=" "), StorageError
        marker = "<NextMarker>p/a</NextMarker>"
        yield "a listing of the first version", s3_page("a", truncated="true", more=marker), StorageError
    for cut in (4, 5, 30, 70, len(whole) // 2, len(whole) - 20, len(whole) - 1):
        yield f"the first {cut} bytes", whole[:cut], TransientStorageError


ODD_PAGES = [
    pytest.param(cloud, body, kind, id=f"{cloud}-{name}") for cloud in CLOUDS for name, body, kind in odd_pages(cloud)
]


@pytest.mark.parametrize(("cloud", "body", "kind"), ODD_PAGES)
@pytest.mark.parametrize("place", ["first", "second"])
async def test_a_page_that_is_not_whole_is_an_error(
    cloud: str, body: bytes, kind: type[LearnosityError], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behaviour(asked: Exchange) -> None:
        following = "continuation-token=t" in asked.target or "marker=t" in asked.target
        first = body if place == "first" else page(cloud, "a", "b", token="t")
        await asked.give(reply(200, body if following else first))

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        for name, listing in LISTINGS.items():
            with pytest.raises(LearnosityError, match=rf"Could not list {cloud}://bucket/p: .*\w") as caught:
                await listing(store)
            assert type(caught.value) is kind, (name, caught.value)
            assert "Log in" not in str(caught.value)


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_a_page_that_does_not_say_whether_it_is_the_last_one_is_judged_by_its_token(
    cloud: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some servers, and those of tests, reply."""

    async def behaviour(asked: Exchange) -> None:
        if cloud == "abfs":
            await asked.give(reply(200, azure_page("b", token=None)))
        elif "continuation-token=t" in asked.target:
            await asked.give(reply(200, s3_page("b", truncated=None)))
        else:
            await asked.give(reply(200, s3_page("a", truncated=None, token="t")))

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        assert await listed(store) == (["b"] if cloud == "abfs" else ["a", "b"])


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("cycle", [("t",), ("t", "u"), ("t", "u", "v", "u")], ids=str)
async def test_pages_that_come_again_are_an_error(
    cloud: str, cycle: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behaviour(asked: Exchange) -> None:
        await asked.give(reply(200, page(cloud, "a", token=cycle[len(served.asked) % len(cycle)])))

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        for listing in LISTINGS.values():
            served.asked.clear()
            with pytest.raises(StorageError, match="it is a page that came before"):
                await listing(store)
            assert len(served.asked) <= 4


TOKENS = [
    "p/a ",
    " p/a",
    "p/ a",
    "p/\na",
    "p/ a\t",
    "p/a\u00a0",
    "p/a%20",
    "p/a+b",
    "p/a\nb",
    "p/a\n",
    "p/a\x7f",
    "p/&<>",
]


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("token", TOKENS, ids=ascii)
async def test_a_token_is_sent_back_as_it_came(cloud: str, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of Ceph is the last key of the page, with all its blanks."""
    name = "marker" if cloud == "abfs" else "continuation-token"

    async def behaviour(asked: Exchange) -> None:
        sent = dict(parse_qsl(urlsplit(asked.target).query, keep_blank_values=True)).get(name)
        if sent is None:
            await asked.give(reply(200, page(cloud, escape(token[2:]), token=escape(token))))
        else:
            assert sent == token
            await asked.give(reply(200, page(cloud, "b")))

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        assert await listed_keys(store) == [token[2:], "b"]


def laid_out(text: str) -> Iterator[str]:
    for before, after in (("\n  ", "\n  "), ("", "\n"), ("\n", ""), ("\r\n\t", "\r\n"), (" \r\n ", " \n ")):
        yield before + text + after


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("token", [*laid_out("abc"), *laid_out("p/a b"), *laid_out("1!8!YQ--")], ids=ascii)
@pytest.mark.parametrize("line", ["", "\n", "\r\n"], ids=ascii)
async def test_line_breaks_around_a_token_are_those_of_the_page_where_no_name_has_them(
    cloud: str, token: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "marker" if cloud == "abfs" else "continuation-token"

    async def behaviour(asked: Exchange) -> None:
        sent = dict(parse_qsl(urlsplit(asked.target).query, keep_blank_values=True)).get(name)
        whole = page(cloud, "a b", token=token) if sent is None else page(cloud, "c")
        assert sent in (None, token.strip())
        await asked.give(reply(200, whole.replace(b"><", f">{line}<".encode())))

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        assert await listed_keys(store) == ["a b", "c"]


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("token", ["a\x01b", "a&#x1;b", "a\rb", "a\r\nb"], ids=ascii)
async def test_no_object_is_blamed_for_a_token_that_is_no_name(
    cloud: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behaviour(asked: Exchange) -> None:
        await asked.give(reply(200, page(cloud, "a", token=token)))

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        for listing in LISTINGS.values():
            with pytest.raises(StorageError, match="what asks for its next page has a control character") as caught:
                await listing(store)
            assert "Rename" not in str(caught.value)


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("token", ["p/a\x01", "p/a&#x1;b", "p/\ufffe", "p/a\rb", "p/a\r\nb"], ids=ascii)
async def test_a_token_that_cannot_be_read_is_an_error(cloud: str, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def behaviour(asked: Exchange) -> None:
        await asked.give(reply(200, page(cloud, token[2:], token=token if len(served.asked) == 1 else "")))

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        for listing in LISTINGS.values():
            served.asked.clear()
            with pytest.raises(UnreadableNameError, match="control character.* Rename or remove"):
                await listing(store)


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_a_page_in_which_the_token_is_only_a_line_end_is_the_last_one(
    cloud: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behaviour(asked: Exchange) -> None:
        last = azure_page("a", token="\r\n ") if cloud == "abfs" else s3_page("a", token="\r\n ", truncated=None)
        await asked.give(reply(200, last))

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        assert await listed_keys(store) == ["a"]


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_all_pages_of_a_listing_come(cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also names that XML cannot have in it, folder markers, and folders that come as if they were objects."""
    folder = "<CommonPrefixes><Prefix>p/folder/</Prefix></CommonPrefixes>"
    if cloud == "abfs":
        folder = "<BlobPrefix><Name>p/folder/</Name></BlobPrefix>"
        folder += "<Blob><Name>p/folder</Name><Properties><ResourceType>directory</ResourceType></Properties></Blob>"
        pages = {
            "": azure_page("a", "x//b", token="t&amp;/ +ü", more=folder),
            "marker=t%26%2F%20%2B%C3%BC": azure_page("c &amp; d", more=folder),
        }
    else:
        pages = {
            "": s3_page("a", "x//b", token="t&amp;/ +ü", truncated="true", more=folder),
            "continuation-token=t%26%2F%20%2B%C3%BC": s3_page("c &amp; d", "control&#x1;\x02", more=folder),
        }

    async def behaviour(asked: Exchange) -> None:
        named = [body for name, body in pages.items() if name and name in asked.target]
        body = named[0] if named else pages[""]
        await asked.give(reply(200, body.replace(b"x//b", b"b") if "delimiter=" in asked.target else body))

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        control = [] if cloud == "abfs" else ["control\x7f\x7f"]
        assert await listed_keys(store) == ["a", "x//b", "c & d", *control]
        assert await store.folders("") == ["folder", "folder"]
        with pytest.raises(StorageError, match="'x//b' is there, and its name holds an empty"):
            await listed(store)


# Replies to a listing of the folder `p/t/` with the delimiter `/`: the objects and the folders that they name, and
# whether they are valid. A valid reply names only what lies directly in the folder: `t/x` or `t/a/`, but not `t/a/x`.
LEVELS: dict[str, tuple[list[str], list[str], bool]] = {
    "nothing": ([], [], True),
    "a folder": ([], ["t/a/"], True),
    "a folder without its slash": ([], ["t/a"], True),
    "a folder without a name": ([], ["t//"], True),
    "files and a folder": (["t/x", "t/y.json"], ["t/a/"], True),
    "the marker of the folder": (["t/"], ["t/a/"], True),
    "a marker beside its folder": (["t/a/"], ["t/a/"], True),
    "the delimiter is ignored": (["t/a/manifest.json", "t/a/data/x"], [], False),
    "the delimiter is ignored, after a file": (["t/x", "t/a/manifest.json"], [], False),
    "a deeper marker": (["t/a/data/"], [], False),
    "an object without a folder's name": (["t//x"], [], False),
    "a deeper object beside its folder": (["t/a/x"], ["t/a/"], False),
    "the asked folder as its own": ([], ["t/"], False),
    "a deeper folder": ([], ["t/a/", "t/a/data/"], False),
}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(("keys", "folders", "good"), LEVELS.values(), ids=LEVELS)
async def test_a_listing_of_folders_that_tells_another_level_is_none(
    cloud: str, keys: list[str], folders: list[str], good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = (
        "<BlobPrefix><Name>p/{}</Name></BlobPrefix>"
        if cloud == "abfs"
        else "<CommonPrefixes><Prefix>p/{}</Prefix></CommonPrefixes>"
    )
    more = "".join(map(tag.format, folders))

    async def behaviour(asked: Exchange) -> None:
        await asked.give(reply(200, azure_page(*keys, more=more) if cloud == "abfs" else s3_page(*keys, more=more)))

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        if good:
            assert await store.folders("t") == [folder.removeprefix("t/").removesuffix("/") for folder in folders]
            return
        with pytest.raises(StorageError, match="deeper folder|not directly below"):
            await store.folders("t")


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("broken", ["no reply", "half a reply", "500"])
async def test_a_page_is_asked_for_again(cloud: str, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def behaviour(asked: Exchange) -> None:
        whole = reply(200, page(cloud, "a", "b"))
        if len(served.asked) > 1:
            await asked.give(whole)
        elif broken == "500":
            await asked.give(reply(500, xml("InternalError")))
        else:
            await asked.give(whole[: len(whole) // 2] if broken == "half a reply" else b"")
            asked.reset()

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        monkeypatch.setitem(store_options.RETRY, "max_retries", 1)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        assert await listed(store) == ["a", "b"]
        assert len(served.asked) == 2


WRITES_BY_BOTO3 = {"service_config": {"s3": {"extra_args": {"ACL": "private"}}}}
AT_ONCE = WRITES_BY_BOTO3 | {"config_kwargs": {"retries": {"total_max_attempts": 1}}}  # boto3 repeats nothing
STEPS = {
    "begin": b"<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>",
    "complete": b"<CompleteMultipartUploadResult><ETag>whole</ETag></CompleteMultipartUploadResult>",
}
BODIES = {"nothing": b"", "a web page": HTML, "a web page in XML": XHTML, "JSON": b"{}", "another root": b"<Other/>"}


async def _chunks() -> AsyncIterator[bytes]:
    for _ in range(2):
        yield bytes(MIN_PART_BYTES)


OPERATIONS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "put": lambda store: store.put("f", b"x"),
    "replace": lambda store: store.replace("f", b"x", None),
    "begin": lambda store: store.put_stream("f", _chunks(), 2 * MIN_PART_BYTES),
    "part": lambda store: store.put_stream("f", _chunks(), 2 * MIN_PART_BYTES),
    "complete": lambda store: store.put_stream("f", _chunks(), 2 * MIN_PART_BYTES),
    "get": lambda store: store.get("f"),
    "read": lambda store: asyncio.to_thread(lambda: list(store.read("f"))),
    "head": lambda store: store.head("f"),
    "delete": lambda store: store.delete(["f", "g"]),
}


def step(asked: Exchange) -> str:
    """Which of the operations a request belongs to."""
    query = asked.target.partition("?")[2]
    if asked.method == "POST":
        return "begin" if query.startswith("uploads") else "complete" if "uploadId" in query else "delete"
    if asked.method == "PUT":
        if "comp=blocklist" in query:
            return "complete"
        return "part" if "partNumber" in query or "comp=block" in query else "put"
    return asked.method


@pytest.mark.parametrize("how", ["s3", "boto3", "gs", "abfs"])
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.promise("advice")
async def test_a_reply_without_what_every_store_sends_is_one_clear_error(
    how: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (how, name) in (("abfs", "begin"), ("abfs", "part")):
        pytest.skip("Azure has no begin, and its reply to a part has nothing in it")
    cloud = "s3" if how == "boto3" else how
    body = b""

    async def behaviour(asked: Exchange) -> None:
        if "expect" in asked.headers:
            await asked.give(CONTINUE)
        await asked.take()
        if name in STEPS | {"part": b""} and step(asked) != name:
            told = GIVEN if cloud == "abfs" else {"ETag": '"e"'}
            await asked.give(reply(201 if cloud == "abfs" else 200, STEPS.get(step(asked), b""), told))
        else:
            whole = reply(200, body, {"Content-Type": "text/html"})
            await asked.give(whole[: len(whole) - len(body)] if asked.method == "HEAD" else whole)

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url, **(WRITES_BY_BOTO3 if how == "boto3" else {}))
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        for content, body in BODIES.items():
            if name == "delete" and not body:
                continue  # a reply without a body is what a delete has
            with pytest.raises((StorageError, TransientStorageError)) as caught:
                await OPERATIONS[name](store)
            text = str(caught.value)
            assert text.startswith("Could not "), (content, text)
            assert "Log in" not in text
            if type(caught.value) is StorageError:
                assert re.search("Check that|Look the code up", text), (content, text)


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("name", ["get", "read", "head"])
@pytest.mark.parametrize("modified", ["2026-11-30T05:00:00Z", "2026-11-30 05:00:00", "1796014800", "today"])
async def test_a_time_in_another_form_is_that_of_no_store(
    cloud: str, name: str, modified: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(200, b"" if asked.method == "HEAD" else b"x", GIVEN | {"Last-Modified": modified}))

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        with pytest.raises(StorageError, match="not that of such a store"):
            await OPERATIONS[name](store)


@pytest.mark.parametrize("how", ["s3", "boto3", "gs"])
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("code", ["SlowDown", "InternalError", "ServiceUnavailable", "NoSuchThing"])
async def test_an_error_with_status_200_in_the_place_of_a_step_of_an_upload_passes(
    how: str, name: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if code == "NoSuchThing" and (how == "boto3" or (how, name) == ("s3", "complete")):
        pytest.skip("the code is read there, and decides")
    broken = True

    async def behaviour(asked: Exchange) -> None:
        if "expect" in asked.headers:
            await asked.give(CONTINUE)
        await asked.take()
        if broken and step(asked) == name:
            await asked.give(reply(200, xml(code)))
        else:
            await asked.give(reply(200, STEPS.get(step(asked), b""), {"ETag": '"e"'}))

    async with hand_made(behaviour) as served:
        define(monkeypatch, "gs" if how == "gs" else "s3", served.url, **(AT_ONCE if how == "boto3" else {}))
        store = await asyncio.to_thread(open_store, f"{'gs' if how == 'gs' else 's3'}://odd@bucket/p")
        with pytest.raises(TransientStorageError):
            await OPERATIONS[name](store)
        broken = False
        assert await OPERATIONS[name](store)


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("part", [0.1, 0.99])
async def test_a_reply_to_boto3_that_breaks_off_passes(
    status: int, name: str, part: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto3 itself takes only one with status 200 for a failure of the server."""

    async def behaviour(asked: Exchange) -> None:
        if "expect" in asked.headers:
            await asked.give(CONTINUE)
        await asked.take()
        whole = STEPS.get(step(asked), b"")
        is_it = step(asked) == name
        await asked.give(reply(status if is_it else 200, whole[: int(len(whole) * part)] if is_it else whole, GIVEN))

    async with hand_made(behaviour) as served:
        define(monkeypatch, "s3", served.url, **AT_ONCE)
        store = await asyncio.to_thread(open_store, "s3://odd@bucket/p")
        with pytest.raises(TransientStorageError, match="500" if status == 200 else "the reply is not whole"):
            await OPERATIONS[name](store)


async def _refused_by_boto3(name: str, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def behaviour(asked: Exchange) -> None:
        if "expect" in asked.headers:
            await asked.give(CONTINUE)
        await asked.take()
        is_it = step(asked) == name
        await asked.give(reply(201 if is_it else 200, body if is_it else STEPS.get(step(asked), b""), GIVEN))

    async with hand_made(behaviour) as served:
        define(monkeypatch, "s3", served.url, **AT_ONCE)
        store = await asyncio.to_thread(open_store, "s3://odd@bucket/p")
        await OPERATIONS[name](store)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize(
    ("body", "what"),
    [
        (HTML, "it is a web page"),
        (XHTML.removesuffix(b"</html>"), "it is a web page"),
        (b"<?xml version='1.0'?>\n<!DOCTYPE html>\n<html><body>Log in<br></body></html>", "it is a web page"),
        (b"\r\n<!-- 'quoted' \"too\" -->\n\t<html><br>", "it is a web page"),
        (BODIES["JSON"], "it is no XML"),
        (b" \n ok", "it is no XML"),
    ],
)
async def test_a_reply_to_boto3_that_is_no_xml_is_that_of_no_store(
    name: str, body: bytes, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StorageError, match=rf"not that of such a store\. Check .*{what}"):
        await _refused_by_boto3(name, body, monkeypatch)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize(
    "body", [b" ", b"   \n", b"\n\n<Compl", b"\xef\xbb\xbf<Compl", b"<?xml version='1.0'?>\n", b"<a>'\"\xff"]
)
async def test_a_reply_to_boto3_of_blanks_or_of_a_beginning_passes(
    name: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TransientStorageError, match="the reply is not whole"):
        await _refused_by_boto3(name, body, monkeypatch)


KEYS = ("p/a", "p/b & <c>", "p/ü", "p/d e")


def deleted(*keys: str, more: str = "") -> bytes:
    """S3's reply to a bulk delete."""
    told = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
    return f"<DeleteResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>{told}{more}</DeleteResult>".encode()


@pytest.mark.parametrize(
    ("body", "left"),
    [
        pytest.param(deleted(*KEYS), (), id="all"),
        pytest.param(deleted(*reversed(KEYS)), (), id="in another order"),
        pytest.param(deleted(), KEYS, id="none"),
        pytest.param(b"", KEYS, id="an empty body"),
        pytest.param(b" \r\n", KEYS, id="blanks"),
        pytest.param(deleted(*KEYS[1:]), KEYS[:1], id="not the first"),
        pytest.param(deleted(*KEYS[:-1]), KEYS[-1:], id="not the last"),
        pytest.param(deleted(*KEYS[:-1], KEYS[-1].upper()), KEYS[-1:], id="another case"),
        pytest.param(deleted(*(key.removeprefix("p/") for key in KEYS)), KEYS, id="without the prefix"),
        pytest.param(
            deleted(*KEYS[1:], more="<Error><Key>p/a</Key><Code>NoSuchKey</Code></Error>"), (), id="one was not there"
        ),
    ],
)
@pytest.mark.parametrize("status", [204, 200, 404])
async def test_what_a_reply_to_a_bulk_delete_leaves_out_is_deleted_by_itself(
    body: bytes, left: tuple[str, ...], status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def behaviour(asked: Exchange) -> None:
        content = await asked.take()
        if asked.method == "POST":
            assert re.findall(r"<Key>(.*?)</Key>", content.decode()) == [escape(key) for key in KEYS]
            assert b64decode(asked.headers["content-md5"]) == md5(content, usedforsecurity=False).digest()
            assert "Quiet" not in content.decode()
        await asked.give(reply(200, body) if asked.method == "POST" else reply(status))

    async with hand_made(behaviour) as served:
        define(monkeypatch, "s3", served.url)
        store = await asyncio.to_thread(open_store, "s3://odd@bucket/p")
        await store.delete([key.removeprefix("p/") for key in KEYS])
        assert served.asked[0].target == "/bucket?delete="
        assert sorted(asked.target for asked in served.asked[1:]) == sorted(f"/bucket/{quote(key)}" for key in left)
        assert ("does not say that it has deleted" in caplog.text) is bool(left)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDenied", StorageError),
        ("InternalError", TransientStorageError),
        ("SlowDownWrite", TransientStorageError),
        ("XMinioServerNotInitialized", TransientStorageError),
        ("XMinioAdminBucketQuotaExceeded", StorageError),
    ],
)
async def test_one_object_of_many_that_is_not_deleted_is_an_error_with_its_name(
    code: str, kind: type[LearnosityError], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        error = f"<Error><Key>p/ü</Key><Code>{code}</Code><Message>no</Message></Error>"
        await asked.give(reply(200, deleted("p/a", "p/b & <c>", "p/d e", more=error)))

    async with hand_made(behaviour) as served:
        define(monkeypatch, "s3", served.url)
        store = await asyncio.to_thread(open_store, "s3://odd@bucket/p")
        with pytest.raises(LearnosityError, match=rf"Could not delete s3://bucket/p/ü: .*{code}") as caught:
            await store.delete([key.removeprefix("p/") for key in KEYS])
        assert type(caught.value) is kind
        assert len(served.asked) == 1


@pytest.mark.parametrize("code", ["", "NoSuchThing"])
@pytest.mark.parametrize(
    ("status", "kind"), [(204, None), (404, None), (403, StorageError), (429, TransientStorageError)]
)
async def test_what_is_refused_for_a_reason_that_is_not_known_is_deleted_by_itself(
    code: str, status: int, kind: type[LearnosityError] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        error = f"<Error><Key>p/ü</Key><Code>{code}</Code><Message>no</Message></Error>"
        if asked.method == "POST":
            await asked.give(reply(200, deleted("p/a", "p/b & <c>", "p/d e", more=error)))
        else:
            await asked.give(reply(status, b"" if status == 204 else xml(code)))

    async with hand_made(behaviour) as served:
        define(monkeypatch, "s3", served.url)
        store = await asyncio.to_thread(open_store, "s3://odd@bucket/p")
        work = store.delete([key.removeprefix("p/") for key in KEYS])
        if kind is None:
            await work
        else:
            with pytest.raises(LearnosityError, match=r"Could not delete s3://bucket/p/ü: ") as caught:
                await work
            assert type(caught.value) is kind
        assert [asked.target for asked in served.asked[1:]] == ["/bucket/p/%C3%BC"]


DELETE_REPLIES: list[tuple[int, bytes, type[LearnosityError] | None]] = [
    (201, b"", StorageError),
    (206, b"", StorageError),
    (207, b"<multistatus/>", StorageError),
    (200, HTML, StorageError),
    (200, b" ", StorageError),
    (302, b"", StorageError),
    (403, xml("AccessDenied"), StorageError),
    (404, xml("NoSuchKey"), None),
    (404, b"", None),
    (404, xml("NoSuchBucket"), StorageError),
    (404, HTML, StorageError),
    (404, XHTML, StorageError),
    (409, xml("SnapshotsPresent"), StorageError),
    (500, b"", TransientStorageError),
    (503, xml("SlowDown"), TransientStorageError),
]


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(("status", "body", "kind"), DELETE_REPLIES)
async def test_an_object_is_deleted_only_if_the_store_says_so(
    cloud: str, status: int, body: bytes, kind: type[LearnosityError] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(501 if asked.method == "POST" else status, b"" if asked.method == "POST" else body))

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        if kind is None:
            await store.delete(["f"])
        else:
            with pytest.raises(LearnosityError, match=rf"Could not delete {cloud}://bucket/p/f: .*\w") as caught:
                await store.delete(["f"])
            assert type(caught.value) is kind, caught.value
            assert "Log in" not in str(caught.value)
        assert any(asked.target.partition("?")[0].endswith("/bucket/p/f") for asked in served.asked)


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("name", ["get", "read", "put", "replace"])
async def test_a_web_page_with_status_404_does_not_say_that_an_object_is_absent(
    cloud: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[bytes] = []

    async def behaviour(asked: Exchange) -> None:
        if "expect" in asked.headers:
            await asked.give(CONTINUE)
        await asked.take()
        await asked.give(reply(404, given[-1]))

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        pages = (HTML, XHTML, HTML.upper(), b"<!-- gateway -->\n\n" + HTML, b"\xef\xbb\xbf" + HTML)
        parts = (b"<!DOCTYPE\nhtml><p>", b"<head><title>404</title></head>", b"<h1>Not Found</h1>", b"<body>404</body>")
        for body in (*pages, *parts):
            given.append(body)
            for operation in (OPERATIONS[name], *LISTINGS.values()):
                with pytest.raises(StorageError, match="it has status 404 and is a web page"):
                    await operation(store)
        for body in (xml("NoSuchKey"), b"", b"no such object"):
            given.append(body)
            if name == "get":
                assert await store.get("f") is None
            else:
                with pytest.raises(StorageError, match="does not exist"):
                    await OPERATIONS[name](store)


@pytest.mark.parametrize(("cloud", "good", "other"), [("s3", 204, 202), ("gs", 204, 202), ("abfs", 202, 204)])
async def test_each_store_has_its_own_status_for_what_is_deleted(
    cloud: str, good: int, other: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = good

    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(501 if asked.method == "POST" else status))

    async with hand_made(behaviour) as served:
        define(monkeypatch, cloud, served.url)
        store = await asyncio.to_thread(open_store, f"{cloud}://odd@bucket/p")
        await store.delete(["f", "g"])
        status = other
        with pytest.raises(StorageError, match=f"it has status {other}"):
            await store.delete(["f", "g"])


async def test_a_whole_stream_without_a_tag_has_not_been_written(monkeypatch: pytest.MonkeyPatch) -> None:
    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(200, HTML))

    async def content() -> AsyncIterator[bytes]:
        yield b"x"

    async with hand_made(behaviour) as served:
        signer = S3Signer(f"{served.url}/bucket", "", "us-east-1", None)
        with pytest.raises(StorageError, match=r"no login page replies instead\. \(it has no ETag\)"):
            await StreamedPut(signer, "s3://bucket", {"allow_http": True}).put("f", content(), 1, None)


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("many", [b"<!-- -->", b"<? ?>", b"<!-- ", b"<!doctype x>", b" \n", b": "])
async def test_a_reply_that_begins_with_many_comments_is_read_in_a_moment(
    many: bytes, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        await asked.give(reply(status, b"<" + many * 500 + b"x"))

    async with hand_made(behaviour) as served:
        define(monkeypatch, "s3", served.url)
        store = await asyncio.to_thread(open_store, "s3://odd@bucket/p")
        with pytest.raises((StorageError, TransientStorageError)):
            await listed(store)
        if status == 404:
            assert await store.get("f") is None
