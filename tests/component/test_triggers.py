"""The trigger: one event, whatever happens, with ids and words in it and nothing else."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time import task_runner, xcom
from airflow.sdk.execution_time.comms import SetXCom
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from learnosity import end_in_triggerer, trigger_requests, triggers
from learnosity.api import poll_intervals, polling, refusals
from learnosity.api.client import LearnosityClient
from learnosity.api.jobs import Job
from learnosity.api.poll_intervals import PollResult
from learnosity.errors import PermanentApiError, TransientError
from learnosity.job_report import JobState
from learnosity.trigger_requests import MOST_AT_ONCE
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


def trigger(reference: str, *, seconds: float = 60, end_in_triggerer: bool = False) -> LearnosityJobTrigger:
    now = time.time()
    return LearnosityJobTrigger(reference, CONN, 15, now + seconds, now, end_in_triggerer=end_in_triggerer)


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

        async def tell(task_instance: Any, state: JobState) -> bool:
            told.append(state.status)
            return True

        monkeypatch.setattr(triggers, "report_job", tell)
        simulator.faults.add(FaultRule(match="job", kind="job_hang"))
        await event_of(trigger(await a_job(simulator), seconds=0.5))
        assert told
        assert len(set(told)) == len(told)

    @pytest.mark.parametrize("kept", [True, False])
    async def test_polls_that_fail_are_told_once_with_the_connection_and_again_when_they_succeed(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, kept: bool
    ) -> None:
        told: list[JobState] = []

        async def tell(task_instance: Any, state: JobState) -> bool:
            told.append(state)
            return kept

        monkeypatch.setattr(triggers, "report_job", tell)
        reference = await a_job(simulator)
        simulator.faults.add(FaultRule(match="get jobs", kind="status", status=503, times=4))
        simulator.faults.add(FaultRule(match="job", kind="job_hang"))
        await event_of(trigger(reference, seconds=1))
        (first,) = [each for each in told if each.trouble]
        assert told[0] == first
        assert f"The Learnosity connection was '{CONN}', the host 127.0.0.1" in first.trouble
        assert DEMO_CONSUMER_SECRET not in first.trouble
        assert not any(each.trouble for each in told[1:])
        assert told[1:]

    async def test_the_page_does_not_keep_a_trouble_that_is_over_although_reports_are_left_out(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[JobState] = []
        kept: list[JobState] = []

        async def tell(task_instance: Any, state: JobState) -> bool:
            told.append(state)
            if len(told) in (1, 3):  # the next poll fails
                simulator.faults.add(FaultRule(match="get jobs", kind="status", status=503, times=1))
            if len(told) not in (3, 4):
                kept.append(state)
            return kept[-1:] == [state]

        monkeypatch.setattr(triggers, "report_job", tell)
        simulator.faults.add(FaultRule(match="job", kind="job_hang"))
        await event_of(trigger(await a_job(simulator), seconds=2))
        assert [bool(each.trouble) for each in told[:5]] == [False, True, False, True, False]
        assert not kept[-1].trouble

    async def test_a_halted_job_with_its_own_error(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match="job", kind="job_halt", message="bad line 7"))
        event = await event_of(trigger(await a_job(simulator)))
        assert (event["status"], event["error"]) == ("halted", "bad line 7")

    async def test_the_deadline(self, simulator: Simulator) -> None:
        simulator.faults.add(FaultRule(match="job", kind="job_hang"))
        reference = await a_job(simulator)
        assert await event_of(trigger(reference, seconds=-1)) == {"status": "timeout", "job_reference": reference}

    async def test_the_deadline_for_a_job_that_is_not_listed_says_what_to_check(self, simulator: Simulator) -> None:
        event = await event_of(trigger("never-heard-of", seconds=-1))
        assert (event["status"], event["job_reference"]) == ("timeout", "never-heard-of")
        assert "check job_reference and the connection" in event["message"]

    @pytest.mark.parametrize(("status", "code"), [(502, 10000), (403, 41003)], ids=["failed", "refused"])
    async def test_the_deadline_says_why_the_last_poll_failed(
        self, simulator: Simulator, status: int, code: int
    ) -> None:
        reference = await a_job(simulator)
        simulator.faults.add(FaultRule(match="get jobs", kind="status", status=status, code=code))
        event = await event_of(trigger(reference, seconds=-1))
        assert event["status"] == "timeout"
        assert event["message"].startswith("The last poll failed: ")
        assert f"code {code}" in event["message"]
        assert DEMO_CONSUMER_SECRET not in str(event)

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
        monkeypatch.setattr(refusals, "MISCONFIGURED_SECONDS", 0.05)
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN.upper()}", json.dumps({"conn_type": "learnosity", "login": "k" * 16}))
        event = await event_of(trigger(await a_job(simulator)))
        assert (event["status"], event["kind"]) == ("error", "ConnectionConfigError")
        assert "consumer secret" in event["message"]

    @pytest.mark.promise("no secret")
    async def test_hold_no_secret(self, simulator: Simulator) -> None:
        event = await event_of(trigger(await a_job(simulator)))
        assert DEMO_CONSUMER_SECRET not in json.dumps(event)


class Supervisor:
    """Stores XComs as the triggerer's supervisor does, or fails."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem = problem
        self.results: list[SetXCom] = []

    async def asend(self, message: Any) -> None:
        if isinstance(message, SetXCom) and message.key == "return_value":
            self.results.append(message)
            if self.problem is not None:
                raise self.problem


TASK = SimpleNamespace(dag_id="dag", run_id="run", task_id="wait_for_job", map_index=2)


@pytest.mark.usefixtures("connection")
class TestTheEndInTheTriggerer:
    @staticmethod
    async def the_end(
        reference: str, supervisor: Any, monkeypatch: pytest.MonkeyPatch, *, task: Any = TASK, seconds: float = 60
    ) -> TriggerEvent:
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
        waiting = trigger(reference, seconds=seconds, end_in_triggerer=True)
        waiting.task_instance = task
        async with asyncio.timeout(20):
            (event,) = [event async for event in waiting.run()]
        return event

    async def test_of_a_completed_job(self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        supervisor, reference = Supervisor(), await a_job(simulator)
        event = await self.the_end(reference, supervisor, monkeypatch)
        assert isinstance(event, TaskSuccessEvent)
        assert event.xcoms is None, "Airflow would encode it twice"
        (stored,) = supervisor.results
        assert (stored.value, stored.dag_id, stored.run_id, stored.task_id, stored.map_index) == (
            reference,
            "dag",
            "run",
            "wait_for_job",
            2,
        )

    @pytest.mark.parametrize("error", [None, "3 of 4 input files could not be read"])
    async def test_of_a_job_with_an_error_warns(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Any
    ) -> None:
        async def last_of(self: LearnosityJobTrigger, results: Any) -> PollResult:
            return PollResult(Job("a-job", "completed", error=error), final=True)

        monkeypatch.setattr(LearnosityJobTrigger, "_last_of", last_of)
        assert isinstance(await self.the_end("a-job", Supervisor(), monkeypatch), TaskSuccessEvent)
        assert ("could not be read" in capsys.readouterr().out) is bool(error)

    @pytest.mark.parametrize("task", [TASK, None])
    @pytest.mark.parametrize("supervisor", [Supervisor(OSError("the API server is away")), None])
    async def test_but_in_a_worker_where_the_result_cannot_be_stored(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, supervisor: Any, task: Any
    ) -> None:
        reference = await a_job(simulator)
        event = await self.the_end(reference, supervisor, monkeypatch, task=task)
        assert not isinstance(event, TaskSuccessEvent)
        assert event.payload == {"status": "completed", "job_reference": reference, "error": None}

    @pytest.mark.parametrize(("fault", "seconds", "status"), [("job_halt", 60, "halted"), ("job_hang", -1, "timeout")])
    async def test_is_never_that_of_another_wait(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, fault: Any, seconds: float, status: str
    ) -> None:
        simulator.faults.add(FaultRule(match="job", kind=fault))
        supervisor = Supervisor()
        event = await self.the_end(await a_job(simulator), supervisor, monkeypatch, seconds=seconds)
        assert not isinstance(event, TaskSuccessEvent)
        assert event.payload["status"] == status
        assert not supervisor.results

    async def test_stores_what_the_xcom_backend_makes_of_the_result(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        threads: list[str] = []

        class Elsewhere(BaseXCom):
            @staticmethod
            def serialize_value(value: Any, **place: Any) -> str:
                threads.append(threading.current_thread().name)
                return f"stored elsewhere: {value} of {place['task_id']}"

        monkeypatch.setattr(xcom, "XCom", Elsewhere)
        supervisor, reference = Supervisor(), await a_job(simulator)
        assert isinstance(await self.the_end(reference, supervisor, monkeypatch), TaskSuccessEvent)
        assert [each.value for each in supervisor.results] == [f"stored elsewhere: {reference} of wait_for_job"]
        assert threads != [threading.main_thread().name], "a backend may block"

    async def test_is_in_a_worker_if_storing_takes_too_long(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Silent(Supervisor):
            async def asend(self, message: Any) -> None:
                if isinstance(message, SetXCom):
                    await asyncio.Event().wait()

        monkeypatch.setattr(trigger_requests, "SECONDS", 0.05)
        event = await self.the_end(await a_job(simulator), Silent(), monkeypatch)
        assert event.payload["status"] == "completed"
        assert not end_in_triggerer._RESULTS.under_way

    async def test_does_not_hide_that_the_wait_is_cancelled(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = asyncio.Event()

        class Silent(Supervisor):
            async def asend(self, message: Any) -> None:
                if isinstance(message, SetXCom) and message.key == "return_value":
                    asked.set()
                    await asyncio.Event().wait()

        ending = asyncio.create_task(self.the_end(await a_job(simulator), Silent(), monkeypatch))
        async with asyncio.timeout(20):
            await asked.wait()
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        assert not end_in_triggerer._RESULTS.under_way

    @pytest.mark.parametrize("transient", [True, False])
    async def test_is_never_that_of_a_wait_that_failed(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, transient: bool
    ) -> None:
        supervisor, reference = Supervisor(), await a_job(simulator)
        waiting = trigger(reference, end_in_triggerer=True)
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
        waiting.task_instance = TASK  # type: ignore[assignment]
        failed = TransientError("gone") if transient else PermanentApiError("no")

        async def last_of(results: Any) -> PollResult:
            return PollResult(error=failed, final=True)

        monkeypatch.setattr(waiting, "_last_of", last_of)
        (event,) = [event async for event in waiting.run()]
        assert event.payload["status"] == ("interrupted" if transient else "error")
        assert not isinstance(event, TaskSuccessEvent)
        assert not supervisor.results

    async def test_of_very_many_at_once_is_in_a_worker_for_some(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        full, answer = asyncio.Event(), asyncio.Event()

        class Slow(Supervisor):
            async def asend(self, message: Any) -> None:
                await super().asend(message)
                if self.results and message is self.results[-1]:
                    if len(self.results) == MOST_AT_ONCE:
                        full.set()
                    await answer.wait()

        supervisor, reference = Slow(), await a_job(simulator)
        ends = [asyncio.create_task(self.the_end(reference, supervisor, monkeypatch)) for _ in range(80)]
        async with asyncio.timeout(20):
            await full.wait()
            for end in asyncio.as_completed(ends):
                await end
                if sum(each.done() for each in ends) == 80 - MOST_AT_ONCE:
                    break
        assert len(supervisor.results) == MOST_AT_ONCE
        answer.set()
        events = await asyncio.gather(*ends)
        assert sum(isinstance(event, TaskSuccessEvent) for event in events) == MOST_AT_ONCE


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


def test_a_wait_of_an_older_release_is_resumed_in_a_worker() -> None:
    _, arguments = trigger("a-job").serialize()
    for added in ("dataset_type", "end_in_triggerer"):
        del arguments[added]
    assert not LearnosityJobTrigger(**arguments).end_in_triggerer


def test_a_restart_of_the_triggerer_does_not_move_the_deadline() -> None:
    _, arguments = trigger("a-job", seconds=100).serialize()
    assert arguments["deadline"] - arguments["started"] == pytest.approx(100, abs=1)


async def test_on_kill_says_that_the_job_runs_on(capsys: pytest.CaptureFixture[str]) -> None:
    await trigger("a-job").on_kill()
    assert "cannot be cancelled" in capsys.readouterr().out
