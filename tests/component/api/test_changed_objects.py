"""A result file that is replaced at a real S3 server while it is fetched: one version lands, never a mixture."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import obstore
import pytest
from obstore.store import S3Store

from devstack.ports import LOOPBACK
from devstack.seaweedfs import REGION, SeaweedFS
from learnosity.api.client import LearnosityClient
from learnosity.api.config import ApiConfig, Credentials
from learnosity.api.signed_urls import SignedTransfer
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import RunInfo, decode_files
from learnosity.errors import LearnosityError, TransferError
from learnosity.landing.begin import begin_landing
from learnosity.landing.land import land_shard
from learnosity.landing.listing import Listing, ResultSet
from learnosity.landing.publish import publish
from learnosity.results.outcomes import ResultFile
from learnosity.storage.obstore_store import ObstoreStore
from tests.component.landing_scene import s3_store
from tests.waiting import no_waiting

MIB = 1024 * 1024
SIZE = 12 * MIB + 7
LAYOUT = DatasetLayout("activity-summary-by-group", "33285a4b-0e6e-47e4-bade-78999ada14db")
RUN = RunInfo("dag", "run", None)
WORK = LAYOUT.work_prefix("run", "plan")
# A reply that is cut off after this many bytes has brought its head, and nearly nothing of the file.
HEAD_BYTES = 4096


class CuttingProxy:
    """Passes bytes on to a server, and cuts replies off.

    :param cuts: after how many bytes the replies of the next connections are cut off, one after the other.
    :param then: awaited once, after the first cut.
    """

    def __init__(self, port: int, cuts: list[int], then: Callable[[], Awaitable[object]]) -> None:
        self.cuts = cuts
        self._port = port
        self._then: Callable[[], Awaitable[object]] | None = then
        self._connections: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """End all connections."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        left = self.cuts.pop(0) if self.cuts else None
        behind_reader, behind = await asyncio.open_connection(LOOPBACK, self._port)
        there = asyncio.create_task(self._pass(reader, behind, None))
        try:
            # Cancelled: by `stop`, when the test has ended.
            with contextlib.suppress(asyncio.CancelledError):
                await self._answered(behind_reader, writer, left)
        finally:
            there.cancel()
            await asyncio.gather(there, return_exceptions=True)
            behind.close()
            writer.close()
            self._connections.discard(task)

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None) -> None:
        if await self._pass(reader, writer, left) and self._then is not None:
            then, self._then = self._then, None
            await then()

    @staticmethod
    async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter, left: int | None) -> bool:
        """:returns: whether it was cut off."""
        try:
            while data := await source.read(65_536):
                if left is not None:
                    data = data[:left]
                    left -= len(data)
                target.write(data)
                await target.drain()
                if left == 0:
                    return True
        except OSError:
            pass
        return False


class One(ResultSet):
    """A listing of one file, whose URL is signed anew each time.

    :param size: bytes that the listing names; None: it names none.
    """

    def __init__(self, client: LearnosityClient, bucket: S3Store, key: str, size: int | None) -> None:
        super().__init__(client, LAYOUT.dataset_type, LAYOUT.dataset_id)
        self._bucket = bucket
        self._key = key
        self._size = size

    async def list(self) -> Listing:
        listing = Listing()
        url = await obstore.sign_async(self._bucket, "GET", self._key, timedelta(minutes=10))
        listing.add(ResultFile("large.csv", bytes=self._size, content_type="text/csv"), url=url)
        return listing


class Changing:
    """A file at a real S3 server, behind a proxy that cuts connections, and a place to land it in."""

    def __init__(self, server: SeaweedFS, store: ObstoreStore) -> None:
        self.store = store
        self.key = f"{uuid.uuid4().hex}/large.csv"
        self._server = server
        self._source = server.store()

    async def write(self, content: bytes) -> None:
        """A new version of it."""
        await obstore.put_async(self._source, self.key, content, use_multipart=False)

    async def land(self, cuts: list[int], then: Callable[[], Awaitable[object]], listed: int | None) -> list[str]:
        """Land and publish it; returns the digests in files.ndjson."""
        async with self._proxy(CuttingProxy(urlsplit(self._server.endpoint).port or 0, cuts, then)) as url:
            # A signature is valid for one host only. The requests go to the proxy, so the URLs are signed for its host.
            keys = self._server.landing
            bucket = S3Store(
                self._server.bucket,
                endpoint=url,
                region=REGION,
                access_key_id=keys.access_key,
                secret_access_key=keys.secret_key,
                client_options={"allow_http": True},
            )
            async with AsyncExitStack() as stack:
                config = ApiConfig(Credentials("key", "secret"), base_url=url, trust_env=False)
                client = await stack.enter_async_context(LearnosityClient(config))
                transfer = await stack.enter_async_context(SignedTransfer(config))
                results = One(client, bucket, self.key, listed)
                await begin_landing(self.store, LAYOUT, results, work=WORK)
                await land_shard(self.store, LAYOUT, results, transfer, work=WORK, shard=0)
                await publish(
                    self.store,
                    LAYOUT,
                    work=WORK,
                    shards=1,
                    job_reference="job",
                    request={},
                    run=RUN,
                )
        return [entry.sha256 for entry in decode_files(await self.store.get(LAYOUT.files) or b"")]

    @staticmethod
    @asynccontextmanager
    async def _proxy(proxy: CuttingProxy) -> AsyncIterator[str]:
        server = await asyncio.start_server(proxy.connected, LOOPBACK, 0)
        try:
            yield f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            await proxy.stop()


@pytest.fixture
def changing(s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> Changing:
    """No waits between attempts."""
    no_waiting(monkeypatch)
    return Changing(s3_server, s3_store(s3_server))


async def nothing() -> None:
    pass


SIZES = [SIZE + 5, SIZE - 5, 9 * MIB, 5 * MIB, 100]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("listed", [SIZE, None], ids=["listed with its size", "listed without a size"])
async def test_what_is_cut_off_goes_on_where_it_was(changing: Changing, listed: int | None) -> None:
    content = os.urandom(SIZE)
    await changing.write(content)
    assert await changing.land([8 * MIB, 2 * MIB], nothing, listed) == [sha256(content)]


@pytest.mark.parametrize("cut", [HEAD_BYTES, 3 * MIB, 8 * MIB, SIZE - MIB])
@pytest.mark.parametrize("listed", [SIZE, None], ids=["listed with its size", "listed without a size"])
@pytest.mark.promise("whole or nothing")
async def test_a_file_of_the_same_length_lands_as_it_is_now(changing: Changing, listed: int | None, cut: int) -> None:
    old, new = os.urandom(SIZE), os.urandom(SIZE)
    await changing.write(old)
    assert await changing.land([cut], lambda: changing.write(new), listed) == [sha256(new)]
    assert await changing.store.get(LAYOUT.data("large.csv")) == new


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.promise("whole or nothing")
async def test_a_file_of_another_length_lands_as_it_is_now_or_not_at_all(changing: Changing, size: int) -> None:
    old, new = os.urandom(SIZE), os.urandom(size)
    await changing.write(old)
    # The listing names the old length: what is there now is not what was listed.
    with pytest.raises(TransferError):
        await changing.land([8 * MIB], lambda: changing.write(new), SIZE)
    assert await changing.store.get(LAYOUT.data("large.csv")) is None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.promise("whole or nothing")
async def test_a_file_of_another_length_that_nobody_listed_lands_as_it_is_now(changing: Changing, size: int) -> None:
    old, new = os.urandom(SIZE), os.urandom(size)
    await changing.write(old)
    assert await changing.land([8 * MIB], lambda: changing.write(new), None) == [sha256(new)]


async def test_a_file_that_is_gone_in_mid_stream_is_an_error(changing: Changing, s3_server: SeaweedFS) -> None:
    await changing.write(os.urandom(SIZE))
    with pytest.raises(LearnosityError):
        await changing.land([8 * MIB], lambda: obstore.delete_async(s3_server.store(), changing.key), SIZE)
    assert await changing.store.get(LAYOUT.data("large.csv")) is None
