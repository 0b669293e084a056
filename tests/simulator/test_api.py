"""The API over HTTP: the whole flow, its codes, and the switches for what nobody knows."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from .conftest import ACTIVITY_SUMMARY, USERS, Client, Start

GONE = str(uuid.UUID(int=1, version=4))


async def test_the_whole_flow_gives_files_that_are_what_they_say(client: Client) -> None:
    named = await client.finished()
    listing = (await client.call("reports/datasets", "get", named)).data
    assert {key: listing[key] for key in named} == named
    assert len(listing["files"]) == 2 * (1 + 2 + 4)
    for file in listing["files"]:
        status, body, headers = await client.get(file["url"])
        assert (status, len(body), headers["Content-Type"]) == (200, file["bytes"], file["content_type"])
        assert headers["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert client.sim.stats.jobs_started == {named["dataset_id"]: 1}
    assert not client.sim.stats.leaks


async def test_the_truth_about_files_can_be_asked_for(client: Client) -> None:
    named = await client.finished()
    async with client.http.get(f"{client.sim.url}/_control/datasets/{named['dataset_id']}/files") as response:
        truth = await response.json()
    for file in (await client.call("reports/datasets", "get", named)).data["files"]:
        _, body, _ = await client.get(file["url"])
        assert truth[file["name"]] == {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


@pytest.mark.parametrize(
    "request_body",
    [
        {"dataset_type": "ibk-analysis-by-question", "file_count": 0},
        {"dataset_type": "activity-analysis-by-question", "file_count": 0, "filters": {"activity_id": ["a"]}},
    ],
)
async def test_an_analysis_without_files_starts_at_once(client: Client, request_body: dict[str, Any]) -> None:
    data = (await client.call("reports/datasets", "set", request_body)).data
    assert "input_files" not in data
    assert (await client.job(data["job_reference"]))["status"] == "completed"
    named = {"dataset_id": data["dataset_id"], "dataset_type": data["dataset_type"]}
    assert len((await client.call("reports/datasets", "get", named)).data["files"]) > 10


async def test_the_envelope_is_that_of_the_documentation(client: Client) -> None:
    good = await client.call("jobs", "get", {})
    assert good.body["meta"].keys() == {"status", "timestamp", "records", "versions"}
    assert good.body["meta"]["versions"]["requested"] == "v2026.2.LTS"
    bad = await client.call("jobs", "get", {"status": ["done"]})
    assert bad.body["meta"].keys() == {"status", "code", "message", "request_uuid"}
    assert (bad.status, bad.code) == (400, 20004)


async def test_a_path_without_a_version_is_answered_in_plain_text(client: Client) -> None:
    answer = await client.call("datasets", "get", {}, version="jobs")
    assert (answer.status, answer.body) == (404, None)
    assert "Invalid request" in answer.text


@pytest.mark.parametrize("version", ["v1", "latest", "LATEST-LTS", "developer", "v2026.3.preview1", "v2023.1.LTS"])
async def test_all_forms_of_versions_are_served(client: Client, version: str) -> None:
    assert (await client.call("jobs", "get", {}, version=version)).data == []


@pytest.mark.parametrize(
    ("endpoint", "action", "request_text", "status", "code"),
    [
        ("no/such/endpoint", "get", "{}", 404, 20012),
        ("jobs", "set", "{}", 405, 40001),
        ("jobs", "get", "[1]", 400, 20009),
        ("jobs", "get", "no json", 400, 20009),
        ("jobs", "get", json.dumps({"references": ["x"] * 1001}), 400, 20002),
        ("jobs", "get", json.dumps({"references": "x"}), 400, 20003),
        ("jobs", "get", json.dumps({"organisation_id": 77}), 403, 40003),
        ("reports/datasets", "set", "{}", 400, 20000),
        ("reports/datasets", "set", json.dumps({"dataset_type": "x"}), 400, 44000),
        (
            "reports/datasets",
            "get",
            json.dumps({"dataset_type": "ibk-analysis-by-question", "dataset_id": GONE}),
            400,
            20004,
        ),
        (
            "jobs/reports/datasets",
            "set",
            json.dumps({"dataset_type": "ibk-analysis-by-question", "dataset_id": GONE}),
            400,
            20004,
        ),
    ],
)
async def test_wrong_calls_have_their_codes(
    client: Client, endpoint: str, action: str, request_text: str, status: int, code: int
) -> None:
    answer = await client.call(endpoint, action, request_text)
    assert (answer.status, answer.code) == (status, code)


async def test_security_is_checked_before_the_request(client: Client) -> None:
    answer = await client.call("jobs", "get", "no json", domain="elsewhere.example")
    assert (answer.status, answer.code) == (403, 41005)
    async with client.http.post(f"{client.sim.url}/v1/jobs", json={"request": {}}) as response:
        assert (response.status, (await response.json())["meta"]["code"]) == (400, 41000)
    async with client.http.get(f"{client.sim.url}/v1/jobs") as response:
        assert (response.status, (await response.json())["meta"]["code"]) == (405, 40001)


async def test_plain_http_may_be_redirected_to_where_the_body_is_lost(start: Start) -> None:
    client = await start(plain_http="redirect")
    answer = await client.call("jobs", "get", {})
    assert (answer.status, answer.code) == (400, 41000)
    async with client.http.post(f"{client.sim.url}/v1/jobs", allow_redirects=False) as response:
        assert response.status == 301
    client.sim.configure(plain_http="forbid")
    assert (await client.call("jobs", "get", {})).status == 403


async def test_old_versions_and_withdrawn_endpoints_are_refused_by_switch(start: Start) -> None:
    client = await start(minimum_version="2025.1", withdrawn=["reports/datasets"])
    assert (await client.call("jobs", "get", {}, version="v2024.3.LTS")).code == 43000
    assert (await client.call("jobs", "get", {}, version="v2025.1.LTS")).data == []
    gone = await client.call("reports/datasets", "get", {})
    assert (gone.status, gone.code) == (410, 42001)


async def test_calls_over_the_quota_get_429_with_the_documented_body(start: Start) -> None:
    client = await start(rate_window_seconds=3600.0)
    answers = [await client.call("jobs/reports/datasets", "set", {}) for _ in range(51)]
    assert [answer.status for answer in answers] == [400] * 50 + [429]
    meta = answers[-1].body["meta"]
    assert (meta["code"], meta["message"]) == (42000, "Too many requests")
    assert "Retry-After" not in answers[-1].headers
    assert (await client.call("reports/datasets", "set", {})).status == 400
    assert client.sim.stats.rate_limited == 1
    client.sim.configure(retry_after_header=True)
    assert int((await client.call("jobs/reports/datasets", "set", {})).headers["Retry-After"]) > 0


async def test_an_id_cannot_be_used_twice(start: Start) -> None:
    client = await start()
    named, _ = await client.initialised()
    again = await client.call("reports/datasets", "set", ACTIVITY_SUMMARY | named)
    assert (again.status, again.code) == (409, 20011)
    client.sim.configure(duplicate_code=30000)
    assert (await client.call("reports/datasets", "set", ACTIVITY_SUMMARY | named)).code == 30000


async def test_commencing_needs_every_file(client: Client) -> None:
    named, urls = await client.initialised(ACTIVITY_SUMMARY | {"file_count": 2})
    await client.put(urls[1], USERS)
    early = await client.call("jobs/reports/datasets", "set", named)
    assert (early.status, early.code) == (400, 50000)
    await client.put(urls[0], b"")
    assert "job_reference" in (await client.call("jobs/reports/datasets", "set", named)).data


async def test_commencing_twice_is_a_conflict_or_by_switch_a_second_job(client: Client) -> None:
    named = await client.finished()
    twice = await client.call("jobs/reports/datasets", "set", named)
    assert (twice.status, twice.code) == (409, 20011)
    client.sim.configure(recommence="second_job")
    reference = (await client.call("jobs/reports/datasets", "set", named)).data["job_reference"]
    await client.job(reference)
    assert client.sim.stats.jobs_started[named["dataset_id"]] == 2


async def test_missing_files_may_halt_the_job_instead(start: Start) -> None:
    client = await start(missing_files="halt")
    named, _ = await client.initialised()
    reference = (await client.call("jobs/reports/datasets", "set", named)).data["job_reference"]
    assert "missing" in (await client.job(reference))["error"]


async def test_bad_input_halts_the_job_with_its_error(start: Start) -> None:
    client = await start()
    named, reference = await client.commenced(b'{"user_id": "u", "groups": {"planet": "p"}}\n')
    job = await client.job(reference)
    assert job["status"] == "halted"
    assert "planet" in job["error"]
    assert (await client.call("reports/datasets", "get", named)).code == 20004
    client.sim.configure(job_error_shape="object")
    assert "planet" in (await client.job(reference))["error"]["message"]


async def test_a_job_goes_from_queued_over_running_to_completed(start: Start) -> None:
    client = await start(job_seconds=0.4)
    named, reference = await client.commenced()
    (first,) = (await client.call("jobs", "get", {"references": [reference]})).data
    assert (first["status"], first["dt_completed"], first["results"]) == ("queued", None, None)
    assert (await client.job(reference, "running"))["dt_completed"] is None
    assert (await client.call("reports/datasets", "get", named)).code == 20004
    client.sim.configure(dt_completed_pending="absent", job_results_key=False)
    last = await client.job(reference)
    assert last.keys() == {"reference", "type", "status", "dt_created", "dt_completed"}


async def test_jobs_are_filtered_and_never_more_than_fifty(start: Start) -> None:
    client = await start(quota_set=1000, job_seconds=0.0, analysis_users=1)
    request = {"dataset_type": "ibk-analysis-by-question", "file_count": 0}
    data = [(await client.call("reports/datasets", "set", request)).data for _ in range(60)]
    references = [each["job_reference"] for each in data]
    for reference in references:
        await client.job(reference)

    async def count(**filters: Any) -> int:
        return len((await client.call("jobs", "get", filters)).data)

    assert await count() == 50
    assert await count(limit=500) == 50
    assert await count(limit=7) == 7
    assert await count(references=references[:10]) == 10
    assert await count(references=["unknown"]) == 0
    assert await count(references=references[:10], status=["queued", "running"]) == 0
    assert await count(maxtime="2020-01-01T00:00:00Z") == 0
    assert await count(mintime="2020-01-01T00:00:00Z", organisation_id=1) == 50


async def test_the_documented_default_of_the_status_filter_is_a_switch(start: Start) -> None:
    client = await start(job_seconds=3600.0)
    _, reference = await client.commenced()
    assert len((await client.call("jobs", "get", {"references": [reference]})).data) == 1
    client.sim.configure(jobs_status_default="completed")
    assert (await client.call("jobs", "get", {"references": [reference]})).data == []
    asked = {"references": [reference], "status": ["queued", "running", "halted", "completed"]}
    assert len((await client.call("jobs", "get", asked)).data) == 1


async def test_jobs_may_be_forgotten(start: Start) -> None:
    client = await start(retention_seconds=0.0)
    _, reference = await client.commenced()

    async def forgotten() -> bool:
        return not (await client.call("jobs", "get", {"references": [reference]})).data

    await client.until(forgotten)


async def test_replies_to_set_come_in_each_plausible_shape(start: Start) -> None:
    client = await start(set_reply_shape="array", commence_reply_shape="array", input_files_shape="objects")
    (data,) = (await client.call("reports/datasets", "set", ACTIVITY_SUMMARY)).data
    await client.put(data["input_files"][0]["url"], USERS)
    named = {"dataset_id": data["dataset_id"], "dataset_type": data["dataset_type"]}
    (commenced,) = (await client.call("jobs/reports/datasets", "set", named)).data
    assert (await client.job(commenced["job_reference"]))["status"] == "completed"


async def test_errors_of_the_request_may_come_with_http_200(start: Start) -> None:
    client = await start(error_http="200")
    answer = await client.call("reports/datasets", "set", {})
    assert (answer.status, answer.code) == (200, 20000)
    assert (await client.call("jobs", "get", {}, consumer_key="X" * 16)).status == 403


async def test_results_come_as_bare_urls(start: Start) -> None:
    client = await start(results_shape="urls")
    urls = (await client.call("reports/datasets", "get", await client.finished())).data
    assert len(urls) == 14
    assert [(await client.get(url))[0] for url in urls] == [200] * 14


async def test_results_come_in_pages(start: Start) -> None:
    client = await start(results_shape="paged", page_size=5)
    named, names = await client.finished(), []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.call("reports/datasets", "get", named | cursor)
        names += [file["name"] for file in answer.data["files"]]
        assert answer.body["meta"]["records"] == len(answer.data["files"])
        if "next" not in answer.body["meta"]:
            break
        cursor = {"next": answer.body["meta"]["next"]}
    assert len(names) == len(set(names)) == 14
    assert (await client.call("reports/datasets", "get", named | {"next": "x"})).code == 20004


async def test_results_come_inline_as_text_or_json(start: Start) -> None:
    client = await start(results_shape="inline")
    named = await client.finished()
    text = (await client.call("reports/datasets", "get", named)).data
    client.sim.configure(inline_content="json")
    parsed = (await client.call("reports/datasets", "get", named)).data
    assert json.loads(text["groups/group.json"]) == parsed["groups/group.json"]
    assert text["groups/group.csv"] == parsed["groups/group.csv"]


async def test_results_can_be_walked_group_by_group(start: Start) -> None:
    client = await start(results_shape="groups")
    named = await client.finished()
    users: list[str] = []

    async def walk(path: list[str]) -> None:
        data = (await client.call("reports/datasets", "get", named | {"group_path": path})).data
        assert data["group_path"] == path
        users.extend(user["user_id"] for user in data["users"])
        for child in data["groups"]:
            await walk([*path, child["group_name"]])

    await walk([])
    assert sorted(users) == sorted(f"u{n}" for n in range(40))
    assert (await client.call("reports/datasets", "get", named)).data["group_path"] == []
    assert (await client.call("reports/datasets", "get", named | {"group_path": ["mars"]})).code == 20004
    assert (await client.call("reports/datasets", "get", named | {"group_path": "s0"})).code == 20003
    assert client.sim.group_view(named["dataset_id"], ["s0"])["group_path"] == ["s0"]


async def test_sizes_and_types_may_be_left_out_of_the_listing(start: Start) -> None:
    client = await start(list_bytes=False, list_content_type=False)
    files = (await client.call("reports/datasets", "get", await client.finished())).data["files"]
    assert {frozenset(file) for file in files} == {frozenset({"name", "url"})}


async def test_hostile_names_are_listed_raw_and_can_be_fetched(start: Start) -> None:
    names = ["../../etc/passwd", "/etc/passwd", "a\x00b", "..", "x/../y", "CON", "a//b", "é?#%2F"]
    client = await start(hostile_names=names)
    files = (await client.call("reports/datasets", "get", await client.finished())).data["files"]
    hostile = [file for file in files if file["name"] in names]
    assert [file["name"] for file in hostile] == names
    assert [(await client.get(file["url"]))[0] for file in hostile] == [200] * len(names)


async def test_group_names_cannot_climb_out_of_their_folder(client: Client) -> None:
    body = json.dumps({"user_id": "u", "groups": {"school": "../é", "class": ".."}}).encode()
    files = (await client.call("reports/datasets", "get", await client.finished(body))).data["files"]
    assert "groups/..%2F%C3%A9/%2E%2E/group.json" in [file["name"] for file in files]
    assert [(await client.get(file["url"]))[0] for file in files] == [200] * 6


async def test_results_come_as_each_group_in_a_list_of_its_own(start: Start) -> None:
    client = await start(results_shape="groups_in_lists")
    named = await client.finished()
    (root,) = (await client.call("reports/datasets", "get", named)).data
    (school,) = (await client.call("reports/datasets", "get", named | {"group_path": ["s0"]})).data
    assert (root["group_path"], school["group_path"]) == ([], ["s0"])
    assert {group["group_name"] for group in root["groups"]} == {"s0", "s1"}


async def test_results_come_four_levels_down(start: Start) -> None:
    client = await start(results_shape="deep")
    answer = await client.call("reports/datasets", "get", await client.finished())
    entries = answer.data["report"]["set"]["parts"]["entries"]
    assert len(entries) == answer.body["meta"]["records"] == 14
    assert [(await client.get(entry["url"]))[0] for entry in entries] == [200] * 14


async def test_results_come_beside_a_link_to_the_listing_itself(start: Start) -> None:
    client = await start(results_shape="self_link")
    data = (await client.call("reports/datasets", "get", await client.finished())).data
    assert data["link"].partition("?")[0].endswith("/index.json")
    assert "Signature=" in data["link"]
    assert len(data["files"]) == 14
    assert (await client.get(data["link"]))[0] == 404, "it is no file"


async def test_results_come_as_an_empty_list(start: Start) -> None:
    client = await start(results_shape="empty")
    answer = await client.call("reports/datasets", "get", await client.finished())
    assert (answer.data["files"], answer.body["meta"]["records"]) == ([], 0)


async def test_results_come_with_addresses_of_s3(start: Start) -> None:
    client = await start(results_shape="s3")
    files = (await client.call("reports/datasets", "get", await client.finished())).data["files"]
    assert len(files) == 14
    assert all(file["url"] == f"s3://learnosity-reportdatasets-sim/{file['name']}" for file in files)


async def test_results_of_an_analysis_come_as_rows_with_links(start: Start) -> None:
    client = await start(results_shape="rows")
    request = {"dataset_type": "ibk-analysis-by-question", "file_count": 0}
    data = (await client.call("reports/datasets", "set", request)).data
    await client.job(data["job_reference"])
    named = {"dataset_id": data["dataset_id"], "dataset_type": data["dataset_type"]}
    rows = (await client.call("reports/datasets", "get", named)).data["rows"]
    assert len(rows) > 5
    assert all(row["link"] == f"https://authoring.example.com/items/{row['item_reference']}" for row in rows)
    assert "files" in (await client.call("reports/datasets", "get", await client.finished())).data


async def test_results_may_not_be_ready_for_some_calls(start: Start) -> None:
    client = await start(not_ready_calls=2)
    named = await client.finished()
    for _ in range(2):
        early = await client.call("reports/datasets", "get", named)
        assert early.data == {"dataset_id": named["dataset_id"], "status": "running"}
    for _ in range(2):
        assert len((await client.call("reports/datasets", "get", named)).data["files"]) == 14


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_the_clock_of_the_api_may_differ(start: Start, minutes: int) -> None:
    client = await start(clock_offset_seconds=60.0 * minutes)
    before = int(time.time())
    _, reference = await client.commenced()
    job = await client.job(reference)
    answer = await client.call("jobs", "get", {})
    after = int(time.time()) + 1
    for moment in (answer.body["meta"]["timestamp"], _unix(job["dt_created"]), _unix(job["dt_completed"])):
        assert before + 60 * minutes <= moment <= after + 60 * minutes

    async def listed(since: int) -> int:
        return len((await client.call("jobs", "get", {"mintime": since})).data)

    assert await listed(before + 60 * minutes) == 1
    assert await listed(after + 60 * minutes) == 0
    # What somebody asks who goes by this machine's clock.
    assert await listed(before) == (0 if minutes < 0 else 1)
    assert await listed(after) == (0 if minutes < 0 else 1)


async def test_a_clock_far_behind_refuses_what_is_signed_now(start: Start) -> None:
    client = await start(clock_offset_seconds=-20 * 60.0)
    assert (await client.call("jobs", "get", {})).code == 41004
    client.sim.configure(clock_offset_seconds=20 * 60.0)
    assert (await client.call("jobs", "get", {})).data == []
    _, (url,) = await client.initialised()
    assert (await client.put(url, USERS))[0] == 200, "the bucket has a clock of its own"


def _unix(moment: str) -> float:
    return datetime.strptime(moment, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
