"""Every promise of the design's rules has a test that names it."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from tests.promises import PROMISES

TESTS = Path(__file__).resolve().parents[1]


def _named() -> dict[str, list[str]]:
    """Names of promises, each with the tests that are marked with it."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.promise":
                        found[ast.literal_eval(mark.args[0])].append(node.name)
    return found


NAMED = _named()


@pytest.mark.parametrize("promise", PROMISES)
def test_every_promise_has_a_test_that_names_it(promise: str) -> None:
    assert NAMED[promise], PROMISES[promise]


def test_no_test_names_a_promise_that_nobody_made() -> None:
    assert not set(NAMED) - set(PROMISES)
