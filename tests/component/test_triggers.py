"""The trigger: one event, whatever happens, with ids and words in it and nothing else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from airflow.triggers.base import TriggerEvent

from learnosity import triggers
from learnosity.api import poll_intervals, polling
from learnosity.api.client import LearnosityClient
from learnosity.job_report import JobState
from learnosity.triggers import LearnosityJobTrigger
from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, FaultRule, Simulator, SimulatorConfig

CONN = "learnosity_trigger_test"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll_intervals, "poll_delay", lambda rounds, interval: 0.02)
    monkeypatch.setattr(polling, "GATHER_SECONDS", 0.005)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorConfig(job_seconds=0.1)) as running:
        yield running


@pytest.fixture
def connection(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    found: dict[str, Any] = {
        "conn_type": "learnosity",
        "host": simulator.url,
        "login": DEMO_CONSUMER_KEY,
        "password": DEMO_CONSUMER_SECRET,
    }
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN.upper()}", json.dumps(found))
    yield found


async def a_job(simulator: Simulator) -> str:
    """Start a job that needs no input."""
    from learnosity.api.config import build_config

    config = build_config("test", login=DEMO_CONSUMER_KEY, password=DEMO_CONSUMER_SECRET, host=simulator.url)
    async with LearnosityClient(config) as client:
        reply = await client.initialise({"dataset_type": "ibk-analysis-by-question", "file_count": 0})
    return str(reply.find("job_reference"))


def trigger(reference: str, *, seconds: float = 60) -> LearnosityJobTrigger:
    return LearnosityJobTrigger(reference, CONN, 15, time.time() + seconds, time.time())


async def event_of(waiting: LearnosityJobTrigger) -> dict[str, Any]:
    async with asyncio.timeout(20):
        events: list[TriggerEvent] = [event async for event in waiting.run()]
    assert len(events) == 1
    payload: dict[str, Any] = events[0].payload
    return payload


@pytest.mark.usefixtures("connection")
class TestEvents:
    async def test_a_completed_job(self, simulator: Simulator) -> None:
        reference = await a_job(simulator)
        assert await event_of(trigger(reference)) == {"status": "completed", "job_reference": reference, "error": None}

    async def test_each_state_of_the_job_is_told_once(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[str] = []

        async def tell(task_instance: Any, state: JobState) -> None:
            told.append(state.status)

        monkeypatch.setattr(triggers, "report_job", tell)
        simulator.faults.add(FaultRule(match="job", kind="job_hang"))
        await event_of(trigger(await a_job(simulator), seconds=0.5))
        assert told
        assert len(set(told)) == len(told)

    async def test_a_halted_job_with_its_own_error(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match="job", kind="job_halt", message="bad line 7"))
        event = await event_of(trigger(await a_job(simulator)))
        assert (event["status"], event["error"]) == ("halted", "bad line 7")

    async def test_the_deadline(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match="job", kind="job_hang"))
        reference = await a_job(simulator)
        assert await event_of(trigger(reference, seconds=-1)) == {"status": "timeout", "job_reference": reference}

    @pytest.mark.parametrize("kind", ["status", "rate_limited", "reset", "lost_reply", "truncate", "non_json"])
    async def test_no_fault_of_the_api_ends_the_wait(self, simulator: Simulator, kind: Any) -> None:
        simulator.faults.add(FaultRule(match="get jobs", kind=kind, times=3))
        assert (await event_of(trigger(await a_job(simulator))))["status"] == "completed"

    async def test_a_key_that_was_rotated_meanwhile_is_read_again(
        self, simulator: Simulator, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reference = await a_job(simulator)
        variable = f"AIRFLOW_CONN_{CONN.upper()}"
        monkeypatch.setenv(variable, json.dumps(connection | {"password": "x" * 40}))
        waiting = asyncio.create_task(event_of(trigger(reference)))
        async with asyncio.timeout(20):
            while not simulator.stats.codes[41003]:  # noqa: ASYNC110  (not ours to signal)
                await asyncio.sleep(0.005)
        monkeypatch.setenv(variable, json.dumps(connection))
        assert (await waiting)["status"] == "completed"

    async def test_a_missing_connection_in_the_end(self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(polling, "MISCONFIGURED_SECONDS", 0.05)
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN.upper()}", json.dumps({"conn_type": "learnosity", "login": "k" * 16}))
        event = await event_of(trigger(await a_job(simulator)))
        assert event["status"] == "error"
        assert "consumer secret" in event["message"]

    @pytest.mark.promise("no secret")
    async def test_hold_no_secret(self, simulator: Simulator) -> None:
        event = await event_of(trigger(await a_job(simulator)))
        assert DEMO_CONSUMER_SECRET not in json.dumps(event)


@pytest.mark.usefixtures("connection")
async def test_a_hundred_triggers_share_one_session(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions: list[aiohttp.ClientSession] = []
    real = aiohttp.ClientSession

    def counted(*args: Any, **kwargs: Any) -> aiohttp.ClientSession:
        sessions.append(real(*args, **kwargs))
        return sessions[-1]

    reference = await a_job(simulator)
    monkeypatch.setattr(aiohttp, "ClientSession", counted)
    events = await asyncio.gather(*(event_of(trigger(reference)) for _ in range(100)))
    assert {event["status"] for event in events} == {"completed"}
    assert len(sessions) == 1
    assert sessions[0].closed


def test_survives_the_way_through_the_database() -> None:
    waiting = trigger("a-job")
    path, arguments = waiting.serialize()
    assert path == "learnosity.triggers.LearnosityJobTrigger"
    again = LearnosityJobTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)


def test_a_restart_of_the_triggerer_does_not_move_the_deadline() -> None:
    _, arguments = trigger("a-job", seconds=100).serialize()
    assert arguments["deadline"] - arguments["started"] == pytest.approx(100, abs=1)


async def test_on_kill_says_that_the_job_runs_on(capsys: pytest.CaptureFixture[str]) -> None:
    await trigger("a-job").on_kill()
    assert "cannot be cancelled" in capsys.readouterr().out
