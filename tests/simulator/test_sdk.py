"""The official SDK, unmodified, against the simulator in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from learnosity_sdk.exceptions import DataApiException
from learnosity_sdk.request import DataApi

from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET, Simulator, SimulatorConfig, running

from .conftest import ACTIVITY_SUMMARY, FORM, USERS


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with running(SimulatorConfig(job_seconds=0.0)) as simulator:
        yield simulator


def call(
    sim: Simulator, endpoint: str, request: dict[str, Any], action: str, secret: str = DEMO_CONSUMER_SECRET
) -> Any:
    security = {"consumer_key": DEMO_CONSUMER_KEY, "domain": "localhost"}
    url = f"{sim.url}/v2026.2.LTS/{endpoint}"
    return DataApi().request(url, security, secret, request, action)


def test_the_sdk_walks_the_whole_flow(sim: Simulator) -> None:
    request = ACTIVITY_SUMMARY | {"groups": [{"key": "school", "label": "Écolé"}, {"key": "class", "label": "班"}]}
    data = call(sim, "reports/datasets", request, "set").json()["data"]
    put = requests.put(data["input_files"][0], data=USERS, headers={"Content-Type": FORM}, timeout=10)
    assert put.status_code == 200
    named = {"dataset_id": data["dataset_id"], "dataset_type": data["dataset_type"]}
    reference = call(sim, "jobs/reports/datasets", named, "set").json()["data"]["job_reference"]
    while True:
        (job,) = call(sim, "jobs", {"references": [reference]}, "get").json()["data"]
        if job["status"] == "completed":
            break
        assert job["status"] in ("queued", "running")
    files = call(sim, "reports/datasets", named, "get").json()["data"]["files"]
    assert all(len(requests.get(file["url"], timeout=10).content) == file["bytes"] for file in files)


def test_a_wrong_secret_is_told_by_code(sim: Simulator) -> None:
    answer = call(sim, "jobs", {}, "get", secret="f" * 40)
    assert (answer.status_code, answer.json()["meta"]["code"]) == (403, 41003)


def test_the_iterators_of_the_sdk_work_too(sim: Simulator) -> None:
    security = {"consumer_key": DEMO_CONSUMER_KEY, "domain": "localhost"}
    pages = DataApi().request_iter(f"{sim.url}/v2026.2.LTS/jobs", security, DEMO_CONSUMER_SECRET, {}, "get")
    assert [page["data"] for page in pages] == [[]]
    with pytest.raises(DataApiException, match="20012"):
        list(DataApi().request_iter(f"{sim.url}/v2026.2.LTS/job", security, DEMO_CONSUMER_SECRET, {}, "get"))
