"""A bucket whose name is in the host name, as on AWS: a server that checks signatures takes all requests to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from botocore.config import Config  # type: ignore[import-untyped]

from devstack.processes import ManagedProcess
from devstack.seaweedfs import REGION, SeaweedFS
from devstack.secrets import Secrets
from learnosity.connections import open_store
from learnosity.storage.multipart import MIN_PART_BYTES
from learnosity.storage.write_check import check_writable

DOMAIN = "s3.example"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SeaweedFS]:
    """A server of `DOMAIN`. There is no such host: requests reach the server as if it were their proxy."""
    start = ManagedProcess.start

    def with_domain(name: str, arguments: list[Any], **options: Any) -> ManagedProcess:
        return start(name, [*arguments, f"-s3.domainName={DOMAIN}"], **options)

    monkeypatch.setattr(ManagedProcess, "start", with_domain)
    keys = Secrets()
    started = SeaweedFS.start(
        tmp_path, bucket="landing", admin=keys.s3_admin, landing=keys.s3_landing, log=tmp_path / "log"
    )
    try:
        started.wait_until_ready()
        yield started
    finally:
        started.stop()


@pytest.mark.parametrize("prefix", ["", "/p/q"])
async def test_every_request_to_such_a_bucket_is_signed_for_the_path_that_is_sent(
    prefix: str, server: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, virtual = server.landing, {"s3": {"addressing_style": "virtual"}}
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{DOMAIN}",
        region_name=REGION,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        config=Config(**virtual, proxies={"http": server.endpoint}),
    )
    below = f"{prefix}/".lstrip("/")
    await asyncio.to_thread(client.create_multipart_upload, Bucket="landing", Key=f"{below}set/unfinished")
    extra = {"endpoint_url": f"http://{DOMAIN}", "region_name": REGION, "proxy": server.endpoint}
    connection = {"conn_type": "aws", "login": keys.access_key, "password": keys.secret_key}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({**connection, "extra": {**extra, "config_kwargs": virtual}}))
    store = await asyncio.to_thread(open_store, f"s3://lake@landing{prefix}")

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(MIN_PART_BYTES)
        yield b"end"

    await check_writable(store, "an owner")
    await store.put("set/a", b"1")
    await store.put_stream("set/b", chunks(), None)
    assert await store.get("set/a") == b"1"
    assert [info.path async for batch in store.list("set") for info in batch] == ["set/a", "set/b"]
    assert "set" in await store.folders("")
    assert await store.discard_unfinished("set") == 1
    await store.delete(["set/a", "set/b"])
    await store.delete(["set/a"])
    assert [info.path async for batch in store.list("set") for info in batch] == []
