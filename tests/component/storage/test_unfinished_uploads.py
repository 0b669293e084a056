"""What a writer leaves behind that was killed in the middle of a large object, and that it is gone after publishing."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from airflow.sdk.io import attach
from botocore.config import Config  # type: ignore[import-untyped]
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from devstack.ports import LOOPBACK, free_ports
from devstack.seaweedfs import REGION, SeaweedFS
from learnosity.connections import open_store
from learnosity.errors import StorageError, TransientStorageError
from learnosity.storage import unfinished_uploads
from learnosity.storage.multipart import MIN_PART_BYTES
from learnosity.storage.unfinished_uploads import s3_uploads
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
        # Its upload may not have begun yet: until it is there to be given up, more of it comes.
        while not await store.discard_unfinished(""):
            yield bytes(1024)
        yield bytes(MIN_PART_BYTES)

    with pytest.raises(TransientStorageError, match="its parts are gone"):
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


async def test_publishing_leaves_no_unfinished_write(scene: StartScene, uri: str, left: Any) -> None:
    dataset = await scene()
    dataset.store = open_store(uri)
    await dataset.plan()
    killed_while_writing(uri, dataset.layout.data("large.csv"), left)
    await dataset.land()
    await dataset.publish()
    assert left() == []
    await dataset.check_whole()


async def test_a_dataset_is_published_even_where_looking_for_them_is_not_allowed(
    scene: StartScene, caplog: pytest.LogCaptureFixture
) -> None:
    class Strict(Passing):
        async def discard_unfinished(self, prefix: str) -> int:
            raise StorageError("Could not give up unfinished uploads: AccessDenied.")

    dataset = await scene()
    await dataset.plan()
    await dataset.land()
    with caplog.at_level(logging.WARNING):
        await dataset.publish(store=Strict(dataset.store))
    await dataset.check_whole()
    assert "AccessDenied. Allow it (docs/security.md)" in caplog.text


def client_for(endpoint: str, access_key: str, secret_key: str) -> Any:
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5)
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=config,
    )


def test_a_server_that_is_away_for_a_moment_is_asked_again(
    s3_server: SeaweedFS, aws: str, tmp_path: Path, left: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = no_waiting(monkeypatch)
    killed_while_writing(f"{aws}/{tmp_path.name}", "set/data/large.csv", left)
    (nobody,) = free_ports(1)
    keys = s3_server.landing
    endpoints = [s3_server.endpoint, *[f"http://{LOOPBACK}:{nobody}"] * 2]
    discard = s3_uploads(
        lambda: client_for(endpoints.pop(), keys.access_key, keys.secret_key), s3_server.bucket, tmp_path.name
    )
    assert discard("set") == 1
    assert left() == []
    assert len(waits) == 2


def test_a_server_that_stays_away_is_given_up(s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished_uploads, "PATIENCE_SECONDS", 0.0)
    (nobody,) = free_ports(1)
    client = client_for(f"http://{LOOPBACK}:{nobody}", "somebody", "knows")
    with pytest.raises(StorageError, match="Could not give up"):
        s3_uploads(lambda: client, s3_server.bucket, "prefix")("set")


def test_a_refusal_says_which_bucket_and_is_not_repeated(s3_server: SeaweedFS) -> None:
    clients = [client_for(s3_server.endpoint, "nobody", "knows")]
    with pytest.raises(StorageError, match=r"below s3://landing/prefix/set/: .*InvalidAccessKeyId"):
        s3_uploads(clients.pop, s3_server.bucket, "prefix")("set")
