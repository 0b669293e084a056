"""The client side against a simulator in the same process, with any of its switches set; no Airflow."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from learnosity.api.client import LearnosityClient
from learnosity.api.config import ApiConfig, Credentials
from learnosity.api.dataset_request import DatasetRequest
from learnosity.api.jobs import Job
from learnosity.api.signed_urls import SignedTransfer
from learnosity.creation.create import create_dataset
from learnosity.creation.state import CreatedDataset, CreationState, RequestIdentity
from learnosity.creation.upload import Upload
from learnosity.inputs.upload_parts import Part
from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, FaultRule, Simulator, SimulatorConfig
from tests.waiting import no_waiting

SUMMARY = DatasetRequest(
    dataset_type="activity-summary-by-group",
    filters={"activity_id": ["maths", "reading"]},
    options={
        "fields": ["population", "group_count", "mean_score", "mean_percent"],
        "default_sort_field": "mean_percent",
        "user_fields": ["score", "max_score"],
        "default_users_sort_field": "score",
    },
    groups=[{"key": "school", "label": "Écôle"}, {"key": "class", "label": "Class"}],
)
USERS = [
    json.dumps({"user_id": f"u{n}", "groups": {"school": f"s{n % 2}", "class": f"c{n % 4}"}}).encode()
    for n in range(12)
]


@dataclass
class Memory:
    """Keeps the state of one test."""

    state: CreationState | None = None
    steps: list[str] = field(default_factory=list)

    async def load(self) -> CreationState | None:
        return self.state

    async def save(self, state: CreationState) -> None:
        self.state = state
        self.steps.append(state.step)


@dataclass
class Bench:
    """One simulator and what talks to it."""

    sim: Simulator
    config: ApiConfig
    client: LearnosityClient
    transfer: SignedTransfer

    def fault(self, match: str, kind: str, **more: Any) -> None:
        """Put one fault in force."""
        self.sim.faults.add(FaultRule(match=match, kind=kind, **more))  # type: ignore[arg-type]

    async def create(
        self, request: DatasetRequest = SUMMARY, lines: list[bytes] | None = None, parts: int = 2, **more: Any
    ) -> CreatedDataset:
        """Create a dataset over `lines`, in `parts` files; an empty list means none."""
        records = USERS if lines is None else lines

        async def prepare() -> Upload | None:
            return spooled(records, parts) if records else None

        async def identify_input() -> str:
            return digest_of(records)

        states = more.pop("states", None) or Memory()
        identity = RequestIdentity(self.config.account, more.pop("written", "as written"))
        return await create_dataset(
            self.client,
            self.transfer,
            request,
            states,
            identity=identity,
            prepare=prepare,
            identify_input=identify_input,
            **more,
        )

    async def job(self, reference: str) -> Job:
        """The job when it has ended."""
        async with asyncio.timeout(20):
            while True:
                (job,) = await self.client.jobs([reference])
                if job.is_terminal:
                    return job
                await asyncio.sleep(0.01)

    async def finished(self, request: DatasetRequest = SUMMARY, **more: Any) -> CreatedDataset:
        """A dataset whose job has completed."""
        created = await self.create(request, **more)
        job = await self.job(created.job_reference)
        assert job.is_completed, job
        return created

    async def content(self, url: str) -> bytes:
        """What a signed URL serves."""
        async with self.transfer.get(url) as download:
            assert download.length is not None
            return bytes(await download.read(download.length))


def spooled(lines: list[bytes], parts: int) -> Upload:
    """Lines as an upload of so many parts, cut at line ends."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is collected
    cuts, size = [], -(-len(lines) // parts)
    for index in range(parts):
        start = file.tell()
        file.writelines(line + b"\n" for line in lines[index * size : (index + 1) * size])
        cuts.append(Part(index, start, file.tell() - start))
    file.flush()
    digest = digest_of(lines)
    return Upload(file, cuts, len(lines), file.tell(), digest, digest)


def digest_of(lines: list[bytes]) -> str:
    """Tells one input from another."""
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


Start = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts simulators with switches given as keywords; all stop at the end of the test."""
    async with AsyncExitStack() as stack:

        async def begin(*, attempts: int = 6, connection: dict[str, Any] | None = None, **switches: Any) -> Bench:
            settings = SimulatorConfig().with_changes({"job_seconds": 0.0} | switches)
            sim = await stack.enter_async_context(Simulator(settings))
            credentials = Credentials(DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET)
            plain = ApiConfig(credentials, base_url=sim.url, trust_env=False)
            config = dataclasses.replace(plain, **(connection or {}))
            client = await stack.enter_async_context(LearnosityClient(config, attempts=attempts))
            return Bench(sim, config, client, await stack.enter_async_context(SignedTransfer(config)))

        yield begin


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts of a call, in seconds: noted, not waited for."""
    return no_waiting(monkeypatch)
