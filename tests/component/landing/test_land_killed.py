"""Landing, killed at every write, out of room, in company, and from a source that changes: whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import json
import resource
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from obstore.store import LocalStore, MemoryStore

from learnosity.api.client import LearnosityClient
from learnosity.api.config import build_config
from learnosity.api.signed_urls import SignedTransfer
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import RunInfo
from learnosity.errors import IncompleteDatasetError, LearnosityError, TransientError, TransientStorageError
from learnosity.landing.begin import begin_landing
from learnosity.landing.land import land_shard
from learnosity.landing.listing import ResultSet
from learnosity.landing.plan import make_plan
from learnosity.landing.publish import publish
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.store import IsOwn, ObjectInfo, Store, every_path
from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, FaultRule, Simulator, SimulatorConfig
from tests.component.landing_scene import Chunks
from tests.waiting import no_waiting

TYPE = "ibk-analysis-by-question"


class Killed(BaseException):
    """The process is gone: nothing in it may handle this."""


@dataclass
class MortalStore:
    """A store at whose n-th change the process dies, before the change or after it; a consumer looks after each."""

    inner: Store
    at: int | None = None
    after: bool = False
    changes: int = 0
    failures: list[Exception] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    @property
    def uri(self) -> str:
        return self.inner.uri

    @property
    def is_local(self) -> bool:
        return self.inner.is_local

    async def _changing(self) -> bool:
        self.changes += 1
        if self.failures:
            raise self.failures.pop(0)
        if self.changes == self.at and not self.after:
            raise Killed
        return self.changes == self.at

    async def put(self, path: str, content: bytes | memoryview, *how: Any, **named: Any) -> str | None:
        dies = await self._changing()
        etag = await self.inner.put(path, content, *how, **named)
        self.seen.append(path)
        if dies:
            raise Killed
        return etag

    def memory_for(self, size: int | None) -> int:
        return self.inner.memory_for(size)

    async def put_stream(self, path: str, chunks: Chunks, *how: Any, **named: Any) -> str | None:
        dies = await self._changing()
        etag = await self.inner.put_stream(path, chunks, *how, **named)
        self.seen.append(path)
        if dies:
            raise Killed
        return etag

    async def replace(self, path: str, content: bytes, expected: ObjectInfo | None) -> bool:
        dies = await self._changing()
        replaced = await self.inner.replace(path, content, expected)
        self.seen.append(path)
        if dies:
            raise Killed
        return replaced

    async def get(self, path: str, *, limit: int | None = None) -> bytes | None:
        return await self.inner.get(path, limit=limit)

    async def head(self, path: str) -> ObjectInfo | None:
        return await self.inner.head(path)

    def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        return self.inner.list(prefix)

    async def folders(self, prefix: str) -> Sequence[str]:
        return await self.inner.folders(prefix)

    def list_keys(self) -> AsyncIterator[Sequence[ObjectInfo]]:
        return self.inner.list_keys()

    async def delete(self, paths: Sequence[str]) -> None:
        dies = await self._changing()
        await self.inner.delete(paths)
        if dies:
            raise Killed

    def read(self, path: str) -> Iterator[bytes]:
        return self.inner.read(path)

    async def discard_unfinished(self, prefix: str, is_own: IsOwn = every_path) -> int:
        return await self.inner.discard_unfinished(prefix, is_own)


@dataclass
class Source:
    """A finished dataset in a simulator, and the truth about it."""

    simulator: Simulator
    client: LearnosityClient
    transfer: SignedTransfer
    layout: DatasetLayout
    truth: dict[str, str]

    async def land(self, store: Store, *, work: str = "run", overwrite: bool = False) -> None:
        """One try of all three landing tasks."""
        results = ResultSet(self.client, self.layout.dataset_type, self.layout.dataset_id)
        folder = self.layout.work_prefix(work, "plan")
        plan = await begin_landing(store, self.layout, results, work=folder, shards=2, overwrite=overwrite)
        for shard in plan:
            await land_shard(store, self.layout, results, self.transfer, work=folder, shard=shard.shard)
        await publish(
            store, self.layout, work=folder, shards=len(plan), job_reference="a-job", request={},
            run=RunInfo("dag", work, None),
        )  # fmt: skip

    async def is_whole(self, store: Store) -> bool:
        """What a consumer sees: nothing (False), or a dataset that must be whole (True)."""
        manifest = await store.get(self.layout.manifest)
        if manifest is None:
            return False
        listing = await store.get(self.layout.files)
        assert listing is not None
        assert hashlib.sha256(listing).hexdigest() == json.loads(manifest)["files_sha256"]
        files = {each["path"]: each["sha256"] for each in map(json.loads, listing.splitlines())}
        assert files == self.truth
        for path, sha256 in files.items():
            content = await store.get(self.layout.data(path))
            assert content is not None
            assert hashlib.sha256(content).hexdigest() == sha256
        return True


@asynccontextmanager
async def finished(**switches: Any) -> AsyncIterator[Source]:
    """A simulator with a dataset whose job is done."""
    config = SimulatorConfig().with_changes({"job_seconds": 0.0, "analysis_users": 30} | switches)
    async with Simulator(config) as simulator:
        connection = build_config("t", login=DEMO_CONSUMER_KEY, password=DEMO_CONSUMER_SECRET, host=simulator.url)
        async with LearnosityClient(connection) as client, SignedTransfer(connection) as transfer:
            reply = await client.initialise({"dataset_type": TYPE, "file_count": 0, "options": {"fields": ["p_value"]}})
            layout = DatasetLayout(TYPE, str(reply.find("dataset_id")))
            async with asyncio.timeout(20):
                while not (await client.jobs([str(reply.find("job_reference"))]))[0].is_completed:
                    continue
            truth = await asyncio.to_thread(_truth, simulator, layout.dataset_id)
            yield Source(simulator, client, transfer, layout, truth)


def _truth(simulator: Simulator, dataset_id: str) -> dict[str, str]:
    from devstack import http

    reply = http.call("GET", f"{simulator.url}/_control/datasets/{dataset_id}/files")
    return {path: each["sha256"] for path, each in json.loads(reply.body).items()}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    no_waiting(monkeypatch)


def memory() -> ObstoreStore:
    return ObstoreStore(MemoryStore(), "memory://test")


class TestKilledAtEveryChange:
    @pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
    @pytest.mark.promise("whole or nothing")
    async def test_a_consumer_never_sees_half_a_dataset_and_the_next_try_publishes_it(self, after: bool) -> None:
        async with finished() as source:
            # `at` is the change of the store at which the landing dies. The first ones differ, so all of them are
            # tried. Later ones are alike: each seventh is tried, until `at` is past the last change and the landing
            # ends well.
            for at in (*range(1, 10), *range(10, 1000, 7)):
                inner = memory()
                try:
                    await source.land(MortalStore(inner, at, after=after))
                except (Killed, BaseExceptionGroup):
                    await source.is_whole(inner)
                    await source.land(inner)
                    assert await source.is_whole(inner)
                    left = [info.path async for batch in inner.list("") for info in batch]
                    assert not [path for path in left if "_landing" in path], f"notes were left after dying at {at}"
                else:
                    assert at > len(source.truth), "it never died"
                    return
        pytest.fail("it never ended")

    async def test_what_has_landed_and_was_noted_is_not_fetched_again(self) -> None:
        class DiesAtTheManifest(MortalStore):
            async def put(self, path: str, content: bytes | memoryview, *how: Any, **named: Any) -> str | None:
                if path.endswith("manifest.json"):
                    raise Killed
                return await super().put(path, content, *how, **named)

        async with finished() as source:
            inner = memory()
            with pytest.raises(Killed):
                await source.land(DiesAtTheManifest(inner))
            await source.land(inner)
            fetched = source.simulator.stats.file_gets[source.layout.dataset_id]
            assert dict(fetched) == dict.fromkeys(source.truth, 1)

    async def test_overwriting_shows_the_old_dataset_or_nothing_until_the_new_one_is_there(self) -> None:
        async with finished() as source:
            seen = set()
            for at in range(1, 12):
                inner = memory()
                await source.land(inner)
                store = MortalStore(inner, at, after=True)
                with pytest.raises((Killed, BaseExceptionGroup)):
                    await source.land(store, work="again", overwrite=True)
                # A consumer sees the whole dataset or nothing. Once a file was written again, it must see nothing: the
                # old manifest would name a file that has changed.
                whole, changed = await source.is_whole(inner), any("/data/" in path for path in store.seen)
                assert not (whole and changed), at
                seen.add((whole, changed))
                await source.land(inner, work="again", overwrite=True)
                assert await source.is_whole(inner)
            assert seen == {(True, False), (False, False), (False, True)}


class TestStoreTrouble:
    @pytest.mark.parametrize("moment", [0, 1, 3, 5])
    async def test_an_error_that_passes_costs_a_try_and_publishes_nothing_by_halves(self, moment: int) -> None:
        async with finished() as source:
            inner = memory()
            failing = TransientStorageError("503 SlowDown")

            class Failing(MortalStore):
                async def _changing(self) -> bool:
                    if self.changes == moment:
                        self.failures.append(failing)
                    return await super()._changing()

            store = Failing(inner)
            with pytest.raises(TransientError):
                await source.land(store)
            assert not await source.is_whole(inner)
            await source.land(inner)
            assert await source.is_whole(inner)

    async def test_a_disk_without_room_leaves_no_half_file_and_is_worth_another_try(self, tmp_path: Path) -> None:
        async with finished() as source:
            store = ObstoreStore(LocalStore(str(tmp_path)), f"file://{tmp_path}", is_local=True)
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
            try:
                with pytest.raises(TransientError, match="Could not write"):
                    await source.land(store)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
                signal.signal(signal.SIGXFSZ, handler)
            assert not await source.is_whole(store)
            await source.land(store)
            assert await source.is_whole(store)


class TestCompany:
    async def test_two_runs_that_land_the_same_dataset_at_once_both_end_with_it_whole(self) -> None:
        async with finished() as source:
            store = memory()
            await asyncio.gather(source.land(store, work="one"), source.land(store, work="two"))
            assert await source.is_whole(store)
            left = [info.path async for batch in store.list("") for info in batch]
            assert not [path for path in left if "_landing" in path]

    async def test_a_run_that_was_thought_dead_and_writes_on_does_no_harm(self) -> None:
        async with finished() as source:
            store = memory()
            both = (source.land(store, work="same"), source.land(store, work="same"))
            ends = await asyncio.gather(*both, return_exceptions=True)
            # The run that publishes first removes the notes in `_landing`, which the other run needs, too. So the other
            # run may still end well, or fail with a clear error.
            errors = [end for end in ends if isinstance(end, BaseException)]
            assert len(errors) <= 1
            assert all(isinstance(error, LearnosityError) for error in errors)
            assert await source.is_whole(store)

    @pytest.mark.promise("whole or nothing")
    async def test_a_consumer_that_reads_all_the_time_sees_nothing_and_then_everything(self) -> None:
        async with finished() as source:
            store = memory()
            run = asyncio.create_task(source.land(store))
            seen = []
            while not run.done():
                seen.append(await source.is_whole(store))
                await asyncio.sleep(0)
            await run
            assert sorted(seen) == seen, "once whole, always whole"
            assert await source.is_whole(store)


class TestSourceTrouble:
    async def test_a_dataset_that_changes_while_it_lands_is_not_published(self) -> None:
        async with finished() as source:
            store = memory()
            results = ResultSet(source.client, source.layout.dataset_type, source.layout.dataset_id)
            folder = source.layout.work_prefix("run", "plan")
            await make_plan(store, source.layout, results, work=folder)
            planned = await store.get(f"{folder}/plan-0000.ndjson")
            assert planned is not None
            vanished = planned.splitlines()[0].replace(b'.json"', b'-gone.json"').replace(b'.csv"', b'-gone.csv"')
            await store.put(f"{folder}/plan-0000.ndjson", vanished + b"\n" + planned)
            with pytest.raises(LearnosityError, match="changed while it was landed"):
                await land_shard(store, source.layout, results, source.transfer, work=folder, shard=0)
            with pytest.raises(IncompleteDatasetError, match="nothing was published"):
                await publish(
                    store, source.layout, work=folder, shards=1, job_reference="j", request={},
                    run=RunInfo("dag", "run", None),
                )  # fmt: skip
            assert not await source.is_whole(store)

    @pytest.mark.parametrize("kind", ["truncate", "wrong_length", "reset", "expired_url", "status", "rate_limited"])
    async def test_files_that_go_wrong_on_the_way_arrive_in_the_end(self, kind: Any) -> None:
        async with finished() as source:
            source.simulator.faults.add(FaultRule(match="file", kind=kind, every=2, times=3))
            store = memory()
            await source.land(store)
            assert await source.is_whole(store)

    @pytest.mark.parametrize("kind", ["truncate", "wrong_length", "reset", "expired_url", "status"])
    @pytest.mark.promise("whole or nothing")
    async def test_files_that_never_come_right_are_never_published(self, kind: Any) -> None:
        async with finished() as source:
            source.simulator.faults.add(FaultRule(match="file", kind=kind))
            store = memory()
            with pytest.raises(TransientError):
                await source.land(store)
            assert not await source.is_whole(store)
            source.simulator.faults.clear()
            await source.land(store)
            assert await source.is_whole(store)
