"""A small client of the simulator for its own tests: signs a call, and walks the whole flow where a test needs one."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from yarl import URL

from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, Simulator, SimulatorConfig
from simulator.security import sign

FORM = "application/x-www-form-urlencoded"
ACTIVITY_SUMMARY: dict[str, Any] = {
    "dataset_type": "activity-summary-by-group",
    "file_count": 1,
    "filters": {"activity_id": ["maths", "reading"]},
    "options": {
        "fields": ["population", "group_count", "mean_score", "p25_percent", "mean_percent"],
        "default_sort_field": "mean_percent",
        "user_fields": ["score", "max_score"],
        "default_users_sort_field": "score",
    },
    "groups": [{"key": "school", "label": "School"}, {"key": "class", "label": "Class"}],
}
USERS = "".join(
    json.dumps({"user_id": f"u{n}", "groups": {"school": f"s{n % 2}", "class": f"c{n % 4}"}}) + "\n" for n in range(40)
).encode()


@dataclass
class Answer:
    """What came back: HTTP status, decoded body (None when it is no JSON), text and headers."""

    status: int
    body: Any
    text: str
    headers: Mapping[str, str]

    @property
    def code(self) -> int | None:
        """The application error code, if any."""
        return self.body["meta"].get("code") if self.body else None

    @property
    def data(self) -> Any:
        """The data of a reply that must be a success."""
        assert self.body is not None, self.text
        assert self.body["meta"]["status"] is True, self.text
        return self.body["data"]


class Client:
    """A signed client of one simulator."""

    def __init__(self, sim: Simulator, http: aiohttp.ClientSession) -> None:
        self.sim = sim
        self.http = http

    async def call(
        self, endpoint: str, action: str, request: Any, version: str = "v2026.2.LTS", **security: str
    ) -> Answer:
        """One call, signed freshly; keywords override fields of the security object."""
        text = request if isinstance(request, str) else json.dumps(request, ensure_ascii=False)
        packet = {
            "consumer_key": DEMO_CONSUMER_KEY,
            "domain": "localhost",
            "timestamp": time.strftime("%Y%m%d-%H%M", time.gmtime()),
        } | security
        packet.setdefault("signature", sign(DEMO_CONSUMER_SECRET, packet, text, action))
        form = {"security": json.dumps(packet), "request": text, "action": action}
        async with self.http.post(f"{self.sim.url}/{version}/{endpoint}", data=form) as response:
            raw = await response.text()
            body = json.loads(raw) if response.content_type == "application/json" else None
            return Answer(response.status, body, raw, response.headers)

    async def put(self, url: str, body: Any, **headers: str) -> tuple[int, str]:
        """Upload; returns status and text."""
        sent = {"Content-Type": FORM} | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.put(URL(url, encoded=True), data=body, headers=sent) as response:
            return response.status, await response.text()

    async def get(self, url: str, **headers: str) -> tuple[int, bytes, Mapping[str, str]]:
        """Download; returns status, body and headers."""
        async with self.http.get(URL(url, encoded=True), headers=headers) as response:
            return response.status, await response.read(), response.headers

    async def job(self, reference: str, *ends: str) -> dict[str, Any]:
        """Poll a job until it is in one of the given states (default: an end)."""
        async with asyncio.timeout(20):
            while True:
                (job,) = (await self.call("jobs", "get", {"references": [reference]})).data
                if job["status"] in (ends or ("completed", "halted")):
                    return dict(job)
                await asyncio.sleep(0.01)

    async def until(self, reached: Callable[[], Awaitable[bool]]) -> None:
        """Wait, up to 20 s, for something that the simulator does in its own time."""
        async with asyncio.timeout(20):
            while True:
                if await reached():
                    return
                await asyncio.sleep(0.01)

    async def initialised(self, request: dict[str, Any] | None = None) -> tuple[dict[str, str], list[str]]:
        """Initialise a dataset; returns what names it, and its upload URLs."""
        asked = {"dataset_id": str(uuid.uuid4())} | (request or ACTIVITY_SUMMARY)
        data = (await self.call("reports/datasets", "set", asked)).data
        return {"dataset_id": data["dataset_id"], "dataset_type": data["dataset_type"]}, data["input_files"]

    async def commenced(self, body: bytes = USERS, request: dict[str, Any] | None = None) -> tuple[dict[str, str], str]:
        """Initialise, upload, commence; returns what names the dataset, and the job's reference."""
        named, urls = await self.initialised(request)
        for url in urls:
            assert (await self.put(url, body))[0] == 200
        return named, (await self.call("jobs/reports/datasets", "set", named)).data["job_reference"]

    async def finished(self, body: bytes = USERS, request: dict[str, Any] | None = None) -> dict[str, str]:
        """A completed dataset; returns what names it."""
        named, reference = await self.commenced(body, request)
        job = await self.job(reference)
        assert job["status"] == "completed", job
        return named


Start = Callable[..., Awaitable[Client]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts simulators with switches given as keywords; all stop at the end of the test."""
    async with AsyncExitStack() as stack:

        async def begin(**switches: Any) -> Client:
            config = SimulatorConfig().with_changes({"job_seconds": 0.0} | switches)
            sim = await stack.enter_async_context(Simulator(config))
            return Client(sim, await stack.enter_async_context(aiohttp.ClientSession()))

        yield begin


@pytest.fixture
async def client(start: Start) -> Client:
    """A client of a simulator with the default switches and jobs that take no time."""
    return await start()
