"""A whole fleet of processes starts its datasets in the same moment, with one key and the real quota of SETs.

Each has a client, and so a pacing, of its own, as tasks on different machines have; no Airflow slows them down.
"""

from __future__ import annotations

import asyncio
import time

from learnosity.api.client import LearnosityClient
from learnosity.api.config import build_config
from learnosity.api.dataset_request import DatasetRequest
from learnosity.api.signed_urls import SignedTransfer
from learnosity.creation.create import create_dataset
from learnosity.creation.state import CreationState, RequestIdentity
from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, Simulator

FLEET = 120
REQUEST = DatasetRequest(dataset_type="ibk-analysis-by-question", options={"fields": ["item_reference", "p_value"]})


class Memory:
    """Keeps the state of one task."""

    state: CreationState | None = None

    async def load(self) -> CreationState | None:
        return self.state

    async def save(self, state: CreationState) -> None:
        self.state = state


async def no_input() -> None:
    """These datasets have no input files."""


async def no_files() -> str:
    """Nor any to look at."""
    return ""


async def test_a_fleet_larger_than_the_quota_starts_every_dataset_once_and_none_fails() -> None:
    async with Simulator() as simulator:
        config = build_config("simulator", login=DEMO_CONSUMER_KEY, password=DEMO_CONSUMER_SECRET, host=simulator.url)

        async def process(number: int) -> str:
            async with LearnosityClient(config) as client, SignedTransfer(config) as transfer:
                created = await create_dataset(
                    client,
                    transfer,
                    REQUEST,
                    Memory(),
                    identity=RequestIdentity(config.account, str(number)),
                    prepare=no_input,
                    identify_input=no_files,
                )
                return created.dataset_id

        started = time.monotonic()
        ids = await asyncio.gather(*(process(number) for number in range(FLEET)))
        seconds = time.monotonic() - started
        assert len(set(ids)) == FLEET
        assert dict(simulator.stats.jobs_started) == dict.fromkeys(ids, 1)
        assert simulator.stats.rate_limited > 0, f"{FLEET} at once in {seconds:.0f} s must have met the quota"
