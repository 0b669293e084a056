"""What a writer leaves behind that was killed in the middle of a large object, and that it is gone after publishing."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

import boto3  # type: ignore[import-untyped]
import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from devstack.ports import LOOPBACK
from devstack.seaweedfs import REGION, SeaweedFS
from learnosity.connections import open_store
from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import LearnosityError, StorageError, TransientStorageError
from learnosity.storage import s3_signing, unfinished_uploads
from learnosity.storage.multipart import MIN_PART_BYTES
from learnosity.storage.store import IsOwn, every_path
from tests.component.api.hand_made import Exchange, hand_made, reply, xml
from tests.component.landing_scene import Passing, StartScene, scene
from tests.waiting import no_waiting

__all__ = ["scene"]

# Writes an object without end through the store of a URI.
WRITER = """
import asyncio, sys
from learnosity.connections import open_store
from learnosity.storage.multipart import MIN_PART_BYTES

async def chunks():
    yield bytes(2 * MIN_PART_BYTES)
    while True:
        yield bytes(1024)
        await asyncio.sleep(0.01)

asyncio.run(open_store(sys.argv[1]).put_stream(sys.argv[2], chunks(), None))
"""


@pytest.fixture
def aws(s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> str:
    """A connection to the S3 server, of the identity that may use the landing bucket and nothing else."""
    keys = s3_server.landing
    extra = {"endpoint_url": s3_server.endpoint, "region_name": REGION}
    connection = {"conn_type": "aws", "login": keys.access_key, "password": keys.secret_key, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    return f"s3://warehouse@{s3_server.bucket}"


@pytest.fixture(params=["s3", "file"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.getfixturevalue('aws')}/{tmp_path.name}" if request.param == "s3" else tmp_path.as_uri()


@pytest.fixture
def left(s3_server: SeaweedFS, tmp_path: Path) -> Any:
    """Says what unfinished writes there are, in the bucket and on disk."""
    keys = s3_server.admin
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint,
        region_name=REGION,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
    )

    def look() -> list[str]:
        uploads = client.list_multipart_uploads(Bucket=s3_server.bucket).get("Uploads", [])
        mine = [upload["Key"] for upload in uploads if upload["Key"].startswith(f"{tmp_path.name}/")]
        return mine + [path.name for path in tmp_path.rglob("*#*")]

    return look


def killed_while_writing(uri: str, path: str, left: Callable[[], list[str]]) -> None:
    """Kill a writer as soon as something unfinished of it is there."""
    before, deadline = len(left()), time.monotonic() + 60
    with subprocess.Popen([sys.executable, "-c", WRITER, uri, path], stderr=subprocess.PIPE, text=True) as writer:
        try:
            while len(left()) == before:
                assert writer.poll() is None, writer.communicate()[1]
                assert time.monotonic() < deadline, "nothing unfinished appeared"
        finally:
            writer.kill()


async def test_what_a_killed_writer_left_is_found_below_its_folder_and_nowhere_else(uri: str, left: Any) -> None:
    for path in ("mine/data/large.csv", "mine-too/data/large.csv"):
        killed_while_writing(uri, path, left)
    assert len(left()) == 2
    store = open_store(uri)
    assert await store.get("mine/data/large.csv") is None
    assert await store.discard_unfinished("mine") == 1
    assert len(left()) == 1
    assert await store.discard_unfinished("mine-too") == 1
    assert await store.discard_unfinished("never-was") == 0
    assert left() == []


async def test_a_write_that_is_under_way_is_worth_another_try(aws: str, tmp_path: Path) -> None:
    store = open_store(f"{aws}/{tmp_path.name}")

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(2 * MIN_PART_BYTES)
        # The upload may begin only after some more content. So more comes until `discard_unfinished` has found and
        # discarded the upload.
        while not await store.discard_unfinished(""):
            yield bytes(1024)
        yield bytes(MIN_PART_BYTES)

    with pytest.raises(TransientStorageError, match="its parts are gone: the last reply was lost, or"):
        await store.put_stream("data/large.csv", chunks(), None)
    assert await store.get("data/large.csv") is None


async def test_files_of_other_file_systems_are_staged_out_of_sight_and_tidied_up() -> None:
    attach("memory", fs=MemoryFileSystem())
    store = open_store("memory://bucket/unfinished")
    await store.put("set/data/whole.csv", b"whole")
    await store.put(f"set/data/large.csv.{'0' * 32}.part", b"half")
    assert [info.path async for batch in store.list("set") for info in batch] == ["set/data/whole.csv"]
    assert await store.discard_unfinished("set") == 1
    assert await store.discard_unfinished("set") == 0


OURS = ["manifest.json", "files.ndjson", "names.tsv", "data/a.csv", "data/b/a.csv", "_landing/r/p/n", "_removal/r"]
OTHERS = ["readme.txt", "data-of-others/x.csv", "data.csv", "_landings/x", "x/manifest.json"]


def only_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix().partition("#")[0] for path in folder.rglob("*#*")}


@pytest.mark.parametrize("scheme", ["s3", "file", "memory"])
async def test_in_a_dataset_only_what_is_ours_is_discarded(scheme: str, tmp_path: Path, monkeypatch: Any) -> None:
    layout = DatasetLayout("type", "id")
    own, removed = {f"{layout.prefix}/{name}" for name in OURS}, set[str]()
    paths = [*own, *(f"{layout.prefix}/{name}" for name in OTHERS)]

    async def behaviour(asked: Exchange) -> None:
        if asked.method == "DELETE":
            removed.add(unquote(urlsplit(asked.target).path).removeprefix("/bucket/p/"))
            await asked.give(reply(204))
        else:
            await asked.give(reply(200, uploads_page(*((f"p/{path}", "1") for path in paths))))

    if scheme == "s3":
        async with hand_made(behaviour) as served:
            define(monkeypatch, served.url)
            store = await asyncio.to_thread(open_store, "s3://odd@bucket/p")
            assert await store.discard_unfinished(layout.prefix, layout.is_own) == len(own)
        assert removed == own
    elif scheme == "file":
        for number, path in enumerate(paths):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / f"{path}#{number}").touch()
        assert await open_store(tmp_path.as_uri()).discard_unfinished(layout.prefix, layout.is_own) == len(own)
        assert only_files(tmp_path) == set(paths) - own
    else:
        attach("memory", fs=MemoryFileSystem())
        store = open_store(f"memory://bucket/{tmp_path.name}")
        folders = {path.rpartition("/")[0] for path in paths}
        for folder in folders:
            await store.put(f"{folder}/.{'0' * 32}.part", b"half")
        ours = {path.rpartition("/")[0] for path in own}
        assert await store.discard_unfinished(layout.prefix, layout.is_own) == len(ours)
        assert await store.discard_unfinished(layout.prefix) == len(folders - ours)


async def test_publishing_leaves_no_unfinished_write(scene: StartScene, uri: str, left: Any) -> None:
    dataset = await scene()
    dataset.store = open_store(uri)
    await dataset.plan()
    killed_while_writing(uri, dataset.layout.data("large.csv"), left)
    await dataset.land()
    await dataset.publish()
    assert left() == []
    await dataset.check_whole()


@pytest.mark.parametrize("error", [StorageError("AccessDenied."), TransientStorageError("SlowDown.")])
async def test_a_dataset_is_published_even_where_looking_for_them_is_not_allowed(
    scene: StartScene, caplog: pytest.LogCaptureFixture, error: LearnosityError
) -> None:
    class Strict(Passing):
        async def discard_unfinished(self, prefix: str, is_own: IsOwn = every_path) -> int:
            raise error

    dataset = await scene()
    await dataset.plan()
    await dataset.land()
    with caplog.at_level(logging.WARNING):
        await dataset.publish(store=Strict(dataset.store))
    await dataset.check_whole()
    advice = "Let the bucket's" if error.transient else "Allow it (docs/security.md)"
    assert f"{error} {advice}" in caplog.text


HTML = b"<!doctype html><html><body>Log in<br></body></html>"


def uploads_page(*uploads: tuple[str, str], after: tuple[str, str] | None = None) -> bytes:
    """A page as S3 has it."""
    found = "".join(
        f"<Upload><Key>{escape(key)}</Key><UploadId>{upload_id}</UploadId></Upload>" for key, upload_id in uploads
    )
    end = "<IsTruncated>false</IsTruncated>"
    if after:
        end = "<IsTruncated>true</IsTruncated>"
        end += f"<NextKeyMarker>{escape(after[0])}</NextKeyMarker><NextUploadIdMarker>{after[1]}</NextUploadIdMarker>"
    return (
        "<?xml version='1.0' encoding='UTF-8'?>\n<ListMultipartUploadsResult "
        f"xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Bucket>bucket</Bucket>{end}{found}"
        "</ListMultipartUploadsResult>"
    ).encode()


def define(monkeypatch: pytest.MonkeyPatch, endpoint: str, login: str = "somebody", **extra: Any) -> None:
    """The connection `odd` to an S3 server."""
    parts = {"endpoint_url": endpoint, "region_name": REGION, **extra}
    connection = {"conn_type": "aws", "login": login, "password": "knows", "extra": parts}
    monkeypatch.setenv("AIRFLOW_CONN_ODD", json.dumps(connection))


async def discarded(uri: str = "s3://odd@bucket/p", folder: str = "set") -> int:
    return await (await asyncio.to_thread(open_store, uri)).discard_unfinished(folder)


async def test_all_pages_are_read_and_each_upload_is_removed_under_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ("p/set/data/a b&c+ü.csv", "i~/1+ ="), ("p/set/data/a b&c+ü.csv", "two")
    removed: list[tuple[str, str]] = []

    async def behaviour(asked: Exchange) -> None:
        target = urlsplit(asked.target)
        query = dict(parse_qsl(target.query, keep_blank_values=True))
        if asked.method == "DELETE":
            removed.append((unquote(target.path).removeprefix("/bucket/"), query["uploadId"]))
            await asked.give(reply(204))
        elif "key-marker" not in query:
            assert query == {"prefix": "p/set/", "uploads": "", "max-uploads": "1000"}
            await asked.give(reply(200, uploads_page(first, after=first)))
        else:
            assert (query["key-marker"], query["upload-id-marker"]) == first
            await asked.give(reply(200, uploads_page(second)))

    async with hand_made(behaviour) as served:
        define(monkeypatch, served.url)
        assert await discarded() == 2
    assert removed == [first, second]


@pytest.mark.parametrize("failure", ["500", "503", "no reply", "half a reply"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_server_that_is_away_for_a_moment_is_asked_again(
    method: str, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_waiting(monkeypatch)
    failed: list[str] = []

    async def behaviour(asked: Exchange) -> None:
        whole = reply(200, uploads_page(("p/set/a", "1"))) if asked.method == "GET" else reply(204)
        if asked.method != method or len(failed) == 2:
            await asked.give(whole)
            return
        failed.append(failure)
        if failure.isdigit():
            await asked.give(reply(int(failure), xml("InternalError" if failure == "500" else "SlowDown")))
            return
        await asked.give(whole[: len(whole) // 2] if failure == "half a reply" else b"")
        asked.reset()

    async with hand_made(behaviour) as served:
        define(monkeypatch, served.url)
        assert await discarded() == 1
    assert len(failed) == 2


async def test_a_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    monkeypatch.setattr(unfinished_uploads, "PATIENCE_SECONDS", 0.0)
    define(monkeypatch, f"http://{LOOPBACK}:{closed_port}")
    with pytest.raises(TransientStorageError, match="Could not give up"):
        await discarded()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (500, "InternalError", TransientStorageError),
        (503, "SlowDown", TransientStorageError),
        (400, "ExpiredToken", TransientStorageError),
        (403, "AccessDenied", StorageError),
        (404, "NoSuchBucket", StorageError),
        (501, "NotImplemented", StorageError),
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_error_says_whether_another_try_may_help(
    method: str, status: int, code: str, kind: type[LearnosityError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished_uploads, "PATIENCE_SECONDS", 0.0)

    async def behaviour(asked: Exchange) -> None:
        good = reply(200, uploads_page(("p/set/a", "1"))) if asked.method == "GET" else reply(204)
        await asked.give(reply(status, xml(code)) if asked.method == method else good)

    async with hand_made(behaviour) as served:
        define(monkeypatch, served.url)
        with pytest.raises(kind, match="Could not give up"):
            await discarded()


@pytest.mark.parametrize(("number", "kind"), [(errno.EACCES, StorageError), (errno.EIO, TransientStorageError)])
async def test_an_error_of_a_file_system_says_whether_another_try_may_help(
    number: int, kind: type[LearnosityError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path.as_uri())
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.csv#1").write_text("half")

    def fails(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "unlink", fails)
    with pytest.raises(kind, match="Could not remove unfinished files below"):
        await store.discard_unfinished("set")


async def test_a_refusal_says_which_bucket_and_is_not_repeated(
    s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = no_waiting(monkeypatch)
    define(monkeypatch, s3_server.endpoint, login="nobody")
    with pytest.raises(StorageError, match=rf"below s3://{s3_server.bucket}/p/set: .*InvalidAccessKeyId"):
        await discarded(f"s3://odd@{s3_server.bucket}/p")
    assert waits == []


GOOD = uploads_page(("p/set/a", "1"), ("p/set/b", "2"))
ODD_PAGES = {
    "a web page": HTML,
    "nothing": b"",
    "JSON": b"{}",
    "a listing of objects": b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
    "an error": xml("AccessDenied"),
    "half a page": GOOD[: len(GOOD) // 2],
    "an upload of another folder": GOOD.replace(b"p/set/b", b"p/set-b/b"),
    "an upload without an id": GOOD.replace(b"<UploadId>2</UploadId>", b""),
    "an upload without a key": GOOD.replace(b"<Key>p/set/b</Key>", b""),
    "an odd IsTruncated": GOOD.replace(b">false<", b">perhaps<"),
    "no marker": GOOD.replace(b">false<", b">true<"),
    "a page that comes again": uploads_page(("p/set/a", "1"), after=("p/set/a", "1")),
}


@pytest.mark.parametrize("body", ODD_PAGES.values(), ids=ODD_PAGES)
async def test_a_reply_that_is_no_list_of_uploads_is_an_error_and_nothing_foreign_is_removed(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished_uploads, "PATIENCE_SECONDS", 0.0)

    async def behaviour(asked: Exchange) -> None:
        await asked.give(reply(204) if asked.method == "DELETE" else reply(200, body))

    async with hand_made(behaviour) as served:
        define(monkeypatch, served.url)
        with pytest.raises(
            (StorageError, TransientStorageError),
            match=r"Could not give up unfinished uploads below s3://bucket/p/set: ",
        ) as no:
            await discarded()
        assert "Log in" not in str(no.value)
        assert all("/p/set/a?" in asked.target for asked in served.asked if asked.method == "DELETE")


@pytest.mark.parametrize(
    ("status", "body", "counts"),
    [
        (204, b"", True),
        (200, b"", True),
        (404, xml("NoSuchUpload"), True),
        (200, HTML, False),
        (403, xml("AccessDenied"), False),
        (404, HTML, False),
        (501, xml("NotImplemented"), False),
    ],
)
async def test_an_upload_counts_as_removed_only_if_the_store_says_so(
    status: int, body: bytes, counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behaviour(asked: Exchange) -> None:
        page = uploads_page(("p/set/a", "1"))
        await asked.give(reply(200, page) if asked.method == "GET" else reply(status, body))

    async with hand_made(behaviour) as served:
        define(monkeypatch, served.url)
        if counts:
            assert await discarded() == 1
        else:
            with pytest.raises(StorageError, match="Could not give up"):
                await discarded()


@pytest.mark.parametrize(
    ("status", "code"), [(400, "AuthorizationHeaderMalformed"), (301, "PermanentRedirect"), (307, "TemporaryRedirect")]
)
async def test_uploads_of_a_bucket_in_another_region_are_found_there(
    status: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_waiting(monkeypatch)

    async def behaviour(asked: Exchange) -> None:
        if "eu-west-1" in asked.headers.get("authorization", ""):
            await asked.give(reply(200, uploads_page()))
        else:
            given = {"x-amz-bucket-region": "eu-west-1", "Content-Type": "application/xml"}
            wrong = f"<Error><Code>{code}</Code><Region>eu-west-1</Region></Error>".encode()
            await asked.give(reply(status, b"" if asked.method == "HEAD" else wrong, given))

    async with hand_made(behaviour) as served:
        define(monkeypatch, served.url)
        assert await discarded() == 0


@pytest.mark.parametrize("marker", [("p/set/a", ""), ("", "id-1")])
async def test_a_page_may_end_with_a_key_or_an_id_alone_as_those_of_some_servers(
    marker: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behaviour(asked: Exchange) -> None:
        query = dict(parse_qsl(urlsplit(asked.target).query, keep_blank_values=True))
        sent = {name: query[name] for name in ("key-marker", "upload-id-marker") if name in query}
        if asked.method == "DELETE":
            await asked.give(reply(204))
        elif not sent:
            await asked.give(reply(200, uploads_page(("p/set/a", "id-1"), after=marker)))
        else:
            assert sent == {("key-marker" if marker[0] else "upload-id-marker"): marker[0] or marker[1]}
            await asked.give(reply(200, uploads_page(("p/set/b", "id-2"))))

    async with hand_made(behaviour) as served:
        define(monkeypatch, served.url)
        assert await discarded() == 2


async def test_line_breaks_around_the_end_of_a_page_are_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def behaviour(asked: Exchange) -> None:
        query = dict(parse_qsl(urlsplit(asked.target).query, keep_blank_values=True))
        if asked.method == "DELETE":
            await asked.give(reply(204))
        elif "key-marker" not in query:
            page = uploads_page(("p/set/a", "id-1"), after=("\r\n  p/set/a\r\n  ", "\n id-1\n "))
            await asked.give(reply(200, page))
        else:
            assert (query["key-marker"], query["upload-id-marker"]) == ("p/set/a", "id-1")
            await asked.give(reply(200, uploads_page(("p/set/b", "id-2"))))

    async with hand_made(behaviour) as served:
        define(monkeypatch, served.url)
        assert await discarded() == 2


async def test_the_pages_of_a_real_server_are_read_to_the_last(
    s3_server: SeaweedFS, aws: str, tmp_path: Path, left: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = s3_server.landing
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint,
        region_name=REGION,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
    )
    for number in range(7):
        client.create_multipart_upload(Bucket=s3_server.bucket, Key=f"{tmp_path.name}/set/{number} +%2Fü")
    monkeypatch.setattr(s3_signing, "MAX_UPLOADS", 3)
    store = await asyncio.to_thread(open_store, f"{aws}/{tmp_path.name}")
    assert await store.discard_unfinished("set") == 7
    assert left() == []


@pytest.mark.parametrize("after", [("p/set/a&#x1;", "id-1"), ("p/set/a\x01", ""), ("p/set/a\rb", "id-1")], ids=ascii)
async def test_a_page_that_ends_with_a_name_that_cannot_be_read_is_an_error(
    after: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behaviour(asked: Exchange) -> None:
        page = uploads_page((after[0], "id-1"), after=after if len(served.asked) == 1 else None)
        await asked.give(reply(200, page.replace(b"&amp;#", b"&#")))

    async with hand_made(behaviour) as served:
        define(monkeypatch, served.url)
        with pytest.raises(StorageError, match="control character.* Rename or remove"):
            await discarded()


@pytest.mark.parametrize("key", ["p/set/x/../y", "p/set/..", "p/set/./y", "p/set/a&#x1;b"])
async def test_an_upload_whose_name_no_request_can_have_stays_and_the_others_go(
    key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def behaviour(asked: Exchange) -> None:
        page = uploads_page((key, "1"), ("p/set/z", "2")).replace(b"&amp;#", b"&#")
        await asked.give(reply(204) if asked.method == "DELETE" else reply(200, page))

    async with hand_made(behaviour) as served:
        define(monkeypatch, served.url)
        with caplog.at_level(logging.WARNING):
            assert await discarded() == 1
        assert [asked.target for asked in served.asked if asked.method == "DELETE"] == ["/bucket/p/set/z?uploadId=2"]
    assert "its name has no URL" in caplog.text


async def test_a_gateway_that_replies_404_does_not_say_that_the_bucket_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def behaviour(asked: Exchange) -> None:
        await asked.give(reply(404, HTML))

    async with hand_made(behaviour) as served:
        define(monkeypatch, served.url)
        with pytest.raises(StorageError, match="it has status 404 and is a web page"):
            await discarded()
