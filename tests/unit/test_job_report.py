"""What a deferred wait tells the page: at a change of the job's state, and never so that the wait ends."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetXCom, SetXCom, XComResult

from learnosity.job_report import JOB_KEY, NOT_SEEN, JobState, report_job
from learnosity.trigger_requests import MOST_AT_ONCE

TASK = SimpleNamespace(dag_id="dag", run_id="run", task_id="wait_for_job", map_index=2)


class Supervisor:
    """Keeps XComs as the triggerer's supervisor does."""

    def __init__(self) -> None:
        self.set: list[SetXCom] = []

    async def asend(self, message: Any) -> Any:
        if isinstance(message, GetXCom):
            return XComResult(key=message.key, value=self.set[-1].value if self.set else None)
        self.set.append(message)
        return None


async def test_a_state_is_kept_once_with_the_time_of_its_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    for status, since in (("pending", 1.0), ("running", 2.0), ("running", 3.0)):
        await report_job(TASK, JobState(status, since))
    assert [each.value for each in supervisor.set] == [
        {"status": "pending", "since": 1.0},
        {"status": "running", "since": 2.0},
    ]
    kept = supervisor.set[0]
    assert (kept.key, kept.dag_id, kept.run_id, kept.task_id, kept.map_index) == (
        JOB_KEY,
        "dag",
        "run",
        "wait_for_job",
        2,
    )


async def test_a_poll_that_fails_is_kept_until_one_succeeds_and_the_state_keeps_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    for state in (
        JobState("", 0.5, "503"),
        JobState("", 0.6, "503"),
        JobState("running", 1.0),
        JobState("running", 2.0, "503"),
        JobState("", 3.0, "503"),
        JobState("running", 4.0),
        JobState("running", 5.0),
    ):
        assert await report_job(TASK, state)
    assert [each.value for each in supervisor.set] == [
        {"status": NOT_SEEN, "since": 0.5, "trouble": "503"},
        {"status": "running", "since": 1.0},
        {"status": "running", "since": 1.0, "trouble": "503"},
        {"status": "running", "since": 1.0},
    ]


class Broken:
    async def asend(self, message: Any) -> Any:
        raise OSError("the API server is away")


@pytest.mark.parametrize("task", [TASK, None])
@pytest.mark.parametrize("supervisor", [Broken(), None])
async def test_what_cannot_be_kept_ends_no_wait(supervisor: Any, task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    await report_job(task, JobState("running", 1.0))


async def test_of_very_many_at_once_some_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    answer = asyncio.Event()

    class Slow:
        async def asend(self, message: Any) -> Any:
            asked.append(message)
            await answer.wait()
            return None

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Slow(), raising=False)
    reports = [asyncio.create_task(report_job(TASK, JobState("running", 1.0))) for _ in range(200)]
    await asyncio.sleep(0)
    assert len(asked) == MOST_AT_ONCE
    answer.set()
    await asyncio.gather(*reports)
    await report_job(TASK, JobState("running", 1.0))
    assert len(asked) == 2 * MOST_AT_ONCE + 2
