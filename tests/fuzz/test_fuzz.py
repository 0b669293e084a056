"""A sample of `make fuzz`: no input of any shape crashes, hangs or leaves its folder."""

from __future__ import annotations

import asyncio

import pytest

from chaos.fuzzing.targets import TARGETS, Broken, stays_inside

SEEDS = 5_000
FEWER = {"tables": 300}  # of targets that take longer


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_a_promise(name: str) -> None:
    loop = asyncio.new_event_loop()
    try:
        for seed in range(FEWER.get(name, SEEDS)):
            TARGETS[name](seed, loop)
    finally:
        loop.close()


@pytest.mark.parametrize("path", ["../x", "a/../../x", "a//b", "x\x00y", "a\u202eb", "a\\b"], ids=ascii)
def test_the_check_itself_knows_a_path_that_leaves(path: str) -> None:
    with pytest.raises(Broken):
        stays_inside(path)
