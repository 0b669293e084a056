"""The handle in Airflow's task state store: plain JSON in, the same handle out, rubbish counts as nothing."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from learnosity import task_state
from learnosity.creation.state import Handle
from learnosity.errors import TransientError
from learnosity.task_state import KEY, TaskHandleStore

HANDLE = Handle("print", "an-id", "uploading", 3, 1_790_000_000, uploaded=(0, 2), records=5, bytes=7, sealed_urls="x")


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


async def test_comes_back_as_it_was() -> None:
    store = FakeStore()
    await TaskHandleStore(store).save(HANDLE)
    assert await TaskHandleStore(store).load() == HANDLE


async def test_nothing_is_nothing() -> None:
    assert await TaskHandleStore(FakeStore()).load() is None


@pytest.mark.parametrize("rubbish", [1, "text", [], {}, {"step": "done"}, {"fingerprint": None}], ids=str)
async def test_notes_that_cannot_be_read_count_as_none(rubbish: Any) -> None:
    store = FakeStore()
    store.set(KEY, rubbish)
    assert await TaskHandleStore(store).load() is None


async def test_notes_of_a_later_version_with_more_in_them_can_be_read() -> None:
    store = FakeStore()
    await TaskHandleStore(store).save(HANDLE)
    store.set(KEY, {**store.get(KEY), "something_new": 1})
    assert await TaskHandleStore(store).load() == HANDLE


class UnwillingStore(FakeStore):
    """Refuses so many times first, as while the API server starts anew."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    def set(self, key: str, value: Any) -> None:
        self.refusals -= 1
        if self.refusals >= 0:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"message": "refused"}))
        super().set(key, value)


async def test_a_store_that_is_away_for_a_moment_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_state, "SAVE_AGAIN_SECONDS", (0.0, 0.0, 0.0))
    store = UnwillingStore(3)
    await TaskHandleStore(store).save(HANDLE)
    assert await TaskHandleStore(store).load() == HANDLE


async def test_a_store_that_stays_away_costs_a_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_state, "SAVE_AGAIN_SECONDS", (0.0, 0.0, 0.0))
    with pytest.raises(TransientError, match="did not keep the task's state"):
        await TaskHandleStore(UnwillingStore(4)).save(HANDLE)


async def test_the_blocking_store_is_kept_out_of_the_event_loop() -> None:
    store = FakeStore()
    await TaskHandleStore(store).save(HANDLE)
    await TaskHandleStore(store).load()
    assert threading.get_ident() not in store.threads
