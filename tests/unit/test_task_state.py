"""What a task notes of its dataset, in Airflow's task state store: plain JSON in, the same state out."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from learnosity.creation.state import CreationState, RequestIdentity
from learnosity.errors import PermanentError, TransientError
from learnosity.task_state import ATTEMPTS, KEY, TaskCreationStates, how_to_start_over
from tests.waiting import no_waiting

STATE = CreationState(
    dataset_id="an-id",
    step="uploading",
    file_count=3,
    since=1_790_000_000,
    uploaded=(0, 2),
    records=5,
    bytes=7,
    sealed_urls="x",
    known_jobs=("a-job",),
    identity=RequestIdentity("account", "request", "input"),
    request={"dataset_type": "t", "filters": {"activity_id": ["maths"]}, "organisation_id": 7},
    attempt="an-attempt",
)
START_OVER = how_to_start_over("a_dag", "a_run", "create_dataset")


class FakeStore:
    """What the task state store does: keeps JSON, refuses the rest."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.threads: set[int] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.threads.add(threading.get_ident())
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value: Any) -> None:
        self.threads.add(threading.get_ident())
        assert json.loads(json.dumps(value)) == value, "the store takes plain JSON values only"
        self.values[key] = json.dumps(value)


def states(store: FakeStore) -> TaskCreationStates:
    return TaskCreationStates(store, START_OVER)


async def test_comes_back_as_it_was() -> None:
    store = FakeStore()
    await states(store).save(STATE)
    assert await states(store).load() == STATE


async def test_nothing_is_nothing() -> None:
    assert await states(FakeStore()).load() is None


RUBBISH = [
    1,
    "text",
    [],
    {},
    {"step": "done"},
    {"fingerprint": None},
    {"dataset_id": "d", "step": "finished", "file_count": 1, "since": 0},
    {"dataset_id": "d", "step": "started", "file_count": "one", "since": 0},
]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=str)
@pytest.mark.promise("advice")
async def test_notes_that_cannot_be_read_are_not_taken_for_none_because_a_job_may_run(rubbish: Any) -> None:
    store = FakeStore()
    store.set(KEY, rubbish)
    with pytest.raises(PermanentError, match=r"cannot be read .* not started a second time") as caught:
        await states(store).load()
    assert START_OVER in str(caught.value)
    assert store.get(KEY) == rubbish, "whoever looks into it finds it as it was"


async def test_notes_of_a_later_version_with_more_in_them_can_be_read() -> None:
    store = FakeStore()
    await states(store).save(STATE)
    store.set(KEY, {**store.get(KEY), "something_new": 1})
    assert await states(store).load() == STATE


async def test_notes_of_release_one_can_be_read() -> None:
    store = FakeStore()
    store.set(
        KEY,
        {
            "fingerprint": "f" * 64, "dataset_id": "an-id", "step": "started", "file_count": 3, "since": 1_790_000_000,
            "uploaded": [0, 1, 2], "job_reference": "a-job", "records": 5, "bytes": 7, "input_sha256": "0" * 64,
            "sealed_urls": None, "known_jobs": [],
        },
    )  # fmt: skip
    state = await states(store).load()
    assert state is not None
    assert (state.dataset_id, state.step, state.job_reference) == ("an-id", "started", "a-job")
    assert (state.identity, state.request) == (RequestIdentity("", ""), {})


class UnwillingStore(FakeStore):
    """Refuses so many calls, as while the API server starts anew."""

    refusals = 0

    def get(self, key: str, default: Any = None) -> Any:
        self._refuse()
        return super().get(key, default)

    def set(self, key: str, value: Any) -> None:
        self._refuse()
        super().set(key, value)

    def _refuse(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"message": "refused"}))


async def test_a_store_that_is_away_for_a_moment_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = no_waiting(monkeypatch)
    store = UnwillingStore()
    store.refusals = ATTEMPTS - 1
    await states(store).save(STATE)
    store.refusals = ATTEMPTS - 1
    assert await states(store).load() == STATE
    assert len(waits) == 2 * (ATTEMPTS - 1)


async def test_a_store_that_stays_away_costs_a_try_and_is_not_taken_for_an_empty_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    no_waiting(monkeypatch)
    store = UnwillingStore()
    for call in (states(store).save(STATE), states(store).load()):
        store.refusals = ATTEMPTS
        with pytest.raises(TransientError, match="Airflow did not"):
            await call
        assert store.refusals == 0, "it was asked more often than that"


async def test_the_blocking_store_is_kept_out_of_the_event_loop() -> None:
    store = FakeStore()
    await states(store).save(STATE)
    await states(store).load()
    assert threading.get_ident() not in store.threads


@pytest.mark.parametrize(
    ("run_id", "map_index", "address"),
    [
        ("a_run", -1, "/api/v2/dags/a_dag/dagRuns/a_run/taskInstances/create_dataset/state-store/learnosity_dataset"),
        (
            "manual__2026-11-28T10:00:00+00:00/1",
            -1,
            "/api/v2/dags/a_dag/dagRuns/manual__2026-11-28T10%3A00%3A00%2B00%3A00%2F1/taskInstances/create_dataset"
            "/state-store/learnosity_dataset",
        ),
        (
            "a_run",
            0,
            "/api/v2/dags/a_dag/dagRuns/a_run/taskInstances/create_dataset/state-store/learnosity_dataset?map_index=0",
        ),
    ],
    ids=["plain", "quoted", "mapped"],
)
def test_how_to_start_over_is_a_call_that_can_be_sent_as_it_stands(run_id: str, map_index: int, address: str) -> None:
    told = how_to_start_over("a_dag", run_id, "create_dataset", map_index)
    assert told == f"DELETE {address}, then clear create_dataset with its downstream tasks"
