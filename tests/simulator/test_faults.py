"""Faults on demand: when a rule strikes, and what each kind does to a call."""

from __future__ import annotations

import io
import json
import uuid
from typing import Any

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import FaultRule
from simulator.faults import FaultBook

from .conftest import ACTIVITY_SUMMARY, USERS, Client, Start

CUT = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


def struck(rule: FaultRule, calls: int = 6, seed: int = 1) -> list[int]:
    book = FaultBook(seed)
    book.add(rule)
    return [number for number in range(1, calls + 1) if book.draw("get jobs")]


def test_a_rule_strikes_each_call_unless_it_says_otherwise() -> None:
    assert struck(FaultRule(match="get jobs", kind="reset")) == [1, 2, 3, 4, 5, 6]
    assert struck(FaultRule(match="get *", kind="reset", nth=3)) == [3]
    assert struck(FaultRule(match="*", kind="reset", every=2)) == [2, 4, 6]
    assert struck(FaultRule(match="*", kind="reset", every=2, times=1)) == [2]
    assert struck(FaultRule(match="*", kind="reset", times=2)) == [1, 2]
    assert struck(FaultRule(match="put", kind="reset")) == []
    assert struck(FaultRule(match="*", name="groups/*", kind="reset")) == []


@given(st.integers(), st.floats(0.2, 0.8))
def test_chance_is_repeatable(seed: int, probability: float) -> None:
    rule = FaultRule(match="*", kind="reset", probability=probability)
    first = struck(rule, 200, seed)
    assert first == struck(rule, 200, seed)
    assert 0 < len(first) < 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"match": "put", "kind": "explode"},
        {"match": "put", "kind": "job_halt"},
        {"match": "put", "kind": "reset", "when": 1},
        {"match": "put", "kind": "truncate", "fraction": 1.0},
        {"match": "put", "kind": "reset", "every": 0},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, FaultRule)


async def listed(client: Client) -> tuple[dict[str, str], list[dict[str, Any]]]:
    named = await client.finished()
    return named, (await client.call("reports/datasets", "get", named)).data["files"]


@pytest.mark.parametrize(
    ("rule", "status", "code"),
    [
        ({"kind": "status"}, 500, 10000),
        ({"kind": "status", "status": 500, "code": 50100}, 500, 50100),
        ({"kind": "status", "status": 200, "code": 20004}, 200, 20004),
        ({"kind": "status", "status": 503, "body": "<html>busy</html>"}, 503, None),
        ({"kind": "rate_limited"}, 429, 42000),
        ({"kind": "non_json"}, 200, None),
    ],
)
async def test_a_call_can_be_refused_in_each_way(client: Client, rule: dict[str, Any], status: int, code: int) -> None:
    client.sim.faults.add(FaultRule(match="get jobs", times=1, **rule))
    answer = await client.call("jobs", "get", {})
    assert (answer.status, answer.code) == (status, code)
    assert "Retry-After" not in answer.headers
    assert (await client.call("jobs", "get", {})).data == []
    assert client.sim.stats.faults == {f"{rule['kind']} get jobs": 1}


async def test_a_429_may_name_when_to_come_back(client: Client) -> None:
    client.sim.faults.add(FaultRule(match="get jobs", kind="rate_limited", retry_after=7))
    assert (await client.call("jobs", "get", {})).headers["Retry-After"] == "7"
    assert client.sim.stats.rate_limited == 1


async def test_a_reset_cuts_the_call_before_it_has_an_effect(client: Client) -> None:
    client.sim.faults.add(FaultRule(match="set reports/datasets", kind="reset", times=1))
    request = ACTIVITY_SUMMARY | {"dataset_id": str(uuid.uuid4())}
    with pytest.raises(CUT):
        await client.call("reports/datasets", "set", request)
    assert (await client.call("reports/datasets", "set", request)).status == 200


async def test_a_lost_reply_cuts_the_call_after_its_effect(client: Client) -> None:
    named, (url,) = await client.initialised()
    await client.put(url, USERS)
    client.sim.faults.add(FaultRule(match="set jobs/reports/datasets", kind="lost_reply", times=1))
    with pytest.raises(CUT):
        await client.call("jobs/reports/datasets", "set", named)
    assert client.sim.stats.jobs_started == {named["dataset_id"]: 1}
    assert (await client.call("jobs/reports/datasets", "set", named)).code == 20011
    assert len((await client.call("jobs", "get", {})).data) == 1


async def test_latency_delays_a_call_without_changing_it(client: Client) -> None:
    client.sim.faults.add(FaultRule(match="get jobs", kind="latency", seconds=0.01))
    assert (await client.call("jobs", "get", {})).data == []
    assert client.sim.stats.faults == {"latency get jobs": 1}


async def test_a_truncated_body_ends_before_its_length(client: Client) -> None:
    _, files = await listed(client)
    client.sim.faults.add(FaultRule(match="file", name=files[0]["name"], kind="truncate", fraction=0.3, times=1))
    received = b""
    async with client.http.get(files[0]["url"]) as response:
        assert response.content_length == files[0]["bytes"]
        with pytest.raises(aiohttp.ClientPayloadError):
            async for piece in response.content.iter_any():
                received += piece
    assert len(received) == int(files[0]["bytes"] * 0.3)
    assert (await client.get(files[1]["url"]))[0] == 200
    status, rest, _ = await client.get(files[0]["url"], Range=f"bytes={len(received)}-")
    assert (status, len(received + rest)) == (206, files[0]["bytes"])


async def test_a_slow_body_is_whole_in_the_end(client: Client) -> None:
    _, files = await listed(client)
    client.sim.faults.add(FaultRule(match="file", kind="slow_body", bytes_per_second=files[0]["bytes"] * 20))
    assert len((await client.get(files[0]["url"]))[1]) == files[0]["bytes"]


async def test_a_corrupt_body_has_the_right_length_and_a_wrong_one_has_not(client: Client) -> None:
    _, files = await listed(client)
    url, size = files[0]["url"], files[0]["bytes"]
    _, good, _ = await client.get(url)
    client.sim.faults.add(FaultRule(match="file", kind="corrupt", times=1))
    _, corrupt, _ = await client.get(url)
    assert corrupt != good
    assert len(corrupt) == size
    client.sim.faults.add(FaultRule(match="file", kind="wrong_length", times=1))
    assert (await client.get(url))[1] == good[:-1]
    assert (await client.get(url))[1] == good


async def test_urls_of_files_expire_on_demand_and_are_good_again_when_listed_anew(client: Client) -> None:
    named, files = await listed(client)
    client.sim.faults.add(FaultRule(match="file", kind="expired_url", times=1))
    status, body, _ = await client.get(files[0]["url"])
    assert status == 403
    assert b"Request has expired" in body
    client.sim.faults.add(FaultRule(match="get reports/datasets", kind="expired_url", times=1))
    expired = (await client.call("reports/datasets", "get", named)).data["files"][0]["url"]
    assert (await client.get(expired))[0] == 403
    fresh = (await client.call("reports/datasets", "get", named)).data["files"][0]["url"]
    assert (await client.get(fresh))[0] == 200


async def test_one_part_of_an_upload_can_be_made_to_fail(client: Client) -> None:
    named, urls = await client.initialised(ACTIVITY_SUMMARY | {"file_count": 2})
    client.sim.faults.add(FaultRule(match="put", name=f"{named['dataset_id']}/1", kind="status", status=503, times=1))
    assert (await client.put(urls[0], USERS))[0] == 200
    status, text = await client.put(urls[1], USERS)
    assert status == 503
    assert text.startswith("<?xml")
    assert (await client.put(urls[1], USERS))[0] == 200


async def test_a_large_upload_is_refused_with_the_fault_and_not_for_its_size(client: Client) -> None:
    _, (url,) = await client.initialised()
    client.sim.faults.add(FaultRule(match="put", kind="status", status=503))
    assert (await client.put(url, io.BytesIO(bytes(17 << 20))))[0] == 503


async def test_a_job_can_be_made_to_halt(client: Client) -> None:
    client.sim.faults.add(FaultRule(match="job", kind="job_halt", message="disk full"))
    _, reference = await client.commenced()
    job = await client.job(reference)
    assert (job["status"], job["error"]) == ("halted", "disk full")


async def test_a_job_can_be_made_to_run_for_ever(client: Client) -> None:
    client.sim.faults.add(FaultRule(match="job", kind="job_hang"))
    _, reference = await client.commenced()
    assert (await client.job(reference, "running"))["status"] == "running"


async def test_a_job_can_be_made_to_vanish(client: Client) -> None:
    client.sim.faults.add(FaultRule(match="job", kind="job_vanish"))
    _, reference = await client.commenced()

    async def vanished() -> bool:
        return not (await client.call("jobs", "get", {"references": [reference]})).data

    await client.until(vanished)


async def test_faults_and_switches_can_be_set_over_http(client: Client) -> None:
    control = f"{client.sim.url}/_control"
    rule = {"match": "get jobs", "kind": "status", "status": 502, "times": 1}
    async with client.http.post(f"{control}/faults", data=json.dumps([rule])) as response:
        assert [each["kind"] for each in await response.json()] == ["status"]
    assert (await client.call("jobs", "get", {})).status == 502
    async with client.http.delete(f"{control}/faults") as response:
        assert await response.json() == []
    async with client.http.post(f"{control}/config", data=json.dumps({"results_shape": "urls"})) as response:
        assert response.status == 200
    assert client.sim.config.results_shape == "urls"
    for path, body in (("faults", {"kind": "x"}), ("config", {"colour": 1}), ("config", [])):
        async with client.http.post(f"{control}/{path}", data=json.dumps(body)) as response:
            assert response.status == 400
    async with client.http.get(f"{control}/stats") as response:
        stats = await response.json()
    assert stats["faults"] == {"status get jobs": 1}
    assert stats["statuses"] == {"get jobs 502": 1}
    async with client.http.delete(f"{control}/stats") as response:
        assert response.status == 200
    assert client.sim.stats.calls == {}


async def test_health_and_datasets_can_be_asked_for(client: Client) -> None:
    named = await client.finished()
    async with client.http.get(f"{client.sim.url}/healthz") as response:
        assert response.status == 200
    async with client.http.get(f"{client.sim.url}/_control/datasets") as response:
        assert (await response.json())[named["dataset_id"]]["files"] == 14
    async with client.http.get(f"{client.sim.url}/_control/datasets/none/files") as response:
        assert response.status == 404


async def control_status(client: Client, **headers: str) -> set[int]:
    """The statuses of each control endpoint."""
    endpoints = (
        *(("GET", path) for path in ("stats", "faults", "datasets", "datasets/x/files")),
        *(("POST", path) for path in ("faults", "config")),
        *(("DELETE", path) for path in ("stats", "faults")),
    )
    seen = set()
    for method, path in endpoints:
        async with client.http.request(
            method, f"{client.sim.url}/_control/{path}", data=b"[]", headers=headers
        ) as response:
            seen.add(response.status)
    return seen


async def test_control_without_a_token_answers_this_machine_alone_and_by_its_own_name(client: Client) -> None:
    for name in ("attacker.example", "127.0.0.1.attacker.example", "10.0.0.1", "localhost.attacker.example:80"):
        assert await control_status(client, Host=name) == {403}
    assert 403 not in await control_status(client, Host="localhost:1")
    assert 403 not in await control_status(client)


async def test_control_with_a_token_answers_nobody_without_it(start: Start) -> None:
    client = await start(control_token="of-the-control")
    assert await control_status(client) == {403}
    for wrong in ("Bearer wrong", "of-the-control", "Bearer ", "Basic of-the-control"):
        assert await control_status(client, Authorization=wrong) == {403}
    assert 403 not in await control_status(client, Authorization="Bearer of-the-control")
    assert "of-the-control" not in repr(client.sim.config)
