"""Each claim on security has a test that exists, and is still what the page says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.claims import CLAIMS

TESTS = Path(__file__).resolve().parents[1]
PAGE = " ".join((TESTS.parent / "docs" / "security.md").read_text().split())


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_claim_stands_on_the_page_and_its_test_exists(claim: str) -> None:
    assert claim in PAGE
    file, _, name = CLAIMS[claim].partition("::")
    tree = ast.parse((TESTS / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
