"""What `make up` tells, and when: the address once the samples' pages can be opened; then how their landing ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from devstack import __main__ as commands
from devstack import background, first_visit
from devstack.background import Running
from devstack.errors import ApiError, DevstackError
from devstack.stack import Stack

ADDRESS = "http://127.0.0.1:4000"
READ = "the tab Learnosity shows the results"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the command says, with the steps of the samples between; no stack is started."""
    told: list[str] = []
    running = Running(datetime.now(UTC), ADDRESS, "http://s", "http://s3", "s3://a@b/c", [], [])

    def start(stack: Stack) -> Running:
        return running

    def begin(stack: Stack) -> bool:
        told.append("BEGUN")
        return True

    monkeypatch.setattr(background, "start", start)
    monkeypatch.setattr(commands, "say", told.append)
    monkeypatch.setattr(first_visit, "begin", begin)
    monkeypatch.setattr(first_visit, "finish", lambda stack: told.append("FINISHED"))
    return told


def place(told: list[str], words: str) -> int:
    (found,) = [number for number, text in enumerate(told) if words in text]
    return found


def test_the_address_is_told_when_the_samples_have_begun_and_before_they_have_landed(
    told: list[str], tmp_path: Path
) -> None:
    assert commands.main(["up", f"--root={tmp_path}"]) == 0
    assert place(told, "BEGUN") < place(told, f"Airflow    {ADDRESS}") == place(told, READ) < place(told, "FINISHED")
    assert told[-1] == "Both samples have landed."


def test_a_later_start_does_not_say_that_the_samples_land_now(
    told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_visit, "begin", lambda stack: False)
    assert commands.main(["up", f"--root={tmp_path}"]) == 0
    assert "landed at an earlier start" in told[-1]
    assert ADDRESS in told[-1]
    assert not any("land now" in text or "have landed" in text for text in told)


@pytest.mark.parametrize(
    ("states", "going"),
    [
        (("success", "success"), False),
        (("success", "failed"), False),
        (("success", "running"), True),
        (("success", None), True),
        ((None, None), True),
    ],
)
def test_samples_land_now_if_one_of_their_runs_is_new_or_goes_on(
    states: tuple[str | None, ...], going: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, triggered = dict(zip((first_visit.GROUPS_RUN, first_visit.ITEMS_RUN), states, strict=True)), list[str]()

    def dag_run(dag_id: str, run_id: str) -> Any:
        if runs[run_id] is None:
            raise ApiError(404, "GET", run_id, "not found")
        return SimpleNamespace(state=runs[run_id])

    api = SimpleNamespace(
        wait_for_dag=lambda dag_id: None,
        dag_run=dag_run,
        trigger=lambda dag_id, conf, run_id: triggered.append(run_id),
    )
    monkeypatch.setattr(first_visit, "upload_records", lambda *_: "s3://b/k")
    stack: Any = SimpleNamespace(airflow=SimpleNamespace(api=api))
    assert first_visit.begin(stack) is going
    assert triggered == [run_id for run_id, state in runs.items() if state is None]


def refuse(stack: Stack) -> None:
    raise DevstackError("The bucket is full.")


@pytest.mark.parametrize("step", ["begin", "finish"])
def test_a_sample_that_does_not_land_is_told_with_the_address_of_the_stack_that_works(
    told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    failing: Callable[[Stack], None] = refuse
    monkeypatch.setattr(first_visit, step, failing)
    assert commands.main(["up", f"--root={tmp_path}"]) == 0
    assert "The samples did not land. The bucket is full." in told[-1]
    assert ADDRESS in told[-1]


@pytest.mark.parametrize("arguments", [[], ["--test-button"]])
def test_a_stack_that_runs_is_left_as_it_is_and_an_option_that_comes_too_late_is_told(
    arguments: list[str], told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = background.start(SimpleNamespace())  # type: ignore[arg-type]
    monkeypatch.setattr(background, "find", lambda root: running)
    assert commands.main(["up", f"--root={tmp_path}", *arguments]) == 0
    assert told[0] == "The stack runs already."
    assert ["`make down` first" in text for text in told[1:-1]] == [True] * len(arguments)
    assert "BEGUN" not in told
