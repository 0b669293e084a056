"""One call at a time: what is retried, what is not, and what an error says."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
import traceback
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from learnosity.api.client import LearnosityClient
from learnosity.api.config import ApiConfig, Credentials
from learnosity.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    NotReadyError,
    PermanentApiError,
    TransientApiError,
    UnexpectedReplyError,
)
from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET
from simulator.errors import ERRORS
from tests.figures import Figures

from .conftest import SUMMARY, Bench, Start

Call = Callable[[Bench], Awaitable[Any]]


async def get(bench: Bench) -> Any:
    return await bench.client.jobs()


async def initialise(bench: Bench) -> Any:
    return await bench.client.initialise(SUMMARY.body(str(uuid.uuid4()), 1))


async def commence(bench: Bench) -> Any:
    return await bench.client.commence(SUMMARY.dataset_type, str(uuid.uuid4()))


GET = pytest.param(get, "get jobs", id="get")
SETS = [
    pytest.param(initialise, "set reports/datasets", id="initialise"),
    pytest.param(commence, "set jobs/reports/datasets", id="commence"),
]

PASSING: list[tuple[str, dict[str, Any]]] = [
    ("status", {"status": 500, "code": 10000}),
    ("status", {"status": 500, "code": 50100}),
    ("status", {"status": 502, "body": "<html>Bad gateway</html>"}),
    ("status", {"status": 503, "body": ""}),
    ("status", {"status": 504, "body": "timed out"}),
    ("status", {"status": 408, "body": ""}),
    ("non_json", {}),
    ("reset", {}),
    ("lost_reply", {}),
    ("truncate", {}),
]
IDS = [f"{kind}-{more.get('status', '')}{more.get('code', '')}".rstrip("-") for kind, more in PASSING]


@pytest.mark.parametrize(("kind", "more"), PASSING, ids=IDS)
@pytest.mark.promise("transient with backoff")
async def test_a_get_is_tried_again_until_a_transient_failure_has_passed(
    start: Start, waits: list[float], kind: str, more: dict[str, Any]
) -> None:
    bench = await start()
    bench.fault("get jobs", kind, times=3, **more)
    assert await bench.client.jobs() == []
    assert bench.sim.stats.calls["get jobs"] == 4
    assert len(waits) == 3
    assert waits[0] <= 1.0
    assert waits == sorted(waits), "the waits grow"


async def test_a_get_gives_up_after_its_attempts_with_the_last_error(start: Start) -> None:
    bench = await start(attempts=3)
    bench.fault("get jobs", "status", status=503, body="")
    with pytest.raises(TransientApiError, match="HTTP 503"):
        await bench.client.jobs()
    assert bench.sim.stats.calls["get jobs"] == 3


@pytest.mark.parametrize(("call", "target"), SETS)
@pytest.mark.parametrize(("kind", "more"), PASSING, ids=IDS)
@pytest.mark.promise("no blind SET")
async def test_a_set_whose_effect_is_not_known_is_never_sent_again(
    start: Start, call: Call, target: str, kind: str, more: dict[str, Any]
) -> None:
    bench = await start(unknown_dataset_code=20004)
    bench.fault(target, kind, **more)
    with pytest.raises(TransientApiError) as caught:
        await call(bench)
    assert not caught.value.nothing_done
    assert bench.sim.stats.calls[target] == 1


@pytest.mark.parametrize("target", ["get jobs", "set reports/datasets"])
async def test_a_reply_that_does_not_come_in_time_is_a_transient_error(start: Start, target: str) -> None:
    bench = await start(attempts=2, connection={"timeout": 0.1})
    bench.fault(target, "latency", seconds=0.6)
    with pytest.raises(TransientApiError, match="timed out"):
        await (get(bench) if target == "get jobs" else initialise(bench))
    assert bench.sim.stats.calls[target] == (2 if target == "get jobs" else 1)


@pytest.mark.parametrize(("call", "target"), [GET, SETS[0]])
@pytest.mark.parametrize("retry_after", [None, 3])
@pytest.mark.promise("transient with backoff")
async def test_a_429_is_tried_again_after_the_window_or_when_the_server_says(
    start: Start, waits: list[float], call: Call, target: str, retry_after: int | None
) -> None:
    bench = await start()
    bench.fault(target, "rate_limited", times=2, retry_after=retry_after)
    await call(bench)
    assert bench.sim.stats.calls[target] == 3
    asked = 5.0 if retry_after is None else 3.0
    for attempt, wait in enumerate(waits):
        assert asked + 0.5 * 2.0**attempt <= wait <= asked + 2.0**attempt


async def test_a_429_that_comes_as_http_200_is_tried_again_for_a_set_too(start: Start, waits: list[float]) -> None:
    bench = await start()
    bench.fault("set reports/datasets", "status", status=200, code=42000, times=1)
    await initialise(bench)
    assert bench.sim.stats.calls["set reports/datasets"] == 2
    assert waits[0] >= 5.0


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("window", ["sliding", "fixed"])
async def test_the_servers_own_quota_is_survived(start: Start, waits: list[float], header: bool, window: str) -> None:
    bench = await start(
        quota_get=2, rate_window_seconds=0.05, rate_window=window, retry_after_header=header, attempts=200
    )
    await asyncio.gather(*(bench.client.jobs() for _ in range(6)))
    assert bench.sim.stats.codes[42000] == len(waits) > 0
    assert 1 <= min(waits) <= 2 if header else min(waits) >= 5


async def test_calls_retries_and_refusals_are_counted_by_endpoint_and_action(start: Start) -> None:
    bench = await start()
    bench.client.metrics = figures = Figures()
    bench.fault("get jobs", "status", status=503, times=2)
    bench.fault("set reports/datasets", "status", status=429, code=42000, times=1)
    await bench.client.jobs()
    await initialise(bench)
    assert figures.counts == {
        ("api_calls", "jobs", "get"): 3,
        ("api_retries", "jobs", "get"): 2,
        ("api_calls", "reports/datasets", "set"): 2,
        ("api_retries", "reports/datasets", "set"): 1,
        ("api_rate_limited", "reports/datasets", "set"): 1,
    }


@pytest.mark.parametrize("call", [get, initialise])
async def test_a_refused_connection_is_tried_again_for_a_set_too_because_nothing_was_sent(
    start: Start, closed_port: int, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    bench = await start()
    config = dataclasses.replace(bench.config, base_url=f"http://127.0.0.1:{closed_port}")
    async with LearnosityClient(config, attempts=3) as client:
        with pytest.raises(TransientApiError, match="failed") as caught:
            await call(dataclasses.replace(bench, client=client))
    assert caught.value.nothing_done
    assert "attempt 2: " in caplog.text, "two failures were each followed by a try"
    assert "attempt 3: " not in caplog.text


@pytest.mark.parametrize("code", [41004, 41007])
@pytest.mark.parametrize(("call", "target"), [GET, SETS[0]])
async def test_a_clock_error_is_worth_one_fresh_signature_and_no_more(
    start: Start, call: Call, target: str, code: int
) -> None:
    bench = await start()
    bench.fault(target, "status", status=ERRORS[code][0], code=code, times=1)
    await call(bench)
    assert bench.sim.stats.calls[target] == 2

    bench.fault(target, "status", status=ERRORS[code][0], code=code)
    with pytest.raises(AuthenticationError) as caught:
        await call(bench)
    assert caught.value.code == code
    assert bench.sim.stats.calls[target] == 4


@pytest.mark.parametrize(
    "switches", [{"timestamp_past_seconds": -120.0}, {"timestamp_future_seconds": -120.0}], ids=["past", "future"]
)
async def test_a_clock_that_is_off_ends_in_advice(start: Start, switches: dict[str, float]) -> None:
    bench = await start(**switches)
    with pytest.raises(AuthenticationError, match="Check this machine's clock"):
        await bench.client.jobs()
    assert bench.sim.stats.codes[41004] == 2


@pytest.mark.parametrize("envelope", ["table", "200"])
@pytest.mark.parametrize("code", [code for code in ERRORS if code not in (10000, 50100, 42000, 41004, 41007)])
@pytest.mark.promise("permanent at once")
async def test_a_permanent_error_is_told_at_once_whatever_its_http_status(
    start: Start, waits: list[float], code: int, envelope: str
) -> None:
    bench = await start()
    bench.fault("get jobs", "status", status=200 if envelope == "200" else ERRORS[code][0], code=code)
    with pytest.raises(PermanentApiError) as caught:
        await bench.client.jobs()
    assert caught.value.code == code
    assert caught.value.host == urlsplit(bench.client.config.url("jobs")).netloc
    assert not caught.value.transient
    assert bench.sim.stats.calls["get jobs"] == 1
    assert waits == []


@pytest.mark.parametrize("error_http", ["table", "200"])
@pytest.mark.parametrize("duplicate_code", [20011, 30000])
async def test_an_id_that_is_taken_is_a_conflict(start: Start, duplicate_code: int, error_http: str) -> None:
    bench = await start(duplicate_code=duplicate_code, error_http=error_http)
    request = SUMMARY.body(str(uuid.uuid4()), 1)
    await bench.client.initialise(request)
    with pytest.raises(ConflictError) as caught:
        await bench.client.initialise(request)
    assert caught.value.code == duplicate_code


@pytest.mark.parametrize("error_http", ["table", "200"])
@pytest.mark.parametrize("code", [20004, 20012, 50000])
async def test_an_unknown_dataset_is_a_permanent_error(start: Start, code: int, error_http: str) -> None:
    bench = await start(unknown_dataset_code=code, error_http=error_http)
    for call in (commence(bench), bench.client.dataset(SUMMARY.dataset_type, str(uuid.uuid4()))):
        with pytest.raises(PermanentApiError) as caught:
            await call
        assert caught.value.code == code
        assert isinstance(caught.value, NotReadyError) == (code == 50000)


async def test_a_job_that_is_started_before_its_input_is_there_is_refused(start: Start) -> None:
    bench = await start(missing_files="refuse")
    reply = await initialise(bench)
    with pytest.raises(NotReadyError, match="Not all input files were there"):
        await bench.client.commence(SUMMARY.dataset_type, str(reply.find("dataset_id")))


async def test_a_job_that_is_started_before_its_input_is_there_may_also_halt(start: Start) -> None:
    bench = await start(missing_files="halt")
    reply = await initialise(bench)
    reference = await bench.client.commence(SUMMARY.dataset_type, str(reply.find("dataset_id")))
    assert (await bench.job(reference)).is_halted


@pytest.mark.parametrize("call", [get, initialise])
async def test_a_redirect_is_never_followed(start: Start, waits: list[float], call: Call) -> None:
    bench = await start(plain_http="redirect")
    with pytest.raises(PermanentApiError, match=r"redirect \(HTTP 301\), which is never followed"):
        await call(bench)
    assert not bench.sim.stats.calls, "nothing came by the address of the redirect"
    assert waits == []


async def test_plain_http_that_is_forbidden_is_a_permanent_error(start: Start) -> None:
    bench = await start(plain_http="forbid")
    with pytest.raises(PermanentApiError, match="use https"):
        await bench.client.jobs()


async def test_an_address_without_version_ends_in_advice_not_in_a_parse_error(start: Start) -> None:
    bench = await start(connection={"version": "nothing"})
    with pytest.raises(PermanentApiError, match="Check host and `version` of the connection"):
        await bench.client.jobs()


@pytest.mark.parametrize(
    ("switches", "connection", "code", "says"),
    [
        ({"minimum_version": "2030.1"}, {}, 43000, "Pin a newer `version`"),
        ({"withdrawn": ["jobs"]}, {}, 42001, "Pin a newer `version`"),
        ({"allowed_domains": ["school.example"]}, {}, 41005, "extra `domain`"),
        ({}, {"credentials": Credentials(DEMO_CONSUMER_KEY, "another secret")}, 41003, "consumer secret (password)"),
        ({}, {"credentials": Credentials("0123456789ABCDEF", DEMO_CONSUMER_SECRET)}, 41002, "consumer key (login)"),
        ({}, {"credentials": Credentials("short", DEMO_CONSUMER_SECRET)}, 41001, "parameter length"),
    ],
)
@pytest.mark.promise("advice")
async def test_what_is_wrong_with_the_connection_is_told_with_what_to_do(
    start: Start, switches: dict[str, Any], connection: dict[str, Any], code: int, says: str
) -> None:
    bench = await start(connection=connection, **switches)
    with pytest.raises(PermanentApiError, match=re.escape(says)) as caught:
        await bench.client.check()
    assert caught.value.code == code


async def test_the_check_of_a_connection_tells_the_version_served(start: Start) -> None:
    assert await (await start()).client.check() == "v1.85.0"


async def test_the_item_bank_of_the_connection_goes_with_dataset_calls_unless_they_name_one(start: Start) -> None:
    bench = await start(connection={"organisation_id": 77}, linked_organisations=[78])
    with pytest.raises(AuthenticationError) as caught:
        await initialise(bench)
    assert caught.value.code == 40003
    assert await bench.client.jobs() == [], "on the job list it would be a filter"
    request = dataclasses.replace(SUMMARY, organisation_id=78).body(str(uuid.uuid4()), 1)
    assert (await bench.client.initialise(request)).find("dataset_id") == request["dataset_id"]


@pytest.mark.parametrize("jobs_status_default", ["all", "completed"])
@pytest.mark.parametrize("dt_completed_pending", ["null", "absent"])
@pytest.mark.parametrize("job_results_key", [True, False])
async def test_a_running_job_is_seen_whatever_the_server_lists_by_default(
    start: Start, jobs_status_default: str, dt_completed_pending: str, job_results_key: bool
) -> None:
    bench = await start(
        jobs_status_default=jobs_status_default,
        dt_completed_pending=dt_completed_pending,
        job_results_key=job_results_key,
        job_type="anything",
        job_seconds=60.0,
    )
    created = await bench.create()
    (job,) = await bench.client.jobs([created.job_reference])
    assert (job.reference, job.is_terminal, job.dt_completed) == (created.job_reference, False, None)


@pytest.mark.parametrize("job_error_shape", ["string", "object"])
async def test_a_halted_job_tells_its_error_whatever_its_shape(start: Start, job_error_shape: str) -> None:
    bench = await start(job_error_shape=job_error_shape)
    bench.fault("job", "job_halt", message="No sessions were found")
    job = await bench.job((await bench.create()).job_reference)
    assert job.is_halted
    assert "No sessions were found" in str(job.error)


@pytest.mark.parametrize("malformed_input", ["halt", "skip"])
async def test_input_that_is_no_ndjson_may_halt_the_job(start: Start, malformed_input: str) -> None:
    bench = await start(malformed_input=malformed_input)
    created = await bench.create(lines=[b'{"user_id":"u1","groups":{"school":"s","class":"c"}}', b"{oops"])
    job = await bench.job(created.job_reference)
    assert job.is_halted == (malformed_input == "halt")
    assert bool(job.error) == job.is_halted


async def test_a_job_that_nobody_knows_is_absent_not_an_error(start: Start) -> None:
    assert await (await start()).client.jobs([str(uuid.uuid4())]) == []


async def test_only_fifty_jobs_can_be_asked_for_at_once(start: Start) -> None:
    bench = await start()
    with pytest.raises(ValueError, match="at most 50"):
        await bench.client.jobs([str(n) for n in range(51)])
    assert await bench.client.jobs([str(n) for n in range(50)]) == []


async def test_a_reply_without_a_job_reference_is_told_as_such(start: Start) -> None:
    bench = await start()
    body = '{"meta":{"status":true},"data":{}}'
    bench.fault("set jobs/reports/datasets", "status", status=200, body=body)
    with pytest.raises(UnexpectedReplyError, match="has no `job_reference`"):
        await commence(bench)


async def test_a_hundred_calls_at_once_go_over_one_session(start: Start) -> None:
    bench = await start()
    replies = await asyncio.gather(*(bench.client.jobs() for _ in range(100)))
    assert replies == [[]] * 100


async def test_a_client_outside_its_context_says_so(start: Start) -> None:
    client = LearnosityClient((await start()).config)
    with pytest.raises(RuntimeError, match="outside its context"):
        await client.jobs()


@pytest.mark.promise("no secret")
async def test_no_failure_shows_the_secret_or_a_signature_in_error_log_or_repr(
    start: Start, caplog: pytest.LogCaptureFixture, closed_port: int
) -> None:
    caplog.set_level(logging.DEBUG)
    bench = await start(attempts=2, connection={"timeout": 0.5})
    shown = [repr(bench.client), repr(bench.config), str(vars(bench.client))]
    faults: list[tuple[str, dict[str, Any]]] = [
        *PASSING,
        ("latency", {"seconds": 0.8}),
        ("rate_limited", {}),
        ("status", {"status": 403, "code": 41003}),
        ("status", {"status": 301, "body": ""}),
    ]
    for kind, more in faults:
        bench.sim.faults.clear()
        bench.fault("*", kind, **more)
        for call in (get, initialise, commence):
            with pytest.raises(ApiError) as caught:
                await call(bench)
            shown += [repr(caught.value), *traceback.format_exception(caught.value)]
    for base_url in (f"http://127.0.0.1:{closed_port}", "http://no-such-host.invalid", "https://127.0.0.1:1"):
        config: ApiConfig = dataclasses.replace(bench.config, base_url=base_url)
        async with LearnosityClient(config, attempts=1) as client:
            with pytest.raises(TransientApiError) as caught:
                await client.jobs()
        shown += [repr(caught.value), *traceback.format_exception(caught.value)]
    text = "\n".join([*shown, caplog.text])
    assert "Trying again" in caplog.text, "the log was looked at"
    assert DEMO_CONSUMER_SECRET not in text
    assert not re.search(r"\$0[12]\$", text)
    assert '"signature"' not in text
