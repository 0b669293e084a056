"""Two minutes of `make chaos`: one run of each kind of trouble, on an Airflow of its own, with real kills."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from chaos.plans import plan
from chaos.runner import Chaos

# One seed of each kind; the whole matrix is `make chaos`.
SEEDS = {
    5: "triggerer killed",
    26: "task killed",
    42: "API server killed",
    47: "scheduler and workers killed",
    90: "task killed",
    95: "file replaced midway",
    162: "lost reply",
    171: "S3 killed",
}


def test_the_seeds_are_what_they_are_thought_to_be() -> None:
    assert {seed: plan(seed).fault for seed in SEEDS} == SEEDS


@pytest.mark.promise("re-attach")
def test_nothing_is_lost_and_nothing_made_twice_whatever_is_killed(tmp_path: Path) -> None:
    with Chaos(tmp_path, lanes=len(SEEDS)).open() as chaos:
        outcomes = list(chaos.run((plan(seed) for seed in SEEDS), until=math.inf))
        problems = {f"seed {outcome.seed}": outcome.problems for outcome in outcomes if outcome.problems}
        leaked = chaos.leaks()
        unfinished = chaos.unfinished_uploads()
    assert not problems, "repeat one with: python -m chaos --seed N"
    assert sorted(outcome.seed for outcome in outcomes) == sorted(SEEDS)
    assert {outcome.state for outcome in outcomes} == {"success"}
    assert not leaked
    assert not unfinished
