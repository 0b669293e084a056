"""What a destination refuses is found before a job is started for it, and nothing of the check remains."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock
from uuid import uuid4

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from devstack.seaweedfs import SeaweedFS
from devstack.secrets import KeyPair
from learnosity.connections import open_store
from learnosity.errors import LearnosityError, StorageError, TransientStorageError
from learnosity.storage import unfinished_uploads
from learnosity.storage.store import Store
from learnosity.storage.write_check import check_folder, check_writable
from tests.component.api.hand_made import Exchange, hand_made, reply, xml
from tests.component.retention.test_s3 import client_for
from tests.component.storage.s3_by_hand import calls, s3_by_hand

MOST_REQUESTS = 10
OWNER = "learnosity_dataset, manual__1, create_dataset"


def define(monkeypatch: pytest.MonkeyPatch, url: str, keys: KeyPair | None = None, **extra: Any) -> None:
    keys = keys or KeyPair("AKIA", "secret")
    whole = {"endpoint_url": url, "region_name": "us-east-1", **extra}
    connection = {"conn_type": "aws", "login": keys.access_key, "password": keys.secret_key, "extra": whole}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))


async def names(store: Store) -> list[str]:
    return [info.path async for batch in store.list("") for info in batch]


@pytest.mark.parametrize("scheme", ["s3", "s3 through boto3", "file", "memory"])
async def test_a_good_destination_is_left_as_it_was(
    scheme: str, s3_server: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = str(uuid4())
    if scheme == "file":
        uri = tmp_path.as_uri()
    elif scheme == "memory":
        attach("memory", fs=MemoryFileSystem())
        uri = f"memory://bucket/{prefix}"
    else:
        args = {"extra_args": {"ACL": "private"}} if "boto3" in scheme else {}
        define(monkeypatch, s3_server.endpoint, s3_server.landing, service_config={"s3": args})
        uri = f"s3://lake@{s3_server.bucket}/{prefix}"
    store = await asyncio.to_thread(open_store, uri)
    await store.put("kept", b"before")
    await check_writable(store, OWNER)
    assert await names(store) == ["kept"]


async def test_it_is_cheap_and_tries_all_that_landing_does(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_made(s3_by_hand(remembers=True)) as served:
        define(monkeypatch, served.url)
        await check_writable(await asyncio.to_thread(open_store, "s3://lake@bucket/folder"), OWNER)
        assert len(served.asked) <= MOST_REQUESTS
        assert set(calls(served)) == {
            "PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "ListObjectsV2", "GetObject",
            "DeleteObjects", "ListMultipartUploads",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("PutObject", "not possible to write objects: no file can land"),
        ("CreateMultipartUpload", "not possible to write objects in parts: no large file can land"),
        ("UploadPart", "not possible to write objects in parts"),
        ("CompleteMultipartUpload", "not possible to write objects in parts"),
        ("ListObjectsV2", "not possible to list objects: a landing cannot tell what has landed"),
        ("GetObject", "not possible to read objects"),
        ("DeleteObjects", "not possible to delete objects, so that .*probe-.* remains"),
    ],
)
@pytest.mark.parametrize(
    ("status", "code", "what"),
    [(403, "AccessDenied", "no permission"), (400, "KMS.DisabledException", "encryption key")],
)
async def test_the_right_that_is_missing_is_named(
    call: str, says: str, status: int, code: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hand_made(s3_by_hand([call], status, code, remembers=True)) as served:
        define(monkeypatch, served.url)
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        with pytest.raises(StorageError, match=rf"{what}.*{code}.*{says}"):
            await check_writable(store, OWNER)
        assert call == "PutObject" or "DeleteObjects" in calls(served), "what was written is removed"
        assert len(served.asked) <= MOST_REQUESTS


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (503, "SlowDown")])
async def test_without_the_right_to_list_unfinished_uploads_landing_works(
    status: int, code: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(unfinished_uploads, "PATIENCE_SECONDS", 0.0)
    async with hand_made(s3_by_hand(["ListMultipartUploads"], status, code, remembers=True)) as served:
        define(monkeypatch, served.url)
        with caplog.at_level(logging.WARNING):
            await check_writable(await asyncio.to_thread(open_store, "s3://lake@bucket/folder"), OWNER)
    assert "Landing works without this right" in caplog.text


async def test_a_store_that_lists_nothing_of_what_it_took_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_made(s3_by_hand()) as served:
        define(monkeypatch, served.url)
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        with pytest.raises(StorageError, match="does not give back at once"):
            await check_writable(store, OWNER)


@pytest.mark.parametrize("is_there", [False, True])
async def test_a_store_that_says_of_a_new_object_that_it_has_changed_is_refused(
    is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembering = s3_by_hand(remembers=True)

    async def behaviour(asked: Exchange) -> None:
        if "if-none-match" not in asked.headers:
            await remembering(asked)
            return
        if is_there:  # the object is written, but the reply is 412: as if a lost reply made the client send twice
            given = asked.give
            monkeypatch.setattr(asked, "give", AsyncMock())
            await remembering(asked)
            monkeypatch.setattr(asked, "give", given)
        else:
            await asked.take()
        await asked.give(reply(412, xml("PreconditionFailed")))

    async with hand_made(behaviour) as served:
        define(monkeypatch, served.url)
        store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
        if is_there:
            await check_writable(store, OWNER)
        else:
            with pytest.raises(StorageError, match="refuses to write an object that is not there"):
                await check_writable(store, OWNER)
        assert "DeleteObjects" in calls(served)
        assert len(served.asked) <= MOST_REQUESTS


@pytest.mark.parametrize(
    ("endpoint", "kind", "says"),
    [
        ("https://no-such-host.invalid", StorageError, "no such host|could not be looked up"),
        ("TLS", StorageError, "not trusted"),
    ],
)
async def test_what_no_reply_comes_from_is_told_once(
    endpoint: str, kind: type[LearnosityError], says: str, s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(monkeypatch, str(s3_server.tls_endpoint) if endpoint == "TLS" else endpoint)
    store = await asyncio.to_thread(open_store, "s3://lake@bucket/folder")
    with pytest.raises((kind, TransientStorageError), match=says):
        await check_writable(store, OWNER)


class KilledError(BaseException):
    """Stands for SIGKILL: nothing is tidied up after it."""


class Killed:
    """A store in a process that is killed right after its n-th call: the call is done, and no other call is made."""

    def __init__(self, store: Store, calls: int) -> None:
        self._store, self._left = store, calls

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        if not inspect.iscoroutinefunction(real):
            return self._listed if name == "list" else real

        async def call(*args: Any) -> Any:
            self._left -= 1
            found = await real(*args) if self._left >= 0 else None
            if self._left <= 0:
                raise KilledError
            return found

        return call

    async def _listed(self, prefix: str) -> AsyncIterator[Any]:
        self._left -= 1
        if self._left <= 0:
            raise KilledError
        async for batch in self._store.list(prefix):
            yield batch


@pytest.mark.parametrize("calls", range(1, 7))
@pytest.mark.parametrize("scheme", ["s3", "file"])
async def test_what_a_killed_check_left_is_removed_by_the_next_attempt(
    scheme: str, calls: int, s3_server: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(monkeypatch, s3_server.endpoint, s3_server.landing)
    uri = tmp_path.as_uri() if scheme == "file" else f"s3://lake@{s3_server.bucket}/{uuid4()}"
    store = await asyncio.to_thread(open_store, uri)
    with pytest.raises(KilledError):
        await check_writable(cast(Store, Killed(store, calls)), OWNER)
    assert calls > 5 or await names(store), "something is left, or this test shows nothing"
    await check_writable(store, "another task")
    assert calls > 5 or await names(store), "another task's check may be at work"
    await check_writable(store, OWNER)
    assert await names(store) == []


async def test_a_worker_that_was_given_up_takes_nothing_from_the_attempt_that_followed(tmp_path: Path) -> None:
    store = await asyncio.to_thread(open_store, tmp_path.as_uri())
    with pytest.raises(KilledError):
        await check_writable(cast(Store, Killed(store, 3)), OWNER, 10)
    later = await names(store)
    await check_writable(store, OWNER, 9)
    assert await names(store) == later
    await check_writable(store, OWNER, 11)
    assert await names(store) == []


async def test_an_upload_that_a_killed_check_left_unfinished_is_removed_by_the_next_attempt(
    s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(monkeypatch, s3_server.endpoint, s3_server.landing)
    prefix = str(uuid4())
    client = client_for(s3_server)
    key = f"{prefix}/{check_folder(OWNER)}/000001-0123456789ab/in-parts"
    client.create_multipart_upload(Bucket=s3_server.bucket, Key=key)
    store = await asyncio.to_thread(open_store, f"s3://lake@{s3_server.bucket}/{prefix}")
    await check_writable(store, OWNER)
    assert not client.list_multipart_uploads(Bucket=s3_server.bucket, Prefix=prefix).get("Uploads")
