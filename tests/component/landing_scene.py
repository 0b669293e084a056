"""A finished dataset in a simulator, and a real S3 prefix to land it in: what the tests of landing share."""

from __future__ import annotations

import hashlib
import json
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from botocore.credentials import ReadOnlyCredentials  # type: ignore[import-untyped]

from devstack.seaweedfs import REGION, SeaweedFS
from devstack.secrets import KeyPair
from learnosity.api.client import LearnosityClient
from learnosity.api.config import ApiConfig, Credentials
from learnosity.api.dataset_request import DatasetRequest
from learnosity.api.signed_urls import SignedTransfer
from learnosity.creation.upload import upload_urls
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import FileEntry, Manifest, RunInfo, decode_files, read_manifest
from learnosity.landing.begin import begin_landing
from learnosity.landing.land import ShardResult, land_shard
from learnosity.landing.listing import ResultSet
from learnosity.landing.plan import Shard
from learnosity.landing.publish import publish
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.s3_signing import S3Signer
from learnosity.storage.store import IsOwn, ObjectInfo, Store, every_path
from learnosity.storage.streamed_put import StreamedPut
from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, FaultRule, Simulator, SimulatorConfig
from simulator.faults import FaultKind
from tests.waiting import no_waiting

if TYPE_CHECKING:
    from obstore.store import ClientConfig

REQUEST = DatasetRequest(
    dataset_type="activity-summary-by-group",
    filters={"activity_id": ["maths"]},
    options={
        "fields": ["population", "mean_score"],
        "default_sort_field": "mean_score",
        "user_fields": ["score"],
        "default_users_sort_field": "score",
    },
    groups=[{"key": "school", "label": "School"}, {"key": "class", "label": "Class"}],
)
USERS = b"".join(
    json.dumps({"user_id": f"u{n}", "groups": {"school": f"s{n % 4}", "class": f"c{n % 12}"}}).encode() + b"\n"
    for n in range(48)
)


@dataclass
class Scene:
    """One finished dataset, and where it is to land."""

    sim: Simulator
    client: LearnosityClient
    transfer: SignedTransfer
    layout: DatasetLayout
    store: Store
    work: str = ""

    def __post_init__(self) -> None:
        self.work = self.layout.work_prefix("run-1", "plan-1")

    @property
    def results(self) -> ResultSet:
        """The dataset's files at the API."""
        return ResultSet(self.client, self.layout.dataset_type, self.layout.dataset_id)

    @property
    def served(self) -> dict[str, Any]:
        """The files that the simulator holds, by name."""
        files: dict[str, Any] = self._dataset.results.files
        return files

    def unpacked(self, name: str) -> bytes:
        """The content of a file before it was compressed."""
        content: bytes = self._dataset.results.content(name)
        return content

    @property
    def gets(self) -> dict[str, int]:
        """How often each file was sent."""
        return dict(self.sim.stats.file_gets[self.layout.dataset_id])

    def fault(self, kind: FaultKind, match: str = "file", **more: Any) -> None:
        """Put one fault in force."""
        self.sim.faults.add(FaultRule(match=match, kind=kind, **more))

    def add_file(self, name: str, body: bytes) -> None:
        """One more result file, or another content of one that is there."""
        self._dataset.results.add(name, "application/json", body)

    def remove_file(self, name: str) -> None:
        """The dataset no longer holds it."""
        del self._dataset.results.files[name]

    async def plan(self, *, overwrite: bool = False, **more: Any) -> tuple[Shard, ...]:
        """What list_files does: no shard where a published dataset stays as it is."""
        return await begin_landing(self.store, self.layout, self.results, work=self.work, overwrite=overwrite, **more)

    async def land(self, shard: int = 0, *, store: Store | None = None, **more: Any) -> ShardResult:
        """What land_files does."""
        return await land_shard(
            store or self.store, self.layout, self.results, self.transfer, work=self.work, shard=shard, **more
        )

    async def publish(self, shards: int = 1, *, store: Store | None = None, **more: Any) -> Manifest:
        """What publish does."""
        return await publish(
            store or self.store,
            self.layout,
            work=self.work,
            shards=shards,
            job_reference="job",
            request=REQUEST.body(self.layout.dataset_id, 1),
            run=RunInfo("dag", self.work, None),
            **more,
        )

    async def landed(self) -> Manifest:
        """All three, one shard."""
        await self.plan()
        await self.land()
        return await self.publish()

    async def data(self, path: str) -> bytes | None:
        """A landed file."""
        return await self.store.get(self.layout.data(path))

    async def paths(self, prefix: str = "") -> set[str]:
        """Every object below the prefix."""
        return {info.path async for batch in self.store.list(prefix) for info in batch}

    async def manifest(self) -> Manifest | None:
        """The published manifest."""
        return await read_manifest(self.store, self.layout)

    async def listed(self) -> list[FileEntry]:
        """Lines of files.ndjson."""
        return decode_files(await self.store.get(self.layout.files) or b"")

    async def check_whole(self) -> None:
        """What a consumer would check: manifest, list of files, every byte; and that it is what was served."""
        manifest, files = await self.manifest(), await self.listed()
        assert manifest is not None
        assert [entry.path for entry in files] == sorted(self.served)
        assert manifest.file_count == len(files)
        assert manifest.total_bytes == sum(entry.bytes for entry in files)
        for entry in files:
            content = await self.data(entry.path)
            assert content is not None
            assert hashlib.sha256(content).hexdigest() == entry.sha256 == self.served[entry.path].sha256
            assert len(content) == entry.bytes

    @property
    def _dataset(self) -> Any:
        return self.sim._running.datasets[self.layout.dataset_id]


Chunks = AsyncIterator[bytes | memoryview]


@dataclass
class Passing:
    """A store that hands everything on; tests override what they want to watch or break."""

    inner: Store

    @property
    def uri(self) -> str:
        return self.inner.uri

    @property
    def is_local(self) -> bool:
        return self.inner.is_local

    async def put(self, path: str, content: bytes | memoryview, *how: Any, **named: Any) -> str | None:
        return await self.inner.put(path, content, *how, **named)

    def memory_for(self, size: int | None) -> int:
        return self.inner.memory_for(size)

    async def put_stream(self, path: str, chunks: Chunks, *how: Any, **named: Any) -> str | None:
        return await self.inner.put_stream(path, chunks, *how, **named)

    async def get(self, path: str, *, limit: int | None = None) -> bytes | None:
        return await self.inner.get(path, limit=limit)

    async def replace(self, path: str, content: bytes, expected: ObjectInfo | None) -> bool:
        return await self.inner.replace(path, content, expected)

    async def head(self, path: str) -> Any:
        return await self.inner.head(path)

    async def folders(self, prefix: str) -> Sequence[str]:
        return await self.inner.folders(prefix)

    def list_keys(self) -> Any:
        return self.inner.list_keys()

    def list(self, prefix: str) -> Any:
        return self.inner.list(prefix)

    async def delete(self, paths: Any) -> None:
        await self.inner.delete(paths)

    def read(self, path: str) -> Any:
        return self.inner.read(path)

    async def discard_unfinished(self, prefix: str, is_own: IsOwn = every_path) -> int:
        return await self.inner.discard_unfinished(prefix, is_own)


StartScene = Callable[..., Awaitable[Scene]]


def s3_store(server: SeaweedFS, prefix: str | None = None) -> ObstoreStore:
    """A prefix of the test server that holds nothing yet."""
    prefix = prefix or uuid.uuid4().hex
    return ObstoreStore(server.store(prefix=prefix), f"s3://landing/{prefix}")


def frozen(keys: KeyPair) -> ReadOnlyCredentials:
    """Keys in the form that botocore signs with."""
    return ReadOnlyCredentials(keys.access_key, keys.secret_key, None)


def tls_store(server: SeaweedFS, *, keys: KeyPair | None = None, single_puts_to: str | None = None) -> ObstoreStore:
    """The same over TLS, where large files go in one request each.

    :param single_puts_to: another server for those requests.
    """
    prefix = uuid.uuid4().hex
    store, uri = server.store(prefix=prefix, keys=keys, tls=True), f"s3://landing/{prefix}"
    assert server.certificate is not None
    address = f"{(single_puts_to or server.tls_endpoint or '').rstrip('/')}/landing"
    signer = S3Signer(address, prefix, REGION, lambda: frozen(keys or server.landing))
    client: ClientConfig = {"root_certificate": server.certificate.read_bytes()} if single_puts_to is None else {}
    single_put = StreamedPut(signer, uri, client)
    return ObstoreStore(store, uri, single_put=single_put)


@pytest.fixture
async def scene(s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StartScene]:
    """Starts a simulator with switches given as keywords and lets it finish a dataset; no retry waits."""
    no_waiting(monkeypatch)
    async with AsyncExitStack() as stack:

        async def begin(**switches: Any) -> Scene:
            settings = SimulatorConfig().with_changes({"job_seconds": 0.0} | switches)
            sim = await stack.enter_async_context(Simulator(settings))
            credentials = Credentials(DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET)
            config = ApiConfig(credentials, base_url=sim.url, trust_env=False)
            client = await stack.enter_async_context(LearnosityClient(config))
            transfer = await stack.enter_async_context(SignedTransfer(config))
            spool = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
            spool.write(USERS)
            spool.flush()

            dataset_id = str(uuid.uuid4())
            reply = await client.initialise(REQUEST.body(dataset_id, 1))
            await transfer.put(upload_urls(reply, 1)[0], spool, 0, len(USERS))
            reference = await client.commence(REQUEST.dataset_type, dataset_id)
            while not (await client.jobs([reference]))[0].is_terminal:
                continue
            sim.stats.reset()
            layout = DatasetLayout(REQUEST.dataset_type, dataset_id)
            return Scene(sim, client, transfer, layout, s3_store(s3_server))

        yield begin
