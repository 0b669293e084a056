"""The probe: what an account answers, without a value of it, and nothing is started."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.execution_time.context import set_current_context

from learnosity.api.config import ApiConfig
from learnosity.errors import LearnosityError, PermanentError, TransientError
from learnosity.probe import lines
from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET
from tests.component.landing_scene import Scene, StartScene, scene

__all__ = ["scene"]

ROOT = Path(__file__).resolve().parents[2]


async def report(dataset: Scene, **more: Any) -> str:
    """The report about a finished dataset."""
    asked = {"dataset_type": dataset.layout.dataset_type, "dataset_id": dataset.layout.dataset_id} | more
    return "\n".join([line async for line in lines(dataset.client, asked["dataset_type"], asked["dataset_id"])])


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ("urls", "a list of 34 files"),
        ("paged", "there are further pages"),
        ("groups", "groups, one at a time"),
        ("inline", "content in the reply itself"),
    ],
)
async def test_says_how_results_are_listed(scene: StartScene, shape: str, says: str) -> None:
    assert says in await report(await scene(results_shape=shape, page_size=5))


async def test_holds_no_value_of_a_reply_and_no_address(scene: StartScene) -> None:
    dataset = await scene()
    said = await report(dataset)
    for secret in ("://", "Signature", "groups/", "s1", dataset.layout.dataset_id, DEMO_CONSUMER_KEY):
        assert secret not in said, secret


async def test_starts_nothing(scene: StartScene) -> None:
    dataset = await scene()
    await report(dataset)
    assert {call.split()[0] for call in dataset.sim.stats.calls} == {"get"}


async def test_without_a_dataset_says_that_results_were_not_tried(scene: StartScene) -> None:
    assert "was not tried" in await report(await scene(), dataset_id=None)


@pytest.fixture
async def url(scene: StartScene) -> AsyncIterator[str]:
    config: ApiConfig = (await scene()).client.config
    yield config.base_url


def command(
    url: str, password: str, conn_id: str = "account", version: str = "v2026.2.LTS"
) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own."""
    connection = (
        f'{{"conn_type": "learnosity", "login": "{DEMO_CONSUMER_KEY}", "password": "{password}", "host": "{url}", '
        f'"extra": {{"version": "{version}"}}}}'
    )
    environment = {**os.environ, "AIRFLOW_CONN_ACCOUNT": connection, "PYTHONPATH": str(ROOT / "plugins")}
    return subprocess.run(
        [sys.executable, "-m", "learnosity.probe", "--conn-id", conn_id],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


async def test_the_command_reports_and_ends_well(url: str) -> None:
    ended = await asyncio.to_thread(command, url, DEMO_CONSUMER_SECRET)
    assert ended.returncode == 0, ended.stderr
    assert "Key, secret and domain are accepted" in ended.stdout


async def test_the_command_says_what_is_wrong_with_the_key(url: str) -> None:
    ended = await asyncio.to_thread(command, url, "x" * 40)
    assert ended.returncode == 1
    assert "Check the consumer secret" in ended.stdout


@pytest.fixture(scope="module")
def task() -> Any:
    """The task of the DAG."""
    return DagBag(dag_folder=str(ROOT / "dags" / "learnosity_probe.py")).dags["learnosity_probe"].get_task("report")


@pytest.mark.parametrize(
    ("password", "host", "fails", "error"),
    [
        (DEMO_CONSUMER_SECRET, None, None, None),
        ("x" * 40, None, "Check the consumer secret", PermanentError),
        (DEMO_CONSUMER_SECRET, "http://127.0.0.1:9", "the network or the server failed", TransientError),
    ],
)
async def test_the_dag_is_green_only_where_the_account_is_accepted(
    url: str,
    task: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    password: str,
    host: str | None,
    fails: str | None,
    error: type[LearnosityError] | None,
) -> None:
    caplog.set_level("INFO")
    account = {"conn_type": "learnosity", "login": DEMO_CONSUMER_KEY, "password": password, "host": host or url}
    monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(account))
    params = {"learnosity_conn_id": "account", "dataset_id": None, "dataset_type": None}
    context: Any = {}
    with set_current_context(context), pytest.raises(error, match=fails) if error else nullcontext():
        assert "Key, secret and domain are accepted" in await task.python_callable(params=params)
    assert any(message.startswith("API: ") for message in caplog.messages)
    assert any(message.startswith("Stopped: a first call failed. ") for message in caplog.messages) is bool(fails)


async def test_the_command_takes_a_line_end_as_the_tasks_do(url: str) -> None:
    ended = await asyncio.to_thread(command, url, f"{DEMO_CONSUMER_SECRET}\\n", version="v2026.2.LTS\\n")
    assert ended.returncode == 0, ended.stderr
    assert "Key, secret and domain are accepted" in ended.stdout


async def test_the_command_says_that_a_connection_does_not_exist(url: str) -> None:
    ended = await asyncio.to_thread(command, url, DEMO_CONSUMER_SECRET, "typo")
    assert ended.returncode == 1
    assert "The connection 'typo' does not exist. Add it in Airflow" in ended.stderr
    assert "Traceback" not in ended.stderr
