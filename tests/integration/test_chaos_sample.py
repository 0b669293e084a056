"""Two minutes of `make chaos`: one run of each kind of trouble, on an Airflow of its own, with real kills."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from chaos.evidence import leaks
from chaos.plans import plan
from chaos.runner import Chaos

pytestmark = pytest.mark.slow

# One seed of each kind; the whole matrix is `make chaos`.
SEEDS = {
    4: "lost reply",
    9: "task killed",
    30: "S3 killed",
    44: "triggerer killed",
    140: "API server killed",
    144: "scheduler and workers killed",
}


def test_the_seeds_are_what_they_are_thought_to_be() -> None:
    assert {seed: plan(seed).fault for seed in SEEDS} == SEEDS


def test_nothing_is_lost_and_nothing_made_twice_whatever_is_killed(tmp_path: Path) -> None:
    with Chaos(tmp_path, lanes=len(SEEDS)).open() as chaos:
        outcomes = list(chaos.run((plan(seed) for seed in SEEDS), until=math.inf))
        problems = {f"seed {outcome.seed}": outcome.problems for outcome in outcomes if outcome.problems}
        leaked = leaks(chaos.logs, chaos.secrets())
        unfinished = chaos.unfinished_uploads()
    assert not problems, "repeat one with: python -m chaos --seed N"
    assert sorted(outcome.seed for outcome in outcomes) == sorted(SEEDS)
    assert {outcome.state for outcome in outcomes} == {"success"}
    assert not leaked
    assert not unfinished
