"""Creating a dataset against every shape the API may answer in."""

from __future__ import annotations

import itertools
import json
import uuid
from typing import Any

import pytest

from learnosity.api.dataset_request import DatasetRequest
from learnosity.errors import LearnosityError, PermanentApiError, RequestError
from tests.figures import Figures

from .conftest import SUMMARY, USERS, Bench, Memory, Start

SESSIONS = [
    json.dumps(
        {"user_id": f"u{n}", "groups": {"school": "s", "class": "c"}, "session_ids": [str(uuid.UUID(int=n))]}
    ).encode()
    for n in range(6)
]
ANALYSED = [json.dumps({"session_id": str(uuid.UUID(int=n))}).encode() for n in range(6)]


@pytest.mark.parametrize(
    ("set_reply_shape", "input_files_shape", "commence_reply_shape"),
    list(itertools.product(("object", "array"), ("strings", "objects"), ("object", "array"))),
)
async def test_a_dataset_is_created_whatever_the_shape_of_the_replies(
    start: Start, set_reply_shape: str, input_files_shape: str, commence_reply_shape: str
) -> None:
    bench = await start(
        set_reply_shape=set_reply_shape, input_files_shape=input_files_shape, commence_reply_shape=commence_reply_shape
    )
    states = Memory()
    created = await bench.finished(parts=3, states=states)
    assert (created.file_count, created.records, created.reattached) == (3, len(USERS), False)
    assert bench.sim.stats.jobs_started == {created.dataset_id: 1}
    assert sum(bench.sim.stats.put_bytes.values()) == created.bytes
    assert not bench.sim.stats.leaks, "no header of ours goes to the bucket"
    assert states.steps == [
        "initialising",
        "uploading",
        "uploading",
        "uploading",
        "uploading",
        "commencing",
        "started",
    ]


@pytest.mark.parametrize("require_dataset_id", [True, False])
async def test_the_id_that_was_asked_for_is_the_id_of_the_dataset(start: Start, require_dataset_id: bool) -> None:
    bench = await start(require_dataset_id=require_dataset_id)
    wanted = str(uuid.uuid4())
    assert (await bench.finished(dataset_id=wanted)).dataset_id == wanted


@pytest.mark.parametrize("set_reply_shape", ["object", "array"])
@pytest.mark.parametrize(
    ("request_object", "lines"),
    [
        pytest.param(SUMMARY, USERS, id="activity-summary"),
        pytest.param(
            DatasetRequest("sessions-summary-by-group", options=SUMMARY.options, groups=SUMMARY.groups),
            SESSIONS,
            id="sessions-summary",
        ),
        pytest.param(DatasetRequest("ibk-analysis-by-question"), [], id="item-bank-all"),
        pytest.param(DatasetRequest("ibk-analysis-by-question"), ANALYSED, id="item-bank-files"),
        pytest.param(
            DatasetRequest("activity-analysis-by-question", {"activity_id": ["maths"]}),
            [],
            id="activity-filters",
        ),
        pytest.param(DatasetRequest("activity-analysis-by-question"), ANALYSED, id="activity-files"),
    ],
)
async def test_all_types_go_with_and_without_files_where_the_type_allows_both(
    start: Start, request_object: DatasetRequest, lines: list[bytes], set_reply_shape: str
) -> None:
    bench = await start(set_reply_shape=set_reply_shape, analysis_users=20)
    created = await bench.finished(request_object, lines=lines, parts=1)
    assert created.file_count == bool(lines)
    assert bench.sim.stats.calls["set jobs/reports/datasets"] == bool(lines), "without files the job starts by itself"
    assert bench.sim.stats.jobs_started == {created.dataset_id: 1}


@pytest.mark.parametrize("summary_without_files", [True, False])
async def test_a_summary_without_files_is_left_to_the_server_when_it_gets_that_far(
    start: Start, summary_without_files: bool
) -> None:
    bench = await start(summary_without_files=summary_without_files)
    if summary_without_files:
        assert (await bench.create(lines=[])).job_reference
    else:
        with pytest.raises(PermanentApiError) as caught:
            await bench.create(lines=[])
        assert caught.value.code == 20004
        assert not bench.sim.stats.jobs_started


@pytest.mark.parametrize("duplicate_code", [20011, 30000])
@pytest.mark.parametrize("error_http", ["table", "200"])
async def test_an_id_that_is_taken_is_told_as_such_and_no_job_is_started(
    start: Start, duplicate_code: int, error_http: str
) -> None:
    bench = await start(duplicate_code=duplicate_code, error_http=error_http)
    wanted = str(uuid.uuid4())
    await bench.create(dataset_id=wanted)
    with pytest.raises(RequestError, match=r"exists already\. Leave dataset_id empty"):
        await bench.create(dataset_id=wanted)
    assert bench.sim.stats.jobs_started == {wanted: 1}


@pytest.mark.parametrize("recommence", ["conflict", "second_job"])
@pytest.mark.promise("re-attach")
async def test_a_retry_of_the_task_finds_its_job_and_starts_no_second_one(start: Start, recommence: str) -> None:
    bench = await start(recommence=recommence, job_seconds=60.0)
    states = Memory()
    first = await bench.create(states=states)
    again = await bench.create(states=states)
    assert (again.dataset_id, again.job_reference, again.reattached) == (first.dataset_id, first.job_reference, True)
    assert bench.sim.stats.jobs_started == {first.dataset_id: 1}


async def test_a_job_of_an_earlier_attempt_that_was_halted_is_not_waited_for_again(start: Start) -> None:
    bench = await start()
    bench.fault("job", "job_halt", times=1)
    states = Memory()
    first = await bench.create(states=states)
    assert (await bench.job(first.job_reference)).is_halted
    again = await bench.create(states=states)
    assert again.dataset_id != first.dataset_id
    assert (await bench.job(again.job_reference)).is_completed


@pytest.mark.parametrize("change", [{"written": "otherwise"}, {"lines": USERS[1:]}], ids=["request", "input"])
async def test_the_state_of_another_request_or_input_is_left_alone(start: Start, change: dict[str, Any]) -> None:
    bench = await start(job_seconds=60.0)
    states = Memory()
    first = await bench.create(states=states)
    assert (await bench.create(states=states, **change)).dataset_id != first.dataset_id


async def test_an_upload_that_is_larger_than_the_server_takes_ends_in_an_error_not_in_a_job(start: Start) -> None:
    bench = await start(max_upload_bytes=10)
    with pytest.raises(LearnosityError):
        await bench.create()
    assert not bench.sim.stats.jobs_started


async def test_parts_that_go_up_again_are_counted(start: Start) -> None:
    bench = await start()
    bench.transfer.metrics = figures = Figures()
    bench.fault("put", "status", status=503, times=2)
    assert await completed(bench)
    assert figures.counts == {("upload_retries",): 2}


async def test_strict_records_are_satisfied_by_what_the_package_sends(start: Start) -> None:
    bench = await start(strict_records=True, strict_request=True)
    assert await completed(bench)


async def completed(bench: Bench, **more: Any) -> bool:
    return (await bench.job((await bench.create(**more)).job_reference)).is_completed
