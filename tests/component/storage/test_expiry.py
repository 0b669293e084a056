"""Credentials that run out in the middle of a landing: a passing failure, because the next try gets new ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from aiohttp import web
from obstore.store import S3Store

from learnosity.errors import StorageError, TransientStorageError
from learnosity.storage.obstore_store import ObstoreStore


@pytest.fixture
async def refusing(request: pytest.FixtureRequest) -> AsyncIterator[ObstoreStore]:
    """A store behind an S3 that refuses everything with one status and code."""
    status, code = request.param

    async def refuse(_: web.Request) -> web.Response:
        body = f"<Error><Code>{code}</Code><Message>refused</Message></Error>"
        return web.Response(status=status, text=body, content_type="application/xml")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    store = S3Store(
        "bucket",
        endpoint=f"http://{host}:{port}",
        region="us-east-1",
        access_key_id="k",
        secret_access_key="s",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=5)},
    )
    yield ObstoreStore(store, "s3://bucket")
    await runner.cleanup()


@pytest.mark.parametrize(
    "refusing", [(403, "ExpiredToken"), (400, "ExpiredToken"), (403, "RequestExpired")], indirect=True
)
class TestExpired:
    async def test_a_write_is_worth_another_try(self, refusing: ObstoreStore) -> None:
        with pytest.raises(TransientStorageError, match="credentials have run out"):
            await refusing.put("x", b"1")

    async def test_a_read_is_worth_another_try(self, refusing: ObstoreStore) -> None:
        with pytest.raises(TransientStorageError, match="credentials have run out"):
            await refusing.get("x")

    async def test_a_listing_is_worth_another_try(self, refusing: ObstoreStore) -> None:
        with pytest.raises(TransientStorageError, match="credentials have run out"):
            _ = [batch async for batch in refusing.list("x")]


@pytest.mark.parametrize("refusing", [(403, "AccessDenied")], indirect=True)
async def test_a_missing_permission_is_not(refusing: ObstoreStore) -> None:
    with pytest.raises(StorageError, match="no permission"):
        await refusing.put("x", b"1")
